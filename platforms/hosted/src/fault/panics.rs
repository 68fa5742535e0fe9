//! Panics of code that module code called.
//!
//! A panic cannot unwind through module code, so Rust ends the process with `abort`. Its message is noted by a panic hook; the
//! signal handler for `SIGABRT` takes it and ends the instance instead. [`std::thread::panicking`] stays true on a thread where
//! that has happened.

use super::text::Text;
use rumpload::context;
use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::{PanicHookInfo, set_hook, take_hook};

thread_local! {
    /// What the panic said that is under way in an instance. A value without a destructor: a signal handler may look at it.
    static SAID: Cell<Option<Text>> = const { Cell::new(None) };
    /// Whether there is such a thing. Signal stacks are small: the handler does not take the text itself.
    static PENDING: Cell<bool> = const { Cell::new(false) };
}

/// What a panic says that ends the process because it met code that cannot unwind; the one before it tells why.
const CANNOT_UNWIND: &str = "panic in a function that cannot unwind";

/// From now on notes and prints what panics inside an instance say. The hook that was there before is left the others: it may
/// want a backtrace, and nobody can walk the frames of module code.
pub fn listen() {
    let before = take_hook();
    set_hook(Box::new(move |info| {
        if context() == 0 {
            before(info);
        } else {
            note(info);
        }
    }));
}

fn note(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("a value that is no text");
    // What follows is advice.
    let message = message.lines().next().unwrap_or_default();
    if PENDING.get() && message == CANNOT_UNWIND {
        return;
    }
    let mut text = Text::new();
    // A text that is too long is cut, which is no error.
    let _ = match info.location() {
        Some(location) => write!(text, "{message} ({}:{})", location.file(), location.line()),
        None => write!(text, "{message}"),
    };
    SAID.set(Some(text));
    PENDING.set(true);
    // If standard error cannot be written, the reason still tells.
    let _ = writeln!(std::io::stderr(), "panic inside an instance: {}", text.as_str());
}

/// Whether `signal` is what a panic inside an instance ends with.
pub fn is_ending(signal: libc::c_int) -> bool {
    signal == libc::SIGABRT && std::thread::panicking() && PENDING.get()
}

/// What the panic said that has come to its end.
pub fn said() -> Option<Text> {
    PENDING.set(false);
    SAID.take()
}
