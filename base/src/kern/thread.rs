//! Kernel threads: coroutines of an instance, of which one runs at a time.
//!
//! A context is the entry, which is whoever entered the instance and has the thread `lwp0`, or a kernel thread with a stack and an
//! `lwp` of its own. Threads run when the entry lets them: while it sleeps, when it yields, and before it returns. A thread that
//! sleeps, yields or ends goes back to the entry. Between entries all threads are parked where they are.
//!
//! The entry's stack and those of threads may be abandoned by the end of the instance, so a thread belongs to the state here,
//! and no frame that switches owns anything.

use super::errno::{EAGAIN, ENOMEM, EPERM};
use super::panic::{panic_format, panic_message};
use super::{kthread, sleep, time};
use crate::arch::{first_frame, switch_stack};
use crate::kernel::kernel;
use crate::trace;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt::Write;
use core::ptr;
use core::time::Duration;
use rumpload::resource::Reservation;

/// Bytes of a thread's stack. NetBSD gives 12 to 16 KiB; code of the base, when not optimized, needs more.
const STACK: usize = 128 << 10;

/// Bytes of a thread's name, NUL included: NetBSD's `MAXCOMLEN`.
pub(crate) const NAME: usize = 16;

/// Rounds of threads in a row that yield, before an entry returns all the same.
pub(crate) const ROUNDS: usize = 1000;

/// A context, small enough for the word of a lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Id(u8);

impl Id {
    /// The entry.
    pub(crate) const ENTRY: Self = Self(1);

    /// As a number from 1 to 255.
    pub(crate) fn number(self) -> usize {
        usize::from(self.0)
    }

    /// The context of a [`number`](Self::number).
    pub(crate) fn of(number: usize) -> Option<Self> {
        u8::try_from(number).ok().filter(|number| *number != 0).map(Self)
    }

    fn next(self) -> Self {
        Self(self.0.checked_add(1).unwrap_or(Self::ENTRY.0 + 1))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Status {
    /// Made to stay where it is.
    Idle,
    Ready,
    /// Its innermost sleep says when it goes on.
    Asleep,
    Exited,
}

pub(crate) type Function = unsafe extern "C" fn(*mut u8);

struct Thread {
    id: Id,
    /// Rises from thread to thread: the order in which they run.
    serial: i32,
    lwp: *mut u8,
    name: [u8; NAME],
    must_join: bool,
    function: Function,
    argument: *mut u8,
    status: Cell<Status>,
    /// `None` when it has ended.
    stack: RefCell<Option<Reservation>>,
    /// Its stack pointer while it does not run.
    saved: Cell<usize>,
    level: Cell<i32>,
    calls: RefCell<trace::Calls>,
}

/// All kernel threads of a kernel.
pub(crate) struct State {
    // Counted for their addresses, which a running thread and the name in its `lwp` keep; nobody else holds a count.
    threads: RefCell<Vec<Rc<Thread>>>,
    /// The thread that runs; null for the entry.
    running: Cell<*const Thread>,
    me: Cell<Id>,
    /// The last id given.
    last: Cell<Id>,
    serial: Cell<i32>,
    /// Stack pointer of the entry while a thread runs.
    entry: Cell<usize>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            threads: RefCell::default(),
            running: Cell::new(ptr::null()),
            me: Cell::new(Id::ENTRY),
            last: Cell::new(Id::ENTRY),
            // That of `lwp0`.
            serial: Cell::new(1),
            entry: Cell::new(0),
        }
    }
}

impl State {
    /// An id that no thread has, given away as late as possible: a lock that was never released is not taken for a new thread's.
    fn fresh_id(&self) -> Option<Id> {
        let threads = self.threads.borrow();
        let mut id = self.last.get();
        for _ in Id::ENTRY.0..u8::MAX {
            id = id.next();
            if threads.iter().all(|thread| thread.id != id) {
                return Some(id);
            }
        }
        None
    }

    /// The first thread after `serial` that can go on.
    fn next_ready(&self, serial: i32, now: Duration) -> Option<*const Thread> {
        let sleepers = &kernel().kern.sleep;
        let ready = |thread: &&Rc<Thread>| match thread.status.get() {
            Status::Ready => true,
            Status::Asleep => sleepers.can_go(thread.id, now),
            Status::Idle | Status::Exited => false,
        };
        let threads = self.threads.borrow();
        threads.iter().filter(|thread| thread.serial > serial).find(ready).map(Rc::as_ptr)
    }

