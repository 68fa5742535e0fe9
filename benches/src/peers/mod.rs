//! Other loaders.

pub mod elf;
pub mod kmod;
