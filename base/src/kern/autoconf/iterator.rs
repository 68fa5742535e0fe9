//! Going through all devices, some of which may go meanwhile.

use super::Device;
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::ptr;

/// Bits of `deviter_flags_t`.
const CHANGES: i32 = 1;
const SHUTDOWN: i32 = 2;
const LEAVES_FIRST: i32 = 4;
const ROOT_FIRST: i32 = 8;

/// `struct deviter`. Where NetBSD points to a device there is the number of the last one given, so that none has to be kept.
#[repr(C)]
struct Iterator {
    /// 0 at the start.
    last: usize,
    flags: i32,
    depth: i32,
    deepest: i32,
    /// Devices made later do not count; 0 once the iterator is released.
    newest: u64,
}

/// Devices above this one.
///
/// # Safety
/// `device` must be live.
unsafe fn depth(device: *const Device) -> i32 {
    // SAFETY: as the caller says; parents outlive their children.
    unsafe { core::iter::successors((*device).parent.as_ref(), |parent| parent.parent.as_ref()).count() as i32 }
}

impl Iterator {
    /// The next device in the order they were made, or against it for who may change them.
    fn step(&mut self) -> Option<*mut Device> {
        let devices = kernel().kern.autoconf.devices.borrow();
        // SAFETY: devices on the list are live.
        let serial = |device: *mut Device| unsafe { (*device).serial };
        let counts = devices.iter().copied().filter(|device| serial(*device) as u64 <= self.newest);
        let next = if self.flags & CHANGES != 0 {
            counts.filter(|device| self.last == 0 || serial(*device) < self.last).max_by_key(|device| serial(*device))
        } else {
            counts.filter(|device| serial(*device) > self.last).min_by_key(|device| serial(*device))
        };
        self.last = next.map_or(self.last, serial);
        next
    }
}

unsafe extern "C" fn deviter_first(iterator: *mut Iterator, flags: i32) -> *mut Device {
    let state = &kernel().kern.autoconf;
    let flags = if flags & SHUTDOWN != 0 { flags | CHANGES } else { flags };
    // SAFETY: devices on the list are live.
    let deepest = state.devices.borrow().iter().map(|device| unsafe { depth(*device) }).max().unwrap_or(0);
    let start = if flags & LEAVES_FIRST != 0 { deepest } else { 0 };
    // SAFETY: module code passes a `struct deviter` to be filled in.
    unsafe {
        iterator.write(Iterator { last: 0, flags, depth: start, deepest, newest: state.made.get() as u64 });
        deviter_next(iterator)
    }
}

unsafe extern "C" fn deviter_next(iterator: *mut Iterator) -> *mut Device {
    // SAFETY: module code passes an iterator that `deviter_first` filled in.
    let iterator = unsafe { &mut *iterator };
    let direction = match iterator.flags & (LEAVES_FIRST | ROOT_FIRST) {
        0 => return iterator.step().unwrap_or(ptr::null_mut()),
        LEAVES_FIRST => -1,
        ROOT_FIRST => 1,
        _ => return ptr::null_mut(),
    };
    while (0..=iterator.deepest).contains(&iterator.depth) {
        match iterator.step() {
            // SAFETY: a device on the list.
            Some(device) if unsafe { depth(device) } == iterator.depth => return device,
            Some(_) => {}
            None => {
                iterator.depth += direction;
                iterator.last = 0;
            }
        }
    }
    ptr::null_mut()
}

/// Ends it: there is nothing to come.
unsafe extern "C" fn deviter_release(iterator: *mut Iterator) {
    // SAFETY: module code passes an iterator.
    unsafe { (*iterator).newest = 0 };
}

pub(super) const EXPORTS: &[Export] = &[
    function!("deviter_first", deviter_first),
    function!("deviter_next", deviter_next),
    function!("deviter_release", deviter_release),
];
