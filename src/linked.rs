//! A module whose bytes are finished.

use crate::address::{RunAddr, SectionIndex, align_up};
use crate::image::{Binding, Definition, Image, RawSymbol, SymbolType};
use crate::metadata::netbsd::Modinfo;
use crate::plan::{Extent, Plan, Planned, SegmentKind};
use crate::rename::{Name, Namespace};
use crate::resolve::SymbolKind;
use crate::resource::{HostError, Protection, Reservation, Segment};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Sections whose place is kept without the heap; more than any stock module has.
const INLINE_SECTIONS: usize = 32;
/// Bytes of section names kept without the heap.
const INLINE_NAMES: usize = 512;

/// A linked module: finalized memory, and where its sections are. Dropping it gives the memory back.
pub struct Linked {
    /// The memory.
    pub reservation: Reservation,
    text: Extent,
    segments: [Extent; 5],
    page: usize,
    sections: Places,
}

/// A symbol that a linked module offers to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedSymbol<'a> {
    /// Its name in the namespace.
    pub name: Name<'a>,
    /// Its name in the file.
    pub raw: &'a str,
    /// Its address.
    pub value: RunAddr,
    /// What it is.
    pub kind: SymbolKind,
    /// Bytes, as the file says.
    pub size: u64,
    /// Global or weak.
    pub binding: Binding,
}

/// A function of a linked module, for backtraces; local ones included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkedFunction<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Where that begins in the file's symbol strings.
    pub(crate) name_at: u32,
    /// Its address.
    pub value: RunAddr,
    /// Bytes, as the file says.
    pub size: u64,
}

/// Where a loaded section is.
#[derive(Clone, Copy)]
struct Placed {
    index: u16,
    /// Length of its name; the names follow each other in the same order.
    name: u16,
    offset: u32,
    size: u32,
}

impl Placed {
    /// `None` for what no stock module has.
    fn new(index: u32, name: &str, planned: Planned) -> Option<Self> {
        Some(Self {
            index: index.try_into().ok()?,
            name: name.len().try_into().ok()?,
            offset: planned.offset.try_into().ok()?,
            size: planned.size.try_into().ok()?,
        })
    }
}

/// A loaded section of a module of unusual form.
struct Large {
    index: u32,
    name: Box<str>,
    offset: u64,
    size: u64,
}

/// The loaded sections in header order; on the heap only if there are unusually many.
#[expect(clippy::large_enum_variant, reason = "the large variant is the usual one and spares an allocation per module")]
enum Places {
    Inline(heapless::Vec<Placed, INLINE_SECTIONS>, heapless::Vec<u8, INLINE_NAMES>),
    Heap(Vec<Large>),
}

impl Places {
    fn of(plan: &Plan, image: &Image<'_>) -> Self {
        let name = |index| image.section(index).map_or("", |section| section.name());
        let mut places = heapless::Vec::new();
        let mut names = heapless::Vec::new();
        let fits = plan.sections().all(|(index, planned)| {
            let name = name(index);
            names.extend_from_slice(name.as_bytes()).is_ok()
                && Placed::new(index.0, name, planned).is_some_and(|place| places.push(place).is_ok())
        });
        if fits {
            return Self::Inline(places, names);
        }
        let large = |(index, planned): (SectionIndex, Planned)| Large {
            index: index.0,
            name: name(index).into(),
            offset: planned.offset as u64,
            size: planned.size as u64,
        };
        Self::Heap(plan.sections().map(large).collect())
    }

    /// Offset and bytes of the first section called `name`.
    fn named(&self, name: &str) -> Option<(u64, u64)> {
        match self {
            Self::Inline(places, names) => {
                let mut start = 0;
                places.iter().find_map(|place| {
                    let end = start + usize::from(place.name);
                    let found = names.get(start..end) == Some(name.as_bytes());
                    start = end;
                    found.then_some((place.offset.into(), place.size.into()))
                })
            }
            Self::Heap(places) => places.iter().find(|place| *place.name == *name).map(|place| (place.offset, place.size)),
        }
    }

    /// Offset and bytes of section `index`.
    fn numbered(&self, index: u32) -> Option<(u64, u64)> {
        match self {
            Self::Inline(places, _) => {
                let found = places.binary_search_by_key(&index, |place| place.index.into()).ok()?;
                places.get(found).map(|place| (place.offset.into(), place.size.into()))
            }
            Self::Heap(places) => {
                let found = places.binary_search_by_key(&index, |place| place.index).ok()?;
                places.get(found).map(|place| (place.offset, place.size))
            }
        }
    }
}

impl Linked {
    pub(crate) fn new(reservation: Reservation, plan: &Plan, image: &Image<'_>) -> Self {
        let text = Extent { offset: plan.segment(SegmentKind::Text).offset, len: plan.code_len() };
        let segments = SegmentKind::ALL.map(|kind| plan.segment(kind));
        Self { reservation, text, segments, page: plan.page(), sections: Places::of(plan, image) }
    }

