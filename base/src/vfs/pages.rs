//! The page cache: which pages of which object are in memory.
//!
//! A page is one block: the `struct vm_page` that modules may see, what the base keeps about it, and its bytes. Clean pages
//! of files are kept until memory runs short and then go, least recently used first; dirty pages and anonymous ones stay.

use super::object::UvmObject;
use crate::abi::constants::{PAGE_SHIFT, PAGE_SIZE, PG_FAKE, PG_RELEASED};
use crate::kern::memory;
use crate::kern::panic::panic_format;
use crate::kernel::kernel;
use alloc::collections::BTreeMap;
use core::cell::{Cell, RefCell};
use core::ops::RangeInclusive;

pub(crate) use super::pager::set_size;

/// Bytes of a page.
pub(crate) const SIZE: usize = PAGE_SIZE as usize;
/// The least number of pages there may be: those of a transfer.
const LEAST: usize = super::ubc::WINDOW;
/// Pages that have to stay which one look for room passes.
const LOOKS: usize = 4 * LEAST;
/// Sequential readers that are recognised at a time.
const STREAMS: usize = 8;

/// Index of the page that holds byte `offset`.
pub(crate) const fn index_of(offset: i64) -> u64 {
    (offset as u64) >> PAGE_SHIFT
}

/// Start of the page that holds byte `offset`.
pub(crate) const fn truncate(offset: i64) -> i64 {
    offset & !(PAGE_SIZE as i64 - 1)
}

/// `offset` rounded up to a page; the largest page boundary if there is none above it.
pub(crate) const fn round(offset: i64) -> i64 {
    truncate(offset.saturating_add(PAGE_SIZE as i64 - 1))
}

/// `struct vm_page` and what lies behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(crate) struct Page(pub(crate) *mut u8);

/// What the base keeps about a page.
struct Side {
    older: Cell<Page>,
    newer: Cell<Page>,
    queued: Cell<bool>,
    /// Anonymous: nothing else has its bytes.
    anonymous: bool,
}

fn side_offset() -> usize {
    kernel().abi.vm_page.size.next_multiple_of(align_of::<Side>())
}

fn data_offset() -> usize {
    (side_offset() + size_of::<Side>()).next_multiple_of(16)
}

impl Page {
    pub(crate) const NULL: Self = Self(core::ptr::null_mut());

    /// Whether an array entry stands for no page: null, or the mark for one the caller does not want.
    pub(crate) fn is_absent(self) -> bool {
        self.0.is_null() || self.0.addr() == usize::MAX
    }

    fn side<'a>(self) -> &'a Side {
        // SAFETY: every page was allocated with its side behind the structure.
        unsafe { &*self.0.add(side_offset()).cast::<Side>() }
    }

    /// The page's bytes.
    pub(crate) fn data(self) -> *mut u8 {
        // SAFETY: the bytes lie in the same block.
        unsafe { self.0.add(data_offset()) }
    }

    pub(crate) fn flags(self) -> i32 {
        let field = kernel().abi.vm_page.flags;
        // SAFETY: a member of a live page; versions differ in its width.
        unsafe { if field.size() == 2 { i32::from(field.read::<u16>(self.0)) } else { field.read(self.0) } }
    }

    pub(crate) fn set_flags(self, set: i32, clear: i32) {
        let field = kernel().abi.vm_page.flags;
        let flags = self.flags() & !clear | set;
        // SAFETY: as above.
        unsafe { if field.size() == 2 { field.write(self.0, flags as u16) } else { field.write(self.0, flags) } }
    }

    /// Offset of the page's first byte in its object.
    pub(crate) fn offset(self) -> i64 {
        // SAFETY: a member of a live page.
        unsafe { kernel().abi.vm_page.offset.read(self.0) }
    }

    pub(crate) fn object(self) -> UvmObject {
        // SAFETY: a member of a live page.
        unsafe { kernel().abi.vm_page.uobject.read(self.0) }
    }

    pub(crate) fn is_busy(self) -> bool {
        self.flags() & busy_flag() != 0
    }

    /// Whether the bytes were never filled.
    pub(crate) fn is_fake(self) -> bool {
        self.flags() & PG_FAKE != 0
    }

    pub(crate) fn is_dirty(self) -> bool {
        self.flags() & clean_flag() == 0
    }

    /// The bytes differ from what is stored, or must be stored though they may not.
    pub(crate) fn mark_dirty(self) {
        self.set_flags(0, clean_flag() | PG_FAKE);
    }

    pub(crate) fn mark_clean(self) {
        self.set_flags(clean_flag(), 0);
    }
}

fn busy_flag() -> i32 {
    kernel().abi.constant.pg_busy as i32
}

fn clean_flag() -> i32 {
    kernel().abi.constant.pg_clean as i32
}

type Key = (usize, u64);

