//! Hands the linker script to whoever links an image.

fn main() {
    let script = std::path::Path::new(&std::env::var("CARGO_MANIFEST_DIR").expect("set by cargo")).join("domain.ld");
    println!("cargo::metadata=script={}", script.display());
    println!("cargo::rerun-if-changed={}", script.display());
}
