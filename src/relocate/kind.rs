//! What a relocation means, and how the result is stored.
//!
//! S is the symbol's address, A the addend, P the address of the place, B the address of its section, G that of the symbol's
//! slot in the global offset table. Every store that is narrower than its result is checked.

use super::instruction::{self, Field};
use crate::arch::Machine;
use crate::image::Order;

/// The meaning of a relocation type, the same for every machine that has such a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Not implemented: the module is refused.
    Unknown,
    /// Nothing to do.
    None,
    /// 64 bits: S + A.
    Word64,
    /// 32 bits that are zero-extended: S + A.
    Word32Unsigned,
    /// 32 bits that are sign-extended: S + A.
    Word32Signed,
    /// 32 bits that may be meant either way: S + A.
    Word32Either,
    /// 32 bits where addresses have 32: S + A, wrapping.
    Word32,
    /// 16 bits, signed or unsigned: S + A.
    Word16,
    /// 8 bits, signed or unsigned: S + A.
    Word8,
    /// 64 bits: S + A - P.
    Relative64,
    /// 32 bits, signed: S + A - P.
    Relative32,
    /// 32 bits where addresses have 32: S + A - P, wrapping.
    Relative32Wrapping,
    /// 16 bits, signed: S + A - P.
    Relative16,
    /// 8 bits, signed: S + A - P.
    Relative8,
    /// 16 bits, signed, in half-words: (S + A - P) / 2.
    HalfwordRelative16,
    /// 32 bits, signed, in half-words: (S + A - P) / 2.
    HalfwordRelative32,
    /// 64 bits: S.
    Symbol64,
    /// 32 bits: S.
    Symbol32,
    /// 64 bits: B + A.
    Base64,
    /// 32 bits: B + A.
    Base32,
    /// 64 bits: base of the table of contents + A.
    TableBase64,
    /// 32 bits, signed: G + A - P.
    GotRelative32,
    /// 32 bits, signed, in half-words: (G + A - P) / 2.
    GotHalfwordRelative32,
    /// 32 bits, unsigned: size of the symbol + A.
    Size32,
    /// 64 bits: size of the symbol + A.
    Size64,
    /// A field of an instruction.
    Instruction(Field),
}

impl Kind {
    /// True if the symbol needs a slot in the global offset table.
    pub(crate) const fn needs_slot(self) -> bool {
        matches!(self, Self::GotRelative32 | Self::GotHalfwordRelative32 | Self::Instruction(Field::RiscvGotHigh20))
    }

    /// True if what stands for S is not simply the address of the symbol.
    #[inline(always)]
    pub(crate) const fn is_indirect(self) -> bool {
        match self {
            Self::GotRelative32 | Self::GotHalfwordRelative32 | Self::Size32 | Self::Size64 => true,
            Self::Instruction(field) if Machine::BEYOND_X86 => field.is_indirect(),
            _ => false,
        }
    }

    /// True if the result depends on a symbol.
    pub(crate) const fn needs_symbol(self) -> bool {
        !matches!(self, Self::None | Self::Base64 | Self::Base32 | Self::TableBase64 | Self::Instruction(Field::RiscvAlign))
    }

    /// True if it is the plain pointer of a machine whose addresses are `wide`.
    pub(crate) const fn is_pointer(self, wide: bool) -> bool {
        match self {
            Self::Word64 => wide,
            Self::Word32 | Self::Word32Either => !wide,
            _ => false,
        }
    }

