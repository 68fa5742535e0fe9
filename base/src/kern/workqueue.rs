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
    later::drain(queue.addr());
}

unsafe extern "C" fn workqueue_destroy(queue: *mut u8) {
    later::run_of(queue.addr());
    later::drain(queue.addr());
    // SAFETY: module code gives the queue up.
    unsafe { memory::free(queue) }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("workqueue_create", workqueue_create),
    function!("workqueue_enqueue", workqueue_enqueue),
    function!("workqueue_wait", workqueue_wait),
    function!("workqueue_destroy", workqueue_destroy),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use core::ptr;

    unsafe extern "C" fn count(work: *mut u8, argument: *mut u8) {
        // SAFETY: the test's numbers.
        unsafe {
            let count = &mut *argument.cast::<u32>();
            *count = *count * 10 + *work.cast::<u32>();
        }
    }

    #[test]
    fn work_runs_in_order_when_the_thread_lets_it() {
        let (mut done, mut work) = (0_u32, [1_u32, 2, 3]);
        let (done, work) = (&raw mut done, work.as_mut_ptr());
        Bench::new().inside(|| {
            let mut queue = ptr::null_mut();
            // SAFETY: the numbers outlive the queue.
            unsafe {
                assert_eq!(workqueue_create(&raw mut queue, ptr::null(), count, done.cast(), 0, 0, 0), 0);
                workqueue_enqueue(queue, work.cast(), ptr::null_mut());
                workqueue_enqueue(queue, work.add(1).cast(), ptr::null_mut());
                assert_eq!(*done, 0);
                later::settle();
                assert_eq!(*done, 12);
                workqueue_enqueue(queue, work.add(2).cast(), ptr::null_mut());
                workqueue_destroy(queue);
                assert_eq!(*done, 123);
            }
        });
    }
}
