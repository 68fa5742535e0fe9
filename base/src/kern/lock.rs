//! Mutexes and read/write locks.
//!
//! One context at a time runs, so a lock is free, or the context that asks holds it already and would wait for itself, or one
//! that sleeps holds it: then others run until it is free, and if nobody can, the instance ends with the name of the deadlock.
//! The state is kept for the checks modules make and for the ones NetBSD makes: misuse ends the instance. A lock is one word in the
//! module's own memory, tagged so that memory which is no lock is noticed.

use super::panic::panic_format;
use super::printf::Line;
use super::thread::{self, Id};
use super::{memory, sleep};
use crate::export::{Export, function};
use core::fmt::Write;
use core::ptr;

const MUTEX: usize = 0x6d74_7800;
const RWLOCK: usize = 0x7277_0000;
/// Whoever holds a mutex is in the bits below its tag.
const OWNER: usize = 0xff;
const WRITTEN: usize = 1;
const RW_WRITER: i32 = crate::abi::constants::RW_WRITER;
/// Readers are counted, or the writer is noted, in the bits between the writer's bit and the tag.
const READER: usize = 2;
const READERS: usize = 0xfffe;

/// What becomes of a lock that is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Taken<T> {
    /// Its new word.
    Now(T),
    /// Another context holds it; a reader is not known.
    Later(Option<Id>),
}

/// The word of a mutex; transitions answer the new word or what is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mutex(usize);

impl Mutex {
    const FREE: Self = Self(MUTEX);

    fn owner(self) -> Option<Id> {
        if self.0 & !OWNER == MUTEX { Id::of(self.0 & OWNER) } else { None }
    }

    fn checked(self) -> Result<Self, &'static str> {
        if self.0 & !OWNER == MUTEX { Ok(self) } else { Err("it is not initialised") }
    }

    fn enter(self, me: Id) -> Result<Taken<Self>, &'static str> {
        match self.checked()?.owner() {
            None => Ok(Taken::Now(Self(MUTEX | me.number()))),
            Some(owner) if owner == me => Err("the thread holds it already"),
            other => Ok(Taken::Later(other)),
        }
    }

    fn exit(self, me: Id) -> Result<Self, &'static str> {
        match self.checked()?.owner() {
            None => Err("it is not held"),
            Some(owner) if owner == me => Ok(Self::FREE),
            Some(_) => Err("another thread holds it"),
        }
    }

    fn destroy(self) -> Result<(), &'static str> {
        if self.checked()?.owner().is_some() { Err("it is held") } else { Ok(()) }
    }
}

/// The word of a read/write lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rwlock(usize);

impl Rwlock {
    const FREE: Self = Self(RWLOCK);

    fn written_by(me: Id) -> Self {
        Self(RWLOCK | (me.number() * READER) | WRITTEN)
    }

    fn checked(self) -> Result<Self, &'static str> {
        if self.0 & !(READERS | WRITTEN) == RWLOCK { Ok(self) } else { Err("it is not initialised") }
    }

    fn writer(self) -> Option<Id> {
        if self.0 & !READERS == RWLOCK | WRITTEN { Id::of((self.0 & READERS) / READER) } else { None }
    }

    fn readers(self) -> usize {
        if self.0 & !READERS == RWLOCK { (self.0 & READERS) / READER } else { 0 }
    }

    fn read(self, me: Id) -> Result<Taken<Self>, &'static str> {
        match self.checked()?.writer() {
            Some(writer) if writer == me => Err("the thread holds it for writing already"),
            Some(writer) => Ok(Taken::Later(Some(writer))),
            None if self.0 & READERS == READERS => Err("it has too many readers"),
            None => Ok(Taken::Now(Self(self.0 + READER))),
        }
    }

    /// Readers are not known: if there is `nobody_else`, the one who asks is a reader.
    fn write(self, me: Id, nobody_else: bool) -> Result<Taken<Self>, &'static str> {
        match self.checked()?.writer() {
            Some(writer) if writer == me => Err("the thread holds it for writing already"),
            Some(writer) => Ok(Taken::Later(Some(writer))),
            None if self == Self::FREE => Ok(Taken::Now(Self::written_by(me))),
            None if nobody_else => Err("the thread holds it for reading already"),
            None => Ok(Taken::Later(None)),
        }
    }

    fn exit(self, me: Id) -> Result<Self, &'static str> {
        match self.checked()?.writer() {
            Some(writer) if writer == me => Ok(Self::FREE),
            Some(_) => Err("another thread holds it for writing"),
            None if self == Self::FREE => Err("it is not held"),
            None => Ok(Self(self.0 - READER)),
        }
    }

    fn upgrade(self, me: Id) -> Result<Option<Self>, &'static str> {
        match self.checked()?.readers() {
            0 => Err("it is not held for reading"),
            1 => Ok(Some(Self::written_by(me))),
            _ => Ok(None),
        }
    }

    fn downgrade(self, me: Id) -> Result<Self, &'static str> {
        if self.checked()?.writer() == Some(me) { Ok(Self(RWLOCK + READER)) } else { Err("it is not held for writing") }
    }
}

