//! Conversion between the quota records of old file systems and the kernel's general form.

use crate::export::{Export, function};
use crate::kernel::kernel;

/// `struct dqblk`, as it lies on disk. A limit is kept as itself plus one; 0 is none.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[repr(C)]
struct Record {
    hard_blocks: u32,
    soft_blocks: u32,
    blocks: u32,
    hard_files: u32,
    soft_files: u32,
    files: u32,
    block_time: i32,
    file_time: i32,
}

const NO_LIMIT: u64 = u64::MAX;

fn limit_of(stored: u32) -> u64 {
    stored.checked_sub(1).map_or(NO_LIMIT, u64::from)
}

fn stored(limit: u64) -> u32 {
    u32::try_from(limit).ok().and_then(|limit| limit.checked_add(1)).unwrap_or(0)
}

/// # Safety
/// `out` must be a `struct quotaval`.
unsafe fn put(out: *mut u8, hard: u32, soft: u32, used: u32, time: i32) {
    let fields = &kernel().abi.quotaval;
    // SAFETY: as the caller says.
    unsafe {
        fields.qv_hardlimit.write(out, limit_of(hard));
        fields.qv_softlimit.write(out, limit_of(soft));
        fields.qv_usage.write(out, u64::from(used));
        fields.qv_expiretime.write(out, i64::from(time));
    }
}

/// # Safety
/// `from` must be a `struct quotaval`.
unsafe fn get(from: *const u8) -> (u32, u32, u32, i32) {
    let fields = &kernel().abi.quotaval;
    // SAFETY: as the caller says. Usage and time are cut as the record's members are.
    unsafe {
        let (hard, soft) = (fields.qv_hardlimit.read(from), fields.qv_softlimit.read(from));
        (stored(hard), stored(soft), fields.qv_usage.read::<u64>(from) as u32, fields.qv_expiretime.read::<i64>(from) as i32)
    }
}

unsafe extern "C" fn dqblk_to_quotavals(record: *const Record, blocks: *mut u8, files: *mut u8) {
    // SAFETY: module code passes a record and two values.
    unsafe {
        let record = record.read();
        put(blocks, record.hard_blocks, record.soft_blocks, record.blocks, record.block_time);
        put(files, record.hard_files, record.soft_files, record.files, record.file_time);
    }
}

unsafe extern "C" fn quotavals_to_dqblk(blocks: *const u8, files: *const u8, record: *mut Record) {
    // SAFETY: as above.
    unsafe {
        let (hard_blocks, soft_blocks, blocks, block_time) = get(blocks);
        let (hard_files, soft_files, files, file_time) = get(files);
        record.write(Record { hard_blocks, soft_blocks, blocks, hard_files, soft_files, files, block_time, file_time });
    }
}

pub(crate) const EXPORTS: &[Export] =
    &[function!("dqblk_to_quotavals", dqblk_to_quotavals), function!("quotavals_to_dqblk", quotavals_to_dqblk)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn records_survive_the_way_there_and_back() {
        Bench::new().inside(|| {
            let record = Record {
                hard_blocks: 11,
                soft_blocks: 0,
                blocks: 3,
                hard_files: 1,
                soft_files: 9,
                files: 2,
                block_time: 77,
                file_time: -1,
            };
            let (mut blocks, mut files, mut back) = ([0_u64; 5], [0_u64; 5], Record::default());
            // SAFETY: five words are a `struct quotaval`.
            unsafe {
                dqblk_to_quotavals(&raw const record, blocks.as_mut_ptr().cast(), files.as_mut_ptr().cast());
                assert_eq!(blocks[..4], [10, NO_LIMIT, 3, 77]);
                assert_eq!(files[..3], [0, 8, 2]);
                quotavals_to_dqblk(blocks.as_ptr().cast(), files.as_ptr().cast(), &raw mut back);
            }
            assert_eq!(back, record);
        });
    }
}
