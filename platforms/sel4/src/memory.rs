//! Module memory from a domain's own untyped memory.
//!
//! A reserved region is pages mapped read-write. Finalizing takes text and read-only data out of the address space and maps
//! them again read-only, so that no writable mapping of them is left. This kernel sets no no-execute bit on x86: what is
//! mapped can be executed, and the guarantee is that text cannot be written.
//!
//! Pages that come back are kept, unmapped, and zeroed before they are used again: untyped memory itself comes back only as a
//! whole, when the domain ends.

use crate::error::KernelError;
use crate::invoke::{self, Access, Object, PAGE};
use crate::objects::{Objects, pages};
use crate::ranges::Ranges;
use crate::syscall::Cap;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ptr::NonNull;
use rumpload::address::RunAddr;
use rumpload::resource::{HostError, HostErrorKind, Memory, Placement, Protection, Region, Request, Segment};
use spin::Mutex;

/// Module memory of a domain.
pub struct DomainMemory {
    state: Mutex<State>,
}

struct State {
    vspace: Cap,
    objects: Objects,
    free: Ranges,
    /// Unmapped pages with old contents.
    pool: Vec<Cap>,
    /// Pages of each region by its address; `None`: taken out of the address space.
    regions: BTreeMap<u64, Vec<Page>>,
    used: usize,
    peak: usize,
}

#[derive(Clone, Copy)]
struct Page {
    cap: Cap,
    mapped: bool,
}

impl DomainMemory {
    /// Memory at the addresses `first..end`, made by `objects` and mapped in `vspace`.
    ///
    /// # Safety
    /// `vspace` must be the caller's own address space, in which nothing else uses these addresses.
    #[must_use]
    pub unsafe fn new(vspace: Cap, objects: Objects, first: u64, end: u64) -> Self {
        let (pool, regions) = (Vec::new(), BTreeMap::new());
        let state = State { vspace, objects, free: Ranges::new(first, end), pool, regions, used: 0, peak: 0 };
        Self { state: Mutex::new(state) }
    }

    /// Pages in use now, and most pages ever in use.
    #[must_use]
    pub fn usage(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.used, state.peak)
    }
}

impl State {
    /// A page with zeroes, mapped read-write at `address`.
    fn map_new(&mut self, address: u64) -> Result<Page, KernelError> {
        let (cap, old) = match self.pool.pop() {
            Some(cap) => (cap, true),
            None => (self.objects.make(Object::Page, 0)?, false),
        };
        // SAFETY: the address belongs to a free range of this memory, so nothing uses it.
        if let Err(error) = unsafe { self.objects.map(cap, self.vspace, address, Access::ReadWrite) } {
            self.pool.push(cap);
            return Err(error);
        }
        if old {
            // SAFETY: the page was just mapped here, read-write, for nobody else.
            unsafe { core::ptr::write_bytes(core::ptr::with_exposed_provenance_mut::<u8>(address as usize), 0, PAGE) };
        }
        Ok(Page { cap, mapped: true })
    }

    /// Unmaps the pages and keeps them.
    fn take_back(&mut self, address: u64, pages: Vec<Page>) {
        let len = (pages.len() * PAGE) as u64;
        self.used -= pages.len();
        for page in pages {
            // SAFETY: the owner gave the region up, or never got it.
            if !page.mapped || unsafe { invoke::unmap_page(page.cap) }.is_ok() {
                self.pool.push(page.cap);
            }
        }
        self.free.put(address, address + len);
    }
}

// SAFETY: `reserve` hands out freshly mapped pages of zeroes from a range that is in no other region until `release`; mapping
// and unmapping are done by the kernel, which also keeps the caches of translations right; x86 keeps its instruction cache
// coherent. After `finalize` text has no writable mapping. Pages that no segment covers are unmapped.
unsafe impl Memory for DomainMemory {
    fn page_size(&self) -> usize {
        PAGE
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        if request.len == 0 || !request.len.is_multiple_of(PAGE) || !request.align.is_power_of_two() || request.align < PAGE {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let (first, last) = match request.placement {
            Placement::Anywhere => (0, u64::MAX),
            Placement::Within { first, last } => (first, last),
        };
        if first > last {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let mut state = self.state.lock();
        let taken = state.free.take(request.len as u64, request.align as u64, first, last);
        let address = taken.ok_or(HostError::new(HostErrorKind::OutOfMemory))?;
        let mut list = Vec::new();
        let count = pages(request.len);
        state.used += count;
        let result = match list.try_reserve_exact(count) {
            Err(_) => Err(HostErrorKind::OutOfMemory.into()),
            Ok(()) => (0..count).try_for_each(|index| {
                list.push(state.map_new(address + (index * PAGE) as u64)?);
                Ok(())
            }),
        };
        if let Err(error) = result {
            state.used -= count - list.len();
            let rest = address + (list.len() * PAGE) as u64;
            state.take_back(address, list);
            state.free.put(rest, address + request.len as u64);
            return Err(error);
        }
        state.peak = state.peak.max(state.used);
        state.regions.insert(address, list);
        let working = NonNull::new(core::ptr::with_exposed_provenance_mut::<u8>(address as usize));
        let working = working.ok_or(HostError::new(HostErrorKind::Protocol))?;
        Ok(Region { run: RunAddr::new(address), working, len: request.len, cookie: 0 })
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        let fits = |segment: &Segment| {
            segment.offset.is_multiple_of(PAGE)
                && segment.len.is_multiple_of(PAGE)
                && segment.offset.checked_add(segment.len).is_some_and(|end| end <= region.len)
        };
        if !segments.iter().all(fits) {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let mut state = self.state.lock();
        let vspace = state.vspace;
        let base = region.run.get();
        let list = state.regions.get_mut(&base).ok_or(HostError::new(HostErrorKind::InvalidInput))?;
        for (index, page) in list.iter_mut().enumerate() {
            let at = index * PAGE;
            let segment = segments.iter().find(|segment| (segment.offset..segment.offset + segment.len).contains(&at));
            let access = match segment.map(|segment| segment.protection) {
                Some(Protection::ReadWrite) => continue,
                Some(Protection::Read | Protection::ReadExecute) => Some(Access::Read),
                Some(Protection::None) | None => None,
            };
            if page.mapped {
                // SAFETY: the owner of the region asked for it and only touches what its segments allow from here on.
                unsafe { invoke::unmap_page(page.cap) }?;
                page.mapped = false;
            }
            if let Some(access) = access {
                // SAFETY: as above; the page tables are there, as the page was mapped here before.
                unsafe { invoke::map_page(page.cap, vspace, base + at as u64, access) }?;
                page.mapped = true;
            }
        }
        Ok(())
    }

    fn release(&self, region: Region) {
        let mut state = self.state.lock();
        if let Some(pages) = state.regions.remove(&region.run.get()) {
            state.take_back(region.run.get(), pages);
        }
    }
}
