//! Sleeping and waking.
//!
//! A sleeping thread stays inside its instance, so only deferred work can wake it: [`later`] runs due work in its sleep. A sleep
//! without a time limit while no work is pending can never end, and ends the instance instead of hanging the server.

use super::errno::EWOULDBLOCK;
use super::panic::panic_format;
use super::{later, lock, string, time};
use crate::abi::constants::PNORELOCK;
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

struct Sleeper {
    channel: usize,
    woken: bool,
}

/// Who sleeps: the innermost sleeper is last.
#[derive(Default)]
pub(crate) struct State {
    sleepers: RefCell<Vec<Sleeper>>,
}

impl State {
    fn push(&self, channel: usize) -> usize {
        let mut sleepers = self.sleepers.borrow_mut();
        sleepers.push(Sleeper { channel, woken: false });
        sleepers.len() - 1
    }

    fn is_woken(&self, index: usize) -> bool {
        self.sleepers.borrow().get(index).is_some_and(|sleeper| sleeper.woken)
    }

    fn wake(&self, channel: usize, all: bool) {
        // The innermost sleeper is the only one that can go on.
        for sleeper in self.sleepers.borrow_mut().iter_mut().rev() {
            if sleeper.channel == channel && !sleeper.woken {
                sleeper.woken = true;
                if !all {
                    break;
                }
            }
        }
    }

    fn has(&self, channel: usize) -> bool {
        self.sleepers.borrow().iter().any(|sleeper| sleeper.channel == channel && !sleeper.woken)
    }
}

/// How a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Woken,
    TimedOut,
}

/// When `ticks` from now are over; `None` for 0, which is no limit.
pub(crate) fn deadline(ticks: i32) -> Option<Duration> {
    (ticks != 0).then(|| time::monotonic().saturating_add(time::ticks(ticks.max(0))))
}

/// Sleeps on `channel` until it is woken or `deadline` passes; `name` says what for.
pub(crate) fn wait(channel: usize, deadline: Option<Duration>, name: &[u8]) -> Outcome {
    let state = &kernel().kern.sleep;
    let index = state.push(channel);
    let mut now = time::monotonic();
    let outcome = loop {
        later::run_due(now);
        if state.is_woken(index) {
            break Outcome::Woken;
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            break Outcome::TimedOut;
        }
        let until = match (deadline, later::next_due()) {
            (Some(deadline), Some(due)) => deadline.min(due),
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => panic_format(format_args!("a sleep on \"{}\" that nothing can end", name.escape_ascii())),
        };
        if let Some(time) = until.checked_sub(now) {
            // A host that cannot sleep, or whose clock stands, lets the time pass at once.
            let _ = kernel().instance().host().clock.sleep(time);
        }
        now = time::monotonic().max(until);
    };
    state.sleepers.borrow_mut().truncate(index);
    outcome
}

/// Wakes all who sleep on `channel`.
pub(crate) fn wake(channel: usize) {
    kernel().kern.sleep.wake(channel, true);
}

/// Wakes one who sleeps on `channel`.
pub(crate) fn wake_one(channel: usize) {
    kernel().kern.sleep.wake(channel, false);
}

/// Whether anybody sleeps on `channel`.
pub(crate) fn waiters(channel: usize) -> bool {
    kernel().kern.sleep.has(channel)
}

/// # Safety
/// `name` must be null or a C string.
unsafe fn sleep(channel: usize, name: *const u8, ticks: i32) -> i32 {
    // SAFETY: as the caller says.
    let name = if name.is_null() { b"?" } else { unsafe { string::bytes(name) } };
    match wait(channel, deadline(ticks), name) {
        Outcome::Woken => 0,
        Outcome::TimedOut => EWOULDBLOCK,
    }
}

unsafe extern "C" fn tsleep(channel: usize, _priority: i32, name: *const u8, ticks: i32) -> i32 {
    // SAFETY: module code passes a C string.
    unsafe { sleep(channel, name, ticks) }
}

unsafe extern "C" fn mtsleep(channel: usize, priority: i32, name: *const u8, ticks: i32, mutex: *mut u8) -> i32 {
    // SAFETY: module code passes a C string and a mutex it holds.
    unsafe {
        lock::mutex_exit(mutex);
        let error = sleep(channel, name, ticks);
        if priority & PNORELOCK == 0 {
            lock::mutex_enter(mutex);
        }
        error
    }
}

unsafe extern "C" fn kpause(name: *const u8, _interruptible: bool, ticks: i32, mutex: *mut u8) -> i32 {
    // SAFETY: module code passes a C string and null or a mutex it holds. Nobody knows the channel: this frame's own.
    unsafe {
        if !mutex.is_null() {
            lock::mutex_exit(mutex);
        }
        let here = 0_u8;
        let error = sleep((&raw const here).addr(), name, ticks.max(1));
        if !mutex.is_null() {
            lock::mutex_enter(mutex);
        }
        error
    }
}

unsafe extern "C" fn wakeup(channel: usize) {
    wake(channel);
}

/// Lets others run: the work that is due.
unsafe extern "C" fn preempt() {
    later::run_due(time::monotonic());
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("tsleep", tsleep),
    function!("mtsleep", mtsleep),
    function!("kpause", kpause),
    function!("wakeup", wakeup),
    function!("preempt", preempt),
    function!("yield", preempt),
];

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn the_innermost_sleeper_is_woken_first() {
        let state = State::default();
        let (outer, inner, other) = (state.push(8), state.push(8), state.push(16));
        assert!(state.has(8) && !state.has(24));
        state.wake(8, false);
        assert!(state.is_woken(inner) && !state.is_woken(outer) && !state.is_woken(other));
        assert!(state.has(8));
        state.wake(8, true);
        assert!(state.is_woken(outer) && !state.is_woken(other) && !state.has(8));
    }
}
