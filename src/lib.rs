//! Runs stock kernel module binaries inside servers that are not the kernel they were built for.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

#[expect(unsafe_code, reason = "entering and leaving module code")]
mod activate;
pub mod address;
pub mod arch;
pub mod autoload;
pub mod errno;
pub mod error;
mod flavour;
pub mod image;
mod instance;
mod linked;
pub mod linux;
pub mod load;
pub mod metadata;
#[cfg(test)]
mod object;
pub mod plan;
pub mod properties;
pub mod registry;
mod relocate;
pub mod rename;
pub mod resolve;
pub mod resource;

pub use activate::{StackPoint, context};
pub use arch::Machine;
pub use autoload::{Policy, Trigger};
pub use flavour::Flavour;
pub use instance::{Config, Hooks, Instance};
pub use registry::{Class, Error, Export, ExportValue, KernelVersion, Load, LoadFlags, Status};
