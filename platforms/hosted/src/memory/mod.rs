//! Memory for modules: address space from pools, protection by `mprotect`.
//!
//! Fresh pages are what a load really costs in a process, so released regions are zeroed and handed out again, and a module
//! costs one call to the kernel per protection it needs plus one to give them back. Writing through the region itself and
//! changing its protection afterwards was measured against a second, writable mapping of the same `memfd` pages: see
//! `docs/hosted-memory.md`.

mod arena;

use crate::error::host_error;
pub(crate) use arena::is_module_memory;
use arena::{Arena, Free};
use rumpload::address::{RunAddr, align_up};
use rumpload::resource::{HostError, HostErrorKind, Memory as MemoryResource, Placement, Protection, Region, Request, Segment};
use rustix::mm::{Advice, MprotectFlags};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Address space that a pool takes from the kernel at once, in bytes.
const ARENA: usize = 16 << 20;
/// From this size on, a released region's pages go back to the kernel instead of being zeroed: most of a large region (a
/// stack) was never touched, and touching it only to zero it would cost more than fresh pages.
const GIVE_BACK: usize = 256 << 10;

/// Up to this size a region bound to a range of addresses gets its pages at once: it is a module's, which is about to be
/// written whole.
const FILLED: usize = 1 << 20;

/// [`Memory`](rumpload::resource::Memory) of a Linux process.
///
/// Regions bound to a range of addresses come from pools that are found by probing the range from its low end; others from
/// wherever the kernel likes. No page is ever writable and executable, not even while a module is being linked.
#[derive(Debug)]
pub struct Memory {
    page_size: usize,
    arenas: Mutex<Vec<Arena>>,
}

impl Memory {
    /// Memory with empty pools.
    #[must_use]
    pub fn new() -> Self {
        Self { page_size: rustix::param::page_size(), arenas: Mutex::new(Vec::new()) }
    }

    /// Bytes handed out and not yet released.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.lock().iter().map(Arena::in_use).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arena>> {
        // Nothing in here leaves the lists half changed when it panics.
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, request: &Request) -> Result<(), HostError> {
        let whole = request.len != 0 && request.len.is_multiple_of(self.page_size) && isize::try_from(request.len).is_ok();
        let aligned = request.align.is_power_of_two() && request.align >= self.page_size;
        let range = match request.placement {
            Placement::Anywhere => true,
            Placement::Within { first, last } => first <= last,
        };
        if whole && aligned && range { Ok(()) } else { Err(HostErrorKind::InvalidInput.into()) }
    }

    /// Takes pages that nobody uses, from the pools or from the kernel.
    fn take(&self, request: &Request) -> Result<usize, HostError> {
        let mut arenas = self.lock();
        let bounds = Bounds::of(request.placement).ok_or(HostErrorKind::OutOfMemory)?;
        let fill = matches!(request.placement, Placement::Within { .. }) && request.len <= FILLED;
        let take = |arena: &mut Arena| {
            let at = arena.take(request.len, request.align, bounds)?;
            if fill {
                arena.fill(at, request.len);
            }
            Some(at)
        };
        if let Some(at) = arenas.iter_mut().find_map(take) {
            return Ok(at);
        }
        let slack = request.align - self.page_size;
        let needed = request.len.checked_add(slack).ok_or(HostErrorKind::OutOfMemory)?;
        let arena = match request.placement {
            Placement::Anywhere => Arena::map_anywhere(needed.max(ARENA), needed)?,
            Placement::Within { .. } => Arena::map_within(bounds, needed, ARENA, self.page_size)?,
        };
        arenas.push(arena);
        let taken = arenas.last_mut().and_then(take);
        taken.ok_or_else(|| HostErrorKind::OutOfMemory.into())
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Inclusive range of addresses as far as this process can name them.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    first: usize,
    last: usize,
}

impl Bounds {
    fn of(placement: Placement) -> Option<Self> {
        match placement {
            Placement::Anywhere => Some(Self { first: 0, last: usize::MAX }),
            Placement::Within { first, last } => {
                Some(Self { first: usize::try_from(first).ok()?, last: usize::try_from(last).unwrap_or(usize::MAX) })
            }
        }
    }

    /// Where a piece of `len` bytes lies in `free` within the bounds; `align` is a power of two.
    fn fit(self, free: Free, len: usize, align: usize) -> Option<usize> {
        let start = align_up(free.start.max(self.first), align)?;
        let end = start.checked_add(len)?;
        (end <= free.start + free.len && end - 1 <= self.last).then_some(start)
    }
}

