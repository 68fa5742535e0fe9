//! A small base kernel for stock Linux modules that need almost nothing of a kernel: ciphers, hashes, checksums,
//! compression, error correction, character sets.
//!
//! [`Kernel::boot`] makes an instance of the core and offers what such modules import: thunks, memory, strings, lists, locks,
//! `printk`, and the registries that modules put algorithms and character sets into. [`Kernel::autoload`] brings a module in
//! because a symbol, an algorithm or a character set was asked for; [`Kernel::hash`], [`Kernel::cipher`] and
//! [`Kernel::charset`] use what modules have registered, and [`Kernel::call`] calls any exported function.
//!
//! What such code expects beyond names: a canary and per-CPU data relative to the GS base, which every entry sets and restores
//! through [`PerCpuBase`](rumpload::resource::PerCpuBase); and a stack aligned to 8 bytes only, so every export realigns it.
//! `docs/linux.md` says what runs.
//!
//! This crate is for x86-64, empty on other machines, and unsafe by nature: it is called by, and calls, compiled C code.
#![no_std]
#![cfg(target_arch = "x86_64")]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod abi;
mod arch;
mod crypto;
mod error;
mod export;
mod kern;
mod kernel;
mod module;
mod nls;

pub use crypto::{Algorithm, AlgorithmKind, Cipher, Hash};
pub use error::Error;
pub use kernel::{Boot, Kernel};
pub use module::{Status, Trigger};
pub use nls::Charset;
