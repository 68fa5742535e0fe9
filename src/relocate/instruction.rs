//! Fields of instructions: machines whose code holds addresses in pieces.

use super::kind::{Operands, Refusal, store, store32};
use crate::image::Order;

/// A field of an instruction, by machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// aarch64: distance in words, `width` bits at bit `shift` (branches, literal loads).
    A64Branch {
        /// Bits of the field.
        width: u8,
        /// Position of its lowest bit.
        shift: u8,
    },
    /// aarch64 ADR: distance in bytes, 2 + 19 bits.
    A64Adr,
    /// aarch64 ADRP: distance in pages of 4 KiB, 2 + 19 bits.
    A64Page {
        /// True if a distance that does not fit is refused.
        checked: bool,
    },
    /// aarch64: low 12 bits of an address, scaled by an access of `1 << shift` bytes.
    A64Low12 {
        /// Logarithm of the access size.
        shift: u8,
    },
    /// aarch64 MOVZ, MOVK: 16 bits of an address.
    A64Move {
        /// Which 16 bits.
        group: u8,
        /// True if bits above them must be zero.
        checked: bool,
    },
    /// arm B, BL: distance in words, 24 bits.
    ArmBranch,
    /// arm MOVW: low 16 bits of an address, 4 + 12 bits.
    ArmMoveLow,
    /// arm MOVT: high 16 bits of an address, 4 + 12 bits.
    ArmMoveHigh,
    /// arm: 31 bits of a distance, the top bit kept.
    ArmRelative31,
    /// RISC-V branches: distance, 12 bits of half-words.
    RiscvBranch,
    /// RISC-V JAL: distance, 20 bits of half-words.
    RiscvJump,
    /// RISC-V AUIPC + JALR: distance, 20 + 12 bits.
    RiscvCall,
    /// RISC-V AUIPC: high 20 bits of a distance, rounded for a signed low part.
    RiscvRelativeHigh20,
    /// As [`RiscvRelativeHigh20`](Self::RiscvRelativeHigh20), to the symbol's slot in the global offset table.
    RiscvGotHigh20,
    /// RISC-V immediate of loads and ADDI: low 12 bits of the distance of the AUIPC that the symbol labels.
    RiscvRelativeLow12Load,
    /// RISC-V immediate of stores: likewise.
    RiscvRelativeLow12Store,
    /// RISC-V compressed branches: distance, 8 bits of half-words.
    RiscvShortBranch,
    /// RISC-V compressed jumps: distance, 11 bits of half-words.
    RiscvShortJump,
    /// RISC-V: padding that a linker would shorten to a multiple of a power of two.
    RiscvAlign,
    /// RISC-V: changes a ULEB128 number and keeps its length.
    RiscvLeb {
        /// What happens to the number.
        change: Change,
    },
    /// RISC-V LUI: high 20 bits of an address, rounded for a signed low part.
    RiscvHigh20,
    /// RISC-V immediate of loads and ADDI: low 12 bits of an address.
    RiscvLow12Load,
    /// RISC-V immediate of stores: low 12 bits of an address.
    RiscvLow12Store,
    /// RISC-V: adds to, subtracts from or sets a number of `1 << log` bytes.
    RiscvNumber {
        /// Logarithm of the size in bytes.
        log: u8,
        /// What happens to the number.
        change: Change,
    },
    /// RISC-V: changes the low 6 bits of a byte.
    RiscvSix {
        /// What happens to the number.
        change: Change,
    },
    /// powerpc: 16 bits of an address or distance.
    PowerHalf {
        /// What the distance is measured from.
        from: From,
        /// Which half.
        half: Half,
    },
    /// powerpc: as [`PowerHalf`](Self::PowerHalf), of an instruction that keeps its lowest two bits.
    PowerScaledHalf {
        /// What the distance is measured from.
        from: From,
        /// Which half.
        half: Half,
    },
    /// powerpc64 ELFv2 B, BL: distance in words, 24 bits, to the local entry or through a stub.
    PowerCall,
}

/// What a RISC-V number relocation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Adds S + A.
    Add,
    /// Subtracts S + A.
    Subtract,
    /// Becomes S + A.
    Set,
}

/// What a number of powerpc is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum From {
    /// 0: S + A.
    Zero,
    /// The place: S + A - P.
    Place,
    /// The table of contents: S + A - TOC.
    Table,
}

/// A half of a 32-bit number on powerpc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    /// All of it, which must fit.
    Whole,
    /// The low one.
    Low,
    /// The high one.
    High,
    /// The high one, rounded for a signed low one.
    HighAdjusted,
    /// The same; the number must fit in 32 bits.
    HighChecked,
}

