//! The ends of an instance.

use super::printf::{Line, console_line, format_into};
use crate::arch::{VaList, variadic};
use crate::export::{Export, data, function};
use crate::kernel::{Kernel, kernel};
use core::fmt::{self, Write};
use rumpload::StackPoint;
use rumpload::address::RunAddr;

/// Words of the stack protector's canary; the first is the one that module code compares.
const GUARD_WORDS: usize = 8;

/// Calls shown of a backtrace.
const CALLS: usize = 16;

/// Ends the instance with `reason`: nothing of the current call returns.
///
/// Frames between here and the entry are abandoned: they must hold nothing that only `Drop` would free.
pub(crate) fn panic_message(reason: &str) -> ! {
    panic_from(reason, None)
}

/// As [`panic_message`], for entries that module code called: `frame` is the entry's frame pointer. The reason that callers of
/// the instance get names the calls of module code that led here, and so does the console.
pub(crate) fn panic_from(reason: &str, frame: Option<usize>) -> ! {
    kernel().trace.give_up();
    let instance = kernel().instance();
    let mut line = Line::new();
    let _ = write!(line, "panic: {reason}");
    console_line(line.as_str());
    let mut calls = [RunAddr::new(0); CALLS];
    // Frames that may hold calls lie above this one.
    let here = frame.unwrap_or((&raw const calls).addr() + size_of_val(&calls));
    let count = instance.backtrace(StackPoint { stack: here, frame }, &mut calls);
    let mut whole = Line::new();
    let _ = whole.write_str(reason);
    if count > 0 {
        let mut trace = Line::new();
        let _ = instance.describe_calls(&calls[..count], " < ", &mut trace);
        let mut line = Line::new();
        let _ = write!(line, "called from {}", trace.as_str());
        console_line(line.as_str());
        let _ = write!(whole, " (called from {})", trace.as_str());
    }
    // SAFETY: exports run only inside the instance, and every frame of the base keeps to the rule above.
    unsafe { instance.end(whole.as_str()) }
}

/// As [`panic_message`] with formatted text, cut off at the length of a line.
pub(crate) fn panic_format(reason: fmt::Arguments<'_>) -> ! {
    let mut line = Line::new();
    let _ = line.write_fmt(reason);
    panic_message(line.as_str())
}

unsafe extern "C" fn panic_list(arguments: *mut VaList, frame: usize) -> ! {
    let mut line = Line::new();
    // SAFETY: the entry made the list; its first argument is the format.
    unsafe {
        let arguments = &mut *arguments;
        let format = arguments.pointer::<u8>();
        format_into(&mut line, format, arguments);
    }
    panic_from(line.as_str().trim_end(), Some(frame))
}

unsafe extern "C" fn vpanic(format: *const u8, list: *mut u8) -> ! {
    let mut line = Line::new();
    // SAFETY: module code passed a format and its list.
    unsafe { VaList::from_parameter(list, |arguments| format_into(&mut line, format, arguments)) };
    panic_message(line.as_str().trim_end())
}

variadic!(panic_entry => panic_list);
variadic!(kern_assert => panic_list);

/// The compiler's check of a module's stack frame failed.
unsafe extern "C" fn stack_check_failed() -> ! {
    panic_message("stack overflow detected by the stack protector")
}

/// Fills the stack protector's canary.
pub(crate) fn fill(kernel: &Kernel) {
    let mut canary = [0u8; size_of::<usize>()];
    if kernel.instance().host().entropy.fill(&mut canary).is_err() {
        canary = *b"\0rmp\xffload".first_chunk().unwrap_or(&canary);
    }
    // A zero byte keeps string functions from carrying the canary over.
    canary[0] = 0;
    // SAFETY: the export has a pointer's size.
    unsafe { kernel.data("__stack_chk_guard").cast::<[u8; size_of::<usize>()]>().write_unaligned(canary) };
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("panic", panic_entry),
    function!("vpanic", vpanic),
    function!("kern_assert", kern_assert),
    function!("__stack_chk_fail", stack_check_failed),
    function!("__stack_chk_fail_local", stack_check_failed),
    data!("__stack_chk_guard", GUARD_WORDS * size_of::<usize>(), size_of::<usize>()),
];
