//! The host boundary: one small trait per resource.
//!
//! A platform implements these traits and sees nothing else of the library. Every method takes `&self`, so that several
//! instances over different hosts can live in one process; an implementation that needs state guards it itself. Calls may
//! block. The core holds no lock that module code could want while a call runs.
//!
//! Buffers belong to the caller for the length of the call only. Offsets and lengths are bytes unless a name says otherwise.

mod block;
mod clock;
#[cfg(any(test, feature = "test-support"))]
pub mod conformance;
mod console;
#[expect(unsafe_code, reason = "implements the unsafe trait Memory")]
mod detached;
mod entropy;
mod error;
mod etfs;
#[cfg(any(test, feature = "test-support"))]
pub mod fake;
#[expect(unsafe_code, reason = "a host's working pointer becomes a slice in one place")]
mod memory;
#[expect(unsafe_code, reason = "declares the unsafe trait PerCpuBase")]
mod per_cpu;
mod store;

pub use block::Block;
pub use clock::Clock;
pub use console::{Console, Silent};
pub use detached::Detached;
pub use entropy::Entropy;
pub use error::{HostError, HostErrorKind};
pub use etfs::{Etfs, EtfsError, EtfsKind, MAX_DEVICES, OpenFile, SECTOR, Window, host_errno};
pub use memory::{Memory, Placement, Protection, Region, Request, Reservation, Segment};
pub use per_cpu::PerCpuBase;
pub use store::{FileHandle, FileKind, Metadata, Store};

use alloc::sync::Arc;

/// The resources of one host, bundled for an instance. Cloning shares them.
#[derive(Clone)]
pub struct Host {
    /// Pages for module text, data and stacks.
    pub memory: Arc<dyn Memory>,
    /// Files of the host: modules and their property lists.
    pub store: Arc<dyn Store>,
    /// Where messages go.
    pub console: Arc<dyn Console>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub entropy: Arc<dyn Entropy>,
}
