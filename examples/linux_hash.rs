//! Hashes a file with a stock Linux module: an algorithm is asked for by name, and the module that has it arrives.
//!
//! `cargo run --release --example linux_hash -- MODULES ALGORITHM FILE`, where `MODULES` is a directory with a kernel package's
//! modules (`/lib/modules/VERSION`, or an unpacked package) and `ALGORITHM` is `sha3-256`, `streebog512`, `blake2b-256`, ...

#[cfg(target_arch = "x86_64")]
fn main() -> std::process::ExitCode {
    match hash::run() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("linux_hash: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn main() -> std::process::ExitCode {
    eprintln!("linux_hash: Linux modules run on x86-64 only");
    std::process::ExitCode::FAILURE
}

#[cfg(target_arch = "x86_64")]
mod hash {
    use rumpload_base_linux::{Boot, Kernel};
    use rumpload_hosted::{GsBase, host};
    use std::error::Error;
    use std::fs::File;
    use std::io::Read;
    use std::sync::Arc;

    pub fn run() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [modules, algorithm, file] = arguments.as_slice() else {
            return Err("usage: linux_hash MODULES ALGORITHM FILE".into());
        };
        let kernel = Kernel::boot(Boot::new(Arc::new(GsBase::new())), host(modules)?)?;
        let mut hash = kernel.hash(algorithm)?;
        let mut input = File::open(file)?;
        let mut piece = vec![0; 1 << 16];
        loop {
            match input.read(&mut piece)? {
                0 => break,
                read => hash.update(&piece[..read])?,
            }
        }
        let digest: String = hash.finish()?.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{digest}  {file}");
        let names: Vec<String> = kernel.modules().into_iter().map(|module| module.name).collect();
        eprintln!("{} by {}", hash.algorithm().driver, names.join(" "));
        Ok(())
    }
}
