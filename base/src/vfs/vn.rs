//! `vn_*`: what file systems and the server do with vnodes as a whole.

use super::lookup::{NameData, namei};
use super::object::{Uio, Vattr, Vnode};
use super::vnode::vrele;
use super::vop;
use crate::abi::Abi;
use crate::abi::constants::{
    DT_BLK, DT_CHR, DT_DIR, DT_FIFO, DT_LNK, DT_REG, DT_SOCK, DT_UNKNOWN, FOLLOW, FWRITE, IO_NODELOCKED, LK_EXCLUSIVE, LK_SHARED,
    LOCKLEAF, LOOKUP, O_CREAT, O_NOFOLLOW, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFREG, S_IFSOCK, UIO_WRITE,
    VBAD, VBLK, VCHR, VDIR, VFIFO, VLNK, VNON, VREG, VSOCK,
};
use crate::export::{Export, data, function};
use crate::kern::errno::{EIO, EISDIR, ENOENT, EOPNOTSUPP};
use crate::kern::uio::Transfer;
use crate::kern::{cred, printf};
use crate::kernel::{Kernel, kernel};
use alloc::format;
use alloc::vec::Vec;

/// Locks a vnode; with `LK_RETRY` also a dead one.
pub(crate) fn lock(vp: Vnode, flags: i32) -> i32 {
    // SAFETY: the caller holds a reference.
    unsafe {
        let error = vop::lock(vp, flags);
        if error == 0 && i64::from(flags) & kernel().abi.constant.lk_retry == 0 && vp.check_alive() != 0 {
            vop::unlock(vp);
            return ENOENT;
        }
        error
    }
}

unsafe extern "C" fn vn_lock(vp: Vnode, flags: i32) -> i32 {
    lock(vp, flags)
}

unsafe extern "C" fn vn_default_error(_arguments: *mut u8) -> i32 {
    EOPNOTSUPP
}

/// Opens what a lookup found; the vnode stays locked. Files are not made here.
unsafe extern "C" fn vn_open(data: NameData, mode: i32, _permissions: i32) -> i32 {
    if mode & O_CREAT != 0 {
        return EOPNOTSUPP;
    }
    // SAFETY: a member of the caller's structure; the vnode comes locked and referenced.
    unsafe {
        let name = super::object::ComponentName(kernel().abi.nameidata.ni_cnd.ptr(data.0));
        name.set_operation(LOOKUP as u32);
        name.set_flags(name.flags() | (FOLLOW | LOCKLEAF) as u32);
        let error = namei(data);
        if error != 0 {
            return error;
        }
        let vp = data.vnode();
        let error = open(vp, mode);
        if error != 0 {
            super::vnode::vput(vp);
            data.set_vnode(Vnode::NULL);
        }
        error
    }
}

/// The call that takes a path without a structure around it. What is open is a vnode, never a file of its own.
mod later {
    use super::super::lookup::{Component, PathBuffer, resolve};
    use super::{EOPNOTSUPP, FOLLOW, LOCKLEAF, LOOKUP, O_CREAT, O_NOFOLLOW, Vnode, open};

    pub(super) unsafe extern "C" fn vn_open(
        start: Vnode,
        path: PathBuffer,
        how: i32,
        mode: i32,
        _permissions: i32,
        result: *mut Vnode,
        moves: *mut bool,
        descriptor: *mut i32,
    ) -> i32 {
        if mode & O_CREAT != 0 {
            return EOPNOTSUPP;
        }
        let follow = if mode & O_NOFOLLOW == 0 { FOLLOW } else { 0 };
        let mut component = Component::new(LOOKUP, how & !FOLLOW | follow | LOCKLEAF);
        let vp = match resolve(path, start, component.handle()) {
            Ok(found) => found.vnode,
            Err(error) => return error,
        };
        // SAFETY: the vnode comes locked and referenced; the caller's results are writable or, but for the vnode, null.
        unsafe {
            let error = open(vp, mode);
            if error != 0 {
                super::super::vnode::vput(vp);
                return error;
            }
            result.write(vp);
            if !moves.is_null() {
                moves.write(false);
            }
            if !descriptor.is_null() {
                descriptor.write(-1);
            }
        }
        0
    }
}

/// Opens a locked vnode.
///
/// # Safety
/// The caller holds lock and reference.
pub(crate) unsafe fn open(vp: Vnode, mode: i32) -> i32 {
    if mode & FWRITE != 0 && vp.kind() == VDIR {
        return EISDIR;
    }
    // SAFETY: as the caller says.
    let error = unsafe { vop::open(vp, mode, cred::current()) };
    if error == 0 && mode & FWRITE != 0 {
        vp.set_writecount(vp.writecount() + 1);
    }
    error
}

