//! Whose code called whose, read off an instance's stack.
//!
//! Stock modules keep frame pointers, so calls between them are followed exactly. Code of the server in between need not keep
//! them; there the stack is searched for the next return address into module code, which may show a call that is over already.

use crate::address::RunAddr;

/// Bytes of a word of the stack.
const WORD: usize = size_of::<usize>();
/// Words that are searched for the next return address at most.
const SEARCHED: usize = 4096;

/// Where the calls are looked for.
#[derive(Clone, Copy, Debug)]
pub struct StackPoint {
    /// The stack pointer, or any address on the stack below the frames of interest.
    pub stack: usize,
    /// The frame pointer, if it is one: that of module code, or of an entry that module code called.
    pub frame: Option<usize>,
}

/// An instance's stack while its thread looks at it.
pub(crate) struct Stack {
    pub start: usize,
    pub end: usize,
}

impl Stack {
    /// The word at `at`, if it lies on the stack.
    fn word(&self, at: usize) -> Option<usize> {
        if at < self.start || at.checked_add(WORD)? > self.end || !at.is_multiple_of(WORD) {
            return None;
        }
        // SAFETY: the word lies on the stack, which is mapped and belongs to the calling thread; whatever is in it is a number.
        Some(unsafe { core::ptr::with_exposed_provenance::<usize>(at).read_volatile() })
    }

    /// The return address of the frame at `frame` if it is one of module code, and the frame above.
    fn frame(&self, frame: usize, is_code: &dyn Fn(u64) -> bool) -> Option<(usize, usize)> {
        let back = self.word(frame.checked_add(WORD)?)?;
        is_code(back as u64).then_some(())?;
        Some((back, self.word(frame)?))
    }

    /// The first slot from `from` on with a return address into module code. Once a call of module code is known, those that
    /// called it have pushed a frame pointer below.
    fn search(&self, from: usize, framed: bool, is_code: &dyn Fn(u64) -> bool) -> Option<usize> {
        let mut slot = from.next_multiple_of(WORD);
        for _ in 0..SEARCHED {
            let back = self.word(slot)?;
            if is_code(back as u64) {
                let above = self.word(slot.wrapping_sub(WORD));
                if !framed || above.is_some_and(|above| above > slot && self.word(above).is_some()) {
                    return Some(slot);
                }
            }
            slot += WORD;
        }
        None
    }

    /// Fills `into` with return addresses into module code, the latest first; returns how many there are. `is_code` says of an
    /// address whether it is module code.
    pub fn calls(&self, from: StackPoint, is_code: &dyn Fn(u64) -> bool, into: &mut [RunAddr]) -> usize {
        let mut frame = from.frame;
        let mut at = from.stack.max(self.start);
        let mut framed = false;
        for (count, place) in into.iter_mut().enumerate() {
            let known = frame.filter(|frame| *frame >= at).and_then(|frame| Some((frame, self.frame(frame, is_code)?)));
            let (back, slot, above) = match known {
                Some((frame, (back, above))) => (back, frame + WORD, Some(above)),
                None => {
                    let Some(slot) = self.search(at, framed, is_code) else { return count };
                    (self.word(slot).unwrap_or(0), slot, self.word(slot.wrapping_sub(WORD)))
                }
            };
            *place = RunAddr::new(back as u64);
            // Only a frame that module code made leads on; after code of the server the next call may again be one without.
            framed = above.is_some_and(|above| self.frame(above, is_code).is_some());
            frame = above;
            at = slot + WORD;
        }
        into.len()
    }
}

/// Whether the code in front of `address` is a call, so that the address may be one to return to; pointers to functions are
/// told apart this way.
///
/// # Safety
/// The seven bytes in front of `address` must be readable code of the running machine.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub(crate) unsafe fn follows_call(address: usize) -> bool {
    // SAFETY: as the caller says.
    let byte = |back: usize| unsafe { core::ptr::with_exposed_provenance::<u8>(address - back).read_volatile() };
    // Group 5 of the opcodes: calls through a register or memory have 2 in the middle field of the second byte.
    let indirect = |back: usize| byte(back) == 0xff && byte(back - 1) & 0x38 == 0x10;
    byte(5) == 0xe8 || [2, 3, 4, 6, 7].into_iter().any(indirect)
}

/// As for x86: here every address of code may be one to return to.
///
/// # Safety
/// None to keep.
#[cfg(not(any(target_arch = "x86", target_arch = "x86_64")))]
pub(crate) unsafe fn follows_call(_address: usize) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: usize = 0x1000;

    fn calls(words: &[usize], from: usize, frame: Option<usize>) -> std::vec::Vec<usize> {
        let base = words.as_ptr().expose_provenance();
        let stack = Stack { start: base, end: base + size_of_val(words) };
        let mut found = [RunAddr::new(0); 4];
        let point = StackPoint { stack: base + from * WORD, frame: frame.map(|index| base + index * WORD) };
        let count = stack.calls(point, &|address| (address as usize) & !0xff == CODE, &mut found);
        found[..count].iter().map(|address| address.get() as usize).collect()
    }

    /// A stack of words; `Err(index)` is the address of word `index`.
    fn stack(words: &[Result<usize, usize>]) -> std::vec::Vec<usize> {
        let mut made = std::vec![0; words.len()];
        let base = made.as_ptr().expose_provenance();
        for (place, word) in made.iter_mut().zip(words) {
            *place = word.unwrap_or_else(|index| base + index * WORD);
        }
        made
    }

    #[test]
    fn frames_are_followed() {
        let words = stack(&[Ok(0), Err(4), Ok(CODE + 1), Ok(CODE + 9), Err(6), Ok(CODE + 2), Ok(7), Ok(CODE + 3)]);
        assert_eq!(calls(&words, 0, Some(1)), [CODE + 1, CODE + 2, CODE + 3]);
    }

    #[test]
    fn without_a_frame_the_stack_is_searched() {
        let words = stack(&[Ok(3), Err(5), Ok(CODE + 1), Ok(0), Ok(1), Ok(7), Ok(CODE + 2), Ok(0)]);
        assert_eq!(calls(&words, 0, None), [CODE + 1, CODE + 2]);
        // Code of the server without a frame pointer lies between.
        let words = stack(&[Err(2), Ok(CODE + 1), Ok(9), Ok(0x77), Ok(5), Ok(CODE + 2)]);
        assert_eq!(calls(&words, 0, Some(0)), [CODE + 1, CODE + 2]);
    }

    #[test]
    fn nothing_outside_the_stack_is_read() {
        let words = stack(&[Ok(usize::MAX), Ok(CODE + 1), Ok(0)]);
        assert_eq!(calls(&words, 0, Some(0)), [CODE + 1]);
        for frame in [0, 3, usize::MAX / WORD] {
            let base = words.as_ptr().expose_provenance();
            let stack = Stack { start: base, end: base + 2 * WORD };
            let point = StackPoint { stack: usize::MAX - WORD + 1, frame: Some(base.wrapping_add(frame.wrapping_mul(WORD))) };
            assert_eq!(stack.calls(point, &|_| true, &mut [RunAddr::new(0); 4]), 0);
        }
    }
}
