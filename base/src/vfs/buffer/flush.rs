//! Writing back and giving up the buffers of a vnode.

use super::super::object::{Buf, Vnode};
use super::super::{pager, vop};
use super::{first_of, release, take, write};
use crate::abi::constants::{
    B_LOCKED, BC_BUSY, BC_INVAL, BC_NOCACHE, BC_VFLUSH, BO_DELWRI, FSYNC_RECLAIM, FSYNC_WAIT, PGO_ALLPAGES, PGO_CLEANIT,
    PGO_FREE, PGO_RECLAIM, PGO_SYNCIO, V_SAVE,
};
use crate::export::{Export, function};
use crate::kern::cred;
use crate::kern::errno::EBUSY;

/// Takes a buffer that nobody holds.
fn hold(bp: Buf) {
    take(bp);
    bp.set_cflags(bp.cflags() | BC_BUSY);
}

/// Writes or gives up pages from `from` on.
fn pages(vp: Vnode, from: i64, flags: i32) -> Result<(), i32> {
    pager::lock(vp.object());
    // SAFETY: a live vnode; the operation is entered with the object locked and gives the lock up.
    let error = unsafe { vop::putpages(vp, from, 0, flags) };
    if error == 0 { Ok(()) } else { Err(error) }
}

/// Gives up all buffers and pages of a vnode; with `V_SAVE`, writes what is dirty first.
///
/// # Errors
/// What writing gives, or `EBUSY` if somebody holds a buffer.
pub(crate) fn invalidate(vp: Vnode, flags: i32) -> Result<(), i32> {
    let save = flags & V_SAVE != 0;
    let how = if save { PGO_CLEANIT | PGO_FREE | PGO_SYNCIO | PGO_RECLAIM } else { PGO_FREE | PGO_SYNCIO | PGO_RECLAIM };
    pages(vp, 0, how | PGO_ALLPAGES)?;
    if save {
        // SAFETY: a live vnode, locked by the caller as far as it can be.
        let error = unsafe { vop::fsync(vp, cred::current(), FSYNC_WAIT | FSYNC_RECLAIM, 0, 0) };
        if error != 0 {
            return Err(error);
        }
    }
    while let Some(bp) = first_of(vp, 0, |_| true).or_else(|| first_of(vp, 1, |_| true)) {
        if bp.cflags() & BC_BUSY != 0 {
            return Err(EBUSY);
        }
        hold(bp);
        if save && bp.oflags() & BO_DELWRI != 0 {
            // Left over by an fsync that does not know the buffer.
            bp.set_cflags(bp.cflags() | BC_NOCACHE);
            write::through_vnode(bp)?;
        } else {
            bp.set_flags(bp.flags() & !B_LOCKED);
            bp.set_oflags(bp.oflags() & !BO_DELWRI);
            release(bp, BC_INVAL | BC_VFLUSH);
        }
    }
    Ok(())
}

/// Whether a vnode has buffers that wait to be written.
pub(crate) fn any_dirty(vp: Vnode) -> bool {
    first_of(vp, 1, |_| true).is_some()
}

/// Writes the dirty buffers of a vnode.
///
/// # Errors
/// The first error; what could not be written is gone.
pub(super) fn write_dirty(vp: Vnode) -> Result<(), i32> {
    let mut outcome = Ok(());
    // A buffer that belongs to a journal stays dirty when it is written: it is not tried again.
    while let Some(bp) = first_of(vp, 1, |bp| bp.cflags() & BC_BUSY == 0 && bp.flags() & B_LOCKED == 0) {
        hold(bp);
        let result = write::through_vnode(bp);
        outcome = outcome.and(result);
    }
    outcome
}

/// Writes the dirty pages and buffers of a vnode.
///
/// # Errors
/// The first error.
pub(crate) fn flush(vp: Vnode) -> Result<(), i32> {
    pages(vp, 0, PGO_CLEANIT | PGO_SYNCIO | PGO_ALLPAGES).and(write_dirty(vp))
}

unsafe extern "C" fn vinvalbuf(vp: Vnode, flags: i32, _cred: *mut u8, _lwp: *mut u8, _signals: bool, _time: i32) -> i32 {
    invalidate(vp, flags).err().unwrap_or(0)
}

unsafe extern "C" fn vflushbuf(vp: Vnode, _flags: i32) -> i32 {
    flush(vp).err().unwrap_or(0)
}

unsafe extern "C" fn vtruncbuf(vp: Vnode, first: i64, _signals: bool, _time: i32) -> i32 {
    let offset = super::super::queue::round_page((first << vp.mount().fs_shift()) as u64);
    if let Err(error) = pages(vp, offset as i64, PGO_FREE | PGO_SYNCIO) {
        return error;
    }
    let beyond = |bp: Buf| bp.logical() >= first;
    while let Some(bp) = first_of(vp, 0, beyond).or_else(|| first_of(vp, 1, beyond)) {
        if bp.cflags() & BC_BUSY != 0 {
            return EBUSY;
        }
        hold(bp);
        bp.set_oflags(bp.oflags() & !BO_DELWRI);
        release(bp, BC_INVAL);
    }
    0
}

pub(super) const EXPORTS: &[Export] =
    &[function!("vinvalbuf", vinvalbuf), function!("vflushbuf", vflushbuf), function!("vtruncbuf", vtruncbuf)];
