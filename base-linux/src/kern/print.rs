//! `printk`: formatting to the console.

use crate::arch::variadic;
use crate::arch::{Gathered, VaList};
use crate::export::{Export, ExportValue};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::fmt;

/// Bytes of a line; what does not fit is dropped.
const LINE: usize = 1024;

/// A line of text of bounded length on the stack.
pub(crate) struct Line {
    bytes: [u8; LINE],
    used: usize,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; LINE], used: 0 }
    }

    /// The text so far, up to the first byte that is not UTF-8.
    pub(crate) fn as_str(&self) -> &str {
        self.bytes[..self.used].utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    fn put(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.used) {
            *slot = byte;
            self.used += 1;
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.put(byte));
    }

    /// Adds at most `limit` bytes of a string.
    ///
    /// # Safety
    /// `string` must be null or a C string, as far as the limit.
    pub(crate) unsafe fn c_string(&mut self, string: *const u8, limit: usize) {
        if string.is_null() {
            return self.text("(null)");
        }
        for offset in 0..limit.min(LINE) {
            // SAFETY: no byte before was the end.
            match unsafe { string.add(offset).read() } {
                0 => break,
                byte => self.put(byte),
            }
        }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.text(text);
        Ok(())
    }
}

/// One conversion: `%`, flags, width, precision, length, letter.
#[derive(Default)]
struct Conversion {
    left: bool,
    zero: bool,
    plus: bool,
    space: bool,
    alternate: bool,
    width: usize,
    precision: Option<usize>,
    bits: u32,
}

impl Conversion {
    /// Writes a number's digits with sign or prefix, padded.
    fn number(&self, line: &mut Line, negative: bool, mut value: u64, base: u64, upper: bool) {
        let mut digits = [0_u8; 64];
        let mut at = digits.len();
        while value != 0 || at == digits.len() {
            at -= 1;
            let digit = (value % base) as u8;
            digits[at] = match digit {
                0..=9 => b'0' + digit,
                _ => (if upper { b'A' } else { b'a' }) + digit - 10,
            };
            value /= base;
        }
        let digits = &digits[at..];
        let sign = match (negative, self.plus, self.space) {
            (true, ..) => "-",
            (_, true, _) => "+",
            (_, _, true) => " ",
            _ => "",
        };
        let prefix = match (self.alternate, base, upper) {
            (true, 16, false) => "0x",
            (true, 16, true) => "0X",
            (true, 8, _) => "0",
            _ => "",
        };
        let zeros = self.precision.unwrap_or(0).saturating_sub(digits.len());
        let pad = self.width.min(LINE).saturating_sub(digits.len() + zeros + sign.len() + prefix.len());
        let fill_zero = self.zero && !self.left && self.precision.is_none();
        if !self.left && !fill_zero {
            (0..pad).for_each(|_| line.put(b' '));
        }
        line.text(sign);
        line.text(prefix);
        (0..zeros.min(LINE) + if fill_zero { pad } else { 0 }).for_each(|_| line.put(b'0'));
        digits.iter().for_each(|&digit| line.put(digit));
        if self.left {
            (0..pad).for_each(|_| line.put(b' '));
        }
    }

    fn signed(&self, line: &mut Line, word: u64) {
        let shift = 64 - self.bits;
        let value = ((word << shift) as i64) >> shift;
        self.number(line, value < 0, value.unsigned_abs(), 10, false);
    }

    fn unsigned(&self, line: &mut Line, word: u64, base: u64, upper: bool) {
        let shift = 64 - self.bits;
        let number = Self { plus: false, space: false, ..*self };
        number.number(line, false, (word << shift) >> shift, base, upper);
    }
}

/// A place in a C string.
struct Cursor(*const u8);

impl Cursor {
    /// The byte here, and on to the next unless it is the end.
    ///
    /// # Safety
    /// The string must still be there.
    unsafe fn next(&mut self) -> u8 {
        // SAFETY: the cursor never passes the end.
        let byte = unsafe { self.0.read() };
        self.0 = self.0.wrapping_add(usize::from(byte != 0));
        byte
    }
}