    /// The addend stored at the place, sign-extended; `None` if the place is not in the section or the kind has none there.
    #[inline(always)]
    pub(crate) fn addend_in_place(self, order: Order, target: &[u8], at: usize) -> Option<i64> {
        Some(match self {
            Self::None | Self::Symbol64 | Self::Symbol32 => 0,
            Self::Word64 | Self::Relative64 | Self::Base64 | Self::TableBase64 | Self::Size64 => {
                order.u64(target.get(at..)?.first_chunk::<8>()?, 0) as i64
            }
            Self::Word32
            | Self::Word32Unsigned
            | Self::Word32Signed
            | Self::Word32Either
            | Self::Relative32
            | Self::Relative32Wrapping
            | Self::Base32
            | Self::GotRelative32
            | Self::Size32 => i64::from(order.u32(target.get(at..)?.first_chunk::<4>()?, 0) as i32),
            Self::Word16 | Self::Relative16 => i64::from(order.u16(target.get(at..)?.first_chunk::<2>()?, 0) as i16),
            Self::Word8 | Self::Relative8 => i64::from(*target.get(at)? as i8),
            Self::HalfwordRelative16 => i64::from(order.u16(target.get(at..)?.first_chunk::<2>()?, 0) as i16) << 1,
            Self::HalfwordRelative32 | Self::GotHalfwordRelative32 => {
                i64::from(order.u32(target.get(at..)?.first_chunk::<4>()?, 0) as i32) << 1
            }
            Self::Instruction(field) if Machine::BEYOND_X86 => return instruction::addend(field, order, target, at),
            Self::Instruction(_) | Self::Unknown => return None,
        })
    }
}

/// Why a relocation could not be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The place is not wholly in its section.
    Place,
    /// The result does not fit.
    Range(i64),
    /// The instruction at the place is none that has such a field.
    Instruction(u32),
    /// It needs another relocation, at the place its symbol labels, and there is none.
    Pair,
    /// The type is not implemented.
    Unknown,
}

/// The numbers a relocation is computed from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operands {
    /// S, or the size of the symbol for the size kinds, or G for the kinds that go through the global offset table.
    pub(crate) symbol: u64,
    /// A.
    pub(crate) addend: i64,
    /// P.
    pub(crate) place: u64,
    /// B, or the base of the table of contents where the machine has one.
    pub(crate) base: u64,
}

#[inline(always)]
pub(super) fn store<const N: usize>(target: &mut [u8], at: usize, bytes: [u8; N]) -> Result<(), Refusal> {
    match target.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<N>) {
        Some(place) => {
            *place = bytes;
            Ok(())
        }
        None => Err(Refusal::Place),
    }
}

#[inline(always)]
pub(super) fn store32(order: Order, target: &mut [u8], at: usize, value: u32) -> Result<(), Refusal> {
    store(target, at, if order.is_big() { value.to_be_bytes() } else { value.to_le_bytes() })
}

#[inline(always)]
pub(super) fn store64(order: Order, target: &mut [u8], at: usize, value: u64) -> Result<(), Refusal> {
    store(target, at, if order.is_big() { value.to_be_bytes() } else { value.to_le_bytes() })
}

#[inline(always)]
fn store16(order: Order, target: &mut [u8], at: usize, value: u16) -> Result<(), Refusal> {
    store(target, at, if order.is_big() { value.to_be_bytes() } else { value.to_le_bytes() })
}

