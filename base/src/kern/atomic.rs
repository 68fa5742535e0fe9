//! Atomic operations that are functions rather than instructions in module code.

use crate::export::{Export, function};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};

/// Declares the operations of one width: plain and `_nv` (answering the new value).
macro_rules! operations {
    ($atomic:ident, $int:ty, $signed:ty; $add:ident $add_nv:ident $and:ident $and_nv:ident $or:ident $or_nv:ident
     $inc:ident $inc_nv:ident $dec:ident $dec_nv:ident $swap:ident $cas:ident) => {
        unsafe extern "C" fn $add(at: *mut $int, delta: $signed) {
            // SAFETY: module code's aligned word; the same holds below.
            unsafe { $atomic::from_ptr(at) }.fetch_add(delta as $int, Ordering::SeqCst);
        }
        unsafe extern "C" fn $add_nv(at: *mut $int, delta: $signed) -> $int {
            // SAFETY: as above.
            unsafe { $atomic::from_ptr(at) }.fetch_add(delta as $int, Ordering::SeqCst).wrapping_add(delta as $int)
        }
        unsafe extern "C" fn $and(at: *mut $int, bits: $int) {
            // SAFETY: as above.
            unsafe { $atomic::from_ptr(at) }.fetch_and(bits, Ordering::SeqCst);
        }
        unsafe extern "C" fn $and_nv(at: *mut $int, bits: $int) -> $int {
            // SAFETY: as above.
            unsafe { $atomic::from_ptr(at) }.fetch_and(bits, Ordering::SeqCst) & bits
        }
        unsafe extern "C" fn $or(at: *mut $int, bits: $int) {
            // SAFETY: as above.
            unsafe { $atomic::from_ptr(at) }.fetch_or(bits, Ordering::SeqCst);
        }
        unsafe extern "C" fn $or_nv(at: *mut $int, bits: $int) -> $int {
            // SAFETY: as above.
            unsafe { $atomic::from_ptr(at) }.fetch_or(bits, Ordering::SeqCst) | bits
        }
        unsafe extern "C" fn $inc(at: *mut $int) {
            // SAFETY: as above.
            unsafe { $add(at, 1) }
        }
        unsafe extern "C" fn $inc_nv(at: *mut $int) -> $int {
            // SAFETY: as above.
            unsafe { $add_nv(at, 1) }
        }
        unsafe extern "C" fn $dec(at: *mut $int) {
            // SAFETY: as above.
            unsafe { $add(at, -1) }
        }
        unsafe extern "C" fn $dec_nv(at: *mut $int) -> $int {
            // SAFETY: as above.
            unsafe { $add_nv(at, -1) }
        }
        unsafe extern "C" fn $swap(at: *mut $int, new: $int) -> $int {
            // SAFETY: as above.
            unsafe { $atomic::from_ptr(at) }.swap(new, Ordering::SeqCst)
        }
        unsafe extern "C" fn $cas(at: *mut $int, old: $int, new: $int) -> $int {
            // SAFETY: as above.
            match unsafe { $atomic::from_ptr(at) }.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(found) | Err(found) => found,
            }
        }
    };
}

operations!(AtomicU32, u32, i32; add_32 add_32_nv and_32 and_32_nv or_32 or_32_nv inc_32 inc_32_nv dec_32 dec_32_nv swap_32 cas_32);
operations!(AtomicU64, u64, i64; add_64 add_64_nv and_64 and_64_nv or_64 or_64_nv inc_64 inc_64_nv dec_64 dec_64_nv swap_64 cas_64);
operations!(AtomicUsize, usize, isize; add_word add_word_nv and_word and_word_nv or_word or_word_nv inc_word inc_word_nv dec_word
    dec_word_nv swap_word cas_word);