impl Field {
    /// True if what stands for S is not simply the address of the symbol.
    #[inline(always)]
    pub(crate) const fn is_indirect(self) -> bool {
        matches!(self, Self::PowerCall | Self::RiscvGotHigh20 | Self::RiscvRelativeLow12Load | Self::RiscvRelativeLow12Store)
    }
}

/// True if `value` is a signed number of `bits` bits.
fn signed(value: i64, bits: u32) -> bool {
    value >> (bits - 1) == 0 || value >> (bits - 1) == -1
}

pub(super) fn read32(order: Order, target: &[u8], at: usize) -> Result<u32, Refusal> {
    let bytes = target.get(at..).and_then(<[u8]>::first_chunk::<4>).ok_or(Refusal::Place)?;
    Ok(order.u32(bytes, 0))
}

/// Replaces the bits of `mask`.
fn patch(order: Order, target: &mut [u8], at: usize, mask: u32, bits: u32) -> Result<(), Refusal> {
    let word = read32(order, target, at)?;
    store32(order, target, at, word & !mask | bits & mask)
}

/// The addend an instruction holds itself; only arm has such.
pub(super) fn addend(field: Field, order: Order, target: &[u8], at: usize) -> Option<i64> {
    let word = read32(order, target, at).ok()?;
    match field {
        Field::ArmBranch => Some(i64::from((word << 8) as i32 >> 6)),
        Field::ArmRelative31 => Some(i64::from((word << 1) as i32 >> 1)),
        Field::ArmMoveLow | Field::ArmMoveHigh => Some(i64::from((word >> 4 & 0xf000 | word & 0xfff) as i16)),
        _ => None,
    }
}