/// Lets others run until `lock` may be free. `owner` holds it, as far as that is known.
fn wait(call: &str, lock: *const u8, owner: Option<Id>) {
    let mut who = Line::new();
    // A line that is too long is cut.
    let _ = match owner {
        Some(owner) => thread::describe(owner, &mut who),
        None => who.write_str("a reader"),
    };
    if owner.is_some_and(|owner| !thread::is_alive(owner)) {
        panic_format(format_args!("{call} of lock {lock:p}: {} holds it", who.as_str()));
    }
    let who = who.as_str();
    sleep::wait_for(lock.addr(), None, format_args!("{call} of lock {lock:p}: {who} holds it and sleeps, a deadlock"));
}

/// The answer of a transition; misuse ends the instance.
fn accept<T>(call: &str, lock: *const u8, answer: Result<T, &'static str>) -> T {
    answer.unwrap_or_else(|what| panic_format(format_args!("{call} of lock {lock:p}: {what}")))
}

/// # Safety
/// `lock` must point to a lock's word.
unsafe fn mutex(lock: *const u8) -> Mutex {
    // SAFETY: as the caller says.
    Mutex(unsafe { lock.cast::<usize>().read_unaligned() })
}

/// # Safety
/// As [`mutex`], writable.
unsafe fn set(lock: *mut u8, word: usize) {
    // SAFETY: as the caller says.
    unsafe { lock.cast::<usize>().write_unaligned(word) }
}

/// Makes a free mutex of the word at `lock`. Type and interrupt level change nothing here.
///
/// # Safety
/// `lock` must point to a writable word.
pub(crate) unsafe extern "C" fn mutex_init(lock: *mut u8, _kind: i32, _ipl: i32) {
    // SAFETY: as the caller says.
    unsafe { set(lock, Mutex::FREE.0) }
}

/// Ends a mutex's life. It must be free.
///
/// # Safety
/// `lock` must point to a writable word.
pub(crate) unsafe extern "C" fn mutex_destroy(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe {
        accept("mutex_destroy", lock, mutex(lock).destroy());
        set(lock, 0);
    }
}

/// Locks; lets others run while another context holds the mutex.
///
/// # Safety
/// `lock` must point to a mutex.
pub(crate) unsafe extern "C" fn mutex_enter(lock: *mut u8) {
    let me = thread::current();
    loop {
        // SAFETY: as the caller says.
        match accept("mutex_enter", lock, unsafe { mutex(lock) }.enter(me)) {
            // SAFETY: as the caller says.
            Taken::Now(word) => return unsafe { set(lock, word.0) },
            Taken::Later(owner) => wait("mutex_enter", lock, owner),
        }
    }
}

/// Unlocks.
///
/// # Safety
/// `lock` must point to a mutex.
pub(crate) unsafe extern "C" fn mutex_exit(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { set(lock, accept("mutex_exit", lock, mutex(lock).exit(thread::current())).0) }
    sleep::wake_lock(lock);
}

/// Locks if the mutex is free; answers whether it did.
///
/// # Safety
/// `lock` must point to a mutex.
pub(crate) unsafe extern "C" fn mutex_tryenter(lock: *mut u8) -> i32 {
    // SAFETY: as the caller says.
    unsafe {
        if accept("mutex_tryenter", lock, mutex(lock).checked()).owner().is_some() {
            return 0;
        }
        mutex_enter(lock);
    }
    1
}

/// Whether the thread holds the mutex.
///
/// # Safety
/// `lock` must point to a mutex.
pub(crate) unsafe extern "C" fn mutex_owned(lock: *const u8) -> i32 {
    // SAFETY: as the caller says.
    i32::from(unsafe { mutex(lock) }.owner() == Some(thread::current()))
}

/// A mutex with a reference count behind it.
#[repr(C)]
struct Counted {
    lock: usize,
    references: u32,
    mark: u32,
}

const COUNTED: u32 = 0x6d6f_626a;