/// Where a sequential reader is expected next.
#[derive(Clone, Copy, Default)]
struct Stream {
    object: usize,
    next: u64,
}

/// All pages of a kernel.
pub(crate) struct State {
    pages: RefCell<BTreeMap<Key, Page>>,
    oldest: Cell<Page>,
    newest: Cell<Page>,
    /// Pages there may be, and how many there are of files and of anonymous objects.
    limit: Cell<usize>,
    files: Cell<usize>,
    anonymous: Cell<usize>,
    streams: Cell<[Stream; STREAMS]>,
    next_stream: Cell<usize>,
    /// Where the statistics for modules lie.
    statistics: Cell<*mut u8>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            pages: RefCell::default(),
            oldest: Cell::new(Page::NULL),
            newest: Cell::new(Page::NULL),
            limit: Cell::new(LEAST),
            files: Cell::new(0),
            anonymous: Cell::new(0),
            streams: Cell::new([Stream::default(); STREAMS]),
            next_stream: Cell::new(0),
            statistics: Cell::new(core::ptr::null_mut()),
        }
    }
}

/// How many pages there may be, are of files, and are anonymous.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) limit: usize,
    pub(crate) files: usize,
    pub(crate) anonymous: usize,
}

impl State {
    pub(crate) fn counts(&self) -> Counts {
        Counts { limit: self.limit.get(), files: self.files.get(), anonymous: self.anonymous.get() }
    }

    pub(crate) fn statistics(&self) -> *mut u8 {
        self.statistics.get()
    }

    pub(crate) fn set_statistics(&self, statistics: *mut u8) {
        self.statistics.set(statistics);
    }

    fn unqueue(&self, page: Page) {
        let side = page.side();
        if !side.queued.replace(false) {
            return;
        }
        let (older, newer) = (side.older.get(), side.newer.get());
        if older.is_absent() {
            self.oldest.set(newer);
        } else {
            older.side().newer.set(newer);
        }
        if newer.is_absent() {
            self.newest.set(older);
        } else {
            newer.side().older.set(older);
        }
    }

    fn queue(&self, page: Page) {
        let side = page.side();
        let newest = self.newest.get();
        side.older.set(newest);
        side.newer.set(Page::NULL);
        side.queued.set(true);
        if newest.is_absent() {
            self.oldest.set(page);
        } else {
            newest.side().newer.set(page);
        }
        self.newest.set(page);
    }

    fn count(&self, anonymous: bool) -> &Cell<usize> {
        if anonymous { &self.anonymous } else { &self.files }
    }
}

fn state() -> &'static State {
    &kernel().vfs.pages
}

/// Sets how many pages there may be.
pub(crate) fn set_limit(pages: usize) {
    state().limit.set(pages.max(LEAST));
    make_room(0);
    super::pager::refresh();
}

/// The page of `object` at `index`, if it is in memory.
pub(crate) fn find(object: UvmObject, index: u64) -> Option<Page> {
    state().pages.borrow().get(&(object.0.addr(), index)).copied()
}

/// The first page of `object` in a range of indices.
pub(crate) fn first_in(object: UvmObject, range: RangeInclusive<u64>) -> Option<Page> {
    let key = object.0.addr();
    let pages = state().pages.borrow();
    pages.range((key, *range.start())..=(key, *range.end())).next().map(|(_, page)| *page)
}

/// Whether any page of `object` is dirty.
pub(crate) fn any_dirty(object: UvmObject) -> bool {
    let key = object.0.addr();
    state().pages.borrow().range((key, 0)..=(key, u64::MAX)).any(|(_, page)| page.is_dirty())
}

/// Whether there are as many pages as there may be.
pub(crate) fn are_scarce() -> bool {
    let counts = state().counts();
    counts.files + counts.anonymous >= counts.limit
}

/// Gives clean pages of files back until `wanted` more pages fit. Looks at no more pages than a few transfers hold: those
/// that have to stay go to the end of the queue, so that a later look finds others.
fn make_room(wanted: usize) {
    let state = state();
    let mut looks = 0;
    while state.files.get() + state.anonymous.get() + wanted > state.limit.get() && looks < LOOKS {
        let page = state.oldest.get();
        if page.is_absent() {
            return;
        }
        if page.is_busy() || page.is_dirty() {
            state.unqueue(page);
            state.queue(page);
            looks += 1;
        } else {
            free(page);
        }
    }
}

