use super::{HostError, HostErrorKind};
use crate::address::RunAddr;
use alloc::sync::Arc;
use core::ptr::NonNull;

/// What code may do with a range of pages once it is finalized. Never writable and executable together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// No access: a guard.
    None,
    /// Read.
    Read,
    /// Read and write.
    ReadWrite,
    /// Read and execute.
    ReadExecute,
}

/// A run of bytes within a region that gets one protection. Offset and length are multiples of [`Memory::page_size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Bytes from the start of the region.
    pub offset: usize,
    /// Bytes.
    pub len: usize,
    /// What is allowed once the region is finalized.
    pub protection: Protection,
}

/// Where a region has to lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// Anywhere.
    Anywhere,
    /// Wholly within the inclusive range of run addresses: what the code model of the modules reaches.
    Within {
        /// First address allowed.
        first: u64,
        /// Last address allowed.
        last: u64,
    },
}

/// What to reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Bytes; not 0; a multiple of [`Memory::page_size`].
    pub len: usize,
    /// Alignment of the run address in bytes: a power of two, at least the page size.
    pub align: usize,
    /// Where.
    pub placement: Placement,
}

/// Memory as a host hands it out.
#[derive(Debug)]
pub struct Region {
    /// Where module code sees the region.
    pub run: RunAddr,
    /// Where the loader writes it; valid for `len` bytes until the region is finalized, page-aligned.
    pub working: NonNull<u8>,
    /// Bytes.
    pub len: usize,
    /// The host's own mark.
    pub cookie: u64,
}

/// Pages for module text, data and stacks.
///
/// # Implementation safety
/// * A region from [`reserve`](Memory::reserve) is zeroed if [`zeroed`](Memory::zeroed) says so, readable and writable through `working` for `len` bytes, aligned
///   and placed as asked, and overlaps nothing else until [`release`](Memory::release).
/// * After [`finalize`](Memory::finalize) each segment is accessible at the run address exactly as its protection says, and
///   the instruction cache agrees with the bytes; what no segment covers is inaccessible or read-write, never executable.
/// * After a failed `finalize` the region can still be released.
pub unsafe trait Memory: Send + Sync {
    /// Granularity of protection in bytes, a power of two.
    fn page_size(&self) -> usize;

    /// Whether reserved memory is zero. Where it is not, whoever reserves clears what is used of it.
    fn zeroed(&self) -> bool {
        true
    }

    /// Reserves memory.
    ///
    /// # Errors
    /// [`OutOfMemory`](HostErrorKind::OutOfMemory) if there is none that fits, [`InvalidInput`](HostErrorKind::InvalidInput) for
    /// a request against its documentation.
    fn reserve(&self, request: &Request) -> Result<Region, HostError>;

    /// Applies the protections and synchronises the instruction cache. `working` may only be used for bytes that stay
    /// writable from here on, at the run address.
    ///
    /// # Errors
    /// Any [`HostError`]; no segment may then be left both writable and executable.
    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError>;

    /// Gives part of a finalized region back early: nothing may run in it or point to it any more. The region still has to be
    /// released. What is not overridden makes the pages inaccessible.
    ///
    /// # Errors
    /// As [`finalize`](Self::finalize).
    fn discard(&self, region: &Region, part: Segment) -> Result<(), HostError> {
        self.finalize(region, &[Segment { protection: Protection::None, ..part }])
    }

    /// Gives the region back. Nothing may run in it or point to it any more.
    fn release(&self, region: Region);
}

/// A region that gives itself back when dropped.
pub struct Reservation {
    memory: Arc<dyn Memory>,
    region: Option<Region>,
    finalized: bool,
}

// SAFETY: the region's memory is owned by the reservation alone; a raw pointer to it may move between threads.
unsafe impl Send for Reservation {}
// SAFETY: as above; shared references only read addresses.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `request` from `memory`.
    ///
    /// # Errors
    /// As [`Memory::reserve`]; also [`Protocol`](HostErrorKind::Protocol) if the answer is not what was asked for.
    pub fn new(memory: &Arc<dyn Memory>, request: &Request) -> Result<Self, HostError> {
        let mut reservation = Self::uncleared(memory, request)?;
        if !memory.zeroed() {
            reservation.bytes_mut().fill(0);
        }
        Ok(reservation)
    }

    /// As [`new`](Self::new); the bytes are zero only if [`Memory::zeroed`] says so.
    pub(crate) fn uncleared(memory: &Arc<dyn Memory>, request: &Request) -> Result<Self, HostError> {
        let region = memory.reserve(request)?;
        let run = region.run.get();
        let fits = region.len == request.len
            && run % request.align as u64 == 0
            && match request.placement {
                Placement::Anywhere => run.checked_add(region.len as u64).is_some(),
                Placement::Within { first, last } => {
                    run >= first && run.checked_add(region.len as u64 - 1).is_some_and(|end| end <= last)
                }
            };
        let reservation = Self { memory: memory.clone(), region: Some(region), finalized: false };
        if fits { Ok(reservation) } else { Err(HostErrorKind::Protocol.into()) }
    }

    /// Where module code sees the first byte.
    pub fn run(&self) -> RunAddr {
        self.region().run
    }

    /// Bytes reserved.
    pub fn len(&self) -> usize {
        self.region().len
    }

    /// True if nothing is reserved; never the case.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, while they are still being written; empty after [`finalize`](Self::finalize).
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        if self.finalized {
            return &mut [];
        }
        let region = self.region();
        // SAFETY: Memory's implementation contract: `working` is valid for reads and writes of `len` bytes that nothing
        // else uses until release, which only happens in drop; `&mut self` makes this the only slice.
        unsafe { core::slice::from_raw_parts_mut(region.working.as_ptr(), region.len) }
    }

    /// Applies protections; the bytes can no longer be written through the reservation.
    ///
    /// # Errors
    /// As [`Memory::finalize`].
    pub fn finalize(&mut self, segments: &[Segment]) -> Result<(), HostError> {
        self.finalized = true;
        self.memory.finalize(self.region(), segments)
    }

    /// Gives a finalized segment back early.
    ///
    /// # Errors
    /// As [`Memory::discard`].
    pub fn discard(&mut self, part: Segment) -> Result<(), HostError> {
        self.memory.discard(self.region(), part)
    }

    fn region(&self) -> &Region {
        match &self.region {
            Some(region) => region,
            None => unreachable!("the region leaves only in drop"),
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(region) = self.region.take() {
            self.memory.release(region);
        }
    }
}
