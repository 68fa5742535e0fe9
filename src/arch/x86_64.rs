//! amd64 (System V psABI).

use super::Arch;
use crate::relocate::Kind;
use goblin::elf::reloc::*;

/// amd64.
pub(crate) struct X86_64;

const KINDS: [Kind; R_X86_64_NUM as usize] = {
    let mut kinds = [Kind::Unknown; R_X86_64_NUM as usize];
    kinds[R_X86_64_NONE as usize] = Kind::None;
    kinds[R_X86_64_64 as usize] = Kind::Word64;
    kinds[R_X86_64_PC32 as usize] = Kind::Relative32;
    // Every target is bound when the module is linked, so a call through the procedure linkage is a direct one.
    kinds[R_X86_64_PLT32 as usize] = Kind::Relative32;
    kinds[R_X86_64_GLOB_DAT as usize] = Kind::Symbol64;
    kinds[R_X86_64_JUMP_SLOT as usize] = Kind::Symbol64;
    kinds[R_X86_64_RELATIVE as usize] = Kind::Base64;
    kinds[R_X86_64_GOTPCREL as usize] = Kind::GotRelative32;
    kinds[R_X86_64_32 as usize] = Kind::Word32Unsigned;
    kinds[R_X86_64_32S as usize] = Kind::Word32Signed;
    kinds[R_X86_64_16 as usize] = Kind::Word16;
    kinds[R_X86_64_PC16 as usize] = Kind::Relative16;
    kinds[R_X86_64_8 as usize] = Kind::Word8;
    kinds[R_X86_64_PC8 as usize] = Kind::Relative8;
    kinds[R_X86_64_PC64 as usize] = Kind::Relative64;
    kinds[R_X86_64_SIZE32 as usize] = Kind::Size32;
    kinds[R_X86_64_SIZE64 as usize] = Kind::Size64;
    kinds[R_X86_64_GOTPCRELX as usize] = Kind::GotRelative32;
    kinds[R_X86_64_REX_GOTPCRELX as usize] = Kind::GotRelative32;
    kinds
};

impl Arch for X86_64 {
    #[inline(always)]
    fn kind(number: u32) -> Kind {
        KINDS.get(number as usize).copied().unwrap_or(Kind::Unknown)
    }
}

/// `jmp *0(%rip)`, then the target.
pub(super) fn write_stub(out: &mut [u8], target: u64) {
    out[..6].copy_from_slice(&[0xff, 0x25, 0, 0, 0, 0]);
    out[6..14].copy_from_slice(&target.to_le_bytes());
}

/// `movl $index, %r11d`, then as [`write_stub`].
pub(super) fn write_indexed_stub(out: &mut [u8], index: u32, target: u64) {
    out[..2].copy_from_slice(&[0x41, 0xbb]);
    out[2..6].copy_from_slice(&index.to_le_bytes());
    write_stub(&mut out[6..], target);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_067_and_068_types() {
        assert_eq!(X86_64::kind(1), Kind::Word64);
        assert_eq!(X86_64::kind(2), Kind::Relative32);
        assert_eq!(X86_64::kind(4), Kind::Relative32);
        assert_eq!(X86_64::kind(10), Kind::Word32Unsigned);
        assert_eq!(X86_64::kind(11), Kind::Word32Signed);
        assert_eq!(X86_64::kind(5), Kind::Unknown);
        assert_eq!(X86_64::kind(43), Kind::Unknown);
        assert_eq!(X86_64::kind(u32::MAX), Kind::Unknown);
    }

    #[test]
    fn stubs_are_what_an_assembler_writes() {
        let mut out = [0xcc; 32];
        write_indexed_stub(&mut out, 0x1234_5678, 0x1122_3344_5566_7788);
        assert_eq!(
            out[..20],
            [0x41, 0xbb, 0x78, 0x56, 0x34, 0x12, 0xff, 0x25, 0, 0, 0, 0, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]
        );
        assert_eq!(out[20..], [0xcc; 12]);
    }
}
