//! A module whose bytes are finished.

use crate::address::{RunAddr, SectionIndex};
use crate::image::{Binding, Definition, Image, SymbolType};
use crate::metadata::netbsd::Modinfo;
use crate::plan::{Extent, Plan, SegmentKind};
use crate::rename::{Name, Namespace};
use crate::resolve::SymbolKind;
use crate::resource::Reservation;
use alloc::vec::Vec;

/// Sections whose place is kept without the heap; more than any stock module has.
const INLINE_SECTIONS: usize = 24;
/// Bytes of section names kept without the heap.
const INLINE_NAMES: usize = 384;

/// A linked module: finalized memory, and where its sections are. Dropping it gives the memory back.
pub struct Linked {
    /// The memory.
    pub reservation: Reservation,
    text: Extent,
    segments: [Extent; 5],
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
    /// Its address.
    pub value: RunAddr,
    /// Bytes, as the file says.
    pub size: u64,
}

/// Where a loaded section is.
#[derive(Clone, Copy)]
struct Placed {
    index: u32,
    /// Range of its name in the names.
    name: (u32, u32),
    offset: u64,
    size: u64,
}

/// The loaded sections in header order; on the heap only if there are unusually many.
#[expect(clippy::large_enum_variant, reason = "the large variant is the usual one and spares an allocation per module")]
enum Places {
    Inline(heapless::Vec<Placed, INLINE_SECTIONS>, heapless::Vec<u8, INLINE_NAMES>),
    Heap(Vec<Placed>, Vec<u8>),
}

impl Places {
    fn of(plan: &Plan, image: &Image<'_>) -> Self {
        let all = || {
            plan.sections().map(|(index, planned)| {
                let name = image.section(index).map_or("", |section| section.name());
                (index.0, name, planned.offset as u64, planned.size as u64)
            })
        };
        let mut places = heapless::Vec::new();
        let mut names = heapless::Vec::new();
        let fits = all().all(|(index, name, offset, size)| {
            let start = names.len() as u32;
            names.extend_from_slice(name.as_bytes()).is_ok()
                && places.push(Placed { index, name: (start, names.len() as u32), offset, size }).is_ok()
        });
        if fits {
            return Self::Inline(places, names);
        }
        let (mut places, mut names) = (Vec::new(), Vec::new());
        for (index, name, offset, size) in all() {
            let start = names.len() as u32;
            names.extend_from_slice(name.as_bytes());
            places.push(Placed { index, name: (start, names.len() as u32), offset, size });
        }
        Self::Heap(places, names)
    }

    fn parts(&self) -> (&[Placed], &[u8]) {
        match self {
            Self::Inline(places, names) => (places, names),
            Self::Heap(places, names) => (places, names),
        }
    }
}

impl Linked {
    pub(crate) fn new(reservation: Reservation, plan: &Plan, image: &Image<'_>) -> Self {
        let text = Extent { offset: plan.segment(SegmentKind::Text).offset, len: plan.code_len() };
        let segments = SegmentKind::ALL.map(|kind| plan.segment(kind));
        Self { reservation, text, segments, sections: Places::of(plan, image) }
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
        let (places, names) = self.sections.parts();
        let named = |place: &&Placed| names.get(place.name.0 as usize..place.name.1 as usize) == Some(name.as_bytes());
        places.iter().find(named).map(|place| (self.at(place.offset), place.size))
    }

    /// The address of the byte at `offset` of section `index`, if that section is loaded; its end counts too.
    pub fn address(&self, index: SectionIndex, offset: u64) -> Option<RunAddr> {
        let (places, _) = self.sections.parts();
        let place = places.get(places.binary_search_by_key(&index.0, |place| place.index).ok()?)?;
        (offset <= place.size).then(|| self.at(place.offset + offset))
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
        image.raw_symbols().filter_map(move |symbol| {
            let binding = symbol.binding();
            if !matches!(binding, Binding::Global | Binding::Weak) {
                return None;
            }
            let raw = image.symbol_name(symbol.name);
            let (value, kind) = match (symbol.definition(), symbol.kind()) {
                (_, SymbolType::ThreadLocal | SymbolType::IndirectFunction) => return None,
                (Definition::Absolute, _) => (RunAddr::new(symbol.value), SymbolKind::Absolute),
                (Definition::Section(section), SymbolType::Function) => {
                    (self.address(section, symbol.value)?, SymbolKind::Function)
                }
                (Definition::Section(section), SymbolType::None) => {
                    let code = image.section(section).is_some_and(|section| section.is_executable());
                    (self.address(section, symbol.value)?, if code { SymbolKind::Function } else { SymbolKind::Data })
                }
                (Definition::Section(section), _) => (self.address(section, symbol.value)?, SymbolKind::Data),
                (Definition::Undefined | Definition::Common, _) => return None,
            };
            let name = namespace.name(binding == Binding::Global, raw);
            (!raw.is_empty()).then_some(LinkedSymbol { name, raw, value, kind, size: symbol.size, binding })
        })
    }

    /// All functions of `image`, the file this was linked from, in table order.
    pub fn functions<'a>(&'a self, image: &Image<'a>) -> impl Iterator<Item = LinkedFunction<'a>> + 'a {
        let image = *image;
        image.raw_symbols().filter_map(move |symbol| {
            let (Definition::Section(section), SymbolType::Function) = (symbol.definition(), symbol.kind()) else {
                return None;
            };
            let value = self.address(section, symbol.value)?;
            Some(LinkedFunction { name: image.symbol_name(symbol.name), value, size: symbol.size })
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
