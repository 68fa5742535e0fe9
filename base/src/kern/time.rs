//! Clocks: the host's, in NetBSD's units.

use crate::abi::Abi;
use crate::export::{Export, data, function};
use crate::kernel::{Kernel, kernel};
use core::cell::Cell;
use core::time::Duration;

/// Ticks per second.
const HZ: u64 = 100;
const NANOSECONDS: u64 = 1_000_000_000;

/// The last readings, and the data modules read directly.
#[derive(Default)]
pub(crate) struct State {
    monotonic: Cell<Duration>,
    wall: Cell<Duration>,
    /// Reading of the monotonic clock when the kernel booted.
    boot: Cell<Duration>,
    /// Seconds of the wall clock, seconds since boot, ticks since boot.
    words: Cell<Option<Words>>,
}

#[derive(Clone, Copy)]
struct Words {
    second: [*mut i64; 2],
    uptime: [*mut i64; 2],
    ticks: *mut i32,
}

impl State {
    /// Reads the clocks and brings the exported data up to date. A clock that fails stands still.
    pub(crate) fn refresh(&self, kernel: &Kernel) {
        let Some(words) = self.words.get() else { return };
        self.read(kernel);
        let uptime = self.uptime();
        // SAFETY: the words are exports of these sizes, which live as long as the kernel.
        unsafe {
            for word in words.second {
                word.write_volatile(self.wall.get().as_secs() as i64);
            }
            for word in words.uptime {
                word.write_volatile(uptime.as_secs() as i64);
            }
            words.ticks.write_volatile(whole_ticks(uptime) as i32);
        }
        #[cfg(feature = "test-support")]
        crate::sabotage::data(kernel, kernel.sabotaged);
    }

    /// Time since the kernel booted. Starts at a second, so that 0 can mean never.
    fn uptime(&self) -> Duration {
        self.monotonic.get().saturating_sub(self.boot.get()).saturating_add(Duration::from_secs(1))
    }

    fn read(&self, kernel: &Kernel) {
        let clock = &kernel.instance().host().clock;
        if let Ok(now) = clock.monotonic() {
            self.monotonic.set(now.max(self.monotonic.get()));
        }
        // Without a date, time starts in 1970.
        self.wall.set(clock.wall().unwrap_or_else(|_| self.monotonic.get()));
    }
}

/// The monotonic clock. Stands still if the host's fails.
pub(crate) fn monotonic() -> Duration {
    let kernel = kernel();
    kernel.kern.time.refresh(kernel);
    kernel.kern.time.monotonic.get()
}

/// The date: time since 1970.
pub(crate) fn wall() -> Duration {
    let kernel = kernel();
    kernel.kern.time.refresh(kernel);
    kernel.kern.time.wall.get()
}

fn uptime() -> Duration {
    monotonic();
    kernel().kern.time.uptime()
}

/// The length of `count` ticks; nothing for a negative count.
pub(crate) fn ticks(count: i32) -> Duration {
    Duration::from_nanos(u64::try_from(count).unwrap_or(0) * (NANOSECONDS / HZ))
}

fn whole_ticks(time: Duration) -> u128 {
    time.as_nanos() / u128::from(NANOSECONDS / HZ)
}

/// Ticks that last at least as long as `time`, counted from now, when part of a tick has gone already.
fn ticks_for(time: Duration) -> i32 {
    let ticks = time.as_nanos().div_ceil(u128::from(NANOSECONDS / HZ));
    i32::try_from(ticks + u128::from(ticks > 0)).unwrap_or(i32::MAX)
}

/// The 64 bits after the point.
fn fraction(time: Duration) -> u64 {
    ((u128::from(time.subsec_nanos()) << 64) / u128::from(NANOSECONDS)) as u64
}

/// # Safety
/// `out` must point to a `struct timeval`.
unsafe fn put_timeval(abi: &Abi, out: *mut u8, time: Duration) {
    // SAFETY: as the caller says.
    unsafe {
        abi.timeval.tv_sec.write(out, time.as_secs() as i64);
        abi.timeval.tv_usec.write(out, time.subsec_micros() as i32);
    }
}

/// Writes a `struct timespec`.
///
/// # Safety
/// `out` must point to one.
pub(crate) unsafe fn put_timespec(abi: &Abi, out: *mut u8, time: Duration) {
    // SAFETY: as the caller says.
    unsafe {
        abi.timespec.tv_sec.write(out, time.as_secs() as i64);
        abi.timespec.tv_nsec.write(out, time.subsec_nanos() as isize);
    }
}

/// # Safety
/// `out` must point to a `struct bintime`.
unsafe fn put_bintime(abi: &Abi, out: *mut u8, time: Duration) {
    // SAFETY: as the caller says.
    unsafe {
        abi.bintime.sec.write(out, time.as_secs() as i64);
        abi.bintime.frac.write(out, fraction(time));
    }
}

/// # Safety
/// `from` must point to a `struct timeval`.
unsafe fn get_timeval(abi: &Abi, from: *const u8) -> Duration {
    // SAFETY: as the caller says.
    unsafe {
        let seconds: i64 = abi.timeval.tv_sec.read(from);
        let micros: i32 = abi.timeval.tv_usec.read(from);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0)) + Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

