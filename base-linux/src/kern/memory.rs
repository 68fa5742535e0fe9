//! Memory for module code. It belongs to the instance, whatever module code does with it.

use super::panic::{panic_format, panic_message};
use crate::abi::Abi;
use crate::export::{Export, data, function};
use crate::kernel::kernel;
use alloc::alloc::{Layout, alloc_zeroed, dealloc};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ptr;
use spin::Mutex;

/// What an allocation of no bytes is at: an address that faults and that `kfree` takes.
const ZERO_SIZE: usize = 16;
const PAGE: usize = 4096;
/// Smallest alignment, enough for whatever C code stores.
const MIN_ALIGN: usize = 16;
/// Largest order of pages (`MAX_ORDER`) that is given.
const MAX_ORDER: u32 = 10;

/// What is allocated, by address.
#[derive(Debug)]
pub(crate) struct State {
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    blocks: BTreeMap<usize, Layout>,
    used: usize,
    limit: usize,
}

impl State {
    pub(super) fn new(limit: usize) -> Self {
        Self { held: Mutex::new(Held { blocks: BTreeMap::new(), used: 0, limit }) }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for (address, layout) in core::mem::take(&mut self.held.get_mut().blocks) {
            // SAFETY: the table holds exactly what was allocated and not freed, with its layout.
            unsafe { dealloc(ptr::with_exposed_provenance_mut(address), layout) };
        }
    }
}

/// Zeroed memory; 0 if there is none. A size that is a power of two is aligned to itself, up to a page, as Linux does.
pub(crate) fn allocate(size: usize) -> usize {
    if size == 0 {
        return ZERO_SIZE;
    }
    let align =
        if size.is_power_of_two() { size.clamp(MIN_ALIGN, PAGE) } else { MIN_ALIGN.max(64.min(size.next_power_of_two())) };
    let Ok(layout) = Layout::from_size_align(size, align) else { return 0 };
    let mut held = kernel().kern.memory.held.lock();
    if held.used.checked_add(size).is_none_or(|used| used > held.limit) {
        return 0;
    }
    // SAFETY: the size is not 0.
    let address = unsafe { alloc_zeroed(layout) }.expose_provenance();
    if address != 0 {
        held.used += size;
        held.blocks.insert(address, layout);
    }
    address
}

/// Gives memory back; false if it was not allocated.
pub(crate) fn free(address: usize) -> bool {
    if address <= ZERO_SIZE {
        return true;
    }
    let mut held = kernel().kern.memory.held.lock();
    let Some(layout) = held.blocks.remove(&address) else { return false };
    held.used -= layout.size();
    // SAFETY: the table holds exactly what was allocated and not freed, with its layout.
    unsafe { dealloc(ptr::with_exposed_provenance_mut(address), layout) };
    true
}

/// Bytes of an allocation; `None` if it is none.
fn size_of_block(address: usize) -> Option<usize> {
    if address <= ZERO_SIZE {
        return Some(0);
    }
    kernel().kern.memory.held.lock().blocks.get(&address).map(Layout::size)
}

unsafe extern "C" fn kmalloc(size: usize, _flags: u32) -> usize {
    if size > kernel().abi.kmalloc_max { 0 } else { allocate(size) }
}

unsafe extern "C" fn kmalloc_trace(_cache: usize, flags: u32, size: usize) -> usize {
    // SAFETY: as the caller says.
    unsafe { kmalloc(size, flags) }
}

unsafe extern "C" fn kmalloc_node(size: usize, flags: u32, _node: i32) -> usize {
    // SAFETY: as the caller says.
    unsafe { kmalloc(size, flags) }
}

unsafe extern "C" fn kmalloc_node_trace(_cache: usize, flags: u32, _node: i32, size: usize) -> usize {
    // SAFETY: as the caller says.
    unsafe { kmalloc(size, flags) }
}

unsafe extern "C" fn kvmalloc_node(size: usize, _flags: u32, _node: i32) -> usize {
    allocate(size)
}

unsafe extern "C" fn vmalloc(size: usize) -> usize {
    // What is mapped by pages is aligned to them.
    size.checked_next_multiple_of(PAGE).map_or(0, |size| if size == 0 { 0 } else { allocate(size) })
}

unsafe extern "C" fn kfree(address: usize) {
    if !free(address) {
        panic_format(format_args!("kfree of {address:#x}, which was not allocated"));
    }
}

unsafe extern "C" fn kfree_sensitive(address: usize) {
    match size_of_block(address) {
        Some(0) => {}
        Some(size) => {
            let start: *mut u8 = ptr::with_exposed_provenance_mut(address);
            for offset in 0..size {
                // SAFETY: the allocation has that many bytes. Volatile, because nobody reads them again.
                unsafe { start.add(offset).write_volatile(0) };
            }
            free(address);
        }
        None => panic_message("kfree_sensitive of what was not allocated"),
    }
}

unsafe extern "C" fn krealloc(address: usize, size: usize, flags: u32) -> usize {
    if size == 0 {
        // SAFETY: as the caller says.
        unsafe { kfree(address) };
        return ZERO_SIZE;
    }
    let Some(old) = size_of_block(address) else { panic_message("krealloc of what was not allocated") };
    if old >= size {
        return address;
    }
    // SAFETY: as the caller says.
    let new = unsafe { kmalloc(size, flags) };
    if new > ZERO_SIZE && old > 0 {
        // SAFETY: both have at least `old` bytes, and the new one overlaps nothing.
        unsafe {
            ptr::copy_nonoverlapping::<u8>(ptr::with_exposed_provenance(address), ptr::with_exposed_provenance_mut(new), old);
        }
    }
    if new != 0 {
        free(address);
    }
    new
}

unsafe extern "C" fn ksize(address: usize) -> usize {
    size_of_block(address).unwrap_or(0)
}

unsafe extern "C" fn get_free_pages(_flags: u32, order: u32) -> usize {
    if order > MAX_ORDER { 0 } else { allocate(PAGE << order) }
}

unsafe extern "C" fn get_zeroed_page(_flags: u32) -> usize {
    allocate(PAGE)
}

unsafe extern "C" fn free_pages(address: usize, _order: u32) {
    // SAFETY: as the caller says.
    unsafe { kfree(address) }
}

/// Adds the services. All memory is zeroed, whether it was asked for or not: nothing of the server shows.
pub(super) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    out.extend([
        // Code reads a cache's address from it and hands it on, nothing else.
        data!("kmalloc_caches", abi.kmalloc_caches, 64),
        function!("kmalloc_trace", kmalloc_trace),
        function!("kmalloc_node_trace", kmalloc_node_trace),
        function!("__kmalloc", kmalloc),
        function!("__kmalloc_node", kmalloc_node),
        function!("kmalloc_large", kmalloc),
        function!("kvmalloc_node", kvmalloc_node),
        function!("vmalloc", vmalloc),
        function!("vzalloc", vmalloc),
        function!("krealloc", krealloc),
        function!("ksize", ksize),
        function!("kfree", kfree),
        function!("kvfree", kfree),
        function!("vfree", kfree),
        function!("kfree_sensitive", kfree_sensitive),
        function!("kvfree_sensitive", kfree_sensitive),
        function!("__get_free_pages", get_free_pages),
        function!("get_zeroed_page", get_zeroed_page),
        function!("free_pages", free_pages),
    ]);
}
