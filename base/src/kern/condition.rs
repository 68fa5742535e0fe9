//! Condition variables. Waiting lets deferred work run; a wait that nothing can end, ends the instance.

use super::errno::EWOULDBLOCK;
use super::sleep::{Outcome, deadline, wait, waiters, wake, wake_one};
use super::{lock, panic, string};
use crate::export::{Export, function};

/// Marks an initialised condition variable in its first word; its name is in the second.
const LIVE: usize = 0x636f_6e64;

/// Initialises a condition variable; `name` says what is waited for.
///
/// # Safety
/// `condition` must point to two writable words, and `name` to a string that lives as long as the variable.
pub(crate) unsafe extern "C" fn cv_init(condition: *mut u8, name: *const u8) {
    let words = condition.cast::<usize>();
    // SAFETY: as the caller says; every version has two words at least.
    unsafe {
        words.write_unaligned(LIVE);
        words.add(1).write_unaligned(name.addr());
    }
}

/// # Safety
/// `condition` must point to a condition variable's words.
unsafe fn check(call: &str, condition: *const u8) {
    // SAFETY: as the caller says.
    if unsafe { condition.cast::<usize>().read_unaligned() } != LIVE {
        panic::panic_format(format_args!("{call} of condition variable {condition:p}: it is not initialised"));
    }
}

/// # Safety
/// As [`check`], and initialised.
unsafe fn name<'a>(condition: *const u8) -> &'a [u8] {
    // SAFETY: the name was passed to `cv_init` and outlives the variable.
    unsafe {
        let name = condition.cast::<*const u8>().add(1).read_unaligned();
        if name.is_null() { b"?" } else { string::bytes(name) }
    }
}

/// Ends a condition variable's life.
///
/// # Safety
/// `condition` must come from [`cv_init`].
pub(crate) unsafe extern "C" fn cv_destroy(condition: *mut u8) {
    // SAFETY: as the caller says.
    unsafe {
        check("cv_destroy", condition);
        if waiters(condition.addr()) {
            panic::panic_format(format_args!("cv_destroy of condition variable {condition:p}: somebody waits"));
        }
        condition.cast::<usize>().write_unaligned(0);
    }
}

/// Waits at most `ticks`, for ever if 0, without the mutex.
///
/// # Safety
/// `condition` must be initialised and `mutex` held.
unsafe fn wait_ticks(call: &str, condition: *mut u8, mutex: *mut u8, ticks: i32) -> i32 {
    // SAFETY: as the caller says.
    unsafe {
        check(call, condition);
        let name = name(condition);
        lock::mutex_exit(mutex);
        let outcome = wait(condition.addr(), deadline(ticks), name);
        lock::mutex_enter(mutex);
        if outcome == Outcome::TimedOut { EWOULDBLOCK } else { 0 }
    }
}

/// Waits until somebody wakes the variable's waiters.
///
/// # Safety
/// `condition` must be initialised and `mutex` held.
pub(crate) unsafe extern "C" fn cv_wait(condition: *mut u8, mutex: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { wait_ticks("cv_wait", condition, mutex, 0) };
}

unsafe extern "C" fn cv_wait_sig(condition: *mut u8, mutex: *mut u8) -> i32 {
    // SAFETY: module code passes an initialised variable and a mutex it holds. There are no signals.
    unsafe { wait_ticks("cv_wait_sig", condition, mutex, 0) }
}

unsafe extern "C" fn cv_timedwait(condition: *mut u8, mutex: *mut u8, ticks: i32) -> i32 {
    // SAFETY: as above.
    unsafe { wait_ticks("cv_timedwait", condition, mutex, ticks) }
}

/// Wakes all waiters.
///
/// # Safety
/// `condition` must be initialised.
pub(crate) unsafe extern "C" fn cv_broadcast(condition: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { check("cv_broadcast", condition) };
    wake(condition.addr());
}

/// Wakes one waiter.
///
/// # Safety
/// `condition` must be initialised.
pub(crate) unsafe extern "C" fn cv_signal(condition: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { check("cv_signal", condition) };
    wake_one(condition.addr());
}

unsafe extern "C" fn cv_has_waiters(condition: *const u8) -> bool {
    // SAFETY: module code passes an initialised variable.
    unsafe { check("cv_has_waiters", condition) };
    waiters(condition.addr())
}

unsafe extern "C" fn cv_is_valid(condition: *const u8) -> bool {
    // SAFETY: module code passes a variable's words.
    unsafe { condition.cast::<usize>().read_unaligned() == LIVE }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("cv_init", cv_init),
    function!("cv_destroy", cv_destroy),
    function!("cv_wait", cv_wait),
    function!("cv_wait_sig", cv_wait_sig),
    function!("cv_timedwait", cv_timedwait),
    function!("cv_timedwait_sig", cv_timedwait),
    function!("cv_broadcast", cv_broadcast),
    function!("cv_signal", cv_signal),
    function!("cv_has_waiters", cv_has_waiters),
    function!("cv_is_valid", cv_is_valid),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kern::later::{Job, add};
    use crate::kern::time;
    use crate::testing::Bench;
    use core::time::Duration;

    struct Pair {
        condition: [usize; 3],
        mutex: usize,
        rang: u32,
    }

    unsafe extern "C" fn ring(pair: *mut u8, _: *mut u8) {
        // SAFETY: the test's pair; the sleeper gave its mutex up.
        unsafe {
            let pair = &mut *pair.cast::<Pair>();
            let (condition, mutex) = ((&raw mut pair.condition).cast(), (&raw mut pair.mutex).cast());
            lock::mutex_enter(mutex);
            pair.rang += 1;
            assert!(cv_has_waiters(condition));
            cv_signal(condition);
            lock::mutex_exit(mutex);
        }
    }

    #[test]
    fn a_wait_ends_by_a_signal_or_by_time() {
        let mut pair = Pair { condition: [0; 3], mutex: 0, rang: 0 };
        let at = &raw mut pair;
        let bench = Bench::new();
        // SAFETY: the pair outlives the waits.
        let (condition, mutex) = unsafe { ((&raw mut (*at).condition).cast(), (&raw mut (*at).mutex).cast()) };
        bench.inside(|| {
            // SAFETY: as above; the condition's name is a string.
            unsafe {
                cv_init(condition, c"bell".as_ptr().cast());
                lock::mutex_init(mutex, 0, 0);
                lock::mutex_enter(mutex);
                assert_eq!(cv_timedwait(condition, mutex, 7), EWOULDBLOCK);
                assert_eq!(bench.clock.passed(), Duration::from_millis(70));
                let due = time::monotonic() + Duration::from_millis(30);
                add(Job { owner: 1, due, work: ring, arguments: [at.cast(), core::ptr::null_mut()] });
                cv_wait(condition, mutex);
                assert_eq!((*at).rang, 1);
                assert_eq!(lock::mutex_owned(mutex), 1);
                assert_eq!(bench.clock.passed(), Duration::from_millis(100));
                assert!(!cv_has_waiters(condition));
            }
        });
        // SAFETY: as above.
        let reason = bench.ends(|| unsafe { cv_wait(condition, mutex) });
        assert!(reason.contains("bell"), "{reason}");
    }

    #[test]
    fn an_uninitialised_variable_is_noticed() {
        let mut words = [0_usize; 3];
        let condition = (&raw mut words).cast();
        // SAFETY: the words outlive the call.
        let reason = Bench::new().ends(|| unsafe { cv_broadcast(condition) });
        assert!(reason.contains("not initialised"), "{reason}");
    }
}