/// # Safety
/// `from` must point to a `struct timespec`.
unsafe fn get_timespec(abi: &Abi, from: *const u8) -> Duration {
    // SAFETY: as the caller says.
    unsafe {
        let seconds: i64 = abi.timespec.tv_sec.read(from);
        let nanos: isize = abi.timespec.tv_nsec.read(from);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0)) + Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

macro_rules! clocks {
    ($($name:ident = $put:ident $clock:ident;)*) => {
        $(unsafe extern "C" fn $name(out: *mut u8) {
            // SAFETY: module code passes a structure of this kind.
            unsafe { $put(kernel().abi, out, $clock()) }
        })*
    };
}

clocks! {
    microtime = put_timeval wall;
    nanotime = put_timespec wall;
    bintime = put_bintime wall;
    microuptime = put_timeval uptime;
    nanouptime = put_timespec uptime;
    binuptime = put_bintime uptime;
}

extern "C" fn getrealtime() -> i64 {
    wall().as_secs() as i64
}

extern "C" fn getuptime() -> i64 {
    uptime().as_secs() as i64
}

extern "C" fn getticks() -> i32 {
    whole_ticks(uptime()) as i32
}

unsafe extern "C" fn tvtohz(time: *const u8) -> i32 {
    // SAFETY: module code passes a `struct timeval`.
    ticks_for(unsafe { get_timeval(kernel().abi, time) })
}

unsafe extern "C" fn tstohz(time: *const u8) -> i32 {
    // SAFETY: module code passes a `struct timespec`.
    ticks_for(unsafe { get_timespec(kernel().abi, time) })
}

extern "C" fn mstohz(milliseconds: u32) -> u32 {
    (u64::from(milliseconds) * HZ).div_ceil(1000) as u32
}

extern "C" fn hztoms(ticks: u32) -> u32 {
    (u64::from(ticks) * 1000 / HZ) as u32
}

/// Whether `interval` has passed since the time kept at `last`, which then becomes now.
///
/// # Safety
/// Both must point to a `struct timeval`.
unsafe extern "C" fn ratecheck(last: *mut u8, interval: *const u8) -> i32 {
    let abi = kernel().abi;
    let now = uptime();
    // SAFETY: as the caller says.
    unsafe {
        let then = get_timeval(abi, last);
        let passed = then.is_zero() || now.saturating_sub(then) >= get_timeval(abi, interval);
        if passed {
            put_timeval(abi, last, now);
        }
        i32::from(passed)
    }
}

/// Whether fewer than `most` events came in the second that began at `last`; -1 is no limit.
///
/// # Safety
/// `last` must point to a `struct timeval`, `count` to an int.
unsafe extern "C" fn ppsratecheck(last: *mut u8, count: *mut i32, most: i32) -> i32 {
    let abi = kernel().abi;
    let now = uptime();
    // SAFETY: as the caller says.
    unsafe {
        let then = get_timeval(abi, last);
        if then.is_zero() || now.saturating_sub(then) >= Duration::from_secs(1) {
            put_timeval(abi, last, now);
            count.write(0);
        }
        let before = count.read();
        count.write(before.saturating_add(1));
        i32::from(most < 0 || before < most)
    }
}

/// Whether setting the clock to `time` would wrap it in a year, or `delta` goes back.
unsafe extern "C" fn time_wraps(time: *const u8, delta: *const u8) -> bool {
    let fields = &kernel().abi.timespec;
    // SAFETY: module code passes two `struct timespec`s.
    unsafe {
        let (seconds, back): (i64, i64) = (fields.tv_sec.read(time), fields.tv_sec.read(delta));
        seconds > i64::MAX - 365 * 86_400 || back < 0 || fields.tv_nsec.read::<isize>(delta) < 0
    }
}

unsafe extern "C" fn delay(micros: u32) {
    let end = monotonic().saturating_add(Duration::from_micros(micros.into()));
    let _ = kernel().instance().host().clock.sleep(end.saturating_sub(monotonic()));
}

