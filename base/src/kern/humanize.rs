//! Sizes in few characters, for messages.

use crate::export::{Export, function};
use core::ptr;

const PREFIXES: [&str; 7] = ["", "K", "M", "G", "T", "P", "E"];
const FAILED: i32 = -1;

/// Writes a number of bytes with the unit that fits into `room` characters: `512`, `64 MB`. Answers the length, with the unit of
/// plain bytes, which is not shown; -1 if there is too little room for any number.
unsafe extern "C" fn format_bytes(buffer: *mut u8, room: usize, bytes: u64) -> i32 {
    if buffer.is_null() || room < 5 {
        if !buffer.is_null() && room > 0 {
            // SAFETY: module code passes a buffer of this length.
            unsafe { buffer.write(0) };
        }
        return FAILED;
    }
    // Behind the number come a blank, a prefix, the B and the NUL.
    let digits = u32::try_from(room - 4).unwrap_or(u32::MAX);
    let limit = 10_u64.checked_pow(digits).unwrap_or(u64::MAX);
    let (mut number, mut unit) = (bytes, 0);
    while number >= limit && unit + 1 < PREFIXES.len() {
        number /= 1024;
        unit += 1;
    }
    let text = alloc::format!("{number} {}B", PREFIXES[unit]);
    let shown = if unit == 0 { text.len() - 2 } else { text.len() }.min(room - 1);
    // SAFETY: module code passes a buffer of this length; the text is cut to it.
    unsafe {
        ptr::copy_nonoverlapping(text.as_ptr(), buffer, shown);
        buffer.add(shown).write(0);
    }
    text.len() as i32
}

pub(crate) const EXPORTS: &[Export] = &[function!("format_bytes", format_bytes)];
