//! Transfers between buffers and the host's devices.

use super::super::object::{Buf, Vnode};
use super::super::transfer;
use super::with_device;
use crate::abi::constants::{B_READ, DEV_BSIZE};
use crate::device::Device;
use crate::kern::errno::{EINVAL, EIO, ENXIO};
use crate::kern::memory;
use core::slice;
use rumpload::resource::{HostError, host_errno};

/// Starts the transfer of a buffer from or to the device `b_dev`; it is done on return.
pub(crate) unsafe extern "C" fn bdev_strategy(bp: Buf) {
    start(bp.device(), bp);
}

/// As `bdev_strategy`, for the device `number`.
pub(super) fn start(number: u64, bp: Buf) {
    match with_device(number, |device| transfer_all(device, bp)) {
        Some(Ok(moved)) => bp.set_resid(bp.count() - moved as i32),
        Some(Err(error)) => fail(bp, error),
        None => fail(bp, ENXIO),
    }
    transfer::done(bp);
}

fn fail(bp: Buf, error: i32) {
    bp.set_error(error);
    bp.set_resid(bp.count());
}

fn errno(error: HostError) -> i32 {
    match host_errno(error.kind()) {
        0 => EIO,
        errno => errno,
    }
}

/// Moves the data of a buffer; returns how many bytes lie on the device.
fn transfer_all(device: &Device, bp: Buf) -> Result<usize, i32> {
    let length = usize::try_from(bp.count()).map_err(|_| EINVAL)?;
    let offset = u64::try_from(bp.block()).ok().and_then(|block| block.checked_mul(DEV_BSIZE as u64)).ok_or(EINVAL)?;
    let size = device.block.size();
    if offset >= size || length == 0 {
        return if length == 0 || (offset == size && bp.flags() & B_READ != 0) { Ok(0) } else { Err(EINVAL) };
    }
    let reading = bp.flags() & B_READ != 0;
    // SAFETY: a buffer's data has the length that it says, and is its holder's alone during the transfer.
    let data = unsafe { slice::from_raw_parts_mut(bp.data(), length) };
    let there = usize::try_from(size - offset).unwrap_or(usize::MAX).min(length);
    if !reading && there < length {
        return Err(EINVAL);
    }
    let sector = u64::from(device.block.sector_size());
    let aligned = offset.is_multiple_of(sector) && (there as u64).is_multiple_of(sector);
    match (reading, aligned) {
        (true, true) => read_exact(device, offset, &mut data[..there])?,
        (true, false) => around(device, offset, there, |bounce, start| {
            data[..there].copy_from_slice(&bounce[start..start + there]);
            Ok(())
        })?,
        (false, true) => device.block.write(offset, data).map_err(errno)?,
        (false, false) => around(device, offset, there, |bounce, start| {
            bounce[start..start + there].copy_from_slice(data);
            device.block.write(offset - start as u64, bounce).map_err(errno)
        })?,
    }
    // What lies behind the device's end reads as zeros.
    data[there..].fill(0);
    Ok(there)
}

/// Reads the whole sectors around a range, for a transfer that begins or ends within one.
fn around(
    device: &Device,
    offset: u64,
    length: usize,
    work: impl FnOnce(&mut [u8], usize) -> Result<(), i32>,
) -> Result<(), i32> {
    let sector = u64::from(device.block.sector_size());
    let first = offset - offset % sector;
    let whole = (offset + length as u64).next_multiple_of(sector) - first;
    let whole = usize::try_from(whole).map_err(|_| EINVAL)?;
    let bounce = memory::alloc_or_end(whole, false);
    // SAFETY: a fresh block of that size, filled before it is read.
    let bytes = unsafe {
        bounce.write_bytes(0, whole);
        slice::from_raw_parts_mut(bounce, whole)
    };
    let outcome = read_exact(device, first, bytes).and_then(|()| work(bytes, (offset - first) as usize));
    // SAFETY: allocated above; the slice is not used any more.
    unsafe { memory::free(bounce) };
    outcome
}

fn read_exact(device: &Device, offset: u64, data: &mut [u8]) -> Result<(), i32> {
    let count = device.block.read(offset, data).map_err(errno)?;
    if count == data.len() { Ok(()) } else { Err(EIO) }
}

/// Brings everything written to stable storage.
pub(crate) fn sync_device(vp: Vnode) -> i32 {
    let Some(number) = super::number(vp) else { return ENXIO };
    with_device(number, |device| device.block.flush().err().map_or(0, errno)).unwrap_or(ENXIO)
}
