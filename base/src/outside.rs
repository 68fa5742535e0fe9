//! Calls out to the host, marked: what goes wrong there is not for a module to answer for.
//!
//! The host's resources are wrapped when a kernel is booted and when it gets a device. A call that panics leaves its mark for good,
//! since whoever looks for it looks when the panic has arrived at module code, far from the host. Calls of threads that are not
//! inside, as those that wait to be, are nobody's business.

use crate::kernel::Kernel;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use rumpload::resource::{
    Block, Clock, Console, Entropy, FileHandle, FileKind, Host, HostError, Memory, Metadata, Region, Request, Segment, Store,
};

/// How many calls out to the host the thread inside a kernel is in the middle of.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<State>);

#[derive(Default)]
struct State {
    count: AtomicUsize,
    /// The context word of threads inside.
    context: AtomicUsize,
}

impl Calls {
    /// Whether there is one.
    pub fn any(&self) -> bool {
        self.0.count.load(Ordering::Relaxed) != 0
    }

    /// From now on threads with this context word are the ones inside.
    pub fn set_context(&self, context: usize) {
        self.0.context.store(context, Ordering::Relaxed);
    }

    /// Wraps the resources of `host`.
    pub fn host(&self, host: Host) -> Host {
        Host {
            memory: Arc::new(self.wrap(host.memory)),
            store: Arc::new(self.wrap(host.store)),
            console: Arc::new(self.wrap(host.console)),
            clock: Arc::new(self.wrap(host.clock)),
            entropy: Arc::new(self.wrap(host.entropy)),
        }
    }

    /// Wraps a device.
    pub fn block(&self, block: Arc<dyn Block>) -> Arc<dyn Block> {
        Arc::new(self.wrap(block))
    }

    fn wrap<T: ?Sized>(&self, inner: Arc<T>) -> Marked<T> {
        Marked { calls: self.clone(), inner }
    }
}

/// The hook of the core that tells fault handlers whose code runs.
pub(crate) fn in_host(context: usize) -> bool {
    // SAFETY: the context is the address that `boot` handed over; whoever is inside holds the kernel.
    unsafe { &*(context as *const Kernel) }.outside.any()
}

struct Marked<T: ?Sized> {
    calls: Calls,
    inner: Arc<T>,
}

impl<T: ?Sized> Marked<T> {
    fn call<R>(&self, work: impl FnOnce(&T) -> R) -> R {
        let state = &*self.calls.0;
        if rumpload::context() != state.context.load(Ordering::Relaxed) {
            return work(&self.inner);
        }
        state.count.fetch_add(1, Ordering::Relaxed);
        let result = work(&self.inner);
        state.count.fetch_sub(1, Ordering::Relaxed);
        result
    }
}

// SAFETY: every method is the host's own, which keeps the contract.
unsafe impl Memory for Marked<dyn Memory> {
    fn page_size(&self) -> usize {
        self.call(|memory| memory.page_size())
    }

    fn zeroed(&self) -> bool {
        self.call(|memory| memory.zeroed())
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        self.call(|memory| memory.reserve(request))
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        self.call(|memory| memory.finalize(region, segments))
    }

    fn discard(&self, region: &Region, part: Segment) -> Result<(), HostError> {
        self.call(|memory| memory.discard(region, part))
    }

    fn release(&self, region: Region) {
        self.call(|memory| memory.release(region));
    }
}

impl Store for Marked<dyn Store> {
    fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        self.call(|store| store.metadata(path))
    }

    fn open(&self, path: &str) -> Result<FileHandle, HostError> {
        self.call(|store| store.open(path))
    }

    fn size(&self, file: FileHandle) -> Result<u64, HostError> {
        self.call(|store| store.size(file))
    }

    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.call(|store| store.read_at(file, offset, buffer))
    }

    fn read_onto(&self, file: FileHandle, offset: u64, len: usize, bytes: &mut Vec<u8>) -> Result<usize, HostError> {
        self.call(|store| store.read_onto(file, offset, len, bytes))
    }

    fn close(&self, file: FileHandle) {
        self.call(|store| store.close(file));
    }

    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError> {
        self.call(|store| store.list(path, each))
    }
}

impl Console for Marked<dyn Console> {
    fn write(&self, text: &str) {
        self.call(|console| console.write(text));
    }
}

impl Clock for Marked<dyn Clock> {
    fn monotonic(&self) -> Result<Duration, HostError> {
        self.call(|clock| clock.monotonic())
    }

    fn wall(&self) -> Result<Duration, HostError> {
        self.call(|clock| clock.wall())
    }

    fn sleep(&self, time: Duration) -> Result<(), HostError> {
        self.call(|clock| clock.sleep(time))
    }
}

impl Entropy for Marked<dyn Entropy> {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), HostError> {
        self.call(|entropy| entropy.fill(buffer))
    }
}

impl Block for Marked<dyn Block> {
    fn sector_size(&self) -> u32 {
        self.call(|block| block.sector_size())
    }

    fn size(&self) -> u64 {
        self.call(|block| block.size())
    }

    fn read_only(&self) -> bool {
        self.call(|block| block.read_only())
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.call(|block| block.read(offset, buffer))
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        self.call(|block| block.write(offset, data))
    }

    fn flush(&self) -> Result<(), HostError> {
        self.call(|block| block.flush())
    }
}
