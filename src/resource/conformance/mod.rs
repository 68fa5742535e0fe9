//! What the documentation of the resource traits promises, as checks that every platform runs.
//!
//! Each function takes one implementation and panics with the broken promise. What a check needs beforehand (files, the
//! contents of a device) is told by [`FILES`], [`contents`] and [`device`]; the platform puts it where its implementation
//! finds it. No check depends on how long something takes.

mod block;
mod clock;
mod console;
mod entropy;
#[expect(unsafe_code, reason = "looks at memory that a host handed out, and runs code in it")]
mod memory;
mod store;

pub use block::block;
pub use clock::clock;
pub use console::console;
pub use entropy::entropy;
pub use memory::{RunsIn, memory};
pub use store::store;

use super::HostErrorKind;
use alloc::vec::Vec;

/// Path and length in bytes of every file that the store has to have, and no others.
pub const FILES: [(&str, usize); 4] = [("empty", 0), ("small", 5), ("sub/large", 200_001), ("sub/deep/leaf", 4096)];

/// Bytes on the device for [`block`], which are those of [`device`].
pub const DEVICE: usize = 256 << 10;

/// The contents of the file `path` of [`FILES`]; of any other path, nothing.
#[must_use]
pub fn contents(path: &str) -> Vec<u8> {
    let file = FILES.iter().position(|(name, _)| *name == path);
    file.map_or_else(Vec::new, |file| (0..FILES[file].1).map(|at| pattern(file, at)).collect())
}

/// The contents of the device.
#[must_use]
pub fn device() -> Vec<u8> {
    (0..DEVICE).map(|at| pattern(FILES.len(), at)).collect()
}

/// A byte that tells one file from another, and one place in a file from its neighbours in sectors and pages.
fn pattern(file: usize, at: usize) -> u8 {
    (at ^ (at >> 8) ^ (at >> 16)).wrapping_mul(7).wrapping_add(file * 37) as u8
}

/// Panics unless `answer` is an error of `kind`.
#[track_caller]
fn refused<T: core::fmt::Debug>(answer: Result<T, super::HostError>, kind: HostErrorKind, what: &str) {
    assert_eq!(answer.map_err(|error| error.kind()).expect_err(what), kind, "{what}");
}
