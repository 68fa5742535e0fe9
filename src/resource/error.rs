use core::fmt;

/// What kind of failure a host call had; the only part of a host's error that the core looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HostErrorKind {
    /// The named object does not exist.
    NotFound,
    /// The host does not allow it.
    PermissionDenied,
    /// Not a directory where one is needed.
    NotADirectory,
    /// A directory where a file is needed.
    IsADirectory,
    /// An argument is outside what the method documents.
    InvalidInput,
    /// No memory, handle or address space left, or none that fits the placement.
    OutOfMemory,
    /// The device or file gave an error.
    Io,
    /// The device is read-only.
    ReadOnly,
    /// Somebody else has it, or it is already there.
    Busy,
    /// The host has no such service.
    Unsupported,
    /// A time limit passed.
    TimedOut,
    /// The other side answered with something that cannot be right.
    Protocol,
}

/// A failed host call: the portable kind, and the host's own number for people (0 where it has none).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostError {
    kind: HostErrorKind,
    code: i64,
}

impl HostError {
    /// An error of `kind` without a number of the host's own.
    pub const fn new(kind: HostErrorKind) -> Self {
        Self { kind, code: 0 }
    }

    /// An error of `kind` that the host calls `code`.
    pub const fn with_code(kind: HostErrorKind, code: i64) -> Self {
        Self { kind, code }
    }

    /// The portable kind.
    pub const fn kind(&self) -> HostErrorKind {
        self.kind
    }

    /// The host's own number, or 0.
    pub const fn code(&self) -> i64 {
        self.code
    }
}

impl From<HostErrorKind> for HostError {
    fn from(kind: HostErrorKind) -> Self {
        Self::new(kind)
    }
}

impl fmt::Display for HostErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::PermissionDenied => "permission denied",
            Self::NotADirectory => "not a directory",
            Self::IsADirectory => "is a directory",
            Self::InvalidInput => "invalid argument",
            Self::OutOfMemory => "out of memory",
            Self::Io => "input/output error",
            Self::ReadOnly => "read-only device",
            Self::Busy => "busy",
            Self::Unsupported => "not supported by this host",
            Self::TimedOut => "timed out",
            Self::Protocol => "protocol error",
        })
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.code == 0 { write!(f, "{}", self.kind) } else { write!(f, "{} (host code {})", self.kind, self.code) }
    }
}

impl core::error::Error for HostError {}
