//! The kernel's services.

mod checksum;
mod list;
mod lock;
mod memory;
mod panic;
mod parameter;
mod print;
mod processor;
mod random;
mod string;

use crate::Error;
use crate::abi::Abi;
use crate::export::Export;
use crate::kernel::Kernel;
use alloc::vec::Vec;
pub(crate) use memory::{allocate, free};
pub(crate) use parameter::set_all as set_parameters;
pub(crate) use processor::{block as per_cpu_block, tick};

/// Linux's error numbers.
pub(crate) mod errno {
    pub(crate) const ENOENT: i32 = 2;
    pub(crate) const ENOMEM: i32 = 12;
    pub(crate) const EEXIST: i32 = 17;
    pub(crate) const EINVAL: i32 = 22;
    pub(crate) const ERANGE: i32 = 34;
}

/// What the services keep.
#[derive(Debug)]
pub(crate) struct State {
    memory: memory::State,
    processor: processor::State,
}

impl State {
    /// The state of a kernel whose modules may hold `memory` bytes.
    pub(crate) fn new(memory: usize) -> Self {
        Self { memory: memory::State::new(memory), processor: processor::State::default() }
    }
}

/// Adds every service.
pub(crate) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    checksum::exports(out);
    list::exports(out);
    lock::exports(out);
    memory::exports(abi, out);
    panic::exports(out);
    parameter::exports(abi, out);
    print::exports(out);
    processor::exports(abi, out);
    random::exports(out);
    string::exports(out);
}

/// Fills exported data.
pub(crate) fn fill(kernel: &Kernel) -> Result<(), Error> {
    processor::fill(kernel)?;
    parameter::fill(kernel);
    Ok(())
}
