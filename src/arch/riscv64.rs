//! 64-bit RISC-V (psABI).

use super::Arch;
use crate::relocate::{Change, Field, Kind};
use goblin::elf::reloc::*;

/// riscv64.
pub(crate) struct Riscv64;

/// Newer than goblin's list.
const R_RISCV_SET_ULEB128: u32 = 60;
const R_RISCV_SUB_ULEB128: u32 = 61;

impl Arch for Riscv64 {
    fn kind(number: u32) -> Kind {
        let number_of = |log, change| Kind::Instruction(Field::RiscvNumber { log, change });
        match number {
            // Nothing moves when code is linked in place, so hints for shortening it mean nothing.
            R_RISCV_NONE | R_RISCV_RELAX => Kind::None,
            R_RISCV_32 => Kind::Word32Either,
            R_RISCV_64 => Kind::Word64,
            R_RISCV_RELATIVE => Kind::Base64,
            R_RISCV_JUMP_SLOT => Kind::Symbol64,
            R_RISCV_32_PCREL | R_RISCV_PLT32 => Kind::Relative32,
            R_RISCV_BRANCH => Kind::Instruction(Field::RiscvBranch),
            R_RISCV_JAL => Kind::Instruction(Field::RiscvJump),
            R_RISCV_CALL | R_RISCV_CALL_PLT => Kind::Instruction(Field::RiscvCall),
            R_RISCV_PCREL_HI20 => Kind::Instruction(Field::RiscvRelativeHigh20),
            R_RISCV_PCREL_LO12_I => Kind::Instruction(Field::RiscvRelativeLow12Load),
            R_RISCV_PCREL_LO12_S => Kind::Instruction(Field::RiscvRelativeLow12Store),
            R_RISCV_GOT_HI20 => Kind::Instruction(Field::RiscvGotHigh20),
            R_RISCV_ALIGN => Kind::Instruction(Field::RiscvAlign),
            R_RISCV_RVC_BRANCH => Kind::Instruction(Field::RiscvShortBranch),
            R_RISCV_RVC_JUMP => Kind::Instruction(Field::RiscvShortJump),
            R_RISCV_SET_ULEB128 => Kind::Instruction(Field::RiscvLeb { change: Change::Set }),
            R_RISCV_SUB_ULEB128 => Kind::Instruction(Field::RiscvLeb { change: Change::Subtract }),
            R_RISCV_HI20 => Kind::Instruction(Field::RiscvHigh20),
            R_RISCV_LO12_I => Kind::Instruction(Field::RiscvLow12Load),
            R_RISCV_LO12_S => Kind::Instruction(Field::RiscvLow12Store),
            R_RISCV_ADD8 => number_of(0, Change::Add),
            R_RISCV_ADD16 => number_of(1, Change::Add),
            R_RISCV_ADD32 => number_of(2, Change::Add),
            R_RISCV_ADD64 => number_of(3, Change::Add),
            R_RISCV_SUB8 => number_of(0, Change::Subtract),
            R_RISCV_SUB16 => number_of(1, Change::Subtract),
            R_RISCV_SUB32 => number_of(2, Change::Subtract),
            R_RISCV_SUB64 => number_of(3, Change::Subtract),
            R_RISCV_SET8 => number_of(0, Change::Set),
            R_RISCV_SET16 => number_of(1, Change::Set),
            R_RISCV_SET32 => number_of(2, Change::Set),
            R_RISCV_SUB6 => Kind::Instruction(Field::RiscvSix { change: Change::Subtract }),
            R_RISCV_SET6 => Kind::Instruction(Field::RiscvSix { change: Change::Set }),
            _ => Kind::Unknown,
        }
    }
}

/// `auipc t1, 0; ld t1, 16(t1); jr t1`, four bytes of padding, then the target.
pub(super) fn write_stub(out: &mut [u8], target: u64) {
    let code: [u32; 4] = [0x0000_0317, 0x0103_3303, 0x0003_0067, 0x0000_0013];
    for (place, word) in out[..16].chunks_exact_mut(4).zip(code) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    out[16..24].copy_from_slice(&target.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thread_local_types_are_refused() {
        for number in [R_RISCV_TLS_GOT_HI20, R_RISCV_TLS_GD_HI20, R_RISCV_TPREL_HI20] {
            assert_eq!(Riscv64::kind(number), Kind::Unknown);
        }
        assert_eq!(Riscv64::kind(R_RISCV_CALL), Kind::Instruction(Field::RiscvCall));
    }
}
