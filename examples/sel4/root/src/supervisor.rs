//! Sets the domains up, and what happens to them afterwards.

use crate::domain::{self, Domain, Plan, Shared};
use crate::entry::Stack;
use crate::watchdog::{self, Watchdog};
use core::fmt::Write;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU64, Ordering};
use rumpload::resource::HostErrorKind;
use rumpload_l4::{Label, Message};
use rumpload_sel4::invoke::{self, Access, Object, Rights, ThreadSpace};
use rumpload_sel4::syscall::{Cap, Received, receive};
use rumpload_sel4::{COM1, Fault, KernelError, LAST_WORDS, LOAD_MAP_BYTES, LoadMap, Objects, Serial, slot};
use sel4_runtime::layout::{self, Start, WINDOW_BYTES, badge, cap, report};

static HOST: &[u8] = include_bytes!(concat!(env!("DOMAIN_IMAGES"), "/host"));
#[cfg(not(feature = "conformance"))]
static RUMP: &[u8] = include_bytes!(concat!(env!("DOMAIN_IMAGES"), "/rump"));
#[cfg(feature = "conformance")]
static RUMP: &[u8] = include_bytes!(concat!(env!("DOMAIN_IMAGES"), "/conformance"));
static CLIENT: &[u8] = include_bytes!(concat!(env!("DOMAIN_IMAGES"), "/client"));

/// Where the root task sees the load map and the watchdog's IPC buffer.
const MAP: u64 = 0x1_0010_0000;
const WATCHDOG_BUFFER: u64 = 0x1_0020_0000;

const HOST_PRIORITY: u8 = 200;
/// Of the domain with the library, of its client, and of the watchdog.
const PRIORITY: u8 = 100;
/// All memory of the domain with the library, 2 to this power: one block, which a restart takes back whole.
const RUMP_BITS: u8 = 26;
/// What it makes module memory from.
const RUMP_MODULE_BITS: u8 = 25;
const RUMP_HEAP: usize = 16 << 20;
/// Slots of the root task for the objects of that domain.
const RUMP_SLOTS: u64 = 2048;
/// Seconds that one request may take.
const LIMIT_SECONDS: u64 = 4;
/// Restarts after which something is wrong with the system itself.
const MAX_RESTARTS: u64 = 64;

const FW_CFG: (u16, u16) = (0x510, 0x51b);

static WATCHDOG_STACK: Stack<16384> = Stack::new();
static WATCHDOG: spin::Once<Watchdog> = spin::Once::new();

static SERIAL: AtomicU64 = AtomicU64::new(0);
static EXIT: AtomicU64 = AtomicU64::new(0);

/// The root task's own serial line, also for its panics; prints nothing before [`Supervisor::new`].
pub fn serial() -> Serial {
    Serial::new(Cap(SERIAL.load(Ordering::Relaxed)))
}

/// The port that ends the machine.
pub fn exit_port() -> Cap {
    Cap(EXIT.load(Ordering::Relaxed))
}

/// Everything the root task holds.
pub struct Supervisor {
    objects: Objects,
    serial: Serial,
    mhz: u32,
    /// Where faults and reports arrive.
    faults: Cap,
    /// Where the domain with the devices is called.
    host: Cap,
    /// Where the domain with the library is called.
    rump: Cap,
    /// Between the domain with the library and the one with the devices.
    rump_window: Shared,
    /// Between the client and the domain with the devices.
    console_window: Shared,
    /// Between the client and the domain with the library.
    client_window: Shared,
    map_memory: Shared,
    map: LoadMap,
    rump_memory: Cap,
    rump_slots: u64,
    rump_domain: Option<Domain>,
    /// Holds the right to answer a client whose server died.
    reply: u64,
    restarts: u64,
}

impl Supervisor {
    /// Makes what domains share.
    pub fn new(mut objects: Objects, mhz: u32) -> Result<Self, KernelError> {
        for (ports, first, last) in
            [(&SERIAL, COM1, COM1 + rumpload_sel4::PORTS - 1), (&EXIT, crate::EXIT_PORT, crate::EXIT_PORT)]
        {
            let slot = objects.slot()?;
            invoke::narrow_ports(slot::CNODE, slot, slot::CNODE, slot::PORTS, first, last)?;
            ports.store(slot, Ordering::Relaxed);
        }
        let rump_memory = objects.make(Object::Untyped, RUMP_BITS)?;
        let rump_slots = objects.mark();
        for _ in 0..RUMP_SLOTS {
            objects.slot()?;
        }
        let map_memory = Shared::new(&mut objects, LOAD_MAP_BYTES)?;
        map_memory.map(&mut objects, slot::VSPACE, MAP, Access::ReadWrite)?;
        let base = NonNull::new(core::ptr::with_exposed_provenance_mut(MAP as usize)).ok_or(KernelError(1))?;
        // SAFETY: just mapped read-write, for good, and used for this alone.
        let map = unsafe { LoadMap::new(base) };
        Ok(Self {
            serial: serial(),
            mhz,
            faults: objects.make(Object::Endpoint, 0)?,
            host: objects.make(Object::Endpoint, 0)?,
            rump: objects.make(Object::Endpoint, 0)?,
            rump_window: Shared::new(&mut objects, WINDOW_BYTES)?,
            console_window: Shared::new(&mut objects, WINDOW_BYTES)?,
            client_window: Shared::new(&mut objects, WINDOW_BYTES)?,
            map_memory,
            map,
            rump_memory,
            rump_slots,
            rump_domain: None,
            reply: objects.slot()?,
            restarts: 0,
            objects,
        })
    }

