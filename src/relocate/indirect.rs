//! What stands for S where it is not the symbol's address: a slot, a size, a stub, the other half of an address.

use super::instruction::{Field, read32};
use super::{Cause, Context, Kind, Refusal, State, Value};
use crate::address::SymbolIndex;
use crate::arch::Machine;
use crate::image::{Definition, Image, Order, RawRelocation, RawSymbol, Section};
use alloc::vec::Vec;

/// `nop`, which a compiler leaves after a call for restoring the table of contents.
const POWER_NOP: u32 = 0x6000_0000;
/// `ld r2, 24(r1)`.
const POWER_RESTORE: u32 = 0xe841_0018;
/// Profiling calls keep the table of contents themselves.
const POWER_PROFILE: &str = "_mcount";

/// S for a `relocation` of `kind` against the symbol with `value`, at `at` of the bytes of a section that runs at `run`.
#[inline(never)]
pub(super) fn operand(
    context: &Context<'_>,
    kind: Kind,
    relocation: &RawRelocation,
    value: &Value,
    (bytes, at, run): (&mut [u8], usize, u64),
) -> Result<u64, Cause> {
    match kind {
        Kind::Size32 | Kind::Size64 => {
            let RawSymbol { size, .. } = context.image.raw_symbol(SymbolIndex(relocation.symbol)).ok_or(Cause::SymbolIndex)?;
            Ok(size)
        }
        Kind::Instruction(_) if !Machine::BEYOND_X86 => Err(Cause::Refused(Refusal::Unknown)),
        Kind::Instruction(Field::PowerCall) => power_call(context, relocation, value, bytes, at),
        Kind::Instruction(Field::RiscvRelativeLow12Load | Field::RiscvRelativeLow12Store) => {
            let label = value.address.wrapping_sub(run);
            let found = context.pairs.binary_search_by_key(&label, |pair| pair.0);
            match found {
                Ok(index) => Ok(context.pairs[index].1 as u64),
                Err(_) => Err(Cause::Refused(Refusal::Pair)),
            }
        }
        _ => slot(context, relocation.symbol).ok_or(Cause::Slot),
    }
}

/// Address of the slot of a symbol.
fn slot(context: &Context<'_>, symbol: u32) -> Option<u64> {
    let slot = context.slots.get(symbol as usize)?.checked_sub(1)?;
    Some(context.slot_base.wrapping_add(u64::from(slot) * context.image.format().pointer_size()))
}

/// Where a call goes: the local entry of a function of the module, or a stub, which changes r2; the instruction after the call
/// then restores it.
fn power_call(
    context: &Context<'_>,
    relocation: &RawRelocation,
    value: &Value,
    bytes: &mut [u8],
    at: usize,
) -> Result<u64, Cause> {
    let Some(slot) = value.stub.checked_sub(1) else {
        return Ok(value.address.wrapping_add(u64::from(value.entry)));
    };
    let order = context.image.format().order;
    let len = context.image.machine().far_stub_len() as u64;
    let target = context.stub_base.wrapping_add(u64::from(slot) * len);
    let refused = Cause::Refused;
    let call = read32(order, bytes, at).map_err(refused)?;
    // Without the link bit it is a jump at the end of a function: whoever called that restores.
    if call & 1 != 0 {
        let after = at.checked_add(4).ok_or(refused(Refusal::Place))?;
        let next = read32(order, bytes, after);
        match next {
            Ok(POWER_NOP) => restore(order, bytes, after).map_err(refused)?,
            Ok(POWER_RESTORE) => {}
            _ => {
                let symbol = context.image.symbol(SymbolIndex(relocation.symbol));
                if symbol.is_none_or(|symbol| symbol.name != POWER_PROFILE) {
                    return Err(refused(Refusal::Instruction(next.unwrap_or(0))));
                }
            }
        }
    }
    Ok(target)
}

fn restore(order: Order, bytes: &mut [u8], at: usize) -> Result<(), Refusal> {
    super::kind::store32(order, bytes, at, POWER_RESTORE)
}

/// Collects the distances of the upper halves among the records of `section`, by offset: lower halves name the place of their
/// upper half, not its target.
pub(crate) fn pairs(context: &Context<'_>, section: &Section<'_>, run: u64, pairs: &mut Vec<(u64, i64)>) {
    pairs.clear();
    for relocation in section.relocations() {
        let kind = context.image.machine().kind(relocation.kind);
        let target = match kind {
            Kind::Instruction(Field::RiscvRelativeHigh20) => {
                let value = context.values.get(relocation.symbol.0 as usize);
                value.filter(|value| value.state == State::Known).map(|value| value.address)
            }
            Kind::Instruction(Field::RiscvGotHigh20) => slot(context, relocation.symbol.0),
            _ => continue,
        };
        // What has no target stops the link at its own record.
        let Some(target) = target else { continue };
        let place = run.wrapping_add(relocation.offset);
        let distance = target.wrapping_add_signed(relocation.addend.unwrap_or(0)).wrapping_sub(place) as i64;
        pairs.push((relocation.offset, distance));
    }
    if !pairs.is_sorted_by_key(|pair| pair.0) {
        pairs.sort_unstable_by_key(|pair| pair.0);
    }
}

/// Base of the table of contents of a powerpc64 module: 32 KiB into `.toc`, whose start counts from a multiple of 256, or into the
/// module, which runs at `run`, if it has none.
pub(crate) fn table_of_contents(image: &Image<'_>, run: u64, base: impl Fn(&Section<'_>) -> Option<u64>) -> u64 {
    let toc = image.section_by_name(".toc").and_then(|section| base(&section));
    (toc.unwrap_or(run) & !0xff).wrapping_add(0x8000)
}

/// Bytes from the global to the local entry of a function, by the three bits of its `st_other`.
pub(crate) fn local_entry(other: u8) -> u8 {
    match other >> 5 {
        0 | 1 => 0,
        bits @ 2..=6 => 1 << bits,
        _ => 0,
    }
}

/// True for the symbol that stands for the table of contents.
pub(crate) fn is_table_of_contents(name: &str, definition: Definition) -> bool {
    definition == Definition::Undefined && name == ".TOC."
}
