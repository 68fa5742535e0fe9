//! Locks. One thread at a time is inside an instance, so a lock that is taken is taken by the one who wants it: a deadlock, which
//! ends the instance. Every kind keeps its state in its first 32 bits.

use super::panic::panic_format;
use crate::abi::{get, put};
use crate::export::{Export, function};
use alloc::vec::Vec;

unsafe extern "C" fn initialize(lock: usize) {
    // SAFETY: module code passes a lock.
    unsafe { put(lock, 0, 0_u32) };
}

unsafe extern "C" fn lock(lock: usize) {
    // SAFETY: as above.
    if unsafe { get::<u32>(lock, 0) } != 0 {
        panic_format(format_args!("deadlock: the lock {lock:#x} is taken already"));
    }
    // SAFETY: as above.
    unsafe { put(lock, 0, 1_u32) };
}

unsafe extern "C" fn try_lock(lock: usize) -> i32 {
    // SAFETY: as above.
    unsafe {
        let free = get::<u32>(lock, 0) == 0;
        put(lock, 0, 1_u32);
        i32::from(free)
    }
}

unsafe extern "C" fn unlock(lock: usize) {
    // SAFETY: as above.
    if unsafe { get::<u32>(lock, 0) } == 0 {
        panic_format(format_args!("the lock {lock:#x} is given back and was not taken"));
    }
    // SAFETY: as above.
    unsafe { put(lock, 0, 0_u32) };
}

unsafe extern "C" fn lock_saving(spin: usize) -> u64 {
    // SAFETY: as above.
    unsafe { lock(spin) };
    0
}

/// Adds the services.
pub(super) fn exports(out: &mut Vec<Export>) {
    out.extend([
        function!("__mutex_init", initialize),
        function!("mutex_lock", lock),
        function!("mutex_trylock", try_lock),
        function!("mutex_unlock", unlock),
        function!("_raw_spin_lock", lock),
        function!("_raw_spin_lock_bh", lock),
        function!("_raw_spin_lock_irq", lock),
        function!("_raw_spin_lock_irqsave", lock_saving),
        function!("_raw_spin_trylock", try_lock),
        function!("_raw_spin_unlock", unlock),
        function!("_raw_spin_unlock_bh", unlock),
        function!("_raw_spin_unlock_irq", unlock),
        function!("_raw_spin_unlock_irqrestore", unlock),
    ]);
}
