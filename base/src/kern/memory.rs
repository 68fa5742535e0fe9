//! Memory that module code holds.
//!
//! Every block has a header and hangs on a list of its kernel, so that a kernel whose modules forgot a block, or were ended
//! in the middle, gives everything back when it is dropped. Blocks are aligned to 16 bytes.

use super::panic::panic_message;
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::alloc::{Layout, alloc as allocate, alloc_zeroed, dealloc};
use core::cell::Cell;
use core::ptr;

const LIVE: usize = 0x6b6d_656d;
const FREED: usize = 0x6672_6565;
const M_ZERO: i32 = crate::abi::constants::M_ZERO;
const M_NOWAIT: i32 = crate::abi::constants::M_NOWAIT;
const M_CANFAIL: i32 = crate::abi::constants::M_CANFAIL;
const KM_NOSLEEP: u32 = crate::abi::constants::KM_NOSLEEP as u32;

/// Bytes that may be held unless the server says otherwise: a module gone wild is not to take the host's memory.
const LIMIT: usize = 512 << 20;

#[repr(C, align(16))]
struct Block {
    previous: *mut Block,
    next: *mut Block,
    size: usize,
    mark: usize,
}

impl Block {
    fn layout(size: usize) -> Option<Layout> {
        Layout::from_size_align(size.checked_add(size_of::<Self>())?, align_of::<Self>()).ok()
    }
}

/// What modules and the base kernel on their behalf hold at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of blocks.
    pub blocks: usize,
    /// Sum of the sizes asked for, in bytes.
    pub bytes: usize,
}

/// All blocks of a kernel.
pub(crate) struct State {
    first: Cell<*mut Block>,
    usage: Cell<Usage>,
    limit: Cell<usize>,
}

impl Default for State {
    fn default() -> Self {
        Self { first: Cell::new(ptr::null_mut()), usage: Cell::new(Usage::default()), limit: Cell::new(LIMIT) }
    }
}

impl State {
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
        let Some(layout) = Block::layout(size) else { return ptr::null_mut() };
        // SAFETY: the layout holds a header at least, so it is not empty.
        let block = unsafe { if zero { alloc_zeroed(layout) } else { allocate(layout) } }.cast::<Block>();
        if block.is_null() {
            return ptr::null_mut();
        }
        let next = self.first.get();
        // SAFETY: fresh memory of the header's size and alignment; `next` is null or a live block of this list.
        unsafe {
            block.write(Block { previous: ptr::null_mut(), next, size, mark: LIVE });
            if !next.is_null() {
                (*next).previous = block;
            }
        }
        self.first.set(block);
        let usage = self.usage.get();
        self.usage.set(Usage { blocks: usage.blocks + 1, bytes: usage.bytes + size });
        // SAFETY: the header lies in front of `size` bytes of the same allocation.
        unsafe { block.add(1).cast() }
    }

    /// # Safety
    /// `pointer` must come from `alloc` of this state; it is checked as far as that is possible.
    unsafe fn free(&self, pointer: *mut u8) -> Result<(), &'static str> {
        // SAFETY: a block's header lies in front of it; for any other pointer the mark is very likely not there.
        unsafe {
            let block = pointer.cast::<Block>().sub(1);
            if !block.is_aligned() {
                return Err("it is not the address of an allocation");
            }
            match (*block).mark {
                LIVE => {}
                FREED => return Err("it was freed before"),
                _ => return Err("it is not the address of an allocation"),
            }
            self.unlink(block);
        }
        Ok(())
    }

    /// # Safety
    /// `block` must be live on this list.
    unsafe fn unlink(&self, block: *mut Block) {
        // SAFETY: the block and its neighbours are live, and the layout is the one it was made with.
        unsafe {
            let Block { previous, next, size, .. } = block.read();
            if previous.is_null() {
                self.first.set(next);
            } else {
                (*previous).next = next;
            }
            if !next.is_null() {
                (*next).previous = previous;
            }
            let usage = self.usage.get();
            self.usage.set(Usage { blocks: usage.blocks - 1, bytes: usage.bytes - size });
            (*block).mark = FREED;
            if let Some(layout) = Block::layout(size) {
                dealloc(block.cast(), layout);
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        while !self.first.get().is_null() {
            // SAFETY: the first block of the list is live.
            unsafe { self.unlink(self.first.get()) };
        }
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

/// The size a block was asked for with.
///
/// # Safety
/// `pointer` must be a live block.
pub(crate) unsafe fn size_of_block(pointer: *const u8) -> usize {
    // SAFETY: a block's header lies in front of it.
    unsafe { (*pointer.cast::<Block>().sub(1)).size }
}

/// Changes the size of a block, keeping what fits; null, with the old block untouched, without memory.
///
/// # Safety
/// As [`free`] for the old block, unless null is returned.
pub(crate) unsafe fn realloc(pointer: *mut u8, size: usize, zero: bool) -> *mut u8 {
    let new = alloc(size, zero);
    if !new.is_null() && !pointer.is_null() {
        // SAFETY: both are live blocks of at least the bytes copied.
        unsafe {
            ptr::copy_nonoverlapping(pointer, new, size_of_block(pointer).min(size));
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
    use super::{State, Usage};

    #[test]
    fn blocks_are_counted_and_given_back() {
        let state = State::default();
        let one = state.alloc(100, true);
        let two = state.alloc(0, false);
        assert!(one.addr() % 16 == 0 && two.addr() % 16 == 0);
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
    fn more_than_the_limit_is_refused() {
        let state = State::default();
        state.set_limit(1000);
        let one = state.alloc(600, false);
        assert!(!one.is_null() && state.alloc(401, false).is_null());
        // SAFETY: `one` is live.
        unsafe { state.free(one).unwrap() };
        let two = state.alloc(1000, false);
        assert!(!two.is_null());
        // SAFETY: `two` is live.
        unsafe { state.free(two).unwrap() };
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let state = State::default();
        let words = [0usize; 16];
        // SAFETY: the words in front of the pointer are readable.
        assert!(unsafe { state.free(words.as_ptr().add(8).cast_mut().cast()) }.is_err());
        assert!(state.alloc(usize::MAX - 8, false).is_null());
    }
}
