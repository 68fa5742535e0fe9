//! What devices answer to ioctls.

use super::super::object::Vnode;
use super::super::text;
use super::{geometry, label, number, sync_device};
use crate::abi::constants::{
    DEV_BSIZE, DIOCCACHESYNC, DIOCGMEDIASIZE, DIOCGPARTINFO, DIOCGSECTORSIZE, DISKMAGIC, FS_OTHER, RAW_PART,
};
use crate::device::Label;
use crate::kern::errno::{ENOTTY, ENXIO};
use crate::kernel::kernel;

/// `d_type` of a floppy disk.
const FLOPPY: u16 = 10;
/// `d_type` of a disk that a file or another system stands behind.
const VIRTUAL: u16 = 15;
const FLOPPY_HEADS: u32 = 2;

/// Answers `command`; `data` is what the command's number says.
pub(super) fn answer(vp: Vnode, command: usize, data: *mut u8) -> i32 {
    let Some(number) = number(vp) else { return ENXIO };
    let Some((sectors, sector)) = geometry(number) else { return ENXIO };
    let abi = kernel().abi;
    let command = command as u32;
    // SAFETY: the caller's data has the size that the command's number says.
    unsafe {
        if i64::from(command) == abi.constant.diocgdinfo {
            fill_label(data, sectors, sector, label(number));
        } else if command == DIOCGPARTINFO {
            let layout = &abi.partinfo;
            data.write_bytes(0, layout.size);
            layout.pi_size.write(data, sectors);
            layout.pi_secsize.write(data, sector);
            layout.pi_bsize.write(data, sector);
            layout.pi_fstype.write(data, FS_OTHER as u8);
        } else if command == DIOCGMEDIASIZE as u32 {
            data.cast::<u64>().write_unaligned(sectors * u64::from(sector));
        } else if command == DIOCGSECTORSIZE as u32 {
            data.cast::<u32>().write_unaligned(sector);
        } else if command == DIOCCACHESYNC {
            return sync_device(vp);
        } else {
            return ENOTTY;
        }
    }
    0
}

/// A disk label for the whole device; a plain image has no sessions, so partitions begin at 0.
///
/// # Safety
/// `data` must be writable for a `struct disklabel`.
unsafe fn fill_label(data: *mut u8, sectors: u64, sector: u32, label: Label) {
    let abi = kernel().abi;
    let layout = &abi.disklabel;
    let total = u32::try_from(sectors).unwrap_or(u32::MAX);
    let (kind, heads, per_track) = match label {
        Label::Plain => (VIRTUAL, 16, 63),
        // A track of a double-density disk has 11 sectors, of a high-density one 22; both have 80 cylinders.
        Label::Floppy => (FLOPPY, FLOPPY_HEADS, (total / (FLOPPY_HEADS * 80)).max(1)),
    };
    // SAFETY: members of the caller's structure; partitions lie inside their array.
    unsafe {
        data.write_bytes(0, layout.size);
        layout.d_magic.write(data, DISKMAGIC);
        layout.d_magic2.write(data, DISKMAGIC);
        layout.d_type.write(data, kind);
        text::fill(layout.d_typename.ptr(data), layout.d_typename.size(), b"image");
        layout.d_secsize.write(data, sector);
        layout.d_nsectors.write(data, per_track);
        layout.d_ntracks.write(data, heads);
        layout.d_ncylinders.write(data, (total / (heads * per_track)).max(1));
        layout.d_secpercyl.write(data, heads * per_track);
        layout.d_secperunit.write(data, total);
        layout.d_npartitions.write(data, RAW_PART as u16 + 1);
        layout.d_bbsize.write(data, 16 * DEV_BSIZE as u32);
        let partitions: *mut u8 = layout.d_partitions.ptr(data);
        for index in [0, RAW_PART as usize] {
            let partition = partitions.add(index * abi.partition.size);
            abi.partition.p_size.write(partition, total);
            abi.partition.p_fstype.write(partition, FS_OTHER as u8);
        }
    }
}
