//! Links the image with the runtime's script.

fn main() {
    let script = std::env::var("DEP_SEL4_RUNTIME_SCRIPT").expect("set by the runtime's build script");
    println!("cargo::rustc-link-arg-bins=-T{script}");
}
