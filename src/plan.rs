//! Sections → segments, offsets, stub and table slots of one region.
//!
//! ```text
//! text       sections with SHF_EXECINSTR, then far-call stubs      read, execute
//! init text  those of them that are given back after the start     read, execute
//! rodata     neither executable nor writable, then offset table    read
//! data       the rest: writable                                    read, write
//! init data  whatever else is given back after the start           read, write
//! ```
//! Each segment starts on a page; within it sections keep the order of their headers. Only sections that can matter are
//! loaded: PROGBITS and NOBITS with SHF_ALLOC, and such without it if a relocation of a loaded section refers to them. Sections
//! that only the flavour's own kernel reads are loaded on the same terms as those without SHF_ALLOC.

use crate::address::{SectionIndex, align_up};
use crate::error::{LinkError, Place, Problem};
use crate::flavour::{Flavour, Purpose};
use crate::image::{Image, Section};
use crate::resource::{Protection, Segment};
use alloc::vec::Vec;
use core::fmt;

/// Which part of a module's region a section belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SegmentKind {
    /// Code.
    Text,
    /// Code that is given back once the module has started.
    InitText,
    /// Constants.
    Rodata,
    /// Variables.
    Data,
    /// Variables and constants that are given back once the module has started.
    InitData,
}

impl SegmentKind {
    /// All, in the order in which they lie in the region.
    pub const ALL: [Self; 5] = [Self::Text, Self::InitText, Self::Rodata, Self::Data, Self::InitData];

    /// Its name in listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::InitText => "init text",
            Self::Rodata => "rodata",
            Self::Data => "data",
            Self::InitData => "init data",
        }
    }

    const fn protection(self) -> Protection {
        match self {
            Self::Text | Self::InitText => Protection::ReadExecute,
            Self::Rodata => Protection::Read,
            Self::Data | Self::InitData => Protection::ReadWrite,
        }
    }
}

/// A part of a module's region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Bytes from the start of the region; a multiple of the page size.
    pub offset: usize,
    /// Bytes in use.
    pub len: usize,
}

/// Where a section goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Its segment.
    pub segment: SegmentKind,
    /// Bytes from the start of the region.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
}

/// Slots that a module needs besides its sections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// Far-call stubs.
    pub stubs: usize,
    /// Bytes of one stub.
    pub stub_len: usize,
    /// Entries of the global offset table.
    pub table: usize,
    /// Bytes of one entry.
    pub entry_len: usize,
}

/// The layout of one module. Pure: no memory is touched to make it. Reusable without new allocations.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// By section index.
    sections: Vec<Option<Planned>>,
    /// By segment kind.
    segments: [Extent; 5],
    /// Bytes of the text segment that are sections.
    code: usize,
    stubs: usize,
    table: usize,
    slots: Slots,
    len: usize,
    align: usize,
    page: usize,
}

impl Plan {
    /// An empty plan, to be filled.
    pub const fn new() -> Self {
        const EMPTY: Extent = Extent { offset: 0, len: 0 };
        Self {
            sections: Vec::new(),
            segments: [EMPTY; 5],
            code: 0,
            stubs: 0,
            table: 0,
            slots: Slots { stubs: 0, stub_len: 0, table: 0, entry_len: 0 },
            len: 0,
            align: 1,
            page: 1,
        }
    }

    /// The plan of `image`, a NetBSD module, for pages of `page` bytes (a power of two), without any slots.
    ///
    /// # Errors
    /// [`Malformed`](LinkError::Malformed) if sizes do not fit or nothing is executable.
    pub fn of(image: &Image<'_>, page: usize) -> Result<Self, LinkError> {
        let mut plan = Self::new();
        plan.fill(image, Flavour::NetBsd, page, Slots::default(), &[])?;
        Ok(plan)
    }

    /// Plans `image` anew. `wanted`, by section index, names sections to load although they do not ask for it.
    pub(crate) fn fill(
        &mut self,
        image: &Image<'_>,
        flavour: Flavour,
        page: usize,
        slots: Slots,
        wanted: &[bool],
    ) -> Result<(), LinkError> {
        self.sections.clear();
        self.sections.resize(image.section_count(), None);
        let mut segments = [Growing::default(); 5];
        for section in image.sections() {
            let index = section.index().0 as usize;
            if !section.is_bits() {
                continue;
            }
            let purpose = if section.is_loadable() { flavour.purpose(section.name()) } else { Purpose::Kernel };
            if purpose == Purpose::Kernel && !wanted.get(index).is_some_and(|&wanted| wanted) {
                continue;
            }
            let segment = segment_of(&section, purpose);
            let too_large = || LinkError::malformed(section.place(), Problem::TooLarge);
            let (offset, size) = segments[segment as usize].add(section.size(), section.align()).ok_or_else(too_large)?;
            self.sections[index] = Some(Planned { segment, offset, size });
        }
        self.code = segments[SegmentKind::Text as usize].len;
        // A Linux module may consist of its start alone, or of constants.
        if self.code == 0 && flavour == Flavour::NetBsd {
            return Err(LinkError::malformed(Place::FILE, Problem::NoText));
        }
        self.lay_out(&mut segments, page, slots).ok_or_else(|| LinkError::malformed(Place::FILE, Problem::TooLarge))
    }

