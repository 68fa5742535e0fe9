//! File descriptors: what devices that clone themselves hand out (`fd_clone`), and how modules find files by number.

use super::errno::{EBADF, EINVAL, EMFILE, EMOVEFD, EOPNOTSUPP};
use super::panic::{panic_format, panic_message};
use super::process::curlwp;
use super::{cred, lock, memory};
use crate::abi::constants::{DTYPE_MISC, DTYPE_VNODE, F_SETFL, FREAD, FWRITE};
use crate::export::{Export, function};
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr;

/// Descriptors there may be.
const LIMIT: usize = 128;
/// Flags of an open that stay with its file: how it is used, and that it does not wait, appends, or is synchronous.
const KEPT: i32 = FREAD | FWRITE | 0x4 | 0x8 | 0x40 | 0x80;

/// A number in use.
#[derive(Clone, Copy)]
struct Slot {
    /// A `struct file`.
    file: *mut u8,
    /// Whether it can be found; a file that is being made cannot.
    shown: bool,
    /// Who looks at it now.
    holds: u32,
}

/// `struct fdfile` up to its file: what modules that list descriptors look at.
#[repr(C)]
struct Shown {
    flags: [u8; 4],
    references: u32,
    file: *mut u8,
    /// Notes, and who waits for the end.
    rest: [usize; 4],
}

/// The one process's table.
pub(crate) struct State {
    slots: RefCell<Vec<Option<Slot>>>,
    /// One per descriptor.
    shown: Cell<*mut Shown>,
}

impl Default for State {
    fn default() -> Self {
        Self { slots: RefCell::default(), shown: Cell::new(ptr::null_mut()) }
    }
}

/// Lets modules find the table by way of thread and process.
pub(crate) fn fill(kernel: &Kernel) {
    let abi = kernel.abi;
    let all = memory::alloc_or_end(LIMIT * size_of::<Shown>(), true).cast::<Shown>();
    let table = memory::alloc_or_end(abi.fdtab.dt_ff.offset() + LIMIT * size_of::<usize>(), true);
    let descriptors = memory::alloc_or_end(abi.filedesc.size, true);
    // SAFETY: fresh blocks of these sizes; the exports have those of their structures.
    unsafe {
        abi.fdtab.dt_nfiles.write(table, LIMIT as u32);
        let first = abi.fdtab.dt_ff.ptr::<*mut Shown>(table);
        (0..LIMIT).for_each(|at| first.add(at).write(all.add(at)));
        abi.filedesc.fd_dt.write(descriptors, table);
        abi.filedesc.fd_refcnt.write(descriptors, 1_i32);
        abi.lwp.l_fd.write(kernel.data("lwp0"), descriptors);
        abi.proc.p_fd.write(kernel.data("proc0"), descriptors);
    }
    kernel.kern.descriptor.shown.set(all);
}

/// Says in the table which file a number has.
fn show(number: u32, file: *mut u8) {
    // SAFETY: numbers in use are below the limit.
    unsafe { (*kernel().kern.descriptor.shown.get().add(number as usize)).file = file };
}

/// Runs `work` on a number's slot; nothing for numbers not in use.
fn with<R>(number: u32, work: impl FnOnce(&mut Slot) -> R) -> Option<R> {
    kernel().kern.descriptor.slots.borrow_mut().get_mut(number as usize).and_then(Option::as_mut).map(work)
}

fn take(number: u32) -> Option<Slot> {
    kernel().kern.descriptor.slots.borrow_mut().get_mut(number as usize).and_then(Option::take)
}

/// Changes how many descriptors and others refer to a file; answers how many do then.
///
/// # Safety
/// `file` must be live.
unsafe fn count(file: *mut u8, change: i32) -> u32 {
    let field = kernel().abi.file.f_count;
    // SAFETY: as the caller says.
    unsafe {
        let now = field.read::<u32>(file).wrapping_add_signed(change);
        field.write(file, now);
        now
    }
}

/// # Safety
/// Nothing may refer to `file` any more.
unsafe fn free(file: *mut u8) {
    let layout = &kernel().abi.file;
    // SAFETY: as the caller says; the lock was made with the file.
    unsafe {
        cred::release(layout.f_cred.read(file));
        lock::mutex_destroy(layout.f_lock.ptr(file));
        memory::free(file);
    }
}

unsafe extern "C" fn fd_allocfile(result: *mut *mut u8, number: *mut i32) -> i32 {
    let mut slots = kernel().kern.descriptor.slots.borrow_mut();
    let at = slots.iter().position(Option::is_none).unwrap_or(slots.len());
    if at >= LIMIT {
        return EMFILE;
    }
    let layout = &kernel().abi.file;
    let file = memory::alloc_or_end(layout.size, true);
    let owner = cred::current();
    cred::hold(owner);
    // SAFETY: a fresh structure, and results of the caller's.
    unsafe {
        layout.f_cred.write(file, owner);
        lock::mutex_init(layout.f_lock.ptr(file), 0, 0);
        result.write(file);
        number.write(at as i32);
    }
    let slot = Some(Slot { file, shown: false, holds: 0 });
    if at == slots.len() {
        slots.push(slot)
    } else {
        slots[at] = slot
    }
    0
}

/// Lets a file be found by its number.
unsafe extern "C" fn fd_affix(_proc: *mut u8, file: *mut u8, number: u32) {
    let shown = with(number, |slot| slot.file == file && !core::mem::replace(&mut slot.shown, true));
    if shown != Some(true) {
        panic_format(format_args!("file {file:p} cannot become descriptor {number}"));
    }
    show(number, file);
    // SAFETY: the slot's file.
    unsafe { count(file, 1) };
}

