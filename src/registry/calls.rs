//! Which functions of which modules are being called.

use crate::activate::{Stack, StackPoint, follows_call};
use crate::address::RunAddr;
use crate::instance::Instance;
use core::fmt;

/// Bytes of the longest call instruction.
const CALL: u64 = 7;

impl Instance {
    /// Fills `into` with the return addresses into module code on the instance's stack, the latest call first; returns how many
    /// there are. None if the calling thread is not inside, or if the registry is in use: never waits, allocates nothing, and
    /// so may be called by a fault handler.
    #[must_use]
    #[expect(unsafe_code, reason = "looks at the code of modules")]
    pub fn backtrace(&self, from: StackPoint, into: &mut [RunAddr]) -> usize {
        if !self.is_inside() {
            return 0;
        }
        let Some(state) = self.state.try_lock() else { return 0 };
        let is_code = |address: u64| {
            // A call that never returns may be the last instruction of all.
            let inside = |(start, len): (RunAddr, u64)| {
                address.checked_sub(start.get()).is_some_and(|offset| (CALL..=len).contains(&offset))
            };
            let known = state.active.iter().chain(&state.transient).any(|module| inside(module.text));
            // SAFETY: the longest call in front of the address lies in the text of a module that stays while the state is locked.
            known && unsafe { follows_call(address as usize) }
        };
        let (start, len) = self.stack();
        let Ok(guard) = usize::try_from(start.get()) else { return 0 };
        Stack { start: guard + self.host().memory.page_size(), end: guard + len }.calls(from, &is_code, into)
    }

    /// Writes the calls of a [`backtrace`](Self::backtrace): `module:symbol+0x1f`, separated by `separator`.
    ///
    /// # Errors
    /// What `out` gives.
    pub fn describe_calls(&self, calls: &[RunAddr], separator: &str, out: &mut dyn fmt::Write) -> fmt::Result {
        for (index, call) in calls.iter().enumerate() {
            if index > 0 {
                out.write_str(separator)?;
            }
            // A call that never returns may be the last instruction of its function.
            match self.symbolize(RunAddr::new(call.get().saturating_sub(1))) {
                Some((module, symbol, offset)) => write!(out, "{module}:{symbol}+{:#x}", offset + 1)?,
                None => write!(out, "{:#x}", call.get())?,
            }
        }
        Ok(())
    }
}
