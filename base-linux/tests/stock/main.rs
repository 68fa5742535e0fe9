//! Stock modules of Debian's kernel package, run in this process and checked against published vectors and independent crates.
//!
//! `RUMPLOAD_LINUX` names the directory with the unpacked package; without it, `target/corpus/amd64` of this workspace.
#![cfg(target_arch = "x86_64")]

mod algorithm;
mod charset;
mod checksum;
mod library;
mod parity;

use rumpload_base_linux::{Boot, Kernel};
use rumpload_hosted::{GsBase, host};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

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

/// One kernel for tests that only add to it.
fn shared() -> &'static Kernel {
    static SHARED: OnceLock<Arc<Kernel>> = OnceLock::new();
    SHARED.get_or_init(kernel)
}

/// Bytes that look random and are the same every time.
fn bytes(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as u8
    };
    (0..len).map(step).collect()
}
