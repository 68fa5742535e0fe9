use crate::abi::Abi;
use crate::module::{Registry, Tree};
use crate::{Error, crypto, export, kern, nls};
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use rumpload::address::RunAddr;
use rumpload::load::Linker;
use rumpload::registry::KernelVersion;
use rumpload::rename::Namespace;
use rumpload::resource::{Host, HostErrorKind, PerCpuBase, Placement};
use rumpload::{Config, Hooks, Instance, Machine, Policy};
use spin::Mutex;

/// What a kernel is made of.
pub struct Boot {
    /// The `vermagic` that modules must have; `None`: that of the first module in the store.
    pub vermagic: Option<String>,
    /// Which modules may come by themselves.
    pub policy: Box<dyn Policy>,
    /// Bytes of the stack that module code runs on.
    pub stack_size: usize,
    /// Bytes of memory that module code may hold.
    pub memory: usize,
    /// Sets the register from which module code counts per-CPU data.
    pub per_cpu: Arc<dyn PerCpuBase>,
}

impl Boot {
    /// A kernel for the modules in the store, which may all come; with a stack of 256 KiB and 256 MiB of memory.
    #[must_use]
    pub fn new(per_cpu: Arc<dyn PerCpuBase>) -> Self {
        Self { vermagic: None, policy: Box::new(rumpload::autoload::Allow), stack_size: 256 << 10, memory: 256 << 20, per_cpu }
    }
}

/// A Linux kernel as far as modules can tell that need almost nothing of it: one instance of the core, the services that its
/// modules import, and the modules.
///
/// Shared between threads; one of them at a time is inside. Dropping it gives back everything it owned without running module
/// code.
pub struct Kernel {
    pub(crate) registry: Mutex<Registry>,
    instance: Instance,
    pub(crate) abi: &'static Abi,
    vermagic: String,
    per_cpu: Arc<dyn PerCpuBase>,
    /// Whether the thread inside is in the host's console.
    in_console: AtomicBool,
    pub(crate) tree: Mutex<Tree>,
    pub(crate) linker: Mutex<Linker>,
    pub(crate) crypto: Mutex<crypto::State>,
    pub(crate) nls: Mutex<nls::State>,
    // Dropped last: it owns all memory that module code holds.
    pub(crate) kern: kern::State,
}

impl Kernel {
    /// Makes an instance and offers the base's services in it. Nothing is loaded yet.
    ///
    /// # Errors
    /// [`Error::NoModules`], [`Error::Release`] if the layouts of the modules' kernel are not known, [`Error::File`] if the store
    /// cannot be listed, [`Error::Host`] or [`Error::Instance`] if the host has no memory.
    pub fn boot(boot: Boot, host: Host) -> Result<Arc<Self>, Error> {
        let tree = Tree::scan(&*host.store)?;
        let vermagic = match boot.vermagic {
            Some(vermagic) => vermagic,
            None => tree.vermagic(&*host.store)?,
        };
        let vermagic = vermagic.trim_end().to_string();
        let abi = Abi::of(&vermagic).ok_or_else(|| Error::Release { vermagic: vermagic.clone() })?;
        let config = Config {
            namespace: Namespace::none(),
            // Only the registry of NetBSD modules looks at it.
            version: KernelVersion(0),
            machine: Machine::X86_64,
            machine_name: "amd64".to_string(),
            placement: Placement::Within { first: 0x1_0000, last: 0x7fff_ffff },
            stack_size: boot.stack_size,
            keep_dependencies: false,
            policy: boot.policy,
            hooks: Hooks { refresh, in_host, function_at, ..Hooks::default() },
        };
        let kernel = Arc::new(Self {
            registry: Mutex::default(),
            instance: Instance::new(config, host)?,
            abi,
            vermagic,
            per_cpu: boot.per_cpu,
            in_console: AtomicBool::new(false),
            tree: Mutex::new(tree),
            linker: Mutex::default(),
            crypto: Mutex::default(),
            nls: Mutex::default(),
            kern: kern::State::new(boot.memory),
        });
        kernel.instance.set_context(Arc::as_ptr(&kernel).expose_provenance());
        kernel.instance.export(&export::all(abi))?;
        kern::fill(&kernel)?;
        Ok(kernel)
    }

