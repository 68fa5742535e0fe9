//! Things modules register with parts of a kernel that the server is not: formats to execute, system calls, accept filters,
//! hooks. They are kept and checked as a kernel does, so that modules start and end; nothing here ever calls them.

use super::errno::{EBUSY, EEXIST, ENOENT};
use super::string;
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// `struct execsw` up to what tells one from another.
#[repr(C)]
struct Format {
    header_size: u32,
    commands: *const u8,
    probe: *const u8,
    emulation: *const u8,
    priority: i32,
    argument_words: i32,
    functions: [*const u8; 4],
}

impl Format {
    fn identity(&self) -> [usize; 3] {
        [self.commands.addr(), self.probe.addr(), self.emulation.addr()]
    }
}

/// `struct syscall_package`: one system call.
#[derive(Clone, Copy)]
#[repr(C)]
struct Call {
    code: u16,
    flags: u16,
    function: *const u8,
}

/// What is registered.
#[derive(Default)]
pub(crate) struct State {
    formats: RefCell<Vec<*const Format>>,
    /// Emulation, code, function.
    calls: RefCell<Vec<(usize, u16, usize)>>,
    filters: RefCell<Vec<*const u8>>,
    hooks: RefCell<Vec<usize>>,
    next_hook: Cell<usize>,
}

fn state() -> &'static State {
    &kernel().kern.registration
}

/// The array's elements.
///
/// # Safety
/// There must be `count` of them.
unsafe fn array<T: 'static>(first: *const T, count: i32) -> impl Iterator<Item = *const T> {
    // SAFETY: as the caller says.
    (0..usize::try_from(count).unwrap_or(0)).map(move |index| unsafe { first.add(index) })
}

unsafe extern "C" fn exec_add(first: *const Format, count: i32) -> i32 {
    let mut formats = state().formats.borrow_mut();
    // SAFETY: module code passes as many formats, which live until they are removed.
    unsafe {
        for new in array(first, count) {
            if formats.iter().any(|known| (**known).identity() == (*new).identity()) {
                return EEXIST;
            }
        }
        formats.extend(array(first, count));
    }
    0
}

unsafe extern "C" fn exec_remove(first: *const Format, count: i32) -> i32 {
    let mut formats = state().formats.borrow_mut();
    // SAFETY: as above.
    unsafe { array(first, count) }.for_each(|gone| formats.retain(|known| *known != gone));
    0
}

/// The calls of a package, which ends with one that has no function.
///
/// # Safety
/// `first` must be such a package.
unsafe fn package(first: *const Call) -> impl Iterator<Item = Call> {
    // SAFETY: as the caller says.
    (0..).map(move |index| unsafe { first.add(index).read() }).take_while(|call| !call.function.is_null())
}

unsafe extern "C" fn syscall_establish(emulation: *const u8, first: *const Call) -> i32 {
    let mut calls = state().calls.borrow_mut();
    // SAFETY: module code passes a package.
    let new: Vec<_> = unsafe { package(first) }.map(|call| (emulation.addr(), call.code, call.function.addr())).collect();
    if new.iter().any(|(of, code, _)| calls.iter().any(|known| (known.0, known.1) == (*of, *code))) {
        return EBUSY;
    }
    calls.extend(new);
    0
}

unsafe extern "C" fn syscall_disestablish(emulation: *const u8, first: *const Call) -> i32 {
    let mut calls = state().calls.borrow_mut();
    // SAFETY: as above.
    for call in unsafe { package(first) } {
        calls.retain(|known| *known != (emulation.addr(), call.code, call.function.addr()));
    }
    0
}

unsafe extern "C" fn accept_filt_add(filter: *const u8) -> i32 {
    let mut filters = state().filters.borrow_mut();
    // SAFETY: a filter begins with its name of at most 16 bytes, and lives until it is taken back.
    let name = |filter: *const u8| unsafe { core::slice::from_raw_parts(filter, string::bounded_length(filter, 16)) };
    if filters.iter().any(|known| name(*known) == name(filter)) {
        return EEXIST;
    }
    filters.push(filter);
    0
}

