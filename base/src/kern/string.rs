//! Memory and string functions. Module code passes valid pointers; what it passes is all that is known.

use crate::export::{Export, function};
use core::ptr;

/// Length of a string, looking at no more than `bound` bytes.
///
/// # Safety
/// The string must end with NUL within readable memory, or `bound` bytes must be readable.
pub(crate) unsafe fn bounded_length(string: *const u8, bound: usize) -> usize {
    let mut length = 0;
    // SAFETY: reading stops at the NUL or the bound.
    while length < bound && unsafe { string.add(length).read() } != 0 {
        length += 1;
    }
    length
}

/// The bytes of a C string without its NUL.
///
/// # Safety
/// The string must end with NUL, and stay as it is as long as the slice is used.
pub(crate) unsafe fn bytes<'a>(string: *const u8) -> &'a [u8] {
    // SAFETY: as the caller says.
    unsafe { core::slice::from_raw_parts(string, bounded_length(string, usize::MAX)) }
}

unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    // SAFETY: module code's ranges; overlap is not allowed, but copying as if it were costs nothing.
    unsafe { ptr::copy(from, to, length) };
    to
}

unsafe extern "C" fn memset(to: *mut u8, value: i32, length: usize) -> *mut u8 {
    // SAFETY: module code's range.
    unsafe { ptr::write_bytes(to, value as u8, length) };
    to
}

