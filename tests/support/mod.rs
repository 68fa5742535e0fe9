//! A server for tests: an instance over this process's memory and a store, clock and console that tests control.
//!
//! Modules made by [`Record`](rumpload_test_modules::elf::Record) with [`noting`] call back here: every command is noted, and a
//! test may say what happens then.
#![allow(dead_code, reason = "each test program uses a part of it")]

mod store;

pub use store::MemoryStore;

use rumpload::properties::Properties;
use rumpload::resource::{Clock, Console, Host, HostError, Memory, Region, Request, Segment};
use rumpload::{Config, Error, Export, ExportValue, Hooks, Instance, Load, Machine};
use rumpload_test_modules::elf;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// NetBSD 9.3: the loader of most conformance statements.
pub const NETBSD_9_3: u32 = 903_000_000;
pub const NETBSD_7_99_34: u32 = 799_003_400;
pub const NETBSD_10: u32 = 1_000_000_000;

/// Commands to a control routine.
pub const INIT: i32 = 0;
pub const FINI: i32 = 1;
pub const AUTOUNLOAD: i32 = 3;

/// A command that a module got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The module's number.
    pub number: u32,
    pub command: i32,
    pub argument: usize,
}

type Behaviour = Box<dyn Fn(&Probe, Event) -> i32 + Send + Sync>;

/// What exported functions find through the context word.
#[derive(Default)]
pub struct Probe {
    events: Mutex<Vec<Event>>,
    behaviours: Mutex<HashMap<u32, Behaviour>>,
    properties: Mutex<Vec<Option<Properties>>>,
    instance: Mutex<Option<std::sync::Weak<Instance>>>,
}

impl Probe {
    /// The instance. Nothing is counted, so that frames which are abandoned leave nothing behind.
    pub fn instance(&self) -> &Instance {
        let instance = self.instance.lock().unwrap().as_ref().map(std::sync::Weak::as_ptr).expect("set when it was made");
        // SAFETY: `World` owns the instance, and this is called from inside of it.
        unsafe { &*instance }
    }
}

/// The probe of the instance that the thread is inside of.
pub fn probe() -> &'static Probe {
    // SAFETY: `World` sets the context word to its probe, which it keeps until the instance is gone.
    unsafe { &*(rumpload::context() as *const Probe) }
}

extern "C" fn note(command: i32, argument: usize, number: u32) -> i32 {
    let probe = probe();
    let event = Event { number, command, argument };
    probe.events.lock().unwrap().push(event);
    let behaviour = probe.behaviours.lock().unwrap().get(&number).map(|behaviour| &raw const **behaviour);
    match behaviour {
        // SAFETY: no test replaces a behaviour while it runs, and the probe outlives the instance.
        Some(behaviour) => unsafe { (*behaviour)(probe, event) },
        None if command == AUTOUNLOAD => 25,
        None => 0,
    }
}

/// Keeps what the console is told.
#[derive(Default)]
pub struct Recorder(Mutex<String>);

