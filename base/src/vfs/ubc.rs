//! Copying between files' pages and callers' memory.

use super::object::{Uio, UvmObject};
use super::pager;
use super::pages::{self, Page, SIZE};
use crate::abi::constants::{
    MAXPHYS, PGO_ALLPAGES, PGO_CLEANIT, PGO_NOBLOCKALLOC, PGO_NOTIMESTAMP, PGO_OVERWRITE, PGO_PASTEOF, PGO_SYNCIO, UBC_FAULTBUSY,
    UBC_WRITE, VM_PROT_READ, VM_PROT_WRITE,
};
use crate::export::{Export, function};
use crate::kern::errno::EIO;
use crate::kern::uio::uiomove;
use core::ptr;

/// Pages handled at a time: those of the largest transfer.
pub(crate) const WINDOW: usize = MAXPHYS as usize / SIZE;
const ASK: i32 = PGO_SYNCIO | PGO_NOBLOCKALLOC | PGO_NOTIMESTAMP;

/// Pages that `length` bytes from `offset` on touch, at most a window.
fn pages_of(offset: i64, length: usize) -> usize {
    let within = offset as usize & (SIZE - 1);
    within.saturating_add(length).div_ceil(SIZE).min(WINDOW)
}

/// Gets the pages of a range, calls `each` with the address and length of every piece of it, and gives them up; returns the
/// bytes done and the error that ended the work early.
fn for_each_piece(
    object: UvmObject,
    offset: i64,
    length: usize,
    (access, advice, flags): (i32, i32, i32),
    mut each: impl FnMut(*mut u8, usize) -> i32,
) -> (usize, i32) {
    let mut done = 0;
    while done < length {
        let at = offset + done as i64;
        let mut list = [Page::NULL; WINDOW];
        let mut count = pages_of(at, length - done) as i32;
        pager::lock(object);
        // SAFETY: the object is live and locked, the array as long as the count.
        let error = unsafe { pager::get(object, pages::truncate(at), list.as_mut_ptr(), &raw mut count, access, advice, flags) };
        if error != 0 {
            return (done, error);
        }
        let got = usize::try_from(count).unwrap_or(0).min(WINDOW);
        let mut error = if list[0].is_absent() || got == 0 { EIO } else { 0 };
        for page in &list[..got] {
            if error != 0 || page.is_absent() || done == length {
                break;
            }
            let within = (offset + done as i64) as usize & (SIZE - 1);
            let piece = (SIZE - within).min(length - done);
            // SAFETY: the piece lies inside the page, which is held.
            error = each(unsafe { page.data().add(within) }, piece);
            if access & VM_PROT_WRITE != 0 {
                page.mark_dirty();
            }
            if error == 0 {
                done += piece;
            }
        }
        pager::lock(object);
        for page in &list[..got] {
            pages::give_up(*page);
        }
        pager::unlock(object);
        if error != 0 {
            return (done, error);
        }
    }
    (done, 0)
}

pub(crate) unsafe extern "C" fn ubc_uiomove(object: UvmObject, uio: Uio, length: usize, advice: i32, flags: i32) -> i32 {
    let (access, extra) = if flags & UBC_WRITE == 0 {
        (VM_PROT_READ, 0)
    } else if flags & UBC_FAULTBUSY != 0 {
        // The caller promises to fill every page it does not extend into.
        (VM_PROT_READ | VM_PROT_WRITE, PGO_PASTEOF | PGO_OVERWRITE)
    } else {
        (VM_PROT_READ | VM_PROT_WRITE, PGO_PASTEOF)
    };
    let how = (access, advice, ASK | extra);
    // SAFETY: the piece is memory of a held page; the uio is the caller's.
    let error = for_each_piece(object, uio.offset(), length, how, |data, piece| unsafe { uiomove(data, piece, uio.0) }).1;
    if error == 0 && flags & UBC_WRITE != 0 && pages::are_scarce() {
        // Dirty pages cannot make way: write this object's.
        pager::lock(object);
        // SAFETY: a live object, locked.
        return unsafe { pager::put(object, 0, 0, PGO_ALLPAGES | PGO_CLEANIT | PGO_SYNCIO) };
    }
    error
}

pub(crate) unsafe extern "C" fn ubc_zerorange(object: UvmObject, offset: i64, length: usize, _flags: i32) {
    let how = (VM_PROT_READ | VM_PROT_WRITE, 0, ASK | PGO_PASTEOF);
    for_each_piece(object, offset, length, how, |data, piece| {
        // SAFETY: the piece is memory of a held page.
        unsafe { ptr::write_bytes(data, 0, piece) };
        0
    });
}

pub(crate) const EXPORTS: &[Export] = &[function!("ubc_uiomove", ubc_uiomove), function!("ubc_zerorange", ubc_zerorange)];

#[cfg(test)]
mod tests {
    use super::{WINDOW, pages_of};

    #[test]
    fn a_range_touches_its_pages_up_to_a_window() {
        assert_eq!((pages_of(0, 1), pages_of(4095, 1), pages_of(4095, 2), pages_of(0, 4096)), (1, 1, 2, 1));
        assert_eq!((pages_of(0, 1 << 30), pages_of(1, usize::MAX)), (WINDOW, WINDOW));
    }
}
