//! Memory that module code holds.
//!
//! All blocks belong to their kernel's heap, so that a kernel whose modules forgot a block, or were ended in the middle, gives
//! everything back when it is dropped. Blocks are aligned to 16 bytes, those of whole pages whose number is a power of two to a
//! page. What is asked of the heap with an address that is no block's ends the instance.

mod chunk;
mod heap;

use super::panic::{panic_format, panic_message};
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::sync::Arc;
use core::cell::{Cell, RefCell};
use core::ptr;
use heap::Heap;
use rumpload::resource::Memory;

const M_ZERO: i32 = crate::abi::constants::M_ZERO;
const M_NOWAIT: i32 = crate::abi::constants::M_NOWAIT;
const M_CANFAIL: i32 = crate::abi::constants::M_CANFAIL;
const KM_NOSLEEP: u32 = crate::abi::constants::KM_NOSLEEP as u32;

/// Where the memory comes from that modules, and the kernel on their behalf, hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeapSource {
    /// Regions of the host's [`Memory`]: what a module writes past the end of its blocks hits no memory of the server's own.
    #[default]
    Host,
    /// The server's allocator, a chunk of pages at a time: for servers whose memory for modules is scarce and whose protection
    /// domain ends with the kernel.
    Allocator,
}

/// What modules and the base kernel on their behalf hold at a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of blocks.
    pub blocks: usize,
    /// Sum of the sizes asked for, in bytes.
    pub bytes: usize,
}

/// All blocks of a kernel. They are gone with it, whoever forgot them.
pub(crate) struct State {
    heap: RefCell<Heap>,
    usage: Cell<Usage>,
}

impl State {
    pub(crate) fn new(source: HeapSource, memory: Arc<dyn Memory>) -> Self {
        Self { heap: RefCell::new(Heap::new(source, memory)), usage: Cell::default() }
    }

    /// What is held now.
    pub(crate) fn usage(&self) -> Usage {
        self.usage.get()
    }

    fn alloc(&self, size: usize, zero: bool) -> *mut u8 {
        let Some(taken) = self.heap.borrow_mut().take(size) else { return ptr::null_mut() };
        let block = ptr::with_exposed_provenance_mut::<u8>(taken.address);
        if zero && !taken.zero {
            // SAFETY: the block has the size and is nobody else's.
            unsafe { block.write_bytes(0, size) };
        }
        let usage = self.usage.get();
        self.usage.set(Usage { blocks: usage.blocks + 1, bytes: usage.bytes + size });
        block
    }

    fn free(&self, pointer: *mut u8) -> Result<(), &'static str> {
        let size = self.heap.borrow_mut().give(pointer.addr())?;
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
    if let Err(what) = kernel().kern.memory.free(pointer) {
        panic_format(format_args!("free of {pointer:p}: {what}"));
    }
}

/// The size a block was asked for with. A pointer that is no block ends the instance.
pub(crate) fn size_of_block(pointer: *const u8) -> usize {
    let length = kernel().kern.memory.heap.borrow().length(pointer.addr());
    length.unwrap_or_else(|what| panic_format(format_args!("size of {pointer:p}: {what}")))
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
        assert!(one.addr() % 16 == 0 && two.addr() % 16 == 0);
        assert_eq!(state.usage(), Usage { blocks: 2, bytes: 100 });
        // SAFETY: `one` is live and 100 bytes long.
        unsafe {
            assert!((0..100).all(|at| one.add(at).read() == 0));
            one.write_bytes(0xff, 100);
        }
        state.free(one).unwrap();
        assert_eq!(state.usage(), Usage { blocks: 1, bytes: 0 });
        let again = state.alloc(100, true);
        // SAFETY: as above.
        assert!(unsafe { (0..100).all(|at| again.add(at).read() == 0) });
        state.free(again).unwrap();
        state.free(two).unwrap();
        assert_eq!(state.usage(), Usage::default());
        assert!(state.free(two).is_err());
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let state = state();
        let words = [0usize; 16];
        assert!(state.free(words.as_ptr().cast_mut().cast()).is_err());
        assert!(state.alloc(usize::MAX - 8, false).is_null());
    }
}
