//! Memory that module code holds.
//!
//! All of it belongs to a kernel, so that one whose modules forgot a block, or were ended in the middle, gives everything back
//! when it is dropped. Blocks are aligned to 16 bytes.

use super::heap::{Heap, HeapSource};
use super::panic::panic_message;
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::ptr;
use rumpload::resource::Memory;

const M_ZERO: i32 = crate::abi::constants::M_ZERO;
const M_NOWAIT: i32 = crate::abi::constants::M_NOWAIT;
const M_CANFAIL: i32 = crate::abi::constants::M_CANFAIL;
const KM_NOSLEEP: u32 = crate::abi::constants::KM_NOSLEEP as u32;

/// Bytes that may be held unless the server says otherwise: a module gone wild is not to take the host's memory.
const LIMIT: usize = 512 << 20;

/// What modules and the base kernel on their behalf hold at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of blocks.
    pub blocks: usize,
    /// Sum of the sizes asked for, in bytes.
    pub bytes: usize,
}

/// All blocks of a kernel, and how many there are.
pub(crate) struct State {
    heap: RefCell<Heap>,
    usage: Cell<Usage>,
    limit: Cell<usize>,
}

impl State {
    pub(crate) fn new(source: HeapSource, memory: Arc<dyn Memory>) -> Self {
        Self { heap: RefCell::new(Heap::new(source, memory)), usage: Cell::default(), limit: Cell::new(LIMIT) }
    }

    /// What is held now.
    pub(crate) fn usage(&self) -> Usage {
        self.usage.get()
    }

    /// Sets how many bytes may be held.
    pub(crate) fn set_limit(&self, bytes: usize) {
        self.limit.set(bytes);
    }

    fn alloc(&self, size: usize, zero: bool) -> *mut u8 {
        if size > self.limit.get().saturating_sub(self.usage.get().bytes) {
            return ptr::null_mut();
        }
        let block = self.heap.borrow_mut().alloc(size, zero);
        if !block.is_null() {
            let usage = self.usage.get();
            self.usage.set(Usage { blocks: usage.blocks + 1, bytes: usage.bytes + size });
        }
        block
    }

    /// # Safety
    /// Nothing may use the block afterwards.
    unsafe fn free(&self, pointer: *mut u8) -> Result<(), &'static str> {
        // SAFETY: as the caller says.
        let size = unsafe { self.heap.borrow_mut().free(pointer) }?;
        let usage = self.usage.get();
        self.usage.set(Usage { blocks: usage.blocks - 1, bytes: usage.bytes - size });
        Ok(())
    }
}

/// A block of `size` bytes owned by the current kernel, aligned to 16; null if the host has no memory.
pub(crate) fn alloc(size: usize, zero: bool) -> *mut u8 {
    kernel().kern.memory.alloc(size, zero)
}

/// As [`alloc`], for callers that are promised memory: without it the instance ends.
pub(crate) fn alloc_or_end(size: usize, zero: bool) -> *mut u8 {
    let pointer = alloc(size, zero);
    if pointer.is_null() {
        panic_message("out of memory");
    }
    pointer
}

/// Gives back a block of [`alloc`]. Null is nothing. A pointer that is no block ends the instance.
///
/// # Safety
/// Nothing may use the block afterwards.
pub(crate) unsafe fn free(pointer: *mut u8) {
    if pointer.is_null() {
        return;
    }
    // SAFETY: as the caller says; what is not a block is refused.
    if let Err(what) = unsafe { kernel().kern.memory.free(pointer) } {
        super::panic::panic_format(format_args!("free of {pointer:p}: {what}"));
    }
}

