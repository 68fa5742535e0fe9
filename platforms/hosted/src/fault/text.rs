//! Text that owns no memory.

use std::fmt::{self, Write};

/// Text on the stack or of a thread: what is abandoned must not own memory. What does not fit is cut.
#[derive(Clone, Copy)]
pub struct Text {
    bytes: [u8; 1024],
    len: usize,
}

impl Text {
    pub const fn new() -> Self {
        Self { bytes: [0; 1024], len: 0 }
    }

    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..self.len];
        // A character may have been cut.
        core::str::from_utf8(bytes).unwrap_or_else(|error| core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""))
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let len = text.len().min(room.len());
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}
