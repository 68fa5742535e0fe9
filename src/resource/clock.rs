use super::HostError;
use core::time::Duration;

/// Time.
pub trait Clock: Send + Sync {
    /// Time since an arbitrary start; never goes back.
    ///
    /// # Errors
    /// Any [`HostError`]; callers treat time as standing still.
    fn monotonic(&self) -> Result<Duration, HostError>;

    /// Time since 1970-01-01 00:00 UTC.
    ///
    /// # Errors
    /// [`Unsupported`](super::HostErrorKind::Unsupported) on a host that does not know the date.
    fn wall(&self) -> Result<Duration, HostError>;

    /// Blocks the calling thread for at least `time`.
    ///
    /// # Errors
    /// Any [`HostError`]; the caller may have slept shorter.
    fn sleep(&self, time: Duration) -> Result<(), HostError>;
}
