//! Anonymous objects: pages of zeros that nothing stores.

use super::object::UvmObject;
use super::pager;
use super::pages::{self, Page};
use crate::abi::Abi;
use crate::abi::constants::{PGO_ALLPAGES, PGO_CLEANIT, PGO_FREE, PGO_LOCKED};
use crate::export::{Export, function};
use crate::kern::errno::{EBUSY, EINVAL, ENOMEM};
use crate::kern::panic::panic_format;
use crate::kern::{lock, memory};
use crate::kernel::{Kernel, kernel};
use core::cell::Cell;
use core::ptr;

/// The pager of anonymous objects.
pub(crate) struct State {
    pager: Cell<*const u8>,
}

impl Default for State {
    fn default() -> Self {
        Self { pager: Cell::new(ptr::null()) }
    }
}

/// Bytes of an object: the structure and its size in bytes.
fn length(abi: &Abi) -> usize {
    abi.uvm_object.size.next_multiple_of(8)
}

fn size_of_object(object: UvmObject) -> *mut u64 {
    // SAFETY: the size lies behind the structure.
    unsafe { object.0.add(length(kernel().abi)).cast() }
}

pub(crate) fn fill(kernel: &Kernel) {
    let layout = &kernel.abi.uvm_pagerops;
    let operations = memory::alloc_or_end(layout.size, true);
    // SAFETY: the block has the structure's size.
    unsafe {
        layout.pgo_reference.write(operations, reference as *const ());
        layout.pgo_detach.write(operations, uao_detach as *const ());
        layout.pgo_get.write(operations, get as *const ());
        layout.pgo_put.write(operations, put as *const ());
    }
    kernel.vfs.anonymous.pager.set(operations);
}

fn create(size: u64) -> UvmObject {
    let object = UvmObject(memory::alloc_or_end(length(kernel().abi) + size_of::<u64>(), true));
    object.set_pager(kernel().vfs.anonymous.pager.get());
    object.set_references(1);
    // SAFETY: a fresh object; its lock is of its version's kind.
    unsafe {
        size_of_object(object).write(size);
        let by_rwlock = kernel().abi.vnode.v_interlock.is_present();
        object.set_lock(if by_rwlock { lock::rw_obj_alloc() } else { lock::mutex_obj_alloc(0, 0) });
    }
    object
}

unsafe extern "C" fn uao_create(size: usize, _flags: i32) -> UvmObject {
    create(size as u64)
}

unsafe extern "C" fn uao_create_wide(size: i64, _flags: i32) -> UvmObject {
    create(size.max(0) as u64)
}

unsafe extern "C" fn reference(object: UvmObject) {
    object.set_references(object.references() + 1);
}

unsafe extern "C" fn uao_detach(object: UvmObject) {
    let references = object.references();
    if references == 0 {
        panic_format(format_args!("anonymous object {:p} is detached once too often", object.0));
    }
    object.set_references(references - 1);
    if references > 1 {
        return;
    }
    pages::forget(object);
    // SAFETY: nobody has the object any more; it owns a share of its lock.
    unsafe {
        if kernel().abi.vnode.v_interlock.is_present() {
            lock::rw_obj_free(object.lock());
        } else {
            lock::mutex_obj_free(object.lock());
        }
        memory::free(object.0);
    }
}

unsafe extern "C" fn get(
    object: UvmObject,
    offset: i64,
    list: *mut Page,
    count: *mut i32,
    center: i32,
    _access: i32,
    _advice: i32,
    flags: i32,
) -> i32 {
    // SAFETY: the caller's count is readable, its array as long; the object is locked on entry.
    unsafe {
        let asked = usize::try_from(count.read()).unwrap_or(0);
        let resident_only = flags & PGO_LOCKED != 0;
        let mut error = if offset < 0 { EINVAL } else { 0 };
        let mut done = 0;
        while error == 0 && done < asked {
            let index = pages::index_of(offset) + done as u64;
            let page = match pages::find(object, index) {
                Some(page) => {
                    pages::take(page);
                    page
                }
                None if resident_only => Page::NULL,
                None => match pages::insert(object, index, true) {
                    // An anonymous page has no other bytes than zeros: it is filled.
                    Some(page) => {
                        page.mark_dirty();
                        page
                    }
                    None => {
                        error = ENOMEM;
                        break;
                    }
                },
            };
            list.add(done).write(page);
            done += 1;
        }
        if error != 0 {
            for at in 0..done {
                pages::give_up(list.add(at).read());
            }
        } else if resident_only {
            return if list.add(usize::try_from(center).unwrap_or(0)).read().is_absent() { EBUSY } else { 0 };
        }
        pager::unlock(object);
        error
    }
}

