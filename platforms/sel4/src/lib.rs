//! Resources of a protection domain on seL4 (x86_64, without the mixed-criticality scheduler) for `rumpload`, over system calls.
//!
//! * [`DomainMemory`]: module memory from the domain's own untyped memory.
//! * [`Caller`], [`Receiver`]: the transport of `rumpload-l4` over endpoints.
//! * [`Serial`], [`TscClock`], [`ProcessorEntropy`]: a serial line, the time-stamp counter, the random number generator.
//! * [`LoadMap`]: what a domain leaves for its supervisor to read when it dies; [`Fault`]: what the kernel says of it.
//! * [`BootInfo`], [`Objects`], [`invoke`]: what a first thread needs to set domains up.
//!
//! The crate also defines `rumpload_context`, one word: a domain that runs the core has one thread. Kernel numbers are those of
//! seL4 5.0.0, with the feature `sel4-16` those of 16.0.
#![no_std]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("rumpload-sel4 speaks to seL4 on x86_64 only");

mod abi;
mod bootinfo;
mod clock;
mod context;
mod entropy;
mod error;
mod fault;
pub mod invoke;
mod load_map;
mod memory;
mod objects;
mod ranges;
mod serial;
pub mod syscall;
mod transport;

pub use bootinfo::{BootInfo, Untyped, slot};
pub use clock::{TscClock, time_stamp};
pub use context::rumpload_context;
pub use entropy::ProcessorEntropy;
pub use error::KernelError;
pub use fault::Fault;
pub use load_map::{LAST_WORDS, LOAD_MAP_BYTES, LoadMap, Name, Place, Rewrite, Working};
pub use memory::DomainMemory;
pub use objects::{Objects, pages};
pub use serial::{COM1, PORTS, Serial};
pub use transport::{Caller, MAX_CLIENTS, Receiver, Reply, answer};

/// The kernel version that the numbers are of.
pub const KERNEL: &str = abi::KERNEL;
