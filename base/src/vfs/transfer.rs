//! Transfers: buffers on their way to or from a device, and their end.
//!
//! Devices answer at once, so a transfer is done when `VOP_STRATEGY` returns; nothing ever has to wait.

use super::lost;
use super::object::{Buf, Vnode};
use crate::abi::constants::{B_ASYNC, B_COWDONE, B_MEDIA_FLAGS, B_PHYS, B_RAW, B_READ, BC_BUSY, BO_DONE, BPRIO_DEFAULT};
use crate::export::{Export, function};
use crate::kern::errno::EIO;
use crate::kern::memory;
use crate::kern::panic::{panic_format, panic_message};
use crate::kern::{condition, sleep, thread};
use crate::kernel::kernel;
use core::ptr;

/// A buffer header without data, busy.
pub(crate) fn header(vp: Vnode) -> Buf {
    let abi = kernel().abi;
    let bp = Buf(memory::alloc_or_end(abi.buf.size, true));
    // SAFETY: members of a fresh buffer.
    unsafe {
        condition::cv_init(abi.buf.b_busy.ptr(bp.0), c"biolock".as_ptr().cast());
        condition::cv_init(abi.buf.b_done.ptr(bp.0), c"biowait".as_ptr().cast());
    }
    bp.set_device(u64::MAX);
    bp.set_cflags(BC_BUSY);
    bp.set_priority(BPRIO_DEFAULT);
    bp.set_vnode(vp);
    bp.set_object_lock(if vp.is_null() { kernel().data("bufcache_lock") } else { vp.interlock() });
    bp
}

/// Frees a header of [`header`], not its data.
pub(crate) fn free_header(bp: Buf) {
    let abi = kernel().abi;
    // SAFETY: the buffer is the caller's and ends here.
    unsafe {
        condition::cv_destroy(abi.buf.b_busy.ptr(bp.0));
        condition::cv_destroy(abi.buf.b_done.ptr(bp.0));
        memory::free(bp.0);
    }
}

pub(crate) unsafe extern "C" fn getiobuf(vp: Vnode, _wait: bool) -> Buf {
    header(vp)
}

pub(crate) unsafe extern "C" fn putiobuf(bp: Buf) {
    free_header(bp);
}

/// Ends a transfer: calls its owner back, or releases it, or lets its waiter go on.
pub(crate) fn done(bp: Buf) {
    if bp.oflags() & BO_DONE != 0 {
        panic_message("biodone of a transfer that is done");
    }
    bp.set_flags(bp.flags() & !B_COWDONE);
    bp.set_oflags(bp.oflags() | BO_DONE);
    if bp.flags() & B_READ == 0 {
        written(bp.vnode());
    }
    let callback = bp.done();
    if !callback.is_null() {
        bp.set_done(ptr::null());
        // SAFETY: the owner put a function of this type there.
        unsafe {
            let callback: unsafe extern "C" fn(Buf) = core::mem::transmute(callback);
            callback(bp);
        }
    } else if bp.flags() & B_ASYNC != 0 {
        if bp.flags() & B_READ == 0 && bp.error() != 0 {
            lost::note(bp.vnode(), bp.error());
        }
        super::buffer::release(bp, 0);
    } else {
        sleep::wake(bp.0.addr());
    }
}

/// One write of `vp` less is going on.
fn written(vp: Vnode) {
    if vp.is_null() {
        return;
    }
    let left = vp.numoutput() - 1;
    if left < 0 {
        panic_format(format_args!("more writes of vnode {:p} ended than began", vp.0));
    }
    vp.set_numoutput(left);
}

unsafe extern "C" fn biodone(bp: Buf) {
    done(bp);
}

/// The outcome of a transfer; a kernel thread may have to end it first.
pub(crate) fn wait(bp: Buf) -> i32 {
    while bp.oflags() & BO_DONE == 0 {
        if !thread::any() {
            panic_message("biowait for a transfer that nobody will end");
        }
        sleep::wait_for(bp.0.addr(), None, format_args!("biowait for a transfer"));
    }
    bp.error()
}

unsafe extern "C" fn biowait(bp: Buf) -> i32 {
    wait(bp)
}

pub(crate) unsafe extern "C" fn nestiobuf_setup(master: Buf, bp: Buf, offset: i32, size: usize) {
    let reading = master.flags() & B_READ;
    let vp = master.vnode();
    bp.set_vnode(vp);
    bp.set_device(master.device());
    bp.set_object_lock(master.object_lock());
    bp.set_flags(master.flags() & (B_READ | B_PHYS | B_RAW | B_MEDIA_FLAGS) | B_ASYNC);
    bp.set_done(nestiobuf_iodone as *const ());
    // SAFETY: the part lies inside the master's data, as the caller promises.
    bp.set_data(unsafe { master.data().offset(offset as isize) });
    bp.set_count(size as i32);
    bp.set_resid(size as i32);
    bp.set_capacity(size as i32);
    bp.set_private(master.0);
    bp.set_priority(master.priority());
    if reading == 0 && !vp.is_null() {
        vp.set_numoutput(vp.numoutput() + 1);
    }
}

unsafe extern "C" fn nestiobuf_iodone(bp: Buf) {
    let master = Buf(bp.private());
    let short = bp.count() < bp.capacity() || bp.resid() > 0;
    let error = if bp.error() == 0 && short { EIO } else { bp.error() };
    let size = bp.capacity();
    free_header(bp);
    part_done(master, size, error);
}

/// Ends a part of a transfer, and the whole with its last part.
fn part_done(master: Buf, size: i32, error: i32) {
    if size == 0 {
        return;
    }
    if error != 0 {
        master.set_error(error);
    }
    master.set_resid(master.resid() - size);
    if master.resid() == 0 {
        if master.error() != 0 {
            master.set_resid(master.count());
        }
        done(master);
    }
}

unsafe extern "C" fn nestiobuf_done(master: Buf, size: i32, error: i32) {
    part_done(master, size, error);
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("getiobuf", getiobuf),
    function!("putiobuf", putiobuf),
    function!("biodone", biodone),
    function!("biowait", biowait),
    function!("nestiobuf_setup", nestiobuf_setup),
    function!("nestiobuf_done", nestiobuf_done),
];
