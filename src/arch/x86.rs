//! i386: System V ABI, Intel386 Architecture Processor Supplement, table 4.9 and its later additions.

use crate::address::RunAddr;
use crate::relocate::Kind;

pub(super) const NAMES: &[(u32, &str)] = &[
    (0, "R_386_NONE"),
    (1, "R_386_32"),
    (2, "R_386_PC32"),
    (4, "R_386_PLT32"),
    (6, "R_386_GLOB_DAT"),
    (7, "R_386_JMP_SLOT"),
    (8, "R_386_RELATIVE"),
    (20, "R_386_16"),
    (21, "R_386_PC16"),
    (22, "R_386_8"),
    (23, "R_386_PC8"),
];

#[inline]
pub(super) fn classify(number: u32) -> Option<Kind> {
    Some(match number {
        0 => Kind::None,
        1 => Kind::Abs32Wrapping,
        2 | 4 => Kind::Rel32Wrapping,
        6 | 7 => Kind::Symbol32,
        8 => Kind::Base32,
        20 => Kind::Abs16,
        21 => Kind::Rel16,
        22 => Kind::Abs8,
        23 => Kind::Rel8,
        _ => return None,
    })
}

/// `mov eax, index` if there is one; `jmp rel32`, which reaches all of the address space.
pub(super) fn write_stub(out: &mut [u8], at: RunAddr, index: Option<u32>, target: u64) {
    let slot = &mut out[..16];
    slot.fill(0xcc);
    let mut len = 0;
    if let Some(index) = index {
        slot[0] = 0xb8;
        slot[1..5].copy_from_slice(&index.to_le_bytes());
        len = 5;
    }
    slot[len] = 0xe9;
    let displacement = (target as u32).wrapping_sub((at.get() as u32).wrapping_add(len as u32 + 5));
    slot[len + 1..len + 5].copy_from_slice(&displacement.to_le_bytes());
}
