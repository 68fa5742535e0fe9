//! What a domain does when it panics.

use core::fmt::{self, Write};

/// A text of limited length; what does not fit is left out.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Text<N> {
    /// The text of `arguments`.
    pub fn new(arguments: fmt::Arguments<'_>) -> Self {
        let mut text = Self { bytes: [0; N], len: 0 };
        // The writer never fails.
        let _ = text.write_fmt(arguments);
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let bytes = &self.bytes[..self.len];
        core::str::from_utf8(bytes).unwrap_or_else(|error| core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""))
    }
}

impl<const N: usize> Write for Text<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let len = text.len().min(room.len());
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

/// Ends the domain: the root task gets a fault of the undefined instruction.
pub fn die() -> ! {
    // SAFETY: the instruction faults and is never passed.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
