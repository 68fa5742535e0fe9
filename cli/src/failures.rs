//! What could not be done among much that could.

use crate::output::{Reported, complain, is_broken_pipe};
use anyhow::{Error, Result};
use rumpload_base::Kernel;

/// Counts what failed. Each failure is told on standard error when it comes up, and the work goes on with what is next.
#[derive(Debug, Default)]
pub struct Failures(usize);

impl Failures {
    /// Tells of a failure.
    ///
    /// # Errors
    /// The failure itself, untold, if there is no going on: the kernel has ended, or nobody reads the output any more.
    pub fn note(&mut self, kernel: &Kernel, error: Error) -> Result<()> {
        if is_broken_pipe(&error) || kernel.instance().ended().is_some() {
            return Err(error);
        }
        self.0 += 1;
        complain(&error);
        Ok(())
    }

    /// Whether there were none.
    ///
    /// # Errors
    /// [`Reported`] if there were.
    pub fn outcome(&self) -> Result<()> {
        if self.0 == 0 { Ok(()) } else { Err(Reported.into()) }
    }
}
