//! Memory as the rows get it: one pre-faulted arena that is used again, or fresh pages each time.

use rumpload::address::RunAddr;
use rumpload::resource::{HostError, HostErrorKind, Memory, Protection, Region, Request, Segment};
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Granularity of protection in bytes.
pub const PAGE: usize = 4096;
/// Bytes of the arena: more than any loader asks for one module, staging areas included.
const ARENA: usize = 256 << 20;

/// Where pages come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// From one mapping below 2 GiB that has been touched; no system calls; not cleared.
    Arena,
    /// From the kernel, with protections, and back to it.
    Fresh,
}

impl Mode {
    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Arena => "arena",
            Self::Fresh => "fresh pages",
        }
    }
}

static FRESH: AtomicBool = AtomicBool::new(false);
static BASE: AtomicUsize = AtomicUsize::new(0);
static NEXT: AtomicUsize = AtomicUsize::new(0);
static CALLS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

/// What a row took since [`count`] was called last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Count {
    /// System calls about memory.
    pub calls: usize,
    /// Bytes handed out.
    pub bytes: usize,
}

/// Reads and clears the counters.
pub fn count() -> Count {
    Count { calls: CALLS.swap(0, Ordering::Relaxed), bytes: BYTES.swap(0, Ordering::Relaxed) }
}

/// Makes all rows use `mode` from now on.
pub fn use_mode(mode: Mode) {
    FRESH.store(mode == Mode::Fresh, Ordering::Relaxed);
    if mode == Mode::Arena && BASE.load(Ordering::Relaxed) == 0 {
        let base = map(ARENA);
        // SAFETY: `map` gives `ARENA` writable bytes that nobody else knows of.
        unsafe { base.as_ptr().write_bytes(1, ARENA) };
        BASE.store(base.as_ptr() as usize, Ordering::Relaxed);
    }
    restart();
}

/// Forgets what was taken from the arena: the previous module is gone.
pub fn restart() {
    NEXT.store(0, Ordering::Relaxed);
}

fn fresh() -> bool {
    FRESH.load(Ordering::Relaxed)
}

fn map(len: usize) -> NonNull<u8> {
    CALLS.fetch_add(1, Ordering::Relaxed);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_32BIT;
    // SAFETY: a new anonymous mapping touches nothing that exists.
    let at = unsafe { libc::mmap(null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    assert_ne!(at, libc::MAP_FAILED, "no memory below 2 GiB");
    NonNull::new(at.cast()).expect("the kernel never maps address 0")
}

/// Pages of a loader.
pub struct Pages {
    at: NonNull<u8>,
    len: usize,
    owned: bool,
}

// SAFETY: the pages belong to their holder alone.
unsafe impl Send for Pages {}
// SAFETY: as above; shared references only read the address.
unsafe impl Sync for Pages {}

impl Pages {
    /// `len` bytes, rounded up to pages; zero only in fresh mode.
    pub fn new(len: usize) -> Self {
        let len = len.next_multiple_of(PAGE);
        BYTES.fetch_add(len, Ordering::Relaxed);
        if fresh() {
            return Self { at: map(len), len, owned: true };
        }
        let offset = NEXT.fetch_add(len, Ordering::Relaxed);
        assert!(offset + len <= ARENA, "the arena is too small");
        let at = (BASE.load(Ordering::Relaxed) + offset) as *mut u8;
        Self { at: NonNull::new(at).expect("the arena is mapped"), len, owned: false }
    }

    /// Their first byte.
    pub fn as_ptr(&self) -> *mut u8 {
        self.at.as_ptr()
    }

    /// Changes the protection of part of them, if that is done at all.
    pub fn protect(&self, offset: usize, len: usize, flags: i32) -> bool {
        if !self.owned || len == 0 {
            return true;
        }
        CALLS.fetch_add(1, Ordering::Relaxed);
        assert!(offset + len <= self.len);
        // SAFETY: the range lies in this mapping, whose holder asks for it.
        unsafe { libc::mprotect(self.at.as_ptr().add(offset).cast::<c_void>(), len, flags) == 0 }
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        if self.owned {
            CALLS.fetch_add(1, Ordering::Relaxed);
            // SAFETY: this mapping is the holder's own and goes with it.
            unsafe { libc::munmap(self.at.as_ptr().cast::<c_void>(), self.len) };
        }
    }
}

/// The same as rumpload's memory resource.
pub struct Host;

// SAFETY: regions are pages of their own, page-aligned and writable; in fresh mode zero and given back on release, in arena mode
// used one module at a time and not zero, as `zeroed` says; protections are set as asked where they are set at all.
unsafe impl Memory for Host {
    fn page_size(&self) -> usize {
        PAGE
    }

    fn zeroed(&self) -> bool {
        fresh()
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        if request.align > PAGE {
            return Err(HostErrorKind::Unsupported.into());
        }
        let pages = std::mem::ManuallyDrop::new(Pages::new(request.len));
        Ok(Region { run: RunAddr::new(pages.as_ptr() as u64), working: pages.at, len: pages.len(), cookie: pages.owned.into() })
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        if region.cookie == 0 {
            return Ok(());
        }
        let pages = std::mem::ManuallyDrop::new(Pages { at: region.working, len: region.len, owned: true });
        let mut rest = segments;
        while let Some((head, tail)) = rest.split_first() {
            // Neighbours of one protection are one call, as on the hosted platform.
            let mut len = head.len;
            let joined = tail.iter().take_while(|next| {
                let joins = next.protection == head.protection && next.offset == head.offset + len;
                len += if joins { next.len } else { 0 };
                joins
            });
            rest = &tail[joined.count()..];
            let flags = match head.protection {
                Protection::ReadWrite => continue,
                Protection::None => libc::PROT_NONE,
                Protection::Read => libc::PROT_READ,
                Protection::ReadExecute => libc::PROT_READ | libc::PROT_EXEC,
            };
            if !pages.protect(head.offset, len, flags) {
                return Err(HostErrorKind::OutOfMemory.into());
            }
        }
        Ok(())
    }

    fn release(&self, region: Region) {
        drop(Pages { at: region.working, len: region.len, owned: region.cookie != 0 });
    }
}
