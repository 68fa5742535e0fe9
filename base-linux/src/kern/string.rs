//! Memory and strings.

use super::memory;
use crate::export::{Export, function};
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::ffi::CStr;
use core::ptr;

const E2BIG: isize = 7;

unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: module code passes two buffers; copying from front to back by `memmove` also serves those that overlap.
    unsafe { ptr::copy(from, to, len) };
    to
}

unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
    // SAFETY: module code passes a buffer of that many bytes.
    unsafe { ptr::write_bytes(to, byte as u8, len) };
    to
}

unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    // SAFETY: module code passes two buffers of that many bytes.
    unsafe { compare(one, other, len, false) }
}

unsafe extern "C" fn memchr(buffer: *const u8, byte: i32, len: usize) -> *const u8 {
    // SAFETY: module code passes a buffer of that many bytes.
    unsafe { (0..len).map(|offset| buffer.add(offset)).find(|at| at.read() == byte as u8).unwrap_or(ptr::null()) }
}

unsafe extern "C" fn strlen(string: *const u8) -> usize {
    // SAFETY: module code passes a C string.
    unsafe { CStr::from_ptr(string.cast()).count_bytes() }
}

unsafe extern "C" fn strnlen(string: *const u8, limit: usize) -> usize {
    // SAFETY: no byte before was the end.
    unsafe { (0..limit).find(|&offset| string.add(offset).read() == 0).unwrap_or(limit) }
}

unsafe extern "C" fn strcmp(one: *const u8, other: *const u8) -> i32 {
    // SAFETY: module code passes C strings, which end the comparison.
    unsafe { compare(one, other, usize::MAX, true) }
}

unsafe extern "C" fn strncmp(one: *const u8, other: *const u8, limit: usize) -> i32 {
    // SAFETY: as for `strcmp`.
    unsafe { compare(one, other, limit, true) }
}

/// Compares at most `limit` bytes, or up to a NUL in both.
///
/// # Safety
/// Both must be readable that far.
unsafe fn compare(one: *const u8, other: *const u8, limit: usize, strings: bool) -> i32 {
    for offset in 0..limit {
        // SAFETY: as the caller says.
        let (one, other) = unsafe { (one.add(offset).read(), other.add(offset).read()) };
        match one.cmp(&other) {
            Ordering::Less => return -1,
            Ordering::Greater => return 1,
            Ordering::Equal if strings && one == 0 => return 0,
            Ordering::Equal => {}
        }
    }
    0
}

unsafe extern "C" fn strchr(string: *const u8, byte: i32) -> *const u8 {
    let mut at = string;
    loop {
        // SAFETY: module code passes a C string, and no byte before was its end.
        match unsafe { at.read() } {
            found if found == byte as u8 => return at,
            0 => return ptr::null(),
            // SAFETY: as above.
            _ => at = unsafe { at.add(1) },
        }
    }
}

unsafe extern "C" fn strcpy(to: *mut u8, from: *const u8) -> *mut u8 {
    // SAFETY: module code passes a C string and a buffer for it.
    unsafe { ptr::copy(from, to, strlen(from) + 1) };
    to
}

unsafe extern "C" fn strncpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: module code passes a C string and a buffer of that many bytes.
    unsafe {
        let used = strnlen(from, len);
        ptr::copy(from, to, used);
        ptr::write_bytes(to.add(used), 0, len - used);
    }
    to
}

unsafe extern "C" fn strlcpy(to: *mut u8, from: *const u8, size: usize) -> usize {
    // SAFETY: module code passes a C string and a buffer of that many bytes.
    unsafe {
        let whole = strlen(from);
        if size != 0 {
            let used = whole.min(size - 1);
            ptr::copy(from, to, used);
            to.add(used).write(0);
        }
        whole
    }
}

unsafe extern "C" fn strscpy(to: *mut u8, from: *const u8, size: usize) -> isize {
    if size == 0 || size > isize::MAX as usize {
        return -E2BIG;
    }
    // SAFETY: module code passes a C string and a buffer of that many bytes.
    unsafe {
        let whole = strnlen(from, size);
        let used = whole.min(size - 1);
        ptr::copy(from, to, used);
        to.add(used).write(0);
        if whole == size { -E2BIG } else { used as isize }
    }
}

unsafe extern "C" fn kmemdup(from: *const u8, len: usize, _flags: u32) -> usize {
    let copy = memory::allocate(len);
    if copy != 0 && len != 0 {
        // SAFETY: module code passes a buffer of that many bytes; the new one has as many.
        unsafe { ptr::copy_nonoverlapping(from, ptr::with_exposed_provenance_mut(copy), len) };
    }
    copy
}

unsafe extern "C" fn kstrdup(from: *const u8, flags: u32) -> usize {
    if from.is_null() {
        return 0;
    }
    // SAFETY: module code passes a C string.
    unsafe { kmemdup(from, strlen(from) + 1, flags) }
}

/// Adds the services.
pub(super) fn exports(out: &mut Vec<Export>) {
    out.extend([
        function!("memcpy", memcpy),
        function!("__memcpy", memcpy),
        function!("memmove", memcpy),
        function!("__memmove", memcpy),
        function!("memset", memset),
        function!("__memset", memset),
        function!("memcmp", memcmp),
        function!("memchr", memchr),
        function!("strlen", strlen),
        function!("strnlen", strnlen),
        function!("strcmp", strcmp),
        function!("strncmp", strncmp),
        function!("strchr", strchr),
        function!("strcpy", strcpy),
        function!("strncpy", strncpy),
        function!("strlcpy", strlcpy),
        function!("strscpy", strscpy),
        function!("kmemdup", kmemdup),
        function!("kstrdup", kstrdup),
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounded_copies_end_their_strings() {
        let mut buffer = [0xff_u8; 4];
        // SAFETY: the buffer has the size that is passed.
        unsafe {
            assert_eq!(strscpy(buffer.as_mut_ptr(), c"abcdef".as_ptr().cast(), 4), -E2BIG);
            assert_eq!(&buffer, b"abc\0");
            assert_eq!(strscpy(buffer.as_mut_ptr(), c"xy".as_ptr().cast(), 4), 2);
            assert_eq!(&buffer[..3], b"xy\0");
            assert_eq!(strlcpy(buffer.as_mut_ptr(), c"abcdef".as_ptr().cast(), 3), 6);
            assert_eq!(&buffer[..3], b"ab\0");
            assert_eq!(strncpy(buffer.as_mut_ptr(), c"q".as_ptr().cast(), 4), buffer.as_mut_ptr());
            assert_eq!(&buffer, b"q\0\0\0");
        }
    }

    #[test]
    fn comparisons_stop_where_they_should() {
        // SAFETY: C strings, and lengths within them.
        unsafe {
            let (one, other) = (c"abc".as_ptr().cast(), c"abd".as_ptr().cast());
            assert_eq!((strcmp(one, other), strcmp(other, one), strcmp(one, one)), (-1, 1, 0));
            assert_eq!((strncmp(one, other, 2), memcmp(one, other, 3)), (0, -1));
            assert_eq!(strchr(one, i32::from(b'c')), one.add(2));
            assert!(strchr(one, i32::from(b'z')).is_null());
            assert_eq!(memchr(one, i32::from(b'b'), 3), one.add(1));
        }
    }
}
