//! etfs: the map that makes host files appear under paths inside an instance (`rump_etfs(3)`).
//!
//! Semantics are those of the manual page with its hazards turned into errors: windows are enforced on reads, a directory
//! mapping matches at component boundaries only, and the immediate files of a [`EtfsKind::Directory`] can be read.

use super::{FileHandle, FileKind, HostError, HostErrorKind, Store};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// What a key maps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtfsKind {
    /// A regular file.
    Regular,
    /// A block device backed by a file: reads are whole sectors of [`SECTOR`] bytes.
    Block,
    /// A character device backed by a file, with the rules of [`EtfsKind::Block`].
    Character,
    /// A directory whose immediate files can be opened.
    Directory,
    /// A directory with everything below it.
    Subdirectories,
}

/// Bytes that reads of block mappings are multiples of.
pub const SECTOR: u64 = 512;
/// Most block and character mappings of different host files at a time.
pub const MAX_DEVICES: usize = 16;
/// Longest path in bytes.
const MAX_PATH: usize = 1024;

/// The part of a host file that a mapping shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Window {
    /// First byte.
    pub begin: u64,
    /// Bytes; `None`: to the end.
    pub len: Option<u64>,
}

/// Why an etfs operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EtfsError {
    /// The key does not begin with `/`, or is too long.
    BadKey,
    /// The window does not lie within the file, or an offset or length is no multiple of the sector size.
    BadRange,
    /// A window for a directory.
    WindowOnDirectory,
    /// A directory mapping of something else.
    NotADirectory,
    /// The key, or a directory above or below it, is mapped.
    Exists,
    /// No device number left.
    NoDevice,
    /// Nothing is mapped there.
    NotFound,
    /// `..` inside a mapping.
    ParentDirectory,
    /// A directory was to be read.
    IsADirectory,
    /// The file is larger than the reader takes.
    TooLarge,
    /// The host's error.
    Host(HostError),
}

impl From<HostError> for EtfsError {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

struct Mapping {
    key: String,
    host: String,
    kind: EtfsKind,
    begin: u64,
    len: u64,
    device: Option<usize>,
}

/// The mappings of an instance, newest first.
#[derive(Default)]
pub struct Etfs {
    mappings: Vec<Mapping>,
}

/// A mapping found for a path: what remains is to ask the host.
pub(crate) struct Found {
    host: String,
    window: Option<(u64, u64)>,
    device: bool,
}

impl Etfs {
    /// Maps `key`, a path inside the instance, to `host`, a path of the store.
    ///
    /// # Errors
    /// [`EtfsError`]; nothing is mapped then.
    pub fn register(
        &mut self,
        store: &dyn Store,
        key: &str,
        host: &str,
        kind: EtfsKind,
        window: Window,
    ) -> Result<(), EtfsError> {
        let key = normal(key)?;
        let found = store.metadata(host)?;
        let directory = is_directory(kind);
        let (begin, len) = if directory {
            if found.kind != FileKind::Directory {
                return Err(EtfsError::NotADirectory);
            }
            if window != Window::default() {
                return Err(EtfsError::WindowOnDirectory);
            }
            (0, 0)
        } else {
            let rest = found.size.checked_sub(window.begin).ok_or(EtfsError::BadRange)?;
            let len = window.len.unwrap_or(rest);
            if len > rest {
                return Err(EtfsError::BadRange);
            }
            (window.begin, len)
        };
        let clash = self.mappings.iter().any(|other| {
            other.key == key
                || (is_directory(other.kind) && below(key, &other.key).is_some())
                || (directory && below(key, &other.key).is_some())
        });
        if clash {
            return Err(EtfsError::Exists);
        }
        let mut mapping = Mapping { key: key.into(), host: host.into(), kind, begin, len, device: None };
        if matches!(kind, EtfsKind::Block | EtfsKind::Character) {
            if found.kind == FileKind::Directory {
                return Err(EtfsError::IsADirectory);
            }
            let same = self.mappings.iter().find(|other| other.device.is_some() && other.host == host);
            if let Some(first) = same {
                // The same host file keeps its device number and first window.
                (mapping.device, mapping.begin, mapping.len) = (first.device, first.begin, first.len);
            } else {
                let free = (0..MAX_DEVICES).find(|number| self.mappings.iter().all(|other| other.device != Some(*number)));
                mapping.device = Some(free.ok_or(EtfsError::NoDevice)?);
            }
        }
        self.mappings.insert(0, mapping);
        Ok(())
    }

