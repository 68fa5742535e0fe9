//! Mutexes and read/write locks.
//!
//! One thread at a time is inside an instance, so a lock is never waited for: it is free, or the thread that asks holds it
//! already and would wait for itself. The state is kept for the checks modules make and for the ones NetBSD makes: misuse ends
//! the instance. A lock is one word in the module's own memory, tagged so that memory which is no lock is noticed.

use super::memory;
use super::panic::panic_format;
use crate::export::{Export, function};
use core::ptr;

const MUTEX: usize = 0x6d74_7800;
const RWLOCK: usize = 0x7277_0000;
const HELD: usize = 1;
const RW_WRITER: i32 = crate::abi::constants::RW_WRITER;
/// Readers are counted in the bits between the writer's bit and the tag.
const READER: usize = 2;
const READERS: usize = 0xfffe;

/// The word of a mutex; transitions answer the new word or what is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Mutex(usize);

impl Mutex {
    const FREE: Self = Self(MUTEX);

    fn is_held(self) -> bool {
        self.0 == MUTEX | HELD
    }

    fn checked(self) -> Result<Self, &'static str> {
        if self.0 & !HELD == MUTEX { Ok(self) } else { Err("it is not initialised") }
    }

    fn enter(self) -> Result<Self, &'static str> {
        if self.checked()?.is_held() { Err("the thread holds it already") } else { Ok(Self(MUTEX | HELD)) }
    }

    fn exit(self) -> Result<Self, &'static str> {
        if self.checked()?.is_held() { Ok(Self::FREE) } else { Err("it is not held") }
    }

    fn destroy(self) -> Result<(), &'static str> {
        if self.checked()?.is_held() { Err("it is held") } else { Ok(()) }
    }
}

/// The word of a read/write lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rwlock(usize);

impl Rwlock {
    const FREE: Self = Self(RWLOCK);

    fn checked(self) -> Result<Self, &'static str> {
        if self.0 & !(READERS | HELD) == RWLOCK { Ok(self) } else { Err("it is not initialised") }
    }

    fn is_written(self) -> bool {
        self.0 == RWLOCK | HELD
    }

    fn readers(self) -> usize {
        if self.checked().is_ok() { (self.0 & READERS) / READER } else { 0 }
    }

    fn read(self) -> Result<Self, &'static str> {
        if self.checked()?.is_written() {
            return Err("the thread holds it for writing already");
        }
        if self.0 & READERS == READERS { Err("it has too many readers") } else { Ok(Self(self.0 + READER)) }
    }

    fn write(self) -> Result<Self, &'static str> {
        match self.checked()? {
            Self::FREE => Ok(Self(RWLOCK | HELD)),
            lock if lock.is_written() => Err("the thread holds it for writing already"),
            _ => Err("the thread holds it for reading already"),
        }
    }

    fn exit(self) -> Result<Self, &'static str> {
        match self.checked()? {
            Self::FREE => Err("it is not held"),
            lock if lock.is_written() => Ok(Self::FREE),
            lock => Ok(Self(lock.0 - READER)),
        }
    }

    fn upgrade(self) -> Result<Option<Self>, &'static str> {
        match self.checked()?.readers() {
            0 => Err("it is not held for reading"),
            1 => Ok(Some(Self(RWLOCK | HELD))),
            _ => Ok(None),
        }
    }

    fn downgrade(self) -> Result<Self, &'static str> {
        if self.checked()?.is_written() { Ok(Self(RWLOCK + READER)) } else { Err("it is not held for writing") }
    }
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

/// Locks.
///
/// # Safety
/// `lock` must point to a mutex.
pub(crate) unsafe extern "C" fn mutex_enter(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { set(lock, accept("mutex_enter", lock, mutex(lock).enter()).0) }
}

/// Unlocks.
///
/// # Safety
/// `lock` must point to a mutex.
pub(crate) unsafe extern "C" fn mutex_exit(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { set(lock, accept("mutex_exit", lock, mutex(lock).exit()).0) }
}

