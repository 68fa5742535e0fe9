use super::HostError;

/// The register from which code of Linux modules counts per-CPU data, of the calling thread: the GS base on x86-64.
///
/// # Implementation safety
/// [`replace`](Self::replace) changes that register of the calling thread and nothing else; nothing but module code relies on it
/// while it holds another value than the one it had before.
pub unsafe trait PerCpuBase: Send + Sync {
    /// Sets the register and gives its old value.
    ///
    /// # Errors
    /// Any [`HostError`]; the register is then unchanged.
    fn replace(&self, value: usize) -> Result<usize, HostError>;
}