/// # Safety
/// `lock` must come from [`mutex_obj_alloc`] or [`rw_obj_alloc`].
unsafe fn counted<'a>(call: &str, lock: *mut u8) -> &'a mut Counted {
    // SAFETY: as the caller says; the mark tells whether it is so.
    let object = unsafe { &mut *lock.cast::<Counted>() };
    if object.mark != COUNTED || object.references == 0 {
        panic_format(format_args!("{call} of lock {lock:p}: it is not a counted lock"));
    }
    object
}

fn obj_alloc(lock: usize) -> *mut u8 {
    let object = memory::alloc_or_end(size_of::<Counted>(), true).cast::<Counted>();
    // SAFETY: fresh memory of the object's size.
    unsafe { object.write(Counted { lock, references: 1, mark: COUNTED }) };
    object.cast()
}

/// Drops a reference; answers whether it was the last.
///
/// # Safety
/// As [`counted`].
unsafe fn obj_release(call: &str, lock: *mut u8) -> bool {
    // SAFETY: as the caller says.
    let object = unsafe { counted(call, lock) };
    object.references -= 1;
    object.references == 0
}

/// A free mutex with one reference.
pub(crate) extern "C" fn mutex_obj_alloc(_kind: i32, _ipl: i32) -> *mut u8 {
    obj_alloc(Mutex::FREE.0)
}

/// Takes a reference.
///
/// # Safety
/// `lock` must come from [`mutex_obj_alloc`].
pub(crate) unsafe extern "C" fn mutex_obj_hold(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { counted("mutex_obj_hold", lock) }.references += 1;
}

/// Drops a reference; the last one frees the mutex. Answers whether it was the last.
///
/// # Safety
/// `lock` must come from [`mutex_obj_alloc`].
pub(crate) unsafe extern "C" fn mutex_obj_free(lock: *mut u8) -> bool {
    // SAFETY: as the caller says; with the last reference nobody uses the memory any more.
    unsafe {
        let last = obj_release("mutex_obj_free", lock);
        if last {
            mutex_destroy(lock);
            (*lock.cast::<Counted>()).mark = 0;
            memory::free(lock);
        }
        last
    }
}

unsafe extern "C" fn obj_refcnt(lock: *mut u8) -> u32 {
    // SAFETY: module code passes a counted lock.
    unsafe { counted("mutex_obj_refcnt", lock) }.references
}

/// # Safety
/// `lock` must point to a lock's word.
unsafe fn rwlock(lock: *const u8) -> Rwlock {
    // SAFETY: as the caller says.
    Rwlock(unsafe { lock.cast::<usize>().read_unaligned() })
}

/// Makes a free read/write lock of the word at `lock`.
///
/// # Safety
/// `lock` must point to a writable word.
pub(crate) unsafe extern "C" fn rw_init(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { set(lock, Rwlock::FREE.0) }
}

/// Ends the life of a read/write lock. It must be free.
///
/// # Safety
/// `lock` must point to a read/write lock.
pub(crate) unsafe extern "C" fn rw_destroy(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe {
        if accept("rw_destroy", lock, rwlock(lock).checked()) != Rwlock::FREE {
            panic_format(format_args!("rw_destroy of lock {lock:p}: it is held"));
        }
        set(lock, 0);
    }
}

fn take(word: Rwlock, how: i32) -> Result<Taken<Rwlock>, &'static str> {
    let me = thread::current();
    if how == RW_WRITER { word.write(me, !thread::any()) } else { word.read(me) }
}

/// Locks for reading or writing; lets others run while another context holds the lock.
///
/// # Safety
/// `lock` must point to a read/write lock.
pub(crate) unsafe extern "C" fn rw_enter(lock: *mut u8, how: i32) {
    loop {
        // SAFETY: as the caller says.
        match accept("rw_enter", lock, take(unsafe { rwlock(lock) }, how)) {
            // SAFETY: as the caller says.
            Taken::Now(word) => return unsafe { set(lock, word.0) },
            Taken::Later(owner) => wait("rw_enter", lock, owner),
        }
    }
}

/// Locks if that is possible at once; answers whether it did.
///
/// # Safety
/// `lock` must point to a read/write lock.
pub(crate) unsafe extern "C" fn rw_tryenter(lock: *mut u8, how: i32) -> i32 {
    // SAFETY: as the caller says.
    unsafe {
        let word = accept("rw_tryenter", lock, rwlock(lock).checked());
        match take(word, how) {
            Ok(Taken::Now(new)) => {
                set(lock, new.0);
                1
            }
            Ok(Taken::Later(_)) | Err(_) => 0,
        }
    }
}

