//! Character devices: special files whose operations are those of a module's driver.

use super::super::object::{Uio, Vnode};
use super::super::vop;
use super::number;
use crate::abi::constants::{LK_EXCLUSIVE, S_IFCHR};
use crate::kern::cdev;
use crate::kern::errno::ENXIO;
use crate::kern::process::curlwp;
use crate::kernel::kernel;

/// Runs a driver's function with the vnode unlocked: a driver may wait, and look at its own special file.
///
/// # Safety
/// The caller holds the lock and a reference.
unsafe fn unlocked(vp: Vnode, work: impl FnOnce() -> i32) -> i32 {
    // SAFETY: as the caller says.
    unsafe {
        vop::unlock(vp);
        let error = work();
        vop::lock(vp, LK_EXCLUSIVE | kernel().abi.constant.lk_retry as i32);
        error
    }
}

/// # Safety
/// The caller holds the lock and a reference, as for all below.
pub(super) unsafe fn open(vp: Vnode, mode: i32) -> i32 {
    let Some(number) = number(vp) else { return ENXIO };
    // SAFETY: as the caller says.
    let error = unsafe { unlocked(vp, || cdev::cdev_open(number, mode, S_IFCHR, curlwp())) };
    let node = vp.specnode();
    if error == 0 && !node.is_null() {
        node.device().set_opens(node.device().opens() + 1);
        node.set_opens(node.opens() + 1);
    }
    error
}

/// # Safety
/// As [`open`].
pub(super) unsafe fn close(vp: Vnode, mode: i32) -> i32 {
    let node = vp.specnode();
    if node.is_null() || node.opens() == 0 {
        return ENXIO;
    }
    let device = node.device();
    device.set_opens(device.opens() - 1);
    node.set_opens(node.opens() - 1);
    // The driver is told of the last close only.
    if device.opens() > 0 {
        return 0;
    }
    let number = node.number();
    // SAFETY: as the caller says.
    unsafe { unlocked(vp, || cdev::cdev_close(number, mode, S_IFCHR, curlwp())) }
}

/// Reads or writes.
///
/// # Safety
/// As [`open`]; the transfer is the caller's.
pub(super) unsafe fn copy(vp: Vnode, io: Uio, flags: i32, write: bool) -> i32 {
    let Some(number) = number(vp) else { return ENXIO };
    // SAFETY: as the caller says.
    unsafe { unlocked(vp, || if write { cdev::cdev_write(number, io.0, flags) } else { cdev::cdev_read(number, io.0, flags) }) }
}

/// # Safety
/// The caller holds a reference and no lock; `data` has the size that the command says.
pub(super) unsafe fn control(vp: Vnode, command: usize, data: *mut u8, flags: i32) -> i32 {
    let Some(number) = number(vp) else { return ENXIO };
    // SAFETY: as the caller says.
    unsafe { cdev::cdev_ioctl(number, command, data, flags, curlwp()) }
}
