//! The side that needs the resources.

mod block;
mod clock;
mod console;
mod entropy;
mod files;
#[expect(unsafe_code, reason = "implements the unsafe trait Memory")]
mod memory;
mod store;

pub use block::RemoteBlock;
pub use clock::RemoteClock;
pub use console::RemoteConsole;
pub use entropy::RemoteEntropy;
pub use files::RemoteFiles;
pub use memory::{Arena, RemoteMemory};
pub use store::RemoteStore;

use crate::inject::Action;
use crate::wire::{self, Interface, entries, failure, failure::Failure};
use crate::{Label, Message, Transport, Window};
use alloc::sync::Arc;
use alloc::vec::Vec;
use rumpload::resource::{Host, HostError, HostErrorKind, Memory};
use spin::{Mutex, MutexGuard};

/// A client's end of a connection: one request at a time, and the window is that request's.
///
/// A thread that wants to send while another waits for an answer spins; threads that preempt each other want connections of
/// their own.
pub struct Connection {
    transport: Arc<dyn Transport>,
    state: Mutex<State>,
    served: u64,
}

impl Connection {
    /// Greets the server: both agree on the version and on the window, and the server takes back what an earlier client left.
    ///
    /// # Errors
    /// What the transport gives; [`Unsupported`](HostErrorKind::Unsupported) if the server speaks another version,
    /// [`InvalidInput`](HostErrorKind::InvalidInput) if it sees another window.
    pub fn new(transport: Arc<dyn Transport>) -> Result<Arc<Self>, HostError> {
        let state = Mutex::new(State { message: Message::new(wire::session::HELLO), last: 0 });
        let mut connection = Self { transport, state, served: 0 };
        connection.served = connection.greet()?;
        Ok(Arc::new(connection))
    }

    /// Greets the server again, after it was started anew; nothing that was open is open any more. The interfaces it serves,
    /// bit n for interface n.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Protocol`](HostErrorKind::Protocol) if it no longer serves what it did.
    pub fn greet(&self) -> Result<u64, HostError> {
        let len = self.window().len() as u64;
        let [same, served] = self.lock().host(wire::session::HELLO, &[len])?;
        if same == len && served & self.served == self.served { Ok(served) } else { Err(HostErrorKind::Protocol.into()) }
    }

    /// Asks for nothing: what a request costs.
    ///
    /// # Errors
    /// What the transport gives.
    pub fn ping(&self) -> Result<(), HostError> {
        self.lock().host(wire::session::PING, &[]).map(|[]| ())
    }

    /// Makes an [`Injector`](crate::Injector) at the other end do `action` to the `nth` answer from now (1: the next), or nothing for 0; how many
    /// planned faults have happened so far.
    ///
    /// # Errors
    /// [`Unsupported`](HostErrorKind::Unsupported) or [`Protocol`](HostErrorKind::Protocol) if there is none that takes plans
    /// from this client.
    pub fn plan_fault(&self, nth: u64, action: Action) -> Result<u64, HostError> {
        let [number, first, second] = action.words();
        self.lock().host(wire::control::PLAN, &[nth, number, first, second]).map(|[struck]| struck)
    }

    /// True if the server serves `interface`.
    #[must_use]
    pub const fn serves(&self, interface: Interface) -> bool {
        self.served & interface.bit() != 0
    }

    /// Fails with [`Unsupported`](HostErrorKind::Unsupported) unless the server serves `interface`.
    fn require(&self, interface: Interface) -> Result<(), HostError> {
        if self.serves(interface) { Ok(()) } else { Err(HostErrorKind::Unsupported.into()) }
    }

    fn window(&self) -> &Window {
        self.transport.window()
    }

    /// The right to send, and to use the window, until it is dropped.
    fn lock(&self) -> Exchange<'_> {
        Exchange { connection: self, state: self.state.lock() }
    }
}

/// The host at the other end of `connection`, with memory of this domain's own.
///
/// # Errors
/// [`Unsupported`](HostErrorKind::Unsupported) unless it serves store, console, clock and entropy.
pub fn host(connection: &Arc<Connection>, memory: Arc<dyn Memory>) -> Result<Host, HostError> {
    Ok(Host {
        memory,
        store: Arc::new(RemoteStore::new(connection)?),
        console: Arc::new(RemoteConsole::new(connection)?),
        clock: Arc::new(RemoteClock::new(connection)?),
        entropy: Arc::new(RemoteEntropy::new(connection)?),
    })
}

struct State {
    /// What is sent and what came back.
    message: Message,
    /// The last number that was given to a handle or region.
    last: u64,
}

