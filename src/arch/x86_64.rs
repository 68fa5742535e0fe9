//! x86-64: System V ABI, AMD64 Architecture Processor Supplement, table 4.9 and section B.2 (relaxable forms).

use crate::relocate::Kind;

pub(super) const NAMES: &[(u32, &str)] = &[
    (0, "R_X86_64_NONE"),
    (1, "R_X86_64_64"),
    (2, "R_X86_64_PC32"),
    (4, "R_X86_64_PLT32"),
    (6, "R_X86_64_GLOB_DAT"),
    (7, "R_X86_64_JUMP_SLOT"),
    (8, "R_X86_64_RELATIVE"),
    (9, "R_X86_64_GOTPCREL"),
    (10, "R_X86_64_32"),
    (11, "R_X86_64_32S"),
    (12, "R_X86_64_16"),
    (13, "R_X86_64_PC16"),
    (14, "R_X86_64_8"),
    (15, "R_X86_64_PC8"),
    (24, "R_X86_64_PC64"),
    (41, "R_X86_64_GOTPCRELX"),
    (42, "R_X86_64_REX_GOTPCRELX"),
];

#[inline]
pub(super) fn classify(number: u32) -> Option<Kind> {
    Some(match number {
        0 => Kind::None,
        1 => Kind::Abs64,
        2 | 4 => Kind::Rel32,
        6 | 7 => Kind::Symbol64,
        8 => Kind::Base64,
        9 | 41 | 42 => Kind::GotRel32,
        10 => Kind::Abs32Unsigned,
        11 => Kind::Abs32Signed,
        12 => Kind::Abs16,
        13 => Kind::Rel16,
        14 => Kind::Abs8,
        15 => Kind::Rel8,
        24 => Kind::Rel64,
        _ => return None,
    })
}

/// `mov r11d, index` if there is one; `jmp *target(%rip)` with the target in the slot's last eight bytes.
pub(super) fn write_stub(out: &mut [u8], index: Option<u32>, target: u64) {
    let slot = &mut out[..32];
    slot.fill(0xcc);
    let mut at = 0;
    if let Some(index) = index {
        slot[..2].copy_from_slice(&[0x41, 0xbb]);
        slot[2..6].copy_from_slice(&index.to_le_bytes());
        at = 6;
    }
    slot[at..at + 2].copy_from_slice(&[0xff, 0x25]);
    let displacement = (24 - (at + 6)) as u32;
    slot[at + 2..at + 6].copy_from_slice(&displacement.to_le_bytes());
    slot[24..].copy_from_slice(&target.to_le_bytes());
}
