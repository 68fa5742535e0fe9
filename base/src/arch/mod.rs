//! What stable Rust cannot say: variadic functions of C, entries that learn which export was called, and switching stacks.
//!
//! Every machine offers the same names: [`VaList`], the macro `variadic!`, [`trap_entry`], [`trace_entry`], [`trace_return`],
//! [`switch_stack`] and [`first_frame`].

#[cfg(target_arch = "x86")]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86")]
pub(crate) use x86::{VaList, first_frame, switch_stack, trace_entry, trace_return, trap_entry, variadic};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{VaList, first_frame, switch_stack, trace_entry, trace_return, trap_entry, variadic};

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
compile_error!("the base kernel calls and is called by C code of x86-64 and i386 NetBSD; other machines have no module to serve");

impl VaList {
    /// The next argument of C type `int`.
    ///
    /// # Safety
    /// The caller of the variadic function passed such an argument here.
    pub(crate) unsafe fn int(&mut self) -> i32 {
        // SAFETY: as the caller says; an int takes a whole slot, of which the low half counts.
        unsafe { self.word() as i32 }
    }

    /// The next argument of a pointer type.
    ///
    /// # Safety
    /// As [`int`](Self::int).
    pub(crate) unsafe fn pointer<T>(&mut self) -> *mut T {
        // SAFETY: as the caller says.
        unsafe { self.word() as *mut T }
    }
}

/// Control words of the floating-point units as C code finds them at first: every exception masked, double extended precision.
const MXCSR: u32 = 0x1f80;
const X87_CONTROL: u32 = 0x037f;

#[cfg(test)]
mod tests {
    use super::{first_frame, switch_stack};
    use core::cell::Cell;
    use std::vec;

    std::thread_local! {
        static POINTERS: [Cell<usize>; 2] = const { [Cell::new(0), Cell::new(0)] };
        static SEEN: Cell<usize> = const { Cell::new(0) };
    }

    fn switch(from: usize, to: usize) {
        let (save, target) = POINTERS.with(|pointers| (pointers[from].as_ptr(), pointers[to].get()));
        // SAFETY: one stack made below and the test's own, each entered where it was left.
        unsafe { switch_stack(save, target) }
    }

    extern "C" fn other() -> ! {
        let place = 0_u128;
        // Locals of 16 bytes lie where the convention lets compilers expect them.
        assert_eq!((&raw const place).addr() % 16, 0);
        for turn in 1.. {
            SEEN.with(|seen| seen.set(seen.get() * 10 + turn));
            switch(1, 0);
        }
        unreachable!()
    }

    #[test]
    fn two_stacks_take_turns() {
        let mut stack = vec![0_u64; 32 << 10];
        let top = stack.as_mut_ptr_range().end.addr() & !63;
        // SAFETY: the stack ends there and is the test's.
        POINTERS.with(|pointers| pointers[1].set(unsafe { first_frame(top, other) }));
        for _ in 0..3 {
            switch(0, 1);
        }
        assert_eq!(SEEN.with(Cell::get), 123);
    }
}
