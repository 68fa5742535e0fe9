//! A device with sectors of another size than the server's: several of those make one.

use rumpload::resource::{Block, HostError, HostErrorKind};

/// `inner` with larger sectors; what is left at the end is not there.
pub struct Sectors<B> {
    inner: B,
    sector: u32,
}

impl<B: Block> Sectors<B> {
    /// `inner` with sectors of `sector` bytes.
    ///
    /// # Errors
    /// [`InvalidInput`](HostErrorKind::InvalidInput) unless that is a power of two up to 65536 and no less than the device's.
    pub fn new(inner: B, sector: u32) -> Result<Self, HostError> {
        let good = sector.is_power_of_two() && sector <= 65536 && sector >= inner.sector_size();
        if good { Ok(Self { inner, sector }) } else { Err(HostErrorKind::InvalidInput.into()) }
    }

    fn check(&self, offset: u64, len: usize) -> Result<(), HostError> {
        let sector = u64::from(self.sector);
        let good = offset.is_multiple_of(sector) && (len as u64).is_multiple_of(sector) && offset <= self.size();
        if good { Ok(()) } else { Err(HostErrorKind::InvalidInput.into()) }
    }
}

impl<B: Block> Block for Sectors<B> {
    fn sector_size(&self) -> u32 {
        self.sector
    }

    fn size(&self) -> u64 {
        self.inner.size() / u64::from(self.sector) * u64::from(self.sector)
    }

    fn read_only(&self) -> bool {
        self.inner.read_only()
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.check(offset, buffer.len())?;
        let len = (self.size() - offset).min(buffer.len() as u64) as usize;
        self.inner.read(offset, &mut buffer[..len])
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        self.check(offset, data.len())?;
        if data.len() as u64 > self.size() - offset {
            return Err(HostErrorKind::InvalidInput.into());
        }
        self.inner.write(offset, data)
    }

    fn flush(&self) -> Result<(), HostError> {
        self.inner.flush()
    }
}
