//! Arenas of numbers: `vmem_*`. Free spans are kept in order of address and joined.

use super::errno::ENOMEM;
use super::panic::panic_format;
use crate::abi::constants::VM_NOSLEEP;
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;

type Import = unsafe extern "C" fn(*mut u8, usize, u32, *mut usize) -> i32;
type Release = unsafe extern "C" fn(*mut u8, usize, usize);

/// Numbers from `start` to `end`, which is not one of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    start: usize,
    end: usize,
}

/// What an allocation asks for; `align` 0 or 1 is any, `nocross` 0 is none.
#[derive(Clone, Copy)]
struct Wish {
    size: usize,
    align: usize,
    phase: usize,
    nocross: usize,
    least: usize,
    most: usize,
}

impl Wish {
    const fn of(size: usize) -> Self {
        Self { size, align: 0, phase: 0, nocross: 0, least: 0, most: usize::MAX }
    }

    /// The first place in a free span, if there is one.
    fn place(&self, free: Span) -> Option<usize> {
        let align = self.align.max(1);
        if self.nocross != 0 && self.size > self.nocross {
            return None;
        }
        let mut start = free.start.max(self.least);
        loop {
            start = start.checked_sub(self.phase).map_or(Some(0), |rest| rest.checked_next_multiple_of(align))?;
            start = start.checked_add(self.phase)?;
            let last = start.checked_add(self.size - 1)?;
            if last >= free.end || last > self.most {
                return None;
            }
            if self.nocross == 0 || start / self.nocross == last / self.nocross {
                return Some(start);
            }
            start = last / self.nocross * self.nocross;
        }
    }
}

#[derive(Default)]
struct Arena {
    quantum: usize,
    total: usize,
    free: Vec<Span>,
    /// Spans that came from the source, to go back there.
    imported: Vec<Span>,
    import: Option<Import>,
    release: Option<Release>,
    source: usize,
}

impl Arena {
    /// Takes out an imported span that is free as a whole.
    fn take_imported(&mut self) -> Option<Span> {
        let whole = |span: &Span| self.free.iter().any(|free| free.start <= span.start && span.end <= free.end);
        let at = self.imported.iter().position(whole)?;
        let span = self.imported.swap_remove(at);
        self.total -= span.end - span.start;
        let taken = self.take(&Wish { least: span.start, most: span.end - 1, ..Wish::of(span.end - span.start) });
        debug_assert_eq!(taken, Some(span.start), "the span is free");
        Some(span)
    }

    /// Adds a span of numbers; `Err` if some of them are free already.
    fn give(&mut self, span: Span) -> Result<(), ()> {
        let at = self.free.partition_point(|free| free.start < span.start);
        let before = at.checked_sub(1).and_then(|at| self.free.get(at)).copied();
        let after = self.free.get(at).copied();
        if span.start >= span.end
            || before.is_some_and(|free| free.end > span.start)
            || after.is_some_and(|free| free.start < span.end)
        {
            return Err(());
        }
        match (before.filter(|free| free.end == span.start), after.filter(|free| free.start == span.end)) {
            (Some(_), Some(next)) => {
                self.free[at - 1].end = next.end;
                self.free.remove(at);
            }
            (Some(_), None) => self.free[at - 1].end = span.end,
            (None, Some(_)) => self.free[at].start = span.start,
            (None, None) => self.free.insert(at, span),
        }
        Ok(())
    }

    fn take(&mut self, wish: &Wish) -> Option<usize> {
        let (at, start) = self.free.iter().enumerate().find_map(|(at, free)| Some((at, wish.place(*free)?)))?;
        let Span { start: first, end } = self.free[at];
        let stop = start + wish.size;
        match (first < start, stop < end) {
            (true, true) => {
                self.free[at].end = start;
                self.free.insert(at + 1, Span { start: stop, end });
            }
            (true, false) => self.free[at].end = start,
            (false, true) => self.free[at].start = stop,
            (false, false) => {
                self.free.remove(at);
            }
        }
        Some(start)
    }

    fn available(&self) -> usize {
        self.free.iter().map(|free| free.end - free.start).sum()
    }

    fn round(&self, size: usize) -> Option<usize> {
        size.checked_next_multiple_of(self.quantum.max(1)).filter(|size| *size > 0)
    }
}

/// All arenas; a handle is an arena's address.
#[derive(Default)]
pub(crate) struct State {
    #[expect(clippy::vec_box, reason = "a handle is the box's address, which must stay")]
    arenas: RefCell<Vec<Box<Arena>>>,
}