    fn at(&self, offset: u64) -> RunAddr {
        RunAddr::new(self.reservation.run().get().wrapping_add(offset))
    }

    /// Address and bytes of the text segment: what status reports show.
    pub fn text(&self) -> (RunAddr, u64) {
        (self.at(self.text.offset as u64), self.text.len as u64)
    }

    /// Address and bytes of a segment, stubs and tables included.
    pub fn segment(&self, kind: SegmentKind) -> (RunAddr, u64) {
        let extent = self.segments[kind as usize];
        (self.at(extent.offset as u64), extent.len as u64)
    }

    /// Address and bytes of the first loaded section called `name`.
    pub fn section(&self, name: &str) -> Option<(RunAddr, u64)> {
        self.sections.named(name).map(|(offset, size)| (self.at(offset), size))
    }

    /// The address of the byte at `offset` of section `index`, if that section is loaded; its end counts too.
    pub fn address(&self, index: SectionIndex, offset: u64) -> Option<RunAddr> {
        let (start, size) = self.sections.numbered(index.0)?;
        (offset <= size).then(|| self.at(start + offset))
    }

    /// The segment of what only the start of a Linux module needs, page by page; none for other modules.
    pub fn init_segments(&self) -> impl Iterator<Item = Segment> + use<> {
        let page = self.page;
        let segments = [SegmentKind::InitText, SegmentKind::InitData].map(|kind| self.segments[kind as usize]);
        segments.into_iter().filter(|extent| extent.len != 0).map(move |extent| Segment {
            offset: extent.offset,
            len: align_up(extent.len, page).unwrap_or(extent.len),
            protection: Protection::None,
        })
    }

    /// Gives back what only the start of a Linux module needs. Nothing may run in it or point to it any more.
    ///
    /// # Errors
    /// As [`Memory::discard`](crate::resource::Memory::discard).
    pub fn discard_init(&mut self) -> Result<(), HostError> {
        self.init_segments().try_for_each(|segment| self.reservation.discard(segment))
    }

    /// The address of the control routine that `modinfo` of the same file names.
    ///
    /// # Panics
    /// If `modinfo` was read from another file.
    pub fn modcmd(&self, modinfo: &Modinfo<'_>) -> RunAddr {
        let (section, offset) = modinfo.modcmd;
        match self.address(section, offset) {
            Some(address) => address,
            None => panic!("the module information is that of another file"),
        }
    }

    /// The symbols that `image`, the file this was linked from, offers: defined, named, global or weak, in loaded sections.
    pub fn exports<'a>(&'a self, image: &Image<'a>, namespace: &'a Namespace) -> impl Iterator<Item = LinkedSymbol<'a>> + 'a {
        let image = *image;
        image.raw_globals(image.format()).filter_map(move |(_, symbol)| {
            let binding = symbol.binding();
            if !matches!(binding, Binding::Global | Binding::Weak) {
                return None;
            }
            let raw = image.symbol_name(symbol.name);
            let (value, kind) = self.offered(&image, &symbol)?;
            let name = namespace.name(binding == Binding::Global, raw);
            (!raw.is_empty()).then_some(LinkedSymbol { name, raw, value, kind, size: symbol.size, binding })
        })
    }

    /// What others see of a symbol of `image`, the file this was linked from, if anything.
    pub(crate) fn offered(&self, image: &Image<'_>, symbol: &RawSymbol) -> Option<(RunAddr, SymbolKind)> {
        match (symbol.definition(), symbol.kind()) {
            (_, SymbolType::ThreadLocal | SymbolType::IndirectFunction) => None,
            (Definition::Absolute, _) => Some((RunAddr::new(symbol.value), SymbolKind::Absolute)),
            (Definition::Section(section), SymbolType::Function) => {
                Some((self.address(section, symbol.value)?, SymbolKind::Function))
            }
            (Definition::Section(section), SymbolType::None) => {
                let code = image.section(section).is_some_and(|section| section.is_executable());
                Some((self.address(section, symbol.value)?, if code { SymbolKind::Function } else { SymbolKind::Data }))
            }
            (Definition::Section(section), _) => Some((self.address(section, symbol.value)?, SymbolKind::Data)),
            (Definition::Undefined | Definition::Common, _) => None,
        }
    }

    /// All functions of `image`, the file this was linked from, in table order.
    pub fn functions<'a>(&'a self, image: &Image<'a>) -> impl Iterator<Item = LinkedFunction<'a>> + 'a {
        let image = *image;
        image.raw_symbols().filter_map(move |symbol| {
            let (Definition::Section(section), SymbolType::Function) = (symbol.definition(), symbol.kind()) else {
                return None;
            };
            let value = self.address(section, symbol.value)?;
            Some(LinkedFunction { name: image.symbol_name(symbol.name), name_at: symbol.name, value, size: symbol.size })
        })
    }
}

impl core::fmt::Debug for Linked {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Linked")
            .field("run", &self.reservation.run())
            .field("len", &self.reservation.len())
            .finish_non_exhaustive()
    }
}
