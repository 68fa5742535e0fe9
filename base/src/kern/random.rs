//! Random numbers from the host's entropy.

use super::panic::panic_message;
use crate::export::{Export, data, function};
use crate::kernel::{Kernel, kernel};

/// Fills `buffer` with unpredictable bytes. A host that has none ends the instance: keys must not be guessable.
pub(crate) fn fill_bytes(buffer: &mut [u8]) {
    if kernel().instance().host().entropy.fill(buffer).is_err() {
        panic_message("the host has no entropy");
    }
}

extern "C" fn cprng_fast32() -> u32 {
    let mut bytes = [0; 4];
    fill_bytes(&mut bytes);
    u32::from_ne_bytes(bytes)
}

extern "C" fn cprng_fast64() -> u64 {
    let mut bytes = [0; 8];
    fill_bytes(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// 31 bits, as the C library's function of that name.
extern "C" fn random() -> isize {
    (cprng_fast32() >> 1) as isize
}

unsafe extern "C" fn cprng_fast(buffer: *mut u8, length: usize) -> usize {
    if length > 0 {
        // SAFETY: module code passes a buffer of this length; it is zeroed first, so that a slice may be made.
        unsafe {
            buffer.write_bytes(0, length);
            fill_bytes(core::slice::from_raw_parts_mut(buffer, length));
        }
    }
    length
}

unsafe extern "C" fn cprng_strong(_generator: *mut u8, buffer: *mut u8, length: usize, _flags: i32) -> usize {
    // SAFETY: as above.
    unsafe { cprng_fast(buffer, length) }
}

unsafe extern "C" fn cprng_strong32() -> u32 {
    cprng_fast32()
}

unsafe extern "C" fn cprng_strong64() -> u64 {
    cprng_fast64()
}

/// Every generator is the host's: a handle that is not null.
unsafe extern "C" fn cprng_strong_create(_name: *const u8, _ipl: i32, _flags: i32) -> *mut u8 {
    kernel().data("kern_cprng")
}

unsafe extern "C" fn cprng_strong_destroy(_generator: *mut u8) {}

/// `kern_cprng` is a handle; it points at itself.
pub(crate) fn fill(kernel: &Kernel) {
    let handle = kernel.data("kern_cprng");
    // SAFETY: the export is a pointer.
    unsafe { handle.cast::<*mut u8>().write(handle) };
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("cprng_fast32", cprng_fast32),
    function!("cprng_fast64", cprng_fast64),
    function!("cprng_fast", cprng_fast),
    function!("cprng_strong", cprng_strong),
    function!("cprng_strong32", cprng_strong32),
    function!("cprng_strong64", cprng_strong64),
    function!("cprng_strong_create", cprng_strong_create),
    function!("cprng_strong_destroy", cprng_strong_destroy),
    function!("arc4random", cprng_fast32),
    function!("random", random),
    data!("kern_cprng", size_of::<usize>(), size_of::<usize>()),
];
