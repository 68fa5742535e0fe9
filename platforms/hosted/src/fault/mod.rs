//! Faults in module code, and in code of the server that module code called, end the module's instance, not the process. So do
//! panics of the latter, see [`panics`].
//!
//! The handler only looks and redirects: whose code faulted, and onto which stack the thread goes on. What needs memory or
//! locks (names, the message) happens after the signal has returned, at the top of the instance's stack, which is abandoned.
//! A thread that runs module code is not inside the allocator and holds none of the instance's locks, so that is safe.
//!
//! Code of the server that module code called, with an address that is none say, is taken for the module's: nearly always that
//! code is copying or walking what the module passed. It is not inside the allocator then, which is never called with what a
//! module passed, unless module code spoiled the allocator's own memory: then leaving may wait for the allocator for ever.
//! What the frames that are abandoned owned is lost until the process ends.
//!
//! Faults of anybody else's code are passed on. That is code outside an instance, code on an instance's stack that no module
//! code called, and the host's resources, embedding programs' devices and consoles among them, which the base kernel marks
//! ([`Hooks::in_host`](rumpload::Hooks::in_host)): they may hold locks, and are not for a module to answer for. A buffer from
//! a module that a device of the host faults on therefore counts as the host's.

mod panics;
mod registers;
mod text;

use crate::error::host_error;
use crate::memory::is_module_memory;
use rumpload::address::RunAddr;
use rumpload::resource::HostError;
use rumpload::{Instance, KernelVersion, StackPoint, context};
use rustix::io::Errno;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use text::Text;

/// The signals that say that an instruction could not be executed, and the one that a panic ends in.
const SIGNALS: [(libc::c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGABRT, "SIGABRT"),
];

/// The version of kernels of another flavour, which keep the list of their modules to themselves.
const NOT_NETBSD: KernelVersion = KernelVersion(0);

/// Calls that a reason names.
const CALLS: usize = 16;

/// An instance whose faults are caught, kept alive by whoever holds it.
trait Watched: Send + Sync {
    fn instance(&self) -> &Instance;
}

struct Holder<T> {
    holder: Arc<T>,
    instance: fn(&T) -> &Instance,
}

impl<T: Send + Sync> Watched for Holder<T> {
    fn instance(&self) -> &Instance {
        (self.instance)(&self.holder)
    }
}

static WATCHED: Mutex<Vec<Arc<dyn Watched>>> = Mutex::new(Vec::new());
static OLD_ACTIONS: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

fn watched() -> MutexGuard<'static, Vec<Arc<dyn Watched>>> {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Catches faults as long as it lives. It keeps the instance alive.
#[must_use = "faults are caught as long as the guard lives"]
pub struct FaultGuard {
    watched: Arc<dyn Watched>,
}

impl fmt::Debug for FaultGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultGuard").finish_non_exhaustive()
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        watched().retain(|other| !Arc::ptr_eq(other, &self.watched));
    }
}

/// From now on a fault (`SIGSEGV`, `SIGBUS`, `SIGFPE`, `SIGILL`) of module code inside the instance of `holder` ends that
/// instance with a reason that names module, symbol and offset, and the entry returns [`Ended`](rumpload::Error::Ended).
///
/// The same goes for a fault of code of the server that module code called, on the instance's stack, because it passed an
/// address that is none, say: the reason names the function and the call. And for a panic there, which cannot unwind through
/// module code, instead of the abort (`SIGABRT`) of the process that it ends in; the checks of debug builds are such panics.
///
/// This is best effort: module code shares the process and may have damaged it before it faulted, and code of the server may
/// have held something of its own, which is lost; after a panic [`panicking`](std::thread::panicking) stays true on the thread.
/// What the host's resources do wrong (devices, consoles, ...), and other code, goes to the handler that was there before. Code
/// that is run with [`enter`](Instance::enter), by no module, should do nothing of the kind: what the stack was used for before
/// may make it look as if a module had called it. The calling thread and every other that enters the instance need an alternate
/// signal stack, which threads of the standard library have. The first call sets a panic hook, which
/// prints panics inside an instance in a line and leaves all others to the one before.
///
/// # Errors
/// [`Unsupported`](rumpload::resource::HostErrorKind::Unsupported) where no module code runs, or what `sigaction(2)` gives.
pub fn catch_faults<T: Send + Sync + 'static>(holder: Arc<T>, instance: fn(&T) -> &Instance) -> Result<FaultGuard, HostError> {
    if !registers::KNOWN {
        return Err(host_error(Errno::NOSYS));
    }
    let watched_instance: Arc<dyn Watched> = Arc::new(Holder { holder, instance });
    let mut list = watched();
    install()?;
    list.push(watched_instance.clone());
    Ok(FaultGuard { watched: watched_instance })
}

