use super::Connection;
use crate::wire::{self, Interface, time};
use alloc::sync::Arc;
use core::time::Duration;
use rumpload::resource::{Clock, HostError, HostErrorKind};
use spin::Mutex;

/// The clock at the other end of a connection.
pub struct RemoteClock {
    connection: Arc<Connection>,
    /// The latest monotonic time that was answered.
    last: Mutex<Duration>,
}

impl RemoteClock {
    /// The clock of the server.
    ///
    /// # Errors
    /// [`Unsupported`](HostErrorKind::Unsupported) if it serves none.
    pub fn new(connection: &Arc<Connection>) -> Result<Self, HostError> {
        connection.require(Interface::Clock)?;
        Ok(Self { connection: connection.clone(), last: Mutex::new(Duration::ZERO) })
    }
}

impl Clock for RemoteClock {
    fn monotonic(&self) -> Result<Duration, HostError> {
        // Held during the request, so that times are compared in the order in which they were answered.
        let mut last = self.last.lock();
        let [seconds, nanoseconds] = self.connection.lock().host(wire::clock::MONOTONIC, &[])?;
        let now = time(seconds, nanoseconds)?;
        if now < *last {
            return Err(HostErrorKind::Protocol.into());
        }
        *last = now;
        Ok(now)
    }

    fn wall(&self) -> Result<Duration, HostError> {
        let [seconds, nanoseconds] = self.connection.lock().host(wire::clock::WALL, &[])?;
        time(seconds, nanoseconds)
    }

    fn sleep(&self, time: Duration) -> Result<(), HostError> {
        let mut left = time;
        loop {
            let piece = left.min(wire::MAX_SLEEP);
            let words = [piece.as_secs(), piece.subsec_nanos().into()];
            self.connection.lock().host::<0>(wire::clock::SLEEP, &words)?;
            left -= piece;
            if left.is_zero() {
                return Ok(());
            }
        }
    }
}
