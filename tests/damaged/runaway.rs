//! Children that use up their processor time: whose loop is it?
//!
//! From then on the child is looked at a number of times. A loop of a module's has its code running, or calling down, each
//! time, and returns to it in between; a loop of ours is never seen in module code.

use rumpload::address::RunAddr;
use rumpload_base::Kernel;
use std::fmt::Write as _;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};

/// Microseconds of processor time before the first look and between looks.
const PATIENCE: i64 = 1_500_000;
const BETWEEN: i64 = 5_000;
const LOOKS: usize = 40;
/// Seconds that a child may take in all, waiting included.
const LIMIT: u32 = 120;
/// Words of the stack that are searched for return addresses.
const WORDS: usize = 4096;

static KERNEL: AtomicPtr<Kernel> = AtomicPtr::new(core::ptr::null_mut());
static REPORT: AtomicI32 = AtomicI32::new(-1);
static LOOKED: AtomicUsize = AtomicUsize::new(0);
static IN_MODULE: AtomicUsize = AtomicUsize::new(0);
static LAST: AtomicUsize = AtomicUsize::new(0);

/// Starts watching this process, which must be a child of its own.
pub fn watch(kernel: &Arc<Kernel>, report: RawFd) {
    KERNEL.store(Arc::as_ptr(kernel).cast_mut(), Ordering::Relaxed);
    REPORT.store(report, Ordering::Relaxed);
    // SAFETY: the handler has the type that SA_SIGINFO asks for; the timer and the alarm concern only this process.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = look as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGPROF, &raw const action, core::ptr::null_mut());
        let after = |time: i64| libc::timeval { tv_sec: time / 1_000_000, tv_usec: time % 1_000_000 };
        let timer = libc::itimerval { it_value: after(PATIENCE), it_interval: after(BETWEEN) };
        libc::setitimer(libc::ITIMER_PROF, &raw const timer, core::ptr::null_mut());
        libc::alarm(LIMIT);
    }
}

/// Module and symbol of an address in module code.
///
/// The watched thread was interrupted, maybe with a lock held that this takes; then the alarm ends the child.
fn symbol(address: usize) -> Option<(String, String, u64)> {
    // SAFETY: set before the signal could come, and the kernel lives as long as the child.
    let kernel = unsafe { &*KERNEL.load(Ordering::Relaxed) };
    kernel.instance().symbolize(RunAddr::new(address as u64))
}

extern "C" fn look(_signal: libc::c_int, _info: *mut libc::siginfo_t, machine: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid context.
    let registers = unsafe { &(*machine.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let (at, stack) = (registers[libc::REG_RIP as usize] as usize, registers[libc::REG_RSP as usize] as usize);
    if symbol(at).is_some() {
        IN_MODULE.fetch_add(1, Ordering::Relaxed);
        LAST.store(at, Ordering::Relaxed);
    }
    if LOOKED.fetch_add(1, Ordering::Relaxed) < LOOKS {
        return;
    }
    let mut text = String::from("runaway ");
    // SAFETY: as in `symbol`.
    let (start, len) = unsafe { &*KERNEL.load(Ordering::Relaxed) }.instance().stack();
    let end = start.get() as usize + len;
    let mut frames = Vec::new();
    if (start.get() as usize..end).contains(&stack) {
        for word in 0..WORDS.min((end - stack) / size_of::<usize>()) {
            // SAFETY: the word lies on the instance's stack, above its stack pointer.
            let word = unsafe { (stack as *const usize).add(word).read() };
            frames.extend(symbol(word));
        }
    }
    if IN_MODULE.load(Ordering::Relaxed) > 0 {
        frames.splice(0..0, symbol(LAST.load(Ordering::Relaxed)));
        text.push_str("module ");
    } else {
        text.push_str("ours ");
    }
    for (module, symbol, offset) in frames.iter().take(8) {
        let _ = write!(text, "{module}:{symbol}+{offset:#x} ");
    }
    let _ = write!(text, "at {at:#x}");
    // SAFETY: the descriptor is open and the text as long as said; the child is done with.
    unsafe {
        libc::write(REPORT.load(Ordering::Relaxed), text.as_ptr().cast(), text.len());
        libc::_exit(0);
    }
}
