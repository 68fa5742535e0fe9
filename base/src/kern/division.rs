//! Helpers that compilers call: 64-bit division on i386, byte swapping.

use crate::export::{Export, function};

unsafe extern "C" fn bswap16(value: u16) -> u16 {
    value.swap_bytes()
}

unsafe extern "C" fn bswap32(value: u32) -> u32 {
    value.swap_bytes()
}

unsafe extern "C" fn bswap64(value: u64) -> u64 {
    value.swap_bytes()
}

/// What a division by zero is on the machine.
fn by_zero() -> ! {
    super::panic::panic_message("integer division by zero")
}

unsafe extern "C" fn divdi3(one: i64, two: i64) -> i64 {
    if two == 0 { by_zero() } else { one.wrapping_div(two) }
}

unsafe extern "C" fn moddi3(one: i64, two: i64) -> i64 {
    if two == 0 { by_zero() } else { one.wrapping_rem(two) }
}

unsafe extern "C" fn udivdi3(one: u64, two: u64) -> u64 {
    one.checked_div(two).unwrap_or_else(|| by_zero())
}

unsafe extern "C" fn umoddi3(one: u64, two: u64) -> u64 {
    one.checked_rem(two).unwrap_or_else(|| by_zero())
}

unsafe extern "C" fn qdivrem(one: u64, two: u64, remainder: *mut u64) -> u64 {
    if two == 0 {
        by_zero();
    }
    if !remainder.is_null() {
        // SAFETY: module code's result.
        unsafe { remainder.write_unaligned(one % two) };
    }
    one / two
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("bswap16", bswap16),
    function!("bswap32", bswap32),
    function!("bswap64", bswap64),
    function!("__divdi3", divdi3),
    function!("__moddi3", moddi3),
    function!("__udivdi3", udivdi3),
    function!("__umoddi3", umoddi3),
    function!("__qdivrem", qdivrem),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_follow_c() {
        // SAFETY: plain arithmetic.
        unsafe {
            assert_eq!((divdi3(-7, 2), moddi3(-7, 2)), (-3, -1));
            assert_eq!((divdi3(i64::MIN, -1), moddi3(i64::MIN, -1)), (i64::MIN, 0));
            assert_eq!((udivdi3(u64::MAX, 10), umoddi3(u64::MAX, 10)), (u64::MAX / 10, 5));
            assert_eq!(bswap64(0x0102_0304_0506_0708), 0x0807_0605_0403_0201);
        }
    }
}
