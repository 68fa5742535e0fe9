//! `--trace`: notes or logs each call of module code into the base kernel, then lets it go on.
//!
//! The entry that every traced export goes through finds the function meant. To see its result, the call's return address is
//! kept aside and replaced by that of a second entry. Calls that are abandoned with their stack need no care: the instance ends.

mod journal;
mod show;

use crate::arch::{trace_entry, trace_return};
use crate::export::{Export, ExportValue};
use crate::kernel::{Kernel, kernel};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};
use journal::Journal;
pub(crate) use journal::{Calls, Frame};
use spin::Once;

/// Arguments shown for each call, whatever their number: those that travel in registers on x86-64.
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
    journal: RefCell<Journal>,
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
        Self { what, targets: Once::new(), journal: RefCell::default() }
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

impl State {
    /// Puts the return addresses of calls that are going on back where they were, so that a backtrace finds them. For the end
    /// of an instance: no result is seen any more.
    pub(crate) fn give_up(&self) {
        for frame in self.journal.borrow_mut().abandon().into_iter().rev() {
            // SAFETY: the calls have not returned, so their return addresses lie where they were.
            unsafe { frame.slot.write(frame.back) };
        }
        print(&self.rest());
    }

    /// Sets aside the calls of the context that ran and goes on with those in `calls`; called again, the other way round.
    pub(crate) fn switch(&self, calls: &RefCell<Calls>) {
        if self.what == Trace::Log {
            let text = self.journal.borrow_mut().switch(&mut calls.borrow_mut());
            print(&text);
        }
    }

    /// What is not written yet.
    pub(crate) fn rest(&self) -> String {
        self.journal.borrow_mut().finish()
    }
}

fn print(text: &str) {
    if !text.is_empty() {
        kernel().instance().host().console.write(text);
    }
}

/// Notes or logs a call and returns the address of the function meant.
///
/// # Safety
/// `arguments` must point to the argument words, `slot` to the call's return address.
pub(crate) unsafe extern "C" fn called(index: u32, arguments: *const usize, slot: *mut usize) -> *const () {
    let trace = &kernel().trace;
    let Target { name, function, called } = &trace.targets()[index as usize];
    called.store(true, Ordering::Relaxed);
    // SAFETY: as the caller says.
    let back = unsafe { slot.read() };
    if trace.what == Trace::Note || helps_everywhere(name) || !show::is_module(back.wrapping_sub(1)) {
        return *function;
    }
    let mut words = [0; SHOWN];
    for (at, word) in words.iter_mut().enumerate() {
        // SAFETY: the entry saved six words (x86-64), or they lie on the instance's stack, which goes on further (i386).
        *word = unsafe { arguments.add(at).read_unaligned() };
    }
    let text = {
        let mut journal = trace.journal.borrow_mut();
        let shown = show::call(name, &words, &mut journal.names);
        journal.begin(shown, Frame { name, slot, back })
    };
    print(&text);
    // SAFETY: the address is put back when the call returns, or when its instance ends.
    unsafe { slot.write(trace_return as *const () as usize) };
    *function
}

/// Logs the result of the innermost call; answers where it returns to.
pub(crate) unsafe extern "C" fn returned(result: usize) -> usize {
    let trace = &kernel().trace;
    let (text, back) = trace.journal.borrow_mut().end(result);
    print(&text);
    back
}

/// What module code calls all the time and what says nothing about its work: strings, locks, the current thread.
fn helps_everywhere(name: &str) -> bool {
    ["mem", "str", "mutex_", "x86_cur", "bcopy", "bzero", "bcmp"].iter().any(|start| name.starts_with(start))
}
