//! Panics on their way to the end of the process.
//!
//! A panic of code of the server that module code called cannot unwind through module code: the entry that the module called
//! aborts. Checks of unsafe code in debug builds do not unwind at all. Either way the panic hook has run, the standard library
//! has let go of all it held, and `SIGABRT` comes next, whose handler may end the instance instead.
//!
//! An abort that no panic led to, as that of an allocator which found its memory spoiled while it holds its lock, stays one.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::PanicHookInfo;

/// Bytes of a message that are kept.
const LEN: usize = 256;

/// What the hook is told when a panic arrives at a function that lets none through.
const STOPPED: &str = "panic in a function that cannot unwind";

struct Message {
    bytes: [u8; LEN],
    len: usize,
}

thread_local! {
    static RECORDED: Cell<bool> = const { Cell::new(false) };
    static MESSAGE: RefCell<Message> = const { RefCell::new(Message { bytes: [0; LEN], len: 0 }) };
}

/// From now on panics leave their message behind.
pub fn record() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        remember(info);
        before(info);
    }));
}

fn remember(info: &PanicHookInfo<'_>) {
    use fmt::Write;
    let what = info.payload_as_str().unwrap_or("a panic without a message");
    // The panic that arrived tells more than its arrival.
    if what == STOPPED && RECORDED.get() {
        return;
    }
    let _ = MESSAGE.try_with(|message| {
        if let Ok(mut message) = message.try_borrow_mut() {
            message.len = 0;
            // What is too long is cut.
            let _ = match info.location() {
                Some(place) => write!(message, "{what}, {}:{}", place.file(), place.line()),
                None => message.write_str(what),
            };
        }
    });
    RECORDED.set(true);
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let len = text.floor_char_boundary(room.len());
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
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
    MESSAGE.with_borrow(|message| write!(out, "panic ({})", str::from_utf8(&message.bytes[..message.len]).unwrap_or_default()))
}
