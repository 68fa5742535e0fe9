//! `VOP_GETPAGES`: pages of a file, read if they are not in memory, with some more behind them for readers that go on.

use super::node;
use super::runs::{self, Direction};
use crate::abi::constants::{
    GOP_SIZE_MEM, GOP_UPDATE_ACCESSED, GOP_UPDATE_MODIFIED, MNT_NOATIME, MNT_NODEVMTIME, PAGE_SHIFT, PG_FAKE, PG_RDONLY,
    PGO_GLOCKHELD, PGO_LOCKED, PGO_NOBLOCKALLOC, PGO_NOTIMESTAMP, PGO_OVERWRITE, PGO_PASTEOF, PGO_SYNCIO, VBLK, VM_PROT_WRITE,
};
use crate::export::{Export, function};
use crate::kern::errno::{EBUSY, EINVAL, EIO, ENOMEM};
use crate::kern::{cred, uio};
use crate::kernel::kernel;
use crate::vfs::object::{Uio, Vnode};
use crate::vfs::pages::{self, Page, SIZE};
use crate::vfs::ubc::WINDOW;
use crate::vfs::{pager, vop};
use core::ptr;

/// What the caller of `VOP_GETPAGES` wants.
#[derive(Clone, Copy)]
struct Request {
    vp: Vnode,
    offset: i64,
    list: *mut Page,
    count: *mut i32,
    center: usize,
    write: bool,
    flags: i32,
}

impl Request {
    /// # Safety
    /// `arguments` must be the arguments of getpages.
    unsafe fn new(arguments: *mut u8) -> Self {
        let layout = &kernel().abi.vop_getpages_args;
        // SAFETY: as the caller says.
        unsafe {
            Self {
                vp: layout.a_vp.read(arguments),
                offset: layout.a_offset.read(arguments),
                list: layout.a_m.read(arguments),
                count: layout.a_count.read(arguments),
                center: usize::try_from(layout.a_centeridx.read::<i32>(arguments)).unwrap_or(0),
                write: layout.a_access_type.read::<i32>(arguments) & VM_PROT_WRITE != 0,
                flags: layout.a_flags.read(arguments),
            }
        }
    }

    /// Pages asked for.
    fn wanted(self) -> usize {
        // SAFETY: the caller's count is readable.
        usize::try_from(unsafe { self.count.read() }).unwrap_or(0)
    }

    fn has(self, flag: i32) -> bool {
        self.flags & flag != 0
    }

    /// Only what is in memory; entered and left with the object locked.
    fn resident(self) -> i32 {
        let first = pages::index_of(self.offset);
        let mut found = Page::NULL;
        for at in 0..self.wanted() {
            let page = pages::find(self.vp.object(), first + at as u64);
            let usable = page.filter(|page| !page.is_busy() && (!self.write || page.flags() & PG_RDONLY == 0));
            let page = usable.inspect(|page| pages::take(*page)).unwrap_or(Page::NULL);
            // SAFETY: the caller's array has `count` entries; entries it does not want hold a mark.
            unsafe {
                if page.is_absent() || !self.list.add(at).read().0.is_null() {
                    pages::give_up(page);
                    continue;
                }
                self.list.add(at).write(page);
            }
            if at == self.center {
                found = page;
            }
        }
        if found.is_absent() { EBUSY } else { 0 }
    }

    /// Takes or makes the first `count` pages, busy.
    fn collect(self, count: usize) -> Result<(), i32> {
        let first = pages::index_of(self.offset);
        for at in 0..count {
            let index = first + at as u64;
            let page = match pages::find(self.vp.object(), index) {
                Some(page) => {
                    pages::take(page);
                    page
                }
                None => match pages::insert(self.vp.object(), index, false) {
                    Some(page) => page,
                    None => {
                        self.give_back(at);
                        return Err(ENOMEM);
                    }
                },
            };
            // SAFETY: the caller's array has room for its count.
            unsafe { self.list.add(at).write(page) };
        }
        Ok(())
    }

    /// Gives up the first `count` pages; those never filled are freed.
    fn give_back(self, count: usize) {
        for at in 0..count {
            // SAFETY: the entries were written by `collect`.
            unsafe {
                pages::give_up(self.list.add(at).read());
                self.list.add(at).write(Page::NULL);
            }
        }
    }

    fn page(self, at: usize) -> Page {
        // SAFETY: the entries were written by `collect`.
        unsafe { self.list.add(at).read() }
    }
}

pub(super) unsafe extern "C" fn genfs_getpages(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of getpages.
    let request = unsafe { Request::new(arguments) };
    let vp = request.vp;
    let object = vp.object();
    let size = vp.file_size();
    let wanted = request.wanted();
    let disk_end = node::end(vp, size, 0);
    let reach = request.offset.saturating_add_unsigned((wanted as u64) << PAGE_SHIFT);
    let memory_end = node::end(vp, if request.has(PGO_PASTEOF) { size.max(reach) } else { size }, GOP_SIZE_MEM);
    let center = request.offset.saturating_add_unsigned((request.center as u64) << PAGE_SHIFT);
    if request.offset < 0 || center >= memory_end {
        if !request.has(PGO_LOCKED) {
            pager::unlock(object);
        }
        return EINVAL;
    }
    note_use(request);
    if request.has(PGO_LOCKED) {
        return request.resident();
    }
    pager::unlock(object);
    if !request.has(PGO_SYNCIO) || request.list.is_null() {
        // A hint: reading ahead has no thread to do it.
        return 0;
    }
    let held = request.has(PGO_GLOCKHELD);
    if !held {
        node::lock_shared(vp);
    }
    let count = wanted.min(((pages::round(memory_end) - request.offset) as u64 >> PAGE_SHIFT) as usize);
    let result = request.collect(count).and_then(|()| {
        let filled = if request.has(PGO_OVERWRITE) {
            for at in 0..count {
                // What the caller is about to fill need not be read; a page it only touches keeps its bytes.
                if request.page(at).is_fake() {
                    request.page(at).set_flags(0, PG_RDONLY);
                    request.page(at).mark_dirty();
                }
            }
            Ok(())
        } else {
            read_missing(request, count, disk_end)
        };
        filled.inspect_err(|_| request.give_back(count))
    });
    if !held {
        node::unlock(vp);
    }
    match result {
        Ok(()) => {
            // SAFETY: the caller's count is writable.
            unsafe { request.count.write(count as i32) };
            0
        }
        Err(error) => error,
    }
}

