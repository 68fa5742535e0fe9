//! An instance: one loaded world inside a server.

use crate::activate::{Ended, Entry, new_stack};
use crate::address::RunAddr;
use crate::arch::Machine;
use crate::autoload::{Allow, Policy};
use crate::errno;
use crate::load::Linker;
use crate::properties::Properties;
use crate::registry::{Era, Error, Export, ExportTable, KernelVersion, State, place};
use crate::rename::{ExemptRules, Name, Namespace};
use crate::resolve::Resolved;
use crate::resource::{Etfs, EtfsError, EtfsKind, Host, HostError, OpenFile, Placement, Reservation, Window};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};
use spin::Mutex;

/// What a kernel does for the loader. Each gets the instance's context value.
#[derive(Clone, Copy, Debug)]
pub struct Hooks {
    /// Makes the argument of a module's init from its properties: a pointer, or 0 for NULL. Whatever it allocates belongs to the
    /// kernel.
    pub properties: fn(context: usize, properties: Option<&Properties>) -> usize,
    /// Releases what [`properties`](Self::properties) returned.
    pub release_properties: fn(context: usize, argument: usize),
    /// Runs at each outermost entry: brings exported data up to date.
    pub refresh: fn(context: usize),
    /// Runs before each outermost entry returns, still inside: lets the kernel's own threads run. What it ends, ends the entry.
    pub settle: fn(context: usize),
    /// Runs after the code of a module came, before any of it runs, and after it went: for supervisors, which want to know what
    /// lies where if a module takes its server down. May call [`Instance::visit_code`].
    pub code_changed: fn(instance: &Instance),
    /// Whether the kernel is in the middle of a call out to the host, for fault handlers: what goes wrong there is the host's.
    pub in_host: fn(context: usize) -> bool,
    /// The name of the kernel's function that modules call at `address`, for messages.
    pub function_at: fn(context: usize, address: RunAddr) -> Option<&'static str>,
}

impl Default for Hooks {
    fn default() -> Self {
        Self {
            properties: |_, _| 0,
            release_properties: |_, _| {},
            refresh: |_| {},
            settle: |_| {},
            code_changed: |_| {},
            in_host: |_| false,
            function_at: |_, _| None,
        }
    }
}

/// How an instance is set up.
pub struct Config {
    /// Where the modules' symbols live.
    pub namespace: Namespace,
    /// The kernel version that modules must fit.
    pub version: KernelVersion,
    /// The machine whose modules are loaded.
    pub machine: Machine,
    /// Its name in the module path: `amd64`.
    pub machine_name: String,
    /// Where module code and data have to lie.
    pub placement: Placement,
    /// Bytes of the stack that module code runs on.
    pub stack_size: usize,
    /// Leave requirements that a failed load brought in, as NetBSD does.
    pub keep_dependencies: bool,
    /// Who may load what.
    pub policy: Box<dyn Policy>,
    /// The kernel's part.
    pub hooks: Hooks,
}

impl Config {
    /// NetBSD modules of `version` (`__NetBSD_Version__`) for `machine`: prefix `rumpns_`, everything allowed, a stack of 1 MiB.
    #[must_use]
    pub fn netbsd(version: u32, machine: Machine) -> Self {
        let version = KernelVersion(version);
        let rules = if version.era() == Era::Netbsd10 { ExemptRules::Since2020 } else { ExemptRules::Before2020 };
        Self {
            namespace: Namespace::new("rumpns_", rules),
            version,
            machine,
            machine_name: netbsd_name(machine).into(),
            placement: kernel_placement(machine),
            stack_size: 1 << 20,
            keep_dependencies: false,
            policy: Box::new(Allow),
            hooks: Hooks::default(),
        }
    }
}

/// NetBSD's name of the port for a machine, as in module paths.
fn netbsd_name(machine: Machine) -> &'static str {
    match machine {
        Machine::X86_64 => "amd64",
        Machine::X86 => "i386",
        Machine::Riscv64 => "riscv",
        Machine::PowerPc64 => "powerpc64",
        other => other.name(),
    }
}

/// Where modules built for the machine's kernel code model have to lie: x86-64 code addresses with 32 bits.
fn kernel_placement(machine: Machine) -> Placement {
    match machine {
        Machine::X86_64 => Placement::Within { first: 0x1_0000, last: 0x7fff_ffff },
        machine if machine.is_wide() => Placement::Anywhere,
        _ => Placement::Within { first: 0x1_0000, last: 0xffff_ffff },
    }
}