/// Installs the handler once; the list of instances is locked by the caller.
fn install() -> Result<(), HostError> {
    if OLD_ACTIONS.get().is_some() {
        return Ok(());
    }
    panics::record();
    // SAFETY: all zero bits are a valid `sigaction`: default handler, empty mask.
    let mut old: [libc::sigaction; SIGNALS.len()] = unsafe { core::mem::zeroed() };
    for ((signal, _), old) in SIGNALS.iter().zip(&mut old) {
        // SAFETY: a null action only reads the present one into a valid place.
        if unsafe { libc::sigaction(*signal, core::ptr::null(), old) } != 0 {
            return Err(last_error());
        }
    }
    // Set before the first handler is, which reads it.
    let _ = OLD_ACTIONS.set(old);
    // SAFETY: as above.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = handler as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    for (signal, _) in SIGNALS {
        // SAFETY: `handler` has the type that SA_SIGINFO asks for and touches only what it may, see there.
        if unsafe { libc::sigaction(signal, &raw const action, core::ptr::null_mut()) } != 0 {
            return Err(last_error());
        }
    }
    Ok(())
}

fn last_error() -> HostError {
    crate::error::io_error(&std::io::Error::last_os_error())
}

extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, machine: *mut libc::c_void) {
    // SAFETY: the kernel passes valid pointers to a handler installed with SA_SIGINFO.
    let (address, machine) = unsafe { ((*info).si_addr() as usize, &mut *machine.cast::<libc::ucontext_t>()) };
    let point = Point { at: registers::instruction(machine), stack: registers::stack(machine), frame: registers::frame(machine) };
    let name = SIGNALS.iter().find(|(number, _)| *number == signal).map_or("signal", |(_, name)| *name);
    let what = match signal {
        libc::SIGABRT if !panics::arrived() => return pass_on(signal, info, machine),
        libc::SIGABRT => What::Panic,
        _ => What::Fault { name, address },
    };
    if let Some((stack_end, fault)) = of_module_code(what, &point) {
        // SAFETY: the top of the instance's stack is mapped read-write, belongs to this thread while it is inside, and nothing
        // on it is used again: the only way on is `end`.
        unsafe {
            let place = ((stack_end - size_of::<Fault>()) & !63) as *mut Fault;
            place.write(fault);
            registers::redirect(machine, give_up as *const () as usize, place as usize);
        }
        return;
    }
    pass_on(signal, info, machine);
}

/// The registers of a fault.
struct Point {
    at: usize,
    stack: usize,
    frame: usize,
}

/// The watched instances, for a handler. Other threads hold the lock for moments; a thread that holds it itself faults for other
/// reasons, and must not wait for itself for ever.
fn watched_from_handler() -> Option<MutexGuard<'static, Vec<Arc<dyn Watched>>>> {
    const TRIES: u32 = 1 << 20;
    (0..TRIES).find_map(|_| match WATCHED.try_lock() {
        Ok(list) => Some(list),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => {
            std::thread::yield_now();
            None
        }
    })
}