/// Closes a vnode and gives the reference up.
///
/// # Safety
/// The caller holds a reference, and opened the vnode with `mode`.
pub(crate) unsafe extern "C" fn vn_close(vp: Vnode, mode: i32, cred: *mut u8) -> i32 {
    // SAFETY: as the caller says.
    unsafe {
        let error = lock(vp, LK_EXCLUSIVE | kernel().abi.constant.lk_retry as i32);
        if error != 0 {
            vrele(vp);
            return error;
        }
        if mode & FWRITE != 0 {
            vp.set_writecount(vp.writecount() - 1);
        }
        let error = vop::close(vp, mode, cred);
        super::vnode::vput(vp);
        error
    }
}

unsafe extern "C" fn vn_rdwr(
    direction: i32,
    vp: Vnode,
    base: *mut u8,
    length: i32,
    offset: i64,
    _space: i32,
    flags: i32,
    cred: *mut u8,
    left: *mut usize,
    _lwp: *mut u8,
) -> i32 {
    let write = direction == UIO_WRITE;
    let locked = flags & IO_NODELOCKED != 0;
    if !locked {
        let how = if write { LK_EXCLUSIVE } else { LK_SHARED };
        let error = lock(vp, how | kernel().abi.constant.lk_retry as i32);
        if error != 0 {
            return error;
        }
    }
    let mut transfer = Transfer::new(base, length.max(0) as usize, offset, write);
    // SAFETY: the vnode is locked, the caller's buffer has the length.
    unsafe {
        let io = Uio(transfer.uio());
        let error = if write { vop::write(vp, io, flags, cred) } else { vop::read(vp, io, flags, cred) };
        if !locked {
            vop::unlock(vp);
        }
        if !left.is_null() {
            left.write(transfer.residue());
        } else if error == 0 && transfer.residue() > 0 {
            return EIO;
        }
        error
    }
}

/// Sets every attribute to "no value".
pub(crate) unsafe extern "C" fn vattr_null(attributes: Vattr) {
    let layout = &kernel().abi.vattr;
    // SAFETY: the caller's structure is writable; "no value" is all ones in every member.
    unsafe {
        attributes.0.write_bytes(0xff, layout.size);
        layout.va_type.write(attributes.0, VNON);
        layout.va_vaflags.write(attributes.0, 0u32);
    }
}

unsafe extern "C" fn vprint(label: *const u8, vp: Vnode) {
    // SAFETY: the caller's string, or null.
    let label = if label.is_null() { &[] } else { unsafe { super::text::bytes(label, 64) } };
    let label = alloc::string::String::from_utf8_lossy(label);
    printf::console_line(&format!("{label}: vnode {:p}, type {}, {} uses", vp.0, vp.kind(), vp.uses()));
}

/// Types of directory entries by vnode type.
const ENTRY_TYPES: [i32; 8] = [DT_UNKNOWN, DT_REG, DT_DIR, DT_BLK, DT_CHR, DT_LNK, DT_SOCK, DT_FIFO];

unsafe extern "C" fn vtype2dt(kind: i32) -> u8 {
    usize::try_from(kind).ok().and_then(|kind| ENTRY_TYPES.get(kind)).copied().unwrap_or(DT_UNKNOWN) as u8
}

/// Mode bits by vnode type.
const MODES: [i32; 9] = [0, S_IFREG, S_IFDIR, S_IFBLK, S_IFCHR, S_IFLNK, S_IFSOCK, S_IFIFO, S_IFMT];

/// Vnode types by the four type bits of a mode.
const KINDS: [i32; 16] = [VNON, VFIFO, VCHR, VNON, VDIR, VNON, VBLK, VNON, VREG, VNON, VLNK, VNON, VSOCK, VNON, VNON, VBAD];

/// The type bits of a mode for a vnode type.
pub(crate) fn mode_of(kind: i32) -> u32 {
    usize::try_from(kind).ok().and_then(|kind| MODES.get(kind)).copied().unwrap_or(0) as u32
}

/// Fills the tables of types.
pub(crate) fn fill(kernel: &Kernel) {
    // SAFETY: the exports have the tables' sizes.
    unsafe {
        kernel.data("iftovt_tab").cast::<[i32; 16]>().write(KINDS);
        kernel.data("vttoif_tab").cast::<[i32; 9]>().write(MODES);
        kernel.data("desiredvnodes").cast::<i32>().write(super::DESIRED_VNODES as i32);
    }
}

/// Adds the functions with the parameters of the version.
pub(super) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    out.extend_from_slice(EXPORTS);
    out.push(if abi.is_10() { function!("vn_open", later::vn_open) } else { function!("vn_open", vn_open) });
}

const EXPORTS: &[Export] = &[
    function!("vn_lock", vn_lock),
    function!("vn_default_error", vn_default_error),
    function!("vn_close", vn_close),
    function!("vn_rdwr", vn_rdwr),
    function!("vattr_null", vattr_null),
    function!("vprint", vprint),
    function!("vtype2dt", vtype2dt),
    data!("iftovt_tab", 64, 4),
    data!("vttoif_tab", 36, 4),
    data!("desiredvnodes", 4, 4),
];
