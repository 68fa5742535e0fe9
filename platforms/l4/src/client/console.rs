use super::Connection;
use crate::wire::{self, Interface};
use alloc::sync::Arc;
use rumpload::resource::{Console, HostError};

/// Most bytes of one message.
const PIECE: usize = 4096;

/// The console at the other end of a connection.
pub struct RemoteConsole(Arc<Connection>);

impl RemoteConsole {
    /// The console of the server.
    ///
    /// # Errors
    /// [`Unsupported`](rumpload::resource::HostErrorKind::Unsupported) if it serves none.
    pub fn new(connection: &Arc<Connection>) -> Result<Self, HostError> {
        connection.require(Interface::Console)?;
        Ok(Self(connection.clone()))
    }
}

impl Console for RemoteConsole {
    fn write(&self, text: &str) {
        let mut exchange = self.0.lock();
        let most = self.0.window().len().min(PIECE);
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, tail) = rest.split_at(rest.floor_char_boundary(most));
            // A window without room for a character has none for text.
            if piece.is_empty() || self.0.window().write(0, piece.as_bytes()).is_err() {
                return;
            }
            // A console that cannot print drops the text.
            let _ = exchange.host::<0>(wire::console::WRITE, &[0, piece.len() as u64]);
            rest = tail;
        }
    }
}