unsafe extern "C" fn put(object: UvmObject, from: i64, to: i64, flags: i32) -> i32 {
    // Nothing stores these pages: to write and then free one is to keep it.
    if flags & PGO_FREE != 0 && flags & PGO_CLEANIT == 0 {
        let all = flags & PGO_ALLPAGES != 0;
        let first = if all { 0 } else { pages::index_of(from) };
        let last = if all || to == 0 { u64::MAX } else { pages::index_of(pages::round(to)).saturating_sub(1) };
        if first <= last {
            while let Some(page) = pages::first_in(object, first..=last) {
                pages::free(page);
            }
        }
    }
    pager::unlock(object);
    0
}

/// `uao_create` takes its size in a type that differs between versions.
pub(crate) fn exports(abi: &'static Abi, out: &mut alloc::vec::Vec<Export>) {
    if abi.vnode.v_interlock.is_present() {
        out.push(function!("uao_create", uao_create_wide));
    } else {
        out.push(function!("uao_create", uao_create));
    }
    out.push(function!("uao_detach", uao_detach));
}

#[cfg(test)]
mod tests {
    use super::{create, uao_detach};
    use crate::abi::constants::{PGO_ALLPAGES, PGO_FREE, UBC_READ, UBC_WRITE};
    use crate::kern::errno::ENOMEM;
    use crate::kern::uio::Transfer;
    use crate::kernel::kernel;
    use crate::testing::Bench;
    use crate::vfs::object::{Uio, UvmObject};
    use crate::vfs::{pager, pages, ubc};
    use std::vec;

    fn copy(object: UvmObject, offset: i64, bytes: &mut [u8], flags: i32) -> i32 {
        let mut request = Transfer::new(bytes.as_mut_ptr(), bytes.len(), offset, flags == UBC_WRITE);
        // SAFETY: the request describes the bytes.
        unsafe { ubc::ubc_uiomove(object, Uio(request.uio()), bytes.len(), 0, flags) }
    }

    #[test]
    fn bytes_stay_until_the_object_goes() {
        Bench::new().inside(|| {
            let object = create(1 << 20);
            let mut bytes = vec![5; 100_000];
            assert_eq!(copy(object, 3000, &mut bytes, UBC_WRITE), 0);
            let mut back = vec![9; 110_000];
            assert_eq!(copy(object, 0, &mut back, UBC_READ), 0);
            assert!(back[..3000].iter().all(|byte| *byte == 0) && back[3000..103_000] == bytes && back[103_000] == 0);
            // SAFETY: a live object, locked for its pager; the other calls are those of its owner.
            unsafe {
                ubc::ubc_zerorange(object, 4096, 10, 0);
                assert_eq!(copy(object, 4090, &mut back[..20], UBC_READ), 0);
                assert_eq!(back[..20], [5, 5, 5, 5, 5, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 5, 5, 5]);
                pager::lock(object);
                assert_eq!(super::put(object, 8192, 0, PGO_FREE), 0);
                assert_eq!(kernel().vfs.pages.counts().anonymous, 2);
                pager::lock(object);
                assert_eq!(super::put(object, 0, 0, PGO_FREE | PGO_ALLPAGES), 0);
                uao_detach(object);
            }
            assert_eq!(kernel().vfs.pages.counts().anonymous, 0);
        });
    }

    #[test]
    fn without_memory_writing_fails() {
        Bench::new().inside(|| {
            pages::set_limit(20);
            let object = create(1 << 20);
            assert_eq!(copy(object, 0, &mut [1; 200_000], UBC_WRITE), ENOMEM);
            // SAFETY: the owner's call.
            unsafe { uao_detach(object) };
            assert_eq!(kernel().vfs.pages.counts().anonymous, 0);
        });
    }
}
