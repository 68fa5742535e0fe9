//! The base kernel: what stock NetBSD modules import from their kernel, in Rust.
//!
//! [`Kernel::boot`] makes an instance of the core, fills its export table with the services of `kern` (memory, locks,
//! printf, time, ...) and `vfs` (mounts, vnodes, name lookup, buffers, ...), and then answers requests such as
//! [`Kernel::mount`] by running the modules that the core autoloads. How C structures are laid out comes from an
//! [`Abi`](abi::Abi) table, so one server can hold kernels of several versions.
//!
//! This crate is unsafe by nature: it is called by, and calls, compiled C code. Accesses to C structures go through
//! `abi::Field`; what module code may call is listed in one table, `export`.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
mod arch;
mod arguments;
mod change;
mod character;
mod device;
mod directory;
mod error;
mod export;
mod file;
mod kern;
mod kernel;
mod mount_request;
mod offered;
mod outside;
#[cfg(feature = "test-support")]
mod sabotage;
mod stat;
#[cfg(test)]
mod testing;
mod trace;
mod trap;
mod usage;
mod vfs;

pub use arguments::{ArgumentError, MountArguments};
pub use change::Change;
pub use character::CharacterDevice;
pub use device::{Device, Label};
pub use directory::DirectoryEntry;
pub use error::{Errno, FileError, MountError};
pub use file::File;
pub use kern::heap::HeapSource;
pub use kernel::{Boot, Kernel};
pub use mount_request::{MountRequest, MountStatus};
pub use offered::{Symbol, SymbolKind, symbols};
pub use stat::{FileKind, Stat, Timestamp};
pub use trace::Trace;
pub use trap::{TRAPS, Trap};
pub use usage::Usage;
