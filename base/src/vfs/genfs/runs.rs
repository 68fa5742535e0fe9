//! Moving pages between memory and what lies below a file system: `VOP_BMAP` says where the bytes are, `VOP_STRATEGY` moves
//! them.

use crate::abi::constants::{B_READ, B_WRITE, BC_BUSY, DEV_BSHIFT, MAXPHYS, VBLK};
use crate::kern::errno::{EINVAL, EIO, ENOMEM};
use crate::kern::memory;
use crate::vfs::object::Vnode;
use crate::vfs::pages::{Page, SIZE};
use crate::vfs::{transfer as buffer, vop};
use core::ptr;

/// Largest transfer in bytes.
pub(super) const LIMIT: usize = MAXPHYS as usize;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Direction {
    Read,
    Write,
}

/// The shift of a file's blocks.
///
/// What lies below always counts in units of 512 bytes: the mount has a member that seems to say so, but cd9660 puts a size
/// into it.
fn shift_of(vp: Vnode) -> Result<u32, i32> {
    let shift = if vp.kind() == VBLK { DEV_BSHIFT } else { vp.mount().fs_shift() };
    // Smaller blocks than a device's would make the arithmetic below wrong.
    u32::try_from(shift).ok().filter(|shift| (DEV_BSHIFT as u32..=30).contains(shift)).ok_or(EINVAL)
}

/// Bytes of a file that lie in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Bytes from the offset asked for.
    pub(super) length: usize,
    /// Device block of the first byte; none for a hole.
    pub(super) block: Option<i64>,
}

/// Where the bytes of a file are: device block of file block `n`, and how many blocks follow it in a row.
pub(super) type Locate<'a> = &'a mut dyn FnMut(i64) -> Result<(i64, usize), i32>;

/// The bytes from `offset` on, at most `limit`, that one transfer can move.
pub(super) fn run_at(offset: i64, limit: usize, shift: u32, locate: Locate<'_>) -> Result<Run, i32> {
    let block_of = |offset: i64| offset >> shift;
    let (first, more) = locate(block_of(offset))?;
    let within = offset - (block_of(offset) << shift);
    // The end of what one answer covers, in bytes from `offset`.
    let reach = |at: i64, more: usize| {
        let end = (block_of(at).saturating_add(1).saturating_add_unsigned(more as u64)).saturating_mul(1 << shift);
        usize::try_from(end.saturating_sub(offset)).unwrap_or(limit).min(limit)
    };
    let mut length = reach(offset, more);
    if first < 0 {
        return Ok(Run { length, block: None });
    }
    // Some file systems never say how far a run goes: ask on.
    while length < limit {
        let at = offset + length as i64;
        match locate(block_of(at)) {
            Ok((block, more)) if block == first + (((length as i64) + within) >> DEV_BSHIFT) => length = reach(at, more),
            _ => break,
        }
    }
    Ok(Run { length, block: Some(first + (within >> DEV_BSHIFT)) })
}

/// Moves the bytes from `offset` on, `length` of them, to or from `list`, whose first page starts at `offset`. Holes are
/// passed over when writing; when reading they leave zeros, and `hole` is called for each piece of one.
///
/// # Errors
/// What the file system or the device said; some bytes may have been moved.
pub(super) fn transfer(
    vp: Vnode,
    list: &[Page],
    offset: i64,
    length: usize,
    direction: Direction,
    hole: &mut dyn FnMut(usize, usize),
) -> Result<(), i32> {
    let shift = shift_of(vp)?;
    let mut done = 0;
    while done < length {
        let mut below = vp;
        let mut locate = |block: i64| {
            let (mut device, mut at, mut more) = (vp, -1i64, 0i32);
            // SAFETY: a live vnode; the results are writable.
            let error = unsafe { vop::bmap(vp, block, &raw mut device, &raw mut at, &raw mut more) };
            if error != 0 {
                return Err(error);
            }
            if below != vp && below != device {
                return Err(EIO);
            }
            below = device;
            Ok((at, usize::try_from(more).unwrap_or(0)))
        };
        let run = run_at(offset + done as i64, (length - done).min(LIMIT), shift, &mut locate)?;
        match run.block {
            Some(block) => move_run(vp, below, block, list, done, run.length, direction)?,
            None if direction == Direction::Read => {
                clear(list, done, run.length);
                hole(done, run.length);
            }
            None => {}
        }
        done += run.length;
    }
    Ok(())
}

/// Zeros a range of the bytes of pages in a row.
pub(super) fn clear(list: &[Page], from: usize, length: usize) {
    // SAFETY: every piece lies inside its page.
    for_each_piece(list, from, length, |data, piece, _| unsafe { ptr::write_bytes(data, 0, piece) });
}

