use super::{DEVICE, device, refused};
use crate::resource::{Block, HostErrorKind};
use alloc::vec;
use alloc::vec::Vec;

/// Checks every promise of [`Block`]. The device has [`DEVICE`] bytes, those of [`device`], before and after.
///
/// # Panics
/// If a promise is broken.
pub fn block(block: &dyn Block) {
    let sector = block.sector_size() as usize;
    assert!(sector.is_power_of_two() && (512..=65536).contains(&sector), "sectors of {sector} bytes");
    assert_eq!(block.size(), DEVICE as u64, "the size of the device");
    reads(block, sector);
    refuses(block, sector);
    if block.read_only() {
        refused(block.write(0, &vec![1; sector]), HostErrorKind::ReadOnly, "a write to a read-only device");
    } else {
        writes(block, sector);
    }
    assert_eq!(block.flush(), Ok(()), "flush");
    let mut after = vec![0; DEVICE];
    assert_eq!(block.read(0, &mut after), Ok(DEVICE));
    assert!(after == device(), "the device is as before");
}

fn reads(block: &dyn Block, sector: usize) {
    let expected = device();
    for (offset, len) in [(0, sector), (sector, sector), (0, DEVICE), (DEVICE - sector, sector), (sector, 3 * sector)] {
        let mut buffer = vec![0xee; len];
        let rest = len.min(DEVICE - offset);
        assert_eq!(block.read(offset as u64, &mut buffer), Ok(rest), "{len} bytes at {offset}");
        assert!(buffer[..rest] == expected[offset..offset + rest], "the bytes at {offset}");
    }
    // At the end there is less, and what is behind stays as it was.
    let mut buffer = vec![0xee; 4 * sector];
    assert_eq!(block.read((DEVICE - sector) as u64, &mut buffer), Ok(sector), "a read across the end");
    assert!(buffer[..sector] == expected[DEVICE - sector..], "the last sector");
    assert_eq!(block.read(DEVICE as u64, &mut buffer), Ok(0), "a read at the end");
    assert_eq!(block.read(0, &mut []), Ok(0), "a read of nothing");
}

fn refuses(block: &dyn Block, sector: usize) {
    let invalid = HostErrorKind::InvalidInput;
    let mut buffer = vec![0; 2 * sector];
    refused(block.read(1, &mut buffer), invalid, "a read within a sector");
    refused(block.read(sector as u64 / 2, &mut buffer), invalid, "a read at half a sector");
    refused(block.read(0, &mut buffer[..sector - 1]), invalid, "a read of less than a sector");
    refused(block.read(0, &mut buffer[..sector + 1]), invalid, "a read of more than a sector");
    refused(block.read((DEVICE + sector) as u64, &mut buffer), invalid, "a read beyond the end");
    let last = u64::MAX - sector as u64 + 1;
    refused(block.read(last, &mut buffer), invalid, "a read at the end of all offsets");
    if !block.read_only() {
        refused(block.write(1, &buffer), invalid, "a write within a sector");
        refused(block.write(0, &buffer[..sector - 1]), invalid, "a write of less than a sector");
        refused(block.write(DEVICE as u64, &buffer), invalid, "a write at the end");
        refused(block.write((DEVICE - sector) as u64, &buffer), invalid, "a write across the end");
        refused(block.write(last, &buffer), invalid, "a write at the end of all offsets");
    }
}

fn writes(block: &dyn Block, sector: usize) {
    let before = device();
    for (offset, len) in [(0, sector), (DEVICE - sector, sector), (sector, DEVICE - 2 * sector)] {
        let data: Vec<u8> = before[offset..offset + len].iter().map(|byte| !byte).collect();
        assert_eq!(block.write(offset as u64, &data), Ok(()), "a write of {len} bytes at {offset}");
        let mut all = vec![0; DEVICE];
        assert_eq!(block.read(0, &mut all), Ok(DEVICE));
        assert!(all[offset..offset + len] == data, "what was written is read");
        assert!(all[..offset] == before[..offset] && all[offset + len..] == before[offset + len..], "nothing else changed");
        assert_eq!(block.write(offset as u64, &before[offset..offset + len]), Ok(()));
    }
    assert_eq!(block.write(DEVICE as u64, &[]), Ok(()), "a write of nothing at the end");
}
