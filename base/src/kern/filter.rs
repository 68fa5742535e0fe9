//! The event filter of devices and files that are always ready.

use super::devsw;
use crate::export::{Export, data};
use crate::kernel::Kernel;

/// Room for `struct filterops` of any version.
const SIZE: usize = 64;

/// A note that comes off has left nothing behind.
unsafe extern "C" fn detached(_note: *mut u8) {}

/// Sets the filter's functions. Attaching is not one of them: the note is the caller's own.
pub(crate) fn fill(kernel: &Kernel) {
    let (layout, filter) = (&kernel.abi.filterops, kernel.data("seltrue_filtops"));
    debug_assert!(layout.size <= SIZE);
    // SAFETY: the export has room for the structure.
    unsafe {
        if layout.f_isfd.is_present() {
            layout.f_isfd.write(filter, 1_i32);
        }
        if layout.f_flags.is_present() {
            // `FILTEROP_ISFD`.
            layout.f_flags.write(filter, 1_i32);
        }
        layout.f_detach.write(filter, detached as *const ());
        layout.f_event.write(filter, devsw::filt_seltrue as *const ());
    }
}

pub(crate) const EXPORTS: &[Export] = &[data!("seltrue_filtops", SIZE, 8)];
