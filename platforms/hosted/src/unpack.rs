//! Compressed module files: gzip, xz and Zstandard, told apart by how they begin.

use rumpload::resource::{HostError, HostErrorKind};
use std::borrow::Cow;
use std::io::{Read, Write};

/// Most bytes a module may have once it is unpacked; several times the largest stock module.
pub const MAX_UNPACKED: usize = 512 << 20;

const GZIP: &[u8] = b"\x1f\x8b";
const XZ: &[u8] = b"\xfd7zXZ\0";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

/// Suffixes of module files, the plain one first.
pub const SUFFIXES: [&str; 4] = [".ko", ".ko.gz", ".ko.xz", ".ko.zst"];

/// The module in `bytes`: unpacked if they are compressed, as they are otherwise.
///
/// # Errors
/// [`InvalidInput`](HostErrorKind::InvalidInput) for damaged data,
/// [`OutOfMemory`](HostErrorKind::OutOfMemory) for more than `limit` bytes.
pub fn unpack(bytes: &[u8], limit: usize) -> Result<Cow<'_, [u8]>, HostError> {
    let mut out = Limited { bytes: Vec::new(), limit, full: false };
    let unpacked = if bytes.starts_with(GZIP) {
        copy(flate2::read::MultiGzDecoder::new(bytes), &mut out)
    } else if bytes.starts_with(ZSTD) {
        ruzstd::decoding::StreamingDecoder::new(bytes).is_ok_and(|decoder| copy(decoder, &mut out))
    } else if bytes.starts_with(XZ) {
        lzma_rs::xz_decompress(&mut &*bytes, &mut out).is_ok()
    } else {
        return Ok(Cow::Borrowed(bytes));
    };
    match unpacked {
        true => Ok(Cow::Owned(out.bytes)),
        false if out.full => Err(HostErrorKind::OutOfMemory.into()),
        false => Err(HostErrorKind::InvalidInput.into()),
    }
}

fn copy(mut from: impl Read, to: &mut Limited) -> bool {
    std::io::copy(&mut from, to).is_ok()
}

/// Collects up to a limit: a small file may unpack to more than there is memory.
struct Limited {
    bytes: Vec<u8>,
    limit: usize,
    full: bool,
}

impl Write for Limited {
    fn write(&mut self, data: &[u8]) -> std::io::Result<usize> {
        if data.len() > self.limit - self.bytes.len() {
            self.full = true;
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // `printf 'module\n' | gzip -n`, `| xz --check=crc32`, `| zstd`.
    const PACKED: [&[u8]; 3] = [
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xcd\x4f\x29\xcd\x49\xe5\x02\x00\x4f\x8a\x6e\x07\x07\x00\x00\x00",
        b"\xfd\x37\x7a\x58\x5a\x00\x00\x01\x69\x22\xde\x36\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x06\x6d\x6f\x64\x75\x6c\x65\x0a\x00\x00\x4f\x8a\x6e\x07\x00\x01\x1b\x07\x12\xeb\xd4\x17\x90\x42\x99\x0d\x01\x00\x00\x00\x00\x01\x59\x5a",
        b"\x28\xb5\x2f\xfd\x04\x58\x39\x00\x00\x6d\x6f\x64\x75\x6c\x65\x0a\x26\xd1\x51\x25",
    ];

    #[test]
    fn every_form_unpacks() {
        for bytes in PACKED {
            assert_eq!(unpack(bytes, 100).unwrap().as_ref(), b"module\n");
        }
        assert_eq!(unpack(b"\x7fELF", 1).unwrap().as_ref(), b"\x7fELF");
    }

    #[test]
    fn more_than_the_limit_is_refused() {
        for bytes in PACKED {
            assert_eq!(unpack(bytes, 6).unwrap_err().kind(), HostErrorKind::OutOfMemory);
        }
    }

    #[test]
    fn damaged_data_is_refused() {
        for bytes in PACKED {
            assert_eq!(unpack(&bytes[..bytes.len() / 2], 100).unwrap_err().kind(), HostErrorKind::InvalidInput);
        }
    }
}