/// Gives a number up whose file was not shown, and the file if there is one.
unsafe extern "C" fn fd_abort(_proc: *mut u8, file: *mut u8, number: u32) {
    match take(number) {
        Some(slot) if !slot.shown && (file.is_null() || file == slot.file) => {
            if !file.is_null() {
                // SAFETY: nobody has seen it.
                unsafe { free(file) };
            }
        }
        _ => panic_format(format_args!("descriptor {number} is not being made")),
    }
}

/// Makes a file of operations and data of a module's own; answers what tells an open that a descriptor stands for it.
unsafe extern "C" fn fd_clone(file: *mut u8, number: u32, flags: i32, operations: *const u8, data: *mut u8) -> i32 {
    let abi = kernel().abi;
    let layout = &abi.file;
    // SAFETY: module code passes a file that it allocated; the thread is the kernel's own.
    unsafe {
        layout.f_flag.write(file, layout.f_flag.read::<i32>(file) | flags & KEPT);
        layout.f_type.write(file, DTYPE_MISC as u32);
        layout.f_ops.write(file, operations);
        layout.f_undata.ptr::<*mut u8>(file).write(data);
        abi.lwp.l_dupfd.write(curlwp(), number as i32);
        fd_affix(ptr::null_mut(), file, number);
    }
    EMOVEFD
}

/// The file of a number, held until `fd_putfile` or `fd_close`; null if there is none.
pub(crate) unsafe extern "C" fn fd_getfile(number: u32) -> *mut u8 {
    let hold = |slot: &mut Slot| {
        slot.holds += u32::from(slot.shown);
        if slot.shown { slot.file } else { ptr::null_mut() }
    };
    with(number, hold).unwrap_or(ptr::null_mut())
}

pub(crate) unsafe extern "C" fn fd_putfile(number: u32) {
    if with(number, |slot| slot.holds.checked_sub(1).map(|left| slot.holds = left)).flatten().is_none() {
        panic_format(format_args!("descriptor {number} is let go of, but nobody holds it"));
    }
}

/// As `fd_getfile`, for files of a file system only.
unsafe extern "C" fn fd_getvnode(number: u32, result: *mut *mut u8) -> i32 {
    // SAFETY: a file that is held; the result is the caller's.
    unsafe {
        let file = fd_getfile(number);
        if file.is_null() {
            return EBADF;
        }
        if kernel().abi.file.f_type.read::<u32>(file) != DTYPE_VNODE as u32 {
            fd_putfile(number);
            return EINVAL;
        }
        result.write(file);
    }
    0
}

/// Closes a number that the caller holds.
pub(crate) unsafe extern "C" fn fd_close(number: u32) -> i32 {
    match with(number, |slot| slot.holds) {
        Some(1) => {}
        Some(0) => panic_format(format_args!("descriptor {number} is closed, but nobody holds it")),
        // A kernel waits for them; with one thread inside nobody would come.
        Some(_) => panic_format(format_args!("descriptor {number} is closed while others hold it")),
        None => return EBADF,
    }
    let Some(slot) = take(number) else { return EBADF };
    show(number, ptr::null_mut());
    // SAFETY: what the descriptor referred to.
    unsafe { close_file(slot.file) }
}

/// Gives a reference to a file up; the last one closes it.
///
/// # Safety
/// The caller has a reference to `file`, which this takes.
unsafe fn close_file(file: *mut u8) -> i32 {
    type Close = unsafe extern "C" fn(*mut u8) -> i32;
    let abi = kernel().abi;
    // SAFETY: the caller's reference keeps the file; one that was shown has operations.
    unsafe {
        if abi.file.f_count.read::<u32>(file) == 0 {
            panic_message("a file is closed that nothing refers to");
        }
        if count(file, -1) > 0 {
            return 0;
        }
        let operations: *mut u8 = abi.file.f_ops.read(file);
        let close = if operations.is_null() { None } else { abi.fileops.fo_close.read::<Option<Close>>(operations) };
        let error = close.map_or(0, |close| close(file));
        free(file);
        error
    }
}

/// File status flags can always be set: they are the file's.
unsafe extern "C" fn fnullop_fcntl(_file: *mut u8, command: u32, _data: *mut u8) -> i32 {
    if command == F_SETFL as u32 { 0 } else { EOPNOTSUPP }
}

/// Nothing is ready.
unsafe extern "C" fn fnullop_poll(_file: *mut u8, _events: i32) -> i32 {
    0
}

unsafe extern "C" fn fnullop_restart(_file: *mut u8) {}

/// An operation that a file does not have.
extern "C" fn unsupported() -> i32 {
    EOPNOTSUPP
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("fd_allocfile", fd_allocfile),
    function!("fd_affix", fd_affix),
    function!("fd_abort", fd_abort),
    function!("fd_clone", fd_clone),
    function!("fd_getfile", fd_getfile),
    function!("fd_putfile", fd_putfile),
    function!("fd_getvnode", fd_getvnode),
    function!("fd_close", fd_close),
    function!("fnullop_fcntl", fnullop_fcntl),
    function!("fnullop_poll", fnullop_poll),
    function!("fnullop_kqfilter", unsupported),
    function!("fnullop_restart", fnullop_restart),
    function!("fbadop_read", unsupported),
    function!("fbadop_write", unsupported),
    function!("fbadop_ioctl", unsupported),
    function!("fbadop_stat", unsupported),
];
