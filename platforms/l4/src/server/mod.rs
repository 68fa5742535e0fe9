//! The side that has the resources.

mod block;
mod files;
#[expect(unsafe_code, reason = "regions of a client are kept to give them back")]
mod memory;
mod store;

pub use files::{EntryKind, FileServer, FileService, FileStat, Mount, Status};

use crate::wire::{self, Answer, Interface, answer, bytes, failure::Failure, respond, time};
use crate::{Message, Sender, Transport, Window};
use alloc::sync::Arc;
use alloc::vec::Vec;
use rumpload::resource::{Block, Clock, Console, Entropy, FileHandle, HostError, HostErrorKind, Memory, Store};

/// Bytes that are read at once before they are copied into the window.
const SCRATCH: usize = 16 << 10;

/// What answers messages.
pub trait Service: Send {
    /// Makes `message`, which came from `sender`, the answer to it. Spans in it are parts of `window`.
    fn handle(&mut self, sender: Sender, message: &mut Message, window: &Window);
}

/// Answers what comes through `transport` until receiving fails; the error.
///
/// A message that does not fit is answered with [`Protocol`](HostErrorKind::Protocol).
pub fn serve(transport: &dyn Transport, service: &mut dyn Service) -> HostError {
    let mut message = Message::new(wire::session::PING);
    let mut received = transport.receive(&mut message);
    loop {
        match received {
            Ok(sender) => service.handle(sender, &mut message, transport.window()),
            Err(error) if error.kind() == HostErrorKind::Protocol => {
                message.capability = None;
                respond(&mut message, Err(error.into()));
            }
            Err(error) => return error,
        }
        received = transport.reply_and_receive(&mut message);
    }
}

/// Reads that put their bytes into the window themselves, as a device does: one copy less than through a buffer.
pub trait WindowRead: Send + Sync {
    /// As [`Store::read_at`] into `len` bytes of `window` at `at`; they are within it.
    ///
    /// # Errors
    /// As [`Store::read_at`].
    fn read_file(&self, file: FileHandle, offset: u64, window: &Window, at: u64, len: usize) -> Result<usize, HostError>;

    /// As [`Block::read`] of device number `device` into `len` bytes of `window` at `at`; they are within it.
    ///
    /// # Errors
    /// As [`Block::read`].
    fn read_block(&self, device: usize, offset: u64, window: &Window, at: u64, len: usize) -> Result<usize, HostError>;
}

/// What a server serves; nothing, to begin with. What is absent is answered with [`Unsupported`](HostErrorKind::Unsupported).
#[derive(Clone, Default)]
pub struct Resources {
    /// Memory of the client's own address space: the server is the one who maps it there.
    pub memory: Option<Arc<dyn Memory>>,
    /// Files.
    pub store: Option<Arc<dyn Store>>,
    /// Devices, by number.
    pub blocks: Vec<Arc<dyn Block>>,
    /// Messages.
    pub console: Option<Arc<dyn Console>>,
    /// Time.
    pub clock: Option<Arc<dyn Clock>>,
    /// Random bytes.
    pub entropy: Option<Arc<dyn Entropy>>,
    /// Reads of `store` and `blocks` without a buffer between, for handles that `store` gave out.
    pub direct: Option<Arc<dyn WindowRead>>,
}

/// Serves the resources of a host to one client.
pub struct Server {
    greeted: bool,
    memory: Option<memory::Server>,
    store: Option<store::Server>,
    blocks: block::Server,
    console: Option<Arc<dyn Console>>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
}

impl Server {
    /// A server of `resources` that nobody has greeted yet.
    #[must_use]
    pub fn new(resources: Resources) -> Self {
        let Resources { memory, store, blocks, console, clock, entropy, direct } = resources;
        Self {
            greeted: false,
            memory: memory.map(memory::Server::new),
            store: store.map(|store| store::Server::new(store, direct.clone())),
            blocks: block::Server::new(blocks, direct),
            console,
            clock,
            entropy,
        }
    }

