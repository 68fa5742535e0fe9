//! Errors as words.

use crate::{Label, Message};
use core::fmt;
use rumpload::resource::{HostError, HostErrorKind};

/// The status of an answer that is no error.
pub(crate) const DONE: u64 = 0;
/// The status of an answer whose code is an errno.
const ERRNO: u64 = 0x100;
/// Largest errno that any kernel has.
const MAX_ERRNO: i64 = 4095;

/// The numbers of the kinds.
const KINDS: [(u64, HostErrorKind); 12] = [
    (1, HostErrorKind::NotFound),
    (2, HostErrorKind::PermissionDenied),
    (3, HostErrorKind::NotADirectory),
    (4, HostErrorKind::IsADirectory),
    (5, HostErrorKind::InvalidInput),
    (6, HostErrorKind::OutOfMemory),
    (7, HostErrorKind::Io),
    (8, HostErrorKind::ReadOnly),
    (9, HostErrorKind::Busy),
    (10, HostErrorKind::Unsupported),
    (11, HostErrorKind::TimedOut),
    (12, HostErrorKind::Protocol),
];

/// Why a request failed on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A host's error, or that of the connection.
    Host(HostError),
    /// An error number of the kernel whose modules the other side runs; positive.
    Errno(i32),
}

impl Failure {
    /// The words of an answer: status and code.
    pub(crate) fn words(self) -> [u64; 2] {
        match self {
            Self::Host(error) => {
                let known = KINDS.iter().find(|(_, kind)| *kind == error.kind());
                // A kind that these messages do not know yet is an input/output error.
                [known.map_or(7, |(number, _)| *number), error.code() as u64]
            }
            Self::Errno(errno) => [ERRNO, i64::from(errno).clamp(1, MAX_ERRNO) as u64],
        }
    }

    /// The failure that `status` and `code` stand for; [`Protocol`](HostErrorKind::Protocol) if they stand for none.
    pub(crate) fn of(status: u64, code: u64) -> Self {
        let code = code as i64;
        if status == ERRNO && (1..=MAX_ERRNO).contains(&code) {
            return Self::Errno(code as i32);
        }
        match KINDS.iter().find(|(number, _)| *number == status) {
            Some((_, kind)) => Self::Host(HostError::with_code(*kind, code)),
            None => HostErrorKind::Protocol.into(),
        }
    }

    /// The host's error; an errno has no place in the answer of a host.
    pub(crate) fn host(self) -> HostError {
        match self {
            Self::Host(error) => error,
            Self::Errno(_) => HostErrorKind::Protocol.into(),
        }
    }
}

/// The number that stands for `kind`.
pub(crate) fn number(kind: HostErrorKind) -> u64 {
    Failure::from(kind).words()[0]
}

/// The kind that `number` stands for.
pub(crate) fn kind(number: u64) -> Option<HostErrorKind> {
    KINDS.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind)
}

impl Message {
    /// The answer to a request of `label` that failed: for a supervisor that answers in the place of a server.
    #[must_use]
    pub fn failure(label: Label, failure: Failure) -> Self {
        let mut message = Self::new(label);
        super::respond(&mut message, Err(failure));
        message
    }
}

impl From<HostError> for Failure {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<HostErrorKind> for Failure {
    fn from(kind: HostErrorKind) -> Self {
        Self::Host(kind.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(error) => error.fmt(f),
            Self::Errno(errno) => write!(f, "error {errno}"),
        }
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_arrive_as_they_were() {
        for (_, kind) in KINDS {
            for code in [0, -1, i64::MIN, i64::MAX] {
                let failure = Failure::Host(HostError::with_code(kind, code));
                let [status, code] = failure.words();
                assert_eq!(Failure::of(status, code), failure);
            }
        }
        let [status, code] = Failure::Errno(79).words();
        assert_eq!(Failure::of(status, code), Failure::Errno(79));
    }

    #[test]
    fn numbers_that_stand_for_nothing() {
        for (status, code) in [(DONE, 0), (13, 0), (u64::MAX, 1), (ERRNO, 0), (ERRNO, 4096), (ERRNO, u64::MAX)] {
            assert_eq!(Failure::of(status, code), HostErrorKind::Protocol.into());
        }
    }
}
