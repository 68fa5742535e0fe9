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
}

/// What runs on the instance's stack.
struct Job<F, R> {
    work: Option<F>,
    result: Option<R>,
}

unsafe extern "C" fn run<F: FnOnce() -> R, R>(job: *mut ()) {
    // SAFETY: `enter` passes a pointer to its own `Job<F, R>`, which outlives the switch.
    let job = unsafe { &mut *job.cast::<Job<F, R>>() };
    if let Some(work) = job.work.take() {
        job.result = Some(work());
    }
}

impl Entry {
    /// An entry with a fresh stack of `stack_size` bytes above one inaccessible page.
    pub fn new(memory: &Arc<dyn Memory>, stack_size: usize) -> Result<Self, HostError> {
        let page = memory.page_size();
        let invalid = HostError::new(crate::resource::HostErrorKind::InvalidInput);
        let size = align_up(stack_size, page).ok_or(invalid)?;
        let len = size.checked_add(page).ok_or(invalid)?;
        let mut stack = Reservation::new(memory, &Request { len, align: page, placement: Placement::Anywhere })?;
        stack.finalize(&[
            Segment { offset: 0, len: page, protection: Protection::None },
            Segment { offset: page, len: size, protection: Protection::ReadWrite },
        ])?;
        Ok(Self { owner: AtomicUsize::new(0), saved: AtomicUsize::new(0), ended: Mutex::new(None), stack })
    }

    /// Runs `work` inside: alone, with the context word set to `context`, on the instance's stack. A thread that is inside
    /// already just runs it. Waits for another thread to get out.
    pub fn enter<R>(
        &self,
        context: usize,
        clock: &dyn Clock,
        refresh: impl FnOnce(),
        work: impl FnOnce() -> R,
    ) -> Result<R, Ended> {
        // SAFETY: the platform's contract for `rumpload_context`.
        let word = unsafe { rumpload_context() };
        let me = word as usize;
        if self.owner.load(Ordering::Relaxed) == me {
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
        let mut job = Job { work: Some(work), result: None };
        let top = (self.stack.run().get() as usize + self.stack.len()) & !63;
        // SAFETY: the stack is finalized read-write and belongs to this entry, which one thread is inside of; `run` gets the job
        // of its own type, which outlives the call.
        unsafe { switch::switch(entry_of(&job), (&raw mut job).cast(), top, self.saved.as_ptr()) };
        match job.result {
            Some(result) => Ok(result),
            None => Err(self.ended.lock().clone().unwrap_or_else(|| Ended("it left without a reason".into()))),
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

    /// The stack's first and last address, guard page excluded.
    pub fn stack(&self) -> (RunAddr, usize) {
        (self.stack.run(), self.stack.len())
    }

    /// Ends the instance for good and returns from the outermost `enter`.
    ///
    /// # Safety
    /// The calling thread must be inside, on the instance's stack; no frame between here and the entry may hold a lock or a
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
fn entry_of<F: FnOnce() -> R, R>(_job: &Job<F, R>) -> unsafe extern "C" fn(*mut ()) {
    run::<F, R>
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
