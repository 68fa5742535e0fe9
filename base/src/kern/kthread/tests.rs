use super::*;
use crate::kern::condition::{cv_init, cv_signal, cv_wait};
use crate::kern::errno::EAGAIN;
use crate::kern::lock;
use crate::testing::Bench;
use core::ptr;
use core::time::Duration;
use rumpload::StackPoint;
use rumpload::address::RunAddr;
use std::boxed::Box;
use std::string::{String, ToString};

/// What threads and entries of a test share.
struct Shared {
    mutex: usize,
    condition: [usize; 3],
    steps: String,
    lwp: *mut u8,
}

impl Shared {
    fn new() -> Box<Self> {
        Box::new(Self { mutex: 0, condition: [0; 3], steps: String::new(), lwp: ptr::null_mut() })
    }
}

fn init(shared: *mut Shared) {
    // SAFETY: the test's structure.
    unsafe {
        lock::mutex_init((&raw mut (*shared).mutex).cast(), 0, 0);
        cv_init((&raw mut (*shared).condition).cast(), c"bell".as_ptr().cast());
    }
}

fn step(shared: *mut u8, what: &str) {
    // SAFETY: the test's structure.
    unsafe { (*shared.cast::<Shared>()).steps.push_str(what) }
}

fn make(function: Function, shared: *mut Shared, flags: i32) -> *mut u8 {
    let mut name = [0; NAME];
    name[..6].copy_from_slice(b"worker");
    create(flags, 0, name, function, shared.cast()).unwrap()
}

fn pause(ticks: i32) {
    sleep::wait(1, sleep::deadline(ticks), b"pause");
}

unsafe extern "C" fn counts(shared: *mut u8) {
    let mine = process::curlwp();
    for what in ["a", "b", "c"] {
        step(shared, what);
        pause(1);
        assert_eq!(process::curlwp(), mine);
    }
    step(shared, "d");
    // SAFETY: a thread ends.
    unsafe { kthread_exit(0) }
}

#[test]
fn a_thread_runs_while_others_sleep_and_between_them_stays_where_it_is() {
    let bench = Bench::new();
    let mut shared = Shared::new();
    let at = &raw mut *shared;
    let blocks = bench.inside(|| {
        let blocks = kernel().kern.memory.usage().blocks;
        let lwp = make(counts, at, 0);
        assert_ne!(lwp, process::curlwp());
        step(at.cast(), "0");
        blocks
    });
    // It ran at the end of the entry, up to its first sleep.
    assert_eq!(shared.steps, "0a");
    bench.inside(|| {
        pause(1);
        assert!(thread::any());
        assert_eq!(process::curlwp(), kernel().data("lwp0"));
        pause(5);
        assert!(!thread::any());
        assert_eq!(kernel().kern.memory.usage().blocks, blocks);
    });
    assert_eq!(shared.steps, "0abcd");
}

unsafe extern "C" fn waits(shared: *mut u8) {
    // SAFETY: the test's structure.
    unsafe {
        let (mutex, condition) = {
            let shared = &mut *shared.cast::<Shared>();
            ((&raw mut shared.mutex).cast::<u8>(), (&raw mut shared.condition).cast::<u8>())
        };
        lock::mutex_enter(mutex);
        step(shared, "w");
        cv_wait(condition, mutex);
        assert_eq!(lock::mutex_owned(mutex), 1);
        step(shared, "r");
        lock::mutex_exit(mutex);
        kthread_exit(3)
    }
}

#[test]
fn another_host_thread_goes_on_with_a_parked_one_and_joins_it() {
    let bench = Bench::new();
    let mut shared = Shared::new();
    let at = &raw mut *shared;
    bench.inside(|| {
        init(at);
        // SAFETY: the test's structure.
        unsafe { (*at).lwp = make(waits, at, KTHREAD_MUSTJOIN) };
    });
    assert_eq!(shared.steps, "w");
    let (kernel, address) = (bench.kernel.clone(), at.expose_provenance());
    std::thread::spawn(move || {
        kernel
            .instance()
            .enter(|| {
                let at = ptr::with_exposed_provenance_mut::<Shared>(address);
                // SAFETY: the test's structure.
                unsafe {
                    cv_signal((&raw mut (*at).condition).cast());
                    assert_eq!(kthread_join((*at).lwp), 0);
                }
                step(at.cast(), "j");
            })
            .unwrap();
    })
    .join()
    .unwrap();
    assert_eq!(shared.steps, "wrj");
    assert!(bench.printed().contains("\"worker\" (2) exits with status 3"), "{}", bench.printed());
    let lwp = shared.lwp;
    // SAFETY: a number that no thread has any more.
    assert!(bench.ends(|| unsafe { kthread_join(lwp) }).contains("no such kernel thread"));
}

