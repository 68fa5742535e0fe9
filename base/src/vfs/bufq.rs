//! Queues of transfers (`bufq(9)`): in order of arrival, or a one-way scan over the blocks of a disk.

use super::object::Buf;
use super::text;
use crate::abi::constants::{BUFQ_EXACT, BUFQ_SORT_MASK};
use crate::export::{Export, function};
use crate::kern::errno::EINVAL;
use crate::kern::panic::panic_format;
use crate::kernel::kernel;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ptr;

/// Longest name of a strategy in bytes, NUL included (`BUFQ_STRAT_NAME_MAX` is smaller).
const NAME_LENGTH: usize = 32;

/// What module code holds: the number of a queue plus one, as an opaque pointer.
type Handle = *mut u8;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Strategy {
    Arrival,
    Scan,
}

#[derive(Debug)]
struct Queue {
    strategy: Strategy,
    waiting: VecDeque<Buf>,
    /// Block of the transfer taken last: the scan goes on from here.
    position: i64,
}

impl Queue {
    /// Place of the transfer that comes next.
    fn next(&self) -> Option<usize> {
        if self.strategy == Strategy::Arrival {
            return (!self.waiting.is_empty()).then_some(0);
        }
        // Transfers behind the position wait for the next sweep.
        let place = |bp: Buf| (bp.raw_block() < self.position, bp.raw_block());
        (0..self.waiting.len()).min_by_key(|at| place(self.waiting[*at]))
    }
}

/// The queues of one kernel.
#[derive(Default)]
pub(crate) struct State {
    queues: RefCell<Vec<Option<Queue>>>,
}

impl State {
    fn add(&self, queue: Queue) -> Handle {
        let mut queues = self.queues.borrow_mut();
        let at = match queues.iter().position(Option::is_none) {
            Some(at) => at,
            None => {
                queues.push(None);
                queues.len() - 1
            }
        };
        queues[at] = Some(queue);
        ptr::without_provenance_mut(at + 1)
    }

    fn with<R>(&self, handle: Handle, work: impl FnOnce(&mut Queue) -> R) -> Option<R> {
        let mut queues = self.queues.borrow_mut();
        queues.get_mut(handle.addr().wrapping_sub(1)).and_then(Option::as_mut).map(work)
    }
}

/// Runs `work` on the queue of `handle`; ends the instance if there is none.
fn with<R>(handle: Handle, work: impl FnOnce(&mut Queue) -> R) -> R {
    match kernel().vfs.queues.with(handle, work) {
        Some(result) => result,
        None => panic_format(format_args!("bufq: {handle:p} is no queue")),
    }
}

fn strategy(name: &[u8], flags: i32) -> Option<Strategy> {
    let default = if flags & BUFQ_SORT_MASK == 0 { Strategy::Arrival } else { Strategy::Scan };
    match name {
        b"fcfs" => Some(Strategy::Arrival),
        b"disksort" => Some(Strategy::Scan),
        _ if flags & BUFQ_EXACT != 0 => None,
        _ => Some(default),
    }
}

unsafe extern "C" fn bufq_alloc(result: *mut Handle, name: *const u8, flags: i32) -> i32 {
    // SAFETY: the caller's name is null (any strategy will do) or a C string.
    let name = if name.is_null() { b"" } else { unsafe { text::bytes(name, NAME_LENGTH) } };
    let Some(strategy) = strategy(name, flags) else { return EINVAL };
    let queue = Queue { strategy, waiting: VecDeque::new(), position: 0 };
    // SAFETY: the caller's result is writable.
    unsafe { result.write(kernel().vfs.queues.add(queue)) };
    0
}

unsafe extern "C" fn bufq_free(handle: Handle) {
    let waiting = with(handle, |queue| queue.waiting.len());
    if waiting != 0 {
        panic_format(format_args!("bufq: a queue is freed with {waiting} transfers waiting"));
    }
    kernel().vfs.queues.queues.borrow_mut()[handle.addr() - 1] = None;
}

unsafe extern "C" fn bufq_put(handle: Handle, bp: Buf) {
    with(handle, |queue| queue.waiting.push_back(bp));
}

unsafe extern "C" fn bufq_get(handle: Handle) -> Buf {
    with(handle, |queue| {
        let bp = queue.next().and_then(|at| queue.waiting.remove(at)).unwrap_or(Buf::NULL);
        if !bp.is_null() {
            queue.position = bp.raw_block();
        }
        bp
    })
}

unsafe extern "C" fn bufq_peek(handle: Handle) -> Buf {
    with(handle, |queue| queue.next().map_or(Buf::NULL, |at| queue.waiting[at]))
}

unsafe extern "C" fn bufq_cancel(handle: Handle, bp: Buf) -> Buf {
    with(handle, |queue| {
        let at = queue.waiting.iter().position(|other| *other == bp);
        at.and_then(|at| queue.waiting.remove(at)).unwrap_or(Buf::NULL)
    })
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("bufq_alloc", bufq_alloc),
    function!("bufq_free", bufq_free),
    function!("bufq_put", bufq_put),
    function!("bufq_get", bufq_get),
    function!("bufq_peek", bufq_peek),
    function!("bufq_cancel", bufq_cancel),
];

#[cfg(test)]
mod tests {
    use super::{Strategy, strategy};
    use crate::abi::constants::BUFQ_EXACT;

    #[test]
    fn names_of_strategies() {
        assert_eq!(strategy(b"fcfs", 1), Some(Strategy::Arrival));
        assert_eq!(strategy(b"disksort", 0), Some(Strategy::Scan));
        assert_eq!(strategy(b"", 1), Some(Strategy::Scan));
        assert_eq!(strategy(b"priocscan", 0), Some(Strategy::Arrival));
        assert_eq!(strategy(b"priocscan", BUFQ_EXACT), None);
    }
}