/// Stores `absolute` (S + A) or `relative` (S + A - P) in `field` of the instruction at `at`.
#[inline(never)]
pub(super) fn apply(
    field: Field,
    order: Order,
    target: &mut [u8],
    at: usize,
    absolute: u64,
    relative: i64,
    with: Operands,
) -> Result<(), Refusal> {
    // Instructions of aarch64 and RISC-V are little-endian whatever the data is.
    const CODE: Order = Order { big: false };
    let range = |fits: bool, value: i64| if fits { Ok(()) } else { Err(Refusal::Range(value)) };
    match field {
        Field::A64Branch { width, shift } => {
            range(relative & 3 == 0 && signed(relative, u32::from(width) + 2), relative)?;
            patch(CODE, target, at, ((1 << width) - 1) << shift, ((relative >> 2) as u32) << shift)
        }
        Field::A64Adr => {
            range(signed(relative, 21), relative)?;
            patch(CODE, target, at, 0x60ff_ffe0, adr_bits(relative as u32))
        }
        Field::A64Page { checked } => {
            let distance = (absolute & !0xfff).wrapping_sub(with.place & !0xfff) as i64;
            range(!checked || signed(distance, 33), distance)?;
            patch(CODE, target, at, 0x60ff_ffe0, adr_bits((distance >> 12) as u32))
        }
        Field::A64Low12 { shift } => {
            range(absolute.trailing_zeros() >= u32::from(shift) || absolute == 0, absolute as i64)?;
            patch(CODE, target, at, 0xfff << 10, (((absolute & 0xfff) >> shift) as u32) << 10)
        }
        Field::A64Move { group, checked } => {
            let value = absolute >> (16 * group);
            range(!checked || value <= 0xffff, absolute as i64)?;
            patch(CODE, target, at, 0xffff << 5, (value as u32) << 5)
        }
        Field::ArmBranch => {
            range(relative & 3 == 0 && signed(relative, 26), relative)?;
            patch(order, target, at, 0x00ff_ffff, (relative >> 2) as u32)
        }
        Field::ArmMoveLow | Field::ArmMoveHigh => {
            let word = read32(order, target, at)?;
            if word & 0x0fb0_0000 != 0x0300_0000 {
                return Err(Refusal::Instruction(word));
            }
            let value = if field == Field::ArmMoveLow { absolute as u32 } else { absolute as u32 >> 16 };
            patch(order, target, at, 0x000f_0fff, (value & 0xf000) << 4 | value & 0xfff)
        }
        Field::ArmRelative31 => {
            range(signed(relative, 31), relative)?;
            patch(order, target, at, 0x7fff_ffff, relative as u32)
        }
        Field::RiscvBranch => {
            range(relative & 1 == 0 && signed(relative, 13), relative)?;
            let value = relative as u32;
            let bits = (value >> 12 & 1) << 31 | (value >> 5 & 0x3f) << 25 | (value >> 1 & 0xf) << 8 | (value >> 11 & 1) << 7;
            patch(CODE, target, at, 0xfe00_0f80, bits)
        }
        Field::RiscvJump => {
            range(relative & 1 == 0 && signed(relative, 21), relative)?;
            let value = relative as u32;
            let bits =
                (value >> 20 & 1) << 31 | (value >> 1 & 0x3ff) << 21 | (value >> 11 & 1) << 20 | (value >> 12 & 0xff) << 12;
            patch(CODE, target, at, 0xffff_f000, bits)
        }
        Field::RiscvCall => {
            let rounded = relative.wrapping_add(0x800);
            range(signed(rounded, 32), relative)?;
            // Both words must be there before either changes.
            let second = at.checked_add(4).ok_or(Refusal::Place)?;
            read32(CODE, target, second)?;
            patch(CODE, target, at, 0xffff_f000, rounded as u32)?;
            patch(CODE, target, second, 0xfff0_0000, (relative as u32) << 20)
        }
        Field::RiscvRelativeHigh20 | Field::RiscvGotHigh20 => {
            let rounded = relative.wrapping_add(0x800);
            range(signed(rounded, 32), relative)?;
            patch(CODE, target, at, 0xffff_f000, rounded as u32)
        }
        // S is the distance itself here.
        Field::RiscvRelativeLow12Load => patch(CODE, target, at, 0xfff0_0000, (with.symbol as u32) << 20),
        Field::RiscvRelativeLow12Store => patch(CODE, target, at, 0xfe00_0f80, store_bits(with.symbol as u32)),
        Field::RiscvShortBranch => {
            range(relative & 1 == 0 && signed(relative, 9), relative)?;
            let value = relative as u16;
            let bits = (value >> 8 & 1) << 12
                | (value >> 3 & 3) << 10
                | (value >> 6 & 3) << 5
                | (value >> 1 & 3) << 3
                | (value >> 5 & 1) << 2;
            patch16(target, at, 0x1c7c, bits)
        }
        Field::RiscvShortJump => {
            range(relative & 1 == 0 && signed(relative, 12), relative)?;
            let value = relative as u16;
            let bits = (value >> 11 & 1) << 12
                | (value >> 4 & 1) << 11
                | (value >> 8 & 3) << 9
                | (value >> 10 & 1) << 8
                | (value >> 6 & 1) << 7
                | (value >> 7 & 1) << 6
                | (value >> 1 & 7) << 3
                | (value >> 5 & 1) << 2;
            patch16(target, at, 0x1ffc, bits)
        }
        // The padding is as long as the worst case; what follows has to be aligned as the assembler left it.
        Field::RiscvAlign => {
            let padding = with.addend as u64;
            let align = padding.checked_add(1).and_then(u64::checked_next_power_of_two).ok_or(Refusal::Range(with.addend))?;
            range(with.place.wrapping_add(padding).is_multiple_of(align), with.addend)
        }
        Field::RiscvLeb { change } => leb(target, at, change, absolute),
        Field::RiscvHigh20 => {
            let rounded = (absolute as i64).wrapping_add(0x800);
            range(signed(rounded, 32), absolute as i64)?;
            patch(CODE, target, at, 0xffff_f000, rounded as u32)
        }
        Field::RiscvLow12Load => patch(CODE, target, at, 0xfff0_0000, (absolute as u32) << 20),
        Field::RiscvLow12Store => patch(CODE, target, at, 0xfe00_0f80, store_bits(absolute as u32)),
        Field::RiscvNumber { log, change } => number(target, at, 1 << log, change, absolute),
        Field::RiscvSix { change } => {
            let place = target.get_mut(at).ok_or(Refusal::Place)?;
            let new = change.of(u64::from(*place), absolute) as u8;
            *place = *place & 0xc0 | new & 0x3f;
            Ok(())
        }
        Field::PowerHalf { from, half } => {
            let bits = half.of(from.measure(absolute, relative, with))?;
            store(target, at, if order.big { bits.to_be_bytes() } else { bits.to_le_bytes() })
        }
        Field::PowerScaledHalf { from, half } => {
            let value = from.measure(absolute, relative, with);
            range(value & 3 == 0, value)?;
            let bits = half.of(value)?;
            let bytes = target.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>).ok_or(Refusal::Place)?;
            let old = order.u16(bytes, 0);
            let new = old & 3 | bits & !3;
            *bytes = if order.big { new.to_be_bytes() } else { new.to_le_bytes() };
            Ok(())
        }
        Field::PowerCall => {
            range(relative & 3 == 0 && signed(relative, 26), relative)?;
            patch(order, target, at, 0x03ff_fffc, relative as u32)
        }
    }
}

