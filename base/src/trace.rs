//! `--trace`: notes or logs each call of module code into the base kernel, then lets it go on.

use crate::arch::trace_entry;
use crate::export::{Export, ExportValue};
use crate::kern::printf::{Line, console_line};
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;
use core::fmt::Write;
use core::sync::atomic::{AtomicBool, Ordering};
use spin::Once;

/// Arguments shown for each call: those that travel in registers on x86-64.
const SHOWN: usize = 6;

/// What is done about calls of module code into the base kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// Nothing: they go straight to the function.
    #[default]
    Off,
    /// Note which functions are called: see [`Kernel::called`].
    Note,
    /// Log each call to the host's console.
    Log,
}

/// A function that is traced.
struct Target {
    name: &'static str,
    function: *const (),
    called: AtomicBool,
}

pub(crate) struct State {
    what: Trace,
    targets: Once<Vec<Target>>,
}

impl Kernel {
    /// Names of the functions that module code called so far, in no order; none without [`Trace`].
    #[must_use]
    pub fn called(&self) -> Vec<&'static str> {
        self.trace.targets().iter().filter(|target| target.called.load(Ordering::Relaxed)).map(|target| target.name).collect()
    }
}

impl State {
    pub(crate) fn new(what: Trace) -> Self {
        Self { what, targets: Once::new() }
    }

    fn targets(&self) -> &[Target] {
        self.targets.get().map_or(&[], Vec::as_slice)
    }

    /// Sends every exported function through the tracing entry, if tracing was asked for. Runs once.
    pub(crate) fn route(&self, mut exports: Vec<Export>) -> Vec<Export> {
        if self.what != Trace::Off {
            let mut targets = Vec::new();
            for export in &mut exports {
                if let ExportValue::Function(function) = export.value {
                    let index = u32::try_from(targets.len()).unwrap_or(u32::MAX);
                    targets.push(Target { name: export.name, function, called: AtomicBool::new(false) });
                    export.value = ExportValue::IndexedFunction { target: trace_entry as *const (), index };
                }
            }
            self.targets.call_once(|| targets);
        }
        exports
    }
}

/// Logs a call and returns the address of the function meant.
///
/// # Safety
/// `arguments` must point to the argument words the tracing entry saved.
pub(crate) unsafe extern "C" fn called(index: u32, arguments: *const usize) -> *const () {
    let trace = &kernel().trace;
    let Target { name, function, called } = &trace.targets()[index as usize];
    called.store(true, Ordering::Relaxed);
    if trace.what == Trace::Note {
        return *function;
    }
    let mut line = Line::new();
    let _ = write!(line, "trace: {name}(");
    for at in 0..SHOWN {
        // SAFETY: the entry saved six words (x86-64), or they lie on the instance's stack, which goes on further (i386).
        let argument = unsafe { arguments.add(at).read_unaligned() };
        let _ = write!(line, "{}{argument:#x}", if at == 0 { "" } else { ", " });
    }
    let _ = line.write_str(")");
    console_line(line.as_str());
    *function
}
