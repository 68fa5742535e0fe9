//! 32-bit Arm (ELF for the Arm Architecture).

use super::Arch;
use crate::relocate::{Field, Kind};
use goblin::elf::reloc::*;

/// arm.
pub(crate) struct Arm;

impl Arch for Arm {
    fn kind(number: u32) -> Kind {
        match number {
            R_ARM_NONE | R_ARM_V4BX => Kind::None,
            R_ARM_ABS32 | R_ARM_TARGET1 => Kind::Word32,
            R_ARM_REL32 => Kind::Relative32Wrapping,
            R_ARM_ABS16 => Kind::Word16,
            R_ARM_ABS8 => Kind::Word8,
            R_ARM_GLOB_DAT | R_ARM_JUMP_SLOT => Kind::Symbol32,
            R_ARM_RELATIVE => Kind::Base32,
            R_ARM_PC24 | R_ARM_CALL | R_ARM_JUMP24 | R_ARM_PLT32 => Kind::Instruction(Field::ArmBranch),
            R_ARM_PREL31 => Kind::Instruction(Field::ArmRelative31),
            R_ARM_MOVW_ABS_NC => Kind::Instruction(Field::ArmMoveLow),
            R_ARM_MOVT_ABS => Kind::Instruction(Field::ArmMoveHigh),
            _ => Kind::Unknown,
        }
    }
}

/// `ldr pc, [pc, #-4]`, then the target, in little-endian data.
pub(super) fn write_stub(out: &mut [u8], target: u64) {
    out[..4].copy_from_slice(&0xe51f_f004_u32.to_le_bytes());
    out[4..8].copy_from_slice(&(target as u32).to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_format() {
        assert_eq!(Arm::kind(28), Kind::Instruction(Field::ArmBranch));
        assert_eq!(Arm::kind(2), Kind::Word32);
        assert_eq!(Arm::kind(20), Kind::Unknown);
    }
}
