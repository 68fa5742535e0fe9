use super::{Connection, ListLabels};
use crate::wire::{self, Interface, entries, failure::Failure};
use alloc::sync::Arc;
use rumpload::resource::{FileHandle, FileKind, HostError, HostErrorKind, Metadata, Store};

/// The store at the other end of a connection.
pub struct RemoteStore(Arc<Connection>);

impl RemoteStore {
    /// The store of the server.
    ///
    /// # Errors
    /// [`Unsupported`](HostErrorKind::Unsupported) if it serves none.
    pub fn new(connection: &Arc<Connection>) -> Result<Self, HostError> {
        connection.require(Interface::Store)?;
        Ok(Self(connection.clone()))
    }
}

fn kind(number: u64) -> Result<FileKind, HostError> {
    match number {
        0 => Ok(FileKind::Regular),
        1 => Ok(FileKind::Directory),
        2 => Ok(FileKind::Other),
        _ => Err(HostErrorKind::Protocol.into()),
    }
}

impl Store for RemoteStore {
    fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        let mut exchange = self.0.lock();
        let span = exchange.name(path.as_bytes())?;
        let [number, size] = exchange.host(wire::store::METADATA, &span)?;
        Ok(Metadata { kind: kind(number)?, size })
    }

    fn open(&self, path: &str) -> Result<FileHandle, HostError> {
        let (handle, []) = self.0.lock().open(wire::store::OPEN, wire::store::CLOSE, path.as_bytes()).map_err(Failure::host)?;
        Ok(FileHandle(handle))
    }

    fn size(&self, file: FileHandle) -> Result<u64, HostError> {
        self.0.lock().host(wire::store::SIZE, &[file.0]).map(|[size]| size)
    }

    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.0.lock().read(wire::store::READ, file.0, offset, buffer).map_err(Failure::host)
    }

    fn close(&self, file: FileHandle) {
        // An unknown handle is ignored, as the trait says; a server that is gone has nothing open.
        let _ = self.0.lock().give_back(wire::store::CLOSE, file.0);
    }

    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError> {
        let labels = ListLabels { list: wire::store::LIST, read: wire::store::READ, close: wire::store::CLOSE };
        // The connection is free again before `each` runs, which may use the store.
        let list = self.0.lock().list(labels, path.as_bytes()).map_err(Failure::host)?;
        let mut check = &list[..];
        while let Some((number, name)) = entries::next(&mut check)? {
            kind(number.into())?;
            core::str::from_utf8(name).map_err(|_| HostErrorKind::Protocol)?;
        }
        let mut rest = &list[..];
        while let Some((number, name)) = entries::next(&mut rest)? {
            if let (Ok(name), Ok(kind)) = (core::str::from_utf8(name), kind(number.into())) {
                each(name, kind);
            }
        }
        Ok(())
    }
}
