//! Sleeping and waking.
//!
//! While the entry sleeps, deferred work ([`later`]) and kernel threads ([`thread`]) run; a kernel thread that sleeps goes back to
//! the entry. A sleep of the entry without a time limit, while no work is pending and every thread sleeps without one too, can
//! never end, and ends the instance instead of hanging the server.

use super::errno::EWOULDBLOCK;
use super::panic::panic_format;
use super::thread::{self, Id};
use super::{later, lock, string, time};
use crate::abi::constants::PNORELOCK;
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::fmt;
use core::time::Duration;

struct Sleeper {
    context: Id,
    channel: usize,
    deadline: Option<Duration>,
    woken: bool,
}

/// Who sleeps, in the order in which they began: of a context, the innermost sleeper is last, and the only one that can go on.
#[derive(Default)]
pub(crate) struct State {
    sleepers: RefCell<Vec<Sleeper>>,
}

impl State {
    fn push(&self, context: Id, channel: usize, deadline: Option<Duration>) {
        self.sleepers.borrow_mut().push(Sleeper { context, channel, deadline, woken: false });
    }

    /// Ends the innermost sleep of a context.
    fn pop(&self, context: Id) {
        let mut sleepers = self.sleepers.borrow_mut();
        if let Some(at) = sleepers.iter().rposition(|sleeper| sleeper.context == context) {
            sleepers.remove(at);
        }
    }

    fn innermost<R>(&self, context: Id, look: impl FnOnce(&Sleeper) -> R) -> Option<R> {
        self.sleepers.borrow().iter().rfind(|sleeper| sleeper.context == context).map(look)
    }

    fn is_woken(&self, context: Id) -> bool {
        self.innermost(context, |sleeper| sleeper.woken).unwrap_or(false)
    }

    /// Whether the innermost sleep of a context is over at `now`.
    pub(crate) fn can_go(&self, context: Id, now: Duration) -> bool {
        self.innermost(context, |sleeper| sleeper.woken || sleeper.deadline.is_some_and(|at| at <= now)).unwrap_or(false)
    }

    /// When the first of the threads goes on by itself.
    fn next_deadline(&self) -> Option<Duration> {
        let sleepers = self.sleepers.borrow();
        let innermost =
            |(at, sleeper): &(usize, &Sleeper)| sleepers[at + 1..].iter().all(|later| later.context != sleeper.context);
        let threads = sleepers.iter().enumerate().filter(|(_, sleeper)| sleeper.context != Id::ENTRY);
        threads.filter(innermost).filter_map(|(_, sleeper)| sleeper.deadline).min()
    }

    fn wake(&self, channel: usize, all: bool) {
        let mut sleepers = self.sleepers.borrow_mut();
        if all {
            sleepers.iter_mut().filter(|sleeper| sleeper.channel == channel).for_each(|sleeper| sleeper.woken = true);
            return;
        }
        let waits = |sleeper: &Sleeper| sleeper.channel == channel && !sleeper.woken;
        let is_innermost = |at: usize| sleepers[at + 1..].iter().all(|later| later.context != sleepers[at].context);
        // Who cannot go on is woken only if nobody else waits.
        let first = (0..sleepers.len()).find(|&at| waits(&sleepers[at]) && is_innermost(at));
        if let Some(at) = first.or_else(|| sleepers.iter().rposition(waits)) {
            sleepers[at].woken = true;
        }
    }

    fn has(&self, channel: usize) -> bool {
        self.sleepers.borrow().iter().any(|sleeper| sleeper.channel == channel && !sleeper.woken)
    }

    fn is_empty(&self) -> bool {
        self.sleepers.borrow().is_empty()
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
    wait_for(channel, deadline, format_args!("a sleep on \"{}\"", name.escape_ascii()))
}

/// As [`wait`]; `what` says it in the reason of an instance that ends because nothing can end the sleep.
pub(crate) fn wait_for(channel: usize, deadline: Option<Duration>, what: fmt::Arguments<'_>) -> Outcome {
    let state = &kernel().kern.sleep;
    let me = thread::current();
    state.push(me, channel, deadline);
    let outcome = if me == Id::ENTRY {
        wait_in_entry(deadline, what)
    } else {
        thread::sleep();
        if state.is_woken(me) { Outcome::Woken } else { Outcome::TimedOut }
    };
    state.pop(me);
    outcome
}

fn wait_in_entry(deadline: Option<Duration>, what: fmt::Arguments<'_>) -> Outcome {
    let state = &kernel().kern.sleep;
    let mut now = time::monotonic();
    loop {
        later::run_due(now);
        let ran = thread::run_ready(now);
        if state.is_woken(Id::ENTRY) {
            return Outcome::Woken;
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Outcome::TimedOut;
        }
        if ran {
            // What ran may have let others run.
            now = time::monotonic().max(now);
            continue;
        }
        let Some(until) = [deadline, later::next_due(), state.next_deadline()].into_iter().flatten().min() else {
            panic_format(format_args!("{what} that nothing can end"));
        };
        if let Some(time) = until.checked_sub(now) {
            // A host that cannot sleep, or whose clock stands, lets the time pass at once.
            let _ = kernel().instance().host().clock.sleep(time);
        }
        now = time::monotonic().max(until);
    }
}

/// Wakes all who wait for a lock.
pub(crate) fn wake_lock(lock: *const u8) {
    let state = &kernel().kern.sleep;
    if !state.is_empty() {
        state.wake(lock.addr(), true);
    }
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

/// Lets others run: the work that is due, and threads.
unsafe extern "C" fn preempt() {
    later::run_due(time::monotonic());
    thread::relax();
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
    use crate::kern::thread::Id;
    use core::time::Duration;

    #[test]
    fn the_innermost_sleeper_is_woken_first() {
        let state = State::default();
        let me = Id::ENTRY;
        for channel in [8, 8, 16] {
            state.push(me, channel, None);
        }
        assert!(state.has(8) && !state.has(24) && !state.is_woken(me));
        state.wake(8, false);
        state.pop(me);
        assert!(state.is_woken(me));
        state.pop(me);
        assert!(!state.is_woken(me) && state.has(8));
        state.wake(8, true);
        assert!(state.is_woken(me) && !state.has(8));
        state.pop(me);
        assert!(state.is_empty());
    }

    #[test]
    fn the_longest_sleeper_that_can_go_on_is_woken() {
        let state = State::default();
        let (first, second) = (Id::of(2).unwrap(), Id::of(3).unwrap());
        let at = Duration::from_secs;
        state.push(Id::ENTRY, 8, Some(at(1)));
        state.push(first, 8, Some(at(7)));
        state.push(second, 8, Some(at(9)));
        // The entry sleeps in its sleep.
        state.push(Id::ENTRY, 16, Some(at(2)));
        assert_eq!(state.next_deadline(), Some(at(7)));
        state.wake(8, false);
        assert!(state.can_go(first, at(0)) && !state.can_go(second, at(8)) && state.can_go(second, at(9)));
        state.wake(8, false);
        assert!(state.is_woken(second) && !state.is_woken(Id::ENTRY));
        state.wake(8, false);
        state.pop(Id::ENTRY);
        assert!(state.is_woken(Id::ENTRY));
    }
}
