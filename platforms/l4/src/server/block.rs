use super::{WindowRead, fill_window};
use crate::wire::{self, Answer, answer};
use crate::{Message, Window};
use alloc::sync::Arc;
use alloc::vec::Vec;
use rumpload::resource::{Block, HostError, HostErrorKind};

pub(super) struct Server {
    devices: Vec<Arc<dyn Block>>,
    direct: Option<Arc<dyn WindowRead>>,
    scratch: Vec<u8>,
}

impl Server {
    pub const fn new(devices: Vec<Arc<dyn Block>>, direct: Option<Arc<dyn WindowRead>>) -> Self {
        Self { devices, direct, scratch: Vec::new() }
    }

    pub const fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    pub fn answer(&mut self, message: &Message, window: &Window) -> Result<Answer, HostError> {
        match message.label {
            wire::block::INFO => {
                let [number] = message.exactly()?;
                let (_, device) = self.device(number)?;
                answer(&[device.sector_size().into(), device.size(), device.read_only().into()])
            }
            wire::block::READ => {
                let [number, offset, at, len] = message.exactly()?;
                self.read(number, offset, window, at, len)
            }
            wire::block::WRITE => {
                let [number, offset, at, len] = message.exactly()?;
                let (_, device) = self.device(number)?;
                // Copied whole before it is written: the client cannot change it on the way, and no part is written of data
                // that does not fit.
                let data = wire::bytes(window, at, len, window.len())?;
                device.write(offset, &data)?;
                answer(&[])
            }
            wire::block::FLUSH => {
                let [number] = message.exactly()?;
                self.device(number)?.1.flush()?;
                answer(&[])
            }
            _ => Err(HostErrorKind::Unsupported.into()),
        }
    }

    fn device(&self, number: u64) -> Result<(usize, &Arc<dyn Block>), HostError> {
        let index = usize::try_from(number).map_err(|_| HostErrorKind::NotFound)?;
        self.devices.get(index).map(|device| (index, device)).ok_or_else(|| HostErrorKind::NotFound.into())
    }

    fn read(&mut self, number: u64, offset: u64, window: &Window, at: u64, len: u64) -> Result<Answer, HostError> {
        let (index, device) = self.device(number)?;
        let device = device.clone();
        let sector = u64::from(device.sector_size());
        window.address(at, len)?;
        if !offset.is_multiple_of(sector) || !len.is_multiple_of(sector) || offset > device.size() {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let count = match &self.direct {
            Some(direct) => direct.read_block(index, offset, window, at, len as usize)? as u64,
            None if sector > super::SCRATCH as u64 => {
                let mut buffer = wire::zeroed(len as usize)?;
                let count = device.read(offset, &mut buffer)?;
                window.write(at, buffer.get(..count).ok_or(HostErrorKind::Protocol)?)?;
                count as u64
            }
            None => {
                let read = |done, buffer: &mut [u8]| device.read(offset.saturating_add(done), buffer);
                fill_window(window, at, len, &mut self.scratch, read)?
            }
        };
        if count <= len && count.is_multiple_of(sector) { answer(&[count]) } else { Err(HostErrorKind::Protocol.into()) }
    }
}
