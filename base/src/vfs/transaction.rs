//! Transactions of file systems (`fstrans`, `fscow`) and their suspension.
//!
//! One thread at a time is inside an instance and no operation is interrupted by another, so nothing has to wait: entering
//! always succeeds, and a file system is suspended by saying so.

use super::mount;
use super::object::{Buf, Mount};
use crate::abi::constants::FSTRANS_NORMAL;
use crate::export::{Export, function};
use crate::kern::errno::EOPNOTSUPP;
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;

/// States of mounts that use transactions.
#[derive(Default)]
pub(crate) struct State {
    mounts: RefCell<Vec<(Mount, i32)>>,
}

unsafe extern "C" fn fstrans_mount(mp: Mount) -> i32 {
    mp.set_references(mp.references() + 1);
    kernel().vfs.transactions.mounts.borrow_mut().push((mp, FSTRANS_NORMAL));
    0
}

unsafe extern "C" fn fstrans_unmount(mp: Mount) {
    let found = {
        let mut mounts = kernel().vfs.transactions.mounts.borrow_mut();
        mounts.iter().position(|(other, _)| *other == mp).map(|at| mounts.swap_remove(at))
    };
    if found.is_some() {
        mount::release(mp);
    }
}

unsafe extern "C" fn fstrans_start(_mp: Mount, _kind: i32, _wait: i32) -> i32 {
    0
}

unsafe extern "C" fn fstrans_done(_mp: Mount) {}

unsafe extern "C" fn fstrans_getstate(mp: Mount) -> i32 {
    let mounts = kernel().vfs.transactions.mounts.borrow();
    mounts.iter().find(|(other, _)| *other == mp).map_or(FSTRANS_NORMAL, |(_, state)| *state)
}

unsafe extern "C" fn fstrans_setstate(mp: Mount, state: i32) -> i32 {
    let mut mounts = kernel().vfs.transactions.mounts.borrow_mut();
    match mounts.iter_mut().find(|(other, _)| *other == mp) {
        Some((_, current)) => {
            *current = state;
            0
        }
        None => EOPNOTSUPP,
    }
}

/// Only snapshots ask to see blocks before they change, and they are not offered.
unsafe extern "C" fn fscow_establish(_mp: Mount, _function: *const (), _cookie: *mut u8) -> i32 {
    EOPNOTSUPP
}

unsafe extern "C" fn fscow_run(_bp: Buf, _valid: bool) -> i32 {
    0
}

unsafe extern "C" fn vfs_suspend(_mp: Mount, _now: i32) -> i32 {
    0
}

unsafe extern "C" fn vfs_resume(_mp: Mount) {}

/// Only a root file system of a module's would set the clock.
unsafe extern "C" fn setrootfstime(_seconds: i64) {}

pub(crate) const EXPORTS: &[Export] = &[
    function!("fstrans_mount", fstrans_mount),
    function!("fstrans_unmount", fstrans_unmount),
    function!("_fstrans_start", fstrans_start),
    function!("fstrans_done", fstrans_done),
    function!("fstrans_getstate", fstrans_getstate),
    function!("fstrans_setstate", fstrans_setstate),
    function!("fscow_establish", fscow_establish),
    function!("fscow_disestablish", fscow_establish),
    function!("fscow_run", fscow_run),
    function!("vfs_suspend", vfs_suspend),
    function!("vfs_resume", vfs_resume),
    function!("setrootfstime", setrootfstime),
];
