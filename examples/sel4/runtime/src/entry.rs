//! Defines an image's entry.

/// Makes `$main`, a `fn(&'static Start) -> !`, the function that a domain starts with.
#[macro_export]
macro_rules! domain {
    ($main:path) => {
        /// The entry: the root task set the stack and passes the address of the start record.
        ///
        /// # Safety
        /// Only the root task's start of the thread may come here.
        // SAFETY: the linker script names this symbol as the entry; nothing else has it.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn _start(start: *const $crate::Start) -> ! {
            // SAFETY: the root task mapped the record, the IPC buffer and the heap for good, and this is the first and only thread.
            let start: &'static $crate::Start = unsafe { $crate::enter(start) };
            $main(start)
        }
    };
}
