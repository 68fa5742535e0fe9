use core::fmt;
use rumpload::resource::{HostError, HostErrorKind};

/// An invocation that the kernel refused: the label of its answer (`seL4_Error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KernelError(pub u64);

impl KernelError {
    /// A capability or a table on the way to an address is missing.
    pub const FAILED_LOOKUP: Self = Self(6);
    /// Something is there already.
    pub const DELETE_FIRST: Self = Self(8);
    /// The untyped object has no room left.
    pub const NOT_ENOUGH_MEMORY: Self = Self(10);
}

impl fmt::Display for KernelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            1 => "invalid argument",
            2 => "invalid capability",
            3 => "illegal operation",
            4 => "out of range",
            5 => "not aligned",
            6 => "lookup failed",
            7 => "truncated message",
            8 => "must be deleted first",
            9 => "must be revoked first",
            10 => "not enough memory",
            other => return write!(f, "kernel error {other}"),
        })
    }
}

impl core::error::Error for KernelError {}

impl From<KernelError> for HostError {
    fn from(error: KernelError) -> Self {
        let kind = match error {
            KernelError::NOT_ENOUGH_MEMORY => HostErrorKind::OutOfMemory,
            KernelError(2 | 3) => HostErrorKind::PermissionDenied,
            KernelError(1 | 4 | 5) => HostErrorKind::InvalidInput,
            _ => HostErrorKind::Io,
        };
        Self::with_code(kind, error.0 as i64)
    }
}
