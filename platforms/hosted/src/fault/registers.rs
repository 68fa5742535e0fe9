//! Registers of an interrupted thread, per machine.

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
pub use other::*;
#[cfg(target_arch = "x86")]
pub use x86::*;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    pub const KNOWN: bool = true;
    /// Direction flag; compiled code expects it clear.
    const DIRECTION: i64 = 0x400;

    pub fn instruction(machine: &libc::ucontext_t) -> usize {
        machine.uc_mcontext.gregs[libc::REG_RIP as usize] as usize
    }

    pub fn stack(machine: &libc::ucontext_t) -> usize {
        machine.uc_mcontext.gregs[libc::REG_RSP as usize] as usize
    }

    pub fn frame(machine: &libc::ucontext_t) -> usize {
        machine.uc_mcontext.gregs[libc::REG_RBP as usize] as usize
    }

    /// Makes the thread go on as if `function(argument)` had just been called, on the stack below `argument`, a multiple of 16.
    pub fn redirect(machine: &mut libc::ucontext_t, function: usize, argument: usize) {
        let gregs = &mut machine.uc_mcontext.gregs;
        gregs[libc::REG_RIP as usize] = function as i64;
        gregs[libc::REG_RDI as usize] = argument as i64;
        gregs[libc::REG_RSP as usize] = (argument - 8) as i64;
        gregs[libc::REG_EFL as usize] &= !DIRECTION;
    }
}

#[cfg(target_arch = "x86")]
mod x86 {
    pub const KNOWN: bool = true;
    /// Direction flag; compiled code expects it clear.
    const DIRECTION: i32 = 0x400;

    pub fn instruction(machine: &libc::ucontext_t) -> usize {
        machine.uc_mcontext.gregs[libc::REG_EIP as usize] as usize
    }

    pub fn stack(machine: &libc::ucontext_t) -> usize {
        machine.uc_mcontext.gregs[libc::REG_ESP as usize] as usize
    }

    pub fn frame(machine: &libc::ucontext_t) -> usize {
        machine.uc_mcontext.gregs[libc::REG_EBP as usize] as usize
    }

    /// Makes the thread go on as if `function(argument)` had just been called, on the stack below `argument`, a multiple of 16.
    pub fn redirect(machine: &mut libc::ucontext_t, function: usize, argument: usize) {
        let frame = argument - 20;
        // SAFETY: the caller's stack goes on below `argument`; the one argument lies above the return address.
        unsafe { ((frame + 4) as *mut usize).write(argument) };
        let gregs = &mut machine.uc_mcontext.gregs;
        gregs[libc::REG_EIP as usize] = function as i32;
        gregs[libc::REG_ESP as usize] = frame as i32;
        gregs[libc::REG_EFL as usize] &= !DIRECTION;
    }
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
mod other {
    pub const KNOWN: bool = false;

    pub fn instruction(_machine: &libc::ucontext_t) -> usize {
        0
    }

    pub fn stack(_machine: &libc::ucontext_t) -> usize {
        0
    }

    pub fn frame(_machine: &libc::ucontext_t) -> usize {
        0
    }

    pub fn redirect(_machine: &mut libc::ucontext_t, _function: usize, _argument: usize) {}
}
