//! Placeholder of the shape the kernel expects; replaced by the VFS part.

use crate::abi::Abi;
use crate::export::Export;
use crate::kernel::Kernel;
use alloc::vec::Vec;

pub(crate) struct State {}

impl State {
    pub(crate) fn new(_abi: &'static Abi) -> Self {
        Self {}
    }
}

/// Adds the VFS exports (functions and data).
pub(crate) fn exports(_abi: &'static Abi, _out: &mut Vec<Export>) {}

/// Fills data exports; runs once at boot, inside the instance.
pub(crate) fn fill(_kernel: &Kernel) {}
