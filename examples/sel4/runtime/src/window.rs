//! The windows of a domain.

use crate::layout::WINDOW_BYTES;
use core::ptr::NonNull;
use rumpload_l4::Window;

/// The window at `address`, one of the layout's that the root task mapped in this domain.
///
/// # Panics
/// If the address is 0.
#[must_use]
pub fn window(address: u64) -> Window {
    let base = core::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    let base = NonNull::new(base).expect("no window at 0");
    // SAFETY: the root task maps windows read-write, for good, at addresses where nothing else is.
    unsafe { Window::new(base, WINDOW_BYTES) }
}
