//! Reed-Solomon codes and RAID-6: parity that repairs, checked by arithmetic of the test's own.

use crate::{at, bytes, call, kernel, to};
use rumpload::address::RunAddr;
use rumpload_base_linux::Kernel;
use rumpload_hosted::Ticker;
use std::sync::Arc;
use std::time::Duration;

/// The field polynomial of both: x^8 + x^4 + x^3 + x^2 + 1.
const POLYNOMIAL: u16 = 0x11d;

fn multiply(mut one: u8, mut other: u8) -> u8 {
    let mut product = 0;
    while other != 0 {
        if other & 1 != 0 {
            product ^= one;
        }
        let carry = one & 0x80 != 0;
        one <<= 1;
        if carry {
            one ^= POLYNOMIAL as u8;
        }
        other >>= 1;
    }
    product
}

/// The value of a code word, highest coefficient first, at a point.
fn evaluate(word: &[u8], point: u8) -> u8 {
    word.iter().fold(0, |value, &coefficient| multiply(value, point) ^ coefficient)
}

#[test]
fn reed_solomon_corrects_errors_and_erasures() {
    const ROOTS: usize = 16;
    const LEN: usize = 200;
    let kernel = kernel();
    kernel.load("reed_solomon").unwrap();
    let code = call(&kernel, "init_rs_gfp", &[8, u64::from(POLYNOMIAL), 0, 1, ROOTS as u64, 0]);
    assert_ne!(code, 0);
    let original = bytes(LEN, 9);
    let mut parity = [0_u16; ROOTS];
    assert_eq!(call(&kernel, "encode_rs8", &[code, at(&*original), LEN as u64, to(&mut parity), 0]) as i32, 0);

    // Data and parity are a multiple of the generator: it vanishes at the first powers of 2.
    let mut word = original.clone();
    word.extend(parity.iter().map(|&symbol| symbol as u8));
    let mut point = 1;
    for power in 0..ROOTS {
        assert_eq!(evaluate(&word, point), 0, "at 2^{power}");
        point = multiply(point, 2);
    }

    let decode = |data: &mut [u8], erasures: &[i32]| {
        let mut parity = parity;
        let (count, list) = (erasures.len() as u64, if erasures.is_empty() { 0 } else { at(erasures) });
        let arguments = [code, to(data), to(&mut parity), LEN as u64, 0, count, list, 0, 0];
        call(&kernel, "decode_rs8", &arguments) as i32
    };
    let mut data = original.clone();
    assert_eq!(decode(&mut data, &[]), 0);
    // Half as many errors as parity, anywhere.
    let mut damaged = original.clone();
    (0..ROOTS / 2).for_each(|index| damaged[index * 23 + 5] ^= 0x5a + index as u8);
    assert_eq!(decode(&mut damaged, &[]), ROOTS as i32 / 2);
    assert_eq!(damaged, original);
    // As many erasures as parity, where they are known.
    let places: Vec<i32> = (0..ROOTS as i32).map(|index| index * 12 + 3).collect();
    places.iter().for_each(|&place| damaged[place as usize] = !damaged[place as usize]);
    assert_eq!(decode(&mut damaged, &places), ROOTS as i32);
    assert_eq!(damaged, original);
    // Too many: it says so and leaves the data alone.
    (0..ROOTS).for_each(|index| damaged[index * 11] ^= 0xff);
    let hopeless = damaged.clone();
    assert_eq!(decode(&mut damaged, &[]), -74);
    assert_eq!(damaged, hopeless);

    call(&kernel, "free_rs", &[code]);
    kernel.unload("reed_solomon").unwrap();
}

const BYTES: usize = 4096;
const DATA: usize = 6;

/// Disks of an array: data, then P and Q, aligned as vector code wants them.
struct Disks(Vec<Vec<u128>>);

impl Disks {
    fn disk(&mut self, index: usize) -> &mut [u8] {
        let disk = &mut self.0[index];
        // SAFETY: a `u128` is 16 bytes, and any bytes are `u8`s.
        unsafe { std::slice::from_raw_parts_mut(disk.as_mut_ptr().cast(), BYTES) }
    }

    fn pointers(&mut self) -> Vec<u64> {
        (0..DATA + 2).map(|index| to(self.disk(index))).collect()
    }

    /// P and Q, by the definition.
    fn expected(&mut self) -> (Vec<u8>, Vec<u8>) {
        let (mut p, mut q) = (vec![0; BYTES], vec![0; BYTES]);
        for disk in (0..DATA).rev() {
            let data = self.disk(disk).to_vec();
            for offset in 0..BYTES {
                p[offset] ^= data[offset];
                q[offset] = multiply(q[offset], 2) ^ data[offset];
            }
        }
        (p, q)
    }
}

/// What a function pointer that the module exports points to.
fn pointee(kernel: &Kernel, symbol: &str, offset: u64) -> RunAddr {
    let place = kernel.symbol(symbol).unwrap().get() + offset;
    // SAFETY: the module exports a pointer, or a structure of pointers, under this name.
    RunAddr::new(unsafe { std::ptr::with_exposed_provenance::<u64>(place as usize).read() })
}

#[test]
fn raid6_recovers_lost_disks() {
    let kernel = kernel();
    let ticking = Arc::downgrade(&kernel);
    // The module's init tries its ways for some clock ticks each, and picks the fastest.
    let _ticker = Ticker::start(Duration::from_millis(1), move || {
        if let Some(kernel) = ticking.upgrade() {
            kernel.tick();
        }
    })
    .unwrap();
    kernel.load("raid6_pq").unwrap();

    let mut disks = Disks((0..DATA + 2).map(|_| vec![0_u128; BYTES / 16]).collect());
    for index in 0..DATA {
        disks.disk(index).copy_from_slice(&bytes(BYTES, index as u32 + 1));
    }
    let (p, q) = disks.expected();
    let pointers = disks.pointers();
    let run = |function, arguments: &[u64]| {
        let mut all = vec![DATA as u64 + 2, BYTES as u64];
        all.extend(arguments);
        all.push(at(&*pointers));
        // SAFETY: the module's function takes the number of disks, bytes, failed disks, and the disks.
        unsafe { kernel.call_at(function, &all) }.unwrap();
    };
    run(pointee(&kernel, "raid6_call", 0), &[]);
    assert_eq!((disks.disk(DATA), &*p), (&mut *p.clone(), &*p));
    assert_eq!((disks.disk(DATA + 1), &*q), (&mut *q.clone(), &*q));

    let recover_two = pointee(&kernel, "raid6_2data_recov", 0);
    let recover_data_and_p = pointee(&kernel, "raid6_datap_recov", 0);
    for (first, second) in [(0, 1), (1, 4), (4, 5), (0, 5)] {
        let lost = [disks.disk(first).to_vec(), disks.disk(second).to_vec()];
        disks.disk(first).fill(0xaa);
        disks.disk(second).fill(0x55);
        run(recover_two, &[first as u64, second as u64]);
        assert_eq!([disks.disk(first).to_vec(), disks.disk(second).to_vec()], lost, "disks {first} and {second}");
    }
    for failed in 0..DATA {
        let lost = disks.disk(failed).to_vec();
        disks.disk(failed).fill(0xaa);
        disks.disk(DATA).fill(0x55);
        run(recover_data_and_p, &[failed as u64]);
        assert_eq!((disks.disk(failed).to_vec(), disks.disk(DATA).to_vec()), (lost, p.clone()), "disk {failed} and P");
    }
    kernel.unload("raid6_pq").unwrap();
}
