use super::refused;
use crate::arch::Machine;
use crate::resource::{HostErrorKind, Memory, Placement, Protection, Region, Request, Segment};
use alloc::vec::Vec;

/// Where the code of a memory runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunsIn {
    /// In the calling program: run addresses are looked at and code is run.
    ThisProgram,
    /// Elsewhere, or nowhere.
    Elsewhere,
}

/// Checks every promise of [`Memory`] for regions within `placement`, where there must be room for 64 pages.
///
/// # Panics
/// If a promise is broken.
pub fn memory(memory: &dyn Memory, placement: Placement, runs_in: RunsIn) {
    let page = memory.page_size();
    assert!(page.is_power_of_two() && page >= 512, "the page size is a power of two");
    refuses(memory, placement);
    regions(memory, placement);
    reuses(memory, placement);
    protects(memory, placement, runs_in);
    if runs_in == RunsIn::ThisProgram {
        runs(memory, placement);
    }
}

fn request(memory: &dyn Memory, pages: usize, placement: Placement) -> Request {
    Request { len: pages * memory.page_size(), align: memory.page_size(), placement }
}

#[expect(clippy::mut_from_ref, reason = "one slice of a region at a time, and no other access to it")]
fn bytes(region: &Region) -> &mut [u8] {
    // SAFETY: the contract of `Memory`: zeroed bytes that are the taker's until release; not finalized yet.
    unsafe { core::slice::from_raw_parts_mut(region.working.as_ptr(), region.len) }
}

fn refuses(memory: &dyn Memory, placement: Placement) {
    let good = request(memory, 1, placement);
    let page = good.len;
    let within = |first, last| Placement::Within { first, last };
    for (request, what) in [
        (Request { len: 0, ..good }, "a region of no bytes"),
        (Request { len: page + 1, ..good }, "a region that is not whole pages"),
        (Request { len: page / 2, ..good }, "a region of half a page"),
        (Request { align: page * 3, ..good }, "an alignment that is no power of two"),
        (Request { align: page / 2, ..good }, "an alignment below the page size"),
        (Request { align: 0, ..good }, "an alignment of 0"),
        (Request { placement: within(page as u64 * 9, page as u64 * 8), ..good }, "a placement that ends before it begins"),
    ] {
        refused(memory.reserve(&request), HostErrorKind::InvalidInput, what);
    }
    let tight = within(page as u64 * 16, page as u64 * 17 - 1);
    refused(
        memory.reserve(&Request { len: page * 2, placement: tight, ..good }),
        HostErrorKind::OutOfMemory,
        "a placement too small",
    );
    let region = memory.reserve(&good).expect("memory");
    for (offset, len, what) in [
        (0, page * 2, "a segment longer than the region"),
        (page, page, "a segment behind the region"),
        (0, page - 1, "a segment that is not whole pages"),
        (page / 2, page / 2, "a segment that begins within a page"),
        (usize::MAX - page + 1, page * 2, "a segment that wraps around"),
    ] {
        let segment = Segment { offset, len, protection: Protection::Read };
        refused(memory.finalize(&region, &[segment]), HostErrorKind::InvalidInput, what);
    }
    memory.release(region);
}

fn regions(memory: &dyn Memory, placement: Placement) {
    let page = memory.page_size();
    let requests = [(1, page), (3, page), (1, page * 8), (16, page), (2, page * 2)];
    let taken: Vec<Region> = requests
        .iter()
        .map(|&(pages, align)| memory.reserve(&Request { align, ..request(memory, pages, placement) }).expect("memory"))
        .collect();
    for (region, (pages, align)) in taken.iter().zip(requests) {
        let (first, last) = match placement {
            Placement::Anywhere => (0, u64::MAX),
            Placement::Within { first, last } => (first, last),
        };
        let run = region.run.get();
        assert_eq!(region.len, pages * page, "a region is as long as asked");
        assert!(run.is_multiple_of(align as u64), "run address {run:#x} is aligned to {align:#x}");
        assert!((region.working.as_ptr() as usize).is_multiple_of(page), "working memory is aligned to a page");
        let end = run.checked_add(region.len as u64 - 1).expect("a region ends in the address space");
        assert!(run >= first && end <= last, "region {run:#x}..={end:#x} lies in {first:#x}..={last:#x}");
        assert!(bytes(region).iter().all(|&byte| byte == 0), "a region is zeroed");
    }
    for (mark, region) in taken.iter().enumerate() {
        bytes(region).fill(mark as u8 + 1);
    }
    for (mark, region) in taken.iter().enumerate() {
        assert!(bytes(region).iter().all(|&byte| byte == mark as u8 + 1), "working memory of regions does not overlap");
        let run = region.run.get();
        let overlaps = |other: &Region| run < other.run.get() + other.len as u64 && other.run.get() < run + region.len as u64;
        assert!(!taken[mark + 1..].iter().any(overlaps), "run addresses do not overlap");
    }
    taken.into_iter().for_each(|region| memory.release(region));
}

