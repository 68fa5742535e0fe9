//! The heap.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use linked_list_allocator::Heap;
use spin::Mutex;

struct Counted {
    heap: Mutex<Heap>,
    peak: AtomicUsize,
}

#[global_allocator]
static HEAP: Counted = Counted { heap: Mutex::new(Heap::empty()), peak: AtomicUsize::new(0) };

// SAFETY: every block comes from one heap of mapped memory, under a lock, and goes back to it with the layout it came with.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let mut heap = self.heap.lock();
        let block = heap.allocate_first_fit(layout).map_or(core::ptr::null_mut(), NonNull::as_ptr);
        self.peak.fetch_max(heap.used(), Ordering::Relaxed);
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller passes a block that `alloc` gave out for this layout.
            unsafe { self.heap.lock().deallocate(block, layout) };
        }
    }
}

/// Gives the heap its memory.
///
/// # Safety
/// `len` bytes at `start` must be mapped for good and used by nothing else; to be called once.
pub(crate) unsafe fn init(start: usize, len: usize) {
    // SAFETY: the caller vouches for it.
    unsafe { HEAP.heap.lock().init(core::ptr::with_exposed_provenance_mut(start), len) };
}

/// Bytes in use.
#[must_use]
pub fn heap_used() -> usize {
    HEAP.heap.lock().used()
}

/// Most bytes ever in use.
#[must_use]
pub fn heap_peak() -> usize {
    HEAP.peak.load(Ordering::Relaxed)
}
