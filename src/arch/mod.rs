//! What differs between machines, as data: one file per machine, all of them compiled and tested on every host. Only a small
//! server leaves those of other machines out, by leaving out the feature `machines`.
//!
//! A machine gives a table from relocation number to `Kind`, and the stubs that carry a call to an address out of
//! reach. How a kind turns into bytes is in `relocate`.

mod aarch64;
mod arm;
mod powerpc64;
mod riscv64;
mod s390x;
mod x86;
mod x86_64;

pub(crate) use aarch64::Aarch64;
pub(crate) use arm::Arm;
pub(crate) use powerpc64::PowerPc64;
pub(crate) use riscv64::Riscv64;
pub(crate) use s390x::S390x;
pub(crate) use x86::X86;
pub(crate) use x86_64::X86_64;

use crate::address::RunAddr;
use crate::relocate::Kind;
use core::fmt;
use goblin::elf::header;

/// A machine that modules are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Machine {
    /// amd64.
    X86_64,
    /// i386 and its 32-bit successors.
    X86,
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 32-bit Arm.
    Arm,
    /// 64-bit PowerPC.
    PowerPc64,
    /// z/Architecture.
    S390x,
}

/// What an architecture file implements.
pub(crate) trait Arch {
    /// The meaning of relocation type `number`.
    fn kind(number: u32) -> Kind;

    /// True if numbers are measured from a table of contents.
    const TABLE: bool = false;
}

/// ELF number of the 486, which i386 loaders accept too.
const EM_486: u16 = 6;

impl Machine {
    /// The machine that ELF calls `number`, if modules for it can be [linked](Self::is_built).
    pub fn from_elf(number: u16) -> Option<Self> {
        let machine = match number {
            header::EM_X86_64 => Self::X86_64,
            header::EM_386 | EM_486 => Self::X86,
            header::EM_AARCH64 => Self::Aarch64,
            header::EM_RISCV => Self::Riscv64,
            header::EM_ARM => Self::Arm,
            header::EM_PPC64 => Self::PowerPc64,
            header::EM_S390 => Self::S390x,
            _ => return None,
        };
        machine.is_built().then_some(machine)
    }

    /// True if modules for the machine can be linked: x86 and the machine this is compiled for always, any other with the feature
    /// `machines`.
    #[inline(always)]
    pub const fn is_built(self) -> bool {
        const NATIVE: Option<Machine> = Machine::native();
        match NATIVE {
            _ if cfg!(feature = "machines") => true,
            Some(native) if native as u8 == self as u8 => true,
            _ => matches!(self, Self::X86_64 | Self::X86),
        }
    }

    /// True if there is more than x86, which is little-endian and has no addresses in pieces.
    pub(crate) const BEYOND_X86: bool = Self::Aarch64.is_built()
        || Self::Riscv64.is_built()
        || Self::Arm.is_built()
        || Self::PowerPc64.is_built()
        || Self::S390x.is_built();

