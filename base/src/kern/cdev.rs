//! Calling a character driver by its device's number.

use super::devsw;
use super::errno::ENXIO;
use crate::abi::Field;
use crate::abi::constants::POLLERR;
use crate::export::{Export, function};
use crate::kernel::kernel;

type OpenOrClose = unsafe extern "C" fn(u64, i32, i32, *mut u8) -> i32;
type Copy = unsafe extern "C" fn(u64, *mut u8, i32) -> i32;
type Control = unsafe extern "C" fn(u64, usize, *mut u8, i32, *mut u8) -> i32;
type Poll = unsafe extern "C" fn(u64, i32, *mut u8) -> i32;
type Watch = unsafe extern "C" fn(u64, *mut u8) -> i32;

/// A function of the driver of a device, if the driver is there and has it.
///
/// # Safety
/// `F` must be the type of function that `field` of a `struct cdevsw` points to.
unsafe fn of_driver<F: core::marker::Copy>(device: u64, field: Field) -> Option<F> {
    let switch = devsw::character_switch(device).cast_mut();
    // SAFETY: a registered driver's switch; a function it lacks is null.
    if switch.is_null() { None } else { unsafe { field.read::<Option<F>>(switch) } }
}

/// # Safety
/// As for all here: the arguments are what the driver's function wants.
pub(crate) unsafe extern "C" fn cdev_open(device: u64, flags: i32, kind: i32, lwp: *mut u8) -> i32 {
    // SAFETY: the field's type; the caller's arguments.
    unsafe { of_driver::<OpenOrClose>(device, kernel().abi.cdevsw.d_open).map_or(ENXIO, |open| open(device, flags, kind, lwp)) }
}

/// # Safety
/// As [`cdev_open`].
pub(crate) unsafe extern "C" fn cdev_close(device: u64, flags: i32, kind: i32, lwp: *mut u8) -> i32 {
    // SAFETY: as above.
    unsafe {
        of_driver::<OpenOrClose>(device, kernel().abi.cdevsw.d_close).map_or(ENXIO, |close| close(device, flags, kind, lwp))
    }
}

/// # Safety
/// As [`cdev_open`].
pub(crate) unsafe extern "C" fn cdev_read(device: u64, uio: *mut u8, flags: i32) -> i32 {
    // SAFETY: as above.
    unsafe { of_driver::<Copy>(device, kernel().abi.cdevsw.d_read).map_or(ENXIO, |read| read(device, uio, flags)) }
}

/// # Safety
/// As [`cdev_open`].
pub(crate) unsafe extern "C" fn cdev_write(device: u64, uio: *mut u8, flags: i32) -> i32 {
    // SAFETY: as above.
    unsafe { of_driver::<Copy>(device, kernel().abi.cdevsw.d_write).map_or(ENXIO, |write| write(device, uio, flags)) }
}

/// # Safety
/// As [`cdev_open`].
pub(crate) unsafe extern "C" fn cdev_ioctl(device: u64, command: usize, data: *mut u8, flags: i32, lwp: *mut u8) -> i32 {
    // SAFETY: as above.
    unsafe {
        let control = of_driver::<Control>(device, kernel().abi.cdevsw.d_ioctl);
        control.map_or(ENXIO, |control| control(device, command, data, flags, lwp))
    }
}

unsafe extern "C" fn cdev_poll(device: u64, events: i32, lwp: *mut u8) -> i32 {
    // SAFETY: as above.
    unsafe { of_driver::<Poll>(device, kernel().abi.cdevsw.d_poll).map_or(POLLERR, |poll| poll(device, events, lwp)) }
}

unsafe extern "C" fn cdev_kqfilter(device: u64, note: *mut u8) -> i32 {
    // SAFETY: as above.
    unsafe { of_driver::<Watch>(device, kernel().abi.cdevsw.d_kqfilter).map_or(ENXIO, |watch| watch(device, note)) }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("cdev_open", cdev_open),
    function!("cdev_read", cdev_read),
    function!("cdev_write", cdev_write),
    function!("cdev_ioctl", cdev_ioctl),
    function!("cdev_poll", cdev_poll),
    function!("cdev_kqfilter", cdev_kqfilter),
];
