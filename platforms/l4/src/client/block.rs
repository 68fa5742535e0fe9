use super::Connection;
use crate::wire::{self, Interface, failure::Failure};
use alloc::sync::Arc;
use rumpload::resource::{Block, HostError, HostErrorKind};

/// A device at the other end of a connection.
pub struct RemoteBlock {
    connection: Arc<Connection>,
    device: u64,
    sector_size: u32,
    size: u64,
    read_only: bool,
    /// Most bytes of one message: whole sectors that fit into the window.
    piece: usize,
}

impl RemoteBlock {
    /// Device number `device` of the server.
    ///
    /// # Errors
    /// [`NotFound`](HostErrorKind::NotFound) if there is none, [`Unsupported`](HostErrorKind::Unsupported) if the server serves
    /// no devices or a sector does not fit into the window, [`Protocol`](HostErrorKind::Protocol) if what the server says of it
    /// cannot be right.
    pub fn new(connection: &Arc<Connection>, device: u32) -> Result<Self, HostError> {
        connection.require(Interface::Block)?;
        let device = u64::from(device);
        let [sector, size, read_only] = connection.lock().host(wire::block::INFO, &[device])?;
        let read_only = wire::flag(read_only)?;
        if !(512..=65536).contains(&sector) || !sector.is_power_of_two() || !size.is_multiple_of(sector) {
            return Err(HostErrorKind::Protocol.into());
        }
        let piece = connection.window().len() / sector as usize * sector as usize;
        if piece == 0 {
            return Err(HostErrorKind::Unsupported.into());
        }
        Ok(Self { connection: connection.clone(), device, sector_size: sector as u32, size, read_only, piece })
    }

    /// The bytes from `offset` to the device's end.
    fn rest(&self, offset: u64, len: usize) -> Result<u64, HostError> {
        let sector = u64::from(self.sector_size);
        let whole = offset.is_multiple_of(sector) && (len as u64).is_multiple_of(sector);
        self.size.checked_sub(offset).filter(|_| whole).ok_or_else(|| HostErrorKind::InvalidInput.into())
    }
}

impl Block for RemoteBlock {
    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        let len = usize::try_from(self.rest(offset, buffer.len())?).unwrap_or(usize::MAX).min(buffer.len());
        let mut exchange = self.connection.lock();
        let mut done = 0;
        for piece in buffer[..len].chunks_mut(self.piece) {
            let count = exchange.read(wire::block::READ, self.device, offset + done as u64, piece).map_err(Failure::host)?;
            // Only the end of the device is shorter, and that is known here.
            if count != piece.len() {
                return Err(HostErrorKind::Protocol.into());
            }
            done += count;
        }
        Ok(done)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        if self.read_only {
            return Err(HostErrorKind::ReadOnly.into());
        }
        if self.rest(offset, data.len())? < data.len() as u64 {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let mut exchange = self.connection.lock();
        let mut done = 0;
        for piece in data.chunks(self.piece) {
            self.connection.window().write(0, piece)?;
            exchange.host::<0>(wire::block::WRITE, &[self.device, offset + done, 0, piece.len() as u64])?;
            done += piece.len() as u64;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), HostError> {
        self.connection.lock().host(wire::block::FLUSH, &[self.device]).map(|[]| ())
    }
}