    /// The machine this code runs on, if modules for it can be entered or linked at all.
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else if cfg!(target_arch = "riscv64") {
            Some(Self::Riscv64)
        } else if cfg!(target_arch = "arm") {
            Some(Self::Arm)
        } else if cfg!(target_arch = "powerpc64") {
            Some(Self::PowerPc64)
        } else if cfg!(target_arch = "s390x") {
            Some(Self::S390x)
        } else {
            None
        }
    }

    /// The usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64",
            Self::X86 => "i386",
            Self::Aarch64 => "aarch64",
            Self::Riscv64 => "riscv64",
            Self::Arm => "arm",
            Self::PowerPc64 => "powerpc64",
            Self::S390x => "s390x",
        }
    }

    /// True if addresses have 64 bits.
    pub const fn is_wide(self) -> bool {
        !matches!(self, Self::X86 | Self::Arm)
    }

    /// True if files of this width and byte order are linked for the machine.
    pub(crate) const fn has_form(self, wide: bool, big: bool) -> bool {
        wide == self.is_wide()
            && match self {
                Self::X86_64 | Self::X86 | Self::Riscv64 => !big,
                Self::Aarch64 | Self::Arm | Self::PowerPc64 => true,
                Self::S390x => big,
            }
    }

    /// The meaning of relocation type `number`.
    pub(crate) fn kind(self, number: u32) -> Kind {
        if !self.is_built() {
            return Kind::Unknown;
        }
        match self {
            Self::X86_64 => X86_64::kind(number),
            Self::X86 => X86::kind(number),
            Self::Aarch64 => Aarch64::kind(number),
            Self::Riscv64 => Riscv64::kind(number),
            Self::Arm => Arm::kind(number),
            Self::PowerPc64 => PowerPc64::kind(number),
            Self::S390x => S390x::kind(number),
        }
    }

    /// The name of relocation type `number`, for listings.
    pub fn relocation_name(self, number: u32) -> &'static str {
        use goblin::elf::reloc;
        let machine = match self {
            Self::X86_64 => header::EM_X86_64,
            Self::X86 => header::EM_386,
            Self::Aarch64 => header::EM_AARCH64,
            Self::Riscv64 => header::EM_RISCV,
            Self::Arm => header::EM_ARM,
            Self::PowerPc64 => header::EM_PPC64,
            Self::S390x => header::EM_S390,
        };
        reloc::r_to_str(number, machine)
    }

    /// How far one instruction reaches: signed bytes of a call or of a 32-bit address.
    pub(crate) const fn reach(self) -> Reach {
        match self {
            Self::X86_64 => Reach { call: 1 << 31, absolute: true },
            Self::X86 => Reach { call: i64::MAX, absolute: false },
            Self::Aarch64 => Reach { call: 1 << 27, absolute: false },
            Self::Riscv64 => Reach { call: (1 << 31) - (1 << 11), absolute: false },
            Self::Arm => Reach { call: 1 << 25, absolute: false },
            Self::PowerPc64 => Reach { call: 1 << 25, absolute: false },
            Self::S390x => Reach { call: 1 << 32, absolute: false },
        }
    }

    /// Bytes of a slot that holds either kind of stub, a multiple of 16.
    pub const fn stub_len(self) -> usize {
        match self {
            Self::X86_64 | Self::Riscv64 => 32,
            Self::X86 | Self::Aarch64 | Self::S390x | Self::Arm => 16,
            Self::PowerPc64 => 32,
        }
    }

    /// Bytes of a slot for [`write_stub`](Self::write_stub) alone: what a call out of reach costs inside a module.
    pub(crate) const fn far_stub_len(self) -> usize {
        match self {
            Self::X86_64 | Self::X86 | Self::Aarch64 | Self::S390x | Self::Arm => 16,
            Self::Riscv64 | Self::PowerPc64 => 32,
        }
    }

    /// Writes a jump to `target`, which may be anywhere, into `out` (16 to [`stub_len`](Self::stub_len) bytes that will run at `at`).
    /// Arguments, return address and every register that carries either are kept. On powerpc64 the target is a global entry, and
    /// the table of contents is saved where the caller restores it from. For the little-endian form of machines that have two.
    ///
    /// # Panics
    /// If `out` is shorter than a slot.
    pub fn write_stub(self, out: &mut [u8], at: RunAddr, target: u64) {
        match self {
            Self::X86_64 => x86_64::write_stub(out, target),
            Self::X86 => x86::write_stub(out, at, target),
            Self::Aarch64 => aarch64::write_stub(out, target),
            Self::Riscv64 => riscv64::write_stub(out, target),
            Self::S390x => s390x::write_stub(out, target),
            Self::Arm => arm::write_stub(out, target),
            Self::PowerPc64 => powerpc64::write_stub(out, target),
        }
    }

    /// Writes a stub that loads `index` into a register that calls may change (r11d on x86-64, eax on i386), then jumps to
    /// `target`; [`stub_len`](Self::stub_len) bytes that will run at `at`.
    ///
    /// # Panics
    /// If `out` is shorter than a slot, or the machine has no such stubs.
    pub fn write_indexed_stub(self, out: &mut [u8], at: RunAddr, index: u32, target: u64) {
        match self {
            Self::X86_64 => x86_64::write_indexed_stub(out, index, target),
            Self::X86 => x86::write_indexed_stub(out, at, index, target),
            _ => panic!("no indexed stubs for {self}"),
        }
    }
}

/// How far a module can refer to something outside itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Bytes forward or backward that a call reaches.
    pub(crate) call: i64,
    /// True if code also addresses with sign-extended 32-bit absolutes.
    pub(crate) absolute: bool,
}

impl Reach {
    /// True if code anywhere in `first..=last` reaches `target` in every way that its code model uses.
    pub(crate) fn covers(self, first: u64, last: u64, target: u64) -> bool {
        let near = |from: u64| {
            let distance = target.wrapping_sub(from) as i64;
            // A margin for the addends of pc-relative fields.
            distance > -self.call + 64 && distance < self.call - 64
        };
        let low = |address: u64| address as i64 == i64::from(address as i32);
        near(first) && near(last) && (low(target) || !(self.absolute && low(first) && low(last)))
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statement_005_i386_accepts_two_numbers() {
        assert_eq!(Machine::from_elf(3), Some(Machine::X86));
        assert_eq!(Machine::from_elf(6), Some(Machine::X86));
        assert_eq!(Machine::from_elf(62), Some(Machine::X86_64));
        assert_eq!(Machine::from_elf(8), None);
    }

    #[test]
    fn reach_of_amd64_is_two_gigabytes_both_ways_and_low_addresses() {
        let reach = Machine::X86_64.reach();
        assert!(reach.covers(0x1000, 0x7fff_ffff, 0x10_0000));
        assert!(!reach.covers(0x1000, 0x2000, 0x7fff_ffff_0000));
        // pc-relative would reach, absolute would not.
        assert!(!reach.covers(0x7000_0000, 0x7001_0000, 0x9000_0000));
        // code that is not low itself cannot use low absolutes.
        assert!(reach.covers(0x7f00_0000_0000, 0x7f00_0001_0000, 0x7f00_1000_0000));
    }
}