/// One loaded world: a namespace, a registry of modules, an export table, a stack. Instances share nothing.
///
/// One thread at a time is inside. Dropping an instance gives back everything it owned without running module code.
pub struct Instance {
    pub(crate) config: Config,
    host: Host,
    context: AtomicUsize,
    module_base: String,
    // Modules go before the exports they call, and both before the stack.
    pub(crate) state: Mutex<State>,
    pub(crate) exports: Mutex<ExportTable>,
    pub(crate) linker: Mutex<Linker>,
    etfs: Mutex<Etfs>,
    entry: Entry,
}

impl Instance {
    /// An instance without modules, exports or mappings.
    ///
    /// # Errors
    /// [`Error::Host`] if the host has no memory for the stack.
    pub fn new(config: Config, host: Host) -> Result<Self, Error> {
        let what = "reserving the instance's stack";
        let entry = Entry::new(&host.memory, config.stack_size).map_err(|error| Error::Host { what, error })?;
        let module_base = format!("/stand/{}/{}/modules", config.machine_name, config.version.directory());
        Ok(Self {
            config,
            host,
            context: AtomicUsize::new(0),
            module_base,
            state: Mutex::new(State::new()),
            exports: Mutex::default(),
            linker: Mutex::default(),
            etfs: Mutex::default(),
            entry,
        })
    }

    /// What the context word holds while a thread is inside; the address of the instance itself until this is called.
    pub fn set_context(&self, value: usize) {
        self.context.store(value, Ordering::Relaxed);
    }

    /// The value of [`set_context`](Self::set_context).
    #[must_use]
    pub fn context(&self) -> usize {
        match self.context.load(Ordering::Relaxed) {
            0 => core::ptr::from_ref(self).addr(),
            value => value,
        }
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// How the instance was set up.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The directory inside the instance where modules are looked for: `/stand/amd64/7.99.34/modules`.
    #[must_use]
    pub fn module_base(&self) -> &str {
        &self.module_base
    }

    /// Runs `work` inside: alone, on the instance's stack, with the context word set. Inside already, it just runs. Waits for
    /// another thread to get out.
    ///
    /// # Errors
    /// [`Error::Ended`] if module code ended the instance, now or before.
    pub fn enter<R>(&self, work: impl FnOnce() -> R) -> Result<R, Error> {
        let context = self.context();
        let refresh = || (self.config.hooks.refresh)(context);
        let settle = || (self.config.hooks.settle)(context);
        self.entry.enter(context, &*self.host.clock, refresh, work, settle).map_err(|Ended(reason)| Error::Ended { reason })
    }

    /// Whether the calling thread is inside.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.entry.is_inside()
    }

    /// Why the instance has ended, if it has.
    #[must_use]
    pub fn ended(&self) -> Option<String> {
        self.entry.ended().map(|Ended(reason)| reason)
    }

    /// Ends the instance: the outermost `enter` returns [`Error::Ended`] with `reason`, and so does every later one.
    ///
    /// # Safety
    /// The calling thread must be inside, called from module code or on its behalf. Frames between here and the entry are
    /// abandoned, not unwound: none may hold a lock or borrow of the instance, or anything that only `Drop` would free.
    #[expect(unsafe_code, reason = "leaving module code is unsafe by nature")]
    pub unsafe fn end(&self, reason: &str) -> ! {
        // SAFETY: the caller keeps the same contract.
        unsafe { self.entry.leave(reason.to_string()) }
    }

    /// For a fault handler on the thread that is inside: marks the instance as ended and returns the address of a function and
    /// its one argument; resuming the thread there leaves the instance. `None` if the calling thread is not inside.
    #[must_use]
    pub fn abandon(&self, reason: &str) -> Option<(usize, usize)> {
        if !self.entry.is_inside() {
            return None;
        }
        self.entry.mark_ended(reason.to_string());
        Some(self.entry.way_out())
    }

    /// First address and bytes of the stack that module code runs on, guard page included. While a thread of the kernel's own
    /// runs, that is [its stack](Self::run_on).
    #[must_use]
    pub fn stack(&self) -> (RunAddr, usize) {
        self.entry.stack()
    }

    /// A stack for a thread of the kernel's own: `size` bytes, rounded up to pages, above one inaccessible page.
    ///
    /// # Errors
    /// [`HostError`] if the host has no memory for it.
    pub fn new_stack(&self, size: usize) -> Result<Reservation, HostError> {
        new_stack(&self.host.memory, size)
    }