    /// The core's instance: the host, the stack, whether it has ended.
    #[must_use]
    pub fn instance(&self) -> &Instance {
        &self.instance
    }

    /// What modules must have been built for.
    #[must_use]
    pub fn vermagic(&self) -> &str {
        &self.vermagic
    }

    /// Runs `work` inside: alone, on the instance's stack, with the per-CPU base set. Inside already, it just runs.
    ///
    /// # Errors
    /// [`Error::Ended`] if module code ended the instance, now or before; [`Error::Host`] if the per-CPU base cannot be set.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> Result<R, Error> {
        if self.instance.is_inside() {
            return Ok(self.instance.enter(work)?);
        }
        let block = kern::per_cpu_block(self);
        let old = self.per_cpu.replace(block).map_err(|error| Error::Host { what: "setting the per-CPU base", error })?;
        let _restore = Restore { base: &*self.per_cpu, old };
        Ok(self.instance.enter(work)?)
    }

    /// Brings `jiffies` up to date. For a thread of the server: module code that waits for a tick reads it without end. Each
    /// entry does the same. Takes no lock.
    pub fn tick(&self) {
        kern::tick(self);
    }

    /// Prints `text`. The mark stays if the console panics: whoever looks for it looks when the panic has arrived at module code.
    pub(crate) fn print(&self, text: &str) {
        self.in_console.store(true, Ordering::Relaxed);
        self.instance.host().console.write(text);
        self.in_console.store(false, Ordering::Relaxed);
    }

    /// Address of the data export `name`; 0 if the table has none, which is a bug of the base's lists.
    pub(crate) fn data(&self, name: &str) -> usize {
        let address = self.instance.symbol(name).and_then(|address| usize::try_from(address.get()).ok());
        debug_assert!(address.is_some(), "no data export {name}");
        address.unwrap_or(0)
    }
}

/// Puts the per-CPU base back, also when the instance's stack was abandoned.
struct Restore<'a> {
    base: &'a dyn PerCpuBase,
    old: usize,
}

impl Drop for Restore<'_> {
    fn drop(&mut self) {
        let restored = self.base.replace(self.old);
        debug_assert!(restored.is_ok(), "the per-CPU base that was read cannot be set");
    }
}

/// The kernel whose instance the current thread is inside.
///
/// Only exports call it, and module code runs only inside an instance, so there is one.
pub(crate) fn kernel() -> &'static Kernel {
    let context = rumpload::context();
    assert!(context != 0, "the base was called from outside its instance");
    // SAFETY: `boot` set the context word to the kernel's address, and whoever entered holds the kernel.
    unsafe { &*core::ptr::with_exposed_provenance::<Kernel>(context) }
}

/// Runs at each entry.
fn refresh(context: usize) {
    // SAFETY: the context is the address that `boot` handed over; the caller of `enter` holds the kernel.
    let kernel = unsafe { &*core::ptr::with_exposed_provenance::<Kernel>(context) };
    kern::tick(kernel);
}

/// Whether the thread inside is in code of the host that a module could not make fail.
fn in_host(context: usize) -> bool {
    // SAFETY: as for `refresh`; whoever is inside holds the kernel.
    unsafe { &*core::ptr::with_exposed_provenance::<Kernel>(context) }.in_console.load(Ordering::Relaxed)
}

/// The function that modules call at `address`.
fn function_at(context: usize, address: RunAddr) -> Option<&'static str> {
    // SAFETY: as for `in_host`.
    let kernel = unsafe { &*core::ptr::with_exposed_provenance::<Kernel>(context) };
    export::all(kernel.abi).iter().map(|export| export.name).find(|name| kernel.instance.symbol(name) == Some(address))
}

/// Out of memory, as a host says it.
pub(crate) const NO_MEMORY: rumpload::resource::HostError = rumpload::resource::HostError::new(HostErrorKind::OutOfMemory);
