//! i386 (System V psABI): addends in place, 32-bit results wrap as addresses do.

use super::Arch;
use crate::address::RunAddr;
use crate::relocate::Kind;
use goblin::elf::reloc::*;

/// i386.
pub(crate) struct X86;

impl Arch for X86 {
    #[inline(always)]
    fn kind(number: u32) -> Kind {
        match number {
            R_386_NONE => Kind::None,
            R_386_32 => Kind::Word32,
            R_386_PC32 | R_386_PLT32 => Kind::Relative32Wrapping,
            R_386_GLOB_DAT | R_386_JMP_SLOT => Kind::Symbol32,
            R_386_RELATIVE => Kind::Base32,
            R_386_16 => Kind::Word16,
            R_386_PC16 => Kind::Relative16,
            R_386_8 => Kind::Word8,
            R_386_PC8 => Kind::Relative8,
            R_386_SIZE32 => Kind::Size32,
            _ => Kind::Unknown,
        }
    }
}

/// `jmp target`, which reaches every 32-bit address.
pub(super) fn write_stub(out: &mut [u8], at: RunAddr, target: u64) {
    out[0] = 0xe9;
    let distance = (target as u32).wrapping_sub(at.get() as u32).wrapping_sub(5);
    out[1..5].copy_from_slice(&distance.to_le_bytes());
}

/// `movl $index, %eax`, then as [`write_stub`].
pub(super) fn write_indexed_stub(out: &mut [u8], at: RunAddr, index: u32, target: u64) {
    out[0] = 0xb8;
    out[1..5].copy_from_slice(&index.to_le_bytes());
    write_stub(&mut out[5..], RunAddr::new(at.get().wrapping_add(5)), target);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stubs_jump_relative_to_their_end() {
        let mut out = [0xcc; 16];
        write_indexed_stub(&mut out, RunAddr::new(0x1000), 7, 0x2000);
        // The jump ends at 0x100a.
        assert_eq!(out[..10], [0xb8, 7, 0, 0, 0, 0xe9, 0xf6, 0x0f, 0, 0]);
        write_stub(&mut out, RunAddr::new(0xffff_f000), 0x10);
        assert_eq!(out[..5], [0xe9, 0x0b, 0x10, 0, 0]);
    }

    #[test]
    fn thread_local_and_got_types_are_not_known() {
        for number in [R_386_GOT32, R_386_GOTOFF, R_386_GOTPC, R_386_TLS_LE, R_386_GOT32X, 200] {
            assert_eq!(X86::kind(number), Kind::Unknown);
        }
    }
}
