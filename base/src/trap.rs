//! Declared traps: imports that modules link against and that the base cannot honour.
//!
//! Calling one ends the instance with the symbol's name. A symbol that is neither exported nor listed here stays unresolved,
//! and loading a module that wants it fails with its name.

use crate::arch::trap_entry;
use crate::export::{Export, ExportValue};
use crate::kern::panic::panic_message;
use alloc::format;
use alloc::vec::Vec;

/// A trap and why it is one.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    /// The symbol, without the namespace's prefix.
    pub name: &'static str,
    /// What is missing.
    pub reason: &'static str,
}

const THREADS: &str = "threads inside an instance are not offered";
const ATTRIBUTES: &str = "extended attributes are not offered";

const fn trap(name: &'static str, reason: &'static str) -> Trap {
    Trap { name, reason }
}

/// Every declared trap.
pub static TRAPS: &[Trap] =
    &[trap("kthread_create", THREADS), trap("kthread_exit", THREADS), trap("extattr_check_cred", ATTRIBUTES)];

/// Adds one export per trap.
pub(crate) fn exports(out: &mut Vec<Export>) {
    for (index, trap) in (0..).zip(TRAPS) {
        let value = ExportValue::IndexedFunction { target: trap_entry as *const (), index };
        out.push(Export { name: trap.name, value });
    }
}

/// Where every trap's entry arrives.
pub(crate) extern "C" fn called(index: u32) -> ! {
    match TRAPS.get(index as usize) {
        Some(trap) => panic_message(&format!("declared trap {} was called: {}", trap.name, trap.reason)),
        None => panic_message("an unknown declared trap was called"),
    }
}
