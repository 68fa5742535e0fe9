//! The ends of an instance.

use super::print::Line;
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::fmt::{Arguments, Write};

/// Ends the instance with `reason`: nothing of the current call returns.
///
/// Frames between here and the entry are abandoned: they must hold nothing that only `Drop` would free.
pub(crate) fn panic_message(reason: &str) -> ! {
    let instance = kernel().instance();
    let console = &instance.host().console;
    console.write("panic: ");
    console.write(reason);
    console.write("\n");
    // SAFETY: exports run only inside the instance, and every frame of the base keeps to the rule above.
    unsafe { instance.end(reason) }
}

/// As [`panic_message`] with formatted text, cut off at the length of a line.
pub(crate) fn panic_format(reason: Arguments<'_>) -> ! {
    let mut line = Line::new();
    let _ = line.write_fmt(reason);
    panic_message(line.as_str())
}

unsafe extern "C" fn stack_check_failed() -> ! {
    panic_message("stack overflow detected by the stack protector")
}

unsafe extern "C" fn fortify_panic(name: *const u8) -> ! {
    let mut line = Line::new();
    line.text("a buffer would overflow in ");
    // SAFETY: module code passes the name of a function.
    unsafe { line.c_string(name, usize::MAX) };
    panic_message(line.as_str())
}

/// Adds the services.
pub(super) fn exports(out: &mut Vec<Export>) {
    out.push(function!("__stack_chk_fail", stack_check_failed));
    out.push(function!("fortify_panic", fortify_panic));
}
