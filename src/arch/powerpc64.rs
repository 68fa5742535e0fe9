//! 64-bit PowerPC: what code built with long calls and without a table of contents uses.

use super::Arch;
use crate::relocate::{Field, Half, Kind};

/// powerpc64.
pub(crate) struct PowerPc64;

impl Arch for PowerPc64 {
    fn kind(number: u32) -> Kind {
        let half = |relative, half| Kind::Instruction(Field::PowerHalf { relative, half });
        match number {
            0 => Kind::None,
            1 => Kind::Word32Either,
            3 => half(false, Half::Whole),
            4 => half(false, Half::Low),
            5 => half(false, Half::High),
            6 => half(false, Half::HighAdjusted),
            20 | 21 => Kind::Symbol64,
            22 => Kind::Base64,
            26 => Kind::Relative32,
            38 => Kind::Word64,
            44 => Kind::Relative64,
            249 => half(true, Half::Whole),
            250 => half(true, Half::Low),
            251 => half(true, Half::High),
            252 => half(true, Half::HighAdjusted),
            _ => Kind::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_and_toc_are_refused() {
        for number in [10, 47, 48, 50, 51] {
            assert_eq!(PowerPc64::kind(number), Kind::Unknown);
        }
        assert_eq!(PowerPc64::kind(38), Kind::Word64);
    }
}
