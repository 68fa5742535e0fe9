use super::Connection;
use crate::wire::{self, Interface, MAX_SEGMENTS, SEGMENT, failure::Failure};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ptr::NonNull;
use rumpload::address::RunAddr;
use rumpload::resource::{HostError, HostErrorKind, Memory, Placement, Protection, Region, Request, Segment};
use spin::Mutex;

/// Addresses of this domain that are kept free for what a memory server maps; inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arena {
    /// First address.
    pub first: u64,
    /// Last address.
    pub last: u64,
}

impl Arena {
    fn holds(self, start: u64, len: u64) -> bool {
        start >= self.first && start.checked_add(len - 1).is_some_and(|end| end <= self.last)
    }
}

/// Memory that the server at the other end of a connection maps into this domain.
///
/// Such a server is the domain's pager: it could change any mapping whatever it answers, so it is trusted to map what it says.
/// Everything that can be checked is: that regions lie in the [`Arena`], where they were asked for, and not over each other.
pub struct RemoteMemory {
    connection: Arc<Connection>,
    arena: Arena,
    page_size: usize,
    live: Mutex<Vec<Live>>,
}

/// A region that is reserved.
struct Live {
    run: u64,
    working: u64,
    len: u64,
}

impl RemoteMemory {
    /// The memory of the server, within `arena`.
    ///
    /// # Errors
    /// [`Unsupported`](HostErrorKind::Unsupported) if it serves none, [`Protocol`](HostErrorKind::Protocol) if its page size
    /// cannot be right.
    ///
    /// # Safety
    /// Nothing but the server maps or uses memory in `arena`, and the server keeps the contract of [`Memory`] for every region
    /// that it says to have mapped there.
    pub unsafe fn new(connection: &Arc<Connection>, arena: Arena) -> Result<Self, HostError> {
        connection.require(Interface::Memory)?;
        let [page_size] = connection.lock().host(wire::memory::INFO, &[])?;
        if !page_size.is_power_of_two() || !(512..=1 << 30).contains(&page_size) {
            return Err(HostErrorKind::Protocol.into());
        }
        Ok(Self { connection: connection.clone(), arena, page_size: page_size as usize, live: Mutex::new(Vec::new()) })
    }

    /// True if the server can have mapped this for `request`.
    fn fits(&self, request: &Request, new: &Live, live: &[Live]) -> bool {
        let (first, last) = bounds(request.placement);
        let placed = Arena { first, last }.holds(new.run, new.len) && new.run.is_multiple_of(request.align as u64);
        let mapped = self.arena.holds(new.run, new.len) && self.arena.holds(new.working, new.len);
        placed
            && mapped
            && new.working.is_multiple_of(self.page_size as u64)
            && live.iter().all(|old| apart((new.run, new.len), (old.run, old.len)))
            && live.iter().all(|old| apart((new.working, new.len), (old.working, old.len)))
    }
}

/// True if two runs of bytes (address and length) do not overlap; neither reaches the end of the address space.
fn apart(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0.saturating_add(a.1) <= b.0 || b.0.saturating_add(b.1) <= a.0
}

const fn bounds(placement: Placement) -> (u64, u64) {
    match placement {
        Placement::Anywhere => (0, u64::MAX),
        Placement::Within { first, last } => (first, last),
    }
}

// SAFETY: regions are what the server maps, which by the contract of `new` is what `Memory` promises; a region that cannot be
// right is given back at once. `finalize` and `release` are the server's.
unsafe impl Memory for RemoteMemory {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        if request.len == 0 {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let mut live = self.live.lock();
        live.try_reserve(1).map_err(|_| HostErrorKind::OutOfMemory)?;
        let (first, last) = bounds(request.placement);
        let mut exchange = self.connection.lock();
        let cookie = exchange.fresh();
        let words = [request.len as u64, request.align as u64, first, last, cookie];
        let [run, working] = exchange.acquire(wire::memory::RESERVE, wire::memory::RELEASE, &words).map_err(Failure::host)?;
        let new = Live { run, working, len: request.len as u64 };
        let pointer = usize::try_from(working).ok().and_then(|at| NonNull::new(core::ptr::with_exposed_provenance_mut(at)));
        match pointer {
            Some(working) if self.fits(request, &new, &live) => {
                live.push(new);
                Ok(Region { run: RunAddr::new(run), working, len: request.len, cookie })
            }
            _ => {
                exchange.give_back(wire::memory::RELEASE, cookie).map_err(Failure::host)?;
                Err(HostErrorKind::Protocol.into())
            }
        }
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        if segments.len() > MAX_SEGMENTS {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let mut exchange = self.connection.lock();
        let window = self.connection.window();
        for (index, segment) in segments.iter().enumerate() {
            let protection = match segment.protection {
                Protection::None => 0,
                Protection::Read => 1,
                Protection::ReadWrite => 2,
                Protection::ReadExecute => 3,
            };
            for (word, value) in [segment.offset as u64, segment.len as u64, protection].into_iter().enumerate() {
                window.write((index * SEGMENT + word * 8) as u64, &value.to_le_bytes())?;
            }
        }
        exchange.host(wire::memory::FINALIZE, &[region.cookie, 0, (segments.len() * SEGMENT) as u64]).map(|[]| ())
    }

    fn release(&self, region: Region) {
        // A server that is gone took its mappings with it; one that refuses is the only one who knows what is mapped there, so
        // the addresses stay taken.
        if self.connection.lock().give_back(wire::memory::RELEASE, region.cookie).is_ok() {
            self.live.lock().retain(|live| live.run != region.run.get());
        }
    }
}
