//! Runs stock kernel module binaries inside servers that are not the kernel they were built for.
//!
//! A module goes through these stages, each of which is named by what it makes:
//!
//! 1. [`image`]: bytes become a checked view of an ELF relocatable object;
//! 2. [`metadata`]: what the module says about itself, read without running anything;
//! 3. [`rename`]: which of its symbols live in the namespace;
//! 4. [`resolve`]: undefined symbols become addresses; all that are missing are reported together;
//! 5. [`plan`]: sections become segments of one region;
//! 6. [`load`]: the region is reserved, filled, relocated and protected;
//! 7. the [`registry`] starts it, and takes everything back if a step fails.
//!
//! An [`Instance`] is one loaded world with a namespace, a registry and exports of its own; [`autoload`] brings modules in when
//! something asks for them. All that is below the library is reached through the traits of [`resource`]. The core offers modules
//! nothing by itself: a base kernel does, such as the one in the package `rumpload-base`.
//!
//! # Example
//!
//! The smallest server, with the base kernel and the hosted platform:
//!
//! ```no_run
#![doc = include_str!("../examples/embed.rs")]
//! ```
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
#[cfg(feature = "linux")]
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