/// What happened, if module code did it, and the end of its instance's stack.
fn of_module_code(what: What, point: &Point) -> Option<(usize, Fault)> {
    let list = watched_from_handler()?;
    let instance = list.iter().map(|watched| watched.instance()).find(|instance| runs(instance))?;
    let (start, len) = instance.stack();
    let (start, end) = (usize::try_from(start.get()).ok()?, usize::try_from(start.get()).ok()?.checked_add(len)?);
    let mut calls = [RunAddr::new(0); CALLS];
    let inside = (start..end).contains(&point.stack);
    let (code, count) = if is_module_memory(point.at) {
        let from = StackPoint { stack: point.stack, frame: Some(point.frame) };
        (point.at, instance.backtrace(from, &mut calls))
    } else if (instance.config().hooks.in_host)(instance.context()) {
        return None;
    } else {
        // The first call is the one that led out of module code, or to nowhere.
        let jumped = what.is_at(point.at).then(|| jump(point, start, end)).flatten();
        let from = match jumped {
            Some(_) => StackPoint { stack: point.stack + size_of::<usize>(), frame: Some(point.frame) },
            None => StackPoint { stack: point.stack, frame: None },
        };
        let count = if inside { instance.backtrace(from, &mut calls) } else { 0 };
        match jumped {
            Some(back) => (back, count),
            None if count > 0 => {
                let code = calls[0].get() as usize;
                calls.copy_within(1..count, 0);
                (code, count - 1)
            }
            None if inside && instance.config().version == NOT_NETBSD => (unlisted(point.stack, start..end)?, 0),
            None => return None,
        }
    };
    let overflow = what.is_within(start..start + instance.host().memory.page_size());
    let instance = core::ptr::from_ref(instance);
    Some((end, Fault { instance, what, code, at: point.at, overflow, calls, count }))
}

/// The first address from `from` on that a call of module code returns to, for kernels whose modules the instance has no list of:
/// what the call names is module memory too, another function or a stub.
fn unlisted(from: usize, stack: Range<usize>) -> Option<usize> {
    const SEARCHED: usize = 4096;
    let last = stack.end - size_of::<usize>();
    let slots = (from.next_multiple_of(align_of::<usize>())..=last).step_by(size_of::<usize>()).take(SEARCHED);
    // SAFETY: aligned, and between the stack pointer and the end of the stack, which the thread runs on.
    let words = slots.map(|slot| unsafe { (slot as *const usize).read() });
    words.filter(|word| is_module_memory(*word) && !stack.contains(word)).find(|&word| called(word).is_some_and(is_module_memory))
}

/// For a jump to nowhere, where it returns to, if that is module code: the address lies on top of the stack.
fn jump(point: &Point, start: usize, end: usize) -> Option<usize> {
    let stack = point.stack;
    if !stack.is_multiple_of(align_of::<usize>()) || stack < start || stack > end - size_of::<usize>() {
        return None;
    }
    // SAFETY: the address is aligned and on the instance's stack; the kernel has just been asked to run with this stack pointer,
    // and a stack pointer in the guard page would have faulted at the call, not at its target.
    Some(unsafe { (stack as *const usize).read() }).filter(|&back| is_module_memory(back))
}

/// Whether the calling thread runs on behalf of `instance`, innermost.
fn runs(instance: &Instance) -> bool {
    instance.is_inside() && context() == instance.context()
}

/// What went wrong.
#[derive(Clone, Copy)]
enum What {
    /// A signal because of the address that could not be used.
    Fault { name: &'static str, address: usize },
    /// A panic of code of the server.
    Panic,
}

impl What {
    fn is_within(self, range: Range<usize>) -> bool {
        matches!(self, Self::Fault { address, .. } if range.contains(&address))
    }