    fn lay_out(&mut self, segments: &mut [Growing; 5], page: usize, slots: Slots) -> Option<()> {
        let (stubs, _) = segments[SegmentKind::Text as usize].add_array(slots.stubs, slots.stub_len)?;
        let (table, _) = segments[SegmentKind::Rodata as usize].add_array(slots.table, slots.entry_len)?;
        self.align = page;
        let (mut end, mut reach) = (0_usize, 1);
        for (segment, extent) in segments.iter().zip(&mut self.segments) {
            // An empty segment costs nothing, and its offset is where it would begin: in the region or at its end.
            let offset = align_up(end, page.max(segment.align))?;
            *extent = Extent { offset, len: segment.len };
            end = if segment.len == 0 { end } else { offset.checked_add(segment.len)? };
            reach = reach.max(offset.checked_add(segment.len)?);
            self.align = self.align.max(segment.align);
        }
        self.len = align_up(reach, page)?;
        // A region has to be addressable both as working memory and where it runs.
        isize::try_from(self.len).ok()?;
        for planned in self.sections.iter_mut().flatten() {
            planned.offset += self.segments[planned.segment as usize].offset;
        }
        self.stubs = self.segments[SegmentKind::Text as usize].offset + stubs;
        self.table = self.segments[SegmentKind::Rodata as usize].offset + table;
        self.slots = slots;
        self.page = page;
        Some(())
    }

    /// Where section `index` goes; `None` if it is not loaded.
    #[inline]
    pub fn section(&self, index: SectionIndex) -> Option<Planned> {
        self.sections.get(index.0 as usize).copied().flatten()
    }

    /// The loaded sections in header order.
    pub fn sections(&self) -> impl Iterator<Item = (SectionIndex, Planned)> + '_ {
        self.sections
            .iter()
            .enumerate()
            .filter_map(|(index, planned)| planned.map(|planned| (SectionIndex(index as u32), planned)))
    }

    /// The extent of a segment, slots included.
    pub fn segment(&self, kind: SegmentKind) -> Extent {
        self.segments[kind as usize]
    }

    /// Bytes of the text segment that come from the file, padding between sections included.
    pub fn code_len(&self) -> usize {
        self.code
    }

    /// Bytes of the region, a multiple of the page size.
    pub fn region_len(&self) -> usize {
        self.len
    }

    /// Granularity of protection it was made for.
    pub(crate) fn page(&self) -> usize {
        self.page
    }

    /// Alignment of the region.
    pub fn region_align(&self) -> usize {
        self.align
    }

    /// Offset of the first far-call stub.
    pub(crate) fn stubs(&self) -> usize {
        self.stubs
    }

    /// Offset of the global offset table.
    pub(crate) fn table(&self) -> usize {
        self.table
    }

    /// The slots it has room for.
    pub fn slots(&self) -> Slots {
        self.slots
    }

    /// The protections to ask for: none writable and executable, none empty.
    pub fn protections(&self) -> impl Iterator<Item = Segment> + '_ {
        let all = SegmentKind::ALL.map(|kind| (self.segment(kind), kind.protection()));
        all.into_iter().filter(|(extent, _)| extent.len != 0).map(|(extent, protection)| Segment {
            offset: extent.offset,
            len: align_up(extent.len, self.page).unwrap_or(extent.len),
            protection,
        })
    }

    /// The plan as text, one line per segment and section, with the names that `image` gives them.
    pub fn display<'a>(&'a self, image: &'a Image<'a>) -> impl fmt::Display + 'a {
        Listing { plan: self, image }
    }
}

/// Code wins over writable.
fn segment_of(section: &Section<'_>, purpose: Purpose) -> SegmentKind {
    match (purpose, section.is_executable()) {
        (Purpose::Init, true) => SegmentKind::InitText,
        (Purpose::Init, false) => SegmentKind::InitData,
        (_, true) => SegmentKind::Text,
        (_, false) if section.is_writable() => SegmentKind::Data,
        (_, false) => SegmentKind::Rodata,
    }
}

/// A segment while sections are added.
#[derive(Clone, Copy)]
struct Growing {
    len: usize,
    align: usize,
}

impl Default for Growing {
    fn default() -> Self {
        Self { len: 0, align: 1 }
    }
}

impl Growing {
    /// Offset within the segment, and size.
    fn add(&mut self, size: u64, align: u64) -> Option<(usize, usize)> {
        let (size, align) = (usize::try_from(size).ok()?, usize::try_from(align).ok()?);
        let offset = align_up(self.len, align)?;
        self.len = offset.checked_add(size)?;
        self.align = self.align.max(align);
        Some((offset, size))
    }

    fn add_array(&mut self, count: usize, size: usize) -> Option<(usize, usize)> {
        if count == 0 {
            return Some((self.len, 0));
        }
        self.add(count.checked_mul(size)? as u64, size.next_power_of_two() as u64)
    }
}

struct Listing<'a> {
    plan: &'a Plan,
    image: &'a Image<'a>,
}

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan;
        writeln!(f, "region {:#x} bytes, align {:#x}", plan.len, plan.align)?;
        for kind in SegmentKind::ALL {
            let extent = plan.segment(kind);
            if extent.len == 0 && matches!(kind, SegmentKind::InitText | SegmentKind::InitData) {
                continue;
            }
            writeln!(f, "{} {:#x} +{:#x}", kind.name(), extent.offset, extent.len)?;
            for (index, planned) in plan.sections().filter(|(_, planned)| planned.segment == kind) {
                let name = self.image.section(index).map_or("", |section| section.name());
                writeln!(f, "  {:#x} +{:#x} {name}", planned.offset, planned.size)?;
            }
            if kind == SegmentKind::Text && plan.slots.stubs != 0 {
                writeln!(f, "  {:#x} {} stubs", plan.stubs, plan.slots.stubs)?;
            }
            if kind == SegmentKind::Rodata && plan.slots.table != 0 {
                writeln!(f, "  {:#x} {} table entries", plan.table, plan.slots.table)?;
            }
        }
        Ok(())
    }
}
