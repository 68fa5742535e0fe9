use crate::error::KernelError;
use crate::invoke::{port_read8, port_write8};
use crate::syscall::Cap;
use rumpload::resource::Console;

/// First port of the first serial line.
pub const COM1: u16 = 0x3f8;
/// Ports of a serial line.
pub const PORTS: u16 = 8;
const LINE_STATUS: u16 = 5;
const CAN_SEND: u8 = 0x20;

/// The first serial line of a PC, as firmware or kernel set it up.
#[derive(Clone, Copy, Debug)]
pub struct Serial {
    ports: Cap,
}

impl Serial {
    /// The line, through a capability to its ports.
    #[must_use]
    pub const fn new(ports: Cap) -> Self {
        Self { ports }
    }

    fn put(&self, byte: u8) -> Result<(), KernelError> {
        while port_read8(self.ports, COM1 + LINE_STATUS)? & CAN_SEND == 0 {}
        port_write8(self.ports, COM1, byte)
    }
}

impl Console for Serial {
    fn write(&self, text: &str) {
        for byte in text.bytes() {
            // Without the right to the ports there is nobody to tell.
            if self.put(byte).is_err() {
                return;
            }
        }
    }
}

impl core::fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        Console::write(self, text);
        Ok(())
    }
}
