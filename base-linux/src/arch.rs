//! What is written in the machine's own language: thunks, and the way from module code into Rust.

use core::arch::naked_asm;

/// `aligned!(function)`: an entry for `function` that can be called with the stack aligned to 8 bytes, as Linux does.
///
/// Up to six arguments in registers; what is passed on the stack is not handed on.
macro_rules! aligned {
    ($target:path) => {{
        /// Realigns the stack and goes on to the function itself.
        ///
        /// # Safety
        /// As the function.
        #[unsafe(naked)]
        unsafe extern "C" fn entry() {
            core::arch::naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                "and rsp, -16",
                "call {target}",
                "leave",
                "ret",
                target = sym $target,
            )
        }
        entry as *const ()
    }};
}

/// `variadic!(function)`: as [`aligned!`], for a C function of any arguments; `function` gets the address of a [`VaList`] that
/// starts at the first of them.
macro_rules! variadic {
    ($target:path) => {{
        /// Gathers the arguments into a list.
        ///
        /// # Safety
        /// As the function.
        #[unsafe(naked)]
        unsafe extern "C" fn entry() {
            // The list lies at rsp, the argument registers at rsp+16, stack arguments at rbp+16. Kernel code passes no
            // floating-point arguments.
            core::arch::naked_asm!(
                "push rbp",
                "mov rbp, rsp",
                "sub rsp, 72",
                "and rsp, -16",
                "mov [rsp+16], rdi",
                "mov [rsp+24], rsi",
                "mov [rsp+32], rdx",
                "mov [rsp+40], rcx",
                "mov [rsp+48], r8",
                "mov [rsp+56], r9",
                "lea rax, [rsp+16]",
                "mov [rsp], rax",
                "lea rax, [rbp+16]",
                "mov [rsp+8], rax",
                "mov rdi, rsp",
                "call {target}",
                "leave",
                "ret",
                target = sym $target,
            )
        }
        entry as *const ()
    }};
}
pub(crate) use {aligned, variadic};

/// Arguments of a variadic call: six that were in registers, then those on the stack.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct VaList {
    next: *const u64,
    stack: *const u64,
    taken: u64,
}

/// Where the arguments of a call are; what the entry of a variadic function makes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Gathered {
    /// The six that were in registers.
    pub(crate) registers: *const u64,
    /// The others.
    pub(crate) stack: *const u64,
}

impl Gathered {
    pub(crate) fn list(&self) -> VaList {
        VaList { next: self.registers, stack: self.stack, taken: 0 }
    }
}

impl VaList {
    /// The next argument.
    ///
    /// # Safety
    /// The caller of the variadic function passed an argument here.
    pub(crate) unsafe fn word(&mut self) -> u64 {
        if self.taken == 6 {
            self.next = self.stack;
        }
        self.taken += 1;
        // SAFETY: the first six lie in the save area; the caller says that later ones were passed, so they lie on the stack.
        unsafe {
            let value = self.next.read_unaligned();
            self.next = self.next.add(1);
            value
        }
    }
}

/// Returns with the result 0; touches nothing else. Stands in for calls that the kernel patches in or out.
///
/// # Safety
/// None to keep.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn zero() {
    naked_asm!("xor eax, eax", "ret")
}

/// Returns with every register as it was: `__fentry__`, and the thunk that returns go through.
///
/// # Safety
/// None to keep.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn nothing() {
    naked_asm!("ret")
}

/// `thunks!(out, "rax" ...)`: pushes a thunk per register, which indirect jumps and calls through it go through.
macro_rules! thunks {
    ($out:ident, $($register:literal)*) => {$({
        /// Goes where the register points.
        ///
        /// # Safety
        /// The register must hold the address of code.
        #[unsafe(naked)]
        unsafe extern "C" fn thunk() {
            naked_asm!(concat!("jmp ", $register))
        }
        let name = concat!("__x86_indirect_thunk_", $register);
        $out.push(rumpload::Export { name, value: rumpload::ExportValue::Function(thunk as *const ()) });
    })*};
}

/// Adds the thunks.
pub(crate) fn exports(out: &mut alloc::vec::Vec<rumpload::Export>) {
    thunks!(out, "rax" "rbx" "rcx" "rdx" "rsi" "rdi" "rbp" "r8" "r9" "r10" "r11" "r12" "r13" "r14" "r15");
    for name in ["__x86_return_thunk", "__fentry__"] {
        out.push(rumpload::Export { name, value: rumpload::ExportValue::Function(nothing as *const ()) });
    }
    for name in ["__SCT__preempt_schedule", "__SCT__preempt_schedule_notrace", "__SCT__might_resched", "__SCT__cond_resched"] {
        out.push(rumpload::Export { name, value: rumpload::ExportValue::Function(zero as *const ()) });
    }
}

/// Most arguments that [`call`] passes.
pub(crate) const MAX_ARGUMENTS: usize = 10;

/// Calls a function of module code with up to [`MAX_ARGUMENTS`] integer or pointer arguments.
///
/// # Safety
/// `function` must be the address of a function of the C calling convention for which `arguments` are right; the calling thread
/// must be inside the module's instance.
pub(crate) unsafe fn call(function: usize, arguments: &[u64]) -> u64 {
    type Function = unsafe extern "C" fn(u64, u64, u64, u64, u64, u64, u64, u64, u64, u64) -> u64;
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: the caller vouches for the address. A function of fewer arguments does not look at the others.
    let function = unsafe { core::mem::transmute::<*const (), Function>(core::ptr::with_exposed_provenance(function)) };
    // SAFETY: as above.
    unsafe { function(at(0), at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9)) }
}