/// One request, or several that belong together.
struct Exchange<'c> {
    connection: &'c Connection,
    state: MutexGuard<'c, State>,
}

impl Exchange<'_> {
    /// Sends `words` and takes the answer apart.
    fn call<const N: usize>(&mut self, label: Label, words: &[u64]) -> Result<[u64; N], Failure> {
        let message = &mut self.state.message;
        message.set(label, words)?;
        self.connection.transport.call(message)?;
        let protocol = Failure::from(HostErrorKind::Protocol);
        if message.label != label || message.capability.is_some() {
            return Err(protocol);
        }
        match message.words() {
            [failure::DONE, results @ ..] => <[u64; N]>::try_from(results).map_err(|_| protocol),
            [status, code] => Err(Failure::of(*status, *code)),
            _ => Err(protocol),
        }
    }

    /// As [`call`](Self::call), of a host.
    fn host<const N: usize>(&mut self, label: Label, words: &[u64]) -> Result<[u64; N], HostError> {
        self.call(label, words).map_err(Failure::host)
    }

    /// Puts `name` at the start of the window; its span.
    fn name(&self, name: &[u8]) -> Result<[u64; 2], HostError> {
        if name.len() > wire::MAX_NAME {
            return Err(HostErrorKind::InvalidInput.into());
        }
        self.connection.window().write(0, name)?;
        Ok([0, name.len() as u64])
    }

    /// A number for a handle or region that was not used before.
    fn fresh(&mut self) -> u64 {
        self.state.last += 1;
        self.state.last
    }

    /// Sends a request for something whose number is the last of `words`. If it is not known whether the server now has it, it
    /// is given back.
    fn acquire<const N: usize>(&mut self, label: Label, give_back: Label, words: &[u64]) -> Result<[u64; N], Failure> {
        let answer = self.call(label, words);
        if let (Err(Failure::Host(error)), Some(handle)) = (answer, words.last())
            && error.kind() == HostErrorKind::Protocol
        {
            // It may well not be there.
            let _ = self.give_back(give_back, *handle);
        }
        answer
    }

    /// Gives back what the server knows as `handle`; tried again if it is not known whether the server did that.
    fn give_back(&mut self, label: Label, handle: u64) -> Result<(), Failure> {
        let unknown = Failure::from(HostErrorKind::InvalidInput);
        match self.call(label, &[handle]) {
            Ok([]) => Ok(()),
            Err(failure) if failure == unknown => Err(failure),
            // The first try may have done it.
            Err(_) => match self.call(label, &[handle]) {
                Ok([]) => Ok(()),
                Err(failure) if failure == unknown => Ok(()),
                Err(failure) => Err(failure),
            },
        }
    }

    /// Opens `path` under a fresh handle; it and the other words of the answer.
    fn open<const N: usize>(&mut self, label: Label, close: Label, path: &[u8]) -> Result<(u64, [u64; N]), Failure> {
        let [at, len] = self.name(path)?;
        let handle = self.fresh();
        self.acquire(label, close, &[at, len, handle]).map(|words| (handle, words))
    }

    /// Sends a read of `handle` into the start of `buffer`, or as much of it as the window holds; the bytes read.
    fn read(&mut self, label: Label, handle: u64, offset: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
        let window = self.connection.window();
        let len = buffer.len().min(window.len());
        let [count] = self.call(label, &[handle, offset, 0, len as u64])?;
        if count > len as u64 {
            return Err(HostErrorKind::Protocol.into());
        }
        let count = count as usize;
        window.read(0, &mut buffer[..count])?;
        Ok(count)
    }

    /// The encoded entries of the directory `path`.
    fn list(&mut self, labels: ListLabels, path: &[u8]) -> Result<Vec<u8>, Failure> {
        let (handle, [len]) = self.open(labels.list, labels.close, path)?;
        let list = self.read_list(labels.read, handle, len);
        let closed = self.give_back(labels.close, handle);
        let list = list?;
        closed?;
        let mut rest = &list[..];
        while entries::next(&mut rest)?.is_some() {}
        Ok(list)
    }

    fn read_list(&mut self, label: Label, handle: u64, len: u64) -> Result<Vec<u8>, Failure> {
        if len > wire::MAX_LIST as u64 {
            return Err(HostErrorKind::Protocol.into());
        }
        let mut list = wire::zeroed(len as usize)?;
        let mut done = 0;
        while done < list.len() {
            let count = self.read(label, handle, done as u64, &mut list[done..])?;
            if count == 0 {
                return Err(HostErrorKind::Protocol.into());
            }
            done += count;
        }
        Ok(list)
    }
}

/// The operations by which an interface lists.
struct ListLabels {
    list: Label,
    read: Label,
    close: Label,
}
