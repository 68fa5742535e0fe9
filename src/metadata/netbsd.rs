//! The NetBSD module record.
//!
//! Section `link_set_modules` of a loadable module holds one pointer, to a record of version, class, control routine, name and
//! requirements. The pointers are zero in the file; local relocations fill them. They are followed here as (section, offset)
//! pairs, without memory, addresses or heap.

use crate::address::{SectionIndex, SymbolIndex};
use crate::error::{LinkError, Problem};
use crate::image::{Definition, Image, Section};
use core::ffi::CStr;

/// The section with the pointers to module records.
pub(crate) const LINK_SET: &str = "link_set_modules";

/// The record of a module, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modinfo<'a> {
    /// `__NetBSD_Version__` of the kernel it was built for.
    pub version: u32,
    /// Its class number.
    pub class: u32,
    /// Its name.
    pub name: &'a str,
    /// The modules it requires, comma-separated, as it spells them; `None` for a null pointer.
    pub required: Option<&'a str>,
    /// Where its control routine is.
    pub(crate) modcmd: Spot,
}

/// A byte of the file: section and offset.
type Spot = (SectionIndex, u64);

/// Offsets of the record's fields, and its size.
struct Fields {
    class: u64,
    modcmd: u64,
    name: u64,
    required: u64,
    size: u64,
}

impl Fields {
    const WIDE: Self = Self { class: 4, modcmd: 8, name: 16, required: 24, size: 32 };
    const NARROW: Self = Self { class: 4, modcmd: 8, name: 12, required: 16, size: 20 };
}

impl<'a> Modinfo<'a> {
    /// Reads the record of `image`.
    ///
    /// # Errors
    /// [`NoMetadata`](LinkError::NoMetadata) if there is no link set; [`Malformed`](LinkError::Malformed) if it does not hold
    /// exactly one pointer, or a pointer is not filled by exactly one relocation against a symbol of the module, or leads out
    /// of its section, or a string has no end.
    pub fn read(image: &Image<'a>) -> Result<Self, LinkError> {
        let pointer = image.format().pointer_size();
        let set = image.section_by_name(LINK_SET).ok_or(LinkError::NoMetadata)?;
        if set.size() != pointer || set.data().len() as u64 != pointer {
            return Err(LinkError::malformed(set.place(), Problem::LinkSetSize { found: set.size(), expected: pointer }));
        }
        let fields = if image.format().wide { Fields::WIDE } else { Fields::NARROW };

        let [entry] = pointers(image, &set, 0, pointer, [(0, LINK_SET)])?;
        let (index, at) = entry.ok_or_else(|| LinkError::malformed(set.place().at(0), Problem::Pointer(LINK_SET)))?;
        let record = image.section(index).ok_or(LinkError::NoMetadata)?;
        let bytes = record
            .data()
            .get(at as usize..)
            .and_then(|rest| rest.get(..fields.size as usize))
            .ok_or_else(|| LinkError::malformed(set.place().at(0), Problem::PointerTarget(LINK_SET)))?;

        let wanted = [(fields.modcmd, "modcmd"), (fields.name, "name"), (fields.required, "required")];
        let [modcmd, name, required] = pointers(image, &record, at, fields.size, wanted)?;
        let place = |field: u64| record.place().at(at + field);
        let modcmd = modcmd.ok_or_else(|| LinkError::malformed(place(fields.modcmd), Problem::Pointer("modcmd")))?;
        let routine = image.section(modcmd.0).filter(|section| section.is_loadable() && section.is_executable());
        if routine.is_none_or(|section| modcmd.1 >= section.size()) {
            return Err(LinkError::malformed(place(fields.modcmd), Problem::PointerTarget("modcmd")));
        }
        let name = name.ok_or_else(|| LinkError::malformed(place(fields.name), Problem::Pointer("name")))?;
        let order = image.format().order;
        let string =
            |spot, field, what| text(image, spot).ok_or_else(|| LinkError::malformed(place(field), Problem::String(what)));
        Ok(Self {
            version: order.u32(bytes, 0),
            class: order.u32(bytes, fields.class as usize),
            name: string(name, fields.name, "name")?,
            required: match required {
                Some(spot) => Some(string(spot, fields.required, "required")?),
                None => None,
            },
            modcmd,
        })
    }
}

/// Follows the pointers of a record of `size` bytes at `at` of `section`. A pointer that nothing fills is `None` if its bytes
/// are zero. No other relocation may touch the record: what is read here is what will be in memory.
fn pointers<const N: usize>(
    image: &Image<'_>,
    section: &Section<'_>,
    at: u64,
    size: u64,
    wanted: [(u64, &'static str); N],
) -> Result<[Option<Spot>; N], LinkError> {
    let (format, machine) = (image.format(), image.machine());
    let mut found = [None; N];
    let place = |field: u64| section.place().at(at + field);
    for relocations in image.sections().filter(|candidate| candidate.relocates() == Some(section.index())) {
        for relocation in relocations.relocations() {
            // No store is wider than eight bytes.
            if relocation.offset.saturating_add(8) <= at || relocation.offset >= at + size {
                continue;
            }
            let kind = machine.kind(relocation.kind);
            let wide_store = !kind.is_pointer(format.wide);
            if kind == crate::relocate::Kind::None {
                continue;
            }
            let slot = wanted.iter().position(|&(field, _)| at + field == relocation.offset);
            let Some(slot) = slot.filter(|_| !wide_store) else {
                if relocation.offset < at && !wide_store && relocation.offset + format.pointer_size() <= at {
                    continue;
                }
                return Err(LinkError::malformed(place(relocation.offset.saturating_sub(at)), Problem::Pointer("record")));
            };
            let (field, what) = wanted[slot];
            let addend = match relocation.addend {
                Some(addend) => addend,
                None => {
                    let bytes = section.data().get(relocation.offset as usize..).unwrap_or_default();
                    let pointer = bytes.get(..format.pointer_size() as usize);
                    let value = pointer.map_or(0, |bytes| format.order.word(format.wide, bytes, 0));
                    if format.wide { value as i64 } else { i64::from(value as u32 as i32) }
                }
            };
            let spot = target(image, relocation.symbol, addend)
                .ok_or_else(|| LinkError::malformed(place(field), Problem::PointerTarget(what)))?;
            if found[slot].replace(spot).is_some() {
                return Err(LinkError::malformed(place(field), Problem::Pointer(what)));
            }
        }
    }
    for (slot, &(field, what)) in found.iter().zip(&wanted) {
        let bytes = section.data().get((at + field) as usize..).and_then(|rest| rest.get(..format.pointer_size() as usize));
        if slot.is_none() && bytes.is_none_or(|bytes| bytes.iter().any(|&byte| byte != 0)) {
            return Err(LinkError::malformed(place(field), Problem::Pointer(what)));
        }
    }
    Ok(found)
}

/// Where symbol + addend leads, if that is a byte of one of the file's sections.
fn target(image: &Image<'_>, symbol: SymbolIndex, addend: i64) -> Option<Spot> {
    let symbol = image.symbol(symbol)?;
    let Definition::Section(index) = symbol.definition else { return None };
    let offset = symbol.value.checked_add_signed(addend)?;
    (offset < image.section(index)?.size()).then_some((index, offset))
}

/// The text at `spot`, if it ends within its section.
fn text<'a>(image: &Image<'a>, spot: Spot) -> Option<&'a str> {
    let bytes = image.section(spot.0)?.data().get(spot.1 as usize..)?;
    CStr::from_bytes_until_nul(bytes).ok()?.to_str().ok()
}
