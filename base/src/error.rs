//! Why a request to a kernel failed.

use alloc::string::{String, ToString};
use core::fmt;

/// A request that failed: to a file, a directory, a mount or a device.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FileError {
    /// The kernel or one of its modules refused it.
    Failed {
        /// What was tried: `open`, `read`, ...
        operation: &'static str,
        /// The path or name it was tried on.
        path: String,
        /// NetBSD's error number.
        errno: i32,
    },
    /// The instance has ended, now or before.
    Ended {
        /// Why.
        reason: String,
    },
}

impl FileError {
    pub(crate) fn new(operation: &'static str, path: &[u8], errno: i32) -> Self {
        Self::Failed { operation, path: String::from_utf8_lossy(path).into_owned(), errno }
    }

    /// An error of the core's `enter`.
    pub(crate) fn from_core(error: &rumpload::Error) -> Self {
        Self::Ended { reason: error.to_string() }
    }

    /// NetBSD's error number; `EIO` if the instance has ended.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Failed { errno, .. } => *errno,
            Self::Ended { .. } => rumpload::errno::EIO,
        }
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { operation, path, errno } => write!(f, "{operation} {path}: {}", Errno(*errno)),
            Self::Ended { reason } => f.write_str(reason),
        }
    }
}

impl core::error::Error for FileError {}

/// A mount or unmount that failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum MountError {
    /// The type is not attached, and its module did not come.
    Autoload {
        /// The type asked for.
        kind: String,
        /// What `mount(2)` returns: `ENODEV`.
        errno: i32,
        /// Why the module did not come.
        error: rumpload::Error,
    },
    /// The kernel or the file system refused it.
    File(FileError),
}

impl MountError {
    pub(crate) fn new(operation: &'static str, path: &[u8], errno: i32) -> Self {
        Self::File(FileError::new(operation, path, errno))
    }

    /// NetBSD's error number; `EIO` if the instance has ended.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Autoload { errno, .. } => *errno,
            Self::File(error) => error.errno(),
        }
    }
}

impl From<FileError> for MountError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Autoload { kind, errno, error } => write!(f, "mount of type {kind}: {}: {error}", Errno(*errno)),
            Self::File(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for MountError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Autoload { error, .. } => Some(error),
            Self::File(error) => Some(error),
        }
    }
}

/// An error number for people: `no such file or directory (ENOENT)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// Names and meanings of the numbers that file systems give (`errno(2)`).
const NAMES: &[(i32, &str, &str)] = &[
    (1, "EPERM", "operation not permitted"),
    (2, "ENOENT", "no such file or directory"),
    (5, "EIO", "input/output error"),
    (6, "ENXIO", "device not configured"),
    (7, "E2BIG", "argument too long"),
    (9, "EBADF", "not open for this"),
    (11, "EDEADLK", "would wait for ever"),
    (12, "ENOMEM", "out of memory"),
    (13, "EACCES", "permission denied"),
    (14, "EFAULT", "bad address"),
    (15, "ENOTBLK", "not a block device"),
    (16, "EBUSY", "busy"),
    (17, "EEXIST", "exists already"),
    (18, "EXDEV", "on another file system"),
    (19, "ENODEV", "not supported by the device"),
    (20, "ENOTDIR", "not a directory"),
    (21, "EISDIR", "is a directory"),
    (22, "EINVAL", "invalid argument"),
    (25, "ENOTTY", "not known to the device"),
    (27, "EFBIG", "file too large"),
    (28, "ENOSPC", "no space left"),
    (29, "ESPIPE", "cannot seek"),
    (30, "EROFS", "read-only file system"),
    (31, "EMLINK", "too many links"),
    (45, "EOPNOTSUPP", "not supported"),
    (62, "ELOOP", "too many symbolic links"),
    (63, "ENAMETOOLONG", "name too long"),
    (66, "ENOTEMPTY", "directory not empty"),
    (69, "EDQUOT", "quota exceeded"),
    (70, "ESTALE", "stale file handle"),
    (78, "ENOSYS", "not implemented"),
    (79, "EFTYPE", "wrong type or format"),
];

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, ..)| *number == self.0) {
            Some((_, name, meaning)) => write!(f, "{meaning} ({name})"),
            None => write!(f, "error {}", self.0),
        }
    }
}
