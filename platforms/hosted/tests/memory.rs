//! Where regions lie, what their pages allow, and that pools give everything back.

use rumpload::resource::{HostErrorKind, Memory as _, Placement, Protection, Region, Request, Segment};
use rumpload_hosted::Memory;

const BELOW_2_GIB: Placement = Placement::Within { first: 0x1_0000, last: 0x7fff_ffff };

fn reserve(memory: &Memory, pages: usize, placement: Placement) -> Region {
    let page = memory.page_size();
    memory.reserve(&Request { len: pages * page, align: page, placement }).expect("memory")
}

fn bytes(region: &mut Region) -> &mut [u8] {
    // SAFETY: the test owns the region, and the exclusive borrow keeps it from making another slice of it.
    unsafe { core::slice::from_raw_parts_mut(region.working.as_ptr(), region.len) }
}

/// The `rwx` letters of every page of the region, from the kernel.
fn access(region: &Region, page: usize) -> Vec<String> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("proc is mounted");
    let lines: Vec<(u64, u64, String)> = maps
        .lines()
        .map(|line| {
            let mut words = line.split_ascii_whitespace();
            let (start, end) = words.next().expect("a range").split_once('-').expect("two addresses");
            let number = |digits| u64::from_str_radix(digits, 16).expect("an address");
            (number(start), number(end), words.next().expect("letters")[..3].to_owned())
        })
        .collect();
    let pages = (region.run.get()..region.run.get() + region.len as u64).step_by(page);
    let letters = |at| lines.iter().find(|(start, end, _)| (*start..*end).contains(&at)).map(|(_, _, letters)| letters.clone());
    pages.map(|at| letters(at).unwrap_or_default()).collect()
}

#[test]
fn placement_is_respected() {
    let memory = Memory::new();
    let page = memory.page_size();
    let mut regions = Vec::new();
    for pages in [1, 3, 1000, 9000] {
        let mut region = reserve(&memory, pages, BELOW_2_GIB);
        assert!(region.run.get() + region.len as u64 <= 1 << 31);
        assert!(bytes(&mut region).iter().all(|&byte| byte == 0));
        regions.push(region);
    }
    let first = regions[0].run.get() & !0xfff_ffff;
    let narrow = Placement::Within { first: first + 0x800_0000, last: first + 0x800_0000 + 2 * page as u64 - 1 };
    let region = reserve(&memory, 2, narrow);
    assert_eq!(region.run.get(), first + 0x800_0000);
    let full = memory.reserve(&Request { len: page, align: page, placement: narrow }).expect_err("the range is full");
    assert_eq!(full.kind(), HostErrorKind::OutOfMemory);
    memory.release(region);
    let again = reserve(&memory, 2, narrow);
    regions.push(again);
    let aligned = memory.reserve(&Request { len: page, align: 1 << 20, placement: BELOW_2_GIB }).expect("aligned memory");
    assert_eq!(aligned.run.get() % (1 << 20), 0);
    regions.push(aligned);
    for region in regions {
        memory.release(region);
    }
    assert_eq!(memory.in_use(), 0);
}

#[test]
fn never_writable_and_executable() {
    let memory = Memory::new();
    let page = memory.page_size();
    let region = reserve(&memory, 8, BELOW_2_GIB);
    assert!(access(&region, page).iter().all(|letters| letters == "rw-"));
    let segment = |offset: usize, pages: usize, protection| Segment { offset: offset * page, len: pages * page, protection };
    memory
        .finalize(
            &region,
            &[
                segment(0, 1, Protection::None),
                segment(1, 1, Protection::ReadExecute),
                segment(2, 1, Protection::ReadExecute),
                segment(3, 2, Protection::Read),
                segment(5, 2, Protection::ReadWrite),
            ],
        )
        .expect("protected");
    assert_eq!(access(&region, page), ["---", "r-x", "r-x", "r--", "r--", "rw-", "rw-", "rw-"]);
    let run = region.run;
    memory.release(region);
    let again = reserve(&memory, 8, BELOW_2_GIB);
    assert_eq!(again.run, run, "released address space is used again");
    assert!(access(&again, page).iter().all(|letters| letters == "rw-"));
    memory.release(again);
}

#[test]
fn released_memory_comes_back_zeroed() {
    let memory = Memory::new();
    for pages in [1, 16, 512] {
        for placement in [BELOW_2_GIB, Placement::Anywhere] {
            let mut region = reserve(&memory, pages, placement);
            bytes(&mut region).fill(0xa5);
            let run = region.run;
            memory.release(region);
            let mut again = reserve(&memory, pages, placement);
            assert_eq!(again.run, run);
            assert!(bytes(&mut again).iter().all(|&byte| byte == 0));
            memory.release(again);
        }
    }
}

#[test]
fn what_the_documentation_excludes_is_refused() {
    let memory = Memory::new();
    let page = memory.page_size();
    let kind =
        |len, align, placement| memory.reserve(&Request { len, align, placement }).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind(0, page, Placement::Anywhere), Err(HostErrorKind::InvalidInput));
    assert_eq!(kind(page + 1, page, Placement::Anywhere), Err(HostErrorKind::InvalidInput));
    assert_eq!(kind(page, 8, Placement::Anywhere), Err(HostErrorKind::InvalidInput));
    assert_eq!(kind(page, 3 * page, Placement::Anywhere), Err(HostErrorKind::InvalidInput));
    assert_eq!(kind(page, page, Placement::Within { first: 9, last: 8 }), Err(HostErrorKind::InvalidInput));
    assert_eq!(kind(1 << 30, page, Placement::Within { first: 0x1_0000, last: 0xfff_ffff }), Err(HostErrorKind::OutOfMemory));
    assert_eq!(kind(usize::MAX & !(page - 1), page, Placement::Anywhere), Err(HostErrorKind::InvalidInput));
    // More than any process of this width has.
    #[cfg(target_pointer_width = "64")]
    assert_eq!(kind(isize::MAX as usize & !(page - 1), page, Placement::Anywhere), Err(HostErrorKind::OutOfMemory));
    let region = reserve(&memory, 2, Placement::Anywhere);
    let outside = Segment { offset: page, len: 2 * page, protection: Protection::Read };
    assert_eq!(memory.finalize(&region, &[outside]).map_err(|error| error.kind()), Err(HostErrorKind::InvalidInput));
    memory.release(region);
    assert_eq!(memory.in_use(), 0);
}
