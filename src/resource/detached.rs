use super::{HostError, HostErrorKind, Memory, Placement, Region, Request, Segment};
use crate::address::{RunAddr, align_up};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr::NonNull;
use spin::Mutex;

/// Memory for linking without running: bytes on the heap, run addresses as chosen, nothing ever executable.
pub struct Detached {
    page_size: usize,
    state: Mutex<State>,
}

struct State {
    next: u64,
    regions: Vec<(u64, Box<[u8]>)>,
}

impl Detached {
    /// Memory whose first region runs at `first` (rounded up to what the request wants) and whose others follow.
    #[must_use]
    pub fn new(first: RunAddr, page_size: usize) -> Self {
        Self { page_size, state: Mutex::new(State { next: first.get(), regions: Vec::new() }) }
    }

    /// A copy of the bytes of the region that runs at `run`, as long as it is reserved.
    #[must_use]
    pub fn bytes(&self, run: RunAddr) -> Option<Vec<u8>> {
        let state = self.state.lock();
        state.regions.iter().find(|(at, _)| *at == run.get()).map(|(_, bytes)| bytes.to_vec())
    }

    /// Makes the next region run at `next`.
    pub fn restart(&self, next: RunAddr) {
        self.state.lock().next = next.get();
    }
}

// SAFETY: every region is a heap allocation of its own, zeroed, kept until release; alignment and placement are those of run
// addresses, which nobody dereferences. `working` is aligned to a byte only, and documented for linking alone.
unsafe impl Memory for Detached {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        let mut state = self.state.lock();
        let (first, last) = match request.placement {
            Placement::Anywhere => (0, u64::MAX),
            Placement::Within { first, last } => (first, last),
        };
        let start = usize::try_from(state.next.max(first)).ok().and_then(|at| align_up(at, request.align));
        let Some(run) = start.map(|at| at as u64) else { return Err(HostErrorKind::OutOfMemory.into()) };
        match run.checked_add(request.len as u64) {
            Some(end) if end - 1 <= last => state.next = end,
            _ => return Err(HostErrorKind::OutOfMemory.into()),
        }
        let mut bytes = vec![0; request.len].into_boxed_slice();
        let working = NonNull::from(&mut *bytes).cast();
        state.regions.push((run, bytes));
        Ok(Region { run: RunAddr::new(run), working, len: request.len, cookie: run })
    }

    fn finalize(&self, _region: &Region, _segments: &[Segment]) -> Result<(), HostError> {
        Ok(())
    }

    fn release(&self, region: Region) {
        self.state.lock().regions.retain(|(at, _)| *at != region.cookie);
    }
}