    fn start_record(&self) -> Start {
        Start { tsc_mhz: self.mhz, heap: 0, slots: 0, dma: 0, windows: [0; 2], restarts: 0, image: [0; 2] }
    }

    /// Starts everything.
    pub fn start_all(&mut self) -> Result<(), KernelError> {
        self.start_watchdog()?;
        self.start_host()?;
        self.start_rump()?;
        self.start_client()
    }

    /// The domain with the devices: the serial line, the firmware configuration, one page for descriptors.
    fn start_host(&mut self) -> Result<(), KernelError> {
        let windows = [self.rump_window.address()?, self.console_window.address()?];
        let plan = Plan {
            image: HOST,
            radix: 5,
            heap: 2 << 20,
            priority: HOST_PRIORITY,
            caps: &[
                (cap::SERVICE, self.host, Rights::Receive, 0),
                (cap::FAULT, self.faults, Rights::Call, badge::HOST),
                // Shared with the root task, which needs it when no domain can print for it any more.
                (cap::SERIAL, Cap(SERIAL.load(Ordering::Relaxed)), Rights::All, 0),
            ],
            ports: &[(cap::FW_CFG, FW_CFG.0, FW_CFG.1)],
            shared: &[
                (self.rump_window, layout::WINDOW_DOWN, Access::ReadWrite),
                (self.console_window, layout::WINDOW_DOWN + layout::WINDOW_STEP, Access::ReadWrite),
            ],
            dma: true,
            memory_bits: None,
            start: Start { windows, ..self.start_record() },
        };
        domain::start(&mut self.objects, &plan).map(drop)
    }

    /// The domain with the library: its server, its clients, memory; no device.
    fn start_rump(&mut self) -> Result<(), KernelError> {
        let plan = Plan {
            image: RUMP,
            radix: 14,
            heap: RUMP_HEAP,
            priority: PRIORITY,
            caps: &[
                (cap::SERVER, self.host, Rights::Call, badge::RUMP),
                (cap::SERVICE, self.rump, Rights::Receive, 0),
                (cap::FAULT, self.faults, Rights::Call, badge::RUMP),
            ],
            ports: &[],
            shared: &[
                (self.rump_window, layout::WINDOW_UP, Access::ReadWrite),
                (self.client_window, layout::WINDOW_DOWN, Access::ReadWrite),
                (self.map_memory, layout::LOAD_MAP, Access::ReadWrite),
            ],
            dma: false,
            memory_bits: Some(RUMP_MODULE_BITS),
            start: Start { restarts: self.restarts, ..self.start_record() },
        };
        let mut objects = Objects::new(slot::CNODE, self.rump_slots, self.rump_slots + RUMP_SLOTS);
        objects.add(self.rump_memory);
        self.rump_domain = Some(domain::start(&mut objects, &plan)?);
        Ok(())
    }

    /// The domain that asks: its server, the console, and a way to say that it has finished.
    fn start_client(&mut self) -> Result<(), KernelError> {
        let plan = Plan {
            image: CLIENT,
            radix: 5,
            heap: 2 << 20,
            priority: PRIORITY,
            caps: &[
                (cap::SERVER, self.rump, Rights::Call, badge::CLIENT),
                (cap::CONSOLE, self.host, Rights::Call, badge::CLIENT),
                (cap::FAULT, self.faults, Rights::Call, badge::CLIENT),
                (cap::ROOT, self.faults, Rights::Call, badge::CLIENT),
            ],
            ports: &[],
            shared: &[
                (self.client_window, layout::WINDOW_UP, Access::ReadWrite),
                (self.console_window, layout::WINDOW_CONSOLE, Access::ReadWrite),
            ],
            dma: false,
            memory_bits: None,
            start: self.start_record(),
        };
        domain::start(&mut self.objects, &plan).map(drop)
    }

