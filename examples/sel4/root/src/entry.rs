//! The entry of the first thread: the kernel passes the boot information in rdi and no stack.

use core::arch::naked_asm;
use core::cell::UnsafeCell;

const BYTES: usize = 1 << 16;

/// A stack.
#[repr(C, align(16))]
pub struct Stack<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: used by the one thread that runs on it.
unsafe impl<const N: usize> Sync for Stack<N> {}

impl<const N: usize> Stack<N> {
    pub const fn new() -> Self {
        Self(UnsafeCell::new([0; N]))
    }

    /// The stack pointer with which a function is entered on it.
    pub fn top(&self) -> u64 {
        (self.0.get().addr() + N - 8) as u64
    }
}

static STACK: Stack<BYTES> = Stack::new();

/// The entry.
///
/// # Safety
/// Only the kernel may come here.
// SAFETY: the linker script names this symbol as the entry; nothing else has it.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn _start(boot: *const u8) -> ! {
    naked_asm!(
        "lea rsp, [rip + {stack} + {bytes}]",
        "xor ebp, ebp",
        "call {begin}",
        "ud2",
        stack = sym STACK,
        bytes = const BYTES,
        begin = sym crate::begin,
    )
}
