//! Relocation records → bytes of the finished module.
//!
//! Two levels: a machine's table turns a number into a [`Kind`] (`arch`), and a kind turns into checked bytes (`kind`).
//! Results are written into *working* memory and computed for *run* addresses. The records of a section are streamed once;
//! their symbol index and their place are checked here, at their only use.

mod indirect;
mod instruction;
mod kind;

pub(crate) use indirect::{is_table_of_contents, local_entry, pairs, table_of_contents};
pub(crate) use instruction::{Change, Field, From, Half};
pub(crate) use kind::{Kind, Operands, Refusal, apply};

use crate::arch::{Aarch64, Arch, Arm, Machine, PowerPc64, Riscv64, S390x, X86, X86_64};
use crate::image::{Format, Image, Order, RawRelocation};

/// What is known of a symbol when relocations are applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has an address.
    Known,
    /// It is the null symbol.
    Null,
    /// It is undefined and local, or nameless.
    Undefined,
    /// It waits for common space.
    Common,
    /// It is thread-local.
    ThreadLocal,
    /// It is an indirect function.
    Indirect,
    /// It lies in a section that is not loaded.
    Unloaded,
    /// Its address does not fit the machine.
    TooWide,
}

/// A symbol as relocations see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    /// S, if the state is [`State::Known`].
    pub(crate) address: u64,
    pub(crate) state: State,
    /// Bytes from here to where calls from within the module enter (powerpc64).
    pub(crate) entry: u8,
    /// Slot of the stub through which calls go + 1, or 0 (powerpc64).
    pub(crate) stub: u32,
}

impl Value {
    /// A symbol at `address`.
    pub(crate) const fn known(address: u64) -> Self {
        Self { address, state: State::Known, entry: 0, stub: 0 }
    }

    /// A symbol without an address.
    pub(crate) const fn none(state: State) -> Self {
        Self { address: 0, state, entry: 0, stub: 0 }
    }
}

/// Why the records of a section could not all be applied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// Index of the record.
    pub(crate) entry: u32,
    pub(crate) cause: Cause,
}

/// Why one record could not be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Its symbol index is beyond the table.
    SymbolIndex,
    /// Its symbol has no address.
    Symbol(State),
    /// Its symbol needs a slot in the global offset table and has none yet.
    Slot,
    /// Its place or result is wrong.
    Refused(Refusal),
}

/// Everything that stays the same for all sections of a module.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) image: &'a Image<'a>,
    /// By symbol index; as long as the symbol table.
    pub(crate) values: &'a [Value],
    /// By symbol index: slot number + 1, or 0; empty if there is no global offset table.
    pub(crate) slots: &'a [u32],
    /// Run address of slot 0.
    pub(crate) slot_base: u64,
    /// Run address of the first stub.
    pub(crate) stub_base: u64,
    /// Base of the table of contents (powerpc64).
    pub(crate) toc: u64,
    /// Distances that upper halves refer to, by offset in the section, ascending (riscv64).
    pub(crate) pairs: &'a [(u64, i64)],
}

/// One section to relocate.
pub(crate) struct Target<'a> {
    /// Its bytes in working memory.
    pub(crate) bytes: &'a mut [u8],
    /// Its run address.
    pub(crate) run: u64,
}

/// Applies `records` (with addends of their own if `explicit`) to `target`.
pub(crate) fn section(context: &Context<'_>, records: &[u8], explicit: bool, target: Target<'_>) -> Result<(), Fault> {
    let (machine, big) = (context.image.machine(), context.image.format().order.big);
    if !machine.is_built() {
        return Err(Fault { entry: 0, cause: Cause::Refused(Refusal::Unknown) });
    }
    match (machine, big, explicit) {
        (Machine::X86_64, _, true) => stream::<X86_64, true, false, true>(context, records, target),
        (Machine::X86_64, _, false) => stream::<X86_64, true, false, false>(context, records, target),
        (Machine::X86, _, true) => stream::<X86, false, false, true>(context, records, target),
        (Machine::X86, _, false) => stream::<X86, false, false, false>(context, records, target),
        (Machine::Aarch64, false, true) => stream::<Aarch64, true, false, true>(context, records, target),
        (Machine::Aarch64, false, false) => stream::<Aarch64, true, false, false>(context, records, target),
        (Machine::Aarch64, true, true) => stream::<Aarch64, true, true, true>(context, records, target),
        (Machine::Aarch64, true, false) => stream::<Aarch64, true, true, false>(context, records, target),
        (Machine::Riscv64, _, true) => stream::<Riscv64, true, false, true>(context, records, target),
        (Machine::Riscv64, _, false) => stream::<Riscv64, true, false, false>(context, records, target),
        (Machine::Arm, false, true) => stream::<Arm, false, false, true>(context, records, target),
        (Machine::Arm, false, false) => stream::<Arm, false, false, false>(context, records, target),
        (Machine::Arm, true, true) => stream::<Arm, false, true, true>(context, records, target),
        (Machine::Arm, true, false) => stream::<Arm, false, true, false>(context, records, target),
        (Machine::PowerPc64, false, true) => stream::<PowerPc64, true, false, true>(context, records, target),
        (Machine::PowerPc64, false, false) => stream::<PowerPc64, true, false, false>(context, records, target),
        (Machine::PowerPc64, true, true) => stream::<PowerPc64, true, true, true>(context, records, target),
        (Machine::PowerPc64, true, false) => stream::<PowerPc64, true, true, false>(context, records, target),
        (Machine::S390x, _, true) => stream::<S390x, true, true, true>(context, records, target),
        (Machine::S390x, _, false) => stream::<S390x, true, true, false>(context, records, target),
    }
}

