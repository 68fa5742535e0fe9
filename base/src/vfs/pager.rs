//! Vnodes as objects with pages: their pager, their size, and the memory statistics modules read.

use super::object::{UvmObject, Vnode};
use super::pages::{self, Page};
use super::{vnode, vop};
use crate::abi::Abi;
use crate::abi::constants::{PAGE_MASK, PAGE_SHIFT, PAGE_SIZE, PGO_FREE, PGO_SYNCIO};
use crate::export::{Export, data, function};
use crate::kern::lock;
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;

/// The size of a vnode whose file system has not said it.
const NOT_SET: i64 = crate::abi::constants::VSIZENOTSET as i64;

/// Whether objects are locked by a reader/writer lock of their own.
fn by_rwlock() -> bool {
    kernel().abi.vnode.v_interlock.is_present()
}

/// Locks an object.
pub(crate) fn lock(object: UvmObject) {
    // SAFETY: a live object has a lock of its version's kind.
    unsafe {
        if by_rwlock() {
            lock::rw_enter(object.lock(), crate::abi::constants::RW_WRITER);
        } else {
            lock::mutex_enter(object.lock());
        }
    }
}

/// Unlocks an object.
pub(crate) fn unlock(object: UvmObject) {
    // SAFETY: as above; the caller locked it.
    unsafe {
        if by_rwlock() {
            lock::rw_exit(object.lock());
        } else {
            lock::mutex_exit(object.lock());
        }
    }
}

/// The vnode whose first member the object is.
fn vnode_of(object: UvmObject) -> Vnode {
    Vnode(object.0)
}

type Get = unsafe extern "C" fn(UvmObject, i64, *mut Page, *mut i32, i32, i32, i32, i32) -> i32;

/// Asks an object's pager for pages. Entered with the object locked; unlocks.
///
/// # Safety
/// `pages` must hold `*count` entries.
pub(crate) unsafe fn get(
    object: UvmObject,
    offset: i64,
    pages: *mut Page,
    count: *mut i32,
    access: i32,
    advice: i32,
    flags: i32,
) -> i32 {
    // SAFETY: a live object's pager has this member.
    unsafe {
        let function: Get = core::mem::transmute(kernel().abi.uvm_pagerops.pgo_get.read::<*const ()>(object.pager()));
        function(object, offset, pages, count, 0, access, advice, flags)
    }
}

type Put = unsafe extern "C" fn(UvmObject, i64, i64, i32) -> i32;

/// Asks an object's pager to write or free pages. Entered with the object locked; unlocks.
///
/// # Safety
/// The object must be live.
pub(crate) unsafe fn put(object: UvmObject, from: i64, to: i64, flags: i32) -> i32 {
    // SAFETY: a live object's pager has this member.
    unsafe {
        let function: Put = core::mem::transmute(kernel().abi.uvm_pagerops.pgo_put.read::<*const ()>(object.pager()));
        function(object, from, to, flags)
    }
}

unsafe extern "C" fn reference(object: UvmObject) {
    // SAFETY: the object is a vnode's, which the caller holds.
    unsafe { vnode::vref(vnode_of(object)) };
}

unsafe extern "C" fn detach(object: UvmObject) {
    // SAFETY: as above.
    unsafe { vnode::vrele(vnode_of(object)) };
}

unsafe extern "C" fn get_pages(
    object: UvmObject,
    offset: i64,
    pages: *mut Page,
    count: *mut i32,
    center: i32,
    access: i32,
    advice: i32,
    flags: i32,
) -> i32 {
    // SAFETY: the object is a live vnode's.
    unsafe { vop::getpages(vnode_of(object), offset, pages.cast(), count, center, access, advice, flags) }
}

unsafe extern "C" fn put_pages(object: UvmObject, from: i64, to: i64, flags: i32) -> i32 {
    // SAFETY: as above.
    unsafe { vop::putpages(vnode_of(object), from, to, flags) }
}

/// Sets the size of a vnode's file and drops the pages behind it.
pub(crate) fn set_size(vp: Vnode, size: i64) {
    let object = vp.object();
    lock(object);
    let old = vp.write_size();
    let end = pages::round(size);
    if old != NOT_SET && old > end {
        // SAFETY: locked, as the operation wants; it unlocks.
        unsafe { vop::putpages(vp, end, 0, PGO_FREE | PGO_SYNCIO) };
        lock(object);
    }
    vp.set_file_size(size);
    vp.set_write_size(size);
    unlock(object);
}