/// Sets the data that never changes, and the clocks.
pub(crate) fn fill(kernel: &Kernel) {
    let state = &kernel.kern.time;
    state.read(kernel);
    state.boot.set(state.monotonic.get());
    let words = Words {
        second: [kernel.data("time_second").cast(), kernel.data("time__second").cast()],
        uptime: [kernel.data("time_uptime").cast(), kernel.data("time__uptime").cast()],
        ticks: kernel.data("hardclock_ticks").cast(),
    };
    state.words.set(Some(words));
    state.refresh(kernel);
    // SAFETY: the exports have these sizes.
    unsafe {
        kernel.data("hz").cast::<i32>().write(HZ as i32);
        kernel.data("stathz").cast::<i32>().write(HZ as i32);
        kernel.data("tick").cast::<i32>().write((1_000_000 / HZ) as i32);
        kernel.data("delay_func").cast::<*const ()>().write(delay as *const ());
        put_timespec(kernel.abi, kernel.data("boottime"), state.wall.get());
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("microtime", microtime),
    function!("nanotime", nanotime),
    function!("bintime", bintime),
    function!("getmicrotime", microtime),
    function!("getnanotime", nanotime),
    function!("getbintime", bintime),
    function!("microuptime", microuptime),
    function!("nanouptime", nanouptime),
    function!("binuptime", binuptime),
    function!("getmicrouptime", microuptime),
    function!("getnanouptime", nanouptime),
    function!("getbinuptime", binuptime),
    function!("vfs_timestamp", nanotime),
    function!("getrealtime", getrealtime),
    function!("getuptime", getuptime),
    function!("getticks", getticks),
    function!("tvtohz", tvtohz),
    function!("tstohz", tstohz),
    function!("mstohz", mstohz),
    function!("hztoms", hztoms),
    function!("ratecheck", ratecheck),
    function!("ppsratecheck", ppsratecheck),
    function!("time_wraps", time_wraps),
    function!("delay", delay),
    function!("i8254_delay", delay),
    data!("delay_func", size_of::<usize>(), size_of::<usize>()),
    data!("time_second", 8, 8),
    data!("time_uptime", 8, 8),
    data!("time__second", 8, 8),
    data!("time__uptime", 8, 8),
    data!("boottime", 16, 8),
    data!("hz", 4, 4),
    data!("stathz", 4, 4),
    data!("tick", 4, 4),
    data!("hardclock_ticks", 4, 4),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Bench, DATE};
    use rumpload::resource::Clock;

    #[test]
    fn structures_hold_the_parts_of_a_time() {
        let time = Duration::new(5, 123_456_789);
        for abi in [Abi::netbsd_7_99_34_amd64(), Abi::netbsd_10_amd64()] {
            let mut out = [0xff_u8; 16];
            // SAFETY: every one of these structures is 16 bytes long at most.
            unsafe {
                put_timeval(abi, out.as_mut_ptr(), time);
                assert_eq!(get_timeval(abi, out.as_ptr()), Duration::new(5, 123_456_000));
                put_bintime(abi, out.as_mut_ptr(), Duration::new(7, 500_000_000));
            }
            assert_eq!(out[..8], 7_i64.to_le_bytes());
            assert_eq!(out[8..], (1_u64 << 63).to_le_bytes());
        }
    }

    #[test]
    fn a_timeout_is_never_too_short() {
        assert_eq!(ticks_for(Duration::ZERO), 0);
        assert_eq!(ticks_for(Duration::from_nanos(1)), 2);
        assert_eq!(ticks_for(Duration::from_millis(10)), 2);
        assert_eq!(ticks_for(Duration::from_millis(11)), 3);
        assert_eq!(ticks_for(Duration::MAX), i32::MAX);
        assert_eq!(ticks(3), Duration::from_millis(30));
        assert_eq!(ticks(-1), Duration::ZERO);
        assert_eq!((mstohz(11), hztoms(5)), (2, 50));
    }

    #[test]
    fn clocks_follow_the_hosts() {
        let bench = Bench::new();
        let data = |name: &str| bench.kernel.data(name);
        // SAFETY: the exports have these sizes.
        let seconds = || unsafe { [data("time_second").cast::<i64>().read(), data("time_uptime").cast::<i64>().read()] };
        assert_eq!(seconds(), [DATE as i64, 1]);
        bench.clock.sleep(Duration::from_millis(2500)).unwrap();
        bench.inside(|| {
            assert_eq!(seconds(), [DATE as i64 + 2, 3]);
            // SAFETY: the export is an int.
            assert_eq!(unsafe { data("hardclock_ticks").cast::<i32>().read() }, 350);
            assert_eq!(getticks(), 350);
            let mut out = [0_u8; 16];
            // SAFETY: room for any of these structures.
            unsafe {
                microtime(out.as_mut_ptr());
                assert_eq!(get_timeval(kernel().abi, out.as_ptr()), Duration::from_millis(DATE * 1000 + 2500));
                nanouptime(out.as_mut_ptr());
                assert_eq!(get_timespec(kernel().abi, out.as_ptr()), Duration::from_millis(3500));
                delay(1_500_000);
            }
            assert_eq!(getuptime(), 5);
            assert_eq!(getrealtime(), DATE as i64 + 4);
        });
    }

    #[test]
    fn rates_are_limited() {
        let bench = Bench::new();
        bench.inside(|| {
            let abi = kernel().abi;
            let (mut last, mut interval, mut count) = ([0_u8; 16], [0_u8; 16], 0);
            // SAFETY: both hold a `struct timeval`.
            unsafe {
                put_timeval(abi, interval.as_mut_ptr(), Duration::from_secs(2));
                let mut check = || ratecheck(last.as_mut_ptr(), interval.as_ptr());
                assert_eq!((check(), check()), (1, 0));
                delay(2_000_000);
                assert_eq!((check(), check()), (1, 0));
                let mut last = [0_u8; 16];
                let mut check = |most| ppsratecheck(last.as_mut_ptr(), &raw mut count, most);
                assert_eq!([check(2), check(2), check(2), check(-1)], [1, 1, 0, 1]);
                delay(1_000_000);
                assert_eq!(check(1), 1);
            }
        });
    }
}
