//! The stack switch, per machine.
//!
//! `switch(run, job, top, saved)` pushes the callee-saved registers, stores the stack pointer in `*saved`, calls `run(job)` on the
//! stack that ends at `top` (64-byte aligned) and comes back. `leave(saved)` takes the same way back from any depth.

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{leave, switch};

#[cfg(target_arch = "x86")]
pub(super) use x86::{leave, switch};

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
pub(super) use other::{leave, switch};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::naked_asm;

    /// # Safety
    /// See the module; System V ABI.
    #[unsafe(naked)]
    pub unsafe extern "C" fn switch(run: unsafe extern "C" fn(*mut ()), job: *mut (), top: usize, saved: *mut usize) {
        naked_asm!(
            "push rbp",
            "push rbx",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            "mov [rcx], rsp",
            "mov rbx, rsp",
            "mov rsp, rdx",
            "mov rax, rdi",
            "mov rdi, rsi",
            "call rax",
            "mov rsp, rbx",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop rbx",
            "pop rbp",
            "ret",
        )
    }

    /// # Safety
    /// `saved` must be what a `switch` that has not returned stored.
    #[unsafe(naked)]
    pub unsafe extern "C" fn leave(saved: usize) -> ! {
        naked_asm!("cld", "mov rsp, rdi", "pop r15", "pop r14", "pop r13", "pop r12", "pop rbx", "pop rbp", "ret",)
    }
}

#[cfg(target_arch = "x86")]
mod x86 {
    use core::arch::naked_asm;

    /// # Safety
    /// See the module; cdecl.
    #[unsafe(naked)]
    pub unsafe extern "C" fn switch(run: unsafe extern "C" fn(*mut ()), job: *mut (), top: usize, saved: *mut usize) {
        naked_asm!(
            "push ebp",
            "push ebx",
            "push esi",
            "push edi",
            "mov eax, [esp + 20]",
            "mov edx, [esp + 24]",
            "mov ecx, [esp + 32]",
            "mov ebx, [esp + 28]",
            "mov [ecx], esp",
            "mov esi, esp",
            "mov esp, ebx",
            "sub esp, 12",
            "push edx",
            "call eax",
            "mov esp, esi",
            "pop edi",
            "pop esi",
            "pop ebx",
            "pop ebp",
            "ret",
        )
    }

    /// # Safety
    /// `saved` must be what a `switch` that has not returned stored.
    #[unsafe(naked)]
    pub unsafe extern "C" fn leave(saved: usize) -> ! {
        naked_asm!("cld", "mov esp, [esp + 4]", "pop edi", "pop esi", "pop ebx", "pop ebp", "ret")
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "x86")))]
mod other {
    /// Runs the job where it is: on this machine no module code can be entered, so nothing ever abandons the stack.
    ///
    /// # Safety
    /// See the module.
    pub unsafe extern "C" fn switch(run: unsafe extern "C" fn(*mut ()), job: *mut (), _top: usize, _saved: *mut usize) {
        // SAFETY: the caller passes a job for `run`.
        unsafe { run(job) }
    }

    /// # Safety
    /// None to keep: it does not return and touches nothing.
    pub unsafe extern "C" fn leave(_saved: usize) -> ! {
        panic!("leaving module code is not possible on this machine")
    }
}
