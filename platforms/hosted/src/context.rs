use std::cell::Cell;

thread_local! {
    static CONTEXT: Cell<usize> = const { Cell::new(0) };
}

/// The calling thread's context word: which instance it is inside, 0 for none. Valid as long as the thread lives.
///
/// Not inlined and opaque: a kernel's own thread that sleeps may go on in another thread of the server, so no caller may keep
/// the address, nor the compiler take two calls for one.
///
/// The one symbol a platform defines; the core alone writes the word.
#[expect(unsafe_code, reason = "the symbol has to have its plain name")]
// SAFETY: the name is reserved for exactly this function by the core, and only one platform is linked into a program.
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn rumpload_context() -> *mut usize {
    core::hint::black_box(CONTEXT.with(Cell::as_ptr))
}
