//! Advisory locks on byte ranges of a file. A file system keeps the list's head for us in its inode.

use super::errno::{EAGAIN, EDEADLK, EINVAL};
use super::memory;
use crate::abi::constants::{F_FLOCK, F_GETLK, F_RDLCK, F_SETLK, F_UNLCK, F_WAIT, F_WRLCK, SEEK_CUR, SEEK_END, SEEK_SET};
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::ptr;

/// One range that an owner holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Range {
    /// First and last byte.
    first: i64,
    last: i64,
    writes: bool,
    owner: usize,
    /// A lock of the whole file by its descriptor rather than by a process.
    whole: bool,
}

impl Range {
    fn overlaps(&self, other: &Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    fn same_owner(&self, other: &Self) -> bool {
        self.owner == other.owner && self.whole == other.whole
    }

    fn conflicts(&self, other: &Self) -> bool {
        !self.same_owner(other) && self.overlaps(other) && (self.writes || other.writes)
    }

    /// What is left of it in front of and behind `cut`.
    fn without(&self, cut: &Self) -> [Option<Self>; 2] {
        let front = (self.first < cut.first).then(|| Self { last: cut.first - 1, ..*self });
        let back = (cut.last < self.last).then(|| Self { first: cut.last + 1, ..*self });
        [front, back]
    }
}

#[repr(C)]
struct Lock {
    range: Range,
    next: *mut Lock,
}

/// First and last byte of a request.
fn bounds(whence: i32, start: i64, length: i64, size: i64) -> Option<(i64, i64)> {
    let start = match whence {
        SEEK_SET | SEEK_CUR => start,
        SEEK_END => size.checked_add(start)?,
        _ => return None,
    };
    let (first, last) = match length {
        0 => (start, i64::MAX),
        1.. => (start, start.checked_add(length - 1)?),
        _ => (start.checked_add(length)?, start.checked_sub(1)?),
    };
    (first >= 0).then_some((first, last))
}

/// # Safety
/// `head` must hold null or a list made here.
unsafe fn conflict(head: *mut *mut Lock, wanted: &Range) -> Option<Range> {
    // SAFETY: as the caller says.
    unsafe {
        let mut lock = *head;
        while !lock.is_null() {
            if (*lock).range.conflicts(wanted) {
                return Some((*lock).range);
            }
            lock = (*lock).next;
        }
    }
    None
}

/// # Safety
/// As [`conflict`].
unsafe fn add(head: *mut *mut Lock, range: Range) {
    let lock = memory::alloc_or_end(size_of::<Lock>(), false).cast::<Lock>();
    // SAFETY: fresh memory of the structure's size; the head is as the caller says.
    unsafe {
        lock.write(Lock { range, next: *head });
        *head = lock;
    }
}

/// Takes `cut` out of what its owner holds.
///
/// # Safety
/// As [`conflict`].
unsafe fn clear(head: *mut *mut Lock, cut: &Range) {
    // SAFETY: as the caller says; a lock is freed after it is off the list.
    unsafe {
        let mut link = head;
        let mut rest = [None; 2];
        while !(*link).is_null() {
            let lock = *link;
            let range = (*lock).range;
            if range.same_owner(cut) && range.overlaps(cut) {
                *link = (*lock).next;
                memory::free(lock.cast());
                // Ranges of an owner do not overlap: at most two are cut without being swallowed.
                for (slot, part) in rest.iter_mut().zip(range.without(cut)) {
                    *slot = part.or(*slot);
                }
            } else {
                link = &raw mut (*lock).next;
            }
        }
        rest.into_iter().flatten().for_each(|range| add(head, range));
    }
}

/// Sets, clears or tests a lock.
///
/// # Safety
/// `arguments` must be a `struct vop_advlock_args`, `head` the file's list.
unsafe extern "C" fn lf_advlock(arguments: *mut u8, head: *mut *mut Lock, size: i64) -> i32 {
    let (fields, flock) = (&kernel().abi.vop_advlock_args, &kernel().abi.flock);
    // SAFETY: as the caller says.
    unsafe {
        let description: *mut u8 = fields.a_fl.read(arguments);
        let flags: i32 = fields.a_flags.read(arguments);
        let whence = i32::from(flock.l_whence.read::<i16>(description));
        let Some((first, last)) = bounds(whence, flock.l_start.read(description), flock.l_len.read(description), size) else {
            return EINVAL;
        };
        let kind = i32::from(flock.l_type.read::<i16>(description));
        let wanted =
            Range { first, last, writes: kind == F_WRLCK, owner: fields.a_id.read(arguments), whole: flags & F_FLOCK != 0 };
        match fields.a_op.read::<i32>(arguments) {
            F_SETLK if !matches!(kind, F_RDLCK | F_WRLCK) => EINVAL,
            F_SETLK => {
                if conflict(head, &wanted).is_some() {
                    // Waiting would be for ever: the holder cannot run meanwhile.
                    return if flags & F_WAIT != 0 { EDEADLK } else { EAGAIN };
                }
                clear(head, &wanted);
                add(head, wanted);
                0
            }
            F_UNLCK => {
                clear(head, &wanted);
                0
            }
            F_GETLK => {
                let found = conflict(head, &wanted);
                if let Some(found) = found {
                    flock.l_start.write(description, found.first);
                    let length = if found.last == i64::MAX { 0 } else { found.last - found.first + 1 };
                    flock.l_len.write(description, length);
                    flock.l_pid.write(description, if found.whole { -1 } else { 0_i32 });
                    flock.l_whence.write(description, SEEK_SET as i16);
                }
                let kind = found.map_or(F_UNLCK, |found| if found.writes { F_WRLCK } else { F_RDLCK });
                flock.l_type.write(description, kind as i16);
                0
            }
            _ => EINVAL,
        }
    }
}

/// Frees what is left of a file's locks.
///
/// # Safety
/// As [`conflict`].
unsafe extern "C" fn lf_purge(head: *mut *mut Lock) {
    // SAFETY: as the caller says.
    unsafe {
        while !(*head).is_null() {
            let lock = ptr::replace(head, (**head).next);
            memory::free(lock.cast());
        }
    }
}

pub(crate) const EXPORTS: &[Export] = &[function!("lf_advlock", lf_advlock), function!("lf_purge", lf_purge)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use alloc::vec::Vec;

    struct File {
        head: *mut Lock,
        arguments: [u8; 64],
        flock: [u8; 32],
    }

    impl File {
        fn ask(&mut self, operation: i32, kind: i32, owner: usize, start: i64, length: i64, flags: i32) -> i32 {
            let (fields, flock) = (&kernel().abi.vop_advlock_args, &kernel().abi.flock);
            let (arguments, description) = (self.arguments.as_mut_ptr(), self.flock.as_mut_ptr());
            // SAFETY: both arrays have room for their structures.
            unsafe {
                flock.l_start.write(description, start);
                flock.l_len.write(description, length);
                flock.l_type.write(description, kind as i16);
                flock.l_whence.write(description, SEEK_SET as i16);
                fields.a_id.write(arguments, owner);
                fields.a_op.write(arguments, operation);
                fields.a_fl.write(arguments, description);
                fields.a_flags.write(arguments, flags);
                lf_advlock(arguments, &raw mut self.head, 100)
            }
        }

        fn held(&self) -> Vec<(usize, i64, i64)> {
            let mut found = Vec::new();
            let mut lock = self.head;
            // SAFETY: locks of the list are live.
            while let Some(at) = unsafe { lock.as_ref() } {
                found.push((at.range.owner, at.range.first, at.range.last));
                lock = at.next;
            }
            found.sort_unstable();
            found
        }
    }

    #[test]
    fn ranges_are_held_cut_and_freed() {
        Bench::new().inside(|| {
            let blocks = kernel().kern.memory.usage().blocks;
            let mut file = File { head: ptr::null_mut(), arguments: [0; 64], flock: [0; 32] };
            assert_eq!(file.ask(F_SETLK, F_WRLCK, 1, 0, 100, 0), 0);
            assert_eq!(file.ask(F_SETLK, F_RDLCK, 2, 50, 1, 0), EAGAIN);
            assert_eq!(file.ask(F_SETLK, F_RDLCK, 2, 50, 1, F_WAIT), EDEADLK);
            assert_eq!(file.ask(F_UNLCK, F_UNLCK, 1, 40, 20, 0), 0);
            assert_eq!(file.held(), [(1, 0, 39), (1, 60, 99)]);
            assert_eq!(file.ask(F_SETLK, F_RDLCK, 2, 50, 1, 0), 0);
            assert_eq!(file.ask(F_SETLK, F_RDLCK, 1, 45, 10, 0), 0);
            assert_eq!(file.ask(F_GETLK, F_RDLCK, 3, 50, 0, 0), 0);
            let flock = &kernel().abi.flock;
            let description = file.flock.as_ptr();
            // SAFETY: the array holds the structure.
            unsafe {
                assert_eq!(i32::from(flock.l_type.read::<i16>(description)), F_WRLCK);
                assert_eq!((flock.l_start.read::<i64>(description), flock.l_len.read::<i64>(description)), (60, 40));
            }
            assert_eq!(file.ask(F_UNLCK, F_UNLCK, 1, 0, 0, 0), 0);
            assert_eq!(file.ask(F_SETLK, F_UNLCK, 1, 0, 0, 0), EINVAL);
            assert_eq!(file.held(), [(2, 50, 50)]);
            // SAFETY: the list was made here.
            unsafe { lf_purge(&raw mut file.head) };
            assert_eq!(kernel().kern.memory.usage().blocks, blocks);
        });
    }

    #[test]
    fn bounds_follow_whence_and_sign() {
        assert_eq!(bounds(SEEK_SET, 5, 0, 100), Some((5, i64::MAX)));
        assert_eq!(bounds(SEEK_END, -10, 10, 100), Some((90, 99)));
        assert_eq!(bounds(SEEK_CUR, 10, -4, 0), Some((6, 9)));
        assert_eq!(bounds(SEEK_SET, 2, -4, 0), None);
        assert_eq!(bounds(SEEK_SET, i64::MAX, 2, 0), None);
        assert_eq!(bounds(7, 0, 1, 0), None);
    }
}
