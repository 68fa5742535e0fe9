//! Runs of pages that a heap is made of.

use super::HeapSource;
use alloc::alloc::{Layout, alloc as allocate, dealloc};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use rumpload::resource::{Memory, Placement, Protection, Request, Reservation, Segment};

/// Bytes of a page, the unit that chunks are divided in.
pub(super) const PAGE: usize = 4096;

/// Mark of a page that nobody has.
const FREE: u32 = u32::MAX;

/// Who gave the pages.
enum Owner {
    Host { _region: Reservation },
    Allocator(Layout),
}

/// Pages that lie together, and which slab has which.
pub(super) struct Chunk {
    start: usize,
    owners: Vec<u32>,
    free: usize,
    /// Pages from this one on are as they came; with `zeroed` they are zero.
    fresh: usize,
    zeroed: bool,
    owner: Owner,
}

impl Chunk {
    /// A chunk of `pages` pages; none if there is no memory.
    pub(super) fn new(source: HeapSource, memory: &Arc<dyn Memory>, pages: usize) -> Option<Self> {
        let len = pages.checked_mul(PAGE)?;
        let (start, zeroed, owner) = match source {
            HeapSource::Host => {
                // What runs past the end faults in the last page.
                let guard = memory.page_size().max(PAGE);
                let usable = len.checked_next_multiple_of(guard)?;
                let request = Request { len: usable.checked_add(guard)?, align: guard, placement: Placement::Anywhere };
                let mut region = Reservation::new(memory, &request).ok()?;
                let usable = Segment { offset: 0, len: usable, protection: Protection::ReadWrite };
                region.finalize(&[usable, Segment { offset: usable.len, len: guard, protection: Protection::None }]).ok()?;
                (usize::try_from(region.run().get()).ok()?, true, Owner::Host { _region: region })
            }
            HeapSource::Allocator => {
                let layout = Layout::from_size_align(len, PAGE).ok()?;
                // SAFETY: the layout is that of one page at least.
                let start = unsafe { allocate(layout) };
                if start.is_null() {
                    return None;
                }
                (start.expose_provenance(), false, Owner::Allocator(layout))
            }
        };
        Some(Self { start, owners: vec![FREE; pages], free: pages, fresh: 0, zeroed, owner })
    }

    pub(super) fn start(&self) -> usize {
        self.start
    }

    pub(super) fn is_unused(&self) -> bool {
        self.free == self.owners.len()
    }

    /// Index of the page that holds `address`.
    fn page(&self, address: usize) -> Option<usize> {
        let page = address.checked_sub(self.start)? / PAGE;
        (page < self.owners.len()).then_some(page)
    }

    /// The slab that has the page of `address`.
    pub(super) fn owner(&self, address: usize) -> Option<u32> {
        self.page(address).map(|page| self.owners[page]).filter(|owner| *owner != FREE)
    }

    /// Gives `slab` the first run of `pages` free pages; returns its address, and whether all its bytes are zero.
    pub(super) fn take(&mut self, pages: usize, slab: u32) -> Option<(usize, bool)> {
        if self.free < pages {
            return None;
        }
        let mut run = 0..0;
        while run.len() < pages {
            if *self.owners.get(run.end)? == FREE {
                run.end += 1;
            } else {
                run = run.end + 1..run.end + 1;
            }
        }
        self.free -= pages;
        let zero = self.zeroed && run.start >= self.fresh;
        self.fresh = self.fresh.max(run.end);
        self.mark(run.clone(), slab);
        Some((self.start + run.start * PAGE, zero))
    }

    /// Takes a run of pages back.
    pub(super) fn give(&mut self, start: usize, pages: usize) {
        if let Some(first) = self.page(start) {
            self.mark(first..first + pages, FREE);
            self.free += pages;
        }
    }

    fn mark(&mut self, run: Range<usize>, owner: u32) {
        self.owners[run].fill(owner);
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        if let Owner::Allocator(layout) = self.owner {
            // SAFETY: the pages came from the allocator with this layout, and whoever drops the chunk gave them all up.
            unsafe { dealloc(core::ptr::with_exposed_provenance_mut(self.start), layout) };
        }
    }
}