    /// Takes the mapping of `key` away.
    ///
    /// # Errors
    /// [`EtfsError::BadKey`], [`EtfsError::NotFound`].
    pub fn remove(&mut self, key: &str) -> Result<(), EtfsError> {
        let key = normal(key)?;
        let index = self.mappings.iter().position(|mapping| mapping.key == key).ok_or(EtfsError::NotFound)?;
        self.mappings.remove(index);
        Ok(())
    }

    /// The keys with the host paths and kinds they map to, newest first.
    pub fn mappings(&self) -> impl Iterator<Item = (&str, &str, EtfsKind)> {
        self.mappings.iter().map(|mapping| (mapping.key.as_str(), mapping.host.as_str(), mapping.kind))
    }

    /// Finds the mapping that `path` falls under, without asking the host.
    pub(crate) fn find(&self, path: &str) -> Result<Found, EtfsError> {
        let path = normal(path)?;
        for mapping in &self.mappings {
            if !is_directory(mapping.kind) {
                if mapping.key == path {
                    let window = Some((mapping.begin, mapping.len));
                    return Ok(Found { host: mapping.host.clone(), window, device: mapping.device.is_some() });
                }
                continue;
            }
            let Some(rest) = below(path, &mapping.key) else { continue };
            let mut host = mapping.host.clone();
            let mut depth = 0;
            for component in rest.split('/').filter(|component| !component.is_empty() && *component != ".") {
                if component == ".." {
                    return Err(EtfsError::ParentDirectory);
                }
                depth += 1;
                if depth > 1 && mapping.kind == EtfsKind::Directory {
                    return Err(EtfsError::NotFound);
                }
                if !host.is_empty() {
                    host.push('/');
                }
                host.push_str(component);
            }
            return Ok(Found { host, window: None, device: false });
        }
        Err(EtfsError::NotFound)
    }
}

impl Found {
    /// Opens the file for reading; its length is what the open file has.
    ///
    /// # Errors
    /// [`EtfsError::NotFound`] for what is neither a file nor a directory; [`EtfsError::IsADirectory`]; or the host's.
    pub fn open(self, store: &Arc<dyn Store>) -> Result<OpenFile, EtfsError> {
        let handle = store.open(&self.host).map_err(|error| match error.kind() {
            HostErrorKind::IsADirectory => EtfsError::IsADirectory,
            HostErrorKind::Unsupported if self.window.is_none() => EtfsError::NotFound,
            _ => error.into(),
        })?;
        let mut file = OpenFile { store: store.clone(), handle, begin: 0, len: 0, sectors: self.device };
        let size = store.size(handle)?;
        let (begin, len) = self.window.unwrap_or((0, size));
        // A file that shrank since it was mapped shows less.
        (file.begin, file.len) = (begin, len.min(size.saturating_sub(begin)));
        Ok(file)
    }
}

/// An open file behind a mapping; closed when dropped.
pub struct OpenFile {
    store: Arc<dyn Store>,
    handle: FileHandle,
    begin: u64,
    len: u64,
    sectors: bool,
}

impl OpenFile {
    /// Bytes that can be read.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// True if no byte can be read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether it is read by whole sectors.
    pub(crate) fn is_device(&self) -> bool {
        self.sectors
    }

    /// Reads at `offset` of the window into the start of `buffer`, to its end or the end of the window, and says how many bytes.
    ///
    /// # Errors
    /// [`EtfsError::BadRange`] for a device mapping: a length that is no multiple of a sector, or an offset beyond the end; the
    /// host's error, also when its file is shorter than it said.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, EtfsError> {
        if self.sectors && (!(buffer.len() as u64).is_multiple_of(SECTOR) || offset > self.len) {
            return Err(EtfsError::BadRange);
        }
        let wanted = (buffer.len() as u64).min(self.len.saturating_sub(offset)) as usize;
        let mut done = 0;
        while done < wanted {
            let at = self.begin + offset + done as u64;
            let some = self.store.read_at(self.handle, at, &mut buffer[done..wanted])?;
            if some == 0 || some > wanted - done {
                return Err(HostError::new(if some == 0 { HostErrorKind::Io } else { HostErrorKind::Protocol }).into());
            }
            done += some;
        }
        Ok(done)
    }

    /// The whole window in memory.
    ///
    /// # Errors
    /// [`EtfsError::TooLarge`] if it is longer than `limit` bytes; the host's error, also if there is no memory.
    pub fn read_all(&self, limit: u64) -> Result<Vec<u8>, EtfsError> {
        self.read_but(0..0, limit)
    }

