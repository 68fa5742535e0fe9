use super::HostError;

/// A block device. Offsets and lengths are bytes and multiples of [`sector_size`](Block::sector_size).
pub trait Block: Send + Sync {
    /// Bytes per sector: a power of two, 512 to 65536. Constant while the device is in use.
    fn sector_size(&self) -> u32;

    /// Bytes on the device, a multiple of the sector size. Constant while the device is in use.
    fn size(&self) -> u64;

    /// True if [`write`](Block::write) always fails with [`ReadOnly`](super::HostErrorKind::ReadOnly).
    fn read_only(&self) -> bool;

    /// Reads into the start of `buffer` and says how many bytes; fewer than asked only at the end of the device.
    ///
    /// # Errors
    /// [`InvalidInput`](super::HostErrorKind::InvalidInput) for an offset or length that is no multiple of the sector size or
    /// an offset beyond the end; any other kind from the device.
    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError>;

    /// Writes all of `data`.
    ///
    /// # Errors
    /// As for [`read`](Block::read), and [`ReadOnly`](super::HostErrorKind::ReadOnly). A range that crosses the end is refused whole.
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError>;

    /// Returns once everything written is on stable storage.
    ///
    /// # Errors
    /// Any [`HostError`].
    fn flush(&self) -> Result<(), HostError>;
}
