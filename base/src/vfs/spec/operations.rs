//! Vnode operations of special files.

use super::super::object::{Buf, Uio, Vnode};
use super::super::operation::{Op, own_vector};
use super::super::{buffer, genfs, lost, pages};
use super::{character, geometry, invalidate, ioctl, number, strategy, sync_device, with_device};
use crate::abi::constants::{BLKDEV_IOSIZE, DEV_BSIZE, FWRITE, UIO_READ, V_SAVE, VBLK, VCHR};
use crate::export::{Export, function};
use crate::kern::errno::{EBUSY, EINVAL, ENOTDIR, ENXIO, EROFS};
use crate::kern::uio;
use crate::kernel::{Kernel, kernel};

unsafe extern "C" fn lookup(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of a lookup; the result pointer is writable.
    unsafe { kernel().abi.vop_lookup_args.a_vpp.read::<*mut Vnode>(arguments).write(Vnode::NULL) };
    ENOTDIR
}

unsafe extern "C" fn open(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_open_args;
    // SAFETY: the arguments of an open.
    let (vp, mode): (Vnode, i32) = unsafe { (layout.a_vp.read(arguments), layout.a_mode.read(arguments)) };
    if vp.kind() == VCHR {
        // SAFETY: locked and referenced, as for every open.
        return unsafe { character::open(vp, mode) };
    }
    let node = vp.specnode();
    if vp.kind() != VBLK || node.is_null() {
        return ENXIO;
    }
    let Some((sectors, sector)) = geometry(node.number()) else { return ENXIO };
    let device = node.device();
    if device.opens() > 0 {
        return EBUSY;
    }
    if mode & FWRITE != 0 && with_device(node.number(), |device| device.block.read_only()).unwrap_or(true) {
        return EROFS;
    }
    device.set_opens(device.opens() + 1);
    device.set_block_vnode(vp);
    node.set_opens(node.opens() + 1);
    pages::set_size(vp, (sectors * u64::from(sector)) as i64);
    0
}

unsafe extern "C" fn close(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_close_args;
    // SAFETY: the arguments of a close.
    let (vp, mode): (Vnode, i32) = unsafe { (layout.a_vp.read(arguments), layout.a_fflag.read(arguments)) };
    if vp.kind() == VCHR {
        // SAFETY: locked and referenced, as for every close.
        return unsafe { character::close(vp, mode) };
    }
    let node = vp.specnode();
    if node.is_null() || node.opens() == 0 {
        return ENXIO;
    }
    let device = node.device();
    let mut error = 0;
    if device.opens() == 1 {
        error = invalidate(vp, V_SAVE);
        if error != 0 {
            // What cannot be written is lost; the device closes all the same, and file systems do not ask how that went.
            lost::note(vp, error);
            invalidate(vp, 0);
        }
        let synced =
            if with_device(node.number(), |device| device.block.read_only()).unwrap_or(true) { 0 } else { sync_device(vp) };
        error = if error == 0 { synced } else { error };
        device.set_block_vnode(Vnode::NULL);
    }
    device.set_opens(device.opens() - 1);
    node.set_opens(node.opens() - 1);
    error
}

/// Reads or writes a block device a block at a time through the buffer cache; a character device is its driver's.
///
/// # Safety
/// The caller holds the lock and a reference.
unsafe fn copy(vp: Vnode, io: Uio, flags: i32) -> i32 {
    if vp.kind() == VCHR {
        // SAFETY: as the caller says.
        return unsafe { character::copy(vp, io, flags, io.direction() != UIO_READ) };
    }
    let Some((sectors, sector)) = number(vp).and_then(geometry) else { return ENXIO };
    if vp.kind() != VBLK || io.offset() < 0 {
        return EINVAL;
    }
    let size = (sectors * u64::from(sector)) as i64;
    let block_size = i64::from(BLKDEV_IOSIZE.max(sector as i32));
    while io.resid() > 0 && io.offset() < size {
        let start = io.offset() - io.offset() % block_size;
        let length = block_size.min(size - start);
        let at = (io.offset() - start) as usize;
        let count = (length as usize - at).min(io.resid());
        let bp = match buffer::read(vp, start / i64::from(DEV_BSIZE), length as usize) {
            Ok(bp) => bp,
            Err(error) => return error,
        };
        // SAFETY: the range lies inside the buffer's data.
        let error = unsafe { uio::uiomove(bp.data().add(at), count, io.0) };
        if io.direction() == UIO_READ || error != 0 {
            buffer::release(bp, 0);
        } else {
            buffer::delay(bp);
        }
        if error != 0 {
            return error;
        }
    }
    0
}

unsafe extern "C" fn read(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_read_args;
    // SAFETY: the arguments of a read.
    unsafe { copy(layout.a_vp.read(arguments), layout.a_uio.read(arguments), layout.a_ioflag.read(arguments)) }
}