    /// Whether the instruction at `at` itself was what could not be used.
    fn is_at(self, at: usize) -> bool {
        matches!(self, Self::Fault { address, .. } if address == at)
    }
}

struct Fault {
    instance: *const Instance,
    what: What,
    /// The module's instruction, or where its call returns to.
    code: usize,
    /// The instruction.
    at: usize,
    /// Whether the address lies in the guard page of the stack.
    overflow: bool,
    /// Calls of module code that led there, the latest first.
    calls: [RunAddr; CALLS],
    count: usize,
}

/// Where a faulting thread goes on: composes the reason and leaves the instance.
extern "C" fn give_up(fault: *const Fault) -> ! {
    // SAFETY: the handler wrote the record and keeps nothing of it.
    let fault = unsafe { fault.read() };
    // SAFETY: whoever entered the instance holds it, and this thread is inside.
    let instance = unsafe { &*fault.instance };
    let mut reason = Text::new();
    // A text that is too long is cut, which is no error.
    let _ = fault.describe(instance, &mut reason);
    // SAFETY: this thread is inside and was running module code or what it called: the frames that are abandoned are the
    // module's, those of base and core, which hold nothing by design, and this one, whose text lives on the stack.
    unsafe { instance.end(reason.as_str()) }
}

impl Fault {
    fn describe(&self, instance: &Instance, out: &mut Text) -> fmt::Result {
        match self.what {
            What::Fault { name, address } => {
                let what = if self.overflow { "stack overflow: " } else { "" };
                write!(out, "{what}{name} at address {address:#x}")?;
            }
            What::Panic => panics::describe(out)?,
        }
        if self.what.is_at(self.at) {
            write!(out, ", jumped to {:#x}", self.at)?;
        } else if self.at != self.code {
            let function = called(self.code).and_then(|target| {
                let hooks = &instance.config().hooks;
                (hooks.function_at)(instance.context(), RunAddr::new(target as u64))
            });
            write!(out, " in {}, called by module code", function.unwrap_or("code of the server"))?;
        }
        match instance.symbolize(RunAddr::new(self.code as u64)) {
            Some((module, symbol, offset)) => write!(out, " in module {module}, {symbol}+{offset:#x}")?,
            None if self.at == self.code => out.write_str(" in module code")?,
            None => write!(out, " at {:#x}", self.code)?,
        }
        write!(out, " (instruction {:#x})", self.at)?;
        if self.count > 0 {
            out.write_str(" (called from ")?;
            instance.describe_calls(&self.calls[..self.count], " < ", out)?;
            out.write_str(")")?;
        }
        Ok(())
    }
}

/// The function that the call in front of `back` names, unless it was called through a pointer.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
fn called(back: usize) -> Option<usize> {
    const CALL: u8 = 0xe8;
    let start = back.checked_sub(5).filter(|&start| is_module_memory(start))?;
    // SAFETY: both ends are in module memory, which stays mapped, and a page that holds code, or lies in front of one in a module,
    // can be read. What is no address of code may lead to a page that cannot; then the process ends, as it would without us.
    let [opcode, distance @ ..] = unsafe { (start as *const [u8; 5]).read_unaligned() };
    (opcode == CALL).then(|| back.wrapping_add_signed(i32::from_le_bytes(distance) as isize))
}

/// Faults are caught on no other machine.
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
fn called(_back: usize) -> Option<usize> {
    None
}

/// Does what would have been done without the handler.
fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, machine: &mut libc::ucontext_t) {
    let index = SIGNALS.iter().position(|(number, _)| *number == signal);
    let old = index.and_then(|index| Some(&OLD_ACTIONS.get()?[index]));
    match old {
        Some(old) if old.sa_sigaction != libc::SIG_DFL && old.sa_sigaction != libc::SIG_IGN => {
            // SAFETY: the old handler was installed with the type that its flags say, and gets what the kernel passed.
            unsafe {
                if old.sa_flags & libc::SA_SIGINFO == 0 {
                    let call = core::mem::transmute::<usize, extern "C" fn(libc::c_int)>(old.sa_sigaction);
                    call(signal);
                } else {
                    type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
                    let call = core::mem::transmute::<usize, Handler>(old.sa_sigaction);
                    call(signal, info, core::ptr::from_mut(machine).cast());
                }
            }
        }
        _ => {
            // SAFETY: the default action is put back; returning repeats the fault, which then kills the process.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
}
