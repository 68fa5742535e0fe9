use crate::wire::{self, Answer, Handles, MAX_REGIONS, MAX_SEGMENTS, SEGMENT, answer, bytes};
use crate::{Message, Window};
use alloc::sync::Arc;
use alloc::vec::Vec;
use rumpload::resource::{HostError, HostErrorKind, Memory, Placement, Protection, Region, Request, Segment};

pub(super) struct Server {
    memory: Arc<dyn Memory>,
    regions: Handles<Owned>,
}

/// A region that the client holds.
struct Owned(Region);

// SAFETY: the region's memory is the client's; the server keeps the pointer only to give it back.
unsafe impl Send for Owned {}

impl Server {
    pub fn new(memory: Arc<dyn Memory>) -> Self {
        Self { memory, regions: Handles::new(MAX_REGIONS) }
    }

    pub fn regions(&self) -> usize {
        self.regions.len()
    }

    pub fn reset(&mut self) {
        for Owned(region) in self.regions.drain() {
            self.memory.release(region);
        }
    }

    pub fn answer(&mut self, message: &Message, window: &Window) -> Result<Answer, HostError> {
        match message.label {
            wire::memory::INFO => message.exactly::<0>().and_then(|[]| answer(&[self.memory.page_size() as u64])),
            wire::memory::RESERVE => {
                let [len, align, first, last, handle] = message.exactly()?;
                self.reserve(handle, &request([len, align, first, last])?)
            }
            wire::memory::FINALIZE => {
                let [handle, at, len] = message.exactly()?;
                let Owned(region) = self.regions.get(handle)?;
                let segments = segments(&bytes(window, at, len, MAX_SEGMENTS * SEGMENT)?)?;
                let page = self.memory.page_size();
                let fits = |segment: &Segment| {
                    let whole = segment.offset.is_multiple_of(page) && segment.len.is_multiple_of(page);
                    whole && segment.offset.checked_add(segment.len).is_some_and(|end| end <= region.len)
                };
                if !segments.iter().all(fits) {
                    return Err(HostErrorKind::InvalidInput.into());
                }
                self.memory.finalize(region, &segments)?;
                answer(&[])
            }
            wire::memory::RELEASE => {
                let [handle] = message.exactly()?;
                let Owned(region) = self.regions.remove(handle)?;
                self.memory.release(region);
                answer(&[])
            }
            _ => Err(HostErrorKind::Unsupported.into()),
        }
    }

    fn reserve(&mut self, handle: u64, request: &Request) -> Result<Answer, HostError> {
        let page = self.memory.page_size();
        let whole = request.len != 0 && request.len.is_multiple_of(page);
        if !whole || !request.align.is_power_of_two() || request.align < page {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let vacant = self.regions.vacant(handle)?;
        let region = self.memory.reserve(request)?;
        let (run, working) = (region.run.get(), region.working.as_ptr().expose_provenance() as u64);
        vacant.insert(Owned(region));
        answer(&[run, working])
    }
}

fn request([len, align, first, last]: [u64; 4]) -> Result<Request, HostError> {
    let size = |word: u64| usize::try_from(word).map_err(|_| HostErrorKind::OutOfMemory);
    let placement = if (first, last) == (0, u64::MAX) { Placement::Anywhere } else { Placement::Within { first, last } };
    Ok(Request { len: size(len)?, align: size(align)?, placement })
}

/// The segments that `bytes` encode.
fn segments(bytes: &[u8]) -> Result<Vec<Segment>, HostError> {
    let (records, rest) = bytes.as_chunks::<SEGMENT>();
    if !rest.is_empty() {
        return Err(HostErrorKind::Protocol.into());
    }
    let segment = |record: &[u8; SEGMENT]| {
        let (words, _) = record.as_chunks::<8>();
        let [offset, len, protection] = <[[u8; 8]; 3]>::try_from(words).ok()?.map(u64::from_le_bytes);
        let protection = match protection {
            0 => Protection::None,
            1 => Protection::Read,
            2 => Protection::ReadWrite,
            3 => Protection::ReadExecute,
            _ => return None,
        };
        Some(Segment { offset: usize::try_from(offset).ok()?, len: usize::try_from(len).ok()?, protection })
    };
    records.iter().map(|record| segment(record).ok_or_else(|| HostErrorKind::InvalidInput.into())).collect()
}
