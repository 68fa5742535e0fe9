use super::{Call, Fault, Faulty};
use crate::address::RunAddr;
use crate::resource::{HostError, Memory, Region, Request, Segment};
use alloc::format;

impl Faulty<dyn Memory> {
    /// The region as the host below knows it.
    fn real(&self, region: &Region, call: &str) -> Region {
        let run = self.faults.run(region).unwrap_or_else(|| {
            self.faults.note(format!("{call} of a region that is not reserved: {region:?}"));
            region.run
        });
        Region { run, working: region.working, len: region.len, cookie: region.cookie }
    }
}

// SAFETY: regions are those of the memory below, which is used as its contract says. A planned lie only changes the address at
// which a region is said to run, and is not aligned as asked for: a `Reservation` refuses it.
unsafe impl Memory for Faulty<dyn Memory> {
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        let page = self.inner.page_size();
        let fits =
            request.len != 0 && request.len.is_multiple_of(page) && request.align.is_power_of_two() && request.align >= page;
        if !fits {
            self.faults.note(format!("reserve of {request:?}"));
        }
        let fault = self.enter(Call::Reserve)?;
        let mut region = self.inner.reserve(request)?;
        self.faults.reserved(&region);
        if fault == Some(Fault::Lie) {
            // Misaligned, and beyond the end of the tightest placement.
            region.run = RunAddr::new(region.run.get().wrapping_add(1));
        }
        Ok(region)
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        let region = self.real(region, "finalize");
        self.enter(Call::Finalize)?;
        self.inner.finalize(&region, segments)
    }

    fn release(&self, region: Region) {
        let region = self.real(&region, "release");
        self.faults.released(&region);
        self.inner.release(region);
    }
}
