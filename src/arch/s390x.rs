//! z/Architecture (64-bit ELF ABI); the numbers are those of its supplement, goblin has none.

use super::Arch;
use crate::relocate::Kind;

/// z/Architecture.
pub(crate) struct S390x;

impl Arch for S390x {
    fn kind(number: u32) -> Kind {
        match number {
            0 => Kind::None,
            1 => Kind::Word8,
            3 => Kind::Word16,
            4 => Kind::Word32Either,
            5 => Kind::Relative32,
            10 => Kind::Symbol64,
            11 => Kind::Symbol64,
            12 => Kind::Base64,
            16 => Kind::Relative16,
            // Distances in half-words.
            17 | 18 => Kind::HalfwordRelative16,
            19 | 20 => Kind::HalfwordRelative32,
            22 => Kind::Word64,
            23 => Kind::Relative64,
            26 => Kind::GotHalfwordRelative32,
            _ => Kind::Unknown,
        }
    }
}

/// `lgrl %r1, .+8; br %r1`, then the target.
pub(super) fn write_stub(out: &mut [u8], target: u64) {
    out[..8].copy_from_slice(&[0xc4, 0x18, 0, 0, 0, 4, 0x07, 0xf1]);
    out[8..16].copy_from_slice(&target.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_format() {
        assert_eq!(S390x::kind(22), Kind::Word64);
        assert_eq!(S390x::kind(23), Kind::Relative64);
        assert_eq!(S390x::kind(19), Kind::HalfwordRelative32);
        assert_eq!(S390x::kind(20), Kind::HalfwordRelative32);
        assert_eq!(S390x::kind(17), Kind::HalfwordRelative16);
        assert_eq!(S390x::kind(18), Kind::HalfwordRelative16);
        assert_eq!(S390x::kind(4), Kind::Word32Either);
        assert_eq!(S390x::kind(26), Kind::GotHalfwordRelative32);
    }
}
