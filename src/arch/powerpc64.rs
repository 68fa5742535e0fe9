//! 64-bit PowerPC, ELFv2 ABI. The numbers are those of its supplement, goblin has none of them.

use super::Arch;
use crate::relocate::{Field, From, Half, Kind};

/// powerpc64.
pub(crate) struct PowerPc64;

impl Arch for PowerPc64 {
    const TABLE: bool = true;

    fn kind(number: u32) -> Kind {
        let half = |from, half| Kind::Instruction(Field::PowerHalf { from, half });
        let scaled = |from, half| Kind::Instruction(Field::PowerScaledHalf { from, half });
        match number {
            // 118 marks an entry that could be shortened, 109 a store of the table of contents.
            0 | 109 | 118 => Kind::None,
            1 => Kind::Word32Either,
            3 => half(From::Zero, Half::Whole),
            4 => half(From::Zero, Half::Low),
            5 => half(From::Zero, Half::High),
            6 => half(From::Zero, Half::HighAdjusted),
            10 => Kind::Instruction(Field::PowerCall),
            20 | 21 => Kind::Symbol64,
            26 => Kind::Relative32,
            38 => Kind::Word64,
            44 => Kind::Relative64,
            47 => half(From::Table, Half::Whole),
            48 => half(From::Table, Half::Low),
            49 => half(From::Table, Half::High),
            50 => half(From::Table, Half::HighChecked),
            51 => Kind::TableBase64,
            57 => scaled(From::Zero, Half::Low),
            63 => scaled(From::Table, Half::Whole),
            64 => scaled(From::Table, Half::Low),
            249 => half(From::Place, Half::Whole),
            250 => half(From::Place, Half::Low),
            251 => half(From::Place, Half::High),
            252 => half(From::Place, Half::HighAdjusted),
            _ => Kind::Unknown,
        }
    }
}

/// Saves r2 where the ABI has it, loads the target into r12, as a global entry wants it, and jumps.
pub(super) fn write_stub(out: &mut [u8], target: u64) {
    let part = |shift: u32| (target >> shift) as u32 & 0xffff;
    let code: [u32; 8] = [
        0xf841_0018,            // std r2, 24(r1)
        0x3d80_0000 | part(48), // lis r12, highest
        0x618c_0000 | part(32), // ori r12, r12, higher
        0x798c_07c6,            // sldi r12, r12, 32
        0x658c_0000 | part(16), // oris r12, r12, high
        0x618c_0000 | part(0),  // ori r12, r12, low
        0x7d89_03a6,            // mtctr r12
        0x4e80_0420,            // bctr
    ];
    for (place, word) in out[..32].chunks_exact_mut(4).zip(code) {
        place.copy_from_slice(&word.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_format() {
        assert_eq!(PowerPc64::kind(10), Kind::Instruction(Field::PowerCall));
        assert_eq!(PowerPc64::kind(38), Kind::Word64);
        assert_eq!(PowerPc64::kind(67), Kind::Unknown);
    }

    #[test]
    fn stubs_hold_the_whole_address() {
        let mut out = [0; 32];
        write_stub(&mut out, 0x1122_3344_5566_7788);
        let words: std::vec::Vec<u32> = out.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(words[1..6], [0x3d80_1122, 0x618c_3344, 0x798c_07c6, 0x658c_5566, 0x618c_7788]);
    }
}