impl From {
    fn measure(self, absolute: u64, relative: i64, with: Operands) -> i64 {
        match self {
            Self::Zero => absolute as i64,
            Self::Place => relative,
            Self::Table => absolute.wrapping_sub(with.base) as i64,
        }
    }
}

impl Half {
    fn of(self, value: i64) -> Result<u16, Refusal> {
        Ok(match self {
            Self::Whole => i16::try_from(value).map_err(|_| Refusal::Range(value))? as u16,
            Self::Low => value as u16,
            Self::High => (value >> 16) as u16,
            Self::HighAdjusted => (value.wrapping_add(0x8000) >> 16) as u16,
            Self::HighChecked => {
                let high = value.wrapping_add(0x8000) >> 16;
                i16::try_from(high).map_err(|_| Refusal::Range(value))? as u16
            }
        })
    }
}

/// The immediate of a RISC-V store.
fn store_bits(value: u32) -> u32 {
    (value >> 5 & 0x7f) << 25 | (value & 0x1f) << 7
}

/// Replaces the bits of `mask` of a compressed instruction.
fn patch16(target: &mut [u8], at: usize, mask: u16, bits: u16) -> Result<(), Refusal> {
    let place = target.get_mut(at..).and_then(<[u8]>::first_chunk_mut::<2>).ok_or(Refusal::Place)?;
    let word = u16::from_le_bytes(*place);
    *place = (word & !mask | bits & mask).to_le_bytes();
    Ok(())
}

/// Changes a ULEB128 number in place; its length stays.
fn leb(target: &mut [u8], at: usize, change: Change, operand: u64) -> Result<(), Refusal> {
    let rest = target.get_mut(at..).ok_or(Refusal::Place)?;
    let len = rest.iter().take(10).position(|byte| byte & 0x80 == 0).ok_or(Refusal::Place)? + 1;
    let bits = |index: usize| 7 * index as u32;
    let old = rest[..len]
        .iter()
        .enumerate()
        .fold(0_u64, |value, (index, &byte)| value | u64::from(byte & 0x7f).checked_shl(bits(index)).unwrap_or(0));
    let new = change.of(old, operand);
    if bits(len) < 64 && new >> bits(len) != 0 {
        return Err(Refusal::Range(new as i64));
    }
    for (index, byte) in rest[..len].iter_mut().enumerate() {
        let more = if index + 1 < len { 0x80 } else { 0 };
        *byte = (new.checked_shr(bits(index)).unwrap_or(0) & 0x7f) as u8 | more;
    }
    Ok(())
}

/// The split immediate of ADR and ADRP.
fn adr_bits(value: u32) -> u32 {
    (value & 3) << 29 | (value >> 2 & 0x7_ffff) << 5
}

impl Change {
    fn of(self, old: u64, operand: u64) -> u64 {
        match self {
            Self::Add => old.wrapping_add(operand),
            Self::Subtract => old.wrapping_sub(operand),
            Self::Set => operand,
        }
    }
}