unsafe extern "C" fn uvm_vnp_setsize(vp: Vnode, size: i64) {
    set_size(vp, size);
}

unsafe extern "C" fn uvm_vnp_setwritesize(vp: Vnode, size: i64) {
    debug_assert!(vp.file_size() != NOT_SET && vp.file_size() <= size, "a write ends before the file does");
    vp.set_write_size(size);
}

/// Replaces an object's lock; takes over the caller's share of the new one.
unsafe extern "C" fn uvm_obj_setlock(object: UvmObject, new: *mut u8) {
    let old = object.lock();
    // SAFETY: an object owns a share of its lock.
    unsafe {
        if by_rwlock() {
            object.set_lock(if new.is_null() { lock::rw_obj_alloc() } else { new });
            if !old.is_null() {
                lock::rw_obj_free(old);
            }
        } else {
            object.set_lock(if new.is_null() { lock::mutex_obj_alloc(0, 0) } else { new });
            if !old.is_null() {
                lock::mutex_obj_free(old);
            }
        }
    }
}

/// Whether a vnode has nothing to write.
unsafe extern "C" fn uvn_clean_p(object: UvmObject) -> bool {
    !pages::any_dirty(object)
}

unsafe extern "C" fn uvm_page_unbusy(list: *mut Page, count: i32) {
    for at in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the caller's array has `count` entries.
        pages::give_up(unsafe { list.add(at).read() });
    }
}

/// Pages become recently used when they are given up.
unsafe extern "C" fn uvm_pageactivate(_page: Page) {}

/// Brings the statistics up to date.
pub(crate) fn refresh() {
    publish(kernel());
}

fn publish(kernel: &Kernel) {
    let state = &kernel.vfs.pages;
    let base = state.statistics();
    if base.is_null() {
        return;
    }
    let counts = state.counts();
    let number = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    let layout = &kernel.abi.uvmexp;
    // SAFETY: the export has the structure's size.
    unsafe {
        layout.npages.write(base, number(counts.limit));
        layout.free.write(base, number(counts.limit.saturating_sub(counts.files + counts.anonymous)));
        layout.filepages.write(base, number(counts.files));
        layout.anonpages.write(base, number(counts.anonymous));
    }
}

/// Exports whose size the version decides.
pub(crate) fn sized_exports(abi: &'static Abi, out: &mut Vec<Export>) {
    let word = align_of::<usize>();
    out.push(data!("uvm_vnodeops", abi.uvm_pagerops.size, word));
    out.push(data!("uvmexp", abi.uvmexp.size, word));
    out.push(data!("uvm", abi.uvm.size, word));
}

pub(crate) fn fill(kernel: &Kernel) {
    let operations = kernel.data("uvm_vnodeops");
    let layout = &kernel.abi.uvm_pagerops;
    let statistics = kernel.data("uvmexp");
    let numbers = &kernel.abi.uvmexp;
    // SAFETY: the exports have their structures' sizes.
    unsafe {
        layout.pgo_reference.write(operations, reference as *const ());
        layout.pgo_detach.write(operations, detach as *const ());
        layout.pgo_get.write(operations, get_pages as *const ());
        layout.pgo_put.write(operations, put_pages as *const ());
        numbers.pagesize.write(statistics, PAGE_SIZE);
        numbers.pagemask.write(statistics, PAGE_MASK);
        numbers.pageshift.write(statistics, PAGE_SHIFT);
        numbers.freemin.write(statistics, 16i32);
        numbers.freetarg.write(statistics, 64i32);
        lock::mutex_init(kernel.data("uvm_pageqlock"), 0, 0);
        // No thread is the page daemon: file systems compare this with the current one.
        kernel.abi.uvm.pagedaemon_lwp.write(kernel.data("uvm"), core::ptr::null::<u8>());
    }
    kernel.vfs.pages.set_statistics(statistics);
    publish(kernel);
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("uvm_vnp_setsize", uvm_vnp_setsize),
    function!("uvm_vnp_setwritesize", uvm_vnp_setwritesize),
    function!("uvm_obj_setlock", uvm_obj_setlock),
    function!("uvn_clean_p", uvn_clean_p),
    function!("uvm_page_unbusy", uvm_page_unbusy),
    function!("uvm_pageactivate", uvm_pageactivate),
    data!("uvm_pageqlock", size_of::<usize>(), align_of::<usize>()),
];