/// Applies `kind` at offset `at` of `target`, the bytes of the section that is relocated.
#[inline(always)]
pub(crate) fn apply(kind: Kind, order: Order, target: &mut [u8], at: usize, with: Operands) -> Result<(), Refusal> {
    let absolute = with.symbol.wrapping_add(with.addend as u64);
    let relative = absolute.wrapping_sub(with.place) as i64;
    let based = with.base.wrapping_add(with.addend as u64);
    match kind {
        Kind::Relative32 | Kind::GotRelative32 => match i32::try_from(relative) {
            Ok(value) => store32(order, target, at, value as u32),
            Err(_) => Err(Refusal::Range(relative)),
        },
        Kind::Word32Signed => match i32::try_from(absolute as i64) {
            Ok(value) => store32(order, target, at, value as u32),
            Err(_) => Err(Refusal::Range(absolute as i64)),
        },
        Kind::Word64 | Kind::Size64 => store64(order, target, at, absolute),
        Kind::Word32Unsigned | Kind::Size32 => match u32::try_from(absolute) {
            Ok(value) => store32(order, target, at, value),
            Err(_) => Err(Refusal::Range(absolute as i64)),
        },
        Kind::Word32 => store32(order, target, at, absolute as u32),
        Kind::Relative32Wrapping => store32(order, target, at, relative as u32),
        Kind::None => Ok(()),
        Kind::Word32Either => match (i32::try_from(absolute as i64), u32::try_from(absolute)) {
            (Err(_), Err(_)) => Err(Refusal::Range(absolute as i64)),
            _ => store32(order, target, at, absolute as u32),
        },
        Kind::Word16 => match i64::from(i16::MIN) <= absolute as i64 && absolute as i64 <= i64::from(u16::MAX) {
            true => store16(order, target, at, absolute as u16),
            false => Err(Refusal::Range(absolute as i64)),
        },
        Kind::Word8 => match i64::from(i8::MIN) <= absolute as i64 && absolute as i64 <= i64::from(u8::MAX) {
            true => store(target, at, [absolute as u8]),
            false => Err(Refusal::Range(absolute as i64)),
        },
        Kind::Relative64 => store64(order, target, at, relative as u64),
        Kind::Relative16 => match i16::try_from(relative) {
            Ok(value) => store16(order, target, at, value as u16),
            Err(_) => Err(Refusal::Range(relative)),
        },
        Kind::Relative8 => match i8::try_from(relative) {
            Ok(value) => store(target, at, [value as u8]),
            Err(_) => Err(Refusal::Range(relative)),
        },
        Kind::HalfwordRelative16 => match (relative & 1, i16::try_from(relative >> 1)) {
            (0, Ok(value)) => store16(order, target, at, value as u16),
            _ => Err(Refusal::Range(relative)),
        },
        Kind::HalfwordRelative32 | Kind::GotHalfwordRelative32 => match (relative & 1, i32::try_from(relative >> 1)) {
            (0, Ok(value)) => store32(order, target, at, value as u32),
            _ => Err(Refusal::Range(relative)),
        },
        Kind::Symbol64 => store64(order, target, at, with.symbol),
        Kind::Symbol32 => match u32::try_from(with.symbol) {
            Ok(value) => store32(order, target, at, value),
            Err(_) => Err(Refusal::Range(with.symbol as i64)),
        },
        Kind::Base64 | Kind::TableBase64 => store64(order, target, at, based),
        Kind::Base32 => store32(order, target, at, based as u32),
        Kind::Instruction(field) if Machine::BEYOND_X86 => instruction::apply(field, order, target, at, absolute, relative, with),
        Kind::Instruction(_) | Kind::Unknown => Err(Refusal::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: Order = Order { big: false };

    fn run(kind: Kind, symbol: u64, addend: i64, place: u64) -> Result<[u8; 8], Refusal> {
        let mut bytes = [0xee; 8];
        apply(kind, LITTLE, &mut bytes, 0, Operands { symbol, addend, place, base: 0x4000 }).map(|()| bytes)
    }

    fn word(bytes: [u8; 8], len: usize) -> u64 {
        assert!(bytes[len..].iter().all(|&byte| byte == 0xee), "stored beyond its width");
        bytes[..len].iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte))
    }

    #[test]
    fn statement_067_results_and_widths() {
        assert_eq!(word(run(Kind::Word64, 0x1234_5678_9abc_def0, -1, 0).unwrap(), 8), 0x1234_5678_9abc_deef);
        assert_eq!(word(run(Kind::Relative32, 0x1000, -4, 0x800).unwrap(), 4), 0x7fc);
        assert_eq!(word(run(Kind::Word32Unsigned, 0xffff_fff0, 0xf, 0).unwrap(), 4), 0xffff_ffff);
        assert_eq!(word(run(Kind::Word32Signed, 0xffff_ffff_8000_0000, 0, 0).unwrap(), 4), 0x8000_0000);
        assert_eq!(word(run(Kind::Symbol64, 0x77, 5, 0).unwrap(), 8), 0x77);
        assert_eq!(word(run(Kind::Base64, 0, 8, 0).unwrap(), 8), 0x4008);
    }

    #[test]
    fn statement_069_narrow_results_are_checked_at_both_ends() {
        let fits = |kind, value: i64| run(kind, value as u64, 0, 0).is_ok();
        let edges = |kind, low: i64, high: i64| {
            assert!(fits(kind, low) && fits(kind, high), "{kind:?}");
            assert!(!fits(kind, low - 1) && !fits(kind, high + 1), "{kind:?}");
        };
        edges(Kind::Word32Unsigned, 0, 0xffff_ffff);
        edges(Kind::Word32Signed, -0x8000_0000, 0x7fff_ffff);
        edges(Kind::Word32Either, -0x8000_0000, 0xffff_ffff);
        edges(Kind::Relative32, -0x8000_0000, 0x7fff_ffff);
        edges(Kind::GotRelative32, -0x8000_0000, 0x7fff_ffff);
        edges(Kind::Word16, -0x8000, 0xffff);
        edges(Kind::Relative16, -0x8000, 0x7fff);
        edges(Kind::Word8, -0x80, 0xff);
        edges(Kind::Relative8, -0x80, 0x7f);
        assert!(fits(Kind::HalfwordRelative16, 0xfffe) && !fits(Kind::HalfwordRelative16, 0x1_0000));
        assert!(!fits(Kind::HalfwordRelative32, 3));
    }

    #[test]
    fn statement_069_negative_word_is_refused_with_its_value() {
        assert_eq!(run(Kind::Word32Unsigned, 0, -1, 0), Err(Refusal::Range(-1)));
        assert_eq!(run(Kind::Word32Signed, 0x8000_0000, 0, 0), Err(Refusal::Range(0x8000_0000)));
    }

    #[test]
    fn thirty_two_bit_machines_wrap() {
        assert_eq!(word(run(Kind::Word32, 0xffff_fff0, 0x20, 0).unwrap(), 4), 0x10);
        assert_eq!(word(run(Kind::Relative32Wrapping, 0x10, -4, 0xffff_0000).unwrap(), 4), 0x1_000c);
    }

    #[test]
    fn nothing_is_stored_outside_the_section() {
        for (kind, width) in [(Kind::Word64, 8), (Kind::Relative32, 4), (Kind::Word16, 2), (Kind::Word8, 1)] {
            for at in [8 - width + 1, 8, usize::MAX] {
                let mut bytes = [0xee; 8];
                let with = Operands { symbol: 0, addend: 0, place: 0, base: 0 };
                assert_eq!(apply(kind, LITTLE, &mut bytes, at, with), Err(Refusal::Place));
                assert_eq!(bytes, [0xee; 8]);
                assert_eq!(kind.addend_in_place(LITTLE, &bytes, at), None);
            }
        }
    }

    #[test]
    fn addends_in_place_are_sign_extended() {
        let bytes = [0xfc, 0xff, 0xff, 0xff, 0, 0, 0, 0x80];
        assert_eq!(Kind::Relative32Wrapping.addend_in_place(LITTLE, &bytes, 0), Some(-4));
        assert_eq!(Kind::Word16.addend_in_place(LITTLE, &bytes, 0), Some(-4));
        assert_eq!(Kind::Word8.addend_in_place(LITTLE, &bytes, 7), Some(-128));
        assert_eq!(Kind::Word32.addend_in_place(Order { big: true }, &bytes, 4), Some(0x80));
    }

    #[test]
    fn big_endian_stores() {
        let mut bytes = [0; 8];
        apply(Kind::Word64, Order { big: true }, &mut bytes, 0, Operands { symbol: 0x0102, addend: 0, place: 0, base: 0 })
            .unwrap();
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 1, 2]);
    }
}
