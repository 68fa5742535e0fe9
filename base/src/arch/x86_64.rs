use core::arch::naked_asm;

/// A `va_list` of the System V convention for x86-64: six register slots, then the caller's stack.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct VaList {
    general: u32,
    floating: u32,
    overflow: *const u64,
    saved: *const u8,
}

impl VaList {
    /// The next argument that fits a register.
    ///
    /// # Safety
    /// The caller of the variadic function passed such an argument here.
    pub(crate) unsafe fn word(&mut self) -> usize {
        // SAFETY: as the caller says; the offsets are the convention's.
        unsafe { self.wide() as usize }
    }

    /// The next argument of 64 bits.
    ///
    /// # Safety
    /// As [`word`](Self::word).
    pub(crate) unsafe fn wide(&mut self) -> u64 {
        if self.general < 48 {
            // SAFETY: below 48 the slot lies in the save area.
            let value = unsafe { self.saved.add(self.general as usize).cast::<u64>().read_unaligned() };
            self.general += 8;
            value
        } else {
            // SAFETY: the caller says that the argument was passed, so it lies on the stack.
            unsafe {
                let value = self.overflow.read_unaligned();
                self.overflow = self.overflow.add(1);
                value
            }
        }
    }

    /// A `va_list` parameter: the convention passes its address.
    ///
    /// # Safety
    /// `raw` must be what a C caller passed as its `va_list`.
    pub(crate) unsafe fn from_parameter(raw: *mut u8, read: impl FnOnce(&mut Self) -> i32) -> i32 {
        // SAFETY: the parameter is a pointer to the caller's list.
        read(unsafe { &mut *raw.cast::<Self>() })
    }

    /// A list of the arguments in `slots`.
    #[cfg(test)]
    pub(crate) fn of(slots: &[u64]) -> Self {
        Self { general: 48, floating: 176, overflow: slots.as_ptr(), saved: core::ptr::null() }
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
            // The list lies at rbp-80, the six argument registers at rbp-56, stack arguments at rbp+16. Kernel code passes
            // no floating-point arguments.
            core::arch::naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                "sub rsp, 80",
                "mov [rbp-56], rdi",
                "mov [rbp-48], rsi",
                "mov [rbp-40], rdx",
                "mov [rbp-32], rcx",
                "mov [rbp-24], r8",
                "mov [rbp-16], r9",
                "mov dword ptr [rbp-80], 0",
                "mov dword ptr [rbp-76], 176",
                "lea rax, [rbp+16]",
                "mov [rbp-72], rax",
                "lea rax, [rbp-56]",
                "mov [rbp-64], rax",
                "lea rdi, [rbp-80]",
                "mov rsi, rbp",
                "call {target}",
                "leave",
                "ret",
                target = sym $target,
            )
        }
    };
}
pub(crate) use variadic;

/// Entry of every declared trap; r11d holds its index.
///
/// # Safety
/// Only to be reached through a stub that loads the index.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trap_entry() {
    naked_asm!(
        "push rbp", "mov rbp, rsp", "and rsp, -16", "mov edi, r11d", "mov rsi, rbp", "call {target}", "ud2",
        target = sym crate::trap::called,
    )
}

/// Entry of every traced export; r11d holds its index. Goes on to the real function with all argument registers as they were.
///
/// # Safety
/// As [`trap_entry`].
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn trace_entry() {
    naked_asm!(
        "push rbp",
        "mov rbp, rsp",
        "sub rsp, 64",
        "mov [rbp-64], rdi",
        "mov [rbp-56], rsi",
        "mov [rbp-48], rdx",
        "mov [rbp-40], rcx",
        "mov [rbp-32], r8",
        "mov [rbp-24], r9",
        "mov [rbp-16], rax",
        "mov edi, r11d",
        "lea rsi, [rbp-64]",
        "lea rdx, [rbp+8]",
        "call {target}",
        "mov r11, rax",
        "mov rdi, [rbp-64]",
        "mov rsi, [rbp-56]",
        "mov rdx, [rbp-48]",
        "mov rcx, [rbp-40]",
        "mov r8, [rbp-32]",
        "mov r9, [rbp-24]",
        "mov rax, [rbp-16]",
        "leave",
        "jmp r11",
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
        "push rax",
        "push rbp",
        "mov rbp, rsp",
        "push rax",
        "push rdx",
        "and rsp, -16",
        "mov rdi, rax",
        "call {target}",
        "mov [rbp+8], rax",
        "mov rax, [rbp-8]",
        "mov rdx, [rbp-16]",
        "leave",
        "ret",
        target = sym crate::trace::returned,
    )
}

/// Words of a frame that [`switch_stack`] pops: control words, six registers, where to go on.
const FRAME: usize = 8;

/// Leaves the running stack, whose pointer goes to `save`, and goes on where `to` was left.
///
/// # Safety
/// `to` must be the pointer of a stack that was left by this function and not entered since, or come from [`first_frame`];
/// `save` must be writable.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn switch_stack(save: *mut usize, to: usize) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "stmxcsr [rsp]",
        "fnstcw [rsp+4]",
        "mov [rdi], rsp",
        "mov rsp, rsi",
        "ldmxcsr [rsp]",
        "fldcw [rsp+4]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// Where a new stack begins: rbx holds the function. Frame pointer and return address of its caller are zero: the end of the
/// calls.
#[unsafe(naked)]
unsafe extern "C" fn begin() {
    naked_asm!("xor ebp, ebp", "push rbp", "push rbp", "call rbx", "ud2")
}

/// Prepares the stack that ends at `top`, for [`switch_stack`] to go on at `function`; answers its pointer.
///
/// # Safety
/// Below `top`, a multiple of 64, there must be 192 writable bytes that nobody uses.
pub(crate) unsafe fn first_frame(top: usize, function: extern "C" fn() -> !) -> usize {
    // Zeros above: whoever looks for frames finds none.
    let at = top - 64 - FRAME * size_of::<u64>();
    let control = u64::from(super::MXCSR) | u64::from(super::X87_CONTROL) << 32;
    let frame = [control, 0, 0, 0, 0, function as *const () as u64, 0, begin as *const () as u64];
    // SAFETY: the bytes lie below `top`.
    unsafe { core::ptr::with_exposed_provenance_mut::<[u64; FRAME]>(at).write(frame) };
    at
}