/// Locks if the mutex is free; answers whether it did.
///
/// # Safety
/// `lock` must point to a mutex.
pub(crate) unsafe extern "C" fn mutex_tryenter(lock: *mut u8) -> i32 {
    // SAFETY: as the caller says.
    unsafe {
        if accept("mutex_tryenter", lock, mutex(lock).checked()).is_held() {
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
    i32::from(unsafe { mutex(lock) }.is_held())
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

/// Locks for reading or writing.
///
/// # Safety
/// `lock` must point to a read/write lock.
pub(crate) unsafe extern "C" fn rw_enter(lock: *mut u8, how: i32) {
    // SAFETY: as the caller says.
    unsafe {
        let word = rwlock(lock);
        let new = if how == RW_WRITER { word.write() } else { word.read() };
        set(lock, accept("rw_enter", lock, new).0);
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
        let new = if how == RW_WRITER { word.write() } else { word.read() };
        new.map_or(0, |new| {
            set(lock, new.0);
            1
        })
    }
}

/// Unlocks.
///
/// # Safety
/// `lock` must point to a read/write lock.
pub(crate) unsafe extern "C" fn rw_exit(lock: *mut u8) {
    // SAFETY: as the caller says.
    unsafe { set(lock, accept("rw_exit", lock, rwlock(lock).exit()).0) }
}

unsafe extern "C" fn rw_tryupgrade(lock: *mut u8) -> i32 {
    // SAFETY: module code passes a read/write lock.
    unsafe {
        accept("rw_tryupgrade", lock, rwlock(lock).upgrade()).map_or(0, |new| {
            set(lock, new.0);
            1
        })
    }
}

unsafe extern "C" fn rw_downgrade(lock: *mut u8) {
    // SAFETY: module code passes a read/write lock.
    unsafe { set(lock, accept("rw_downgrade", lock, rwlock(lock).downgrade()).0) }
}

unsafe extern "C" fn rw_read_held(lock: *const u8) -> i32 {
    // SAFETY: module code passes a read/write lock.
    i32::from(!lock.is_null() && unsafe { rwlock(lock) }.readers() > 0)
}

/// Whether the lock is held for writing.
///
/// # Safety
/// `lock` must be null or point to a read/write lock.
pub(crate) unsafe extern "C" fn rw_write_held(lock: *const u8) -> i32 {
    // SAFETY: as the caller says.
    i32::from(!lock.is_null() && unsafe { rwlock(lock) }.is_written())
}

unsafe extern "C" fn rw_lock_held(lock: *const u8) -> i32 {
    // SAFETY: module code passes a read/write lock.
    unsafe { rw_read_held(lock) | rw_write_held(lock) }
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

/// The big kernel lock: the instance itself, which its thread holds all the time.
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
    accept("mutex_ownable", lock, unsafe { mutex(lock) }.enter());
    1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kernel;
    use crate::testing::Bench;

    #[test]
    fn a_mutex_is_held_once() {
        let held = Mutex::FREE.enter().unwrap();
        assert!(held.is_held() && !Mutex::FREE.is_held());
        assert!(held.enter().is_err());
        assert!(held.destroy().is_err());
        assert_eq!(held.exit(), Ok(Mutex::FREE));
        assert!(Mutex::FREE.exit().is_err());
        assert!(Mutex(0).enter().is_err());
        assert!(Mutex(!0).exit().is_err());
        assert!(!Mutex(HELD).is_held());
    }

    #[test]
    fn a_rwlock_has_readers_or_a_writer() {
        let one = Rwlock::FREE.read().unwrap();
        let two = one.read().unwrap();
        assert_eq!(two.readers(), 2);
        assert!(one.write().is_err());
        assert_eq!(two.upgrade(), Ok(None));
        assert_eq!(two.exit(), Ok(one));
        let written = one.upgrade().unwrap().unwrap();
        assert!(written.is_written() && written.read().is_err() && written.write().is_err());
        assert_eq!(written.downgrade(), Ok(one));
        assert_eq!(written.exit(), Ok(Rwlock::FREE));
        assert!(Rwlock::FREE.exit().is_err() && Rwlock::FREE.upgrade().is_err() && one.downgrade().is_err());
        assert!(Rwlock(MUTEX).read().is_err());
        assert_eq!(Rwlock(MUTEX | READER).readers(), 0);
        assert!(Rwlock(RWLOCK | READERS).read().is_err());
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
