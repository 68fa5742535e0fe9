//! A console that prints whole lines, each with the name of who wrote it.

use alloc::string::String;
use rumpload::resource::Console;
use rumpload_sel4::Serial;
use spin::Mutex;

/// Bytes after which a line is printed though it has not ended.
const LONGEST: usize = 4096;

/// The console of one client.
pub struct Lines {
    serial: Serial,
    name: &'static str,
    line: Mutex<String>,
}

impl Lines {
    /// The console of `name`.
    pub fn new(serial: Serial, name: &'static str) -> Self {
        Self { serial, name, line: Mutex::new(String::new()) }
    }

    fn print(&self, line: &mut String) {
        for part in [self.name, ": ", line, "\n"] {
            self.serial.write(part);
        }
        line.clear();
    }
}

impl Console for Lines {
    fn write(&self, text: &str) {
        let mut line = self.line.lock();
        for character in text.chars() {
            if character == '\n' || line.len() >= LONGEST {
                self.print(&mut line);
            }
            // What other control characters do to a terminal is none of a domain's business.
            if !character.is_control() || character == '\t' {
                line.push(character);
            }
        }
    }
}
