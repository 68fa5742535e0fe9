//! Panics on their way to the end of the process.
//!
//! A panic of code of the server that module code called cannot unwind through module code: the entry that the module called
//! aborts. Checks of unsafe code in debug builds do not unwind at all. Either way the panic hook has run, the standard library
//! has let go of all it held, and `SIGABRT` comes next, whose handler may end the instance instead.
//!
//! An abort that no panic led to, as that of an allocator which found its memory spoiled while it holds its lock, stays one.

use super::text::Text;
use rumpload::context;
use std::cell::Cell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::panic::PanicHookInfo;

/// What the hook is told when a panic arrives at a function that lets none through.
const STOPPED: &str = "panic in a function that cannot unwind";

thread_local! {
    static RECORDED: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: Cell<Text> = const { Cell::new(Text::new()) };
}

/// From now on panics inside an instance leave their message behind, and are printed in a line. The hook that was there before is
/// for the others: it may want a backtrace, and code of modules, and entries written by hand, say nothing of their frames.
pub fn record() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| if context() == 0 { before(info) } else { remember(info) }));
}

fn remember(info: &PanicHookInfo<'_>) {
    let what = info.payload_as_str().unwrap_or("a panic without a message");
    // What follows is advice.
    let what = what.lines().next().unwrap_or_default();
    // The panic that arrived tells more than its arrival.
    if what == STOPPED && RECORDED.get() {
        return;
    }
    let mut message = Text::new();
    // What is too long is cut.
    let _ = match info.location() {
        Some(place) => write!(message, "{what}, {}:{}", place.file(), place.line()),
        None => message.write_str(what),
    };
    // If standard error cannot be written, the reason still tells.
    let _ = writeln!(std::io::stderr(), "panic inside an instance: {}", message.as_str());
    MESSAGE.set(message);
    RECORDED.set(true);
}

/// Whether the calling thread is panicking, as far as this module knows. For a signal handler.
pub fn arrived() -> bool {
    std::thread::panicking() && RECORDED.get()
}

/// Writes the message of the panic that arrived and forgets it.
///
/// # Errors
/// What `out` gives.
pub fn describe(out: &mut dyn fmt::Write) -> fmt::Result {
    RECORDED.set(false);
    write!(out, "panic ({})", MESSAGE.get().as_str())
}
