use rumpload::resource::Console;
use std::io::Write;

/// A console that prints to standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct StandardError;

impl Console for StandardError {
    fn write(&self, text: &str) {
        // A console that cannot print drops the text.
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}