unsafe extern "C" fn holds(shared: *mut u8) {
    // SAFETY: the test's structure.
    unsafe {
        let mutex = (&raw mut (*shared.cast::<Shared>()).mutex).cast();
        lock::mutex_enter(mutex);
        step(shared, "h");
        pause(3);
        lock::mutex_exit(mutex);
        step(shared, "x");
        // Its turn ends: whoever waits is served.
        pause(1);
        lock::mutex_enter(mutex);
        sleep::wait(2, None, b"nothing");
    }
}

#[test]
fn a_mutex_of_a_sleeper_is_waited_for_and_a_deadlock_is_named() {
    let bench = Bench::new();
    let mut shared = Shared::new();
    let at = &raw mut *shared;
    // SAFETY: the test's structure.
    let mutex = unsafe { (&raw mut (*at).mutex).cast::<u8>() };
    bench.inside(|| {
        init(at);
        make(holds, at, 0);
    });
    bench.inside(|| {
        // SAFETY: an initialised mutex.
        unsafe {
            assert_eq!((lock::mutex_owned(mutex), lock::mutex_tryenter(mutex)), (0, 0));
            lock::mutex_enter(mutex);
            step(at.cast(), "e");
            assert_eq!(lock::mutex_owned(mutex), 1);
            lock::mutex_exit(mutex);
        }
        assert_eq!(bench.clock.passed(), Duration::from_millis(30));
        pause(2);
    });
    assert_eq!(shared.steps, "hxe");
    // SAFETY: an initialised mutex.
    let reason = bench.ends(|| unsafe { lock::mutex_enter(mutex) });
    assert!(reason.contains("kernel thread \"worker\" holds it and sleeps, a deadlock"), "{reason}");
}

unsafe extern "C" fn returns(_: *mut u8) {
    let mut calls = [RunAddr::new(0); 4];
    let here = 0_u8;
    let (start, len) = kernel().instance().stack();
    let from = StackPoint { stack: (&raw const here).addr(), frame: None };
    assert!((start.get() as usize..start.get() as usize + len).contains(&from.stack));
    assert_eq!(kernel().instance().backtrace(from, &mut calls), 0);
}

#[test]
fn the_end_of_an_instance_in_a_thread_returns_to_the_host() {
    let bench = Bench::new();
    let mut shared = Shared::new();
    let at = &raw mut *shared;
    let reason = bench.ends(|| {
        make(returns, at, 0);
        "not seen".to_string()
    });
    assert!(reason.contains("kernel thread \"worker\" returned from its function"), "{reason}");
    let watch = std::sync::Arc::downgrade(&bench.kernel);
    drop(bench);
    assert!(watch.upgrade().is_none());
}

#[test]
fn an_idle_thread_never_runs_and_only_threads_exit() {
    let bench = Bench::new();
    let mut shared = Shared::new();
    let at = &raw mut *shared;
    bench.inside(|| {
        make(counts, at, KTHREAD_IDLE);
        pause(10);
    });
    assert_eq!(shared.steps, "");
    // SAFETY: nothing to keep.
    assert!(bench.ends(|| unsafe { kthread_exit(0) }).contains("outside of a kernel thread"));
}

unsafe extern "C" fn yields(shared: *mut u8) {
    loop {
        step(shared, ".");
        thread::relax();
    }
}

#[test]
fn an_entry_returns_though_a_thread_never_sleeps() {
    let bench = Bench::new();
    let mut shared = Shared::new();
    let at = &raw mut *shared;
    bench.inside(|| make(yields, at, 0));
    assert_eq!(shared.steps.len(), thread::ROUNDS);
}

#[test]
fn there_are_as_many_threads_as_locks_can_tell_apart() {
    let bench = Bench::new();
    let mut shared = Shared::new();
    let at = &raw mut *shared;
    bench.inside(|| {
        let made = (0..300).take_while(|_| match create(KTHREAD_IDLE, 0, [0; NAME], counts, at.cast()) {
            Ok(_) => true,
            Err(error) => {
                assert_eq!(error, EAGAIN);
                false
            }
        });
        assert_eq!(made.count(), 254);
    });
}
