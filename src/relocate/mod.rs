//! Stage 5, relocate: records become stored bytes.
//!
//! Values are computed from run addresses and written into working memory.

mod kind;

pub(crate) use kind::{Kind, Misfit, Operands};

use crate::error::LinkError;
use crate::image::{Image, Place, Relocation, Relocations, Section};
use crate::resolve::{Reason, Value};
use alloc::string::{String, ToString};

/// What all records of a module are applied with.
pub(crate) struct Target<'t> {
    /// The region's bytes.
    pub bytes: &'t mut [u8],
    /// Run address of the first of them.
    pub run: u64,
    /// One value per symbol.
    pub values: &'t [Value],
    /// Offset of the first stub in the region.
    pub stubs: usize,
    /// Per symbol, number of its slot in the global offset table; empty if the module needs none.
    pub got_slots: &'t [u32],
    /// Offset of that table in the region.
    pub got: usize,
}

/// Applies `records` to the section that lies at `offset` of the region.
pub(crate) fn apply(
    image: &Image<'_>,
    records: Relocations<'_>,
    offset: usize,
    target: &mut Target<'_>,
) -> Result<(), LinkError> {
    let machine = image.machine();
    let section = image.section(records.target);
    let len = section.size() as usize;
    let base = target.run + offset as u64;
    for (index, record) in records.iter().enumerate() {
        let Some(kind) = machine.classify(record.kind) else {
            let (why, section) = ("relocation type", image.section_name(section).to_string());
            return Err(LinkError::Unsupported { why, section, offset: record.offset, value: record.kind.into() });
        };
        let width = kind.len();
        let Some(at) = usize::try_from(record.offset).ok().filter(|&at| at <= len && len - at >= width) else {
            let why = "r_offset outside the section it patches";
            return Err(LinkError::Malformed { why, section: records.section, entry: index as u64 });
        };
        let mut symbol = 0;
        if kind.wants_symbol() {
            symbol = match target.values.get(record.symbol as usize) {
                Some(Value::Is(value)) => *value,
                Some(Value::Far(stub)) => target.run + (target.stubs + *stub as usize * machine.stub_len()) as u64,
                Some(Value::Not(reason)) => return Err(no_address(image, section, record, *reason)),
                None => {
                    let why = "r_info names a symbol beyond the table";
                    return Err(LinkError::Malformed { why, section: records.section, entry: index as u64 });
                }
            };
            if kind.wants_got() {
                let slot = target.got + target.got_slots[record.symbol as usize] as usize * machine.pointer_len();
                target.bytes[slot..slot + 8].copy_from_slice(&symbol.to_le_bytes());
                symbol = target.run + slot as u64;
            }
        }
        let place = &mut target.bytes[offset + at..offset + at + width];
        let addend = match record.addend {
            Some(addend) => addend,
            None => kind.addend_in_place(place),
        };
        let operands = Operands { symbol, addend, place: base + at as u64, base };
        if let Err(misfit) = kind.apply(place, operands) {
            return Err(out_of_range(image, section, record, misfit));
        }
    }
    Ok(())
}

/// What to call a record's symbol in an error.
fn label(image: &Image<'_>, index: u32) -> String {
    let symbol = image.symbol(index);
    match (image.symbol_name(symbol), symbol.place) {
        (Some(name), _) if !name.is_empty() => name.to_string(),
        (_, Place::Section(section)) => image.section_name(image.section(section)).to_string(),
        _ => alloc::format!("symbol {index}"),
    }
}

#[cold]
fn no_address(image: &Image<'_>, section: Section, record: Relocation, reason: Reason) -> LinkError {
    LinkError::NoAddress {
        symbol: label(image, record.symbol),
        why: reason.text(),
        section: image.section_name(section).to_string(),
        offset: record.offset,
    }
}

#[cold]
fn out_of_range(image: &Image<'_>, section: Section, record: Relocation, misfit: Misfit) -> LinkError {
    LinkError::OutOfRange {
        symbol: label(image, record.symbol),
        value: misfit.value,
        bits: misfit.bits,
        kind: record.kind,
        section: image.section_name(section).to_string(),
        offset: record.offset,
    }
}