// SAFETY: regions are pieces of private anonymous mappings that the pools own and hand out once until release; pieces are
// zeroed when they come back (or fresh from the kernel) and readable and writable then. `finalize` sets exactly the
// protections asked for with mprotect, none of which is writable and executable, and synchronises the instruction cache.
unsafe impl MemoryResource for Memory {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        self.check(request)?;
        let at = self.take(request)?;
        let working = NonNull::new(at as *mut u8).ok_or(HostErrorKind::OutOfMemory)?;
        Ok(Region { run: RunAddr::new(at as u64), working, len: request.len, cookie: 0 })
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        let whole = |bytes: usize| bytes.is_multiple_of(self.page_size);
        for segment in segments {
            let inside = segment.offset.checked_add(segment.len).is_some_and(|end| end <= region.len);
            if !inside || !whole(segment.offset) || !whole(segment.len) {
                return Err(HostErrorKind::InvalidInput.into());
            }
        }
        let mut rest = segments;
        while let Some((head, tail)) = rest.split_first() {
            // Neighbours of one protection are one call.
            let mut len = head.len;
            let joined = tail.iter().take_while(|next| {
                let joins = next.protection == head.protection && next.offset == head.offset + len;
                len += if joins { next.len } else { 0 };
                joins
            });
            rest = &tail[joined.count()..];
            let flags = match head.protection {
                // What is writable from the start needs no call.
                Protection::ReadWrite => continue,
                Protection::None => MprotectFlags::empty(),
                Protection::Read => MprotectFlags::READ,
                Protection::ReadExecute => MprotectFlags::READ | MprotectFlags::EXEC,
            };
            // SAFETY: the segment lies in the region, which the caller owns and which no Rust reference points to any more.
            unsafe { protect(region.working.as_ptr().wrapping_add(head.offset), len, flags)? };
            if head.protection == Protection::ReadExecute {
                synchronize(region.working.as_ptr().wrapping_add(head.offset), len);
            }
        }
        Ok(())
    }

    fn discard(&self, region: &Region, part: Segment) -> Result<(), HostError> {
        self.finalize(region, &[Segment { protection: Protection::None, ..part }])?;
        let start = region.working.as_ptr().wrapping_add(part.offset);
        // SAFETY: the part lies in the region, as `finalize` has checked, and its owner gives it up: its bytes may go.
        unsafe { rustix::mm::madvise(start.cast(), part.len, Advice::LinuxDontNeed) }.map_err(host_error)
    }

    fn release(&self, region: Region) {
        let start = region.working.as_ptr();
        // SAFETY: the caller gives the region up, so nothing runs in it or points to it; it was mapped by a pool.
        let cleared = unsafe {
            protect(start, region.len, MprotectFlags::READ | MprotectFlags::WRITE).and_then(|()| {
                if region.len >= GIVE_BACK {
                    rustix::mm::madvise(start.cast(), region.len, Advice::LinuxDontNeed).map_err(host_error)
                } else {
                    start.write_bytes(0, region.len);
                    Ok(())
                }
            })
        };
        let mut arenas = self.lock();
        let at = start as usize;
        let Some(index) = arenas.iter().position(|arena| arena.contains(at)) else { return };
        match cleared {
            Ok(()) => arenas[index].give(at, region.len),
            // Pages that cannot be made clean again are never handed out again.
            Err(_) => arenas[index].lose(region.len),
        }
        // Arenas made for one large region go back to the kernel; those of the usual size stay for the next load.
        if arenas[index].is_unused() && arenas[index].len() > ARENA {
            drop(arenas.swap_remove(index));
        }
    }
}

/// Sets the protection of pages.
///
/// # Safety
/// The range lies in a mapping of this crate, and its owner wants this.
unsafe fn protect(start: *mut u8, len: usize, flags: MprotectFlags) -> Result<(), HostError> {
    if len == 0 {
        return Ok(());
    }
    // SAFETY: as documented above.
    unsafe { rustix::mm::mprotect(start.cast::<c_void>(), len, flags) }.map_err(host_error)
}

/// Makes instruction fetches see the bytes that were written.
fn synchronize(start: *mut u8, len: usize) {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    let _ = (start, len);
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
    {
        unsafe extern "C" {
            fn __clear_cache(start: *mut u8, end: *mut u8);
        }
        // SAFETY: the range is mapped readable; the compiler's run-time library only touches caches.
        unsafe { __clear_cache(start, start.wrapping_add(len)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumpload::resource::Reservation;
    use std::sync::Arc;

    #[test]
    fn a_discarded_part_is_gone_and_clean_when_it_comes_back() {
        let memory: Arc<dyn MemoryResource> = Arc::new(Memory::new());
        let page = memory.page_size();
        let request = Request { len: 2 * page, align: page, placement: Placement::Anywhere };
        for _ in 0..2 {
            let mut region = Reservation::new(&memory, &request).expect("reserved");
            assert!(region.bytes_mut().iter().all(|&byte| byte == 0));
            region.bytes_mut().fill(7);
            region.finalize(&[]).expect("finalized");
            let part = Segment { offset: page, len: page, protection: Protection::None };
            region.discard(part).expect("discarded");
            assert!(region.discard(Segment { len: 2 * page, ..part }).is_err());
        }
    }
}
