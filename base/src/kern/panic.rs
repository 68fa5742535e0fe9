//! The ends of an instance.

use super::printf::{Line, console_line, format_into};
use crate::arch::{VaList, variadic};
use crate::export::{Export, data, function};
use crate::kernel::{Kernel, kernel};
use core::fmt::{self, Write};

/// Words of the stack protector's canary; the first is the one that module code compares.
const GUARD_WORDS: usize = 8;

/// Ends the instance with `reason`: nothing of the current call returns.
///
/// Frames between here and the entry are abandoned: they must hold nothing that only `Drop` would free.
pub(crate) fn panic_message(reason: &str) -> ! {
    let instance = kernel().instance();
    let mut line = Line::new();
    let _ = write!(line, "panic: {reason}");
    console_line(line.as_str());
    // SAFETY: exports run only inside the instance, and every frame of the base keeps to the rule above.
    unsafe { instance.end(reason) }
}

/// As [`panic_message`] with formatted text, cut off at the length of a line.
pub(crate) fn panic_format(reason: fmt::Arguments<'_>) -> ! {
    let mut line = Line::new();
    let _ = line.write_fmt(reason);
    panic_message(line.as_str())
}

unsafe extern "C" fn panic_list(arguments: *mut VaList) -> ! {
    let mut line = Line::new();
    // SAFETY: the entry made the list; its first argument is the format.
    unsafe {
        let arguments = &mut *arguments;
        let format = arguments.pointer::<u8>();
        format_into(&mut line, format, arguments);
    }
    panic_message(line.as_str().trim_end())
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
