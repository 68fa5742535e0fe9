//! `--trace`: logs each call of module code into the base kernel, then lets it go on.

use crate::arch::trace_entry;
use crate::export::{Export, ExportValue};
use crate::kern::printf::{Line, console_line};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt::Write;

/// Arguments shown for each call: those that travel in registers on x86-64.
const SHOWN: usize = 6;

pub(crate) struct State {
    on: Cell<bool>,
    targets: RefCell<Vec<(&'static str, *const ())>>,
}

impl State {
    pub(crate) fn new(on: bool) -> Self {
        Self { on: Cell::new(on), targets: RefCell::new(Vec::new()) }
    }

    /// Sends every exported function through the tracing entry, if tracing was asked for.
    pub(crate) fn route(&self, mut exports: Vec<Export>) -> Vec<Export> {
        if self.on.get() {
            let mut targets = self.targets.borrow_mut();
            for export in &mut exports {
                if let ExportValue::Function(target) = export.value {
                    let index = u32::try_from(targets.len()).unwrap_or(u32::MAX);
                    targets.push((export.name, target));
                    export.value = ExportValue::IndexedFunction { target: trace_entry as *const (), index };
                }
            }
        }
        exports
    }
}

/// Logs a call and returns the address of the function meant.
///
/// # Safety
/// `arguments` must point to the argument words the tracing entry saved.
pub(crate) unsafe extern "C" fn called(index: u32, arguments: *const usize) -> *const () {
    let (name, target) = kernel().trace.targets.borrow()[index as usize];
    let mut line = Line::new();
    let _ = write!(line, "trace: {name}(");
    for at in 0..SHOWN {
        // SAFETY: the entry saved six words (x86-64), or they lie on the instance's stack, which goes on further (i386).
        let argument = unsafe { arguments.add(at).read_unaligned() };
        let _ = write!(line, "{}{argument:#x}", if at == 0 { "" } else { ", " });
    }
    let _ = line.write_str(")");
    console_line(line.as_str());
    target
}
