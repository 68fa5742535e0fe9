use super::{Call, Fault, Faulty};
use crate::resource::{Clock, HostError, HostErrorKind};
use core::time::Duration;
use spin::Mutex;

/// A clock that moves only when somebody sleeps or moves it.
pub struct ManualClock {
    now: Mutex<Duration>,
    /// The date at the start.
    epoch: Duration,
}

impl ManualClock {
    /// A clock at 0 whose date is `epoch`, a time since 1970.
    #[must_use]
    pub const fn new(epoch: Duration) -> Self {
        Self { now: Mutex::new(Duration::ZERO), epoch }
    }

    /// Moves the clock.
    pub fn advance(&self, time: Duration) {
        let mut now = self.now.lock();
        *now = now.saturating_add(time);
    }
}

impl Clock for ManualClock {
    fn monotonic(&self) -> Result<Duration, HostError> {
        Ok(*self.now.lock())
    }

    fn wall(&self) -> Result<Duration, HostError> {
        self.epoch.checked_add(*self.now.lock()).ok_or_else(|| HostErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Result<(), HostError> {
        self.advance(time);
        Ok(())
    }
}

impl Clock for Faulty<dyn Clock> {
    fn monotonic(&self) -> Result<Duration, HostError> {
        match self.enter(Call::Monotonic)? {
            Some(Fault::Lie) => Ok(Duration::ZERO),
            _ => self.inner.monotonic(),
        }
    }

    fn wall(&self) -> Result<Duration, HostError> {
        match self.enter(Call::Wall)? {
            Some(Fault::Lie) => Ok(Duration::MAX),
            _ => self.inner.wall(),
        }
    }

    fn sleep(&self, time: Duration) -> Result<(), HostError> {
        match self.enter(Call::Sleep)? {
            Some(Fault::Short | Fault::Lie) => Ok(()),
            _ => self.inner.sleep(time),
        }
    }
}