fn number(target: &mut [u8], at: usize, len: usize, change: Change, operand: u64) -> Result<(), Refusal> {
    let place = target.get_mut(at..).and_then(|rest| rest.get_mut(..len)).ok_or(Refusal::Place)?;
    let mut old = [0; 8];
    old[..len].copy_from_slice(place);
    place.copy_from_slice(&change.of(u64::from_le_bytes(old), operand).to_le_bytes()[..len]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::kind::{Kind, apply as apply_kind};
    use super::*;

    fn run(field: Field, word: u32, symbol: u64, place: u64) -> Result<u32, Refusal> {
        let order = Order { big: false };
        let mut bytes = word.to_le_bytes();
        apply_kind(Kind::Instruction(field), order, &mut bytes, 0, Operands { symbol, addend: 0, place, base: 0 })?;
        Ok(u32::from_le_bytes(bytes))
    }

    const CALL26: Field = Field::A64Branch { width: 26, shift: 0 };

    #[test]
    fn statement_073_aarch64_call_reaches_128_mib() {
        assert_eq!(run(CALL26, 0x9400_0000, 0x1000, 0x2000), Ok(0x97ff_fc00));
        assert_eq!(run(CALL26, 0x9400_0000, 0x1000 + (1 << 27) - 4, 0x1000), Ok(0x95ff_ffff));
        assert_eq!(run(CALL26, 0x9400_0000, 0x1000 + (1 << 27), 0x1000), Err(Refusal::Range(1 << 27)));
        assert_eq!(run(CALL26, 0x9400_0000, 0x1002, 0x1000), Err(Refusal::Range(2)));
    }

    #[test]
    fn statement_072_aarch64_scaled_low_bits_must_be_aligned() {
        let load = Field::A64Low12 { shift: 3 };
        assert_eq!(run(load, 0xf940_0000, 0x1_2348, 0), Ok(0xf940_0000 | (0x348 >> 3) << 10));
        assert_eq!(run(load, 0xf940_0000, 0x1_2344, 0), Err(Refusal::Range(0x1_2344)));
    }

    #[test]
    fn aarch64_pages() {
        let page = Field::A64Page { checked: true };
        // adrp x0, one page forward.
        assert_eq!(run(page, 0x9000_0000, 0x2abc, 0x1ffc), Ok(0xb000_0000));
        assert_eq!(run(page, 0x9000_0000, 1 << 32, 0), Err(Refusal::Range(1 << 32)));
        assert!(run(Field::A64Page { checked: false }, 0x9000_0000, 1 << 32, 0).is_ok());
    }

    #[test]
    fn statement_074_arm_call_reaches_32_mib() {
        assert_eq!(run(Field::ArmBranch, 0xeb00_0000, 0x1000, 0x1000), Ok(0xeb00_0000));
        assert_eq!(run(Field::ArmBranch, 0xeb00_0000, 1 << 25, 0), Err(Refusal::Range(1 << 25)));
        assert_eq!(run(Field::ArmBranch, 0xeb00_0000, (1 << 25) - 4, 0), Ok(0xeb7f_ffff));
    }

    #[test]
    fn arm_moves_want_their_instruction() {
        assert_eq!(run(Field::ArmMoveLow, 0xe300_0000, 0x1234_5678, 0), Ok(0xe305_0678));
        assert_eq!(run(Field::ArmMoveHigh, 0xe340_0000, 0x1234_5678, 0), Ok(0xe341_0234));
        assert_eq!(run(Field::ArmMoveHigh, 0xe120_0000, 0, 0), Err(Refusal::Instruction(0xe120_0000)));
    }

    #[test]
    fn riscv_splits() {
        // lui a0, %hi(0x12345fff): rounded up, since the low part is negative.
        assert_eq!(run(Field::RiscvHigh20, 0x0000_0537, 0x1234_5fff, 0), Ok(0x1234_6537));
        assert_eq!(run(Field::RiscvLow12Load, 0x0005_0513, 0x1234_5fff, 0), Ok(0xfff5_0513));
        // jal ra, .+0x800
        assert_eq!(run(Field::RiscvJump, 0x0000_00ef, 0x800, 0), Ok(0x0010_00ef));
        // beq zero, zero, .-4
        assert_eq!(run(Field::RiscvBranch, 0x0000_0063, 0, 4), Ok(0xfe00_0ee3));
        // A call whose second word is outside the section changes nothing.
        assert_eq!(run(Field::RiscvCall, 0x0000_0097, 0x1000, 0), Err(Refusal::Place));
    }

    #[test]
    fn riscv_numbers_compose() {
        let mut bytes = [5, 0, 0, 0];
        number(&mut bytes, 0, 4, Change::Add, 0x100).unwrap();
        number(&mut bytes, 0, 4, Change::Subtract, 0x80).unwrap();
        assert_eq!(u32::from_le_bytes(bytes), 0x85);
        assert_eq!(number(&mut bytes, 1, 4, Change::Set, 0), Err(Refusal::Place));
    }

    #[test]
    fn powerpc_halves() {
        let half = |half, value: u64| {
            let mut bytes = [0; 2];
            let field = Field::PowerHalf { from: From::Zero, half };
            let with = Operands { symbol: value, addend: 0, place: 0, base: 0 };
            apply_kind(Kind::Instruction(field), Order { big: true }, &mut bytes, 0, with).map(|()| u16::from_be_bytes(bytes))
        };
        assert_eq!(half(Half::Low, 0x1234_8765), Ok(0x8765));
        assert_eq!(half(Half::High, 0x1234_8765), Ok(0x1234));
        assert_eq!(half(Half::HighAdjusted, 0x1234_8765), Ok(0x1235));
        assert_eq!(half(Half::Whole, 0x8000), Err(Refusal::Range(0x8000)));
    }
}
