//! Power management. Nothing here is ever suspended, but drivers register for it, and events do reach their handlers.

use super::Device;
use crate::export::{Export, function};
use crate::kern::later::{self, Job, Work};
use crate::kern::time;
use crate::kernel::kernel;
use core::ptr;

/// A handler for an event, of one device or of any.
#[derive(Clone, Copy)]
pub(crate) struct Listener {
    pub(super) device: *mut Device,
    event: u32,
    handler: Work,
    global: bool,
}

unsafe extern "C" fn pmf_device_register(device: *mut Device, _suspend: *mut u8, _resume: *mut u8, _shutdown: *mut u8) -> bool {
    // SAFETY: module code passes a live device.
    unsafe { (*device).power_handlers = true };
    true
}

unsafe extern "C" fn pmf_device_deregister(device: *mut Device) {
    // SAFETY: as above.
    unsafe { (*device).power_handlers = false };
}

unsafe extern "C" fn device_pmf_is_registered(device: *const Device) -> bool {
    // SAFETY: as above.
    unsafe { (*device).power_handlers }
}

pub(super) unsafe extern "C" fn pmf_event_register(device: *mut Device, event: u32, handler: Work, global: bool) -> bool {
    kernel().kern.autoconf.events.borrow_mut().push(Listener { device, event, handler, global });
    true
}

unsafe extern "C" fn pmf_event_deregister(device: *mut Device, event: u32, handler: Work, global: bool) {
    let same = |known: &Listener| {
        known.device == device && known.event == event && known.global == global && ptr::fn_addr_eq(known.handler, handler)
    };
    let mut events = kernel().kern.autoconf.events.borrow_mut();
    if let Some(at) = events.iter().position(same) {
        events.remove(at);
    }
}

/// Tells the handlers of an event, later. Without a device, all handlers for any device are told.
pub(super) unsafe extern "C" fn pmf_event_inject(device: *mut Device, event: u32) -> bool {
    let events = kernel().kern.autoconf.events.borrow();
    for listener in events.iter().filter(|known| known.event == event && (known.device == device || known.global)) {
        let arguments = [listener.device.cast(), ptr::null_mut()];
        later::add(Job { owner: listener.device.addr(), due: time::monotonic(), work: listener.handler, arguments });
    }
    true
}

pub(super) const EXPORTS: &[Export] = &[
    function!("pmf_device_register1", pmf_device_register),
    function!("pmf_device_deregister", pmf_device_deregister),
    function!("device_pmf_is_registered", device_pmf_is_registered),
    function!("pmf_event_register", pmf_event_register),
    function!("pmf_event_deregister", pmf_event_deregister),
    function!("pmf_event_inject", pmf_event_inject),
];
