//! i386, System V convention: every argument on the stack, those of 64 bits in two slots without alignment.
//!
//! Compiled code keeps the stack aligned to 16 bytes at calls and expects that of its callers; the modules of a NetBSD release
//! do, so only the entries written here align it.

use core::arch::naked_asm;

/// A `va_list` of i386: the arguments as they lie on the caller's stack.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct VaList {
    next: *const u32,
}

impl VaList {
    /// The next argument of 32 bits.
    ///
    /// # Safety
    /// The caller of the variadic function passed such an argument here.
    pub(crate) unsafe fn word(&mut self) -> usize {
        // SAFETY: as the caller says.
        unsafe {
            let value = self.next.read_unaligned();
            self.next = self.next.add(1);
            value as usize
        }
    }

    /// The next argument of 64 bits, which takes two slots and no alignment.
    ///
    /// # Safety
    /// As [`word`](Self::word).
    pub(crate) unsafe fn wide(&mut self) -> u64 {
        // SAFETY: as the caller says.
        unsafe {
            let low = self.word() as u64;
            low | (self.word() as u64) << 32
        }
    }

    /// A `va_list` parameter: the convention passes the pointer itself.
    ///
    /// # Safety
    /// `raw` must be what a C caller passed as its `va_list`.
    pub(crate) unsafe fn from_parameter(raw: *mut u8, read: impl FnOnce(&mut Self) -> i32) -> i32 {
        read(&mut Self { next: raw.cast() })
    }

    /// A list of the arguments in `slots`.
    #[cfg(test)]
    pub(crate) fn of(slots: &[u32]) -> Self {
        Self { next: slots.as_ptr() }
    }
}

/// `variadic!(name => target)`: a C function of any arguments that calls `target` with the address of a [`VaList`] which
/// starts at the first of them, fixed ones included, and its own frame pointer.
macro_rules! variadic {
    ($name:ident => $target:path) => {
        /// Entry with C's variadic convention; gathers its arguments into a list.
        ///
        /// # Safety
        /// Only to be called by C code with the arguments of the NetBSD function.
        #[unsafe(naked)]
        pub(crate) unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                "push ebp",
                "mov ebp, esp",
                "sub esp, 8",
                "lea eax, [ebp+8]",
                "mov [ebp-4], eax",
                "lea eax, [ebp-4]",
                "and esp, -16",
                "sub esp, 8",
                "push ebp",
                "push eax",
                "call {target}",
                "leave",
                "ret",
                target = sym $target,
            )
        }
    };
}
pub(crate) use variadic;

/// Entry of every declared trap; eax holds its index.
///
/// # Safety
/// Only to be reached through a stub that loads the index.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trap_entry() {
    naked_asm!(
        "push ebp", "mov ebp, esp", "and esp, -16", "sub esp, 8", "push ebp", "push eax", "call {target}", "ud2",
        target = sym crate::trap::called,
    )
}

/// Entry of every traced export; eax holds its index. Goes on to the real function with the stack as it was.
///
/// # Safety
/// As [`trap_entry`].
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trace_entry() {
    naked_asm!(
        "push ebp",
        "mov ebp, esp",
        "lea ecx, [ebp+8]",
        "lea edx, [ebp+4]",
        "and esp, -16",
        "sub esp, 4",
        "push edx",
        "push ecx",
        "push eax",
        "call {target}",
        "leave",
        "jmp eax",
        target = sym crate::trace::called,
    )
}

/// Where a traced call returns to: tells its result and goes on to where it was called from.
///
/// # Safety
/// Only to be returned to from a call that [`trace_entry`] let through.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trace_return() {
    naked_asm!(
        // Room for the address to go on to.
        "push eax",
        "push ebp",
        "mov ebp, esp",
        "push eax",
        "push edx",
        "and esp, -16",
        "sub esp, 12",
        "push dword ptr [ebp-4]",
        "call {target}",
        "mov [ebp+4], eax",
        "mov eax, [ebp-4]",
        "mov edx, [ebp-8]",
        "leave",
        "ret",
        target = sym crate::trace::returned,
    )
}

/// Words of a frame that [`switch_stack`] pops: two of control words, four registers, where to go on.
const FRAME: usize = 7;

/// Leaves the running stack, whose pointer goes to `save`, and goes on where `to` was left.
///
/// # Safety
/// `to` must be the pointer of a stack that was left by this function and not entered since, or come from [`first_frame`];
/// `save` must be writable.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn switch_stack(save: *mut usize, to: usize) {
    naked_asm!(
        "mov eax, [esp+4]",
        "mov ecx, [esp+8]",
        "push ebp",
        "push ebx",
        "push esi",
        "push edi",
        "sub esp, 8",
        "stmxcsr [esp]",
        "fnstcw [esp+4]",
        "mov [eax], esp",
        "mov esp, ecx",
        "ldmxcsr [esp]",
        "fldcw [esp+4]",
        "add esp, 8",
        "pop edi",
        "pop esi",
        "pop ebx",
        "pop ebp",
        "ret",
    )
}

/// Where a new stack begins: ebx holds the function. Frame pointer and return address of its caller are zero: the end of the
/// calls.
#[unsafe(naked)]
unsafe extern "C" fn begin() {
    naked_asm!("xor ebp, ebp", "and esp, -16", "sub esp, 8", "push ebp", "push ebp", "call ebx", "ud2")
}

/// Prepares the stack that ends at `top`, for [`switch_stack`] to go on at `function`; answers its pointer.
///
/// # Safety
/// Below `top`, a multiple of 64, there must be 128 writable bytes that nobody uses.
pub(crate) unsafe fn first_frame(top: usize, function: extern "C" fn() -> !) -> usize {
    // Zeros above: whoever looks for frames finds none, and a trace of six argument words stays on the stack.
    let at = top - 64 - FRAME * size_of::<u32>();
    let begin = begin as *const () as u32;
    let frame = [super::MXCSR, super::X87_CONTROL, 0, 0, function as *const () as u32, 0, begin];
    // SAFETY: the bytes lie below `top`.
    unsafe { core::ptr::with_exposed_provenance_mut::<[u32; FRAME]>(at).write(frame) };
    at
}
