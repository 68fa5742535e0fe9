//! Transfers between a driver and its caller's memory, without the cache: `physio(9)`.

use super::object::{Buf, Uio};
use super::transfer;
use crate::abi::constants::{B_PHYS, B_RAW, B_READ, DEV_BSIZE, MAXPHYS};
use crate::export::{Export, function};
use crate::kern::errno::{EFAULT, EINVAL};
use crate::kernel::kernel;

type Strategy = unsafe extern "C" fn(Buf);

/// Cuts a transfer to what any device takes at a time.
unsafe extern "C" fn minphys(bp: Buf) {
    bp.set_count(bp.count().min(MAXPHYS));
}

/// Whether a transfer lies on a medium of `size` sectors. One that leads over its end is cut, one at the end moves nothing, one
/// beyond is an error.
unsafe extern "C" fn bounds_check_with_mediasize(bp: Buf, sector: i32, size: u64) -> i32 {
    let block = u64::try_from(bp.block()).ok().filter(|_| sector > 0);
    let Some(left) = block.and_then(|block| size.checked_sub(block)) else {
        bp.set_error(EINVAL);
        return 0;
    };
    if left == 0 {
        bp.set_resid(bp.count());
        return 0;
    }
    let sectors = u64::from(bp.count().max(0).unsigned_abs().div_ceil(sector.unsigned_abs()));
    if sectors > left {
        bp.set_count(left as i32 * sector);
    }
    1
}

/// Moves what `uio` lists to or from a device, in pieces that the driver's `limit` allows. A piece that is not moved whole is the
/// last one.
unsafe extern "C" fn physio(strategy: Strategy, given: Buf, device: u64, flags: i32, limit: Strategy, uio: Uio) -> i32 {
    let bp = if given.is_null() { transfer::header(super::object::Vnode::NULL) } else { given };
    // SAFETY: module code passes functions of its driver, null or a buffer of its own, and a `struct uio`.
    let error = unsafe { pieces(strategy, bp, device, flags & B_READ, limit, uio) };
    if given.is_null() {
        transfer::free_header(bp);
    }
    error
}

/// # Safety
/// As `physio`; the buffer is this call's.
unsafe fn pieces(strategy: Strategy, bp: Buf, device: u64, reading: i32, limit: Strategy, uio: Uio) -> i32 {
    let (layout, vector_layout) = (&kernel().abi.uio, &kernel().abi.iovec);
    // SAFETY: as the caller says; vectors are as many as the structure says.
    unsafe {
        let (first, count): (*mut u8, i32) = (layout.uio_iov.read(uio.0), layout.uio_iovcnt.read(uio.0));
        for vector in (0..count.max(0) as usize).map(|index| first.add(index * vector_layout.size)) {
            loop {
                let (base, length): (*mut u8, usize) = (vector_layout.iov_base.read(vector), vector_layout.iov_len.read(vector));
                if length == 0 {
                    break;
                }
                let offset: i64 = layout.uio_offset.read(uio.0);
                if offset < 0 || offset % i64::from(DEV_BSIZE) != 0 {
                    return EINVAL;
                }
                if base.is_null() {
                    return EFAULT;
                }
                bp.set_device(device);
                bp.set_oflags(0);
                bp.set_flags(reading | B_PHYS | B_RAW);
                bp.set_error(0);
                bp.set_block(offset / i64::from(DEV_BSIZE));
                bp.set_count(length.min(MAXPHYS as usize) as i32);
                bp.set_data(base);
                limit(bp);
                let asked = bp.count();
                if asked <= 0 {
                    return EINVAL;
                }
                bp.set_capacity(asked);
                bp.set_resid(asked);
                strategy(bp);
                let error = transfer::wait(bp);
                let moved = if error == 0 { (bp.count() - bp.resid()).clamp(0, asked) as usize } else { 0 };
                vector_layout.iov_base.write(vector, base.add(moved));
                vector_layout.iov_len.write(vector, length - moved);
                layout.uio_offset.write(uio.0, offset + moved as i64);
                layout.uio_resid.write(uio.0, layout.uio_resid.read::<usize>(uio.0) - moved);
                if error != 0 || moved < asked as usize {
                    return error;
                }
            }
        }
    }
    0
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("minphys", minphys),
    function!("bounds_check_with_mediasize", bounds_check_with_mediasize),
    function!("physio", physio),
];
