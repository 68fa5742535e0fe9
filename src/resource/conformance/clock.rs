use crate::resource::{Clock, HostErrorKind};
use core::time::Duration;

/// Checks every promise of [`Clock`].
///
/// # Panics
/// If a promise is broken.
pub fn clock(clock: &dyn Clock) {
    let mut last = clock.monotonic().expect("monotonic time");
    for _ in 0..1000 {
        let now = clock.monotonic().expect("monotonic time");
        assert!(now >= last, "monotonic time went from {last:?} back to {now:?}");
        last = now;
    }
    for time in [Duration::ZERO, Duration::from_micros(1), Duration::from_millis(2)] {
        let before = clock.monotonic().expect("monotonic time");
        clock.sleep(time).expect("slept");
        let slept = clock.monotonic().expect("monotonic time").saturating_sub(before);
        assert!(slept >= time, "asked to sleep {time:?}, slept {slept:?}");
    }
    if let Err(error) = clock.wall() {
        assert_eq!(error.kind(), HostErrorKind::Unsupported, "a host without a date says so");
    }
}