    fn start_watchdog(&mut self) -> Result<(), KernelError> {
        let endpoint = Cap(self.objects.slot()?);
        invoke::mint(slot::CNODE, endpoint.0, slot::CNODE, self.faults, Rights::Call, badge::WATCHDOG)?;
        let base = NonNull::new(core::ptr::with_exposed_provenance_mut(MAP as usize)).ok_or(KernelError(1))?;
        // SAFETY: mapped for good by `new`.
        let map = unsafe { LoadMap::new(base) };
        let limit = LIMIT_SECONDS * 1_000_000 * u64::from(self.mhz);
        let watchdog = WATCHDOG.call_once(|| Watchdog { map, limit, endpoint });
        let thread = self.objects.make(Object::Thread, 0)?;
        let buffer_page = self.objects.make(Object::Page, 0)?;
        // SAFETY: the address is for this page alone.
        unsafe { self.objects.map(buffer_page, slot::VSPACE, WATCHDOG_BUFFER, Access::ReadWrite) }?;
        let space = ThreadSpace {
            cspace: slot::CNODE,
            cspace_data: 0,
            vspace: slot::VSPACE,
            buffer: WATCHDOG_BUFFER,
            buffer_page,
            fault_slot: endpoint.0,
            priority: PRIORITY,
        };
        invoke::configure(thread, &space, slot::THREAD)?;
        let (ip, argument) = (watchdog::run as *const () as u64, core::ptr::from_ref(watchdog).addr() as u64);
        // SAFETY: a function of this image that takes this argument, on a stack of its own.
        unsafe { invoke::start(thread, ip, WATCHDOG_STACK.top(), argument) }
    }

    /// Waits for faults and reports until the client has finished or nothing can be done; says whether all is well.
    pub fn watch(&mut self) -> Result<bool, KernelError> {
        loop {
            let message = receive(self.faults);
            match (message.badge, message.info.label()) {
                (badge::CLIENT, report::FINISHED) => return Ok(message.words[0] == 0),
                (badge::WATCHDOG, report::STUCK) => self.stuck(message.words[0])?,
                (badge::RUMP, _) => {
                    let fault = Fault::decode(&message);
                    self.died(&fault, fault.ip())?;
                }
                _ => {
                    self.unexpected(&message);
                    return Ok(false);
                }
            }
            if self.restarts > MAX_RESTARTS {
                self.say(format_args!("too many restarts"));
                return Ok(false);
            }
        }
    }

    fn say(&mut self, text: core::fmt::Arguments<'_>) {
        // The line drops what it cannot print.
        let _ = writeln!(self.serial, "root: {text}");
    }

    fn unexpected(&mut self, message: &Received) {
        let name = match message.badge {
            badge::HOST => "host",
            badge::CLIENT => "client",
            _ => "watchdog",
        };
        let fault = Fault::decode(message);
        let ip = fault.ip().unwrap_or(0);
        self.say(format_args!("domain {name} died: {fault}, at {ip:#x}"));
    }

    /// The watchdog found the domain at request `number` for too long.
    fn stuck(&mut self, number: u64) -> Result<(), KernelError> {
        let Some(domain) = self.rump_domain else { return Ok(()) };
        // It may have finished while the watchdog was reporting.
        if self.map.working().is_none_or(|working| working.number != number) {
            return Ok(());
        }
        invoke::suspend(domain.thread)?;
        let (ip, _) = invoke::read_pointers(domain.thread)?;
        self.died(&format_args!("no answer for {LIMIT_SECONDS} s"), Some(ip))
    }

    /// Reports a death of the domain with the library, starts it anew, and gives its client an error.
    fn died(&mut self, why: &dyn core::fmt::Display, ip: Option<u64>) -> Result<(), KernelError> {
        let Some(domain) = self.rump_domain.take() else { return Ok(()) };
        let place = ip.and_then(|ip| self.map.find(ip));
        match (place, ip) {
            (Some(place), _) => self.say(format_args!("domain rump died: {why}, in {place}")),
            (None, Some(ip)) => self.say(format_args!("domain rump died: {why}, at {ip:#x}")),
            (None, None) => self.say(format_args!("domain rump died: {why}")),
        }
        let mut buffer = [0; LAST_WORDS];
        let words = self.map.read_last_words(&mut buffer);
        if !words.is_empty() {
            self.say(format_args!("its last words: {words}"));
        }
        // The client waits for an answer that only the holder of this capability can give.
        let waiting = match invoke::move_cap(slot::CNODE, self.reply, domain.cnode, cap::REPLY) {
            Ok(()) => true,
            Err(KernelError::FAILED_LOOKUP) => false,
            Err(error) => return Err(error),
        };
        let label = self.map.working().map(|working| working.label);
        // SAFETY: all that was made of this memory belongs to the dead domain, whose thread goes with it.
        unsafe { invoke::revoke(slot::CNODE, self.rump_memory.0) }?;
        for slot in self.rump_slots..self.rump_slots + RUMP_SLOTS {
            // What is left are copies of pages that it shared.
            // SAFETY: they were mapped in its address space only.
            unsafe { invoke::delete(slot::CNODE, slot) }?;
        }
        self.map.reset();
        self.restarts += 1;
        self.start_rump()?;
        if waiting {
            let label = Label::new(label.unwrap_or(0).into()).map_err(|_| KernelError(1))?;
            let failure = Message::failure(label, HostErrorKind::Io.into());
            rumpload_sel4::answer(Cap(self.reply), &failure).map_err(|_| KernelError(1))?;
        }
        self.say(format_args!("domain rump restarted"));
        Ok(())
    }
}
