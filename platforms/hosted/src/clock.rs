use rumpload::resource::{Clock, HostError, HostErrorKind};
use std::time::{Duration, Instant, SystemTime};

/// The system's clocks; monotonic time counts from the clock's creation.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Result<Duration, HostError> {
        Ok(self.start.elapsed())
    }

    fn wall(&self) -> Result<Duration, HostError> {
        // A date before 1970 is no date.
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(|_| HostErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Result<(), HostError> {
        std::thread::sleep(time);
        Ok(())
    }
}
