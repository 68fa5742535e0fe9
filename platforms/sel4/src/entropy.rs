use core::arch::asm;
use core::arch::x86_64::__cpuid;
use rumpload::resource::{Entropy, HostError, HostErrorKind};

/// Bit of `cpuid` leaf 1, register ecx.
const RDRAND: u32 = 1 << 30;
/// Tries after which a generator that gives nothing counts as broken.
const TRIES: u32 = 100;

/// The processor's random number generator (`rdrand`).
#[derive(Clone, Copy, Debug)]
pub struct ProcessorEntropy {
    present: bool,
}

impl ProcessorEntropy {
    /// The generator, if the processor has one; without, every request is refused.
    #[must_use]
    pub fn new() -> Self {
        Self { present: __cpuid(1).ecx & RDRAND != 0 }
    }
}

impl Default for ProcessorEntropy {
    fn default() -> Self {
        Self::new()
    }
}

impl Entropy for ProcessorEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), HostError> {
        if !self.present {
            return Err(HostErrorKind::Unsupported.into());
        }
        for piece in buffer.chunks_mut(8) {
            let word = random().ok_or(HostErrorKind::Io)?.to_le_bytes();
            piece.copy_from_slice(&word[..piece.len()]);
        }
        Ok(())
    }
}

fn random() -> Option<u64> {
    (0..TRIES).find_map(|_| {
        let (word, good): (u64, u8);
        // SAFETY: the processor has the instruction, which changes the register and the flags only.
        unsafe { asm!("rdrand {}", "setc {}", out(reg) word, out(reg_byte) good, options(nomem, nostack)) };
        (good != 0).then_some(word)
    })
}
