//! Machines as data: what each relocation number means, which stub reaches far.
//!
//! Every machine is compiled and tested on every host; only entering code is native.

mod x86;
mod x86_64;

use crate::address::RunAddr;
use crate::relocate::Kind;
use core::fmt;

/// A machine whose objects can be linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Machine {
    /// 64-bit x86 (`EM_X86_64`).
    X86_64,
    /// 32-bit x86 (`EM_386`, and the 6 that NetBSD/i386 accepts beside it).
    X86,
}

impl Machine {
    /// The machine of the running program, if it is one of these.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else {
            None
        }
    }

    /// The machine with ELF number `e_machine`, for objects of the given word size and byte order.
    pub(crate) fn from_elf(e_machine: u16, wide: bool, little: bool) -> Option<Self> {
        match (e_machine, wide, little) {
            (62, true, true) => Some(Self::X86_64),
            (3 | 6, false, true) => Some(Self::X86),
            _ => None,
        }
    }

    /// NetBSD's name for the port, as in module paths: `amd64`.
    #[must_use]
    pub const fn netbsd_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "i386",
        }
    }

    /// Bytes of a pointer.
    #[must_use]
    pub const fn pointer_len(self) -> usize {
        match self {
            Self::X86_64 => 8,
            Self::X86 => 4,
        }
    }

    /// First and last address that code of the kernel code model reaches and that a server can use.
    #[must_use]
    pub const fn reach(self) -> (u64, u64) {
        match self {
            Self::X86_64 => (0x1_0000, 0x7fff_ffff),
            Self::X86 => (0x1_0000, 0xffff_ffff),
        }
    }

    /// What relocation number `number` means.
    #[inline]
    pub(crate) fn classify(self, number: u32) -> Option<Kind> {
        match self {
            Self::X86_64 => x86_64::classify(number),
            Self::X86 => x86::classify(number),
        }
    }

    /// Name of a relocation number in the ABI supplement, for listings.
    #[must_use]
    pub fn relocation_name(self, number: u32) -> Option<&'static str> {
        let names = match self {
            Self::X86_64 => x86_64::NAMES,
            Self::X86 => x86::NAMES,
        };
        names.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
    }

    /// Whether any 32-bit field of the code model reaches a symbol at `value`.
    #[inline]
    pub(crate) fn reaches(self, value: u64) -> bool {
        match self {
            Self::X86_64 => i32::try_from(value as i64).is_ok(),
            Self::X86 => u32::try_from(value).is_ok(),
        }
    }

    /// Bytes of a stub slot; slots are aligned to it.
    #[must_use]
    pub const fn stub_len(self) -> usize {
        match self {
            Self::X86_64 => 32,
            Self::X86 => 16,
        }
    }

    /// Writes a stub that jumps to `target` into the slot `out`, which runs at `at`. No register that carries an argument
    /// changes.
    ///
    /// # Panics
    /// If `out` is shorter than [`stub_len`](Self::stub_len).
    pub fn write_stub(self, out: &mut [u8], at: RunAddr, target: u64) {
        match self {
            Self::X86_64 => x86_64::write_stub(out, None, target),
            Self::X86 => x86::write_stub(out, at, None, target),
        }
    }

    /// As [`write_stub`](Self::write_stub), with `index` in a register the target can read: `r11d` on x86-64, `eax` on i386.
    ///
    /// # Panics
    /// If `out` is shorter than [`stub_len`](Self::stub_len).
    pub fn write_indexed_stub(self, out: &mut [u8], at: RunAddr, index: u32, target: u64) {
        match self {
            Self::X86_64 => x86_64::write_stub(out, Some(index), target),
            Self::X86 => x86::write_stub(out, at, Some(index), target),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X86_64 => "x86-64",
            Self::X86 => "i386",
        })
    }
}