/// Tells the file system of an access, unless the mount or the caller says not to.
fn note_use(request: Request) {
    let flags = request.vp.mount().flag();
    if request.has(PGO_NOTIMESTAMP) || (request.vp.kind() == VBLK && flags & MNT_NODEVMTIME != 0) {
        return;
    }
    let accessed = if flags & MNT_NOATIME == 0 { GOP_UPDATE_ACCESSED } else { 0 };
    let update = accessed | if request.write { GOP_UPDATE_MODIFIED } else { 0 };
    if update != 0 {
        node::mark_update(request.vp, update);
    }
}

/// Fills the pages of the request that were never filled.
fn read_missing(request: Request, count: usize, disk_end: i64) -> Result<(), i32> {
    let object = request.vp.object();
    let first = pages::index_of(request.offset);
    let ahead = pages::is_sequential(object, first, first + count as u64);
    let mut at = 0;
    while at < count {
        if !request.page(at).is_fake() {
            at += 1;
            continue;
        }
        let mut list = [Page::NULL; WINDOW];
        let mut own = 0;
        while own < WINDOW && at + own < count && request.page(at + own).is_fake() {
            list[own] = request.page(at + own);
            own += 1;
        }
        let mut length = own;
        if ahead && at + own == count {
            length = add_ahead(request, first + count as u64, disk_end, &mut list, own);
        }
        let result = fill_row(request, &list[..length], disk_end);
        for page in &list[own..length] {
            pages::give_up(*page);
        }
        result?;
        at += own;
    }
    Ok(())
}

/// Makes pages behind the request's, up to a window, to be read along with them.
fn add_ahead(request: Request, from: u64, disk_end: i64, list: &mut [Page; WINDOW], own: usize) -> usize {
    let object = request.vp.object();
    let mut length = own;
    let mut index = from;
    let end = pages::index_of(pages::round(disk_end));
    while length < WINDOW && index < end && pages::find(object, index).is_none() {
        let Some(page) = pages::insert(object, index, false) else { break };
        list[length] = page;
        length += 1;
        index += 1;
    }
    length
}

/// Fills pages in a row, none of which was filled before: from below up to the file's end, with zeros behind it.
fn fill_row(request: Request, row: &[Page], disk_end: i64) -> Result<(), i32> {
    let Some(first) = row.first() else { return Ok(()) };
    let offset = first.offset();
    let stored = usize::try_from(disk_end - offset).unwrap_or(0).min(row.len() * SIZE);
    let mut hole = |from: usize, length: usize| {
        for page in &row[from / SIZE..(from + length).div_ceil(SIZE)] {
            if request.write {
                page.set_flags(0, kernel().abi.constant.pg_clean as i32);
            }
            if !request.write || request.has(PGO_NOBLOCKALLOC) {
                page.set_flags(PG_RDONLY, 0);
            }
        }
    };
    runs::transfer(request.vp, row, offset, stored, Direction::Read, &mut hole)?;
    // Fresh pages are zeros: what lies behind the end is so already.
    for page in row {
        page.set_flags(0, PG_FAKE);
    }
    Ok(())
}

/// For file systems that read without pages: fills them with `VOP_READ`.
unsafe extern "C" fn genfs_compat_getpages(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of getpages.
    let request = unsafe { Request::new(arguments) };
    let vp = request.vp;
    if request.has(PGO_LOCKED) {
        return request.resident();
    }
    pager::unlock(vp.object());
    let center = request.offset.saturating_add_unsigned((request.center as u64) << PAGE_SHIFT);
    if request.offset < 0 || center >= vp.file_size() {
        return EINVAL;
    }
    if !request.has(PGO_SYNCIO) || request.list.is_null() {
        return 0;
    }
    let count = request.wanted();
    let result = request.collect(count).and_then(|()| {
        let filled = (0..count).map(|at| request.page(at)).filter(|page| page.is_fake()).try_for_each(|page| {
            read_page(vp, page)?;
            page.set_flags(0, PG_FAKE);
            Ok(())
        });
        filled.inspect_err(|_| request.give_back(count))
    });
    result.err().unwrap_or(0)
}

fn read_page(vp: Vnode, page: Page) -> Result<(), i32> {
    let mut request = uio::Transfer::new(page.data(), SIZE, page.offset(), false);
    // SAFETY: a live vnode, which the caller holds; the request describes the page's bytes.
    let error = unsafe { vop::read(vp, Uio(request.uio()), 0, cred::current()) };
    if error != 0 {
        return Err(error);
    }
    let left = request.residue();
    if left > SIZE {
        return Err(EIO);
    }
    // SAFETY: the bytes lie inside the page.
    unsafe { ptr::write_bytes(page.data().add(SIZE - left), 0, left) };
    Ok(())
}

pub(super) const EXPORTS: &[Export] =
    &[function!("genfs_getpages", genfs_getpages), function!("genfs_compat_getpages", genfs_compat_getpages)];
