//! Links the image with the runtime's script and says where the images of the domains are, which must have been built before.

use std::path::Path;

fn main() {
    let script = std::env::var("DEP_SEL4_RUNTIME_SCRIPT").expect("set by the runtime's build script");
    println!("cargo::rustc-link-arg-bins=-T{script}");
    let out = std::env::var("OUT_DIR").expect("set by cargo");
    // <profile>/build/<package>/out
    let images = Path::new(&out).ancestors().nth(3).expect("cargo's layout");
    println!("cargo::rustc-env=DOMAIN_IMAGES={}", images.display());
    for image in ["host", "rump", "client", "conformance"] {
        println!("cargo::rerun-if-changed={}", images.join(image).display());
    }
}
