//! What the kernel tells the first thread.

use crate::abi;
use crate::syscall::Cap;

/// Slots that the kernel fills for the first thread.
pub mod slot {
    use super::Cap;
    /// The first thread itself.
    pub const THREAD: Cap = Cap(1);
    /// Its capability space.
    pub const CNODE: Cap = Cap(2);
    /// Its address space.
    pub const VSPACE: Cap = Cap(3);
    /// Numbers for address spaces.
    pub const ASID_POOL: Cap = Cap(6);
    /// All I/O ports, or the right to issue ranges of them.
    pub const PORTS: Cap = Cap(7);
}

/// Untyped memory the kernel left over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Untyped {
    /// The capability.
    pub cap: Cap,
    /// Physical address.
    pub address: u64,
    /// Its size is 2 to this power.
    pub bits: u8,
    /// Not ordinary memory.
    pub device: bool,
}

/// The page with the boot information.
#[derive(Clone, Copy, Debug)]
pub struct BootInfo {
    base: *const u8,
}

impl BootInfo {
    /// The boot information at `base`.
    ///
    /// # Safety
    /// `base` must be what the kernel passed to the first thread.
    #[must_use]
    pub unsafe fn new(base: *const u8) -> Self {
        Self { base }
    }

    fn word(&self, offset: usize) -> u64 {
        // SAFETY: `new`'s contract; all offsets of the table lie in the page of the structure, or, behind it, in chunks whose
        // bytes the structure counts.
        unsafe { self.base.add(offset).cast::<u64>().read_unaligned() }
    }

    fn byte(&self, offset: usize) -> u8 {
        // SAFETY: as in `word`.
        unsafe { self.base.add(offset).read() }
    }

    /// Address of the first thread's IPC buffer.
    #[must_use]
    pub fn buffer(&self) -> *mut u64 {
        core::ptr::with_exposed_provenance_mut(self.word(32) as usize)
    }

    /// First and last-but-one empty slot.
    #[must_use]
    pub fn empty(&self) -> (u64, u64) {
        (self.word(40), self.word(48))
    }

    /// Untyped memory.
    pub fn untyped(&self) -> impl Iterator<Item = Untyped> + '_ {
        let (first, end) = (self.word(abi::BOOTINFO_UNTYPED), self.word(abi::BOOTINFO_UNTYPED + 8));
        (first..end).enumerate().map(|(index, cap)| {
            let entry = abi::BOOTINFO_UNTYPED_LIST + index * abi::UNTYPED_ENTRY;
            Untyped {
                cap: Cap(cap),
                address: self.word(entry),
                bits: self.byte(entry + abi::UNTYPED_ENTRY_SIZE_BITS),
                device: self.byte(entry + abi::UNTYPED_ENTRY_IS_DEVICE) != 0,
            }
        })
    }

    /// MHz of the time-stamp counter, as the kernel measured it.
    #[must_use]
    pub fn tsc_mhz(&self) -> Option<u32> {
        const EXTRA: usize = 4096;
        const HEADER_TSC: u64 = 5;
        let mhz = match abi::BOOTINFO_TSC_MHZ {
            Some(offset) => self.word(offset) as u32,
            None => {
                let (mut at, end) = (EXTRA, EXTRA + self.word(0) as usize);
                loop {
                    if at + 16 > end {
                        return None;
                    }
                    let (id, len) = (self.word(at), self.word(at + 8) as usize);
                    if id == HEADER_TSC && len >= 20 {
                        break self.word(at + 16) as u32;
                    }
                    if len < 16 {
                        return None;
                    }
                    at += len;
                }
            }
        };
        (mhz != 0).then_some(mhz)
    }
}
