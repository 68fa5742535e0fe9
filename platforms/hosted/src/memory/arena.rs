use super::Bounds;
use crate::error::host_error;
use rumpload::address::align_up;
use rumpload::resource::{HostError, HostErrorKind};
use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lowest address worth asking for: what Linux keeps unmapped by default (`vm.mmap_min_addr`), so that null pointers fault.
const LOWEST: usize = 0x1_0000;

/// Lowest address asked for as long as there are others: a null pointer plus a large offset should fault too.
const PREFERRED: usize = 0x100_0000;

/// A run of free bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    pub start: usize,
    pub len: usize,
}

/// First and last address of every arena, for signal handlers; 0 and 0 are free places. An arena that finds none is only
/// unknown to them.
static KNOWN: [(AtomicUsize, AtomicUsize); 256] = [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; 256];

/// Whether `address` lies in memory that some [`Memory`](super::Memory) took for modules. Takes no lock.
pub(crate) fn is_module_memory(address: usize) -> bool {
    KNOWN.iter().any(|(first, last)| {
        let start = first.load(Ordering::Acquire);
        start != 0 && start <= address && address <= last.load(Ordering::Relaxed)
    })
}

/// One mapping and what of it is free. Free pages are readable, writable and zero.
#[derive(Debug)]
pub(super) struct Arena {
    start: usize,
    len: usize,
    /// Sorted by address, no two adjacent.
    free: Vec<Free>,
    used: usize,
    lost: usize,
    /// Up to here pages were asked for.
    filled: usize,
}

impl Arena {
    /// `len` bytes wherever the kernel likes, or `least` bytes if there are not as many.
    pub fn map_anywhere(len: usize, least: usize) -> Result<Self, HostError> {
        match map(0, len, MapFlags::empty()) {
            Ok(start) => Ok(Self::new(start, len)),
            Err(_) if least < len => Self::map_anywhere(least, least),
            Err(errno) => Err(host_error(errno)),
        }
    }

    /// At least `needed` bytes, `usual` if there are as many, at the lowest place within `bounds` that is free and not too
    /// near to null.
    pub fn map_within(bounds: Bounds, needed: usize, usual: usize, page_size: usize) -> Result<Self, HostError> {
        let high = Bounds { first: bounds.first.max(PREFERRED), last: bounds.last };
        Self::probe(high, needed, usual, page_size).or_else(|_| Self::probe(bounds, needed, usual, page_size))
    }

    /// Asks for one place after another from the low end of `bounds`.
    fn probe(bounds: Bounds, needed: usize, usual: usize, page_size: usize) -> Result<Self, HostError> {
        let none = HostErrorKind::OutOfMemory;
        let first = align_up(bounds.first.max(LOWEST), page_size).ok_or(none)?;
        let room = bounds.last.checked_sub(first).ok_or(none)?.saturating_add(1) & !(page_size - 1);
        if room < needed {
            return Err(none.into());
        }
        // A range smaller than two arenas is searched in small steps.
        let (len, step) = if room >= 2 * usual.max(needed) { (usual.max(needed), usual) } else { (needed, page_size) };
        let mut at = first;
        while at.checked_add(len - 1).is_some_and(|end| end <= bounds.last) {
            match map(at, len, MapFlags::FIXED_NOREPLACE) {
                Ok(start) if start == at => return Ok(Self::new(start, len)),
                // A kernel older than 4.17 takes the address as a hint.
                // SAFETY: the mapping was made just now and nobody knows of it.
                Ok(elsewhere) => drop(unsafe { rustix::mm::munmap(elsewhere as *mut _, len) }),
                // Taken, too low, or beyond what the kernel gives to processes.
                Err(Errno::EXIST | Errno::PERM | Errno::INVAL | Errno::NOMEM) => {}
                Err(errno) => return Err(host_error(errno)),
            }
            at = at.checked_add(step).ok_or(none)?;
        }
        Err(none.into())
    }

