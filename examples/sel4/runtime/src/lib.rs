//! What every image of the example needs: its entry, the memory functions that the compiler calls, a heap, and the layout of a
//! protection domain on which the root task and the domains agree.
#![no_std]

extern crate alloc;

mod entry;
mod heap;
mod last_words;
pub mod layout;
mod memory;
mod window;

pub use heap::{heap_peak, heap_used};
pub use last_words::{Text, die};
pub use layout::Start;
pub use window::window;

/// Sets the IPC buffer and the heap up.
///
/// # Safety
/// To be called once, first, by the only thread of a domain that the root task made, with the record it passed.
#[must_use]
pub unsafe fn enter(start: *const Start) -> &'static Start {
    // SAFETY: the root task mapped the page, read-only, for good.
    let start: &'static Start = unsafe { &*start };
    // SAFETY: mapped for good, for this thread.
    unsafe { rumpload_sel4::syscall::set_buffer(core::ptr::with_exposed_provenance_mut(layout::IPC_BUFFER as usize)) };
    if start.heap > 0 {
        // SAFETY: the root task mapped this much there, for the heap alone; this is the only call.
        unsafe { heap::init(layout::HEAP as usize, start.heap as usize) };
    }
    start
}
