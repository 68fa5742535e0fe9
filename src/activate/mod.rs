//! Stage 6, activate: entering and leaving module code.
//!
//! Module code runs on a stack that its instance owns, with the thread's context word set. [`Entry::leave`] abandons that stack
//! from any depth and makes the outermost entry return; nothing on it is dropped, which is why whatever must be freed belongs
//! to the instance before module code is called.

mod backtrace;
mod switch;

pub use backtrace::StackPoint;
pub(crate) use backtrace::{Stack, follows_call};

use crate::address::{RunAddr, align_up};
use crate::resource::{Clock, HostError, Memory, Placement, Protection, Request, Reservation, Segment};
use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use spin::Mutex;

unsafe extern "C" {
    /// The calling thread's context word: defined by the platform, zero at first, valid as long as the thread lives.
    fn rumpload_context() -> *mut usize;
}

/// The value of the calling thread's context word: what the instance it is inside of was given by
/// [`Instance::set_context`](crate::Instance::set_context), or 0 outside.
#[must_use]
pub fn context() -> usize {
    // SAFETY: the platform's contract: the pointer is valid for the calling thread, and only that thread uses the word.
    unsafe { rumpload_context().read() }
}

/// Why an instance can no longer be entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended(pub String);

/// The way into an instance: its lock, its stack, and the way out.
pub(crate) struct Entry {
    /// Address of the context word of the thread inside; 0 if none is. Addresses of words tell threads apart.
    owner: AtomicUsize,
    /// Stack pointer to return to when the stack is abandoned; meaningful while a thread is inside.
    saved: AtomicUsize,
    ended: Mutex<Option<Ended>>,
    stack: Reservation,
    /// First address and bytes of the stack that the thread inside runs on, guard page included.
    current: [AtomicUsize; 2],
}

/// A stack of `size` bytes, rounded up to pages, above one inaccessible page.
pub(crate) fn new_stack(memory: &Arc<dyn Memory>, size: usize) -> Result<Reservation, HostError> {
    let page = memory.page_size();
    let invalid = HostError::new(crate::resource::HostErrorKind::InvalidInput);
    let size = align_up(size, page).ok_or(invalid)?;
    let len = size.checked_add(page).ok_or(invalid)?;
    let mut stack = Reservation::new(memory, &Request { len, align: page, placement: Placement::Anywhere })?;
    stack.finalize(&[
        Segment { offset: 0, len: page, protection: Protection::None },
        Segment { offset: page, len: size, protection: Protection::ReadWrite },
    ])?;
    Ok(stack)
}

/// What runs on the instance's stack: the work, then what is to be done before the way out.
struct Job<F, S, R> {
    work: Option<(F, S)>,
    result: Option<R>,
    is_done: bool,
}

unsafe extern "C" fn run<F: FnOnce() -> R, S: FnOnce(), R>(job: *mut ()) {
    // SAFETY: `enter` passes a pointer to its own `Job<F, S, R>`, which outlives the switch.
    let job = unsafe { &mut *job.cast::<Job<F, S, R>>() };
    if let Some((work, settle)) = job.work.take() {
        // Kept outside of this stack, which may be abandoned by what follows.
        job.result = Some(work());
        settle();
        job.is_done = true;
    }
}

impl Entry {
    /// An entry with a fresh stack of `stack_size` bytes above one inaccessible page.
    pub fn new(memory: &Arc<dyn Memory>, stack_size: usize) -> Result<Self, HostError> {
        let stack = new_stack(memory, stack_size)?;
        let current = [AtomicUsize::new(0), AtomicUsize::new(0)];
        let entry = Self { owner: AtomicUsize::new(0), saved: AtomicUsize::new(0), ended: Mutex::new(None), stack, current };
        entry.run_on(None);
        Ok(entry)
    }

