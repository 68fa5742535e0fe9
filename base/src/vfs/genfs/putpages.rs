//! `VOP_PUTPAGES`: writing dirty pages and dropping pages.

use super::node;
use super::runs::{self, Direction};
use crate::abi::constants::{PG_RELEASED, PGO_ALLPAGES, PGO_BUSYFAIL, PGO_CLEANIT, PGO_FREE};
use crate::export::{Export, function};
use crate::kern::errno::{EDEADLK, EIO};
use crate::kern::panic::panic_format;
use crate::kern::{cred, uio};
use crate::kernel::kernel;
use crate::vfs::object::{Uio, Vnode};
use crate::vfs::pages::{self, Page, SIZE};
use crate::vfs::ubc::WINDOW;
use crate::vfs::{pager, vop};
use core::ops::RangeInclusive;

/// Indices of the pages that a byte range covers; an end of 0 means all that follow.
fn range(from: i64, to: i64, all: bool) -> Option<RangeInclusive<u64>> {
    if all {
        return Some(0..=u64::MAX);
    }
    let first = pages::index_of(from);
    let last = if to <= 0 { u64::MAX } else { pages::index_of(pages::round(to)).checked_sub(1)? };
    (first <= last).then_some(first..=last)
}

pub(super) unsafe extern "C" fn genfs_putpages(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_putpages_args;
    // SAFETY: the arguments of putpages.
    let (vp, from, to, flags): (Vnode, i64, i64, i32) = unsafe {
        (
            layout.a_vp.read(arguments),
            layout.a_offlo.read(arguments),
            layout.a_offhi.read(arguments),
            layout.a_flags.read(arguments),
        )
    };
    pager::unlock(vp.object());
    let Some(range) = range(from, to, flags & PGO_ALLPAGES != 0) else { return 0 };
    match put(vp, range, flags) {
        Ok(()) => 0,
        Err(error) => error,
    }
}

fn put(vp: Vnode, range: RangeInclusive<u64>, flags: i32) -> Result<(), i32> {
    let object = vp.object();
    let (mut next, last) = range.into_inner();
    while next <= last {
        let Some(page) = pages::first_in(object, next..=last) else { return Ok(()) };
        let index = pages::index_of(page.offset());
        next = index.saturating_add(1);
        if page.is_busy() {
            if flags & PGO_BUSYFAIL != 0 {
                return Err(EDEADLK);
            }
            panic_format(format_args!("page {:#x} of vnode {:p} is put while it is held", page.offset(), vp.0));
        }
        if flags & PGO_CLEANIT != 0 && page.is_dirty() {
            next = index + write_row(vp, index, last, flags)? as u64;
        } else if flags & PGO_FREE != 0 {
            pages::free(page);
        }
    }
    Ok(())
}

/// Writes the dirty pages in a row from `index` on, up to a transfer's length; returns how many.
fn write_row(vp: Vnode, index: u64, last: u64, flags: i32) -> Result<usize, i32> {
    let mut list = [Page::NULL; WINDOW];
    let mut count = 0;
    while count < WINDOW && index + count as u64 <= last {
        let page = pages::find(vp.object(), index + count as u64).filter(|page| page.is_dirty() && !page.is_busy());
        let Some(page) = page else { break };
        pages::take(page);
        page.mark_clean();
        if flags & PGO_FREE != 0 {
            page.set_flags(PG_RELEASED, 0);
        }
        list[count] = page;
        count += 1;
    }
    // SAFETY: the list holds `count` pages, taken above; the function gives them up.
    match unsafe { node::write(vp, list.as_mut_ptr(), count as i32, flags) } {
        0 => Ok(count),
        error => Err(error),
    }
}

/// Ends a write: pages that could not be written stay dirty.
fn finish(vp: Vnode, list: &[Page], result: Result<(), i32>) -> i32 {
    pager::lock(vp.object());
    for page in list {
        if result.is_err() {
            page.set_flags(0, PG_RELEASED);
            page.mark_dirty();
        }
        pages::give_up(*page);
    }
    pager::unlock(vp.object());
    result.err().unwrap_or(0)
}

/// # Safety
/// `list` must hold `count` pages that the caller holds.
unsafe fn slice<'a>(list: *const Page, count: i32) -> &'a [Page] {
    // SAFETY: as the caller says.
    unsafe { core::slice::from_raw_parts(list, usize::try_from(count).unwrap_or(0)) }
}

/// Writes held pages in a row to where the file system says, and gives them up.
pub(super) unsafe extern "C" fn genfs_gop_write(vp: Vnode, list: *const Page, count: i32, _flags: i32) -> i32 {
    // SAFETY: module code passes pages that it or `genfs_putpages` holds.
    let row = unsafe { slice(list, count) };
    let Some(first) = row.first() else { return 0 };
    let offset = first.offset();
    let end = node::end(vp, vp.write_size(), 0);
    let length = usize::try_from(end - offset).unwrap_or(0).min(row.len() * SIZE);
    let result = runs::transfer(vp, row, offset, length, Direction::Write, &mut |_, _| {});
    finish(vp, row, result)
}

/// The same for file systems that write without pages: with `VOP_WRITE`.
unsafe extern "C" fn genfs_compat_gop_write(vp: Vnode, list: *const Page, count: i32, _flags: i32) -> i32 {
    // SAFETY: as above.
    let row = unsafe { slice(list, count) };
    let mut result = Ok(());
    for page in row {
        let length = usize::try_from(vp.file_size() - page.offset()).unwrap_or(0).min(SIZE);
        let mut request = uio::Transfer::new(page.data(), length, page.offset(), true);
        // SAFETY: a live vnode, which the caller holds; the request describes the page's bytes.
        let error = unsafe { vop::write(vp, Uio(request.uio()), 0, cred::current()) };
        let error = if error == 0 && request.residue() != 0 { EIO } else { error };
        if error != 0 {
            result = Err(error);
            break;
        }
    }
    finish(vp, row, result)
}

/// For vnodes without pages.
pub(crate) unsafe extern "C" fn null_putpages(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of putpages; the object is locked.
    unsafe { pager::unlock(super::subject(arguments).object()) };
    0
}

/// Transfers between a caller's memory and the device without pages: left to the usual way, which callers fall back to.
unsafe extern "C" fn genfs_directio(_vp: Vnode, _uio: *mut u8, _flags: i32) {}

pub(super) const EXPORTS: &[Export] = &[
    function!("genfs_putpages", genfs_putpages),
    function!("genfs_null_putpages", null_putpages),
    function!("genfs_gop_write", genfs_gop_write),
    function!("genfs_gop_write_rwmap", genfs_gop_write),
    function!("genfs_compat_gop_write", genfs_compat_gop_write),
    function!("genfs_directio", genfs_directio),
];

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn byte_ranges_become_pages() {
        assert_eq!(range(0, 0, true), Some(0..=u64::MAX));
        assert_eq!(range(8192, 0, false), Some(2..=u64::MAX));
        assert_eq!(range(4096, 8192, false), Some(1..=1));
        assert_eq!(range(4096, 8193, false), Some(1..=2));
        assert_eq!(range(8192, 8192, false), None);
    }
}
