//! Text that owns no memory.

use std::fmt::{self, Write};

/// Bytes of a text at most.
const LEN: usize = 1024;

/// Text on the stack: what is abandoned must not own memory.
#[derive(Clone, Copy)]
pub struct Text {
    bytes: [u8; LEN],
    len: usize,
}

impl Text {
    pub const fn new() -> Self {
        Self { bytes: [0; LEN], len: 0 }
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
