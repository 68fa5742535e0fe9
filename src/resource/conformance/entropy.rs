use crate::resource::Entropy;
use alloc::vec;

/// Checks the promise of [`Entropy`] as far as it can be seen from outside: buffers of every length are filled wholly, and
/// never twice with the same bytes.
///
/// # Panics
/// If a promise is broken.
pub fn entropy(entropy: &dyn Entropy) {
    for len in [0, 1, 7, 8, 9, 64, 256, 4097, 100_000] {
        // A byte that stays 0 in 32 fills was not filled, or one of 2^256 that was.
        let mut seen = vec![0; len];
        for _ in 0..32 {
            let mut buffer = vec![0; len];
            entropy.fill(&mut buffer).expect("random bytes");
            seen.iter_mut().zip(&buffer).for_each(|(seen, byte)| *seen |= byte);
        }
        assert!(seen.iter().all(|&seen| seen != 0), "all {len} bytes are filled");
    }
    let (mut first, mut second) = ([0; 32], [0; 32]);
    entropy.fill(&mut first).expect("random bytes");
    entropy.fill(&mut second).expect("random bytes");
    assert_ne!(first, second, "random bytes do not repeat");
}
