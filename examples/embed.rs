//! The smallest server that embeds the library: mounts an image and prints a file of it.
//!
//! `cargo run --example embed -- MODULES TYPE IMAGE PATH`, with stock modules at `MODULES/NAME/NAME.kmod`; without arguments it
//! makes a sample module and an image of its own.

use rumpload::{Config, Machine};
use rumpload_base::abi::Abi;
use rumpload_base::{Boot, Device, Kernel, MountArguments, MountRequest};
use rumpload_hosted::{Access, FileBlock, host};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [modules, kind, image, path] => print_file(modules, kind, image, path),
        _ => sample::run(),
    }
}

fn print_file(modules: &str, kind: &str, image: &str, path: &str) -> Result<(), Box<dyn Error>> {
    // The host: memory, clock, console and entropy of this process, and the files below one directory.
    let host = host(modules)?;

    // A kernel of one version. It has no file systems; the directory is where its modules come from.
    let abi = Abi::native().ok_or("modules of this machine cannot be run")?;
    let machine = if abi.pointer() == 8 { Machine::X86_64 } else { Machine::X86 };
    let kernel = Kernel::boot(Boot::new(Config::netbsd(abi.version(), machine), abi), host)?;
    kernel.instance().map_modules("")?;

    // The image becomes a disk. Mounting it brings the module of the type in, and what that requires.
    kernel.add_device("/dev/disk", Device::new(Arc::new(FileBlock::open(image, 512, Access::ReadOnly)?)))?;
    let arguments = MountArguments::new(abi, kind).unwrap_or_else(|_| MountArguments::plain(abi));
    let request = MountRequest { kind, directory: "/mnt", device: Some("/dev/disk"), read_only: true, arguments };
    kernel.mount(&request)?;

    let file = kernel.open(format!("/mnt{path}"))?;
    std::io::stdout().write_all(&file.read_to_vec(1 << 20)?)?;
    file.close()?;
    kernel.unmount("/mnt", false)?;
    Ok(())
}

/// A module and an image to try it with, in a directory that goes when the program ends.
mod sample {
    use rumpload_test_modules::image::{Entry, ustar};
    use rumpload_test_modules::{Target, build_some};
    use std::error::Error;

    pub fn run() -> Result<(), Box<dyn Error>> {
        let directory = std::env::temp_dir().join(format!("rumpload-embed-{}", std::process::id()));
        let outcome = std::fs::create_dir(&directory).map_err(Into::into).and_then(|()| {
            let target = Target::native().ok_or("modules of this machine cannot be run")?;
            build_some(&target, &directory, &["tarfs", "tarindex"])?;
            let image = directory.join("hello.tar");
            std::fs::write(&image, ustar(&[Entry::file("hello.txt", b"Hello from a kernel module.\n")])?)?;
            super::print_file(&directory.to_string_lossy(), "tarfs", &image.to_string_lossy(), "/hello.txt")
        });
        std::fs::remove_dir_all(&directory)?;
        outcome
    }
}
