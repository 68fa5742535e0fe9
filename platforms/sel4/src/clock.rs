use crate::syscall::yield_now;
use core::arch::x86_64::_rdtsc;
use core::time::Duration;
use rumpload::resource::{Clock, HostError, HostErrorKind};

/// The time-stamp counter, now.
#[must_use]
pub fn time_stamp() -> u64 {
    // SAFETY: the instruction is part of the architecture, and this kernel lets user code use it.
    unsafe { _rdtsc() }
}

/// A clock over the processor's time-stamp counter.
#[derive(Clone, Copy, Debug)]
pub struct TscClock {
    start: u64,
    mhz: u64,
    wall_at_start: Option<Duration>,
}

impl TscClock {
    /// A clock that starts now. `mhz` is the counter's frequency (0 counts as 1); `wall` the time since 1970, if it is known.
    #[must_use]
    pub fn new(mhz: u32, wall: Option<Duration>) -> Self {
        Self { start: time_stamp(), mhz: u64::from(mhz.max(1)), wall_at_start: wall }
    }

    fn elapsed(&self) -> Duration {
        let ticks = time_stamp().saturating_sub(self.start);
        let micros = ticks / self.mhz;
        Duration::from_micros(micros) + Duration::from_nanos(ticks % self.mhz * 1000 / self.mhz)
    }
}

impl Clock for TscClock {
    fn monotonic(&self) -> Result<Duration, HostError> {
        Ok(self.elapsed())
    }

    fn wall(&self) -> Result<Duration, HostError> {
        match self.wall_at_start {
            Some(start) => Ok(start + self.elapsed()),
            None => Err(HostErrorKind::Unsupported.into()),
        }
    }

    /// Lets other threads of the same priority run until the time has passed: there is no timer interrupt to wait for.
    fn sleep(&self, time: Duration) -> Result<(), HostError> {
        let end = self.elapsed() + time;
        while self.elapsed() < end {
            yield_now();
        }
        Ok(())
    }
}
