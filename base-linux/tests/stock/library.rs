//! Functions that modules export to others.

use crate::{at, call, kernel, to};

/// A pair of key and text that is worked through in many a textbook; a weak key; a short one.
#[test]
fn libdes_encrypts_as_published() {
    let kernel = kernel();
    kernel.load("libdes").unwrap();
    let mut context = [0_u32; 32];
    let key = 0x1334_5779_9bbc_dff1_u64.to_be_bytes();
    assert_eq!(call(&kernel, "des_expand_key", &[to(&mut context), at(&key), 8]) as i32, 0);
    let plain = 0x0123_4567_89ab_cdef_u64.to_be_bytes();
    let (mut encrypted, mut again) = ([0_u8; 8], [0_u8; 8]);
    call(&kernel, "des_encrypt", &[at(&context), to(&mut encrypted), at(&plain)]);
    assert_eq!(u64::from_be_bytes(encrypted), 0x85e8_1354_0f0a_b405);
    call(&kernel, "des_decrypt", &[at(&context), to(&mut again), at(&encrypted)]);
    assert_eq!(again, plain);
    // A weak key is pointed out, a short one refused.
    let weak = [1_u8; 8];
    assert_eq!(call(&kernel, "des_expand_key", &[to(&mut context), at(&weak), 8]) as i32, -126);
    assert_eq!(call(&kernel, "des_expand_key", &[to(&mut context), at(&weak), 7]) as i32, -22);
}

/// Errors anywhere in the data are found and can be flipped back, as many as the code corrects.
#[test]
fn bch_finds_the_errors() {
    let kernel = kernel();
    kernel.load("bch").unwrap();
    let control = call(&kernel, "bch_init", &[13, 8, 0, 0]);
    assert_ne!(control, 0);
    let original: Vec<u8> = (0..512).map(|index| (index * 7 + index / 13) as u8).collect();
    let mut parity = [0_u8; 13];
    call(&kernel, "bch_encode", &[control, at(&*original), 512, to(&mut parity)]);
    assert_ne!(parity, [0; 13]);
    let mut damaged = original.clone();
    let wrong = [3_u32, 77, 801, 1500, 2222, 3000, 4000, 4095];
    wrong.iter().for_each(|&bit| damaged[bit as usize / 8] ^= 1 << (bit % 8));
    let mut found = [0_u32; 8];
    let decode = |data: &[u8], found: &mut [u32; 8]| {
        call(&kernel, "bch_decode", &[control, at(data), 512, at(&parity), 0, 0, to(found)]) as i32
    };
    assert_eq!(decode(&damaged, &mut found), 8);
    found.sort_unstable();
    assert_eq!(found, wrong);
    assert_eq!(decode(&original, &mut found), 0);
    // One more than it corrects.
    damaged[400] ^= 1;
    assert_eq!(decode(&damaged, &mut found), -74);
    call(&kernel, "bch_free", &[control]);
    kernel.unload("bch").unwrap();
    assert_eq!(kernel.symbol("bch_encode"), None);
}
