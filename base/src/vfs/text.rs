//! C strings.

use crate::kern::memory;
use core::ptr;

/// A NUL-terminated copy of `bytes` in memory of the instance.
pub(crate) fn own(bytes: &[u8]) -> *mut u8 {
    let copy = memory::alloc_or_end(bytes.len() + 1, true);
    // SAFETY: the block has room for the bytes and a NUL.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len()) };
    copy
}

/// The bytes of a C string, without its NUL; at most `limit` of them.
///
/// # Safety
/// `text` must point to a C string or to `limit` readable bytes that stay as they are for the lifetime chosen.
pub(crate) unsafe fn bytes<'a>(text: *const u8, limit: usize) -> &'a [u8] {
    let mut length = 0;
    // SAFETY: reads stop at the NUL or the limit.
    unsafe {
        while length < limit && text.add(length).read() != 0 {
            length += 1;
        }
        core::slice::from_raw_parts(text, length)
    }
}

/// Copies `text` into a field of `room` bytes, cut off if it is too long, filled up with NULs.
///
/// # Safety
/// `field` must be writable for `room` bytes; `room` must not be 0.
pub(crate) unsafe fn fill(field: *mut u8, room: usize, text: &[u8]) {
    let length = text.len().min(room - 1);
    // SAFETY: as the caller says.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), field, length);
        ptr::write_bytes(field.add(length), 0, room - length);
    }
}
