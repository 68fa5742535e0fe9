//! Functions that modules export to others.

use crate::{at, bytes, call, kernel, shared, to};

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

/// The first key stream of RFC 6229.
#[test]
fn arc4_as_published() {
    let kernel = shared();
    let mut context = [0_u32; 258];
    let key = [1_u8, 2, 3, 4, 5];
    assert_eq!(call(kernel, "arc4_setkey", &[to(&mut context), at(&key), 5]) as i32, 0);
    let mut stream = [0_u8; 16];
    let zeros = [0_u8; 16];
    call(kernel, "arc4_crypt", &[to(&mut context), to(&mut stream), at(&zeros), 16]);
    assert_eq!(u128::from_be_bytes(stream), 0xb239_6305_f03d_c027_ccc3_524a_0a11_18a8);
}

#[test]
fn poly1305_equals_another() {
    use poly1305::universal_hash::KeyInit;
    let kernel = shared();
    for len in [0, 1, 15, 16, 17, 32, 100, 1000] {
        let (key, text) = (bytes(32, 5 + len as u32), bytes(len, 6));
        let mut descriptor = [0_u64; 128];
        let mut tag = [0_u8; 16];
        call(kernel, "poly1305_init_generic", &[to(&mut descriptor), at(&*key)]);
        for piece in text.chunks(1 + len / 3) {
            call(kernel, "poly1305_update_generic", &[to(&mut descriptor), at(piece), piece.len() as u64]);
        }
        call(kernel, "poly1305_final_generic", &[to(&mut descriptor), to(&mut tag)]);
        let other = poly1305::Poly1305::new_from_slice(&key).unwrap().compute_unpadded(&text);
        assert_eq!(tag, other.as_slice(), "{len} bytes");
    }
}

/// The iteration of RFC 7748, section 5.2, and public keys against another implementation.
#[test]
fn curve25519_agrees() {
    let kernel = shared();
    let multiply = |secret: &[u8; 32], point: &[u8; 32]| {
        let mut product = [0_u8; 32];
        call(kernel, "curve25519_generic", &[to(&mut product), at(secret), at(point)]);
        product
    };
    let clamp = |mut key: [u8; 32]| {
        key[0] &= 248;
        key[31] = key[31] & 127 | 64;
        key
    };
    let mut base = [0_u8; 32];
    base[0] = 9;
    let (mut scalar, mut point) = (base, base);
    for round in 1..=1000 {
        let product = multiply(&clamp(scalar), &point);
        (scalar, point) = (product, scalar);
        match round {
            1 => assert_eq!(scalar, *hex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")),
            1000 => assert_eq!(scalar, *hex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")),
            _ => {}
        }
    }
    for seed in 0..8 {
        let secret = clamp(bytes(32, seed + 40).try_into().unwrap());
        assert_eq!(multiply(&secret, &base), x25519_dalek::x25519(secret, base));
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|index| u8::from_str_radix(&text[2 * index..][..2], 16).unwrap()).collect()
}

/// What both compressors make is decompressed by an independent implementation; the symbol brings its module in.
#[test]
fn lz4_compresses_for_others() {
    let kernel = shared();
    let words = bytes(64, 3);
    let text: Vec<u8> = (0..50_000).map(|index| words[(index * index / 7 + index % 11) % 64]).collect();
    let mut work = vec![0_u64; 1 << 16];
    for (symbol, level) in [("LZ4_compress_default", None), ("LZ4_compress_HC", Some(9))] {
        for len in [0, 1, 12, 13, 1000, text.len()] {
            let mut packed = vec![0_u8; len + len / 255 + 16];
            let mut arguments = vec![at(&*text), to(&mut *packed), len as u64, packed.len() as u64];
            arguments.extend(level);
            arguments.push(to(&mut *work));
            let used = call(kernel, symbol, &arguments) as i32;
            let used = usize::try_from(used).unwrap();
            assert!(used > 0 && (len < text.len() || used < len / 2), "{symbol}: {len} bytes became {used}");
            let back = lz4_flex::block::decompress(&packed[..used], len).unwrap();
            assert_eq!(back, text[..len], "{symbol}");
        }
        // No room: it says so.
        let mut little = [0_u8; 8];
        let mut arguments = vec![at(&*text), to(&mut little), 1000, 8];
        arguments.extend(level);
        arguments.push(to(&mut *work));
        assert_eq!(call(kernel, symbol, &arguments) as i32, 0, "{symbol}");
    }
    let modules = kernel.modules();
    assert!(modules.iter().any(|module| module.name == "lz4_compress"));
}
