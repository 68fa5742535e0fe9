//! Character devices: special files whose operations are those of a module's driver.

use super::super::object::{Uio, Vnode};
use super::super::vop;
use super::number;
use crate::abi::constants::{LK_EXCLUSIVE, S_IFCHR};
use crate::kern::devsw;
use crate::kern::errno::ENXIO;
use crate::kern::process::curlwp;
use crate::kernel::kernel;

type OpenOrClose = unsafe extern "C" fn(u64, i32, i32, *mut u8) -> i32;
type Copy = unsafe extern "C" fn(u64, Uio, i32) -> i32;
type Control = unsafe extern "C" fn(u64, usize, *mut u8, i32, *mut u8) -> i32;

/// Number and `struct cdevsw` of a vnode's device.
fn driver(vp: Vnode) -> Option<(u64, *mut u8)> {
    let number = number(vp)?;
    let switch = devsw::character_switch(number).cast_mut();
    (!switch.is_null()).then_some((number, switch))
}

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
    let Some((number, switch)) = driver(vp) else { return ENXIO };
    // SAFETY: a registered driver's switch; a function it lacks is null.
    unsafe {
        let Some(open) = kernel().abi.cdevsw.d_open.read::<Option<OpenOrClose>>(switch) else { return ENXIO };
        let error = unlocked(vp, || open(number, mode, S_IFCHR, curlwp()));
        let node = vp.specnode();
        if error == 0 && !node.is_null() {
            node.device().set_opens(node.device().opens() + 1);
            node.set_opens(node.opens() + 1);
        }
        error
    }
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
    // The driver is told of the last close only; one that is gone needs none.
    if device.opens() > 0 {
        return 0;
    }
    let Some((number, switch)) = driver(vp) else { return 0 };
    // SAFETY: as for `open`.
    unsafe {
        let Some(close) = kernel().abi.cdevsw.d_close.read::<Option<OpenOrClose>>(switch) else { return 0 };
        unlocked(vp, || close(number, mode, S_IFCHR, curlwp()))
    }
}

/// Reads or writes.
///
/// # Safety
/// As [`open`]; the transfer is the caller's.
pub(super) unsafe fn copy(vp: Vnode, io: Uio, flags: i32, write: bool) -> i32 {
    let Some((number, switch)) = driver(vp) else { return ENXIO };
    let layout = &kernel().abi.cdevsw;
    // SAFETY: as for `open`.
    unsafe {
        let Some(copy) = (if write { layout.d_write } else { layout.d_read }).read::<Option<Copy>>(switch) else { return ENXIO };
        unlocked(vp, || copy(number, io, flags))
    }
}

/// # Safety
/// The caller holds a reference and no lock; `data` has the size that the command says.
pub(super) unsafe fn control(vp: Vnode, command: usize, data: *mut u8, flags: i32) -> i32 {
    let Some((number, switch)) = driver(vp) else { return ENXIO };
    // SAFETY: as for `open`.
    unsafe {
        let Some(control) = kernel().abi.cdevsw.d_ioctl.read::<Option<Control>>(switch) else { return ENXIO };
        control(number, command, data, flags, curlwp())
    }
}