    fn new(start: usize, len: usize) -> Self {
        let place = |(_, last): &&(AtomicUsize, AtomicUsize)| {
            last.compare_exchange(0, start + len - 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        };
        if let Some((first, _)) = KNOWN.iter().find(place) {
            first.store(start, Ordering::Release);
        }
        Self { start, len, free: vec![Free { start, len }], used: 0, lost: 0, filled: start }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn in_use(&self) -> usize {
        self.used
    }

    pub fn is_unused(&self) -> bool {
        self.used == 0 && self.lost == 0
    }

    pub fn contains(&self, at: usize) -> bool {
        (self.start..self.start + self.len).contains(&at)
    }

    /// Takes the first free piece that fits.
    pub fn take(&mut self, len: usize, align: usize, bounds: Bounds) -> Option<usize> {
        let (index, at) = self.free.iter().enumerate().find_map(|(index, &free)| Some((index, bounds.fit(free, len, align)?)))?;
        let Free { start, len: had } = self.free[index];
        let before = Free { start, len: at - start };
        let after = Free { start: at + len, len: start + had - (at + len) };
        match (before.len, after.len) {
            (0, 0) => drop(self.free.remove(index)),
            (0, _) => self.free[index] = after,
            (_, 0) => self.free[index] = before,
            _ => {
                self.free[index] = before;
                self.free.insert(index + 1, after);
            }
        }
        self.used += len;
        Some(at)
    }

    /// Gives the `len` bytes at `at` their pages if they have had none: a fault for each page would cost more.
    pub fn fill(&mut self, at: usize, len: usize) {
        if at + len <= self.filled {
            return;
        }
        let from = self.filled.max(at);
        let until = at + len;
        self.filled = until;
        // SAFETY: the range lies in the arena's own mapping; asking for pages changes no byte of them. Linux before 5.14 does
        // not know how.
        let _ = unsafe { rustix::mm::madvise(from as *mut _, until - from, Advice::LinuxPopulateWrite) };
    }

    /// Takes a clean piece back.
    pub fn give(&mut self, at: usize, len: usize) {
        self.used -= len;
        let index = self.free.partition_point(|free| free.start < at);
        let joins_next = self.free.get(index).is_some_and(|next| next.start == at + len);
        let joins_last = index > 0 && self.free[index - 1].start + self.free[index - 1].len == at;
        match (joins_last, joins_next) {
            (true, true) => {
                self.free[index - 1].len += len + self.free[index].len;
                self.free.remove(index);
            }
            (true, false) => self.free[index - 1].len += len,
            (false, true) => self.free[index] = Free { start: at, len: len + self.free[index].len },
            (false, false) => self.free.insert(index, Free { start: at, len }),
        }
    }

    /// Writes a piece off.
    pub fn lose(&mut self, len: usize) {
        self.used -= len;
        self.lost += len;
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        if let Some((first, last)) = KNOWN.iter().find(|(first, _)| first.load(Ordering::Relaxed) == self.start) {
            first.store(0, Ordering::Release);
            last.store(0, Ordering::Release);
        }
        if self.used == 0 {
            // SAFETY: the mapping is the arena's own and no piece of it is handed out.
            let unmapped = unsafe { rustix::mm::munmap(self.start as *mut _, self.len) };
            debug_assert!(unmapped.is_ok());
        }
    }
}

/// Maps fresh pages, readable and writable, that count against memory only once touched.
fn map(at: usize, len: usize, placement: MapFlags) -> Result<usize, Errno> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | placement;
    // SAFETY: without MAP_FIXED no existing mapping is replaced; FIXED_NOREPLACE refuses instead.
    let mapped = unsafe { rustix::mm::mmap_anonymous(at as *mut _, len, ProtFlags::READ | ProtFlags::WRITE, flags)? };
    Ok(mapped as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Bounds = Bounds { first: 0, last: usize::MAX };
    const PAGE: usize = 4096;

    fn arena() -> Arena {
        Arena::map_anywhere(64 * PAGE, 64 * PAGE).expect("address space")
    }

    #[test]
    fn pieces_come_back_whole() {
        let mut arena = arena();
        let pieces: Vec<usize> = (1..=8).map(|pages| arena.take(pages * PAGE, PAGE, ALL).expect("a piece")).collect();
        for order in [[0, 2, 4, 6], [1, 3, 5, 7]] {
            for index in order {
                arena.give(pieces[index], (index + 1) * PAGE);
            }
        }
        assert_eq!(arena.free.len(), 1);
        assert!(arena.is_unused());
    }

    #[test]
    fn pages_are_asked_for_once() {
        let mut arena = arena();
        let start = arena.start;
        let filled = |arena: &mut Arena, at, len| {
            arena.fill(at, len);
            arena.filled
        };
        assert_eq!(filled(&mut arena, start, 2 * PAGE), start + 2 * PAGE);
        assert_eq!(filled(&mut arena, start + PAGE, PAGE), start + 2 * PAGE);
        assert_eq!(filled(&mut arena, start + PAGE, 2 * PAGE), start + 3 * PAGE);
        // What a large region leaves out stays without.
        assert_eq!(filled(&mut arena, start + 8 * PAGE, PAGE), start + 9 * PAGE);
        assert_eq!(filled(&mut arena, start + 4 * PAGE, PAGE), start + 9 * PAGE);
    }

    #[test]
    fn bounds_and_alignment_hold() {
        let mut arena = arena();
        let middle = arena.start + 20 * PAGE;
        let bounds = Bounds { first: middle + 1, last: middle + 9 * PAGE - 1 };
        let at = arena.take(8 * PAGE, PAGE, bounds).expect("exactly fits");
        assert_eq!(at, middle + PAGE);
        assert_eq!(arena.take(PAGE, PAGE, bounds), None);
        let aligned = arena.take(PAGE, 16 * PAGE, ALL).expect("an aligned page");
        assert_eq!(aligned % (16 * PAGE), 0);
        arena.give(at, 8 * PAGE);
        arena.give(aligned, PAGE);
        assert_eq!(arena.free.len(), 1);
    }
}