/// A new page of zeros, busy and marked as never filled; none if there is no memory for an anonymous page.
///
/// File pages may exceed the limit for as long as they are busy or dirty.
pub(crate) fn insert(object: UvmObject, index: u64, anonymous: bool) -> Option<Page> {
    let state = state();
    make_room(1);
    if anonymous && state.anonymous.get() >= state.limit.get() {
        return None;
    }
    let block = memory::alloc(data_offset() + SIZE, true);
    if block.is_null() {
        return None;
    }
    let page = Page(block);
    let side = Side { older: Cell::new(Page::NULL), newer: Cell::new(Page::NULL), queued: Cell::new(false), anonymous };
    let layout = &kernel().abi.vm_page;
    // SAFETY: the block has room for the structure and its side.
    unsafe {
        block.add(side_offset()).cast::<Side>().write(side);
        layout.uobject.write(block, object);
        layout.offset.write(block, (index << PAGE_SHIFT) as i64);
    }
    page.set_flags(busy_flag() | clean_flag() | PG_FAKE, 0);
    let old = state.pages.borrow_mut().insert((object.0.addr(), index), page);
    debug_assert!(old.is_none(), "two pages of one object at one index");
    let count = state.count(anonymous);
    count.set(count.get() + 1);
    super::pager::refresh();
    Some(page)
}

/// Frees a page, busy or not.
pub(crate) fn free(page: Page) {
    let state = state();
    let anonymous = page.side().anonymous;
    state.unqueue(page);
    state.pages.borrow_mut().remove(&(page.object().0.addr(), index_of(page.offset())));
    let count = state.count(anonymous);
    count.set(count.get() - 1);
    // SAFETY: no table knows the page any more.
    unsafe { memory::free(page.0) };
    super::pager::refresh();
}

/// Makes a page the caller's. A page in use further up the stack would never be given up: that ends the instance.
pub(crate) fn take(page: Page) {
    if page.is_busy() {
        panic_format(format_args!("page {:#x} of object {:p} is taken twice", page.offset(), page.object().0));
    }
    page.set_flags(busy_flag(), 0);
}

/// Gives up pages the caller holds: those marked for it are freed, the others become the most recently used.
pub(crate) fn give_up(page: Page) {
    if page.is_absent() {
        return;
    }
    if !page.is_busy() {
        panic_format(format_args!("page {:#x} of object {:p} is given up, but not held", page.offset(), page.object().0));
    }
    if page.flags() & PG_RELEASED != 0 || (page.is_fake() && !page.is_dirty()) {
        free(page);
        return;
    }
    page.set_flags(0, busy_flag() | PG_FAKE);
    let state = state();
    state.unqueue(page);
    if !page.side().anonymous {
        state.queue(page);
    }
}

/// Drops every page of an object that nobody will use again, written or not.
pub(crate) fn forget(object: UvmObject) {
    while let Some(page) = first_in(object, 0..=u64::MAX) {
        free(page);
    }
    let mut streams = state().streams.get();
    for stream in &mut streams {
        if stream.object == object.0.addr() {
            *stream = Stream::default();
        }
    }
    state().streams.set(streams);
}

/// Whether reading `object` from page `index` on goes on where a reader stopped, or starts at its beginning; remembers that
/// the reader will be at `next`.
pub(crate) fn is_sequential(object: UvmObject, index: u64, next: u64) -> bool {
    let state = state();
    let mut streams = state.streams.get();
    let known = note(&mut streams, state.next_stream.get(), object.0.addr(), index, next);
    if !known {
        state.next_stream.set((state.next_stream.get() + 1) % STREAMS);
    }
    state.streams.set(streams);
    known || index == 0
}

/// Finds the stream that expects `index` and moves it on; otherwise starts one in place `spare`.
fn note(streams: &mut [Stream; STREAMS], spare: usize, object: usize, index: u64, next: u64) -> bool {
    // A reader of odd pieces asks for its last page again.
    let found = streams.iter_mut().find(|stream| stream.object == object && (stream.next == index || stream.next == index + 1));
    if let Some(stream) = found {
        stream.next = next;
        return true;
    }
    streams[spare] = Stream { object, next };
    false
}

#[cfg(test)]
mod tests {
    use super::{STREAMS, Stream, index_of, note, round, truncate};

    #[test]
    fn offsets_are_rounded_to_pages() {
        assert_eq!((truncate(4095), truncate(4096), round(0), round(1), round(4096)), (0, 4096, 0, 4096, 4096));
        assert_eq!(round(i64::MAX) & 4095, 0);
        assert_eq!((index_of(0), index_of(4095), index_of(4096)), (0, 0, 1));
    }

    #[test]
    fn sequential_readers_are_told_apart() {
        let mut streams = [Stream::default(); STREAMS];
        assert!(!note(&mut streams, 0, 1, 0, 1));
        assert!(!note(&mut streams, 1, 2, 7, 9));
        assert!(note(&mut streams, 2, 1, 1, 2));
        assert!(note(&mut streams, 2, 2, 8, 12), "the page read last, again");
        assert!(!note(&mut streams, 2, 1, 9, 10), "a jump");
        assert!(!note(&mut streams, 3, 3, 12, 13), "another object");
    }
}