/// Calls `each` with the address and length of every piece of a range of pages in a row, and where it is in the range.
fn for_each_piece(list: &[Page], from: usize, length: usize, mut each: impl FnMut(*mut u8, usize, usize)) {
    let mut done = 0;
    while done < length {
        let at = from + done;
        let piece = (SIZE - at % SIZE).min(length - done);
        let Some(page) = list.get(at / SIZE) else { return };
        // SAFETY: the piece lies inside the page's bytes.
        each(unsafe { page.data().add(at % SIZE) }, piece, done);
        done += piece;
    }
}

/// One transfer. Pages do not lie in a row in memory, so a run of several goes through a block that does.
fn move_run(
    vp: Vnode,
    below: Vnode,
    block: i64,
    list: &[Page],
    from: usize,
    length: usize,
    direction: Direction,
) -> Result<(), i32> {
    let Some(first) = list.get(from / SIZE) else { return Err(EINVAL) };
    let direct = from % SIZE + length <= SIZE;
    let data = if direct {
        // SAFETY: the run lies inside the page.
        unsafe { first.data().add(from % SIZE) }
    } else {
        memory::alloc(length, false)
    };
    if data.is_null() {
        return Err(ENOMEM);
    }
    if !direct && direction == Direction::Write {
        // SAFETY: the block is as long as the run.
        for_each_piece(list, from, length, |piece, size, at| unsafe { ptr::copy_nonoverlapping(piece, data.add(at), size) });
    }
    let error = strategy(vp, below, block, data, length, direction);
    if !direct {
        if error == 0 && direction == Direction::Read {
            // SAFETY: as above.
            for_each_piece(list, from, length, |piece, size, at| unsafe {
                ptr::copy_nonoverlapping(data.add(at), piece, size);
            });
        }
        // SAFETY: allocated above; the transfer is over.
        unsafe { memory::free(data) };
    }
    if error == 0 { Ok(()) } else { Err(error) }
}

/// Hands one transfer to what lies below and waits for it.
fn strategy(vp: Vnode, below: Vnode, block: i64, data: *mut u8, length: usize, direction: Direction) -> i32 {
    let bp = buffer::header(vp);
    bp.set_data(data);
    bp.set_count(length as i32);
    bp.set_resid(length as i32);
    bp.set_capacity(length as i32);
    bp.set_cflags(bp.cflags() | BC_BUSY);
    bp.set_flags(bp.flags() | if direction == Direction::Read { B_READ } else { B_WRITE });
    bp.set_logical(0);
    bp.set_block(block);
    if direction == Direction::Write {
        vp.set_numoutput(vp.numoutput() + 1);
    }
    // SAFETY: a buffer that describes `length` bytes at `data`.
    unsafe { vop::strategy(below, bp) };
    let error = match buffer::wait(bp) {
        // What lies below ended early.
        0 if bp.resid() != 0 => EIO,
        error => error,
    };
    buffer::free_header(bp);
    error
}

#[cfg(test)]
mod tests {
    use super::{Run, run_at};
    use crate::kern::errno::EIO;

    const SHIFT: u32 = 11;

    /// A file whose blocks lie where the list says, every answer covering one block.
    fn run(blocks: &[i64], offset: i64, limit: usize) -> Result<Run, i32> {
        run_at(offset, limit, SHIFT, &mut |block| blocks.get(block as usize).map(|at| (*at, 0)).ok_or(EIO))
    }

    #[test]
    fn blocks_in_a_row_are_one_run() {
        assert_eq!(run(&[40, 44, 48, 60], 0, 1 << 16), Ok(Run { length: 3 * 2048, block: Some(40) }));
        assert_eq!(run(&[40, 44, 48, 60], 0, 3000), Ok(Run { length: 3000, block: Some(40) }));
        assert_eq!(run(&[40, 44, 48, 60], 3 * 2048, 2048), Ok(Run { length: 2048, block: Some(60) }));
    }

    #[test]
    fn a_run_may_start_inside_a_block() {
        assert_eq!(run(&[40, 44], 1024, 1 << 16), Ok(Run { length: 3072, block: Some(42) }));
    }

    #[test]
    fn holes_and_errors_end_runs() {
        assert_eq!(run(&[-1, 44], 0, 1 << 16), Ok(Run { length: 2048, block: None }));
        assert_eq!(run(&[40, -1], 0, 1 << 16), Ok(Run { length: 2048, block: Some(40) }));
        assert_eq!(run(&[], 0, 2048), Err(EIO));
        // An error behind the first block is met when that block's turn comes.
        assert_eq!(run(&[40], 0, 1 << 16), Ok(Run { length: 2048, block: Some(40) }));
    }

    #[test]
    fn an_answer_may_cover_many_blocks() {
        let mut asked = 0;
        let run = run_at(0, 1 << 16, SHIFT, &mut |_| {
            asked += 1;
            Ok((8, 31))
        });
        assert_eq!((run, asked), (Ok(Run { length: 1 << 16, block: Some(8) }), 1));
        assert_eq!(run_at(0, 4096, SHIFT, &mut |_| Ok((8, usize::MAX))), Ok(Run { length: 4096, block: Some(8) }));
    }
}