unsafe extern "C" fn barrier() {
    fence(Ordering::SeqCst);
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("atomic_add_32", add_32),
    function!("atomic_add_int", add_32),
    function!("atomic_add_long", add_word),
    function!("atomic_add_ptr", add_word),
    function!("atomic_add_64", add_64),
    function!("atomic_add_32_nv", add_32_nv),
    function!("atomic_add_int_nv", add_32_nv),
    function!("atomic_add_long_nv", add_word_nv),
    function!("atomic_add_ptr_nv", add_word_nv),
    function!("atomic_add_64_nv", add_64_nv),
    function!("atomic_and_32", and_32),
    function!("atomic_and_uint", and_32),
    function!("atomic_and_ulong", and_word),
    function!("atomic_and_64", and_64),
    function!("atomic_and_32_nv", and_32_nv),
    function!("atomic_and_uint_nv", and_32_nv),
    function!("atomic_and_ulong_nv", and_word_nv),
    function!("atomic_and_64_nv", and_64_nv),
    function!("atomic_or_32", or_32),
    function!("atomic_or_uint", or_32),
    function!("atomic_or_ulong", or_word),
    function!("atomic_or_64", or_64),
    function!("atomic_or_32_nv", or_32_nv),
    function!("atomic_or_uint_nv", or_32_nv),
    function!("atomic_or_ulong_nv", or_word_nv),
    function!("atomic_or_64_nv", or_64_nv),
    function!("atomic_inc_32", inc_32),
    function!("atomic_inc_uint", inc_32),
    function!("atomic_inc_ulong", inc_word),
    function!("atomic_inc_ptr", inc_word),
    function!("atomic_inc_64", inc_64),
    function!("atomic_inc_32_nv", inc_32_nv),
    function!("atomic_inc_uint_nv", inc_32_nv),
    function!("atomic_inc_ulong_nv", inc_word_nv),
    function!("atomic_inc_ptr_nv", inc_word_nv),
    function!("atomic_inc_64_nv", inc_64_nv),
    function!("atomic_dec_32", dec_32),
    function!("atomic_dec_uint", dec_32),
    function!("atomic_dec_ulong", dec_word),
    function!("atomic_dec_ptr", dec_word),
    function!("atomic_dec_64", dec_64),
    function!("atomic_dec_32_nv", dec_32_nv),
    function!("atomic_dec_uint_nv", dec_32_nv),
    function!("atomic_dec_ulong_nv", dec_word_nv),
    function!("atomic_dec_ptr_nv", dec_word_nv),
    function!("atomic_dec_64_nv", dec_64_nv),
    function!("atomic_swap_32", swap_32),
    function!("atomic_swap_uint", swap_32),
    function!("atomic_swap_ulong", swap_word),
    function!("atomic_swap_ptr", swap_word),
    function!("atomic_swap_64", swap_64),
    function!("atomic_cas_32", cas_32),
    function!("atomic_cas_uint", cas_32),
    function!("atomic_cas_ulong", cas_word),
    function!("atomic_cas_ptr", cas_word),
    function!("atomic_cas_64", cas_64),
    function!("atomic_cas_32_ni", cas_32),
    function!("atomic_cas_uint_ni", cas_32),
    function!("atomic_cas_ulong_ni", cas_word),
    function!("atomic_cas_ptr_ni", cas_word),
    function!("membar_enter", barrier),
    function!("membar_exit", barrier),
    function!("membar_producer", barrier),
    function!("membar_consumer", barrier),
    function!("membar_sync", barrier),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answers_the_new_value() {
        let mut word = 5u32;
        let at = &raw mut word;
        // SAFETY: `at` is an aligned word of this frame.
        unsafe {
            assert_eq!(add_32_nv(at, -2), 3);
            assert_eq!(or_32_nv(at, 4), 7);
            assert_eq!(and_32_nv(at, 6), 6);
            assert_eq!(dec_32_nv(at), 5);
            assert_eq!(cas_32(at, 5, 9), 5);
            assert_eq!(cas_32(at, 5, 1), 9);
            assert_eq!(swap_32(at, 2), 9);
        }
        assert_eq!(word, 2);
    }
}
