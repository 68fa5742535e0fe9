use super::HostError;

/// Random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `buffer` wholly with unpredictable bytes.
    ///
    /// # Errors
    /// Any [`HostError`]; the contents of `buffer` are then not to be used.
    fn fill(&self, buffer: &mut [u8]) -> Result<(), HostError>;
}
