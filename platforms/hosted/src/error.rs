use rumpload::resource::{HostError, HostErrorKind};
use rustix::io::Errno;

/// The portable kind of a Linux error number; the number itself is kept for people.
pub(crate) fn host_error(errno: Errno) -> HostError {
    let kind = match errno {
        Errno::NOENT => HostErrorKind::NotFound,
        // What RESOLVE_BENEATH answers for a path that leaves the root, and what a link loop gives.
        Errno::ACCESS | Errno::PERM | Errno::XDEV | Errno::LOOP => HostErrorKind::PermissionDenied,
        Errno::NOTDIR => HostErrorKind::NotADirectory,
        Errno::ISDIR => HostErrorKind::IsADirectory,
        Errno::INVAL | Errno::NAMETOOLONG | Errno::BADF | Errno::SPIPE => HostErrorKind::InvalidInput,
        Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::NOSPC | Errno::DQUOT => HostErrorKind::OutOfMemory,
        Errno::ROFS => HostErrorKind::ReadOnly,
        Errno::BUSY | Errno::EXIST | Errno::TXTBSY | Errno::AGAIN => HostErrorKind::Busy,
        Errno::NOSYS | Errno::OPNOTSUPP | Errno::NXIO => HostErrorKind::Unsupported,
        Errno::TIMEDOUT => HostErrorKind::TimedOut,
        _ => HostErrorKind::Io,
    };
    HostError::with_code(kind, errno.raw_os_error().into())
}

/// As [`host_error`], for what the standard library answers.
pub(crate) fn io_error(error: &std::io::Error) -> HostError {
    match Errno::from_io_error(error) {
        Some(errno) => host_error(errno),
        None => HostErrorKind::Io.into(),
    }
}