    /// Runs `work` inside, then `settle`: alone, with the context word set to `context`, on the instance's stack. A thread that
    /// is inside already just runs `work`. Waits for another thread to get out.
    pub fn enter<R>(
        &self,
        context: usize,
        clock: &dyn Clock,
        refresh: impl FnOnce(),
        work: impl FnOnce() -> R,
        settle: impl FnOnce(),
    ) -> Result<R, Ended> {
        // SAFETY: the platform's contract for `rumpload_context`.
        let word = unsafe { rumpload_context() };
        let me = word as usize;
        if self.owner.load(Ordering::Relaxed) == me {
            if self::context() == context {
                // Nothing to put back: a kernel's own thread that sleeps in here may go on in another thread of the server.
                return Ok(work());
            }
            let _set = ContextWord::set(word, context);
            return Ok(work());
        }
        let mut tries = 0_u32;
        while self.owner.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed).is_err() {
            tries = tries.saturating_add(1);
            if tries < 100 || clock.sleep(Duration::from_micros(50)).is_err() {
                core::hint::spin_loop();
            }
        }
        let _out = Out(&self.owner);
        if let Some(ended) = self.ended.lock().clone() {
            return Err(ended);
        }
        let _set = ContextWord::set(word, context);
        refresh();
        self.run_on(None);
        let mut job = Job { work: Some((work, settle)), result: None, is_done: false };
        let top = (self.stack.run().get() as usize + self.stack.len()) & !63;
        // SAFETY: the stack is finalized read-write and belongs to this entry, which one thread is inside of; `run` gets the job
        // of its own type, which outlives the call.
        unsafe { switch::switch(entry_of(&job), (&raw mut job).cast(), top, self.saved.as_ptr()) };
        match job.result {
            Some(result) if job.is_done => Ok(result),
            _ => Err(self.ended.lock().clone().unwrap_or_else(|| Ended("it left without a reason".into()))),
        }
    }

    /// Whether the calling thread is inside.
    pub fn is_inside(&self) -> bool {
        // SAFETY: the platform's contract for `rumpload_context`.
        self.owner.load(Ordering::Relaxed) == unsafe { rumpload_context() } as usize
    }

    /// Why the instance has ended, if it has.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.lock().clone()
    }

    /// First address and bytes of the stack that the thread inside runs on, guard page included.
    pub fn stack(&self) -> (RunAddr, usize) {
        let [start, len] = &self.current;
        (RunAddr::new(start.load(Ordering::Relaxed) as u64), len.load(Ordering::Relaxed))
    }

    /// Notes which stack the thread inside runs on: one of [`new_stack`], or the entry's own for `None`.
    pub fn run_on(&self, stack: Option<&Reservation>) {
        let stack = stack.unwrap_or(&self.stack);
        self.current[0].store(stack.run().get() as usize, Ordering::Relaxed);
        self.current[1].store(stack.len(), Ordering::Relaxed);
    }

    /// Ends the instance for good and returns from the outermost `enter`.
    ///
    /// # Safety
    /// The calling thread must be inside, on a stack of the instance; no frame between here and the entry may hold a lock or a
    /// borrow that anybody will want again.
    pub unsafe fn leave(&self, reason: String) -> ! {
        *self.ended.lock() = Some(Ended(reason));
        // SAFETY: the caller is inside, so `saved` holds the stack pointer of the switch that is still waiting.
        unsafe { switch::leave(self.saved.load(Ordering::Relaxed)) }
    }

    /// Where [`leave`](Self::leave) would go, for a fault handler that has to get there by itself.
    pub fn way_out(&self) -> (usize, usize) {
        (switch::leave as *const () as usize, self.saved.load(Ordering::Relaxed))
    }

    /// Marks the instance as ended without leaving, for a fault handler.
    pub fn mark_ended(&self, reason: String) {
        if let Some(mut ended) = self.ended.try_lock() {
            *ended = Some(Ended(reason));
        }
    }
}

/// The instance of [`run`] for the types of `job`.
fn entry_of<F: FnOnce() -> R, S: FnOnce(), R>(_job: &Job<F, S, R>) -> unsafe extern "C" fn(*mut ()) {
    run::<F, S, R>
}

/// Sets a thread's context word and puts the old value back.
struct ContextWord {
    word: *mut usize,
    old: usize,
}

impl ContextWord {
    fn set(word: *mut usize, value: usize) -> Self {
        // SAFETY: the platform's contract: `word` is valid for the calling thread, which is the only one to use it.
        let old = unsafe { word.replace(value) };
        Self { word, old }
    }
}

impl Drop for ContextWord {
    fn drop(&mut self) {
        // SAFETY: as in `set`; a `ContextWord` never leaves its thread's stack.
        unsafe { self.word.write(self.old) }
    }
}

/// Lets the next thread in.
struct Out<'a>(&'a AtomicUsize);

impl Drop for Out<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

/// Calls a module's control routine.
///
/// # Safety
/// `modcmd` must be the run address of a finalized module's control routine, `int (modcmd_t, void *)`, of the running machine;
/// `argument` must be what the command documents; the calling thread must be inside the module's instance.
pub(crate) unsafe fn call_modcmd(modcmd: RunAddr, command: i32, argument: usize) -> i32 {
    type Modcmd = unsafe extern "C" fn(i32, usize) -> i32;
    // SAFETY: the caller vouches for the address and the type.
    let modcmd = unsafe { core::mem::transmute::<*const (), Modcmd>(core::ptr::with_exposed_provenance(modcmd.get() as usize)) };
    // SAFETY: as above.
    unsafe { modcmd(command, argument) }
}
