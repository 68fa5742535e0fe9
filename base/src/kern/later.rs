//! Work that module code defers: a list ordered by the time it is due.
//!
//! No thread of its own does it. Due work runs at the places where a kernel may switch threads: in sleeps of the entry, in
//! `preempt`, and between requests.

use super::thread::{self, Id};
use super::{sleep, time};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::time::Duration;

/// A function of module code that takes up to two pointers.
pub(crate) type Work = unsafe extern "C" fn(*mut u8, *mut u8);

/// One piece of deferred work.
#[derive(Clone, Copy)]
pub(crate) struct Job {
    /// What it belongs to: a callout, a queue. Cancelled by it.
    pub(crate) owner: usize,
    /// When to run, on the monotonic clock.
    pub(crate) due: Duration,
    pub(crate) work: Work,
    pub(crate) arguments: [*mut u8; 2],
}

/// All deferred work of a kernel, the next first.
#[derive(Default)]
pub(crate) struct State {
    jobs: RefCell<Vec<Job>>,
    /// Whose work runs, and in which context.
    running: RefCell<Vec<(usize, Id)>>,
}

impl State {
    pub(crate) fn add(&self, job: Job) {
        let mut jobs = self.jobs.borrow_mut();
        let at = jobs.partition_point(|other| other.due <= job.due);
        jobs.insert(at, job);
    }

    /// Takes back what `owner` deferred; answers whether there was anything.
    pub(crate) fn cancel(&self, owner: usize) -> bool {
        let mut jobs = self.jobs.borrow_mut();
        let before = jobs.len();
        jobs.retain(|job| job.owner != owner);
        jobs.len() != before
    }

    pub(crate) fn is_pending(&self, owner: usize) -> bool {
        self.jobs.borrow().iter().any(|job| job.owner == owner)
    }

    fn take_due(&self, now: Duration) -> Option<Job> {
        let mut jobs = self.jobs.borrow_mut();
        (jobs.first()?.due <= now).then(|| jobs.remove(0))
    }

    fn take_of(&self, owner: usize) -> Option<Job> {
        let mut jobs = self.jobs.borrow_mut();
        let at = jobs.iter().position(|job| job.owner == owner)?;
        Some(jobs.remove(at))
    }
}

fn run(job: Job) {
    let [first, second] = job.arguments;
    let running = &kernel().kern.later.running;
    let who = (job.owner, thread::current());
    running.borrow_mut().push(who);
    // SAFETY: module code deferred this function with these arguments, and takes it back before it is unloaded.
    unsafe { (job.work)(first, second) };
    let mut running = running.borrow_mut();
    if let Some(at) = running.iter().rposition(|other| *other == who) {
        running.remove(at);
    }
    drop(running);
    sleep::wake(job.owner);
}

/// Whether another context is in the middle of work of `owner`.
pub(crate) fn is_busy(owner: usize) -> bool {
    let me = thread::current();
    kernel().kern.later.running.borrow().iter().any(|(other, context)| *other == owner && *context != me)
}

/// Waits until no other context is in the middle of work of `owner`.
pub(crate) fn drain(owner: usize) {
    while is_busy(owner) {
        sleep::wait(owner, None, b"deferred work");
    }
}

/// Defers work.
pub(crate) fn add(job: Job) {
    kernel().kern.later.add(job);
}

/// Runs what is due at `now`, also what becomes due by that.
pub(crate) fn run_due(now: Duration) {
    while let Some(job) = kernel().kern.later.take_due(now) {
        run(job);
    }
}

/// Runs what `owner` deferred, due or not.
pub(crate) fn run_of(owner: usize) {
    while let Some(job) = kernel().kern.later.take_of(owner) {
        run(job);
    }
}

/// Runs what is due now. Called between requests, when no lock is held.
pub(crate) fn settle() {
    run_due(time::monotonic());
}

/// When the next work is due.
pub(crate) fn next_due() -> Option<Duration> {
    kernel().kern.later.jobs.borrow().first().map(|job| job.due)
}

#[cfg(test)]
mod tests {
    use super::{Job, State};
    use core::ptr;
    use core::time::Duration;

    unsafe extern "C" fn nothing(_: *mut u8, _: *mut u8) {}

    fn job(owner: usize, seconds: u64) -> Job {
        Job { owner, due: Duration::from_secs(seconds), work: nothing, arguments: [ptr::null_mut(); 2] }
    }

    #[test]
    fn work_is_taken_in_the_order_it_is_due() {
        let state = State::default();
        for (owner, seconds) in [(1, 5), (2, 3), (3, 5), (4, 9)] {
            state.add(job(owner, seconds));
        }
        assert!(state.take_due(Duration::from_secs(2)).is_none());
        let taken: std::vec::Vec<_> =
            core::iter::from_fn(|| state.take_due(Duration::from_secs(5))).map(|job| job.owner).collect();
        assert_eq!(taken, [2, 1, 3]);
        assert!(state.is_pending(4) && state.cancel(4) && !state.cancel(4) && !state.is_pending(4));
    }

    #[test]
    fn work_of_an_owner_is_taken_early() {
        let state = State::default();
        state.add(job(1, 5));
        state.add(job(2, 3));
        assert_eq!(state.take_of(1).map(|job| job.owner), Some(1));
        assert!(state.take_of(1).is_none());
    }
}
