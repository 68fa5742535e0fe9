use super::{Connection, ListLabels};
use crate::server::{EntryKind, FileStat, Mount, Status};
use crate::wire::{self, Interface, entries, failure::Failure, time};
use alloc::sync::Arc;
use alloc::vec::Vec;
use rumpload::resource::{FileHandle, HostError, HostErrorKind};

/// The files of a domain with file systems, at the other end of a connection: the methods are those of
/// [`FileService`](crate::FileService).
pub struct RemoteFiles(Arc<Connection>);

impl RemoteFiles {
    /// The files of the server.
    ///
    /// # Errors
    /// [`Unsupported`](HostErrorKind::Unsupported) if it serves none.
    pub fn new(connection: &Arc<Connection>) -> Result<Self, HostError> {
        connection.require(Interface::Files)?;
        Ok(Self(connection.clone()))
    }

    /// Mounts a file system.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub fn mount(&self, mount: &Mount<'_>) -> Result<(), Failure> {
        let mut names = Vec::new();
        for name in [mount.kind.as_bytes(), mount.path, mount.options.as_bytes()] {
            if name.len() > wire::MAX_NAME || names.try_reserve(name.len() + 2).is_err() {
                return Err(HostErrorKind::InvalidInput.into());
            }
            names.extend_from_slice(&(name.len() as u16).to_le_bytes());
            names.extend_from_slice(name);
        }
        let mut exchange = self.0.lock();
        self.0.window().write(0, &names)?;
        let words = [0, names.len() as u64, mount.device.into(), mount.read_only.into()];
        exchange.call(wire::files::MOUNT, &words).map(|[]| ())
    }

    /// Unmounts what is mounted on `path`.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub fn unmount(&self, path: &[u8], force: bool) -> Result<(), Failure> {
        let mut exchange = self.0.lock();
        let [at, len] = exchange.name(path)?;
        exchange.call(wire::files::UNMOUNT, &[at, len, force.into()]).map(|[]| ())
    }

    /// Looks at `path` itself.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub fn stat(&self, path: &[u8]) -> Result<FileStat, Failure> {
        let mut exchange = self.0.lock();
        let span = exchange.name(path)?;
        let [kind, mode, inode, size, links, seconds, nanoseconds] = exchange.call(wire::files::STAT, &span)?;
        let kind = EntryKind::of(kind).ok_or(HostErrorKind::Protocol)?;
        let mode = u32::try_from(mode).map_err(|_| HostErrorKind::Protocol)?;
        Ok(FileStat { kind, mode, inode, size, links, modified: time(seconds, nanoseconds)? })
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub fn open(&self, path: &[u8]) -> Result<FileHandle, Failure> {
        let (handle, []) = self.0.lock().open(wire::files::OPEN, wire::files::CLOSE, path)?;
        Ok(FileHandle(handle))
    }

    /// Reads at `offset` into the start of `buffer`: 0 bytes at and beyond the end, otherwise possibly fewer than asked.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub fn read(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
        self.0.lock().read(wire::files::READ, file.0, offset, buffer)
    }

    /// Closes `file`.
    ///
    /// # Errors
    /// Any [`Failure`]; [`InvalidInput`](HostErrorKind::InvalidInput) if it is not open.
    pub fn close(&self, file: FileHandle) -> Result<(), Failure> {
        self.0.lock().give_back(wire::files::CLOSE, file.0)
    }

    /// Calls `each` with the name and kind of every entry of directory `path`; it may use the connection.
    ///
    /// # Errors
    /// Any [`Failure`]; `each` has not been called then.
    pub fn list(&self, path: &[u8], each: &mut dyn FnMut(&[u8], EntryKind)) -> Result<(), Failure> {
        let labels = ListLabels { list: wire::files::LIST, read: wire::files::READ, close: wire::files::CLOSE };
        let list = self.0.lock().list(labels, path)?;
        let mut check = &list[..];
        while let Some((number, _)) = entries::next(&mut check)? {
            EntryKind::of(number.into()).ok_or(HostErrorKind::Protocol)?;
        }
        let mut rest = &list[..];
        while let Some((number, name)) = entries::next(&mut rest)? {
            EntryKind::of(number.into()).into_iter().for_each(|kind| each(name, kind));
        }
        Ok(())
    }

    /// What the server is doing.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub fn status(&self) -> Result<Status, Failure> {
        let [modules, mounts, open_files, heap, heap_peak] = self.0.lock().call(wire::files::STATUS, &[])?;
        Ok(Status { modules, mounts, open_files, heap, heap_peak })
    }
}
