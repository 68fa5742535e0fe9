use crate::error::io_error;
use rumpload::resource::{Block, HostError, HostErrorKind};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Whether a device may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads only; writes fail with [`ReadOnly`](HostErrorKind::ReadOnly).
    ReadOnly,
    /// Reads and writes.
    ReadWrite,
}

/// A file, or a block device of the host, as a disk.
///
/// The disk's size is the length of the file when it was opened, rounded up to a whole sector: what a reader sees behind the
/// file's end is zero, and writing there makes the file longer. A file that someone makes shorter later gives
/// [`Io`](HostErrorKind::Io) for what is gone.
#[derive(Debug)]
pub struct FileBlock {
    file: File,
    /// Bytes of the file when it was opened.
    len: u64,
    size: u64,
    sector_size: u32,
    access: Access,
}

impl FileBlock {
    /// Opens `path` as a disk with sectors of `sector_size` bytes: 512, 2048 or 4096.
    ///
    /// # Errors
    /// [`InvalidInput`](HostErrorKind::InvalidInput) for another sector size, [`IsADirectory`](HostErrorKind::IsADirectory) for
    /// a directory, or what opening gives.
    pub fn open(path: impl AsRef<Path>, sector_size: u32, access: Access) -> Result<Self, HostError> {
        let writable = access == Access::ReadWrite;
        let file = OpenOptions::new().read(true).write(writable).open(path).map_err(|error| io_error(&error))?;
        Self::from_file(file, sector_size, access)
    }

    /// As [`open`](Self::open), for a file that is open already; with [`Access::ReadWrite`] it has to be open for writing.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_file(mut file: File, sector_size: u32, access: Access) -> Result<Self, HostError> {
        if ![512, 2048, 4096].contains(&sector_size) {
            return Err(HostErrorKind::InvalidInput.into());
        }
        if file.metadata().map_err(|error| io_error(&error))?.is_dir() {
            return Err(HostErrorKind::IsADirectory.into());
        }
        // The end of a block device is found by seeking only.
        let len = file.seek(SeekFrom::End(0)).map_err(|error| io_error(&error))?;
        let size = len.checked_next_multiple_of(sector_size.into()).ok_or(HostErrorKind::InvalidInput)?;
        Ok(Self { file, len, size, sector_size, access })
    }

    fn check(&self, offset: u64, len: usize) -> Result<(), HostError> {
        let sector = u64::from(self.sector_size);
        let whole = offset.is_multiple_of(sector) && (len as u64).is_multiple_of(sector);
        if whole && offset <= self.size { Ok(()) } else { Err(HostErrorKind::InvalidInput.into()) }
    }
}

impl Block for FileBlock {
    fn sector_size(&self) -> u32 {
        self.sector_size
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read_only(&self) -> bool {
        self.access == Access::ReadOnly
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.check(offset, buffer.len())?;
        let len = usize::try_from(self.size - offset).unwrap_or(usize::MAX).min(buffer.len());
        let mut filled = 0;
        while filled < len {
            match self.file.read_at(&mut buffer[filled..len], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(&error)),
            }
        }
        if offset + (filled as u64) < self.len.min(offset + len as u64) {
            return Err(HostErrorKind::Io.into());
        }
        buffer[filled..len].fill(0);
        Ok(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        if self.read_only() {
            return Err(HostErrorKind::ReadOnly.into());
        }
        self.check(offset, data.len())?;
        if data.len() as u64 > self.size - offset {
            return Err(HostErrorKind::InvalidInput.into());
        }
        self.file.write_all_at(data, offset).map_err(|error| io_error(&error))
    }

    fn flush(&self) -> Result<(), HostError> {
        if self.read_only() {
            return Ok(());
        }
        self.file.sync_data().map_err(|error| io_error(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_of(len: usize) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), vec![7; len]).expect("written");
        file
    }

    #[test]
    fn the_last_sector_is_filled_with_zeros() {
        let file = file_of(1000);
        let disk = FileBlock::open(file.path(), 512, Access::ReadOnly).expect("a disk");
        assert_eq!(disk.size(), 1024);
        let mut buffer = [1; 2048];
        assert_eq!(disk.read(0, &mut buffer), Ok(1024));
        assert_eq!((buffer[999], buffer[1000], buffer[1023], buffer[1024]), (7, 0, 0, 1));
        assert_eq!(disk.read(1024, &mut buffer), Ok(0));
    }

    #[test]
    fn odd_requests_are_refused() {
        let file = file_of(4096);
        let disk = FileBlock::open(file.path(), 2048, Access::ReadOnly).expect("a disk");
        let kind = |result: Result<usize, HostError>| result.expect_err("refused").kind();
        assert_eq!(kind(disk.read(512, &mut [0; 2048])), HostErrorKind::InvalidInput);
        assert_eq!(kind(disk.read(0, &mut [0; 512])), HostErrorKind::InvalidInput);
        assert_eq!(kind(disk.read(6144, &mut [0; 2048])), HostErrorKind::InvalidInput);
        assert_eq!(disk.write(0, &[0; 2048]).expect_err("refused").kind(), HostErrorKind::ReadOnly);
        let odd = FileBlock::open(file.path(), 1000, Access::ReadOnly).expect_err("refused");
        assert_eq!(odd.kind(), HostErrorKind::InvalidInput);
        let directory = FileBlock::open("/", 512, Access::ReadOnly).expect_err("refused");
        assert_eq!(directory.kind(), HostErrorKind::IsADirectory);
    }

    #[test]
    fn writes_stay_on_the_disk() {
        let file = file_of(1024);
        let disk = FileBlock::open(file.path(), 512, Access::ReadWrite).expect("a disk");
        disk.write(512, &[9; 512]).expect("written");
        assert_eq!(disk.write(512, &[9; 1024]).expect_err("crosses the end").kind(), HostErrorKind::InvalidInput);
        disk.flush().expect("flushed");
        let bytes = std::fs::read(file.path()).expect("read");
        assert_eq!((bytes.len(), bytes[511], bytes[512]), (1024, 7, 9));
    }

    #[test]
    fn a_file_made_shorter_is_an_error() {
        let file = file_of(2048);
        let disk = FileBlock::open(file.path(), 512, Access::ReadOnly).expect("a disk");
        file.as_file().set_len(512).expect("truncated");
        assert_eq!(disk.read(0, &mut [0; 512]), Ok(512));
        assert_eq!(disk.read(0, &mut [0; 1024]).expect_err("gone").kind(), HostErrorKind::Io);
    }
}
