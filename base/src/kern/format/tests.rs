use super::{Sink, bits, format};
use crate::arch::VaList;
use core::ffi::CStr;
use std::string::String;
use std::vec::Vec;

impl Sink for Vec<u8> {
    fn put(&mut self, byte: u8) {
        self.push(byte);
    }
}

#[cfg(target_pointer_width = "64")]
type Slot = u64;
#[cfg(target_pointer_width = "32")]
type Slot = u32;

fn text(form: &CStr, arguments: &[Slot]) -> String {
    let mut out = Vec::new();
    let mut list = VaList::of(arguments);
    // SAFETY: each case below passes the arguments its format asks for.
    let count = unsafe { format(&mut out, form.as_ptr().cast(), &mut list) };
    assert_eq!(count, out.len());
    String::from_utf8(out).unwrap()
}

#[test]
fn integers() {
    assert_eq!(text(c"%d %i %u", &[-5i32 as Slot, 7, -1i32 as Slot]), "-5 7 4294967295");
    assert_eq!(text(c"[%5d|%-5d|%05d|%+d|% d]", &[42, 42, -42i32 as Slot, 42, 42]), "[   42|42   |-0042|+42| 42]");
    assert_eq!(text(c"%x %X %#x %#o %o", &[255, 255, 255, 8, 8]), "ff FF 0xff 010 10");
    assert_eq!(text(c"%.3d %.0d|%8.3x", &[5, 0, 0xab]), "005 |     0ab");
    assert_eq!(text(c"%hhd %hu %zu", &[0x1ff, 0x1_2345, 9]), "-1 9029 9");
    assert_eq!(text(c"%*d|%-*d|%.*d", &[4, 1, 4, 2, 3, 3]), "   1|2   |003");
}

#[test]
#[cfg(target_pointer_width = "64")]
fn wide_integers() {
    assert_eq!(
        text(c"%lld %ju %qx %lu", &[i64::MIN as u64, u64::MAX, 1 << 40, 1 << 33]),
        "-9223372036854775808 18446744073709551615 10000000000 8589934592"
    );
    assert_eq!(text(c"%p %p", &[0xdead_beef_0000, 0]), "0xdeadbeef0000 0x0");
}

#[test]
fn strings() {
    let word = c"module".as_ptr() as Slot;
    assert_eq!(text(c"%s|%.3s|%8s|%-8s|%c%%", &[word, word, word, word, Slot::from(b'x')]), "module|mod|  module|module  |x%");
    assert_eq!(text(c"%s", &[0]), "(null)");
    let unended = [b'a'; 4];
    assert_eq!(text(c"%.*s", &[4, unended.as_ptr() as Slot]), "aaaa");
}

#[test]
fn hostile_formats_end() {
    assert_eq!(text(c"%", &[]), "%");
    assert_eq!(text(c"%5", &[]), "%5");
    assert_eq!(text(c"%k%-.l", &[]), "%k%-.l");
    assert_eq!(text(c"%999999999999d", &[1]).len(), 4096);
    assert_eq!(text(c"%.99999x", &[1]).len(), 4096);
    assert_eq!(text(c"%*d", &[i32::MIN as u32 as Slot, 1]).len(), 4096);
}

fn field(notation: &[u8], value: u64) -> String {
    let mut out = Vec::new();
    // SAFETY: the notations below end as they must.
    unsafe { bits(&mut out, notation.as_ptr(), value) };
    String::from_utf8(out).unwrap()
}

#[test]
fn bit_fields() {
    assert_eq!(field(b"\x08\x01ONE\x02TWO\x03FOUR\0", 5), "05<ONE,FOUR>");
    assert_eq!(field(b"\x10\x80b\x00LOW\0b\x1fTOP\0\0", 0x8000_0001), "0x80000001<LOW,TOP>");
    assert_eq!(field(b"\x10\x80f\x04\x04MODE\0=\x03THREE\0\0", 0x30), "0x30<MODE=0x3=THREE>");
    assert_eq!(field(b"\x0a\x01A\0", 0), "0");
}