/// Unlocks.
///
/// # Safety
/// `lock` must point to a read/write lock.
pub(crate) unsafe extern "C" fn rw_exit(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { set(lock, accept("rw_exit", lock, rwlock(lock).exit(thread::current())).0) }
    sleep::wake_lock(lock);
}

unsafe extern "C" fn rw_tryupgrade(lock: *mut u8) -> i32 {
    // SAFETY: module code passes a read/write lock.
    unsafe {
        accept("rw_tryupgrade", lock, rwlock(lock).upgrade(thread::current())).map_or(0, |new| {
            set(lock, new.0);
            1
        })
    }
}

unsafe extern "C" fn rw_downgrade(lock: *mut u8) {
    // SAFETY: module code passes a read/write lock.
    unsafe { set(lock, accept("rw_downgrade", lock, rwlock(lock).downgrade(thread::current())).0) }
    sleep::wake_lock(lock);
}

unsafe extern "C" fn rw_read_held(lock: *const u8) -> i32 {
    // SAFETY: module code passes a read/write lock.
    i32::from(!lock.is_null() && unsafe { rwlock(lock) }.readers() > 0)
}

/// Whether the thread holds the lock for writing.
///
/// # Safety
/// `lock` must be null or point to a read/write lock.
pub(crate) unsafe extern "C" fn rw_write_held(lock: *const u8) -> i32 {
    // SAFETY: as the caller says.
    i32::from(!lock.is_null() && unsafe { rwlock(lock) }.writer() == Some(thread::current()))
}

unsafe extern "C" fn rw_lock_held(lock: *const u8) -> i32 {
    // SAFETY: module code passes a read/write lock.
    unsafe { rw_read_held(lock) | i32::from(!lock.is_null() && rwlock(lock).writer().is_some()) }
}

unsafe extern "C" fn rw_lock_op(lock: *const u8) -> i32 {
    // SAFETY: module code passes a read/write lock that it holds.
    unsafe { rw_write_held(lock) }
}

/// A free read/write lock with one reference.
pub(crate) extern "C" fn rw_obj_alloc() -> *mut u8 {
    obj_alloc(Rwlock::FREE.0)
}

/// As [`mutex_obj_free`] for a lock of [`rw_obj_alloc`].
///
/// # Safety
/// `lock` must come from [`rw_obj_alloc`].
pub(crate) unsafe extern "C" fn rw_obj_free(lock: *mut u8) -> bool {
    // SAFETY: as the caller says; with the last reference nobody uses the memory any more.
    unsafe {
        let last = obj_release("rw_obj_free", lock);
        if last {
            rw_destroy(lock);
            (*lock.cast::<Counted>()).mark = 0;
            memory::free(lock);
        }
        last
    }
}

/// The big kernel lock: the instance itself, which whoever runs holds.
unsafe extern "C" fn kernel_lock(_count: i32) {}