unsafe extern "C" fn write(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_write_args;
    // SAFETY: the arguments of a write.
    unsafe { copy(layout.a_vp.read(arguments), layout.a_uio.read(arguments), layout.a_ioflag.read(arguments)) }
}

unsafe extern "C" fn spec_ioctl(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_ioctl_args;
    // SAFETY: the arguments of an ioctl.
    unsafe {
        let (vp, command, data) =
            (layout.a_vp.read::<Vnode>(arguments), layout.a_command.read(arguments), layout.a_data.read(arguments));
        match vp.kind() {
            VCHR => character::control(vp, command, data, layout.a_fflag.read(arguments)),
            _ => ioctl::answer(vp, command, data),
        }
    }
}

unsafe extern "C" fn fsync(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of an fsync.
    let vp: Vnode = unsafe { kernel().abi.vop_fsync_args.a_vp.read(arguments) };
    if vp.kind() == VBLK { buffer::flush(vp).err().unwrap_or(0) } else { 0 }
}

unsafe extern "C" fn bmap(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_bmap_args;
    // SAFETY: the arguments of bmap; results may be null.
    unsafe {
        let vpp: *mut Vnode = layout.a_vpp.read(arguments);
        if !vpp.is_null() {
            vpp.write(layout.a_vp.read(arguments));
        }
        let block: *mut i64 = layout.a_bnp.read(arguments);
        if !block.is_null() {
            block.write_unaligned(layout.a_bn.read(arguments));
        }
        let run: *mut i32 = layout.a_runp.read(arguments);
        if !run.is_null() {
            run.write(crate::abi::constants::MAXBSIZE / DEV_BSIZE - 1);
        }
    }
    0
}

unsafe extern "C" fn spec_strategy(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_strategy_args;
    // SAFETY: the arguments of strategy.
    let (vp, bp): (Vnode, Buf) = unsafe { (layout.a_vp.read(arguments), layout.a_bp.read(arguments)) };
    bp.set_error(0);
    match number(vp) {
        Some(number) => {
            bp.set_device(number);
            strategy::start(number, bp);
        }
        None => strategy::start(u64::MAX, bp),
    }
    0
}

/// The operations of special files, for this vector and for the root's device vnodes.
pub(crate) const OPERATIONS: &[(Op, *const ())] = &[
    (Op::Lookup, lookup as *const ()),
    (Op::Open, open as *const ()),
    (Op::Close, close as *const ()),
    (Op::Read, read as *const ()),
    (Op::Write, write as *const ()),
    (Op::Ioctl, spec_ioctl as *const ()),
    (Op::Fsync, fsync as *const ()),
    (Op::Bmap, bmap as *const ()),
    (Op::Strategy, spec_strategy as *const ()),
    (Op::Fdiscard, genfs::eopnotsupp as *const ()),
    (Op::Poll, genfs::eopnotsupp as *const ()),
    (Op::Kqfilter, genfs::eopnotsupp as *const ()),
    (Op::Mmap, genfs::eopnotsupp as *const ()),
    (Op::Print, genfs::nullop as *const ()),
    (Op::Pathconf, genfs::eopnotsupp as *const ()),
    (Op::Advlock, genfs::eopnotsupp as *const ()),
    (Op::Fcntl, genfs::nullop as *const ()),
    (Op::Seek, genfs::nullop as *const ()),
    (Op::Inactive, super::super::rootfs::inactive as *const ()),
    (Op::Reclaim, genfs::nullop as *const ()),
    (Op::Lock, genfs::lock as *const ()),
    (Op::Unlock, genfs::unlock as *const ()),
    (Op::Islocked, genfs::islocked as *const ()),
    (Op::Putpages, genfs::null_putpages as *const ()),
    (Op::Bwrite, buffer::vn_bwrite as *const ()),
];

/// Builds the vector that modules find in `spec_vnodeop_p`.
pub(crate) fn fill(kernel: &Kernel) {
    super::fill_switch();
    let vector = own_vector(genfs::eopnotsupp as *const (), OPERATIONS);
    // SAFETY: the export is a pointer.
    unsafe { kernel.data("spec_vnodeop_p").cast::<*const *const ()>().write(vector) };
}

pub(super) const EXPORTS: &[Export] = &[
    function!("spec_lookup", lookup),
    function!("spec_open", open),
    function!("spec_close", close),
    function!("spec_read", read),
    function!("spec_write", write),
    function!("spec_ioctl", spec_ioctl),
    function!("spec_fsync", fsync),
    function!("spec_bmap", bmap),
    function!("spec_strategy", spec_strategy),
    function!("spec_fdiscard", genfs::eopnotsupp),
    function!("spec_poll", genfs::eopnotsupp),
    function!("spec_kqfilter", genfs::eopnotsupp),
    function!("spec_mmap", genfs::eopnotsupp),
    function!("spec_print", genfs::nullop),
    function!("spec_pathconf", genfs::eopnotsupp),
    function!("spec_advlock", genfs::eopnotsupp),
];
