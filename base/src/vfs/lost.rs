//! Writes that nobody waited for and that failed. What they were to write is gone, as in any kernel; that it is gone is told
//! by the next request that asks whether everything is written: a sync, or the end of the mount.

use super::object::{Mount, Vnode};
use super::vop;
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;

/// By mount, the first error; null stands for devices without one.
#[derive(Default)]
pub(crate) struct State(RefCell<Vec<(Mount, i32)>>);

/// Notes that a write of `vp` failed.
pub(crate) fn note(vp: Vnode, error: i32) {
    let mp = if vp.is_null() { Mount::NULL } else { vop::charged_mount(vp) };
    let mut errors = kernel().vfs.lost.0.borrow_mut();
    if !errors.iter().any(|(other, _)| *other == mp) {
        errors.push((mp, error));
    }
}

/// The error that is to be told of a mount, or of devices without one for null; 0 if there is none. It is told once.
pub(crate) fn take(mp: Mount) -> i32 {
    let mut errors = kernel().vfs.lost.0.borrow_mut();
    errors.iter().position(|(other, _)| *other == mp).map_or(0, |at| errors.swap_remove(at).1)
}
