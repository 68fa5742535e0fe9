//! Memory whose neighbours notice every store: inaccessible pages on both sides of a region, and marked pages behind them.
//!
//! Regions run elsewhere than where they are written, so a store to a run address faults as well.

use rumpload::address::RunAddr;
use rumpload::resource::{HostError, HostErrorKind, Memory, Placement, Region, Request, Segment};
use std::ptr::NonNull;
use std::sync::Mutex;

pub const PAGE: usize = 4096;
/// What marked pages hold.
const MARK: u8 = 0xc3;
/// Pages on each side of a region: one inaccessible next to it, one marked behind that.
const SIDE: usize = 2 * PAGE;

struct Live {
    /// Start and bytes of the whole mapping.
    map: (usize, usize),
    run: u64,
    len: usize,
}

/// The memory.
pub struct Guarded {
    run: u64,
    live: Mutex<Vec<Live>>,
}

impl Guarded {
    /// Memory whose regions run at `run`, one at a time.
    pub fn new(run: u64) -> Self {
        Self { run, live: Mutex::default() }
    }

    /// Regions reserved now.
    pub fn live(&self) -> usize {
        self.live.lock().unwrap().len()
    }

    /// The bytes of the one region.
    pub fn bytes(&self) -> Vec<u8> {
        let live = self.live.lock().unwrap();
        let [region] = live.as_slice() else { panic!("{} regions", live.len()) };
        // SAFETY: the mapping is live as long as the lock is held, and this part of it readable.
        unsafe { std::slice::from_raw_parts((region.map.0 + SIDE) as *const u8, region.len) }.to_vec()
    }
}

/// Whether all bytes of a marked page are as they were.
fn untouched(page: usize) -> bool {
    // SAFETY: the caller passes the start of a page of a live mapping that is readable.
    unsafe { std::slice::from_raw_parts(page as *const u8, PAGE) }.iter().all(|&byte| byte == MARK)
}

// SAFETY: every region is a mapping of its own, zeroed, writable through `working` and kept until release; nothing is ever
// executable, and nothing is accessible at run addresses.
unsafe impl Memory for Guarded {
    fn page_size(&self) -> usize {
        PAGE
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        let none = || HostError::from(HostErrorKind::OutOfMemory);
        assert!(request.len != 0 && request.len.is_multiple_of(PAGE), "the core asks for whole pages");
        assert!(request.align.is_power_of_two() && request.align >= PAGE, "and for whole alignments");
        // What a mutant may ask for is bounded here, as by any host.
        if request.len > 64 << 20 {
            return Err(none());
        }
        let run = self.run.checked_next_multiple_of(request.align as u64).ok_or_else(none)?;
        let end = run.checked_add(request.len as u64 - 1).ok_or_else(none)?;
        if let Placement::Within { first, last } = request.placement
            && (run < first || end > last)
        {
            return Err(none());
        }
        let len = request.len + 2 * SIDE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a fresh anonymous mapping at an address of the system's choice.
        let map = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
        assert_ne!(map, libc::MAP_FAILED, "a mapping of {len} bytes");
        let start = map as usize;
        for (marked, guard) in [(start, start + PAGE), (start + len - PAGE, start + len - 2 * PAGE)] {
            // SAFETY: both pages lie in the mapping made above, which nothing else uses.
            unsafe {
                std::slice::from_raw_parts_mut(marked as *mut u8, PAGE).fill(MARK);
                assert_eq!(libc::mprotect(guard as *mut libc::c_void, PAGE, libc::PROT_NONE), 0);
            }
        }
        self.live.lock().unwrap().push(Live { map: (start, len), run, len: request.len });
        let working = NonNull::new((start + SIDE) as *mut u8).expect("not null");
        Ok(Region { run: RunAddr::new(run), working, len: request.len, cookie: 0 })
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        let mut end = 0;
        for segment in segments {
            assert!(segment.offset >= end && segment.offset.is_multiple_of(PAGE) && segment.len.is_multiple_of(PAGE));
            end = segment.offset + segment.len;
            assert!(end <= region.len, "segments lie in the region");
        }
        Ok(())
    }

    fn release(&self, region: Region) {
        let mut live = self.live.lock().unwrap();
        let index = live.iter().position(|live| live.run == region.run.get()).expect("a region of this memory");
        let Live { map: (start, len), .. } = live.swap_remove(index);
        assert!(untouched(start) && untouched(start + len - PAGE), "a store outside the region");
        // SAFETY: the mapping was made in `reserve` and is listed no more; the region is given up.
        assert_eq!(unsafe { libc::munmap(start as *mut libc::c_void, len) }, 0);
    }
}
