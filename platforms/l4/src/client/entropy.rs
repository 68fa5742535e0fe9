use super::Connection;
use crate::wire::{self, Interface};
use alloc::sync::Arc;
use rumpload::resource::{Entropy, HostError, HostErrorKind};

/// The random bytes at the other end of a connection.
pub struct RemoteEntropy(Arc<Connection>);

impl RemoteEntropy {
    /// The random bytes of the server.
    ///
    /// # Errors
    /// [`Unsupported`](HostErrorKind::Unsupported) if it serves none, or the window has no room.
    pub fn new(connection: &Arc<Connection>) -> Result<Self, HostError> {
        connection.require(Interface::Entropy)?;
        if connection.window().is_empty() {
            return Err(HostErrorKind::Unsupported.into());
        }
        Ok(Self(connection.clone()))
    }
}

impl Entropy for RemoteEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), HostError> {
        let mut exchange = self.0.lock();
        let window = self.0.window();
        for piece in buffer.chunks_mut(window.len()) {
            exchange.host::<0>(wire::entropy::FILL, &[0, piece.len() as u64])?;
            window.read(0, piece)?;
            // Random bytes are nobody else's: they do not stay behind in memory that is used for other things.
            for at in (0..piece.len()).step_by(64) {
                window.write(at as u64, &[0; 64][..64.min(piece.len() - at)])?;
            }
        }
        Ok(())
    }
}
