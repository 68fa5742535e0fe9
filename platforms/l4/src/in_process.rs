//! Connections within one process, for tests: between two threads, messages over channels, or on one, by calls. The window is
//! on the heap.

use crate::{Message, Sender, Service, Transport, Window};
use core::ptr::NonNull;
use rumpload::resource::{HostError, HostErrorKind};
use std::boxed::Box;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

/// Memory of both ends, given back with the second of them.
struct Shared {
    window: Window,
    words: NonNull<[u64]>,
}

// SAFETY: the memory is only used through the window, which may be shared.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and the window, which is dropped with this, was the only one to use it.
        drop(unsafe { Box::from_raw(self.words.as_ptr()) });
    }
}

impl Shared {
    fn new(len: usize) -> Self {
        let words = NonNull::from(Box::leak(vec![0_u64; len.div_ceil(8)].into_boxed_slice()));
        // SAFETY: the allocation holds `len` bytes, lives as long as `Shared`, and no reference to it is left.
        let window = unsafe { Window::new(words.cast(), len) };
        Self { window, words }
    }
}

type Call = (Message, SyncSender<Message>);

/// The end that calls.
pub struct ClientEnd {
    shared: Arc<Shared>,
    calls: SyncSender<Call>,
}

/// The end that receives.
pub struct ServerEnd {
    shared: Arc<Shared>,
    state: Mutex<ServerState>,
}

struct ServerState {
    calls: Receiver<Call>,
    /// Whom the next answer goes to.
    waiting: Option<SyncSender<Message>>,
}

/// Two ends with a window of `len` bytes between them.
#[must_use]
pub fn pair(len: usize) -> (ClientEnd, ServerEnd) {
    let shared = Arc::new(Shared::new(len));
    let (sender, calls) = sync_channel(0);
    let state = Mutex::new(ServerState { calls, waiting: None });
    (ClientEnd { shared: shared.clone(), calls: sender }, ServerEnd { shared, state })
}

/// Nobody is at the other end.
fn gone<E>(_: E) -> HostError {
    HostErrorKind::NotFound.into()
}

impl Transport for ClientEnd {
    fn call(&self, message: &mut Message) -> Result<(), HostError> {
        let (sender, answer) = sync_channel(1);
        self.calls.send((message.clone(), sender)).map_err(gone)?;
        *message = answer.recv().map_err(gone)?;
        Ok(())
    }

    fn receive(&self, _message: &mut Message) -> Result<Sender, HostError> {
        Err(HostErrorKind::PermissionDenied.into())
    }

    fn reply_and_receive(&self, _message: &mut Message) -> Result<Sender, HostError> {
        Err(HostErrorKind::PermissionDenied.into())
    }

    fn window(&self) -> &Window {
        &self.shared.window
    }
}

impl Transport for ServerEnd {
    fn call(&self, _message: &mut Message) -> Result<(), HostError> {
        Err(HostErrorKind::PermissionDenied.into())
    }

    fn receive(&self, message: &mut Message) -> Result<Sender, HostError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (request, sender) = state.calls.recv().map_err(gone)?;
        state.waiting = Some(sender);
        *message = request;
        Ok(Sender::default())
    }

    fn reply_and_receive(&self, message: &mut Message) -> Result<Sender, HostError> {
        let waiting = self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.take();
        if let Some(sender) = waiting {
            // A caller that is gone is no error.
            let _ = sender.send(message.clone());
        }
        self.receive(message)
    }

    fn window(&self) -> &Window {
        &self.shared.window
    }
}

/// A client's end whose calls are answered on the caller's thread.
pub struct Local<S> {
    shared: Shared,
    service: Mutex<S>,
}

impl<S: Service> Local<S> {
    /// An end whose server is `service`, with a window of `len` bytes.
    pub fn new(service: S, len: usize) -> Self {
        Self { shared: Shared::new(len), service: Mutex::new(service) }
    }

    /// What `look` sees in the server.
    pub fn look<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&self.service.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Service> Transport for Local<S> {
    fn call(&self, message: &mut Message) -> Result<(), HostError> {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        service.handle(Sender::default(), message, &self.shared.window);
        Ok(())
    }

    fn receive(&self, _message: &mut Message) -> Result<Sender, HostError> {
        Err(HostErrorKind::PermissionDenied.into())
    }

    fn reply_and_receive(&self, _message: &mut Message) -> Result<Sender, HostError> {
        Err(HostErrorKind::PermissionDenied.into())
    }

    fn window(&self) -> &Window {
        &self.shared.window
    }
}
