//! Children that use up their processor time: whose loop is it?
//!
//! Module code of the child that is running then is the module's loop. Otherwise code of ours runs, maybe called by a loop of
//! the module's: module code is made unusable and the child goes on. If it returns into module code, it faults there and the
//! loop is the module's; if it does not within its patience, the loop is ours.

use rumpload::address::RunAddr;
use rumpload::{Instance, StackPoint};
use rumpload_base::Kernel;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, Ordering};
use std::sync::{Arc, OnceLock};

/// Microseconds of processor time that a child may use, and that it then may use without running module code.
const PATIENCE: i64 = 800_000;
/// Seconds that a child may take in all, waiting included.
const LIMIT: u32 = 120;
/// Calls that are named.
const CALLS: usize = 10;

static KERNEL: AtomicPtr<Kernel> = AtomicPtr::new(core::ptr::null_mut());
static REPORT: AtomicI32 = AtomicI32::new(-1);
static LOCKED: AtomicBool = AtomicBool::new(false);
/// First address and bytes of the pages with module code.
static TEXT: OnceLock<Vec<(usize, usize)>> = OnceLock::new();

/// Starts watching this process, which must be a child of its own.
pub fn watch(kernel: &Arc<Kernel>, report: RawFd) {
    KERNEL.store(Arc::as_ptr(kernel).cast_mut(), Ordering::Relaxed);
    REPORT.store(report, Ordering::Relaxed);
    let modules = kernel.instance().stat().expect("not ended");
    let pages = |size: u64| (size as usize).next_multiple_of(kernel.instance().host().memory.page_size());
    let text = modules.iter().filter(|module| module.size > 0);
    let _ = TEXT.set(text.map(|module| (module.address.get() as usize, pages(module.size))).collect());
    handle(libc::SIGPROF, out_of_time);
    let time = |time: i64| libc::timeval { tv_sec: time / 1_000_000, tv_usec: time % 1_000_000 };
    let timer = libc::itimerval { it_value: time(PATIENCE), it_interval: time(PATIENCE) };
    // SAFETY: the timer and the alarm concern only this process.
    unsafe {
        libc::setitimer(libc::ITIMER_PROF, &raw const timer, core::ptr::null_mut());
        libc::alarm(LIMIT);
    }
}

type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);

fn handle(signal: i32, handler: Handler) {
    // SAFETY: the handler has the type that SA_SIGINFO asks for; all zero bits are a valid `sigaction`.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(signal, &raw const action, core::ptr::null_mut());
    }
}

fn instance() -> &'static Instance {
    // SAFETY: set before any signal could come, and the kernel lives as long as the child.
    unsafe { &*KERNEL.load(Ordering::Relaxed) }.instance()
}

fn registers(machine: *mut libc::c_void) -> [usize; 3] {
    // SAFETY: the kernel passes a valid context.
    let registers = unsafe { &(*machine.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    [libc::REG_RIP, libc::REG_RSP, libc::REG_RBP].map(|register| registers[register as usize] as usize)
}

fn is_text(address: usize) -> bool {
    TEXT.get().is_some_and(|text| text.iter().any(|(start, len)| (*start..start + len).contains(&address)))
}

extern "C" fn out_of_time(_signal: libc::c_int, _info: *mut libc::siginfo_t, machine: *mut libc::c_void) {
    let [at, stack, frame] = registers(machine);
    if is_text(at) {
        report("runaway module", Some(at), StackPoint { stack, frame: Some(frame) });
    }
    if LOCKED.swap(true, Ordering::Relaxed) || !instance().is_inside() {
        report("runaway ours", None, StackPoint { stack, frame: None });
    }
    handle(libc::SIGSEGV, came_back);
    // Nobody runs in the pages now, and who wants to is to fault.
    protect(libc::PROT_NONE);
}

fn protect(protection: i32) {
    for (start, len) in TEXT.get().into_iter().flatten() {
        // SAFETY: the pages hold module code, which this program runs for the last time.
        unsafe { libc::mprotect(*start as *mut libc::c_void, *len, protection) };
    }
}

extern "C" fn came_back(_signal: libc::c_int, _info: *mut libc::siginfo_t, machine: *mut libc::c_void) {
    let [at, stack, frame] = registers(machine);
    let what = if is_text(at) { "runaway module" } else { "runaway and crash" };
    report(what, is_text(at).then_some(at), StackPoint { stack, frame: is_text(at).then_some(frame) });
}

/// Says where the child is, and ends it. Whatever it was in the middle of, it is done with.
fn report(what: &str, at: Option<usize>, from: StackPoint) -> ! {
    // Backtraces look at the code.
    protect(libc::PROT_READ);
    let mut calls = [RunAddr::new(0); CALLS];
    let first = usize::from(at.is_some());
    // What was interrupted lies in module code, not behind a call.
    calls[0] = RunAddr::new(at.map_or(0, |at| at as u64 + 1));
    let count = first + instance().backtrace(from, &mut calls[first..]);
    let mut text = format!("{what} ");
    let _ = instance().describe_calls(&calls[..count], " < ", &mut text);
    // SAFETY: the descriptor is open and the text as long as said.
    unsafe {
        libc::write(REPORT.load(Ordering::Relaxed), text.as_ptr().cast(), text.len());
        libc::_exit(0);
    }
}