    /// Notes which stack the thread that is inside runs on from now on: one of [`new_stack`](Self::new_stack), or the
    /// instance's own for `None`, as at each outermost entry. Backtraces and fault handlers go by it.
    ///
    /// # Safety
    /// The calling thread must be inside and about to switch to this stack, or have done so; the stack must last until another
    /// one is noted.
    #[expect(unsafe_code, reason = "backtraces read the stack")]
    pub unsafe fn run_on(&self, stack: Option<&Reservation>) {
        self.entry.run_on(stack);
    }

    /// Offers symbols to modules, all or none. May be called several times; a name can be offered once.
    ///
    /// # Errors
    /// [`Error::Redefined`], or [`Error::Host`] if there is no memory in reach for stubs and data.
    pub fn export(&self, exports: &[Export]) -> Result<(), Error> {
        let namespace = &self.config.namespace;
        {
            let table = self.exports.lock();
            let taken = |name| table.get(namespace.name(true, name)).is_some();
            let mut names: Vec<&str> = exports.iter().map(|export| export.name).collect();
            names.sort_unstable();
            let twice = names.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
            let symbols: Vec<String> =
                names.iter().copied().filter(|name| taken(name)).chain(twice).map(ToString::to_string).collect();
            if !symbols.is_empty() {
                return Err(Error::Redefined { module: "the kernel".into(), symbols });
            }
        }
        let what = "reserving memory for exports";
        let placed = place(exports, self.config.machine, &self.host.memory, self.config.placement);
        let placed = placed.map_err(|error| Error::Host { what, error })?;
        let mut table = self.exports.lock();
        table.reserve(placed.values.len());
        for (export, value, size) in placed.values {
            let Name { in_namespace, base } = namespace.name(true, export.name);
            table.insert_kernel(in_namespace, base, value, size);
        }
        placed.region.into_iter().for_each(|region| table.keep(region));
        Ok(())
    }

    /// Address or number of the export `name`, as modules see it.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<RunAddr> {
        let name = self.config.namespace.name(true, name);
        self.exports.lock().get(name).map(|(found, _)| found.value)
    }

    /// What the export `name` stands for.
    #[must_use]
    pub fn lookup(&self, name: &str) -> Option<Resolved> {
        let name = self.config.namespace.name(true, name);
        self.exports.lock().get(name).map(|(found, _)| found)
    }

    /// Number of exports, those of active modules included.
    #[must_use]
    pub fn export_count(&self) -> usize {
        self.exports.lock().len()
    }

    /// Rises by one with each activation and each unload.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.state.lock().generation()
    }

    /// Switches autoload on or off.
    pub fn set_autoload(&self, on: bool) {
        self.state.lock().autoload = on;
    }

    /// Seconds after which an idle module that came by itself may go; 0: never.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a negative time.
    pub fn set_autotime(&self, seconds: i32) -> Result<(), Error> {
        let why = "the time to unload is negative";
        self.state.lock().autotime = u32::try_from(seconds).map_err(|_| Error::Invalid { why, errno: errno::EINVAL })?;
        Ok(())
    }

    /// Makes the host's file or directory `host_path` appear at `key`.
    ///
    /// # Errors
    /// [`Error::Etfs`].
    pub fn etfs_register(&self, key: &str, host_path: &str, kind: EtfsKind, window: Window) -> Result<(), Error> {
        let mut etfs = self.etfs.lock();
        etfs.register(&*self.host.store, key, host_path, kind, window).map_err(|error| Error::Etfs { key: key.into(), error })
    }

    /// Takes a mapping away.
    ///
    /// # Errors
    /// [`Error::Etfs`].
    pub fn etfs_remove(&self, key: &str) -> Result<(), Error> {
        self.etfs.lock().remove(key).map_err(|error| Error::Etfs { key: key.into(), error })
    }

    /// Maps the host's directory `host_path` to the module path; an empty path is the store's root.
    ///
    /// # Errors
    /// [`Error::Etfs`].
    pub fn map_modules(&self, host_path: &str) -> Result<(), Error> {
        self.etfs_register(&self.module_base, host_path, EtfsKind::Subdirectories, Window::default())
    }

    /// Reads a whole file behind a mapping, at most `limit` bytes.
    ///
    /// # Errors
    /// [`EtfsError`]; [`EtfsError::TooLarge`] beyond the limit.
    pub fn read_file(&self, path: &str, limit: u64) -> Result<Vec<u8>, EtfsError> {
        self.open_file(path)?.read_all(limit)
    }

    /// Opens a file behind a mapping for reading.
    ///
    /// # Errors
    /// [`EtfsError`].
    pub fn open_file(&self, path: &str) -> Result<OpenFile, EtfsError> {
        let found = self.etfs.lock().find(path)?;
        found.open(&self.host.store)
    }
}
