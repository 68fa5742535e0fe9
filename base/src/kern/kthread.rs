//! `kthread(9)`: kernel threads as modules make, end and join them.

use super::errno::ENOMEM;
use super::panic::{panic_format, panic_message};
use super::printf::{Line, console_line, format_into};
use super::thread::{self, Function, NAME, Plan};
use super::{cred, memory, process, sleep};
use crate::abi::constants::{KTHREAD_IDLE, KTHREAD_INTR, KTHREAD_MPSAFE, KTHREAD_MUSTJOIN, LW_SYSTEM, PRI_KTHREAD, PRI_NONE};
use crate::arch::{VaList, variadic};
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::fmt::Write;

/// A fresh `struct lwp` of the kernel's process; `None` without memory.
fn new_lwp(priority: i32) -> Option<*mut u8> {
    let abi = kernel().abi;
    let lwp = memory::alloc(abi.lwp.size, true);
    if lwp.is_null() {
        return None;
    }
    // SAFETY: the block has the structure's size; that of `lwp0` is filled since boot.
    unsafe {
        let first = kernel().data("lwp0");
        let owner: cred::Cred = abi.lwp.l_cred.read(first);
        cred::hold(owner);
        abi.lwp.l_cred.write(lwp, owner);
        abi.lwp.l_proc.write(lwp, abi.lwp.l_proc.read::<*mut u8>(first));
        abi.lwp.l_cpu.write(lwp, process::curcpu());
        abi.lwp.l_flag.write(lwp, LW_SYSTEM);
        abi.lwp.l_priority.write(lwp, priority);
    }
    Some(lwp)
}

/// Frees the `struct lwp` of a thread that is no more.
pub(crate) fn free_lwp(lwp: *mut u8) {
    // SAFETY: made by `new_lwp`; nobody else keeps it.
    unsafe {
        cred::release(kernel().abi.lwp.l_cred.read(lwp));
        memory::free(lwp);
    }
}

/// Makes a thread and answers its `lwp`.
fn create(flags: i32, priority: i32, name: [u8; NAME], function: Function, argument: *mut u8) -> Result<*mut u8, i32> {
    let lwp = new_lwp(if priority == PRI_NONE { PRI_KTHREAD } else { priority }).ok_or(ENOMEM)?;
    let (is_idle, must_join) = (flags & KTHREAD_IDLE != 0, flags & KTHREAD_MUSTJOIN != 0);
    match thread::create(Plan { lwp, name, function, argument, is_idle, must_join }) {
        Ok((number, name)) => {
            let layout = &kernel().abi.lwp;
            // SAFETY: the block has the structure's size; the name lasts as long as the thread.
            unsafe {
                layout.l_lid.write(lwp, number);
                layout.l_name.write(lwp, name);
            }
            Ok(lwp)
        }
        Err(error) => {
            free_lwp(lwp);
            Err(error)
        }
    }
}

unsafe extern "C" fn create_list(arguments: *mut VaList) -> i32 {
    // SAFETY: the entry made the list: priority, flags, processor, function, argument, result, format.
    unsafe {
        let arguments = &mut *arguments;
        let (priority, flags, _cpu) = (arguments.int(), arguments.int(), arguments.word());
        let (function, argument) = (arguments.word() as *const (), arguments.pointer());
        let (out, form) = (arguments.pointer::<*mut u8>(), arguments.pointer::<u8>());
        if function.is_null() {
            panic_message("kthread_create without a function");
        }
        if flags & KTHREAD_INTR != 0 && flags & KTHREAD_MPSAFE == 0 {
            panic_message("kthread_create of an interrupt thread that is not MP-safe");
        }
        if flags & KTHREAD_MUSTJOIN != 0 && out.is_null() {
            panic_message("kthread_create of a thread to join that nobody would know");
        }
        let mut name = [0; NAME];
        if !form.is_null() {
            let mut line = Line::new();
            format_into(&mut line, form, arguments);
            let text = line.as_str().as_bytes();
            let len = text.len().min(NAME - 1);
            name[..len].copy_from_slice(&text[..len]);
        }
        let function = core::mem::transmute::<*const (), Function>(function);
        match create(flags, priority, name, function, argument) {
            Ok(lwp) => {
                if !out.is_null() {
                    out.write(lwp);
                }
                0
            }
            Err(error) => error,
        }
    }
}

variadic!(kthread_create => create_list);

unsafe extern "C" fn kthread_exit(code: i32) -> ! {
    let Some(number) = thread::running() else { panic_message("kthread_exit outside of a kernel thread") };
    if code != 0 {
        let mut line = Line::new();
        // A line that is too long is cut.
        let _ = thread::describe(thread::current(), &mut line);
        let _ = write!(line, " ({number}) exits with status {code}");
        console_line(line.as_str());
    }
    thread::exit()
}

/// Waits for the end of a thread that was made to be joined.
unsafe extern "C" fn kthread_join(lwp: *mut u8) -> i32 {
    let Some(thread) = thread::of_lwp(lwp) else {
        panic_format(format_args!("kthread_join of lwp {lwp:p}: there is no such kernel thread"));
    };
    if !thread.must_join || thread.id == thread::current() {
        panic_format(format_args!("kthread_join of lwp {lwp:p}: it is not one to be joined"));
    }
    while thread::is_alive(thread.id) {
        sleep::wait_for(lwp.addr(), None, format_args!("kthread_join of lwp {lwp:p}: a sleep"));
    }
    thread::forget(thread.id);
    0
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("kthread_create", kthread_create),
    function!("kthread_exit", kthread_exit),
    function!("kthread_join", kthread_join),
];

#[cfg(test)]
mod tests;
