//! The answer that a client gets whose server died.

use rumpload_sel4::syscall::{Cap, Info, send};

/// Answers through `reply` that the server died.
pub fn died(reply: Cap) {
    send(reply, Info::new(0, 0, 1), [u64::MAX, 0, 0, 0]);
}