/// Formats as `printk` does; pointers appear as numbers, whatever extension they ask for.
///
/// # Safety
/// `format` must be a C string, and `arguments` what it asks for.
pub(crate) unsafe fn format(line: &mut Line, format: *const u8, arguments: &mut VaList) {
    let mut text = Cursor(format);
    // SAFETY: the cursor stays at the string's end, which is where each loop stops; arguments are as the caller says.
    unsafe {
        loop {
            match text.next() {
                0 => return,
                b'%' => {}
                byte => {
                    line.put(byte);
                    continue;
                }
            }
            let mut what = Conversion { bits: 32, ..Conversion::default() };
            let mut byte = text.next();
            loop {
                match byte {
                    b'-' => what.left = true,
                    b'0' => what.zero = true,
                    b'+' => what.plus = true,
                    b' ' => what.space = true,
                    b'#' => what.alternate = true,
                    _ => break,
                }
                byte = text.next();
            }
            if byte == b'*' {
                let width = arguments.word() as i32;
                what.left |= width < 0;
                what.width = width.unsigned_abs() as usize;
                byte = text.next();
            }
            while byte.is_ascii_digit() {
                what.width = what.width.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                byte = text.next();
            }
            if byte == b'.' {
                byte = text.next();
                let mut precision = 0_usize;
                if byte == b'*' {
                    precision = (arguments.word() as i32).max(0) as usize;
                    byte = text.next();
                }
                while byte.is_ascii_digit() {
                    precision = precision.saturating_mul(10).saturating_add(usize::from(byte - b'0'));
                    byte = text.next();
                }
                what.precision = Some(precision);
            }
            loop {
                match byte {
                    b'h' => what.bits /= 2,
                    b'l' | b'q' | b'L' | b'z' | b'Z' | b't' | b'j' => what.bits = 64,
                    _ => break,
                }
                byte = text.next();
            }
            what.bits = what.bits.max(8);
            match byte {
                0 => return,
                b'd' | b'i' => what.signed(line, arguments.word()),
                b'u' => what.unsigned(line, arguments.word(), 10, false),
                b'x' => what.unsigned(line, arguments.word(), 16, false),
                b'X' => what.unsigned(line, arguments.word(), 16, true),
                b'o' => what.unsigned(line, arguments.word(), 8, false),
                b'c' => line.put(arguments.word() as u8),
                b'p' => {
                    let word = arguments.word();
                    Conversion { bits: 64, alternate: true, ..what }.unsigned(line, word, 16, false);
                    // The extension.
                    while text.0.read().is_ascii_alphanumeric() {
                        text.next();
                    }
                }
                b's' => {
                    let string = core::ptr::with_exposed_provenance(arguments.word() as usize);
                    let before = line.used;
                    if what.left || what.width == 0 {
                        line.c_string(string, what.precision.unwrap_or(usize::MAX));
                        let written = line.used - before;
                        (written..what.width.min(LINE)).for_each(|_| line.put(b' '));
                    } else {
                        let mut padded = Line::new();
                        padded.c_string(string, what.precision.unwrap_or(usize::MAX));
                        (padded.used..what.width.min(LINE)).for_each(|_| line.put(b' '));
                        padded.bytes[..padded.used].iter().for_each(|&byte| line.put(byte));
                    }
                }
                b'%' => line.put(b'%'),
                other => {
                    line.put(b'%');
                    line.put(other);
                }
            }
        }
    }
}

/// Writes what was printed without its level.
fn write(line: &Line) {
    let text = line.as_str();
    let text = text.strip_prefix('\u{1}').map_or(text, |rest| rest.get(1..).unwrap_or(""));
    kernel().print(text);
}

unsafe extern "C" fn printk(gathered: &Gathered) -> i32 {
    let mut line = Line::new();
    let mut arguments = gathered.list();
    // SAFETY: module code passes a format and its arguments.
    unsafe {
        let form = core::ptr::with_exposed_provenance(arguments.word() as usize);
        format(&mut line, form, &mut arguments);
    }
    write(&line);
    line.used as i32
}

unsafe extern "C" fn snprintf(gathered: &Gathered) -> i32 {
    let mut line = Line::new();
    let mut arguments = gathered.list();
    // SAFETY: module code passes a buffer, its size, a format and its arguments.
    unsafe {
        let buffer: *mut u8 = core::ptr::with_exposed_provenance_mut(arguments.word() as usize);
        let size = arguments.word() as usize;
        let form = core::ptr::with_exposed_provenance(arguments.word() as usize);
        format(&mut line, form, &mut arguments);
        if let Some(last) = size.checked_sub(1) {
            let length = line.used.min(last);
            core::ptr::copy_nonoverlapping(line.bytes.as_ptr(), buffer, length);
            buffer.add(length).write(0);
        }
    }
    line.used as i32
}

/// Adds the services.
pub(super) fn exports(out: &mut Vec<Export>) {
    out.extend([
        Export { name: "_printk", value: ExportValue::Function(variadic!(printk)) },
        Export { name: "__warn_printk", value: ExportValue::Function(variadic!(printk)) },
        Export { name: "snprintf", value: ExportValue::Function(variadic!(snprintf)) },
    ]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::ToOwned;
    use std::ffi::CString;
    use std::string::String;

    fn formatted(form: &str, words: &[u64]) -> String {
        let form = CString::new(form).unwrap();
        let mut registers = [0; 6];
        let in_registers = words.len().min(6);
        registers[..in_registers].copy_from_slice(&words[..in_registers]);
        let stack = &words[in_registers..];
        let mut line = Line::new();
        let mut list = Gathered { registers: registers.as_ptr(), stack: stack.as_ptr() }.list();
        // SAFETY: the tests pass what their formats ask for.
        unsafe { format(&mut line, form.as_ptr().cast(), &mut list) };
        line.as_str().to_owned()
    }

    #[test]
    fn numbers_as_c_writes_them() {
        assert_eq!(formatted("%d %u", &[u64::MAX, u64::MAX]), "-1 4294967295");
        assert_eq!(formatted("%5d|%-5d|%05d|%+d", &[42, 42, u64::MAX - 6, 3]), "   42|42   |-0007|+3");
        assert_eq!(formatted("%lld %#llx %llX %o", &[1 << 40, 0xabcd, 0xabcd, 8]), "1099511627776 0xabcd ABCD 10");
        assert_eq!(formatted("%hhx %hd %zu", &[0x1ff, 0x1_8000, 7]), "ff -32768 7");
        assert_eq!(formatted("%.3d|%8.4x|%*d", &[7, 0xab, 4, 9]), "007|    00ab|   9");
    }

    #[test]
    fn seventh_and_later_arguments_come_from_the_stack() {
        assert_eq!(formatted("%d%d%d%d%d%d%d%d", &[1, 2, 3, 4, 5, 6, 7, 8]), "12345678");
    }

    #[test]
    fn text_pointers_and_oddities() {
        let text = c"sample".as_ptr().expose_provenance() as u64;
        assert_eq!(formatted("%s|%.3s|%8s|%-8s|%s", &[text, text, text, text, 0]), "sample|sam|  sample|sample  |(null)");
        assert_eq!(formatted("%pS and %p!", &[0x10, 0x20]), "0x10 and 0x20!");
        assert_eq!(formatted("100%% %c %y %", &[u64::from(b'x')]), "100% x %y ");
    }
}
