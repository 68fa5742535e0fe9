//! Writing blocks, at once or later.

use super::super::object::{Buf, Mount, Vnode};
use super::super::{transfer, vop};
use super::{release, relist};
use crate::abi::constants::{B_ASYNC, B_READ, BC_AGE, BC_INVAL, BC_NOCACHE, BO_DELWRI, BO_DONE, MNT_ASYNC, VBLK};
use crate::export::{Export, function};
use crate::kernel::kernel;

/// The mount whose journal a buffer of `vp` belongs to, if it has one running.
fn journal(vp: Vnode) -> Option<Mount> {
    if vp.is_null() {
        return None;
    }
    let mp = if vp.kind() == VBLK { super::super::spec::mounted_from(vp) } else { vp.mount() };
    if mp.is_null() {
        return None;
    }
    // SAFETY: a member of a live mount.
    let journal: *mut u8 = unsafe { kernel().abi.mount.mnt_wapbl.read(mp.0) };
    (!journal.is_null()).then_some(mp)
}

/// The journal's operations: its function that takes a buffer, and the callback it gives to buffers it writes itself.
fn journal_operations(mp: Mount) -> (*const (), *const ()) {
    let abi = kernel().abi;
    // SAFETY: a mount with a journal has its operations.
    unsafe {
        let operations: *const u8 = abi.mount.mnt_wapbl_op.read(mp.0);
        (abi.wapbl_ops.wo_wapbl_add_buf.read(operations), abi.wapbl_ops.wo_wapbl_biodone.read(operations))
    }
}

/// Writes a held buffer and gives it back.
///
/// # Errors
/// The device's or file system's error; the data is gone then.
pub(crate) fn write(bp: Buf) -> Result<(), i32> {
    let vp = bp.vnode();
    if let Some(mp) = journal(vp)
        && bp.done() != journal_operations(mp).1
    {
        delay(bp);
        return Ok(());
    }
    let asynchronous = bp.flags() & B_ASYNC != 0;
    if !asynchronous && bp.cflags() & (BC_INVAL | BC_NOCACHE | BC_AGE) == 0 && wants_delay(vp) {
        delay(bp);
        return Ok(());
    }
    let dirty = bp.oflags() & BO_DELWRI != 0;
    bp.set_oflags(bp.oflags() & !(BO_DONE | BO_DELWRI));
    bp.set_flags(bp.flags() & !B_READ);
    bp.set_error(0);
    if dirty {
        relist(bp);
    }
    vp.set_numoutput(vp.numoutput() + 1);
    // SAFETY: a live vnode and a held buffer of its. An asynchronous one is given back by the end of the transfer.
    let started = unsafe { vop::strategy(vp, bp) };
    if asynchronous {
        return Ok(());
    }
    let error = match transfer::wait(bp) {
        0 => started,
        error => error,
    };
    release(bp, 0);
    if error == 0 { Ok(()) } else { Err(error) }
}

/// Whether the mount of a vnode's data wants all writes delayed.
fn wants_delay(vp: Vnode) -> bool {
    let mp = vop::charged_mount(vp);
    !mp.is_null() && mp.flag() & MNT_ASYNC != 0
}

/// Marks a held buffer dirty and gives it back.
pub(crate) fn delay(bp: Buf) {
    if let Some(mp) = journal(bp.vnode()) {
        let (add, own) = journal_operations(mp);
        if bp.done() != own {
            // SAFETY: the mount's journal and its function that takes a buffer.
            unsafe {
                let add: unsafe extern "C" fn(*mut u8, Buf) = core::mem::transmute(add);
                add(kernel().abi.mount.mnt_wapbl.read(mp.0), bp);
            }
        }
    }
    if bp.oflags() & BO_DELWRI == 0 {
        bp.set_oflags(bp.oflags() | BO_DELWRI);
        relist(bp);
    }
    bp.set_oflags(bp.oflags() | BO_DONE);
    release(bp, 0);
}

/// Writes a held buffer through its vnode's own operation and gives it back.
pub(super) fn through_vnode(bp: Buf) -> Result<(), i32> {
    // SAFETY: a held buffer of a live vnode.
    match unsafe { vop::bwrite(bp.vnode(), bp) } {
        0 => Ok(()),
        error => Err(error),
    }
}

unsafe extern "C" fn bwrite(bp: Buf) -> i32 {
    write(bp).err().unwrap_or(0)
}

pub(crate) unsafe extern "C" fn vn_bwrite(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of bwrite.
    let bp: Buf = unsafe { kernel().abi.vop_bwrite_args.a_bp.read(arguments) };
    write(bp).err().unwrap_or(0)
}

unsafe extern "C" fn bdwrite(bp: Buf) {
    delay(bp);
}

unsafe extern "C" fn bawrite(bp: Buf) {
    bp.set_flags(bp.flags() | B_ASYNC);
    // Its error is noted where the transfer ends.
    let _ = through_vnode(bp);
}

pub(super) const EXPORTS: &[Export] = &[
    function!("bwrite", bwrite),
    function!("vn_bwrite", vn_bwrite),
    function!("bdwrite", bdwrite),
    function!("bawrite", bawrite),
];
