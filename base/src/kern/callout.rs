//! Callouts: functions to be called after a number of ticks. They are deferred work, and run where that runs.

use super::later::{self, Job};
use super::panic::panic_format;
use super::{lock, time};
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::ptr;

const LIVE: usize = 0x6361_6c6c;

type Function = unsafe extern "C" fn(*mut u8);

/// What the base keeps in a `callout_t`, which has ten words.
#[repr(C)]
struct Callout {
    mark: usize,
    function: Option<Function>,
    argument: *mut u8,
    fired: bool,
    invoking: bool,
}

/// # Safety
/// `callout` must point to a `callout_t`.
unsafe fn at<'a>(call: &str, callout: *mut u8) -> &'a mut Callout {
    // SAFETY: as the caller says.
    let found = unsafe { &mut *callout.cast::<Callout>() };
    if found.mark != LIVE {
        panic_format(format_args!("{call} of callout {callout:p}: it is not initialised"));
    }
    found
}

unsafe extern "C" fn fire(callout: *mut u8, _: *mut u8) {
    // SAFETY: a callout on the list is initialised, and taken off before it is destroyed. The function may destroy it.
    unsafe {
        let found = at("firing", callout);
        found.fired = true;
        found.invoking = true;
        if let Some(function) = found.function {
            function(found.argument);
        }
    }
}

fn is_pending(callout: *mut u8) -> bool {
    kernel().kern.later.is_pending(callout.addr())
}

unsafe extern "C" fn callout_init(callout: *mut u8, _flags: u32) {
    let fresh = Callout { mark: LIVE, function: None, argument: ptr::null_mut(), fired: false, invoking: false };
    // SAFETY: module code passes room for a callout.
    unsafe { callout.cast::<Callout>().write(fresh) }
}

unsafe extern "C" fn callout_destroy(callout: *mut u8) {
    // SAFETY: module code passes a callout.
    let found = unsafe { at("callout_destroy", callout) };
    if is_pending(callout) {
        panic_format(format_args!("callout_destroy of callout {callout:p}: it is pending"));
    }
    found.mark = 0;
}

unsafe extern "C" fn callout_setfunc(callout: *mut u8, function: Option<Function>, argument: *mut u8) {
    // SAFETY: module code passes a callout.
    let found = unsafe { at("callout_setfunc", callout) };
    found.function = function;
    found.argument = argument;
}

unsafe extern "C" fn callout_schedule(callout: *mut u8, ticks: i32) {
    // SAFETY: module code passes a callout.
    let found = unsafe { at("callout_schedule", callout) };
    if found.function.is_none() {
        panic_format(format_args!("callout_schedule of callout {callout:p}: it has no function"));
    }
    found.fired = false;
    kernel().kern.later.cancel(callout.addr());
    let due = time::monotonic().saturating_add(time::ticks(ticks.max(1)));
    later::add(Job { owner: callout.addr(), due, work: fire, arguments: [callout, ptr::null_mut()] });
}

unsafe extern "C" fn callout_reset(callout: *mut u8, ticks: i32, function: Option<Function>, argument: *mut u8) {
    // SAFETY: module code passes a callout.
    unsafe {
        callout_setfunc(callout, function, argument);
        callout_schedule(callout, ticks);
    }
}

/// Takes a callout back; answers whether it has fired since it was scheduled.
unsafe extern "C" fn callout_stop(callout: *mut u8) -> bool {
    // SAFETY: module code passes a callout.
    let found = unsafe { at("callout_stop", callout) };
    kernel().kern.later.cancel(callout.addr());
    core::mem::take(&mut found.fired)
}

