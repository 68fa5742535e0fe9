//! Random bytes, from the host.

use super::panic::panic_message;
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::vec::Vec;

unsafe extern "C" fn get_random_bytes(buffer: *mut u8, len: usize) {
    // SAFETY: module code passes a buffer of that many bytes; any byte is a `u8`.
    let bytes = unsafe { core::slice::from_raw_parts_mut(buffer, len) };
    if kernel().instance().host().entropy.fill(bytes).is_err() {
        panic_message("the host has no random bytes");
    }
}

unsafe extern "C" fn get_random_u64() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: the buffer is that of this frame.
    unsafe { get_random_bytes(bytes.as_mut_ptr(), bytes.len()) };
    u64::from_le_bytes(bytes)
}

unsafe extern "C" fn get_random_u32() -> u32 {
    // SAFETY: it has no precondition.
    unsafe { get_random_u64() as u32 }
}

/// Adds the services.
pub(super) fn exports(out: &mut Vec<Export>) {
    out.extend([
        function!("get_random_bytes", get_random_bytes),
        function!("get_random_u32", get_random_u32),
        function!("get_random_u64", get_random_u64),
    ]);
}
