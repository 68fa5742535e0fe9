//! The kernel's system calls, without the mixed-criticality scheduler: the only place with their machine code.
//!
//! Register use (x86_64): rdx number; rdi capability, on return the badge; rsi message information; r10, r8, r9, r15 the first
//! four words. rcx, r11 and rsp are destroyed.

use core::arch::asm;
use core::sync::atomic::{AtomicPtr, Ordering};

const CALL: i64 = -1;
const REPLY_RECV: i64 = -2;
const SEND: i64 = -3;
const RECV: i64 = -5;
const YIELD: i64 = -7;

/// Words that travel in registers.
pub const FAST_WORDS: usize = 4;
/// Words that a message can have.
pub const MAX_WORDS: usize = 120;
// Word offsets in the IPC buffer.
const BUFFER_WORDS: usize = 1;
const BUFFER_CAPS: usize = 122;

/// A slot of the calling thread's capability space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap(pub u64);

/// Message information: label, capabilities and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info(u64);

impl Info {
    /// `label` (20 bits), `caps` capabilities (at most 3) and `words` words (at most [`MAX_WORDS`]); what exceeds is cut off.
    #[must_use]
    pub const fn new(label: u64, caps: usize, words: usize) -> Self {
        Self((label & 0xf_ffff) << 12 | (caps as u64 & 3) << 7 | words as u64 & 0x7f)
    }

    /// The label.
    #[must_use]
    pub const fn label(self) -> u64 {
        self.0 >> 12
    }

    /// Capabilities that came along.
    #[must_use]
    pub const fn caps(self) -> usize {
        (self.0 >> 7 & 3) as usize
    }

    /// Words, at most [`MAX_WORDS`].
    #[must_use]
    pub const fn words(self) -> usize {
        let words = (self.0 & 0x7f) as usize;
        if words < MAX_WORDS { words } else { MAX_WORDS }
    }
}

/// What a receive gave.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// The badge of the capability that the sender used.
    pub badge: u64,
    /// Label and counts.
    pub info: Info,
    /// The first words; those beyond are in the IPC buffer.
    pub words: [u64; FAST_WORDS],
}

/// The one IPC buffer of a domain: domains that use longer messages are single-threaded.
static BUFFER: AtomicPtr<u64> = AtomicPtr::new(core::ptr::null_mut());

/// Says where the IPC buffer is.
///
/// # Safety
/// `buffer` must be the mapped IPC buffer of the only thread that makes invocations or sends messages of more than
/// [`FAST_WORDS`] words, for as long as it runs.
pub unsafe fn set_buffer(buffer: *mut u64) {
    BUFFER.store(buffer, Ordering::Relaxed);
}

/// Word `index` of the message in the IPC buffer.
#[must_use]
pub fn buffer_word(index: usize) -> u64 {
    assert!(index < MAX_WORDS, "no such message word");
    // SAFETY: `set_buffer`'s contract, and the buffer has room for MAX_WORDS words behind its tag.
    unsafe { BUFFER.load(Ordering::Relaxed).add(BUFFER_WORDS + index).read_volatile() }
}

/// Sets word `index` of the message in the IPC buffer.
pub fn set_buffer_word(index: usize, value: u64) {
    assert!(index < MAX_WORDS, "no such message word");
    // SAFETY: as in `buffer_word`.
    unsafe { BUFFER.load(Ordering::Relaxed).add(BUFFER_WORDS + index).write_volatile(value) }
}

fn set_buffer_cap(index: usize, cap: Cap) {
    assert!(index < 3, "no such message capability");
    // SAFETY: as in `buffer_word`; three capability words lie at this offset.
    unsafe { BUFFER.load(Ordering::Relaxed).add(BUFFER_CAPS + index).write_volatile(cap.0) }
}

#[inline(always)]
fn enter(number: i64, cap: Cap, info: Info, words: [u64; FAST_WORDS]) -> Received {
    let (badge, info_out, w0, w1, w2, w3): (u64, u64, u64, u64, u64, u64);
    // SAFETY: a system call of a microkernel acts on nothing but the objects that its capabilities name; those that change the
    // caller's own memory are wrapped by unsafe functions (`invoke`). All registers that the kernel destroys are declared.
    unsafe {
        asm!(
            "mov r14, rsp",
            "syscall",
            "mov rsp, r14",
            in("rdx") number,
            inlateout("rdi") cap.0 => badge,
            inlateout("rsi") info.0 => info_out,
            inlateout("r10") words[0] => w0,
            inlateout("r8") words[1] => w1,
            inlateout("r9") words[2] => w2,
            inlateout("r15") words[3] => w3,
            lateout("rcx") _,
            lateout("r11") _,
            lateout("r14") _,
        );
    }
    Received { badge, info: Info(info_out), words: [w0, w1, w2, w3] }
}

/// Sends to an endpoint and waits for the answer.
pub fn call(cap: Cap, info: Info, words: [u64; FAST_WORDS]) -> Received {
    enter(CALL, cap, info, words)
}

/// Sends to an endpoint or a saved reply capability; waits until an endpoint's receiver takes it.
pub fn send(cap: Cap, info: Info, words: [u64; FAST_WORDS]) {
    enter(SEND, cap, info, words);
}

/// Waits for a message.
pub fn receive(cap: Cap) -> Received {
    enter(RECV, cap, Info::new(0, 0, 0), [0; FAST_WORDS])
}

/// Answers the caller received last and waits for the next message.
pub fn reply_receive(cap: Cap, info: Info, words: [u64; FAST_WORDS]) -> Received {
    enter(REPLY_RECV, cap, info, words)
}

/// Lets another thread of the same priority run.
pub fn yield_now() {
    enter(YIELD, Cap(0), Info::new(0, 0, 0), [0; FAST_WORDS]);
}

/// Invokes an object: `caps` and `words` as its invocation documents.
pub(crate) fn invoke(
    object: Cap,
    label: u64,
    caps: &[Cap],
    words: &[u64],
) -> Result<[u64; FAST_WORDS], crate::error::KernelError> {
    for (index, cap) in caps.iter().enumerate() {
        set_buffer_cap(index, *cap);
    }
    for (index, word) in words.iter().enumerate().skip(FAST_WORDS) {
        set_buffer_word(index, *word);
    }
    let fast = core::array::from_fn(|index| words.get(index).copied().unwrap_or(0));
    let answer = call(object, Info::new(label, caps.len(), words.len()), fast);
    match answer.info.label() {
        0 => Ok(answer.words),
        error => Err(crate::error::KernelError(error)),
    }
}