impl State {
    fn with<R>(&self, handle: *const u8, work: impl FnOnce(&mut Arena) -> R) -> Option<R> {
        let mut arenas = self.arenas.borrow_mut();
        let arena = arenas.iter_mut().find(|arena| core::ptr::from_ref::<Arena>(arena).cast() == handle)?;
        Some(work(arena))
    }
}

fn with<R>(call: &str, handle: *const u8, work: impl FnOnce(&mut Arena) -> R) -> R {
    let found = kernel().kern.vmem.with(handle, work);
    found.unwrap_or_else(|| panic_format(format_args!("{call} of arena {handle:p}: there is no such arena")))
}

unsafe extern "C" fn vmem_create(
    _name: *const u8,
    base: usize,
    size: usize,
    quantum: usize,
    import: Option<Import>,
    release: Option<Release>,
    source: usize,
    _cached: usize,
    _flags: u32,
    _ipl: i32,
) -> *const u8 {
    let mut arena = Box::new(Arena { quantum, total: size, import, release, source, ..Arena::default() });
    if let Some(end) = base.checked_add(size).filter(|_| size > 0) {
        let fresh = arena.give(Span { start: base, end });
        debug_assert!(fresh.is_ok(), "an empty arena has room");
    }
    let handle = (&raw const *arena).cast();
    kernel().kern.vmem.arenas.borrow_mut().push(arena);
    handle
}

unsafe extern "C" fn vmem_destroy(handle: *const u8) {
    with("vmem_destroy", handle, |_| ());
    kernel().kern.vmem.arenas.borrow_mut().retain(|arena| core::ptr::from_ref::<Arena>(arena).cast() != handle);
}

unsafe extern "C" fn vmem_add(handle: *const u8, start: usize, size: usize, _flags: u32) -> i32 {
    let added = with("vmem_add", handle, |arena| {
        let end = start.checked_add(size).ok_or(())?;
        arena.give(Span { start, end })?;
        arena.total += size;
        Ok::<(), ()>(())
    });
    if added.is_err() { ENOMEM } else { 0 }
}

/// # Safety
/// `out` must be null or point to an address.
unsafe fn take(call: &str, handle: *const u8, mut wish: Wish, flags: u32, out: *mut usize) -> i32 {
    let Some(size) = with(call, handle, |arena| arena.round(wish.size)) else {
        panic_format(format_args!("{call} of {} numbers", wish.size));
    };
    wish.size = size;
    let mut found = with(call, handle, |arena| arena.take(&wish));
    if found.is_none() {
        let (import, source) = with(call, handle, |arena| (arena.import, arena.source));
        if let Some(import) = import {
            let mut start = 0;
            // SAFETY: module code passed the function with its source; no borrow is held.
            if unsafe { import(source as *mut u8, size, flags, &raw mut start) } == 0 {
                // SAFETY: as `vmem_add`'s caller.
                if unsafe { vmem_add(handle, start, size, flags) } == 0 {
                    with(call, handle, |arena| arena.imported.push(Span { start, end: start + size }));
                }
                found = with(call, handle, |arena| arena.take(&wish));
            }
        }
    }
    match found {
        Some(start) => {
            if !out.is_null() {
                // SAFETY: as the caller says.
                unsafe { out.write(start) };
            }
            0
        }
        None if flags & VM_NOSLEEP as u32 != 0 => ENOMEM,
        None => panic_format(format_args!("{call}: the arena is used up, and nobody can give anything back")),
    }
}

unsafe extern "C" fn vmem_alloc(handle: *const u8, size: usize, flags: u32, out: *mut usize) -> i32 {
    // SAFETY: module code passes null or room for an address.
    unsafe { take("vmem_alloc", handle, Wish::of(size), flags, out) }
}

unsafe extern "C" fn vmem_xalloc(
    handle: *const u8,
    size: usize,
    align: usize,
    phase: usize,
    nocross: usize,
    least: usize,
    most: usize,
    flags: u32,
    out: *mut usize,
) -> i32 {
    // SAFETY: as above.
    unsafe { take("vmem_xalloc", handle, Wish { size, align, phase, nocross, least, most }, flags, out) }
}

unsafe extern "C" fn vmem_free(handle: *const u8, start: usize, size: usize) {
    let given = with("vmem_free", handle, |arena| {
        let end = arena.round(size).and_then(|size| start.checked_add(size)).ok_or(())?;
        arena.give(Span { start, end })
    });
    if given.is_err() {
        panic_format(format_args!("vmem_free of {size} numbers from {start:#x}: some of them are free"));
    }
    give_back("vmem_free", handle);
}