    /// The window but for the range `hole` of it.
    ///
    /// # Errors
    /// As [`read_all`](Self::read_all).
    pub(crate) fn read_but(&self, hole: Range<u64>, limit: u64) -> Result<Vec<u8>, EtfsError> {
        if self.len > limit {
            return Err(EtfsError::TooLarge);
        }
        let mut bytes = Vec::new();
        let len = usize::try_from(self.len - (hole.end - hole.start)).map_err(|_| no_memory())?;
        bytes.try_reserve_exact(len).map_err(|_| no_memory())?;
        self.read_onto(0, hole.start, &mut bytes)?;
        self.read_onto(hole.end, self.len - hole.end, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads the `len` bytes at `offset` of the window onto the end of `bytes`.
    pub(crate) fn read_onto(&self, offset: u64, len: u64, bytes: &mut Vec<u8>) -> Result<(), EtfsError> {
        let len = usize::try_from(len).map_err(|_| no_memory())?;
        let start = bytes.len();
        while bytes.len() - start < len {
            let done = bytes.len() - start;
            let at = self.begin + offset + done as u64;
            let some = self.store.read_onto(self.handle, at, len - done, bytes)?;
            if some == 0 || some > len - done {
                return Err(HostError::new(if some == 0 { HostErrorKind::Io } else { HostErrorKind::Protocol }).into());
            }
        }
        Ok(())
    }
}

fn no_memory() -> HostError {
    HostError::new(HostErrorKind::OutOfMemory)
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        self.store.close(self.handle);
    }
}

fn is_directory(kind: EtfsKind) -> bool {
    matches!(kind, EtfsKind::Directory | EtfsKind::Subdirectories)
}

/// A key or path without its leading slashes; the rest is kept as it is.
fn normal(key: &str) -> Result<&str, EtfsError> {
    if !key.starts_with('/') || key.len() >= MAX_PATH || key.contains('\0') {
        return Err(EtfsError::BadKey);
    }
    Ok(key.trim_start_matches('/'))
}

/// What of `path` lies below `directory`, at a component boundary.
fn below<'p>(path: &'p str, directory: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(directory)?;
    if rest.is_empty() || directory.is_empty() || rest.starts_with('/') { Some(rest.trim_start_matches('/')) } else { None }
}

impl EtfsError {
    /// The errno that `rump_etfs(3)` or the read gives.
    #[must_use]
    pub fn errno(&self) -> i32 {
        use crate::errno::{EBUSY, EEXIST, EFBIG, EINVAL, EISDIR, ENOENT, ENOTDIR, EOPNOTSUPP};
        match self {
            Self::BadKey | Self::BadRange => EINVAL,
            Self::WindowOnDirectory | Self::IsADirectory => EISDIR,
            Self::NotADirectory => ENOTDIR,
            Self::Exists => EEXIST,
            Self::TooLarge => EFBIG,
            Self::NoDevice => EBUSY,
            Self::NotFound => ENOENT,
            Self::ParentDirectory => EOPNOTSUPP,
            Self::Host(error) => host_errno(error.kind()),
        }
    }
}

/// The errno nearest to a host's error.
#[must_use]
pub fn host_errno(kind: HostErrorKind) -> i32 {
    use crate::errno::*;
    match kind {
        HostErrorKind::NotFound => ENOENT,
        HostErrorKind::PermissionDenied => EACCES,
        HostErrorKind::NotADirectory => ENOTDIR,
        HostErrorKind::IsADirectory => EISDIR,
        HostErrorKind::InvalidInput => EINVAL,
        HostErrorKind::OutOfMemory => ENOMEM,
        HostErrorKind::Io | HostErrorKind::Protocol => EIO,
        HostErrorKind::ReadOnly => EROFS,
        HostErrorKind::Busy => EBUSY,
        HostErrorKind::Unsupported => EOPNOTSUPP,
        HostErrorKind::TimedOut => ETIMEDOUT,
    }
}

impl fmt::Display for EtfsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadKey => "the path does not begin with a slash, or is too long",
            Self::BadRange => "the range does not lie within the file or on sector boundaries",
            Self::WindowOnDirectory => "a directory mapping has no window",
            Self::NotADirectory => "not a directory on the host",
            Self::Exists => "mapped already",
            Self::NoDevice => "no device number left",
            Self::NotFound => "nothing is mapped there",
            Self::ParentDirectory => "`..` inside a mapping",
            Self::IsADirectory => "is a directory",
            Self::TooLarge => "larger than it may be",
            Self::Host(error) => return write!(f, "host: {error}"),
        })
    }
}

impl core::error::Error for EtfsError {}
