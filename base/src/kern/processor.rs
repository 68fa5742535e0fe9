//! What is about several processors, of which there is one: soft interrupts, cross calls, data per processor, passive readers.

use super::later::{self, Job};
use super::{memory, panic, time};
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::ptr;

type Function = unsafe extern "C" fn(*mut u8);
type CrossCall = unsafe extern "C" fn(*mut u8, *mut u8);
type Visit = unsafe extern "C" fn(*mut u8, *mut u8, *mut u8);

/// A soft interrupt: deferred work that is on the list once at most.
#[repr(C)]
struct Soft {
    function: Function,
    argument: *mut u8,
}

unsafe extern "C" fn softint_establish(_level: u32, function: Function, argument: *mut u8) -> *mut u8 {
    let soft = memory::alloc_or_end(size_of::<Soft>(), false);
    // SAFETY: fresh memory of the structure's size.
    unsafe { soft.cast::<Soft>().write(Soft { function, argument }) };
    soft
}

unsafe extern "C" fn softint_run(soft: *mut u8, _: *mut u8) {
    // SAFETY: a scheduled interrupt is established; module code's function gets its argument. It may disestablish it.
    unsafe {
        let Soft { function, argument } = soft.cast::<Soft>().read();
        function(argument);
    }
}

unsafe extern "C" fn softint_schedule(soft: *mut u8) {
    if !kernel().kern.later.is_pending(soft.addr()) {
        let due = time::monotonic();
        later::add(Job { owner: soft.addr(), due, work: softint_run, arguments: [soft, ptr::null_mut()] });
    }
}

unsafe extern "C" fn softint_disestablish(soft: *mut u8) {
    kernel().kern.later.cancel(soft.addr());
    later::drain(soft.addr());
    // SAFETY: module code gives the interrupt up.
    unsafe { memory::free(soft) }
}

/// Calls a function on all processors: here, now.
unsafe extern "C" fn xc_broadcast(_flags: u32, function: CrossCall, first: *mut u8, second: *mut u8) -> u64 {
    // SAFETY: module code passes a function and its arguments.
    unsafe { function(first, second) };
    1
}

unsafe extern "C" fn xc_unicast(_flags: u32, function: CrossCall, first: *mut u8, second: *mut u8, _processor: *mut u8) -> u64 {
    // SAFETY: as above.
    unsafe { function(first, second) };
    1
}

/// The call is over when it is made.
unsafe extern "C" fn xc_wait(_ticket: u64) {}

unsafe extern "C" fn percpu_alloc(size: usize) -> *mut u8 {
    memory::alloc_or_end(size, true)
}

unsafe extern "C" fn percpu_free(data: *mut u8, _size: usize) {
    // SAFETY: module code gives the data up.
    unsafe { memory::free(data) }
}

/// The handle is the one processor's data.
unsafe extern "C" fn percpu_getref(data: *mut u8) -> *mut u8 {
    data
}

unsafe extern "C" fn percpu_putref(_data: *mut u8) {}

unsafe extern "C" fn percpu_foreach(data: *mut u8, visit: Visit, argument: *mut u8) {
    // SAFETY: module code passes a function for its data.
    unsafe { visit(data, argument, super::process::curcpu()) }
}

/// What a passive serialisation handle points to: the number of readers inside.
unsafe extern "C" fn pserialize_create() -> *mut u8 {
    memory::alloc_or_end(size_of::<usize>(), true)
}

unsafe extern "C" fn pserialize_destroy(handle: *mut u8) {
    // SAFETY: module code gives the handle up.
    unsafe { memory::free(handle) }
}

/// Readers do not sleep, so none is inside when another caller runs.
unsafe extern "C" fn pserialize_perform(handle: *mut u8) {
    if handle.is_null() {
        panic::panic_message("pserialize_perform without a handle");
    }
}

unsafe extern "C" fn pserialize_read_enter() -> i32 {
    0
}

unsafe extern "C" fn pserialize_read_exit(_level: i32) {}

pub(crate) const EXPORTS: &[Export] = &[
    function!("softint_establish", softint_establish),
    function!("softint_schedule", softint_schedule),
    function!("softint_disestablish", softint_disestablish),
    function!("xc_broadcast", xc_broadcast),
    function!("xc_unicast", xc_unicast),
    function!("xc_wait", xc_wait),
    function!("percpu_alloc", percpu_alloc),
    function!("percpu_free", percpu_free),
    function!("percpu_getref", percpu_getref),
    function!("percpu_putref", percpu_putref),
    function!("percpu_foreach", percpu_foreach),
    function!("pserialize_create", pserialize_create),
    function!("pserialize_destroy", pserialize_destroy),
    function!("pserialize_perform", pserialize_perform),
    function!("pserialize_read_enter", pserialize_read_enter),
    function!("pserialize_read_exit", pserialize_read_exit),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    unsafe extern "C" fn one(counter: *mut u8) {
        // SAFETY: the test's counter.
        unsafe { *counter.cast::<u32>() += 1 }
    }

    unsafe extern "C" fn two(counter: *mut u8, more: *mut u8) {
        // SAFETY: the test's counter.
        unsafe { *counter.cast::<u32>() += more.addr() as u32 }
    }

    #[test]
    fn soft_interrupts_run_once_and_later() {
        let mut counter = 0_u32;
        let at = (&raw mut counter).cast::<u8>();
        Bench::new().inside(|| {
            // SAFETY: the counter lives in this frame.
            unsafe {
                let soft = softint_establish(0, one, at);
                softint_schedule(soft);
                softint_schedule(soft);
                assert_eq!(*at.cast::<u32>(), 0);
                later::settle();
                later::settle();
                assert_eq!(*at.cast::<u32>(), 1);
                softint_schedule(soft);
                softint_disestablish(soft);
                later::settle();
                assert_eq!(*at.cast::<u32>(), 1);
                xc_wait(xc_broadcast(0, two, at, 20 as *mut u8));
                assert_eq!(*at.cast::<u32>(), 21);
            }
        });
    }
}
