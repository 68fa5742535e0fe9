use crate::abi::Abi;
use crate::kern::heap::HeapSource;
#[cfg(feature = "test-support")]
use crate::sabotage;
use crate::{export, kern, offered, outside, trace, vfs};
use alloc::sync::Arc;
use rumpload::properties::Properties;
use rumpload::resource::Host;
use rumpload::{Config, Error, Instance};

/// What a kernel is made of.
pub struct Boot {
    /// The instance's namespace, version, machine and policy. Its hooks are replaced by the kernel's own.
    pub config: Config,
    /// Layouts of the version and machine that `config` names.
    pub abi: &'static Abi,
    /// What to do with calls of module code into the base kernel besides answering them.
    pub trace: trace::Trace,
    /// Bytes of memory for pages: of files, where clean ones make way, and of memory file systems, which get `ENOSPC` or
    /// `ENOMEM` when it is used up. Rounded down to pages; 64 KiB at least.
    pub page_memory: usize,
    /// Bytes of memory for blocks of devices that nobody uses at the moment.
    pub buffer_memory: usize,
    /// Where the memory comes from that modules hold.
    pub heap: HeapSource,
    /// An export to take the sense from: a function does nothing and returns 0, a variable is zero. Whoever claims to test a
    /// symbol has to fail then.
    #[cfg(feature = "test-support")]
    pub sabotaged: Option<&'static str>,
}

impl Boot {
    /// A kernel with `abi`'s layouts and the configuration given, with memory as a process has it.
    #[must_use]
    pub fn new(config: Config, abi: &'static Abi) -> Self {
        Self {
            config,
            abi,
            trace: trace::Trace::Off,
            page_memory: vfs::PAGE_MEMORY,
            buffer_memory: vfs::buffer::DEFAULT_LIMIT,
            heap: HeapSource::default(),
            #[cfg(feature = "test-support")]
            sabotaged: None,
        }
    }
}

/// A NetBSD kernel as far as stock modules can tell: one instance of the core and the services its modules import.
///
/// Shared between threads; one of them at a time is inside.
pub struct Kernel {
    // Dropped first: finishing modules may still call the services below.
    instance: Instance,
    pub(crate) abi: &'static Abi,
    pub(crate) vfs: vfs::State,
    // Dropped last: it owns all memory that module code holds.
    pub(crate) kern: kern::State,
    pub(crate) trace: trace::State,
    pub(crate) outside: outside::Calls,
    #[cfg(feature = "test-support")]
    pub(crate) sabotaged: Option<&'static str>,
}

// SAFETY: all mutable state is reached through `kernel()`, that is from exports, or inside `Instance::enter`; the instance lets
// one thread in at a time, and its lock orders what successive threads see. Raw pointers kept in the state point to memory
// the instance owns, which is bound to no thread.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

impl Kernel {
    /// Makes an instance and offers the base kernel's services in it. Nothing is loaded yet.
    ///
    /// # Errors
    /// What making the instance or its export table can fail with: the host has no memory for the stack or the exports.
    pub fn boot(boot: Boot, host: Host) -> Result<Arc<Self>, Error> {
        #[cfg(feature = "test-support")]
        let sabotaged = boot.sabotaged;
        let Boot { mut config, abi, trace, page_memory, buffer_memory, heap, .. } = boot;
        config.hooks.refresh = refresh;
        config.hooks.settle = |_| kern::thread::settle();
        config.hooks.properties = properties;
        config.hooks.release_properties = release_properties;
        config.hooks.in_host = outside::in_host;
        config.hooks.function_at = offered::function_at;
        let outside = outside::Calls::default();
        let host = outside.host(host);
        let exports = export::all(abi);
        #[cfg(feature = "test-support")]
        let exports = sabotage::functions(exports, sabotaged);
        let memory = Arc::clone(&host.memory);
        let kernel = Arc::new(Self {
            instance: Instance::new(config, host)?,
            abi,
            vfs: vfs::State::new(abi),
            kern: kern::State::new(heap, memory),
            trace: trace::State::new(trace),
            outside,
            #[cfg(feature = "test-support")]
            sabotaged,
        });
        kernel.instance.set_context(Arc::as_ptr(&kernel) as usize);
        kernel.outside.set_context(kernel.instance.context());
        kernel.instance.export(&kernel.trace.route(exports))?;
        kernel.instance.enter(|| {
            kern::fill(&kernel);
            vfs::fill(&kernel);
            vfs::pages::set_limit(page_memory / vfs::pages::SIZE);
            kernel.vfs.buffers.set_limit(buffer_memory);
        })?;
        Ok(kernel)
    }

    /// The core's instance: registry, autoload, etfs.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// The layouts the kernel was booted with.
    #[must_use]
    pub fn abi(&self) -> &'static Abi {
        self.abi
    }

    /// Address of the data export `name`; null if the table has none, which is a bug of the base's lists.
    pub(crate) fn data(&self, name: &str) -> *mut u8 {
        let address = self.instance.symbol(name).and_then(|address| usize::try_from(address.get()).ok());
        debug_assert!(address.is_some(), "no data export {name}");
        address.map_or(core::ptr::null_mut(), |address| address as *mut u8)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        let rest = self.trace.rest();
        if !rest.is_empty() {
            self.instance.host().console.write(&rest);
        }
    }
}

/// The kernel whose instance the current thread is inside.
///
/// Only exports call it, and module code runs only inside an instance, so there is one.
pub(crate) fn kernel() -> &'static Kernel {
    let context = rumpload::context() as *const Kernel;
    assert!(!context.is_null(), "the base kernel was called from outside its instance");
    // SAFETY: `boot` set the context word to the kernel's address, and whoever entered holds the kernel.
    unsafe { &*context }
}

/// Runs at each entry: brings the data that modules read directly up to date.
fn refresh(context: usize) {
    // SAFETY: the context is the address that `boot` handed over; the caller of `enter` holds the kernel.
    let kernel = unsafe { &*(context as *const Kernel) };
    kernel.kern.time.refresh(kernel);
}

/// Makes the argument of a module's init. Runs inside.
fn properties(context: usize, properties: Option<&Properties>) -> usize {
    // SAFETY: as for `refresh`.
    kern::property::argument(unsafe { &*(context as *const Kernel) }, properties)
}

/// Gives it back. Runs inside.
fn release_properties(context: usize, argument: usize) {
    // SAFETY: as for `refresh`.
    kern::property::release_argument(unsafe { &*(context as *const Kernel) }, argument);
}
