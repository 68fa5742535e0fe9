//! Hashes and ciphers that modules register, against independent implementations.

use crate::{bytes, kernel, shared};
use blake2::digest::consts::{U20, U32, U48, U64};
use blake2::digest::{Digest, DynDigest};
use cipher::{BlockDecrypt, BlockEncrypt, BlockSizeUser, KeyInit};
use rumpload_base_linux::{AlgorithmKind, Error};

/// Digests of texts of many lengths, added in pieces of many lengths, equal those of `other`.
fn compare_hash(name: &str, mut other: impl DynDigest) {
    let kernel = shared();
    let mut hash = kernel.hash(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(hash.algorithm().kind, AlgorithmKind::Hash);
    for len in [0, 1, 3, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 135, 136, 137, 1000, 10_000] {
        let text = bytes(len, len as u32 + 1);
        for piece in text.chunks(1 + len / 3) {
            hash.update(piece).unwrap();
        }
        other.update(&text);
        assert_eq!(hash.finish().unwrap(), &*other.finalize_reset(), "{name} of {len} bytes");
    }
}

#[test]
fn md4_and_rmd160() {
    compare_hash("md4", md4::Md4::new());
    compare_hash("rmd160", ripemd::Ripemd160::new());
}

#[test]
fn sha512_and_sha384() {
    compare_hash("sha512-generic", sha2::Sha512::new());
    compare_hash("sha384-generic", sha2::Sha384::new());
}

#[test]
fn sha3_in_all_lengths() {
    compare_hash("sha3-224", sha3::Sha3_224::new());
    compare_hash("sha3-256", sha3::Sha3_256::new());
    compare_hash("sha3-384", sha3::Sha3_384::new());
    compare_hash("sha3-512", sha3::Sha3_512::new());
}

#[test]
fn streebog_in_both_lengths() {
    compare_hash("streebog256", streebog::Streebog256::new());
    compare_hash("streebog512", streebog::Streebog512::new());
}

#[test]
fn blake2b_without_a_key() {
    compare_hash("blake2b-160", blake2::Blake2b::<U20>::new());
    compare_hash("blake2b-256", blake2::Blake2b::<U32>::new());
    compare_hash("blake2b-384", blake2::Blake2b::<U48>::new());
    compare_hash("blake2b-512", blake2::Blake2b::<U64>::new());
}

#[test]
fn blake2b_with_a_key() {
    use blake2::digest::Mac;
    let kernel = shared();
    let mut hash = kernel.hash("blake2b-512").unwrap();
    for len in [1, 32, 64] {
        let (key, text) = (bytes(len, 77), bytes(300, 78));
        hash.set_key(&key).unwrap();
        hash.update(&text).unwrap();
        let other = <blake2::Blake2bMac<U64> as KeyInit>::new_from_slice(&key).unwrap();
        assert_eq!(hash.finish().unwrap(), other.chain_update(&text).finalize().into_bytes().as_slice());
    }
    assert!(matches!(hash.set_key(&[0; 65]), Err(Error::Failed { errno: 22, .. })));
}

/// Whirlpool; its shorter forms are its first bytes.
#[test]
fn whirlpool_in_all_lengths() {
    compare_hash("wp512", whirlpool::Whirlpool::new());
    let kernel = shared();
    for (name, len) in [("wp384", 48), ("wp256", 32)] {
        let mut hash = kernel.hash(name).unwrap();
        hash.update(b"abc").unwrap();
        assert_eq!(hash.finish().unwrap(), &whirlpool::Whirlpool::digest(b"abc")[..len]);
    }
}

/// The chain of IEEE 802.11, annex M: each result is the key of the next.
#[test]
fn michael_as_the_standard_has_it() {
    let kernel = shared();
    let mut hash = kernel.hash("michael_mic").unwrap();
    assert!(matches!(hash.update(b""), Err(Error::NoKey { .. })));
    let chain: [(&[u8], u64); 6] = [
        (b"", 0x8292_5c1c_a1d1_30b8),
        (b"M", 0x4347_21ca_4063_9b3f),
        (b"Mi", 0xe8f9_beca_e97e_5d29),
        (b"Mic", 0x9003_8fc6_cf13_c1db),
        (b"Mich", 0xd55e_1005_1012_8986),
        (b"Michael", 0x0a94_2b12_4eca_a546),
    ];
    let mut key = vec![0; 8];
    for (text, digest) in chain {
        hash.set_key(&key).unwrap();
        hash.update(text).unwrap();
        key = hash.finish().unwrap();
        assert_eq!(key, digest.to_be_bytes());
    }
}

/// Checksums that the base itself computes, through the algorithms that modules make of them.
#[test]
fn crc32_and_crc32c() {
    let kernel = shared();
    let digest = |name: &str, start: u32| {
        let mut hash = kernel.hash(name).unwrap();
        hash.set_key(&start.to_le_bytes()).unwrap();
        hash.update(b"123456789").unwrap();
        u32::from_le_bytes(hash.finish().unwrap().try_into().unwrap())
    };
    assert_eq!(!digest("crc32-generic", !0), 0xcbf4_3926);
    assert_eq!(digest("crc32c-generic", !0), 0xe306_9283);
}

/// Blocks under keys of every length given equal those of `C`, both ways.
fn compare_cipher<C: KeyInit + BlockEncrypt + BlockDecrypt + BlockSizeUser>(name: &str, keys: &[usize]) {
    let kernel = shared();
    let mut ours = kernel.cipher(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!((ours.algorithm().kind, ours.algorithm().block_size), (AlgorithmKind::Cipher, C::block_size()));
    for &len in keys {
        for round in 0..20 {
            let key = bytes(len, 1000 + round);
            ours.set_key(&key).unwrap();
            let other = C::new_from_slice(&key).unwrap();
            let plain = bytes(C::block_size(), round);
            let mut block = plain.clone();
            ours.encrypt(&mut block).unwrap();
            let mut expected = cipher::Block::<C>::clone_from_slice(&plain);
            other.encrypt_block(&mut expected);
            assert_eq!(block, expected.as_slice(), "{name} with a key of {len} bytes");
            ours.decrypt(&mut block).unwrap();
            assert_eq!(block, plain, "{name} with a key of {len} bytes");
        }
    }
}

#[test]
fn blowfish_and_twofish() {
    compare_cipher::<blowfish::Blowfish>("blowfish-generic", &[8, 16, 32, 56]);
    compare_cipher::<twofish::Twofish>("twofish-generic", &[16, 24, 32]);
}

#[test]
fn cast5_and_cast6() {
    compare_cipher::<cast5::Cast5>("cast5-generic", &[5, 10, 16]);
    compare_cipher::<cast6::Cast6>("cast6-generic", &[16, 24, 32]);
}

#[test]
fn camellia_in_all_key_lengths() {
    compare_cipher::<camellia::Camellia128>("camellia-generic", &[16]);
    compare_cipher::<camellia::Camellia192>("camellia-generic", &[24]);
    compare_cipher::<camellia::Camellia256>("camellia-generic", &[32]);
}

#[test]
fn serpent_in_all_key_lengths() {
    compare_cipher::<serpent::Serpent>("serpent-generic", &[16, 24, 32]);
}

#[test]
fn des_and_triple_des() {
    compare_cipher::<des::Des>("des-generic", &[8]);
    compare_cipher::<des::TdesEde3>("des3_ede-generic", &[24]);
}

#[test]
fn a_cipher_is_picky_about_keys_and_blocks() {
    let kernel = shared();
    let mut cipher = kernel.cipher("camellia-generic").unwrap();
    let mut block = [0; 16];
    assert!(matches!(cipher.encrypt(&mut block), Err(Error::NoKey { .. })));
    assert!(matches!(cipher.set_key(&[0; 15]), Err(Error::Failed { errno: 22, .. })));
    cipher.set_key(&[0; 16]).unwrap();
    assert!(matches!(cipher.encrypt(&mut block[..8]), Err(Error::Invalid(_))));
}

/// What is used stays, and what nobody uses goes with its registrations.
#[test]
fn modules_in_use_stay() {
    let kernel = kernel();
    kernel.load("des_generic").unwrap();
    assert!(kernel.algorithms().iter().any(|algorithm| algorithm.driver == "des-generic"));
    let cipher = kernel.cipher("des3_ede").unwrap();
    assert!(matches!(kernel.unload("des_generic"), Err(Error::Busy { references: 1, .. })));
    drop(cipher);
    assert!(matches!(kernel.unload("libdes"), Err(Error::Busy { references: 1, .. })));
    kernel.unload("des_generic").unwrap();
    kernel.unload("libdes").unwrap();
    assert!(kernel.algorithms().is_empty() && kernel.modules().is_empty());
    assert!(matches!(kernel.cipher("no-such-cipher"), Err(Error::NoProvider { .. })));
}
