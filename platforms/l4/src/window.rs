use core::ptr::NonNull;
use rumpload::resource::{HostError, HostErrorKind};

/// Memory that the two ends of a connection share; parts of it are named in messages by offset and length in bytes.
///
/// The other end may write to it at any moment. So nothing is ever borrowed from it: bytes are copied out once and checked
/// afterwards, and copied in without being read again.
#[derive(Debug)]
pub struct Window {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the window hands out no references; its bytes are shared by purpose and only accessed by volatile copies.
unsafe impl Send for Window {}
// SAFETY: as above.
unsafe impl Sync for Window {}

/// Bytes that are copied by one access where the machine allows it.
#[repr(C, packed)]
#[derive(Clone, Copy)]
struct Unaligned(u64);

const STEP: usize = size_of::<Unaligned>();

impl Window {
    /// The `len` bytes from `base`.
    ///
    /// # Safety
    /// As long as the window exists they are mapped, readable and writable, and no Rust reference points to any of them.
    #[must_use]
    pub const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    /// Bytes.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True for a window of no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where `len` bytes at `offset` lie in this domain, for a device that writes there itself.
    ///
    /// # Errors
    /// [`InvalidInput`](HostErrorKind::InvalidInput) if they are not wholly within the window.
    pub fn address(&self, offset: u64, len: u64) -> Result<NonNull<u8>, HostError> {
        match offset.checked_add(len) {
            // SAFETY: the offset is at most the length of the window, which is one mapped object.
            Some(end) if end <= self.len as u64 => Ok(unsafe { self.base.add(offset as usize) }),
            _ => Err(HostErrorKind::InvalidInput.into()),
        }
    }

    /// Copies the bytes at `offset` out.
    ///
    /// # Errors
    /// As [`address`](Window::address).
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), HostError> {
        let from = self.address(offset, buffer.len() as u64)?;
        // SAFETY: both ranges are valid for the length; the buffer is a Rust slice, so it does not overlap the window.
        unsafe { copy(from.as_ptr(), buffer.as_mut_ptr(), buffer.len()) };
        Ok(())
    }

    /// Copies `data` in at `offset`.
    ///
    /// # Errors
    /// As [`address`](Window::address).
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        let to = self.address(offset, data.len() as u64)?;
        // SAFETY: as in `read`.
        unsafe { copy(data.as_ptr(), to.as_ptr(), data.len()) };
        Ok(())
    }
}

/// Copies `len` bytes, each read once and written once, whatever somebody else does to them meanwhile.
///
/// # Safety
/// Both ranges are valid for `len` bytes and do not overlap.
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    let mut done = 0;
    while done + STEP <= len {
        // SAFETY: the step lies within both ranges; the type has no alignment and no invalid value.
        unsafe { to.add(done).cast::<Unaligned>().write_volatile(from.add(done).cast::<Unaligned>().read_volatile()) };
        done += STEP;
    }
    while done < len {
        // SAFETY: the byte lies within both ranges.
        unsafe { to.add(done).write_volatile(from.add(done).read_volatile()) };
        done += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn window(bytes: &mut [u64; 8]) -> Window {
        // SAFETY: the array outlives every window of these tests and is not used beside them.
        unsafe { Window::new(NonNull::from(bytes).cast(), 64) }
    }

    #[test]
    fn what_is_written_is_read_at_every_offset_and_length() {
        let mut bytes = [0; 8];
        let window = window(&mut bytes);
        let data: Vec<u8> = (1..=64).collect();
        for offset in 0..=64_usize {
            for len in 0..=64 - offset {
                window.write(0, &[0; 64]).expect("inside");
                window.write(offset as u64, &data[..len]).expect("inside");
                let mut all = [0xff; 64];
                window.read(0, &mut all).expect("inside");
                assert_eq!(&all[offset..offset + len], &data[..len]);
                assert!(all[..offset].iter().chain(&all[offset + len..]).all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn nothing_outside_is_touched() {
        let mut bytes = [0; 8];
        let window = window(&mut bytes);
        for (offset, len) in [(0, 65), (64, 1), (65, 0), (u64::MAX, 1), (1, u64::MAX), (u64::MAX, u64::MAX)] {
            assert_eq!(window.address(offset, len).map_err(|error| error.kind()), Err(HostErrorKind::InvalidInput));
        }
        assert!(window.read(60, &mut [0; 5]).is_err());
        assert!(window.write(60, &[1; 5]).is_err());
        let mut tail = [9; 4];
        window.read(60, &mut tail).expect("inside");
        assert_eq!(tail, [0; 4]);
    }
}
