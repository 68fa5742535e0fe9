use super::{Call, Fault, Faulty};
use crate::resource::{Entropy, HostError};
use spin::Mutex;

/// Bytes that look random and are the same in every run (splitmix64).
pub struct Sequence {
    state: Mutex<u64>,
}

impl Sequence {
    /// The sequence that begins at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: Mutex::new(seed) }
    }

    /// The next number.
    pub fn next(&self) -> u64 {
        let mut state = self.state.lock();
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, or 0 for a limit of 0.
    pub fn below(&self, limit: u64) -> u64 {
        self.next().checked_rem(limit).unwrap_or(0)
    }
}

impl Entropy for Sequence {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), HostError> {
        for bytes in buffer.chunks_mut(8) {
            bytes.copy_from_slice(&self.next().to_ne_bytes()[..bytes.len()]);
        }
        Ok(())
    }
}

impl Entropy for Faulty<dyn Entropy> {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), HostError> {
        match self.enter(Call::Fill)? {
            Some(Fault::Short | Fault::Garbage | Fault::Lie) => {
                buffer.fill(0);
                Ok(())
            }
            _ => self.inner.fill(buffer),
        }
    }
}