    /// Frees what a thread that has ended needs no more: its stack, and if nobody is to join it, all.
    fn bury(&self, id: Id) {
        let (stack, gone) = {
            let mut threads = self.threads.borrow_mut();
            let Some(at) = threads.iter().position(|thread| thread.id == id) else { return };
            let stack = threads[at].stack.borrow_mut().take();
            (stack, if threads[at].must_join { None } else { Some(threads.remove(at)) })
        };
        drop(stack);
        if let Some(thread) = gone {
            kthread::free_lwp(thread.lwp);
        }
    }
}

/// The context that runs.
pub(crate) fn current() -> Id {
    kernel().kern.thread.me.get()
}

/// Whether there is any context but the entry.
pub(crate) fn any() -> bool {
    !kernel().kern.thread.threads.borrow().is_empty()
}

/// Whether `id` is a context that has not ended.
pub(crate) fn is_alive(id: Id) -> bool {
    let threads = kernel().kern.thread.threads.borrow();
    id == Id::ENTRY || threads.iter().any(|thread| thread.id == id && thread.status.get() != Status::Exited)
}

/// What a module may be told that would load another one: the registry does one load at a time, and a thread that sleeps in the
/// middle of one would mix it with the entry's.
pub(crate) fn may_load() -> Result<(), i32> {
    if current() == Id::ENTRY { Ok(()) } else { Err(EPERM) }
}

/// Writes who `id` is.
pub(crate) fn describe(id: Id, out: &mut dyn Write) -> core::fmt::Result {
    let threads = kernel().kern.thread.threads.borrow();
    match threads.iter().find(|thread| thread.id == id) {
        Some(thread) => write!(out, "kernel thread \"{}\"", shown(&thread.name)),
        None if id == Id::ENTRY => out.write_str("the entry"),
        None => out.write_str("a kernel thread that has ended"),
    }
}

fn shown(name: &[u8; NAME]) -> core::slice::EscapeAscii<'_> {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(NAME);
    name[..end].escape_ascii()
}

/// Lets every thread that can go on at `now` run once; answers whether there was one. Only the entry may call it.
pub(crate) fn run_ready(now: Duration) -> bool {
    let state = &kernel().kern.thread;
    let mut serial = 0;
    let mut ran = false;
    while let Some(thread) = state.next_ready(serial, now) {
        // SAFETY: a thread stays where it is until it is buried, which the entry does: here.
        unsafe {
            serial = (*thread).serial;
            resume(thread);
            if (*thread).status.get() == Status::Exited {
                state.bury((*thread).id);
            }
        }
        ran = true;
    }
    ran
}

/// Lets threads run until all sleep; threads that only yield, for so many rounds. A thread yields.
pub(crate) fn settle() {
    if current() != Id::ENTRY {
        return suspend(Status::Ready);
    }
    if any() {
        let now = time::monotonic();
        (0..ROUNDS).find(|_| !run_ready(now));
    }
}

/// Lets others run: the threads once.
pub(crate) fn relax() {
    if current() == Id::ENTRY {
        run_ready(time::monotonic());
    } else {
        suspend(Status::Ready);
    }
}

/// Parks the thread that runs until its innermost sleep is over.
pub(crate) fn sleep() {
    suspend(Status::Asleep);
}

/// Runs a thread until it suspends itself.
///
/// # Safety
/// The entry calls it; `thread` is one of the state's, with a stack that was left or prepared.
unsafe fn resume(thread: *const Thread) {
    let kernel = kernel();
    let kern = &kernel.kern;
    // SAFETY: as the caller says; the thread stays until the entry goes on, which is here. The stack that is noted is the one that
    // is entered, and the entry's own when it goes on.
    unsafe {
        let thread = &*thread;
        let entry = kern.process.switch((thread.lwp, thread.level.get()));
        kernel.trace.switch(&thread.calls);
        kern.thread.running.set(thread);
        kern.thread.me.set(thread.id);
        kernel.instance().run_on(thread.stack.borrow().as_ref());
        switch_stack(kern.thread.entry.as_ptr(), thread.saved.get());
        kernel.instance().run_on(None);
        kern.thread.me.set(Id::ENTRY);
        kern.thread.running.set(ptr::null());
        kernel.trace.switch(&thread.calls);
        let (_, level) = kern.process.switch(entry);
        thread.level.set(level);
    }
}

