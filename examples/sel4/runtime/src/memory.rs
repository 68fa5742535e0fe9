//! The memory functions that compiled code calls, with the processor's string instructions: plain loops would be compiled to
//! calls of themselves.

use core::arch::asm;

/// A word at any address.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Unaligned(u64);

/// Copies `len` bytes upwards.
///
/// # Safety
/// As C's `memcpy`; the ranges may overlap if `to` is below `from`.
unsafe fn copy_up(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller vouches for both ranges; the direction flag is clear by the calling convention.
    unsafe {
        asm!("rep movsq", "mov rcx, {rest}", "rep movsb", rest = in(reg) len & 7,
            inout("rcx") len >> 3 => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack));
    }
}

/// C's `memcpy`.
///
/// # Safety
/// As in C.
// SAFETY: the names of this file are reserved for exactly these functions, and no C library is linked.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    // SAFETY: the caller keeps C's rules.
    unsafe { copy_up(to, from, len) };
    to
}

/// C's `memmove`.
///
/// # Safety
/// As in C.
// SAFETY: as for `memcpy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    if to.addr().wrapping_sub(from.addr()) >= len {
        // SAFETY: the start of the target is not inside the source, so copying upwards reads every byte before it is overwritten.
        unsafe { copy_up(to, from, len) };
    } else {
        // SAFETY: both ranges are valid; downwards every byte is read before it is overwritten; the flag is cleared again.
        unsafe {
            asm!("std", "rep movsb", "cld", inout("rcx") len => _, inout("rdi") to.add(len).sub(1) => _,
                inout("rsi") from.add(len).sub(1) => _, options(nostack));
        }
    }
    to
}

/// C's `memset`.
///
/// # Safety
/// As in C.
// SAFETY: as for `memcpy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
    // SAFETY: the caller vouches for the range; the direction flag is clear by the calling convention.
    unsafe {
        asm!("rep stosq", "mov rcx, {rest}", "rep stosb", rest = in(reg) len & 7,
            inout("rcx") len >> 3 => _, inout("rdi") to => _, in("rax") u64::from(value as u8) * 0x0101_0101_0101_0101,
            options(nostack));
    }
    to
}

/// C's `memcmp`.
///
/// # Safety
/// As in C.
// SAFETY: as for `memcpy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    let mut done = 0;
    while done + 8 <= len {
        // SAFETY: both ranges are valid for `len` bytes; volatile, so that the loop does not become a call of itself.
        let (a, b) = unsafe {
            let word = |from: *const u8| from.add(done).cast::<Unaligned>().read_volatile().0;
            (word(one), word(other))
        };
        if a != b {
            break;
        }
        done += 8;
    }
    for index in done..len {
        // SAFETY: as above.
        let (a, b) = unsafe { (one.add(index).read_volatile(), other.add(index).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

/// C's `bcmp`.
///
/// # Safety
/// As `memcmp`.
// SAFETY: as for `memcpy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    // SAFETY: the caller keeps C's rules.
    unsafe { memcmp(one, other, len) }
}

/// C's `strlen`.
///
/// # Safety
/// As in C.
// SAFETY: as for `memcpy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: the text ends with a NUL.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}

/// The prebuilt `core` refers to it; nothing unwinds.
// SAFETY: as for `memcpy`.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {}

/// The prebuilt `alloc` refers to it; nothing unwinds.
// SAFETY: as for `memcpy`.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    crate::die()
}
