use super::{HostError, HostErrorKind};
use alloc::vec::Vec;

/// What a path of the store names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// Anything else: it can be seen, not opened.
    Other,
}

/// What is known of a file without opening it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// What it is.
    pub kind: FileKind,
    /// Length in bytes; 0 for a directory.
    pub size: u64,
}

/// An open file of a store, given out by [`Store::open`] and valid until [`Store::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileHandle(pub u64);

/// Files of the host, for reading.
///
/// Paths are relative to the store's root, components separated by single `/`, the empty path naming the root itself. The core
/// never passes a component that is empty, `.` or `..`, nor a NUL; an implementation refuses them all the same, and never
/// leaves its root through a link.
pub trait Store: Send + Sync {
    /// Looks at `path` without opening it. Links are followed inside the root.
    ///
    /// # Errors
    /// [`NotFound`](super::HostErrorKind::NotFound), [`PermissionDenied`](super::HostErrorKind::PermissionDenied) (a link that
    /// leads out of the root), [`InvalidInput`](super::HostErrorKind::InvalidInput) (a refused component), or the host's.
    fn metadata(&self, path: &str) -> Result<Metadata, HostError>;

    /// Opens a regular file for reading. The caller closes the handle.
    ///
    /// # Errors
    /// As [`metadata`](Store::metadata); [`IsADirectory`](super::HostErrorKind::IsADirectory) for a directory.
    fn open(&self, path: &str) -> Result<FileHandle, HostError>;

    /// Length of an open file in bytes, now.
    ///
    /// # Errors
    /// [`InvalidInput`](super::HostErrorKind::InvalidInput) for a handle that is not open.
    fn size(&self, file: FileHandle) -> Result<u64, HostError>;

    /// Reads at `offset` into the start of `buffer` and says how many bytes: 0 at and beyond the end; otherwise possibly fewer
    /// than asked, so callers loop.
    ///
    /// # Errors
    /// As [`size`](Store::size), or any other kind.
    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError>;

    /// As [`read_at`](Store::read_at), onto the end of `bytes`, at most `len` of them: for large files that are read whole into
    /// fresh memory, which a host may prepare for it.
    ///
    /// # Errors
    /// As [`read_at`](Store::read_at); [`OutOfMemory`](super::HostErrorKind::OutOfMemory). `bytes` are then as they were.
    fn read_onto(&self, file: FileHandle, offset: u64, len: usize, bytes: &mut Vec<u8>) -> Result<usize, HostError> {
        let start = bytes.len();
        bytes.try_reserve_exact(len).map_err(|_| HostErrorKind::OutOfMemory)?;
        bytes.resize(start + len, 0);
        let read = self.read_at(file, offset, &mut bytes[start..]);
        bytes.truncate(start + read.map_or(0, |read| read.min(len)));
        read
    }

    /// Closes `file`; an unknown handle is ignored.
    fn close(&self, file: FileHandle);

    /// Calls `each` with the name and kind of every entry of directory `path`, in no particular order, without `.` and `..`.
    /// Names that are not UTF-8 are left out. `each` may use the store.
    ///
    /// # Errors
    /// [`NotADirectory`](super::HostErrorKind::NotADirectory), or as [`metadata`](Store::metadata).
    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError>;
}