/// Released memory is there again, and zeroed, whatever was in it and whatever it was protected as.
fn reuses(memory: &dyn Memory, placement: Placement) {
    for round in 0..64 {
        let region = memory.reserve(&request(memory, 32, placement)).expect("released memory can be reserved again");
        assert!(bytes(&region).iter().all(|&byte| byte == 0), "a region is zeroed");
        bytes(&region).fill(0xa5);
        if round % 2 == 1 {
            let segment = Segment { offset: 0, len: region.len, protection: Protection::ReadExecute };
            memory.finalize(&region, &[segment]).expect("finalized");
        }
        memory.release(region);
    }
}

fn protects(memory: &dyn Memory, placement: Placement, runs_in: RunsIn) {
    let page = memory.page_size();
    let region = memory.reserve(&request(memory, 8, placement)).expect("memory");
    for (index, byte) in bytes(&region).iter_mut().enumerate() {
        *byte = (index / page + 1) as u8;
    }
    let segment = |first: usize, pages: usize, protection| Segment { offset: first * page, len: pages * page, protection };
    let segments = [
        segment(0, 1, Protection::None),
        segment(1, 2, Protection::ReadExecute),
        segment(3, 1, Protection::Read),
        segment(4, 2, Protection::ReadWrite),
        segment(6, 0, Protection::Read),
    ];
    memory.finalize(&region, &segments).expect("finalized");
    if runs_in == RunsIn::ThisProgram {
        let run = core::ptr::with_exposed_provenance_mut::<u8>(region.run.get() as usize);
        for at in [1, 2, 3, 4, 5].map(|index| index * page) {
            for at in [at, at + page - 1] {
                // SAFETY: the byte lies in a segment that is readable at the run address.
                let byte = unsafe { run.add(at).read_volatile() };
                assert_eq!(byte as usize, at / page + 1, "the bytes written are at the run address");
            }
        }
        // SAFETY: the byte lies in the segment that is writable at the run address.
        let byte = unsafe {
            run.add(4 * page).write_volatile(0x77);
            run.add(4 * page).read_volatile()
        };
        assert_eq!(byte, 0x77, "read-write segments can be written at the run address");
    }
    memory.release(region);
}

/// A function that returns 42.
fn answer(machine: Machine) -> Option<&'static [u8]> {
    match machine {
        // mov eax, 42; ret
        Machine::X86 | Machine::X86_64 => Some(&[0xb8, 42, 0, 0, 0, 0xc3]),
        // mov w0, #42; ret
        Machine::Aarch64 => Some(&[0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6]),
        // li a0, 42; ret
        Machine::Riscv64 => Some(&[0x13, 0x05, 0xa0, 0x02, 0x67, 0x80, 0x00, 0x00]),
        _ => None,
    }
}

/// Code runs where it was placed, also where other code ran before.
fn runs(memory: &dyn Memory, placement: Placement) {
    let Some(code) = Machine::native().and_then(answer) else { return };
    for _ in 0..16 {
        let region = memory.reserve(&request(memory, 1, placement)).expect("memory");
        bytes(&region)[..code.len()].copy_from_slice(code);
        let segment = Segment { offset: 0, len: region.len, protection: Protection::ReadExecute };
        memory.finalize(&region, &[segment]).expect("finalized");
        let function = core::ptr::with_exposed_provenance::<()>(region.run.get() as usize);
        // SAFETY: the region holds a whole function of this signature for this machine and is executable.
        let result = unsafe { core::mem::transmute::<*const (), extern "C" fn() -> u32>(function)() };
        assert_eq!(result, 42, "code runs at the run address");
        memory.release(region);
    }
}
