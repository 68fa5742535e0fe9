//! Messages over endpoints.

use crate::invoke;
use crate::syscall::{self, Cap, FAST_WORDS, Info, Received};
use core::sync::atomic::{AtomicU64, Ordering};
use rumpload::resource::{HostError, HostErrorKind};
use rumpload_l4::{Label, MAX_WORDS, Message, Sender, Transport, Window};

/// Windows of one server.
pub const MAX_CLIENTS: usize = 4;

fn protocol() -> HostError {
    HostErrorKind::Protocol.into()
}

/// Prepares `message` for sending: its information and first words; the others go to the IPC buffer.
fn store(message: &Message) -> Result<(Info, [u64; FAST_WORDS]), HostError> {
    if message.capability.is_some() {
        // No message of the library's protocols carries one.
        return Err(HostErrorKind::Unsupported.into());
    }
    let words = message.words();
    for (index, word) in words.iter().enumerate().skip(FAST_WORDS) {
        syscall::set_buffer_word(index, *word);
    }
    let fast = core::array::from_fn(|index| words.get(index).copied().unwrap_or(0));
    Ok((Info::new(message.label.get().into(), 0, words.len()), fast))
}

/// Makes `message` what was received.
fn load(message: &mut Message, received: &Received) -> Result<(), HostError> {
    let info = received.info;
    if info.caps() > 0 || info.words() > MAX_WORDS {
        return Err(protocol());
    }
    if let Some(words) = received.words.get(..info.words()) {
        return message.set(Label::new(info.label())?, words);
    }
    let mut words = [0; MAX_WORDS];
    for (index, word) in words[..info.words()].iter_mut().enumerate() {
        *word = invoke::message_word(&received.words, index);
    }
    message.set(Label::new(info.label())?, &words[..info.words()])
}

/// A client's end: an endpoint it may call.
pub struct Caller {
    endpoint: Cap,
    window: Window,
}

impl Caller {
    /// Calls through `endpoint`; `window` is what the server sees too.
    #[must_use]
    pub const fn new(endpoint: Cap, window: Window) -> Self {
        Self { endpoint, window }
    }
}

impl Transport for Caller {
    fn call(&self, message: &mut Message) -> Result<(), HostError> {
        let (info, words) = store(message)?;
        let received = syscall::call(self.endpoint, info, words);
        load(message, &received)
    }

    fn receive(&self, _message: &mut Message) -> Result<Sender, HostError> {
        Err(HostErrorKind::PermissionDenied.into())
    }

    fn reply_and_receive(&self, _message: &mut Message) -> Result<Sender, HostError> {
        Err(HostErrorKind::PermissionDenied.into())
    }

    fn window(&self) -> &Window {
        &self.window
    }
}

/// Where the right to answer a caller is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// In the thread, where the kernel puts it: the fast way.
    Thread,
    /// In a slot of the domain's CNode, from where a supervisor can take it if the domain dies.
    Slot {
        /// The CNode.
        cnode: Cap,
        /// The slot; empty but while a caller is waiting.
        slot: u64,
    },
}

/// A server's end: an endpoint it receives from, with one window for each client.
pub struct Receiver {
    endpoint: Cap,
    reply: Reply,
    windows: heapless::Vec<(Sender, Window), MAX_CLIENTS>,
    /// Of no client: of no bytes.
    nobody: Window,
    /// Badge of the caller received last.
    last: AtomicU64,
}

impl Receiver {
    /// Receives from `endpoint`. Callers are told apart by the badges of their capabilities.
    #[must_use]
    pub fn new(endpoint: Cap, reply: Reply) -> Self {
        // SAFETY: a window of no bytes.
        let nobody = unsafe { Window::new(core::ptr::NonNull::dangling(), 0) };
        Self { endpoint, reply, windows: heapless::Vec::new(), nobody, last: AtomicU64::new(0) }
    }

    /// Adds a client and the window that it shares with this server; false if there are [`MAX_CLIENTS`].
    #[must_use]
    pub fn with_client(&mut self, client: Sender, window: Window) -> bool {
        self.windows.push((client, window)).is_ok()
    }

    fn received(&self, message: &mut Message, received: &Received) -> Result<Sender, HostError> {
        self.last.store(received.badge, Ordering::Relaxed);
        if let Reply::Slot { cnode, slot } = self.reply {
            invoke::save_caller(cnode, slot)?;
        }
        load(message, received)?;
        Ok(Sender(received.badge))
    }
}

impl Transport for Receiver {
    fn call(&self, _message: &mut Message) -> Result<(), HostError> {
        Err(HostErrorKind::PermissionDenied.into())
    }

    fn receive(&self, message: &mut Message) -> Result<Sender, HostError> {
        let received = syscall::receive(self.endpoint);
        self.received(message, &received)
    }

    fn reply_and_receive(&self, message: &mut Message) -> Result<Sender, HostError> {
        let (info, words) = store(message)?;
        let received = match self.reply {
            Reply::Thread => syscall::reply_receive(self.endpoint, info, words),
            Reply::Slot { slot, .. } => {
                syscall::send(Cap(slot), info, words);
                syscall::receive(self.endpoint)
            }
        };
        self.received(message, &received)
    }

    /// The window of the caller received last.
    fn window(&self) -> &Window {
        let last = self.last.load(Ordering::Relaxed);
        self.windows.iter().find(|(client, _)| client.0 == last).map_or(&self.nobody, |(_, window)| window)
    }
}

/// Answers a caller whose right to an answer is in slot `reply`.
///
/// # Errors
/// [`HostErrorKind::Unsupported`] for a message with a capability.
pub fn answer(reply: Cap, message: &Message) -> Result<(), HostError> {
    let (info, words) = store(message)?;
    syscall::send(reply, info, words);
    Ok(())
}