unsafe extern "C" fn memcmp(one: *const u8, two: *const u8, length: usize) -> i32 {
    for at in 0..length {
        // SAFETY: module code's ranges.
        let (a, b) = unsafe { (one.add(at).read(), two.add(at).read()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

unsafe extern "C" fn memchr(bytes: *const u8, byte: i32, length: usize) -> *const u8 {
    for at in 0..length {
        // SAFETY: module code's range.
        unsafe {
            if bytes.add(at).read() == byte as u8 {
                return bytes.add(at);
            }
        }
    }
    ptr::null()
}

unsafe extern "C" fn bcopy(from: *const u8, to: *mut u8, length: usize) {
    // SAFETY: module code's ranges.
    unsafe { ptr::copy(from, to, length) }
}

unsafe extern "C" fn bzero(to: *mut u8, length: usize) {
    // SAFETY: module code's range.
    unsafe { ptr::write_bytes(to, 0, length) }
}

unsafe extern "C" fn strlen(string: *const u8) -> usize {
    // SAFETY: module code's string.
    unsafe { bounded_length(string, usize::MAX) }
}

unsafe extern "C" fn strnlen(string: *const u8, bound: usize) -> usize {
    // SAFETY: module code's string.
    unsafe { bounded_length(string, bound) }
}

/// Compares up to `bound` bytes of two strings after `map`.
///
/// # Safety
/// Both must be strings, readable to their NUL or the bound.
unsafe fn compare(one: *const u8, two: *const u8, bound: usize, map: fn(u8) -> u8) -> i32 {
    for at in 0..bound {
        // SAFETY: neither string ended before this position.
        let (a, b) = unsafe { (map(one.add(at).read()), map(two.add(at).read())) };
        if a != b || a == 0 {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

unsafe extern "C" fn strcmp(one: *const u8, two: *const u8) -> i32 {
    // SAFETY: module code's strings.
    unsafe { compare(one, two, usize::MAX, |byte| byte) }
}

unsafe extern "C" fn strncmp(one: *const u8, two: *const u8, bound: usize) -> i32 {
    // SAFETY: module code's strings.
    unsafe { compare(one, two, bound, |byte| byte) }
}

unsafe extern "C" fn strcasecmp(one: *const u8, two: *const u8) -> i32 {
    // SAFETY: module code's strings.
    unsafe { compare(one, two, usize::MAX, |byte| byte.to_ascii_lowercase()) }
}

unsafe extern "C" fn strncasecmp(one: *const u8, two: *const u8, bound: usize) -> i32 {
    // SAFETY: module code's strings.
    unsafe { compare(one, two, bound, |byte| byte.to_ascii_lowercase()) }
}

unsafe extern "C" fn strcpy(to: *mut u8, from: *const u8) -> *mut u8 {
    // SAFETY: module code's string and a buffer it says is long enough.
    unsafe { ptr::copy(from, to, bounded_length(from, usize::MAX) + 1) };
    to
}

unsafe extern "C" fn strcat(to: *mut u8, from: *const u8) -> *mut u8 {
    // SAFETY: as strcpy.
    unsafe { strcpy(to.add(strlen(to)), from) };
    to
}

unsafe extern "C" fn strncpy(to: *mut u8, from: *const u8, size: usize) -> *mut u8 {
    // SAFETY: module code's string and buffer of that size, which is filled up with zeros.
    unsafe {
        let length = bounded_length(from, size);
        ptr::copy(from, to, length);
        ptr::write_bytes(to.add(length), 0, size - length);
    }
    to
}

unsafe extern "C" fn strncat(to: *mut u8, from: *const u8, bound: usize) -> *mut u8 {
    // SAFETY: module code's strings; the buffer has room for the bound and a NUL.
    unsafe {
        let (end, length) = (to.add(strlen(to)), bounded_length(from, bound));
        ptr::copy(from, end, length);
        end.add(length).write(0);
    }
    to
}

unsafe extern "C" fn strlcpy(to: *mut u8, from: *const u8, size: usize) -> usize {
    // SAFETY: module code's string and buffer.
    unsafe {
        let length = strlen(from);
        if size > 0 {
            let kept = length.min(size - 1);
            ptr::copy(from, to, kept);
            to.add(kept).write(0);
        }
        length
    }
}

unsafe extern "C" fn strlcat(to: *mut u8, from: *const u8, size: usize) -> usize {
    // SAFETY: module code's strings and the buffer of that size.
    unsafe {
        let used = bounded_length(to, size);
        used + strlcpy(to.add(used), from, size - used)
    }
}

unsafe extern "C" fn strchr(string: *const u8, byte: i32) -> *const u8 {
    let mut at = string;
    loop {
        // SAFETY: reading stops at the NUL, which may be what is looked for.
        unsafe {
            let found = at.read();
            if found == byte as u8 {
                return at;
            }
            if found == 0 {
                return ptr::null();
            }
            at = at.add(1);
        }
    }
}

unsafe extern "C" fn strrchr(string: *const u8, byte: i32) -> *const u8 {
    let (mut at, mut last) = (string, ptr::null());
    loop {
        // SAFETY: reading stops at the NUL.
        unsafe {
            let found = at.read();
            if found == byte as u8 {
                last = at;
            }
            if found == 0 {
                return last;
            }
            at = at.add(1);
        }
    }
}

unsafe extern "C" fn strstr(string: *const u8, wanted: *const u8) -> *const u8 {
    // SAFETY: module code's strings; a comparison stops at the end of either.
    unsafe {
        let length = strlen(wanted);
        let mut at = string;
        loop {
            if strncmp(at, wanted, length) == 0 {
                return at;
            }
            if at.read() == 0 {
                return ptr::null();
            }
            at = at.add(1);
        }
    }
}

unsafe extern "C" fn strsep(position: *mut *mut u8, delimiters: *const u8) -> *mut u8 {
    // SAFETY: module code's writable string and its cursor.
    unsafe {
        let start = position.read();
        if start.is_null() {
            return start;
        }
        let mut at = start;
        loop {
            let byte = at.read();
            if byte == 0 {
                position.write(ptr::null_mut());
                return start;
            }
            if !strchr(delimiters, i32::from(byte)).is_null() {
                at.write(0);
                position.write(at.add(1));
                return start;
            }
            at = at.add(1);
        }
    }
}

/// Reads an unsigned number in `base` (0: from its prefix) with white space and sign; the value wraps at `limit`.
///
/// # Safety
/// `string` must end with NUL; `end` null or writable.
unsafe fn number(string: *const u8, end: *mut *const u8, mut base: u32, limit: u64) -> (u64, bool) {
    // SAFETY: reading stops at the first byte that does not belong to the number.
    unsafe {
        let mut at = string;
        while at.read().is_ascii_whitespace() || at.read() == 0x0b {
            at = at.add(1);
        }
        let negative = at.read() == b'-';
        if matches!(at.read(), b'-' | b'+') {
            at = at.add(1);
        }
        let hexadecimal = at.read() == b'0' && at.add(1).read() | 0x20 == b'x' && at.add(2).read().is_ascii_hexdigit();
        if (base == 0 || base == 16) && hexadecimal {
            at = at.add(2);
            base = 16;
        } else if base == 0 {
            base = if at.read() == b'0' { 8 } else { 10 };
        }
        let (mut value, mut any, mut over) = (0u64, false, false);
        while let Some(digit) = char::from(at.read()).to_digit(base.clamp(2, 36)) {
            match value.checked_mul(u64::from(base)).and_then(|value| value.checked_add(u64::from(digit))) {
                Some(next) if next <= limit => value = next,
                _ => over = true,
            }
            any = true;
            at = at.add(1);
        }
        if !end.is_null() {
            end.write_unaligned(if any { at } else { string });
        }
        (if over { limit } else { value }, negative)
    }
}

unsafe extern "C" fn strtoul(string: *const u8, end: *mut *const u8, base: i32) -> usize {
    // SAFETY: module code's string.
    let (value, negative) = unsafe { number(string, end, base as u32, usize::MAX as u64) };
    if negative { (value as usize).wrapping_neg() } else { value as usize }
}

unsafe extern "C" fn strtoull(string: *const u8, end: *mut *const u8, base: i32) -> u64 {
    // SAFETY: module code's string.
    let (value, negative) = unsafe { number(string, end, base as u32, u64::MAX) };
    if negative { value.wrapping_neg() } else { value }
}

unsafe extern "C" fn strtoll(string: *const u8, end: *mut *const u8, base: i32) -> i64 {
    // SAFETY: module code's string.
    let (value, negative) = unsafe { number(string, end, base as u32, 1 << 63) };
    if negative { (value as i64).wrapping_neg() } else { i64::try_from(value).unwrap_or(i64::MAX) }
}

/// Bytes left when a byte is found whose entry in `table` has a bit of `mask`, 0 if there is none.
unsafe extern "C" fn scanc(size: u32, bytes: *const u8, table: *const u8, mask: i32) -> i32 {
    for at in 0..size as usize {
        // SAFETY: module code's range, and a table of 256 bytes.
        if unsafe { table.add(usize::from(bytes.add(at).read())).read() } & mask as u8 != 0 {
            return (size as usize - at) as i32;
        }
    }
    0
}

/// Bytes left when a byte other than `skip` is found, 0 if there is none.
unsafe extern "C" fn skpc(skip: i32, size: usize, bytes: *const u8) -> i32 {
    for at in 0..size {
        // SAFETY: module code's range.
        if unsafe { bytes.add(at).read() } != skip as u8 {
            return (size - at) as i32;
        }
    }
    0
}

/// Index of the lowest set bit, counted from 1; 0 if none is set.
unsafe extern "C" fn ffs(value: i32) -> i32 {
    if value == 0 { 0 } else { value.trailing_zeros() as i32 + 1 }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("memcpy", memcpy),
    function!("memmove", memcpy),
    function!("memset", memset),
    function!("memcmp", memcmp),
    function!("memchr", memchr),
    function!("bcopy", bcopy),
    function!("bzero", bzero),
    function!("bcmp", memcmp),
    function!("explicit_memset", memset),
    function!("strlen", strlen),
    function!("strnlen", strnlen),
    function!("strcmp", strcmp),
    function!("strncmp", strncmp),
    function!("strcasecmp", strcasecmp),
    function!("strncasecmp", strncasecmp),
    function!("strcpy", strcpy),
    function!("strcat", strcat),
    function!("strncpy", strncpy),
    function!("strncat", strncat),
    function!("strlcpy", strlcpy),
    function!("strlcat", strlcat),
    function!("strchr", strchr),
    function!("strrchr", strrchr),
    function!("strstr", strstr),
    function!("strsep", strsep),
    function!("strtoul", strtoul),
    function!("strtoull", strtoull),
    function!("strtoll", strtoll),
    function!("scanc", scanc),
    function!("skpc", skpc),
    function!("ffs", ffs),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_bounded() {
        let mut buffer = [0xaa; 8];
        // SAFETY: all strings end with NUL and the sizes are the buffer's.
        unsafe {
            assert_eq!(strlcpy(buffer.as_mut_ptr(), c"abc".as_ptr().cast(), 8), 3);
            assert_eq!(strlcat(buffer.as_mut_ptr(), c"defghijk".as_ptr().cast(), 8), 11);
            assert_eq!(&buffer, b"abcdefg\0");
            assert_eq!(strlcpy(buffer.as_mut_ptr(), c"xyz".as_ptr().cast(), 0), 3);
            strncpy(buffer.as_mut_ptr(), c"ab".as_ptr().cast(), 5);
            assert_eq!(&buffer, b"ab\0\0\0fg\0");
            assert_eq!(strlcat(buffer.as_mut_ptr().add(5), c"q".as_ptr().cast(), 1), 2);
        }
    }

    #[test]
    fn comparisons() {
        // SAFETY: all strings end with NUL.
        unsafe {
            assert!(strcmp(c"abc".as_ptr().cast(), c"abd".as_ptr().cast()) < 0);
            assert_eq!(strncmp(c"abc".as_ptr().cast(), c"abd".as_ptr().cast(), 2), 0);
            assert_eq!(strncasecmp(c"ReadMe".as_ptr().cast(), c"README.TXT".as_ptr().cast(), 6), 0);
            assert!(memcmp([1u8, 0x80].as_ptr(), [1u8, 0x7f].as_ptr(), 2) > 0);
        }
    }

    #[test]
    fn searches() {
        // SAFETY: all strings end with NUL.
        unsafe {
            let string = c"a/b/c".as_ptr().cast::<u8>();
            assert_eq!(strchr(string, i32::from(b'/')), string.add(1));
            assert_eq!(strrchr(string, i32::from(b'/')), string.add(3));
            assert_eq!(strchr(string, 0), string.add(5));
            assert_eq!(strstr(string, c"b/".as_ptr().cast()), string.add(2));
            assert!(strstr(string, c"x".as_ptr().cast()).is_null());
            assert_eq!(skpc(0xff, 4, [0xff, 0xff, 1, 0].as_ptr()), 2);
            let mut table = [0u8; 256];
            table[3] = 4;
            assert_eq!(scanc(3, [1u8, 2, 3].as_ptr(), table.as_ptr(), 4), 1);
        }
    }

    #[test]
    fn numbers() {
        let mut end = ptr::null();
        // SAFETY: all strings end with NUL.
        unsafe {
            let string = c" 0x1fz".as_ptr().cast::<u8>();
            assert_eq!(strtoul(string, &raw mut end, 0), 31);
            assert_eq!(end, string.add(5));
            assert_eq!(strtoul(c"077".as_ptr().cast(), ptr::null_mut(), 0), 63);
            assert_eq!(strtoll(c"-12".as_ptr().cast(), ptr::null_mut(), 10), -12);
            assert_eq!(strtoull(c"99999999999999999999999".as_ptr().cast(), ptr::null_mut(), 10), u64::MAX);
        }
    }
}
