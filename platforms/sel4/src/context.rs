use core::cell::UnsafeCell;

/// The context word of a domain with one thread.
struct Word(UnsafeCell<usize>);

// SAFETY: the domains that run the core have one thread, and only the core uses the word, through `rumpload_context`.
unsafe impl Sync for Word {}

static CONTEXT: Word = Word(UnsafeCell::new(0));

/// The context word: which instance the domain's one thread is inside, 0 for none.
///
/// The one symbol a platform defines; the core alone writes the word. There is no thread-local storage: a domain that runs the
/// core has one thread.
// SAFETY: the name is reserved for exactly this function by the core, and only one platform is linked into a program.
#[cfg_attr(not(test), unsafe(no_mangle))]
pub extern "C" fn rumpload_context() -> *mut usize {
    CONTEXT.0.get()
}
