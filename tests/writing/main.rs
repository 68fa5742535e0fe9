//! A sample file system that can be written, on a disk in memory: what is written is there after the next mount, and the image
//! is whole, as a reader that shares no code with the module sees it.
#![cfg(any(target_arch = "x86", target_arch = "x86_64"))]

#[path = "../support/disk.rs"]
mod disk;
#[path = "../support/kernel.rs"]
mod kernel;
#[path = "../support/mod.rs"]
mod support;
mod volume;

mod contents;
mod faults;
mod names;
mod special;
