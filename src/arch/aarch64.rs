//! 64-bit Arm (ELF for the Arm 64-bit Architecture).

use super::Arch;
use crate::relocate::{Field, Kind};
use goblin::elf::reloc::*;

/// aarch64.
pub(crate) struct Aarch64;

/// A second number that old tools used for "none".
const R_AARCH64_NONE_OLD: u32 = 256;

impl Arch for Aarch64 {
    fn kind(number: u32) -> Kind {
        let low12 = |shift| Kind::Instruction(Field::A64Low12 { shift });
        let branch = |width, shift| Kind::Instruction(Field::A64Branch { width, shift });
        let part = |group, checked| Kind::Instruction(Field::A64Move { group, checked });
        match number {
            R_AARCH64_NONE | R_AARCH64_NONE_OLD => Kind::None,
            R_AARCH64_ABS64 => Kind::Word64,
            R_AARCH64_ABS32 => Kind::Word32Either,
            R_AARCH64_ABS16 => Kind::Word16,
            R_AARCH64_PREL64 => Kind::Relative64,
            R_AARCH64_PREL32 => Kind::Relative32,
            R_AARCH64_PREL16 => Kind::Relative16,
            R_AARCH64_GLOB_DAT | R_AARCH64_JUMP_SLOT => Kind::Symbol64,
            R_AARCH64_RELATIVE => Kind::Base64,
            R_AARCH64_ADD_ABS_LO12_NC | R_AARCH64_LDST8_ABS_LO12_NC => low12(0),
            R_AARCH64_LDST16_ABS_LO12_NC => low12(1),
            R_AARCH64_LDST32_ABS_LO12_NC => low12(2),
            R_AARCH64_LDST64_ABS_LO12_NC => low12(3),
            R_AARCH64_LDST128_ABS_LO12_NC => low12(4),
            R_AARCH64_ADR_PREL_LO21 => Kind::Instruction(Field::A64Adr),
            R_AARCH64_ADR_PREL_PG_HI21 => Kind::Instruction(Field::A64Page { checked: true }),
            R_AARCH64_ADR_PREL_PG_HI21_NC => Kind::Instruction(Field::A64Page { checked: false }),
            R_AARCH64_JUMP26 | R_AARCH64_CALL26 => branch(26, 0),
            R_AARCH64_CONDBR19 | R_AARCH64_LD_PREL_LO19 => branch(19, 5),
            R_AARCH64_TSTBR14 => branch(14, 5),
            R_AARCH64_MOVW_UABS_G0 => part(0, true),
            R_AARCH64_MOVW_UABS_G0_NC => part(0, false),
            R_AARCH64_MOVW_UABS_G1 => part(1, true),
            R_AARCH64_MOVW_UABS_G1_NC => part(1, false),
            R_AARCH64_MOVW_UABS_G2 => part(2, true),
            R_AARCH64_MOVW_UABS_G2_NC => part(2, false),
            R_AARCH64_MOVW_UABS_G3 => part(3, false),
            _ => Kind::Unknown,
        }
    }
}

/// `ldr x16, .+8; br x16`, then the target, in little-endian data.
pub(super) fn write_stub(out: &mut [u8], target: u64) {
    out[..8].copy_from_slice(&[0x50, 0x00, 0x00, 0x58, 0x00, 0x02, 0x1f, 0xd6]);
    out[8..16].copy_from_slice(&target.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_pages_are_known_and_tls_is_not() {
        assert_eq!(Aarch64::kind(283), Kind::Instruction(Field::A64Branch { width: 26, shift: 0 }));
        assert_eq!(Aarch64::kind(275), Kind::Instruction(Field::A64Page { checked: true }));
        assert_eq!(Aarch64::kind(256), Kind::None);
        assert_eq!(Aarch64::kind(549), Kind::Unknown);
    }
}
