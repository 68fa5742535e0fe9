//! Work queues. Their work is deferred: it runs when the thread sleeps, yields, or ends its request.

use super::{later, memory, time};
use crate::export::{Export, function};

type Function = unsafe extern "C" fn(*mut u8, *mut u8);

#[repr(C)]
struct Queue {
    function: Function,
    argument: *mut u8,
}

unsafe extern "C" fn workqueue_create(
    out: *mut *mut u8,
    _name: *const u8,
    function: Function,
    argument: *mut u8,
    _priority: i32,
    _ipl: i32,
    _flags: i32,
) -> i32 {
    let queue = memory::alloc_or_end(size_of::<Queue>(), false);
    // SAFETY: fresh memory of the structure's size; module code passes room for the handle.
    unsafe {
        queue.cast::<Queue>().write(Queue { function, argument });
        out.write(queue);
    }
    0
}

unsafe extern "C" fn workqueue_enqueue(queue: *mut u8, work: *mut u8, _processor: *mut u8) {
    // SAFETY: module code passes a queue.
    let Queue { function, argument } = unsafe { queue.cast::<Queue>().read() };
    let due = time::monotonic();
    later::add(later::Job { owner: queue.addr(), due, work: function, arguments: [work, argument] });
}

/// Runs what was enqueued, so that the caller may free it.
unsafe extern "C" fn workqueue_wait(queue: *mut u8, _work: *mut u8) {
    later::run_of(queue.addr());
}

unsafe extern "C" fn workqueue_destroy(queue: *mut u8) {
    later::run_of(queue.addr());
    // SAFETY: module code gives the queue up.
    unsafe { memory::free(queue) }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("workqueue_create", workqueue_create),
    function!("workqueue_enqueue", workqueue_enqueue),
    function!("workqueue_wait", workqueue_wait),
    function!("workqueue_destroy", workqueue_destroy),
];