unsafe extern "C" fn kernel_unlock(_count: i32, held: *mut i32) {
    if !held.is_null() {
        // SAFETY: module code passes null or an int.
        unsafe { ptr::write(held, 1) };
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("mutex_init", mutex_init),
    function!("_mutex_init", mutex_init),
    function!("mutex_destroy", mutex_destroy),
    function!("mutex_enter", mutex_enter),
    function!("mutex_exit", mutex_exit),
    function!("mutex_spin_enter", mutex_enter),
    function!("mutex_spin_exit", mutex_exit),
    function!("mutex_tryenter", mutex_tryenter),
    function!("mutex_owned", mutex_owned),
    function!("mutex_ownable", mutex_ownable),
    function!("mutex_obj_alloc", mutex_obj_alloc),
    function!("mutex_obj_hold", mutex_obj_hold),
    function!("mutex_obj_free", mutex_obj_free),
    function!("mutex_obj_refcnt", obj_refcnt),
    function!("rw_init", rw_init),
    function!("_rw_init", rw_init),
    function!("rw_destroy", rw_destroy),
    function!("rw_enter", rw_enter),
    function!("rw_tryenter", rw_tryenter),
    function!("rw_exit", rw_exit),
    function!("rw_tryupgrade", rw_tryupgrade),
    function!("rw_downgrade", rw_downgrade),
    function!("rw_read_held", rw_read_held),
    function!("rw_write_held", rw_write_held),
    function!("rw_lock_held", rw_lock_held),
    function!("rw_lock_op", rw_lock_op),
    function!("rw_obj_alloc", rw_obj_alloc),
    function!("rw_obj_hold", mutex_obj_hold),
    function!("rw_obj_free", rw_obj_free),
    function!("rw_obj_refcnt", obj_refcnt),
    function!("_kernel_lock", kernel_lock),
    function!("_kernel_unlock", kernel_unlock),
];

/// Ends the instance if the thread holds the mutex; otherwise 1, as debug kernels answer.
unsafe extern "C" fn mutex_ownable(lock: *const u8) -> i32 {
    // SAFETY: module code passes a mutex.
    accept("mutex_ownable", lock, unsafe { mutex(lock) }.enter(thread::current()));
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kernel;
    use crate::testing::Bench;

    const ME: Id = Id::ENTRY;

    fn other() -> Id {
        Id::of(255).unwrap()
    }

    fn now<T>(taken: Result<Taken<T>, &'static str>) -> T {
        match taken {
            Ok(Taken::Now(word)) => word,
            Ok(Taken::Later(_)) => panic!("it is held"),
            Err(what) => panic!("{what}"),
        }
    }

    #[test]
    fn a_mutex_is_held_once() {
        let held = now(Mutex::FREE.enter(ME));
        assert_eq!((held.owner(), Mutex::FREE.owner()), (Some(ME), None));
        assert!(held.enter(ME).is_err());
        assert_eq!(held.enter(other()), Ok(Taken::Later(Some(ME))));
        assert!(held.destroy().is_err());
        assert!(held.exit(other()).is_err());
        assert_eq!(held.exit(ME), Ok(Mutex::FREE));
        assert!(Mutex::FREE.exit(ME).is_err());
        assert!(Mutex(0).enter(ME).is_err());
        assert!(Mutex(!0).exit(ME).is_err());
        assert_eq!(Mutex(ME.number()).owner(), None);
        assert_eq!(now(Mutex::FREE.enter(other())).owner(), Some(other()));
    }

    #[test]
    fn a_rwlock_has_readers_or_a_writer() {
        let one = now(Rwlock::FREE.read(ME));
        let two = now(one.read(other()));
        assert_eq!(two.readers(), 2);
        assert!(one.write(ME, true).is_err());
        assert_eq!(one.write(ME, false), Ok(Taken::Later(None)));
        assert_eq!(two.upgrade(ME), Ok(None));
        assert_eq!(two.exit(ME), Ok(one));
        let written = one.upgrade(ME).unwrap().unwrap();
        assert_eq!((written.writer(), written.readers()), (Some(ME), 0));
        assert!(written.read(ME).is_err() && written.write(ME, false).is_err());
        assert_eq!(written.read(other()), Ok(Taken::Later(Some(ME))));
        assert_eq!(written.write(other(), false), Ok(Taken::Later(Some(ME))));
        assert!(written.exit(other()).is_err() && written.downgrade(other()).is_err());
        assert_eq!(written.downgrade(ME), Ok(one));
        assert_eq!(written.exit(ME), Ok(Rwlock::FREE));
        assert!(Rwlock::FREE.exit(ME).is_err() && Rwlock::FREE.upgrade(ME).is_err() && one.downgrade(ME).is_err());
        assert!(Rwlock(MUTEX).read(ME).is_err());
        assert_eq!(Rwlock(MUTEX | READER).readers(), 0);
        assert!(Rwlock(RWLOCK | READERS).read(ME).is_err());
    }

    #[test]
    fn misuse_ends_the_instance() {
        let mut word = 0_usize;
        let lock = (&raw mut word).cast();
        let bench = Bench::new();
        bench.inside(|| {
            // SAFETY: the word lives as long as the test.
            unsafe {
                mutex_init(lock, 0, 0);
                mutex_enter(lock);
                assert_eq!((mutex_owned(lock), mutex_tryenter(lock)), (1, 0));
                mutex_exit(lock);
                assert_eq!(mutex_owned(lock), 0);
            }
        });
        // SAFETY: as above.
        assert!(bench.ends(|| unsafe { mutex_exit(lock) }).ends_with("it is not held"));
    }

    #[test]
    fn a_counted_lock_goes_with_its_last_reference() {
        let bench = Bench::new();
        bench.inside(|| {
            let blocks = kernel().kern.memory.usage().blocks;
            let lock = mutex_obj_alloc(0, 0);
            // SAFETY: a counted lock, used while it has references.
            unsafe {
                mutex_obj_hold(lock);
                assert!(!mutex_obj_free(lock));
                mutex_enter(lock);
                assert_eq!(mutex_owned(lock), 1);
                mutex_exit(lock);
                assert!(mutex_obj_free(lock));
            }
            assert_eq!(kernel().kern.memory.usage().blocks, blocks);
        });
    }
}
