//! Dates: seconds since 1970 and the calendar's parts, in UTC.

use super::errno::EINVAL;
use crate::export::{Export, function};

/// `struct clock_ymdhms`, the same on every machine.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
struct Date {
    year: u64,
    month: u8,
    day: u8,
    /// 0 is Sunday.
    weekday: u8,
    hour: u8,
    minute: u8,
    second: u8,
}

const FIRST_YEAR: u64 = 1970;
const SECONDS_PER_DAY: u64 = 86_400;
const DAYS_PER_CENTURIES: u64 = 146_097;
/// Days from the first of March of the year 0 to 1970.
const EPOCH: u64 = 719_468;

/// Seconds since 1970; `None` for a date before, one with a month that is none, or one out of range.
fn seconds(date: &Date) -> Option<i64> {
    if date.year < FIRST_YEAR || !(1..=12).contains(&date.month) {
        return None;
    }
    // Years from March on end with the leap day, which makes every month's start the same in all of them.
    let month = u64::from(date.month);
    let year = date.year - u64::from(month <= 2);
    let start = (153 * ((month + 9) % 12) + 2) / 5;
    let days = (year / 400).checked_mul(DAYS_PER_CENTURIES)?;
    let rest = year % 400;
    let days = (days + rest * 365 + rest / 4 - rest / 100 + start + u64::from(date.day)).checked_sub(EPOCH + 1)?;
    let time = u64::from(date.hour) * 3600 + u64::from(date.minute) * 60 + u64::from(date.second);
    i64::try_from(days.checked_mul(SECONDS_PER_DAY)?.checked_add(time)?).ok()
}

/// The date of a time; `None` before 1970.
fn date(seconds: i64) -> Option<Date> {
    let seconds = u64::try_from(seconds).ok()?;
    let (days, time) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
    let shifted = days + EPOCH;
    let day = shifted % DAYS_PER_CENTURIES;
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let start = (153 * month + 2) / 5;
    let month = if month < 10 { month + 3 } else { month - 9 };
    Some(Date {
        year: shifted / DAYS_PER_CENTURIES * 400 + year + u64::from(month <= 2),
        month: month as u8,
        day: (day - start + 1) as u8,
        // The first day was a Thursday.
        weekday: ((days + 4) % 7) as u8,
        hour: (time / 3600) as u8,
        minute: (time / 60 % 60) as u8,
        second: (time % 60) as u8,
    })
}

unsafe extern "C" fn clock_ymdhms_to_secs(from: *const Date) -> i64 {
    // SAFETY: module code passes a date.
    seconds(unsafe { &*from }).unwrap_or(-1)
}

unsafe extern "C" fn clock_secs_to_ymdhms(time: i64, out: *mut Date) -> i32 {
    let Some(date) = date(time) else { return EINVAL };
    // SAFETY: module code passes room for a date.
    unsafe { out.write(date) };
    0
}

pub(crate) const EXPORTS: &[Export] =
    &[function!("clock_ymdhms_to_secs", clock_ymdhms_to_secs), function!("clock_secs_to_ymdhms", clock_secs_to_ymdhms)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;

    fn at(year: u64, month: u8, day: u8, hour: u8, minute: u8, second: u8, weekday: u8) -> Date {
        Date { year, month, day, weekday, hour, minute, second }
    }

    #[test]
    fn dates_and_seconds_are_each_others_inverse() {
        let known = [
            (0, at(1970, 1, 1, 0, 0, 0, 4)),
            (951_782_400, at(2000, 2, 29, 0, 0, 0, 2)),
            (951_868_799, at(2000, 2, 29, 23, 59, 59, 2)),
            (1_234_567_890, at(2009, 2, 13, 23, 31, 30, 5)),
            (4_107_542_400, at(2100, 3, 1, 0, 0, 0, 1)),
            (4_107_542_399, at(2100, 2, 28, 23, 59, 59, 0)),
            (253_402_300_799, at(9999, 12, 31, 23, 59, 59, 5)),
        ];
        for (time, parts) in known {
            assert_eq!(date(time), Some(parts));
            assert_eq!(seconds(&parts), Some(time));
        }
        for day in 0..200_000 {
            let time = day * 86_400 + 43_210;
            assert_eq!(seconds(&date(time).unwrap()), Some(time));
        }
    }

    #[test]
    fn dates_out_of_range_are_refused() {
        assert_eq!(date(-1), None);
        assert_eq!(seconds(&at(1969, 12, 31, 0, 0, 0, 0)), None);
        assert_eq!(seconds(&at(2000, 13, 1, 0, 0, 0, 0)), None);
        assert_eq!(seconds(&at(2000, 0, 1, 0, 0, 0, 0)), None);
        assert_eq!(seconds(&at(1970, 1, 0, 0, 0, 0, 0)), None);
        assert_eq!(seconds(&at(u64::MAX, 1, 1, 0, 0, 0, 0)), None);
    }

    #[test]
    fn the_structure_is_the_tables() {
        let clock = &Abi::netbsd_7_99_34_amd64().clock_ymdhms;
        assert_eq!((clock.size, clock.dt_mon.offset(), clock.dt_sec.offset()), (size_of::<Date>(), 8, 13));
    }
}
