//! Checksums: the check values of the catalogue, over the digits.

use crate::{at, call, kernel};

const DIGITS: &[u8; 9] = b"123456789";

#[test]
fn crc7_crc16_and_crc_itu_t() {
    let kernel = kernel();
    for module in ["crc7", "crc16", "crc-itu-t"] {
        kernel.load(module).unwrap();
    }
    // The module's value is shifted left by one.
    assert_eq!(call(&kernel, "crc7_be", &[0, at(DIGITS), 9]) as u8 >> 1, 0x75);
    assert_eq!(call(&kernel, "crc16", &[0, at(DIGITS), 9]) as u16, 0xbb3d);
    assert_eq!(call(&kernel, "crc_itu_t", &[0xffff, at(DIGITS), 9]) as u16, 0x29b1);
}

#[test]
fn crc8_with_a_table_of_its_own() {
    let kernel = kernel();
    kernel.load("crc8").unwrap();
    let mut table = [0_u8; 256];
    call(&kernel, "crc8_populate_msb", &[crate::to(&mut table), 0x07]);
    assert_eq!(call(&kernel, "crc8", &[at(&table), at(DIGITS), 9, 0]) as u8, 0xf4);
    call(&kernel, "crc8_populate_lsb", &[crate::to(&mut table), 0x8c]);
    assert_eq!(call(&kernel, "crc8", &[at(&table), at(DIGITS), 9, 0]) as u8, 0xa1);
}

#[test]
fn crc64_in_both_forms() {
    let kernel = kernel();
    kernel.load("crc64").unwrap();
    assert_eq!(call(&kernel, "crc64_be", &[0, at(DIGITS), 9]), 0x6c40_df5f_0b49_7347);
    // NVMe's, which the function complements at both ends.
    assert_eq!(call(&kernel, "crc64_rocksoft_generic", &[0, at(DIGITS), 9]), 0xae8b_1486_0a79_9888);
}
