use super::{HostError, HostErrorKind, Memory, Placement, Region, Request, Segment};
use crate::address::RunAddr;
use alloc::alloc::{alloc_zeroed, dealloc};
use alloc::vec::Vec;
use core::alloc::Layout;
use core::ptr::NonNull;
use spin::Mutex;

/// Memory for linking without running: bytes on the heap, run addresses as chosen, nothing ever executable.
pub struct Detached {
    page_size: usize,
    state: Mutex<State>,
}

struct State {
    next: u64,
    blocks: Vec<Block>,
}

/// A reserved region.
struct Block {
    run: u64,
    bytes: NonNull<u8>,
    layout: Layout,
    finalized: bool,
}

// SAFETY: a block's bytes belong to it alone; a pointer to them may move between threads.
unsafe impl Send for Block {}

impl Detached {
    /// Memory with pages of `page_size` bytes (a power of two) whose first region runs at `first`, rounded up to what the
    /// request wants, and whose others follow.
    #[must_use]
    pub fn new(first: RunAddr, page_size: usize) -> Self {
        Self { page_size, state: Mutex::new(State { next: first.get(), blocks: Vec::new() }) }
    }

    /// A copy of the bytes of the region that runs at `run`, as long as it is reserved; `None` before it is finalized.
    #[must_use]
    pub fn bytes(&self, run: RunAddr) -> Option<Vec<u8>> {
        let state = self.state.lock();
        let block = state.blocks.iter().find(|block| block.finalized && block.run == run.get())?;
        // SAFETY: the block is live, zeroed when allocated and `size` bytes long; it is finalized, so nobody writes it any
        // more; the lock keeps it from being released meanwhile.
        Some(unsafe { core::slice::from_raw_parts(block.bytes.as_ptr(), block.layout.size()) }.to_vec())
    }

    /// Makes the next region run at `next`.
    pub fn restart(&self, next: RunAddr) {
        self.state.lock().next = next.get();
    }

    /// Regions reserved now.
    #[must_use]
    pub fn regions(&self) -> usize {
        self.state.lock().blocks.len()
    }
}

/// The first multiple of `align` at or after `from`.
fn aligned(from: u64, align: u64) -> Option<u64> {
    Some(from.checked_add(align - 1)? & !(align - 1))
}

// SAFETY: every region is a heap allocation of its own, zeroed, aligned to a page, writable through `working` and kept until
// release; alignment and placement are those of run addresses, at which nothing is ever accessible, least of all executable.
unsafe impl Memory for Detached {
    fn page_size(&self) -> usize {
        self.page_size
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        let none = || HostError::from(HostErrorKind::OutOfMemory);
        let whole = request.len != 0 && request.len.is_multiple_of(self.page_size);
        if !whole || !request.align.is_power_of_two() || request.align < self.page_size {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let layout = Layout::from_size_align(request.len, self.page_size).map_err(|_| HostErrorKind::InvalidInput)?;
        let (first, last) = match request.placement {
            Placement::Anywhere => (0, u64::MAX),
            Placement::Within { first, last } if first <= last => (first, last),
            Placement::Within { .. } => return Err(HostErrorKind::InvalidInput.into()),
        };
        let mut state = self.state.lock();
        let run = aligned(state.next.max(first), request.align as u64).ok_or_else(none)?;
        let end = run.checked_add(request.len as u64 - 1).filter(|&end| end <= last).ok_or_else(none)?;
        state.blocks.try_reserve(1).map_err(|_| none())?;
        // SAFETY: the layout's size is not 0.
        let bytes = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(none)?;
        state.next = end.saturating_add(1);
        state.blocks.push(Block { run, bytes, layout, finalized: false });
        Ok(Region { run: RunAddr::new(run), working: bytes, len: request.len, cookie: 0 })
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        let fits = |segment: &Segment| {
            let whole = segment.offset.is_multiple_of(self.page_size) && segment.len.is_multiple_of(self.page_size);
            whole && segment.offset.checked_add(segment.len).is_some_and(|end| end <= region.len)
        };
        if !segments.iter().all(fits) {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let mut state = self.state.lock();
        match state.blocks.iter_mut().find(|block| block.bytes == region.working) {
            Some(block) => {
                block.finalized = true;
                Ok(())
            }
            None => Err(HostErrorKind::InvalidInput.into()),
        }
    }

    fn release(&self, region: Region) {
        let mut state = self.state.lock();
        if let Some(index) = state.blocks.iter().position(|block| block.bytes == region.working) {
            let block = state.blocks.swap_remove(index);
            // SAFETY: allocated with this layout in `reserve` and no longer listed, so released once.
            unsafe { dealloc(block.bytes.as_ptr(), block.layout) };
        }
    }
}

impl Drop for Detached {
    fn drop(&mut self) {
        for block in self.state.get_mut().blocks.drain(..) {
            // SAFETY: allocated with this layout in `reserve`; reservations share ownership of the memory, so none is left.
            unsafe { dealloc(block.bytes.as_ptr(), block.layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_follow_each_other_and_keep_to_the_placement() {
        let memory = Detached::new(RunAddr::new(0x10_0000), 4096);
        let request = Request { len: 4096, align: 0x4000, placement: Placement::Anywhere };
        let first = memory.reserve(&request).unwrap();
        let second = memory.reserve(&request).unwrap();
        assert_eq!((first.run.get(), second.run.get()), (0x10_0000, 0x10_4000));
        let within = Request { placement: Placement::Within { first: 0, last: 0x10_5fff }, ..request };
        assert_eq!(memory.reserve(&within).unwrap_err().kind(), HostErrorKind::OutOfMemory);
        assert_eq!(memory.bytes(first.run), None);
        memory.finalize(&first, &[]).unwrap();
        assert_eq!(memory.bytes(first.run).unwrap(), [0; 4096]);
        memory.release(first);
        memory.release(second);
        assert_eq!(memory.regions(), 0);
    }
}
