//! Reading blocks.

use super::super::object::{Buf, Vnode};
use super::super::{transfer, vop};
use super::{find, get, is_valid, release};
use crate::abi::constants::{B_READ, BO_DELWRI, BO_DONE};
use crate::export::{Export, function};

/// The buffer of a block with its data, held by the caller.
///
/// # Errors
/// The device's or file system's error; nothing is held then.
pub(crate) fn read(vp: Vnode, block: i64, size: usize) -> Result<Buf, i32> {
    // A clean buffer that held less of the block does not know the rest.
    let short = find(vp, block).is_some_and(|bp| (bp.count() as usize) < size && bp.oflags() & BO_DELWRI == 0);
    let bp = get(vp, block, size);
    if short {
        bp.set_oflags(bp.oflags() & !BO_DONE);
    }
    if !is_valid(bp) {
        bp.set_flags(bp.flags() | B_READ);
        // SAFETY: a live vnode and a held buffer of its.
        let started = unsafe { vop::strategy(vp, bp) };
        let error = match transfer::wait(bp) {
            0 => started,
            error => error,
        };
        if error != 0 {
            bp.set_error(error);
            release(bp, 0);
            return Err(error);
        }
    }
    Ok(bp)
}

unsafe extern "C" fn bread(vp: Vnode, block: i64, size: i32, _flags: i32, result: *mut Buf) -> i32 {
    let (bp, error) = match read(vp, block, size as usize) {
        Ok(bp) => (bp, 0),
        Err(error) => (Buf::NULL, error),
    };
    // SAFETY: the caller's result is writable.
    unsafe { result.write(bp) };
    error
}

unsafe extern "C" fn breadn(
    vp: Vnode,
    block: i64,
    size: i32,
    ahead: *const i64,
    sizes: *const i32,
    count: i32,
    flags: i32,
    result: *mut Buf,
) -> i32 {
    // SAFETY: the caller's result and arrays are valid for the call.
    unsafe {
        let error = bread(vp, block, size, flags, result);
        if error == 0 {
            for at in 0..count.max(0) as usize {
                let (block, size) = (ahead.add(at).read_unaligned(), sizes.add(at).read_unaligned());
                if find(vp, block).is_none() {
                    // Nobody asked for this block yet: its error shows when somebody does.
                    if let Ok(bp) = read(vp, block, size as usize) {
                        release(bp, 0);
                    }
                }
            }
        }
        error
    }
}

pub(super) const EXPORTS: &[Export] = &[function!("bread", bread), function!("breadn", breadn)];
