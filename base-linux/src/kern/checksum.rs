//! The checksums that are part of the kernel itself. None complements its value, at the start or at the end: callers do.

use crate::export::{Export, function};
use alloc::vec::Vec;

/// IEEE 802.3, and Castagnoli; bits reversed.
const CRC32: [u32; 256] = table(0xedb8_8320);
const CRC32C: [u32; 256] = table(0x82f6_3b78);

const fn table(polynomial: u32) -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ if value & 1 != 0 { polynomial } else { 0 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

fn crc(table: &[u32; 256], start: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(start, |crc, byte| (crc >> 8) ^ table[usize::from(crc as u8 ^ byte)])
}

unsafe extern "C" fn crc32_le(start: u32, bytes: *const u8, len: usize) -> u32 {
    // SAFETY: module code passes a buffer of that many bytes.
    crc(&CRC32, start, unsafe { core::slice::from_raw_parts(bytes, len) })
}

unsafe extern "C" fn crc32c_le(start: u32, bytes: *const u8, len: usize) -> u32 {
    // SAFETY: as above.
    crc(&CRC32C, start, unsafe { core::slice::from_raw_parts(bytes, len) })
}

/// Adds the services.
pub(super) fn exports(out: &mut Vec<Export>) {
    out.push(function!("crc32_le", crc32_le));
    out.push(function!("__crc32c_le", crc32c_le));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_values_of_the_catalogue() {
        assert_eq!(!crc(&CRC32, !0, b"123456789"), 0xcbf4_3926);
        assert_eq!(!crc(&CRC32C, !0, b"123456789"), 0xe306_9283);
    }
}
