//! Runs stock kernel module binaries inside servers that are not the kernel they were built for.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

pub mod address;
pub mod arch;
pub mod error;
pub mod image;
pub mod load;
pub mod metadata;
pub mod plan;
mod relocate;
pub mod rename;
pub mod resolve;
pub mod resource;
