use super::store::garble;
use super::{Call, Fault, Faulty};
use crate::resource::{Block, HostError, HostErrorKind};
use alloc::vec::Vec;
use spin::Mutex;

/// A disk in memory.
pub struct MemoryBlock {
    bytes: Mutex<Vec<u8>>,
    size: usize,
    sector_size: u32,
    read_only: bool,
}

impl MemoryBlock {
    /// A disk of `contents`, filled with zeros to a whole number of sectors of `sector_size` bytes.
    ///
    /// # Errors
    /// [`InvalidInput`](HostErrorKind::InvalidInput) if the sector size is none that [`Block::sector_size`] allows.
    pub fn new(contents: impl Into<Vec<u8>>, sector_size: u32, read_only: bool) -> Result<Self, HostError> {
        if !sector_size.is_power_of_two() || !(512..=65536).contains(&sector_size) {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let mut bytes = contents.into();
        let size = bytes.len().next_multiple_of(sector_size as usize);
        bytes.resize(size, 0);
        Ok(Self { bytes: Mutex::new(bytes), size, sector_size, read_only })
    }

    /// A copy of the bytes on the disk.
    #[must_use]
    pub fn contents(&self) -> Vec<u8> {
        self.bytes.lock().clone()
    }

    /// The first byte, if the range is one of whole sectors that begins on the disk or at its end.
    fn start(&self, offset: u64, len: usize) -> Result<usize, HostError> {
        let sector = u64::from(self.sector_size);
        let fits = offset.is_multiple_of(sector) && (len as u64).is_multiple_of(sector) && offset <= self.size as u64;
        if fits { Ok(offset as usize) } else { Err(HostErrorKind::InvalidInput.into()) }
    }
}

impl Block for MemoryBlock {
    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn size(&self) -> u64 {
        self.size as u64
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        let start = self.start(offset, buffer.len())?;
        let bytes = self.bytes.lock();
        let len = buffer.len().min(self.size - start);
        buffer[..len].copy_from_slice(&bytes[start..start + len]);
        Ok(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        if self.read_only {
            return Err(HostErrorKind::ReadOnly.into());
        }
        let start = self.start(offset, data.len())?;
        if data.len() > self.size - start {
            return Err(HostErrorKind::InvalidInput.into());
        }
        self.bytes.lock()[start..start + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> Result<(), HostError> {
        Ok(())
    }
}

impl Block for Faulty<dyn Block> {
    fn sector_size(&self) -> u32 {
        self.inner.sector_size()
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn read_only(&self) -> bool {
        self.inner.read_only()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        match self.enter(Call::BlockRead)? {
            Some(Fault::Short) => {
                let sector = self.inner.sector_size() as usize;
                let half = buffer.len() / 2 / sector * sector;
                self.inner.read(offset, &mut buffer[..half])
            }
            Some(Fault::Garbage) => {
                let len = self.inner.read(offset, buffer)?;
                garble(&mut buffer[..len]);
                Ok(len)
            }
            Some(Fault::Lie) => Ok(buffer.len() + 1),
            _ => self.inner.read(offset, buffer),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        self.enter(Call::BlockWrite)?;
        self.inner.write(offset, data)
    }

    fn flush(&self) -> Result<(), HostError> {
        self.enter(Call::Flush)?;
        self.inner.flush()
    }
}
