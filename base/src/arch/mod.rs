//! What stable Rust cannot say about calls from C: variadic functions, and entries that learn which export was called.
//!
//! Every machine offers the same names: [`VaList`], the macro `variadic!`, [`trap_entry`], [`trace_entry`] and [`trace_return`]. On a machine
//! without them the base builds, but offers none of the exports that need them.

#[cfg(target_arch = "x86")]
mod x86;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "x86")]
pub(crate) use x86::{VaList, trace_entry, trace_return, trap_entry, variadic};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{VaList, trace_entry, trace_return, trap_entry, variadic};

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
