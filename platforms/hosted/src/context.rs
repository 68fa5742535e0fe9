use std::cell::Cell;

thread_local! {
    static CONTEXT: Cell<usize> = const { Cell::new(0) };
}

/// The calling thread's context word: which instance it is inside, 0 for none. Valid as long as the thread lives.
///
/// The one symbol a platform defines; the core alone writes the word.
#[expect(unsafe_code, reason = "the symbol has to have its plain name")]
// SAFETY: the name is reserved for exactly this function by the core, and only one platform is linked into a program.
#[unsafe(no_mangle)]
pub extern "C" fn rumpload_context() -> *mut usize {
    CONTEXT.with(Cell::as_ptr)
}