/// Gives imported spans that are free back to the source.
fn give_back(call: &str, handle: *const u8) {
    let (release, source) = with(call, handle, |arena| (arena.release, arena.source));
    while let Some(release) = release
        && let Some(span) = with(call, handle, Arena::take_imported)
    {
        // SAFETY: module code passed the function with its source; no borrow is held.
        unsafe { release(source as *mut u8, span.start, span.end - span.start) };
    }
}

unsafe extern "C" fn vmem_size(handle: *const u8, kinds: i32) -> usize {
    with("vmem_size", handle, |arena| {
        let free = arena.available();
        (if kinds & 1 != 0 { arena.total - free } else { 0 }) + (if kinds & 2 != 0 { free } else { 0 })
    })
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("vmem_create", vmem_create),
    function!("vmem_destroy", vmem_destroy),
    function!("vmem_add", vmem_add),
    function!("vmem_alloc", vmem_alloc),
    function!("vmem_xalloc", vmem_xalloc),
    function!("vmem_free", vmem_free),
    function!("vmem_xfree", vmem_free),
    function!("vmem_size", vmem_size),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn arena(start: usize, end: usize) -> Arena {
        Arena { quantum: 1, total: end - start, free: std::vec![Span { start, end }], ..Arena::default() }
    }

    #[test]
    fn spans_are_split_and_joined() {
        let mut arena = arena(100, 200);
        let starts: Vec<_> = (0..4).map(|_| arena.take(&Wish::of(25))).collect();
        assert_eq!(starts, [Some(100), Some(125), Some(150), Some(175)]);
        assert_eq!(arena.take(&Wish::of(1)), None);
        for start in [125, 175, 150] {
            arena.give(Span { start, end: start + 25 }).unwrap();
        }
        assert_eq!(arena.free, [Span { start: 125, end: 200 }]);
        assert!(arena.give(Span { start: 199, end: 201 }).is_err());
        assert!(arena.give(Span { start: 124, end: 126 }).is_err());
        assert!(arena.give(Span { start: 5, end: 5 }).is_err());
        assert_eq!(arena.available(), 75);
    }

    #[test]
    fn wishes_are_honoured() {
        let mut arena = arena(1, 1000);
        let aligned = Wish { align: 64, phase: 8, ..Wish::of(10) };
        assert_eq!(arena.take(&aligned), Some(8));
        assert_eq!(arena.take(&aligned), Some(72));
        assert_eq!(arena.take(&Wish { nocross: 100, ..Wish::of(60) }), Some(100));
        assert_eq!(arena.take(&Wish { least: 300, most: 309, ..Wish::of(10) }), Some(300));
        assert_eq!(arena.take(&Wish { least: 300, most: 309, ..Wish::of(1) }), None);
        assert_eq!(arena.take(&Wish { nocross: 8, ..Wish::of(9) }), None);
        assert_eq!(arena.take(&Wish::of(7)), Some(1));
    }

    unsafe extern "C" fn import(given: *mut u8, size: usize, _flags: u32, start: *mut usize) -> i32 {
        // SAFETY: the test's counter, and the arena's variable.
        unsafe {
            *given.cast::<usize>() += size;
            start.write(5000);
        }
        0
    }

    unsafe extern "C" fn release(given: *mut u8, start: usize, size: usize) {
        assert_eq!(start, 5000);
        // SAFETY: the test's counter.
        unsafe { *given.cast::<usize>() -= size };
    }

    #[test]
    fn what_is_imported_goes_back() {
        let mut given = 0_usize;
        let source = (&raw mut given).expose_provenance();
        crate::testing::Bench::new().inside(|| {
            // SAFETY: the functions fit the counter.
            unsafe {
                let none = core::ptr::null();
                let arena = vmem_create(none, 0, 8, 4, Some(import), Some(release), source, 0, 0, 0);
                let (mut one, mut two) = (0, 0);
                assert_eq!((vmem_alloc(arena, 6, 0, &raw mut one), vmem_alloc(arena, 7, 0, &raw mut two)), (0, 0));
                assert_eq!((one, two, vmem_size(arena, 3)), (0, 5000, 16));
                assert_eq!(*(source as *const usize), 8);
                vmem_free(arena, two, 7);
                assert_eq!((*(source as *const usize), vmem_size(arena, 1), vmem_size(arena, 2)), (0, 8, 0));
                vmem_destroy(arena);
            }
        });
    }
}
