//! Resources of a Linux process: what `rumpload` needs from its host, over the standard library and system calls.
//!
//! * [`Memory`]: pages below 2 GiB (or wherever the code model wants them) from pools, never writable and executable.
//! * [`DirectoryStore`]: the files under one directory, which no link and no `..` leads out of.
//! * [`FileBlock`]: a file or block device as a disk.
//! * [`StandardError`], [`SystemClock`], [`SystemEntropy`]: messages, time, random bytes.
//! * [`GsBase`], [`Ticker`]: what Linux modules want besides: a per-CPU base, and a clock that moves while they run.
//! * [`host`]: all of them bundled; [`catch_faults`]: faults in module code end its instance instead of the process.
//!
//! The crate also defines `rumpload_context`, the word per thread by which exports find their instance.

mod block;
mod clock;
mod console;
mod context;
mod entropy;
mod error;
mod fault;
mod memory;
#[cfg(target_arch = "x86_64")]
mod per_cpu;
mod store;
mod ticker;
mod unpack;
mod unpacked;

pub use block::{Access, FileBlock};
pub use clock::SystemClock;
pub use console::StandardError;
pub use context::rumpload_context;
pub use entropy::SystemEntropy;
pub use fault::{FaultGuard, catch_faults};
pub use memory::Memory;
#[cfg(target_arch = "x86_64")]
pub use per_cpu::GsBase;
pub use store::DirectoryStore;
pub use ticker::Ticker;
pub use unpack::{MAX_UNPACKED, SUFFIXES, unpack};
pub use unpacked::UnpackedStore;

use rumpload::resource::{Host, HostError};
use std::path::Path;
use std::sync::Arc;

/// This process as a host whose store is `directory`.
///
/// # Errors
/// What opening the directory gives: [`NotFound`](rumpload::resource::HostErrorKind::NotFound),
/// [`NotADirectory`](rumpload::resource::HostErrorKind::NotADirectory), ...
pub fn host(directory: impl AsRef<Path>) -> Result<Host, HostError> {
    Ok(Host {
        memory: Arc::new(Memory::new()),
        store: Arc::new(DirectoryStore::open(directory)?),
        console: Arc::new(StandardError),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
    })
}
