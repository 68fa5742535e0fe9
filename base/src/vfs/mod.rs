//! The file-system part of the kernel: mounts, vnodes, names, buffers, pages, special files.

pub(crate) mod anonymous;
pub(crate) mod buffer;
pub(crate) mod dead;
pub(crate) mod devices;
pub(crate) mod fifo;
pub(crate) mod fstype;
pub(crate) mod genfs;
pub(crate) mod kernel_map;
pub(crate) mod layers;
pub(crate) mod lookup;
pub(crate) mod lost;
pub(crate) mod mount;
pub(crate) mod mounting;
pub(crate) mod namecache;
pub(crate) mod object;
pub(crate) mod operation;
pub(crate) mod pager;
pub(crate) mod pages;
pub(crate) mod queue;
pub(crate) mod raw;
pub(crate) mod reclaim;
pub(crate) mod rootfs;
pub(crate) mod spec;
pub(crate) mod text;
pub(crate) mod transaction;
pub(crate) mod transfer;
pub(crate) mod ubc;
pub(crate) mod vcache;
pub(crate) mod vn;
pub(crate) mod vnode;
pub(crate) mod vop;

#[cfg(test)]
mod tests;

use crate::abi::Abi;
use crate::export::Export;
use crate::kernel::Kernel;
use alloc::vec::Vec;

/// Vnodes kept, used or not, before unused ones are given up.
pub(crate) const DESIRED_VNODES: usize = 2048;

/// Memory for pages unless a server asks for another amount, in bytes.
pub(crate) const PAGE_MEMORY: usize = 128 << 20;

/// State of one kernel's file-system part.
pub(crate) struct State {
    pub(crate) operations: operation::State,
    pub(crate) types: fstype::State,
    pub(crate) mounts: mount::State,
    pub(crate) vnodes: vnode::State,
    pub(crate) vcache: vcache::State,
    pub(crate) names: namecache::State,
    pub(crate) buffers: buffer::State,
    pub(crate) pages: pages::State,
    pub(crate) anonymous: anonymous::State,
    pub(crate) devices: spec::State,
    pub(crate) transactions: transaction::State,
    pub(crate) dead: dead::State,
    pub(crate) root: rootfs::State,
    pub(crate) lost: lost::State,
}

impl State {
    pub(crate) fn new(abi: &'static Abi) -> Self {
        Self {
            operations: operation::State::new(abi),
            types: fstype::State::default(),
            mounts: mount::State::default(),
            vnodes: vnode::State::default(),
            vcache: vcache::State::default(),
            names: namecache::State::default(),
            buffers: buffer::State::default(),
            pages: pages::State::default(),
            anonymous: anonymous::State::default(),
            devices: spec::State::default(),
            transactions: transaction::State::default(),
            dead: dead::State::default(),
            root: rootfs::State::default(),
            lost: lost::State::default(),
        }
    }
}

/// Adds the functions and data of this part.
pub(crate) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    for table in [
        devices::EXPORTS,
        fifo::EXPORTS,
        kernel_map::EXPORTS,
        layers::EXPORTS,
        lookup::EXPORTS,
        mounting::EXPORTS,
        namecache::EXPORTS,
        pager::EXPORTS,
        raw::EXPORTS,
        reclaim::EXPORTS,
        transaction::EXPORTS,
        transfer::EXPORTS,
        ubc::EXPORTS,
        vnode::EXPORTS,
        vop::EXPORTS,
    ] {
        out.extend_from_slice(table);
    }
    anonymous::exports(abi, out);
    buffer::exports(out);
    fstype::exports(abi, out);
    genfs::exports(abi, out);
    mount::exports(abi, out);
    operation::exports(abi, out);
    pager::sized_exports(abi, out);
    spec::exports(out);
    vcache::exports(abi, out);
    vn::exports(abi, out);
}

/// Gives data exports their first values and makes the root. Runs once, inside the instance.
pub(crate) fn fill(kernel: &Kernel) {
    operation::fill(kernel);
    mount::fill(kernel);
    buffer::fill(kernel);
    kernel_map::fill(kernel);
    pager::fill(kernel);
    anonymous::fill(kernel);
    lookup::fill(kernel);
    vn::fill(kernel);
    fifo::fill(kernel);
    dead::fill(kernel);
    spec::fill(kernel);
    rootfs::fill(kernel);
}

/// Vnodes there may be before unused ones are given up.
pub(crate) fn desired_vnodes() -> usize {
    DESIRED_VNODES
}

/// Deals with releases that had to wait for the end of an operation.
pub(crate) fn flush_deferred() {
    vnode::settle();
}