/// Leaves the thread that runs; comes back when the entry resumes it, perhaps in another thread of the server.
fn suspend(status: Status) {
    let state = &kernel().kern.thread;
    // SAFETY: callers know that a thread runs; the entry waits in `resume`, and the thread's stack stays until it has exited.
    unsafe {
        let thread = &*state.running.get();
        thread.status.set(status);
        switch_stack(thread.saved.as_ptr(), state.entry.get());
    }
}

/// Where a thread begins.
extern "C" fn begin() -> ! {
    // SAFETY: a thread runs; module code made it with this function and argument.
    unsafe {
        let thread = kernel().kern.thread.running.get();
        ((*thread).function)((*thread).argument);
        let name = shown(&(*thread).name);
        panic_format(format_args!("kernel thread \"{name}\" returned from its function without kthread_exit"))
    }
}

/// Ends the thread that runs.
pub(crate) fn exit() -> ! {
    let state = &kernel().kern.thread;
    // SAFETY: a thread runs.
    sleep::wake(unsafe { (*state.running.get()).lwp }.addr());
    suspend(Status::Exited);
    panic_message("a kernel thread went on after its end")
}

/// What a thread is made of.
pub(crate) struct Plan {
    /// Its `struct lwp`, which is freed with it.
    pub(crate) lwp: *mut u8,
    pub(crate) name: [u8; NAME],
    pub(crate) function: Function,
    pub(crate) argument: *mut u8,
    /// It stays where it is: nobody sets it going.
    pub(crate) is_idle: bool,
    /// Somebody joins it, who needs to know that it has ended.
    pub(crate) must_join: bool,
}

/// Makes a thread; answers its number, by which users know it, and where its name lies.
pub(crate) fn create(plan: Plan) -> Result<(i32, *const u8), i32> {
    let state = &kernel().kern.thread;
    let id = state.fresh_id().ok_or(EAGAIN)?;
    let serial = state.serial.get().checked_add(1).ok_or(EAGAIN)?;
    let stack = kernel().instance().new_stack(STACK).map_err(|_| ENOMEM)?;
    let top = (stack.run().get() as usize + stack.len()) & !63;
    // SAFETY: the stack is fresh, and much larger than the frame.
    let saved = unsafe { first_frame(top, begin) };
    let Plan { lwp, name, function, argument, is_idle, must_join } = plan;
    let thread = Rc::new(Thread {
        id,
        serial,
        lwp,
        name,
        must_join,
        function,
        argument,
        status: Cell::new(if is_idle { Status::Idle } else { Status::Ready }),
        stack: RefCell::new(Some(stack)),
        saved: Cell::new(saved),
        level: Cell::new(0),
        calls: RefCell::default(),
    });
    let name = thread.name.as_ptr();
    state.last.set(id);
    state.serial.set(serial);
    state.threads.borrow_mut().push(thread);
    Ok((serial, name))
}

/// What is known of a thread that was made to be joined or not.
pub(crate) struct Known {
    pub(crate) id: Id,
    pub(crate) must_join: bool,
}

/// The thread of an `lwp`.
pub(crate) fn of_lwp(lwp: *mut u8) -> Option<Known> {
    let threads = kernel().kern.thread.threads.borrow();
    let thread = threads.iter().find(|thread| thread.lwp == lwp)?;
    Some(Known { id: thread.id, must_join: thread.must_join })
}

/// Number of the thread that runs; `None` for the entry.
pub(crate) fn running() -> Option<i32> {
    let running = kernel().kern.thread.running.get();
    // SAFETY: a thread that runs stays until the entry goes on.
    (!running.is_null()).then(|| unsafe { (*running).serial })
}

/// Forgets a thread that has ended and was to be joined.
pub(crate) fn forget(id: Id) {
    let gone = {
        let mut threads = kernel().kern.thread.threads.borrow_mut();
        threads.iter().position(|thread| thread.id == id).map(|at| threads.remove(at))
    };
    if let Some(thread) = gone {
        kthread::free_lwp(thread.lwp);
    }
}