/// As [`callout_stop`]. If another thread is in its function, waits until it is out, without the mutex.
unsafe extern "C" fn callout_halt(callout: *mut u8, interlock: *mut u8) -> bool {
    // SAFETY: module code passes a callout, and null or a mutex it holds.
    unsafe {
        if !interlock.is_null() && lock::mutex_owned(interlock) == 0 {
            panic_format(format_args!("callout_halt of callout {callout:p}: its mutex is not held"));
        }
        let fired = callout_stop(callout);
        if later::is_busy(callout.addr()) {
            if !interlock.is_null() {
                lock::mutex_exit(interlock);
            }
            later::drain(callout.addr());
            if !interlock.is_null() {
                lock::mutex_enter(interlock);
            }
        }
        fired
    }
}

unsafe extern "C" fn callout_pending(callout: *mut u8) -> bool {
    is_pending(callout)
}

unsafe extern "C" fn callout_expired(callout: *mut u8) -> bool {
    // SAFETY: module code passes a callout.
    unsafe { at("callout_expired", callout) }.fired
}

unsafe extern "C" fn callout_active(callout: *mut u8) -> bool {
    // SAFETY: module code passes a callout.
    is_pending(callout) || unsafe { at("callout_active", callout) }.fired
}

unsafe extern "C" fn callout_invoking(callout: *mut u8) -> bool {
    // SAFETY: module code passes a callout.
    unsafe { at("callout_invoking", callout) }.invoking
}

unsafe extern "C" fn callout_ack(callout: *mut u8) {
    // SAFETY: module code passes a callout.
    unsafe { at("callout_ack", callout) }.invoking = false;
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("callout_init", callout_init),
    function!("callout_destroy", callout_destroy),
    function!("callout_setfunc", callout_setfunc),
    function!("callout_schedule", callout_schedule),
    function!("callout_reset", callout_reset),
    function!("callout_stop", callout_stop),
    function!("callout_halt", callout_halt),
    function!("callout_pending", callout_pending),
    function!("callout_expired", callout_expired),
    function!("callout_active", callout_active),
    function!("callout_invoking", callout_invoking),
    function!("callout_ack", callout_ack),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use crate::testing::Bench;
    use core::time::Duration;
    use rumpload::resource::Clock;

    unsafe extern "C" fn count(counter: *mut u8) {
        // SAFETY: the test's counter.
        unsafe { *counter.cast::<u32>() += 1 }
    }

    #[test]
    fn ours_fits_every_versions_structure() {
        for abi in [Abi::netbsd_7_99_34_amd64(), Abi::netbsd_10_amd64()] {
            assert!(size_of::<Callout>() <= abi.callout.size);
        }
    }

    #[test]
    fn it_fires_once_when_its_time_has_come() {
        let (mut room, mut counter) = ([0_usize; 10], 0_u32);
        let (callout, counter) = ((&raw mut room).cast::<u8>(), (&raw mut counter).cast::<u8>());
        let bench = Bench::new();
        let fired = || {
            later::settle();
            // SAFETY: the counter lives in this frame.
            unsafe { *counter.cast::<u32>() }
        };
        bench.inside(|| {
            // SAFETY: room and counter live in this frame.
            unsafe {
                callout_init(callout, 0);
                callout_reset(callout, 5, Some(count), counter);
                assert_eq!((fired(), callout_pending(callout)), (0, true));
                bench.clock.sleep(Duration::from_millis(49)).unwrap();
                assert_eq!(fired(), 0);
                bench.clock.sleep(Duration::from_millis(1)).unwrap();
                assert_eq!((fired(), callout_expired(callout), callout_invoking(callout)), (1, true, true));
                callout_ack(callout);
                assert!(!callout_invoking(callout) && !callout_pending(callout) && callout_active(callout));
                assert!(callout_stop(callout) && !callout_stop(callout));
                callout_schedule(callout, 1);
                assert!(!callout_halt(callout, ptr::null_mut()));
                bench.clock.sleep(Duration::from_secs(1)).unwrap();
                assert_eq!(fired(), 1);
                callout_schedule(callout, 1);
            }
        });
        // SAFETY: as above.
        assert!(bench.ends(|| unsafe { callout_destroy(callout) }).contains("it is pending"));
    }
}
