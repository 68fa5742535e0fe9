//! The GS base of a thread: instructions where the kernel allows them to programs, a system call otherwise.

use crate::error::io_error;
use rumpload::resource::{HostError, PerCpuBase};
use std::arch::asm;
use std::io;

/// `arch_prctl(2)`: set and get the GS base.
const ARCH_SET_GS: libc::c_int = 0x1001;
const ARCH_GET_GS: libc::c_int = 0x1004;
/// `AT_HWCAP2`: programs may use RDGSBASE and WRGSBASE (Linux 5.9).
const HWCAP2_FSGSBASE: libc::c_ulong = 1 << 1;

/// [`PerCpuBase`] of a Linux process: the GS base, which programs do not use.
#[derive(Clone, Copy, Debug)]
pub struct GsBase {
    instructions: bool,
}

impl GsBase {
    /// Finds out which way there is.
    #[must_use]
    pub fn new() -> Self {
        #[expect(unsafe_code, reason = "a look at the process's auxiliary vector")]
        // SAFETY: the function has no preconditions.
        let capabilities = unsafe { libc::getauxval(libc::AT_HWCAP2) };
        Self { instructions: capabilities & HWCAP2_FSGSBASE != 0 }
    }

    /// The slow way, which works everywhere.
    #[must_use]
    pub fn by_system_call() -> Self {
        Self { instructions: false }
    }
}

impl Default for GsBase {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(unsafe_code, reason = "implements the unsafe trait PerCpuBase")]
// SAFETY: only the GS base of the calling thread changes. The ABI of programs leaves it alone: thread-local data hangs on FS.
unsafe impl PerCpuBase for GsBase {
    fn replace(&self, value: usize) -> Result<usize, HostError> {
        if self.instructions {
            let old;
            // SAFETY: the kernel has said that both instructions are allowed; they touch neither memory nor flags.
            unsafe {
                asm!("rdgsbase {old}", "wrgsbase {new}", old = out(reg) old, new = in(reg) value, options(nomem, nostack, preserves_flags));
            }
            return Ok(old);
        }
        let mut old = 0_usize;
        // SAFETY: the call writes the old base to `old`, and changes nothing.
        let read = unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_GET_GS, &raw mut old) };
        // SAFETY: the call changes the GS base, as this method is to.
        if read != 0 || unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_SET_GS, value) } != 0 {
            return Err(io_error(&io::Error::last_os_error()));
        }
        Ok(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_set_and_give_back() {
        let word = 0x1122_3344_5566_7788_u64;
        for way in [GsBase::new(), GsBase::by_system_call()] {
            let at = (&raw const word).addr();
            let before = way.replace(at).unwrap();
            let seen: u64;
            #[expect(unsafe_code, reason = "reads through the register that was just set")]
            // SAFETY: the GS base is the address of `word`.
            unsafe {
                asm!("mov {seen}, qword ptr gs:[0]", seen = out(reg) seen, options(readonly, nostack, preserves_flags));
            }
            assert_eq!(way.replace(before), Ok(at));
            assert_eq!(seen, word);
            assert_eq!(way.replace(before), Ok(before));
        }
    }
}