impl Recorder {
    pub fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl Console for Recorder {
    fn write(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

/// A clock that goes when a test says so.
#[derive(Default)]
pub struct ManualClock {
    now: Mutex<Duration>,
    steps: AtomicBool,
}

impl ManualClock {
    pub fn advance(&self, seconds: u64) {
        *self.now.lock().unwrap() += Duration::from_secs(seconds);
    }

    /// From now on it goes on when somebody sleeps, too.
    pub fn step_in_sleep(&self) {
        self.steps.store(true, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Result<Duration, HostError> {
        Ok(*self.now.lock().unwrap())
    }

    fn wall(&self) -> Result<Duration, HostError> {
        Ok(Duration::from_secs(1_000_000_000) + *self.now.lock().unwrap())
    }

    fn sleep(&self, time: Duration) -> Result<(), HostError> {
        if self.steps.load(Ordering::Relaxed) {
            *self.now.lock().unwrap() += time;
        }
        std::thread::yield_now();
        Ok(())
    }
}

/// This process's memory, counted.
pub struct CountedMemory {
    inner: rumpload_hosted::Memory,
    live: AtomicUsize,
}

impl CountedMemory {
    pub fn new() -> Self {
        Self { inner: rumpload_hosted::Memory::new(), live: AtomicUsize::new(0) }
    }

    /// Regions reserved now.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::SeqCst)
    }
}

// SAFETY: every call goes to an implementation that keeps the contract.
unsafe impl Memory for CountedMemory {
    fn page_size(&self) -> usize {
        self.inner.page_size()
    }

    fn reserve(&self, request: &Request) -> Result<Region, HostError> {
        let region = self.inner.reserve(request)?;
        self.live.fetch_add(1, Ordering::SeqCst);
        Ok(region)
    }

    fn finalize(&self, region: &Region, segments: &[Segment]) -> Result<(), HostError> {
        self.inner.finalize(region, segments)
    }

    fn release(&self, region: Region) {
        self.live.fetch_sub(1, Ordering::SeqCst);
        self.inner.release(region);
    }
}

/// A server.
pub struct World {
    pub instance: Arc<Instance>,
    pub store: Arc<MemoryStore>,
    pub console: Arc<Recorder>,
    pub clock: Arc<ManualClock>,
    pub memory: Arc<CountedMemory>,
    // Dropped after the instance, which calls it.
    probe: Arc<Probe>,
}

/// NetBSD's name for the machine that tests run on.
pub const PORT: &str = if cfg!(target_arch = "x86") { "i386" } else { "amd64" };

/// Directory of the store that the module path is mapped to.
pub const MODULES: &str = "modules";

impl World {
    /// A server whose kernel is `version` on this machine.
    pub fn new(version: u32) -> Self {
        Self::with(version, |_| {})
    }

    /// As [`new`](Self::new), the configuration changed by `change`.
    pub fn with(version: u32, change: impl FnOnce(&mut Config)) -> Self {
        let (store, console, clock) = (Arc::new(MemoryStore::default()), Arc::new(Recorder::default()), Arc::default());
        let clock: Arc<ManualClock> = clock;
        let memory = Arc::new(CountedMemory::new());
        let host = Host {
            memory: memory.clone(),
            store: store.clone(),
            console: console.clone(),
            clock: clock.clone(),
            entropy: Arc::new(rumpload_hosted::SystemEntropy),
        };
        let mut config = Config::netbsd(version, Machine::native().expect("a machine"));
        config.hooks = Hooks { properties: keep_properties, ..Hooks::default() };
        change(&mut config);
        let instance = Arc::new(Instance::new(config, host).expect("an instance"));
        let probe = Arc::new(Probe::default());
        *probe.instance.lock().unwrap() = Some(Arc::downgrade(&instance));
        instance.set_context(Arc::as_ptr(&probe) as usize);
        instance.export(&[Export { name: "note", value: ExportValue::Function(note as *const ()) }]).expect("exported");
        store.directory(MODULES);
        instance.map_modules(MODULES).expect("mapped");
        Self { instance, store, console, clock, memory, probe }
    }

    /// Puts a module's file where autoload looks for it.
    pub fn put(&self, name: &str, bytes: impl Into<Vec<u8>>) {
        self.store.file(&format!("{MODULES}/{name}/{name}.kmod"), bytes);
    }

    /// Puts a module's property list beside it.
    pub fn put_list(&self, name: &str, text: &str) {
        self.store.file(&format!("{MODULES}/{name}/{name}.plist"), text);
    }

    /// Puts the module of a record under its own name.
    pub fn add(&self, record: &elf::Record<'_>) {
        self.put(record.name, record.bytes(elf::Machine::NATIVE));
    }

    /// Puts a module that answers 0, requiring `required`.
    pub fn plain(&self, name: &str, required: Option<&str>) {
        self.add(&elf::Record { required, ..elf::Record::new(name, self.instance.config().version.0) });
    }

    /// Puts a module that notes its commands under `number`.
    pub fn noting(&self, name: &str, number: u32) {
        self.add(&noting(name, self.instance.config().version.0, number));
    }

    /// Loads explicitly, without flags.
    pub fn load(&self, name: &str) -> Result<(), Error> {
        self.instance.load(&Load { name, ..Load::default() })
    }

    /// Names of active modules, newest first.
    pub fn active(&self) -> Vec<String> {
        let all = self.instance.stat().expect("not ended");
        all.into_iter().filter(|status| status.references.is_some()).map(|status| status.name).collect()
    }

    /// References of an active module.
    pub fn references(&self, name: &str) -> Option<u32> {
        let all = self.instance.stat().expect("not ended");
        all.into_iter().find(|status| status.name == name).and_then(|status| status.references)
    }

    /// What happens when module `number` gets a command.
    pub fn when(&self, number: u32, behaviour: impl Fn(&Probe, Event) -> i32 + Send + Sync + 'static) {
        self.probe.behaviours.lock().unwrap().insert(number, Box::new(behaviour));
    }

    /// The commands that module `number` got.
    pub fn commands(&self, number: u32) -> Vec<i32> {
        let events = self.probe.events.lock().unwrap();
        events.iter().filter(|event| event.number == number).map(|event| event.command).collect()
    }

    /// All commands in order.
    pub fn events(&self) -> Vec<Event> {
        self.probe.events.lock().unwrap().clone()
    }

    /// The properties that each init got.
    pub fn properties(&self) -> Vec<Option<Properties>> {
        self.probe.properties.lock().unwrap().clone()
    }

    /// Runs `request`, which must fail, and checks that it left no module, no memory, no export and no open file behind.
    pub fn fails_whole(&self, request: impl FnOnce(&Self) -> Result<(), Error>) -> Error {
        let state = |world: &Self| (world.active(), world.memory.live(), world.instance.export_count(), world.store.open_files());
        let before = state(self);
        let generation = self.instance.generation();
        let error = request(self).expect_err("it has to fail");
        assert_eq!(state(self), before, "left behind by {error}");
        let rose = self.instance.generation() - generation;
        assert!(rose.is_multiple_of(2), "what was brought in went again");
        error
    }
}

fn keep_properties(context: usize, properties: Option<&Properties>) -> usize {
    // SAFETY: the context is that of `World`'s instance, its probe.
    let probe = unsafe { &*(context as *const Probe) };
    let mut all = probe.properties.lock().unwrap();
    all.push(properties.cloned());
    if properties.is_some() { all.len() } else { 0 }
}

/// The record of a module that notes its commands under `number`.
pub fn noting(name: &str, version: u32, number: u32) -> elf::Record<'_> {
    elf::Record { control: elf::Control::Calls("note", number), ..elf::Record::new(name, version) }
}

/// The errno of a request that failed.
#[track_caller]
pub fn errno<T: std::fmt::Debug>(result: Result<T, Error>) -> i32 {
    match result {
        Ok(value) => panic!("it has to fail, and gave {value:?}"),
        Err(error) => error.errno(),
    }
}
