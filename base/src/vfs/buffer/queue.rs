//! Disk queues (`bufq_*`): transfers wait in them in the order of their blocks.

use super::super::object::Buf;
use super::super::queue::TailQueue;
use crate::export::{Export, function};
use crate::kern::memory;
use crate::kernel::kernel;

/// A queue: the two words of its head.
type Head = *mut u8;

fn queue() -> TailQueue {
    TailQueue { head: 0, link: kernel().abi.buf.b_u_u_actq.offset() }
}

unsafe extern "C" fn bufq_alloc(result: *mut Head, _strategy: *const u8, _flags: i32) -> i32 {
    let head = memory::alloc_or_end(size_of::<[usize; 2]>(), true);
    // SAFETY: a fresh head of two words; the caller's result is writable.
    unsafe {
        queue().init(head);
        result.write(head);
    }
    0
}

unsafe extern "C" fn bufq_free(head: Head) {
    // SAFETY: the queue is the caller's and ends here.
    unsafe { memory::free(head) };
}

unsafe extern "C" fn bufq_put(head: Head, bp: Buf) {
    // SAFETY: the caller's queue and a buffer that is on none.
    unsafe {
        let mut before = Buf::NULL;
        let mut at = Buf(queue().first(head));
        while !at.is_null() && at.raw_block() <= bp.raw_block() {
            before = at;
            at = Buf(queue().next(at.0));
        }
        if before.is_null() { queue().push_front(head, bp.0) } else { queue().insert_after(head, before.0, bp.0) }
    }
}

unsafe extern "C" fn bufq_peek(head: Head) -> Buf {
    // SAFETY: the caller's queue.
    Buf(unsafe { queue().first(head) })
}

unsafe extern "C" fn bufq_get(head: Head) -> Buf {
    // SAFETY: as above; what is first is on the queue.
    unsafe {
        let bp = bufq_peek(head);
        if !bp.is_null() {
            queue().remove(head, bp.0);
        }
        bp
    }
}

unsafe extern "C" fn bufq_cancel(head: Head, wanted: Buf) -> Buf {
    // SAFETY: as above.
    unsafe {
        let mut at = bufq_peek(head);
        while !at.is_null() {
            if at == wanted {
                queue().remove(head, at.0);
                return at;
            }
            at = Buf(queue().next(at.0));
        }
    }
    Buf::NULL
}

pub(super) const EXPORTS: &[Export] = &[
    function!("bufq_alloc", bufq_alloc),
    function!("bufq_free", bufq_free),
    function!("bufq_put", bufq_put),
    function!("bufq_peek", bufq_peek),
    function!("bufq_get", bufq_get),
    function!("bufq_cancel", bufq_cancel),
];