/// The inner loop, with everything but the data constant.
#[inline(never)]
fn stream<A: Arch, const WIDE: bool, const BIG: bool, const EXPLICIT: bool>(
    context: &Context<'_>,
    records: &[u8],
    target: Target<'_>,
) -> Result<(), Fault> {
    let format = const { Format::new(WIDE, BIG) };
    let order = const { Order { big: BIG } };
    let Target { bytes, run } = target;
    let values = context.values;
    for (entry, record) in records.chunks_exact(format.relocation_size(EXPLICIT)).enumerate() {
        let relocation = format.relocation(EXPLICIT, record);
        let kind = A::kind(relocation.kind);
        if let Some(value) = values.get(relocation.symbol as usize)
            && value.state == State::Known
            && usual::<EXPLICIT>(order, kind, &relocation, value.address, bytes, run)
        {
            continue;
        }
        if let Err(cause) = any(context, (order, A::TABLE, EXPLICIT), kind, &relocation, bytes, run) {
            return Err(Fault { entry: entry as u32, cause });
        }
    }
    Ok(())
}

/// Applies the few kinds that nearly all relocations are of, if all is well; says if it did.
#[inline(always)]
fn usual<const EXPLICIT: bool>(
    order: Order,
    kind: Kind,
    relocation: &RawRelocation,
    symbol: u64,
    bytes: &mut [u8],
    run: u64,
) -> bool {
    let at = relocation.offset as usize;
    if at as u64 != relocation.offset {
        return false;
    }
    match kind {
        Kind::Relative32 | Kind::Word32Signed if EXPLICIT => {
            let from = if kind == Kind::Relative32 { run.wrapping_add(relocation.offset) } else { 0 };
            let number = symbol.wrapping_add(relocation.addend as u64).wrapping_sub(from) as i64;
            number == i64::from(number as i32) && kind::store32(order, bytes, at, number as u32).is_ok()
        }
        Kind::Word64 if EXPLICIT => kind::store64(order, bytes, at, symbol.wrapping_add(relocation.addend as u64)).is_ok(),
        Kind::Word32 | Kind::Relative32Wrapping if !EXPLICIT => {
            let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<4>) else { return false };
            let from = if kind == Kind::Word32 { 0 } else { run.wrapping_add(relocation.offset) };
            let number = order.u32(place, 0).wrapping_add(symbol as u32).wrapping_sub(from as u32);
            *place = if order.is_big() { number.to_be_bytes() } else { number.to_le_bytes() };
            true
        }
        _ => false,
    }
}

/// Applies a record of any kind, or says why it cannot be applied. One copy for all machines: it is large, and rarely run.
#[inline(never)]
fn any(
    context: &Context<'_>,
    (order, table, explicit): (Order, bool, bool),
    kind: Kind,
    relocation: &RawRelocation,
    bytes: &mut [u8],
    run: u64,
) -> Result<(), Cause> {
    let value = context.values.get(relocation.symbol as usize).ok_or(Cause::SymbolIndex)?;
    if value.state != State::Known && kind.needs_symbol() {
        return Err(if kind == Kind::Unknown { Cause::Refused(Refusal::Unknown) } else { Cause::Symbol(value.state) });
    }
    let at = usize::try_from(relocation.offset).map_err(|_| Cause::Refused(Refusal::Place))?;
    let symbol = match kind.is_indirect() {
        true => indirect::operand(context, kind, relocation, value, (bytes, at, run))?,
        false => value.address,
    };
    let addend = if explicit {
        relocation.addend
    } else {
        match kind.addend_in_place(order, bytes, at) {
            Some(addend) => addend,
            None if kind == Kind::Unknown || at < bytes.len().saturating_sub(3) => {
                return Err(Cause::Refused(Refusal::Unknown));
            }
            None => return Err(Cause::Refused(Refusal::Place)),
        }
    };
    let base = if table { context.toc } else { run };
    let with = Operands { symbol, addend, place: run.wrapping_add(relocation.offset), base };
    apply(kind, order, bytes, at, with).map_err(Cause::Refused)
}

#[cfg(test)]
mod cases;