unsafe extern "C" fn accept_filt_del(filter: *const u8) -> i32 {
    let mut filters = state().filters.borrow_mut();
    let before = filters.len();
    filters.retain(|known| *known != filter);
    if filters.len() == before { ENOENT } else { 0 }
}

/// Keeps a hook; its handle is a number.
unsafe extern "C" fn hook_establish(_function: *const u8, _argument: *const u8) -> usize {
    let handle = state().next_hook.get() + 1;
    state().next_hook.set(handle);
    state().hooks.borrow_mut().push(handle);
    handle
}

unsafe extern "C" fn hook_disestablish(handle: usize) {
    let mut hooks = state().hooks.borrow_mut();
    match hooks.iter().position(|known| *known == handle) {
        Some(at) => {
            hooks.swap_remove(at);
        }
        None => {
            drop(hooks);
            super::panic::panic_message("a hook is taken back that is not there");
        }
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("exec_add", exec_add),
    function!("exec_remove", exec_remove),
    function!("syscall_establish", syscall_establish),
    function!("syscall_disestablish", syscall_disestablish),
    function!("accept_filt_add", accept_filt_add),
    function!("accept_filt_del", accept_filt_del),
    function!("shutdownhook_establish", hook_establish),
    function!("shutdownhook_disestablish", hook_disestablish),
    function!("critpollhook_establish", hook_establish),
    function!("critpollhook_disestablish", hook_disestablish),
    function!("exithook_establish", hook_establish),
    function!("exithook_disestablish", hook_disestablish),
    function!("exechook_establish", hook_establish),
    function!("exechook_disestablish", hook_disestablish),
    function!("forkhook_establish", hook_establish),
    function!("forkhook_disestablish", hook_disestablish),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use core::ptr;

    #[test]
    fn twins_are_refused_until_the_first_is_gone() {
        let here = 0_u8;
        let here = &raw const here;
        let format = || Format {
            header_size: 4,
            commands: here,
            probe: ptr::null(),
            emulation: here,
            priority: 0,
            argument_words: 0,
            functions: [ptr::null(); 4],
        };
        let (one, two) = ([format()], [format()]);
        let calls = [Call { code: 5, flags: 0, function: here }, Call { code: 0, flags: 0, function: ptr::null() }];
        let bench = Bench::new();
        bench.inside(|| {
            // SAFETY: everything registered lives in this frame.
            unsafe {
                assert_eq!((exec_add(one.as_ptr(), 1), exec_add(two.as_ptr(), 1)), (0, EEXIST));
                exec_remove(one.as_ptr(), 1);
                assert_eq!(exec_add(two.as_ptr(), 1), 0);
                let calls = calls.as_ptr();
                assert_eq!((syscall_establish(here, calls), syscall_establish(here, calls)), (0, EBUSY));
                assert_eq!(syscall_establish(ptr::null(), calls), 0);
                syscall_disestablish(here, calls);
                assert_eq!(syscall_establish(here, calls), 0);
                let (filter, twin) = (*b"httpready\0\0\0\0\0\0\0", *b"httpready\0\0\0\0\0\0\0");
                let (filter, twin) = (filter.as_ptr(), twin.as_ptr());
                assert_eq!((accept_filt_add(filter), accept_filt_add(twin)), (0, EEXIST));
                assert_eq!((accept_filt_del(twin), accept_filt_del(filter)), (ENOENT, 0));
                let hook = hook_establish(here, here);
                assert_ne!(hook, hook_establish(here, here));
                hook_disestablish(hook);
            }
        });
        // SAFETY: a number.
        assert!(bench.ends(|| unsafe { hook_disestablish(99) }).contains("not there"));
    }
}
