//! What is left of a vnode whose file system gave it up: every operation fails, and locking works.

use super::object::{FsOperations, Mount, Vnode};
use super::operation::{Op, own_vector};
use super::{genfs, mount, vnode};
use crate::abi::constants::{VBLK, VCHR};
use crate::kern::errno::{EBADF, EIO, ENOENT};
use crate::kernel::{Kernel, kernel};
use core::cell::Cell;
use core::ptr;

/// The mount that dead vnodes belong to, and their operations.
pub(crate) struct State {
    mount: Cell<Mount>,
    vector: Cell<*const *const ()>,
}

impl Default for State {
    fn default() -> Self {
        Self { mount: Cell::new(Mount::NULL), vector: Cell::new(ptr::null()) }
    }
}

pub(crate) fn fill(kernel: &Kernel) {
    let state = &kernel.vfs.dead;
    state.mount.set(mount::allocate(FsOperations::NULL, Vnode::NULL));
    let entries = &[
        (Op::Lock, lock as *const ()),
        (Op::Unlock, genfs::unlock as *const ()),
        (Op::Islocked, genfs::islocked as *const ()),
        (Op::Lookup, lookup as *const ()),
        (Op::Open, no_such as *const ()),
        (Op::Close, genfs::nullop as *const ()),
        (Op::Fsync, genfs::nullop as *const ()),
        (Op::Inactive, inactive as *const ()),
        (Op::Reclaim, genfs::nullop as *const ()),
        (Op::Print, genfs::nullop as *const ()),
        (Op::Putpages, genfs::null_putpages as *const ()),
        (Op::Strategy, strategy as *const ()),
        (Op::Remove, genfs::eopnotsupp as *const ()),
        (Op::Rmdir, genfs::eopnotsupp as *const ()),
        (Op::Rename, genfs::eopnotsupp as *const ()),
        (Op::Read, read as *const ()),
        (Op::Write, bad as *const ()),
        (Op::Ioctl, bad as *const ()),
    ];
    state.vector.set(own_vector(bad as *const (), entries));
}

/// Makes a vnode dead.
pub(crate) fn adopt(vp: Vnode) {
    let state = &kernel().vfs.dead;
    let mp = state.mount.get();
    mp.set_references(mp.references() + 1);
    vnode::insert_in_mount(vp, mp);
    vp.set_vector(state.vector.get());
}

unsafe extern "C" fn bad(_arguments: *mut u8) -> i32 {
    EBADF
}

unsafe extern "C" fn no_such(_arguments: *mut u8) -> i32 {
    crate::kern::errno::ENXIO
}

unsafe extern "C" fn lookup(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of a lookup; the result pointer is writable.
    unsafe {
        kernel().abi.vop_lookup_args.a_vpp.read::<*mut Vnode>(arguments).write(Vnode::NULL);
    }
    EBADF
}

unsafe extern "C" fn inactive(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of inactive; the flag is writable, the vnode locked.
    unsafe {
        kernel().abi.vop_inactive_args.a_recycle.read::<*mut bool>(arguments).write(false);
        genfs::unlock(arguments)
    }
}

unsafe extern "C" fn read(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of a read.
    let vp: Vnode = unsafe { kernel().abi.vop_read_args.a_vp.read(arguments) };
    // Reading a terminal that hung up ends; anything else fails.
    if matches!(vp.kind(), VCHR | VBLK) { 0 } else { EIO }
}

unsafe extern "C" fn strategy(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of strategy.
    let bp: super::object::Buf = unsafe { kernel().abi.vop_strategy_args.a_bp.read(arguments) };
    bp.set_error(EIO);
    bp.set_resid(bp.count());
    super::transfer::done(bp);
    EIO
}

unsafe extern "C" fn lock(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of lock.
    let (vp, flags): (Vnode, i32) = unsafe {
        let layout = &kernel().abi.vop_lock_args;
        (layout.a_vp.read(arguments), layout.a_flags.read(arguments))
    };
    if i64::from(flags) & kernel().abi.constant.lk_retry == 0 {
        return ENOENT;
    }
    genfs::lock_vnode(vp, flags)
}