/// Changes the size of a block, keeping what fits; null, with the old block untouched, without memory. A pointer that is no
/// block ends the instance.
///
/// # Safety
/// As [`free`] for the old block, unless null is returned.
pub(crate) unsafe fn realloc(pointer: *mut u8, size: usize, zero: bool) -> *mut u8 {
    if pointer.is_null() {
        return alloc(size, zero);
    }
    let old = kernel().kern.memory.heap.borrow().size(pointer);
    let old = old.unwrap_or_else(|what| super::panic::panic_format(format_args!("realloc of {pointer:p}: {what}")));
    let new = alloc(size, zero);
    if !new.is_null() {
        // SAFETY: both are live blocks of at least the bytes copied.
        unsafe {
            ptr::copy_nonoverlapping(pointer, new, old.min(size));
            free(pointer);
        }
    }
    new
}

unsafe extern "C" fn kern_malloc(size: usize, flags: i32) -> *mut u8 {
    if flags & (M_NOWAIT | M_CANFAIL) != 0 { alloc(size, flags & M_ZERO != 0) } else { alloc_or_end(size, flags & M_ZERO != 0) }
}

unsafe extern "C" fn kern_realloc(pointer: *mut u8, size: usize, flags: i32) -> *mut u8 {
    if size == 0 && !pointer.is_null() {
        // SAFETY: module code gives the block back.
        unsafe { free(pointer) };
        return ptr::null_mut();
    }
    // SAFETY: module code owns the block.
    let new = unsafe { realloc(pointer, size, flags & M_ZERO != 0) };
    if new.is_null() && flags & (M_NOWAIT | M_CANFAIL) == 0 {
        panic_message("out of memory");
    }
    new
}

unsafe extern "C" fn kern_free(pointer: *mut u8) {
    // SAFETY: module code gives the block back.
    unsafe { free(pointer) }
}

unsafe extern "C" fn kmem_alloc(size: usize, flags: u32) -> *mut u8 {
    if flags & KM_NOSLEEP != 0 { alloc(size, false) } else { alloc_or_end(size, false) }
}

unsafe extern "C" fn kmem_zalloc(size: usize, flags: u32) -> *mut u8 {
    if flags & KM_NOSLEEP != 0 { alloc(size, true) } else { alloc_or_end(size, true) }
}

unsafe extern "C" fn kmem_free(pointer: *mut u8, _size: usize) {
    // SAFETY: module code gives the block back.
    unsafe { free(pointer) }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("kern_malloc", kern_malloc),
    function!("kern_realloc", kern_realloc),
    function!("kern_free", kern_free),
    function!("kmem_alloc", kmem_alloc),
    function!("kmem_zalloc", kmem_zalloc),
    function!("kmem_free", kmem_free),
    function!("kmem_intr_alloc", kmem_alloc),
    function!("kmem_intr_zalloc", kmem_zalloc),
    function!("kmem_intr_free", kmem_free),
];

#[cfg(test)]
mod tests {
    use super::{HeapSource, State, Usage};
    use alloc::sync::Arc;
    use rumpload::address::RunAddr;
    use rumpload::resource::Detached;

    fn state() -> State {
        State::new(HeapSource::Allocator, Arc::new(Detached::new(RunAddr::new(0x10_0000), 4096)))
    }

    #[test]
    fn blocks_are_counted_and_given_back() {
        let state = state();
        let one = state.alloc(100, true);
        let two = state.alloc(0, false);
        assert!(one.addr().is_multiple_of(16) && two.addr().is_multiple_of(16));
        assert_eq!(state.usage(), Usage { blocks: 2, bytes: 100 });
        // SAFETY: `one` is live and 100 bytes long.
        unsafe {
            assert!((0..100).all(|at| one.add(at).read() == 0));
            state.free(one).unwrap();
        }
        assert_eq!(state.usage(), Usage { blocks: 1, bytes: 0 });
        // SAFETY: `two` is live.
        unsafe { state.free(two).unwrap() };
        assert_eq!(state.usage(), Usage::default());
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let state = state();
        let words = [0usize; 16];
        // SAFETY: looked up, not touched.
        assert!(unsafe { state.free(words.as_ptr().add(8).cast_mut().cast()) }.is_err());
        assert!(state.alloc(usize::MAX - 8, false).is_null());
    }
}