    /// Files and lists that the client has open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.store.as_ref().map_or(0, store::Server::open)
    }

    /// Regions that the client has reserved.
    #[must_use]
    pub fn regions(&self) -> usize {
        self.memory.as_ref().map_or(0, memory::Server::regions)
    }

    fn answer(&mut self, message: &Message, window: &Window) -> Result<Answer, HostError> {
        let interface = Interface::of(message.label)?;
        if interface == Interface::Session {
            return self.session(message, window);
        }
        if !self.greeted {
            return Err(HostErrorKind::Protocol.into());
        }
        let none = || HostError::new(HostErrorKind::Unsupported);
        match interface {
            Interface::Memory => self.memory.as_mut().ok_or_else(none)?.answer(message, window),
            Interface::Store => self.store.as_mut().ok_or_else(none)?.answer(message, window),
            Interface::Block => self.blocks.answer(message, window),
            Interface::Console => console(&**self.console.as_ref().ok_or_else(none)?, message, window),
            Interface::Clock => clock(&**self.clock.as_ref().ok_or_else(none)?, message),
            Interface::Entropy => entropy(&**self.entropy.as_ref().ok_or_else(none)?, message, window),
            Interface::Session | Interface::Files | Interface::Control => Err(none()),
        }
    }

    fn session(&mut self, message: &Message, window: &Window) -> Result<Answer, HostError> {
        let answer = session(message, window, self.served())?;
        if message.label == wire::session::HELLO {
            self.reset();
            self.greeted = true;
        }
        Ok(answer)
    }

    fn served(&self) -> u64 {
        let bit = |interface: Interface, served: bool| if served { interface.bit() } else { 0 };
        bit(Interface::Memory, self.memory.is_some())
            | bit(Interface::Store, self.store.is_some())
            | bit(Interface::Block, !self.blocks.is_empty())
            | bit(Interface::Console, self.console.is_some())
            | bit(Interface::Clock, self.clock.is_some())
            | bit(Interface::Entropy, self.entropy.is_some())
    }

    /// Takes back whatever the client holds.
    fn reset(&mut self) {
        if let Some(store) = &mut self.store {
            store.reset();
        }
        if let Some(memory) = &mut self.memory {
            memory.reset();
        }
    }
}

impl Service for Server {
    fn handle(&mut self, _sender: Sender, message: &mut Message, window: &Window) {
        let answer = self.answer(message, window).map_err(Failure::from);
        respond(message, answer);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.reset();
    }
}

/// Answers `hello` and `ping` of a server that serves the interfaces whose bits are in `served`.
fn session(message: &Message, window: &Window, served: u64) -> Result<Answer, HostError> {
    match message.label {
        wire::session::HELLO => {
            let [len] = message.exactly()?;
            // Two ends that see windows of different lengths do not see the same one.
            if len != window.len() as u64 {
                return Err(HostErrorKind::InvalidInput.into());
            }
            answer(&[len, served])
        }
        wire::session::PING => message.exactly::<0>().and_then(|[]| answer(&[])),
        _ => Err(HostErrorKind::Unsupported.into()),
    }
}

fn console(console: &dyn Console, message: &Message, window: &Window) -> Result<Answer, HostError> {
    if message.label != wire::console::WRITE {
        return Err(HostErrorKind::Unsupported.into());
    }
    let [offset, len] = message.exactly()?;
    let text = bytes(window, offset, len, SCRATCH)?;
    console.write(core::str::from_utf8(&text).map_err(|_| HostErrorKind::InvalidInput)?);
    answer(&[])
}

fn clock(clock: &dyn Clock, message: &Message) -> Result<Answer, HostError> {
    let now = match message.label {
        wire::clock::MONOTONIC => message.exactly::<0>().and_then(|[]| clock.monotonic())?,
        wire::clock::WALL => message.exactly::<0>().and_then(|[]| clock.wall())?,
        wire::clock::SLEEP => {
            let [seconds, nanoseconds] = message.exactly()?;
            let time = time(seconds, nanoseconds)?;
            if time > wire::MAX_SLEEP {
                return Err(HostErrorKind::InvalidInput.into());
            }
            clock.sleep(time)?;
            return answer(&[]);
        }
        _ => return Err(HostErrorKind::Unsupported.into()),
    };
    answer(&[now.as_secs(), now.subsec_nanos().into()])
}

fn entropy(entropy: &dyn Entropy, message: &Message, window: &Window) -> Result<Answer, HostError> {
    if message.label != wire::entropy::FILL {
        return Err(HostErrorKind::Unsupported.into());
    }
    let [offset, len] = message.exactly()?;
    window.address(offset, len)?;
    let mut buffer = wire::zeroed((len as usize).min(SCRATCH))?;
    let mut done = 0;
    while done < len {
        let piece = (len - done).min(SCRATCH as u64) as usize;
        entropy.fill(&mut buffer[..piece])?;
        window.write(offset + done, &buffer[..piece])?;
        done += piece as u64;
    }
    answer(&[])
}

/// Fills `len` bytes of the window at `at` from `read`, which is asked for the bytes at an offset from the first and says how
/// many it has; how many bytes are there. Fewer than asked end it, and so does an error once there are some.
fn fill_window(
    window: &Window,
    at: u64,
    len: u64,
    scratch: &mut Vec<u8>,
    mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, HostError>,
) -> Result<u64, HostError> {
    window.address(at, len)?;
    if scratch.is_empty() {
        *scratch = wire::zeroed(SCRATCH)?;
    }
    let mut done = 0;
    loop {
        let piece = (len - done).min(SCRATCH as u64) as usize;
        let count = match read(done, &mut scratch[..piece]) {
            Ok(count) if count > piece => return Err(HostErrorKind::Protocol.into()),
            Ok(count) => count,
            Err(_) if done > 0 => return Ok(done),
            Err(error) => return Err(error),
        };
        window.write(at + done, &scratch[..count])?;
        done += count as u64;
        if count < piece || done == len {
            return Ok(done);
        }
    }
}
