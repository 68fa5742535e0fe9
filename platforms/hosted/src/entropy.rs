use crate::error::host_error;
use rumpload::resource::{Entropy, HostError};
use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Random bytes from the kernel, by `getrandom(2)`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), HostError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
                Ok(len) => filled += len,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(host_error(errno)),
            }
        }
        Ok(())
    }
}
