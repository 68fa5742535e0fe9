//! Stock modules of Debian's kernel package, run in this process and checked against published vectors and independent crates.
//!
//! `RUMPLOAD_LINUX` names the directory with the unpacked package; without it, `target/corpus/amd64` of this workspace.
#![cfg(target_arch = "x86_64")]

mod checksum;
mod library;

use rumpload_base_linux::{Boot, Kernel};
use rumpload_hosted::{GsBase, host};
use std::path::PathBuf;
use std::sync::Arc;

/// Where the package is unpacked.
fn directory() -> PathBuf {
    match std::env::var_os("RUMPLOAD_LINUX") {
        Some(directory) => directory.into(),
        None => PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/corpus/amd64")),
    }
}

/// A kernel for its modules.
fn kernel() -> Arc<Kernel> {
    let directory = directory();
    let host = host(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    Kernel::boot(Boot::new(Arc::new(GsBase::new())), host).unwrap()
}

/// Calls an exported function of a loaded module.
fn call(kernel: &Kernel, symbol: &str, arguments: &[u64]) -> u64 {
    // SAFETY: the tests pass what the function documents.
    unsafe { kernel.call(symbol, arguments) }.unwrap()
}

/// The address of a value, to be passed.
fn at<T: ?Sized>(value: &T) -> u64 {
    (&raw const *value).cast::<u8>().expose_provenance() as u64
}

/// The address of a value that is written to, to be passed.
fn to<T: ?Sized>(value: &mut T) -> u64 {
    (&raw mut *value).cast::<u8>().expose_provenance() as u64
}
