//! The format language of the kernel's printf family.

use crate::arch::VaList;

/// Padding and precision are cut off here: a hostile format string costs no more than this per directive.
const WIDEST: usize = 4096;

/// Where formatted bytes go.
pub(crate) trait Sink {
    /// Takes the next byte.
    fn put(&mut self, byte: u8);
}

#[derive(Clone, Copy, Default)]
struct Directive {
    alternate: bool,
    left: bool,
    sign: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    length: Length,
    /// Shown as an address: the prefix stands before zero too.
    address: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Length {
    Char,
    Short,
    #[default]
    Int,
    Long,
    Quad,
}

struct Counting<'a> {
    sink: &'a mut dyn Sink,
    count: usize,
}

impl Counting<'_> {
    fn put(&mut self, byte: u8) {
        self.sink.put(byte);
        self.count += 1;
    }

    fn pad(&mut self, byte: u8, times: usize) {
        for _ in 0..times {
            self.put(byte);
        }
    }
}

/// Formats into `sink` and returns the number of bytes put there.
///
/// Known: flags `# 0 - + space`, width, precision (`*` too), lengths `hh h l ll q j z t`, conversions
/// `d i u o x X p c s n %`. Anything else is copied as it stands and takes no argument.
///
/// # Safety
/// `format` must be a string ended by NUL, and `arguments` must hold what its directives ask for.
pub(crate) unsafe fn format(sink: &mut dyn Sink, mut format: *const u8, arguments: &mut VaList) -> usize {
    let mut out = Counting { sink, count: 0 };
    // SAFETY: reading stops at the NUL; arguments are taken as the format says.
    unsafe {
        loop {
            let byte = format.read();
            if byte == 0 {
                return out.count;
            }
            format = format.add(1);
            if byte == b'%' {
                format = directive(&mut out, format, arguments);
            } else {
                out.put(byte);
            }
        }
    }
}

/// One directive after its `%`; returns where the format goes on.
///
/// # Safety
/// As [`format`].
unsafe fn directive(out: &mut Counting<'_>, start: *const u8, arguments: &mut VaList) -> *const u8 {
    let mut spec = Directive::default();
    let mut at = start;
    // SAFETY: the string ends with NUL, and no branch steps past it.
    unsafe {
        loop {
            match at.read() {
                b'#' => spec.alternate = true,
                b'-' => spec.left = true,
                b'+' => spec.sign = true,
                b' ' => spec.space = true,
                b'0' => spec.zero = true,
                _ => break,
            }
            at = at.add(1);
        }
        if at.read() == b'*' {
            let width = arguments.int();
            spec.left |= width < 0;
            spec.width = (width.unsigned_abs() as usize).min(WIDEST);
            at = at.add(1);
        } else {
            (spec.width, at) = number(at);
        }
        if at.read() == b'.' {
            at = at.add(1);
            if at.read() == b'*' {
                spec.precision = usize::try_from(arguments.int()).ok().map(|precision| precision.min(usize::MAX >> 1));
                at = at.add(1);
            } else {
                let (precision, after) = number(at);
                spec.precision = Some(precision);
                at = after;
            }
        }
        at = length(&mut spec, at);
        let conversion = at.read();
        match conversion {
            b'd' | b'i' => {
                let value = signed(spec.length, arguments);
                let sign = if value < 0 {
                    Some(b'-')
                } else if spec.sign {
                    Some(b'+')
                } else {
                    spec.space.then_some(b' ')
                };
                integer(out, spec, value.unsigned_abs(), 10, false, sign);
            }
            b'u' => integer(out, spec, unsigned(spec.length, arguments), 10, false, None),
            b'o' => integer(out, spec, unsigned(spec.length, arguments), 8, false, None),
            b'x' | b'X' => integer(out, spec, unsigned(spec.length, arguments), 16, conversion == b'X', None),
            b'p' => {
                let value = arguments.word() as u64;
                integer(out, Directive { address: true, ..spec }, value, 16, false, None);
            }
            b'c' => {
                let byte = arguments.int() as u8;
                text(out, spec, &raw const byte, 1);
            }
            b's' => {
                let mut string = arguments.pointer::<u8>().cast_const();
                if string.is_null() {
                    string = c"(null)".as_ptr().cast();
                }
                let length = super::string::bounded_length(string, spec.precision.unwrap_or(usize::MAX));
                text(out, spec, string, length);
            }
            b'n' => {
                let count: *mut i32 = arguments.pointer();
                match spec.length {
                    Length::Quad => count.cast::<i64>().write_unaligned(out.count as i64),
                    Length::Long => count.cast::<isize>().write_unaligned(out.count as isize),
                    _ => count.write_unaligned(out.count as i32),
                }
            }
            b'%' => out.put(b'%'),
            _ => {
                // Unknown: show it, and leave the NUL of a cut-off format to the caller.
                out.put(b'%');
                let mut copy = start;
                while copy < at {
                    out.put(copy.read());
                    copy = copy.add(1);
                }
                return at;
            }
        }
        at.add(1)
    }
}

/// # Safety
/// `at` must be inside a string ended by NUL.
unsafe fn number(mut at: *const u8) -> (usize, *const u8) {
    let mut value = 0usize;
    // SAFETY: reading stops at the first byte that is no digit, the NUL at last.
    unsafe {
        while at.read().is_ascii_digit() {
            value = (value * 10 + usize::from(at.read() - b'0')).min(WIDEST);
            at = at.add(1);
        }
    }
    (value, at)
}

/// # Safety
/// As [`number`].
unsafe fn length(spec: &mut Directive, mut at: *const u8) -> *const u8 {
    // SAFETY: as the caller says.
    unsafe {
        loop {
            spec.length = match (at.read(), spec.length) {
                (b'h', Length::Short) => Length::Char,
                (b'h', _) => Length::Short,
                (b'l', Length::Long) | (b'q' | b'j', _) => Length::Quad,
                (b'l' | b'z' | b't', _) => Length::Long,
                _ => return at,
            };
            at = at.add(1);
        }
    }
}

/// # Safety
/// The list's next argument must be an integer of that length.
unsafe fn signed(length: Length, arguments: &mut VaList) -> i64 {
    // SAFETY: as the caller says.
    unsafe {
        match length {
            Length::Char => i64::from(arguments.int() as i8),
            Length::Short => i64::from(arguments.int() as i16),
            Length::Int => i64::from(arguments.int()),
            Length::Long => arguments.word() as isize as i64,
            Length::Quad => arguments.wide() as i64,
        }
    }
}

/// # Safety
/// As [`signed`].
unsafe fn unsigned(length: Length, arguments: &mut VaList) -> u64 {
    // SAFETY: as the caller says.
    unsafe {
        match length {
            Length::Char => u64::from(arguments.int() as u8),
            Length::Short => u64::from(arguments.int() as u16),
            Length::Int => u64::from(arguments.int() as u32),
            Length::Long => arguments.word() as u64,
            Length::Quad => arguments.wide(),
        }
    }
}

fn integer(out: &mut Counting<'_>, spec: Directive, value: u64, base: u64, upper: bool, sign: Option<u8>) {
    // 64 bits in base 8 are 22 digits.
    let mut digits = [0u8; 22];
    let mut first = digits.len();
    let mut rest = value;
    while rest != 0 {
        first -= 1;
        let digit = (rest % base) as u8;
        digits[first] = match digit {
            0..=9 => b'0' + digit,
            _ if upper => b'A' + digit - 10,
            _ => b'a' + digit - 10,
        };
        rest /= base;
    }
    let digits = &digits[first..];
    // No digit at all for zero with precision 0; `%#o` asks for one leading zero.
    let mut least = spec.precision.unwrap_or(1).min(WIDEST);
    if spec.alternate && base == 8 {
        least = least.max(digits.len() + 1);
    }
    let prefix: &[u8] = match base {
        16 if spec.address || (spec.alternate && value != 0) => {
            if upper {
                b"0X"
            } else {
                b"0x"
            }
        }
        _ => b"",
    };
    let taken = usize::from(sign.is_some()) + prefix.len();
    let mut zeros = least.saturating_sub(digits.len());
    if spec.zero && !spec.left && spec.precision.is_none() {
        zeros = zeros.max(spec.width.saturating_sub(taken + digits.len()));
    }
    let blanks = spec.width.saturating_sub(taken + zeros + digits.len());
    if !spec.left {
        out.pad(b' ', blanks);
    }
    if let Some(sign) = sign {
        out.put(sign);
    }
    for &byte in prefix {
        out.put(byte);
    }
    out.pad(b'0', zeros);
    for &byte in digits {
        out.put(byte);
    }
    if spec.left {
        out.pad(b' ', blanks);
    }
}

/// # Safety
/// `length` bytes must be readable at `bytes`.
unsafe fn text(out: &mut Counting<'_>, spec: Directive, bytes: *const u8, length: usize) {
    let blanks = spec.width.saturating_sub(length);
    if !spec.left {
        out.pad(b' ', blanks);
    }
    for at in 0..length {
        // SAFETY: below the length the caller vouches for.
        out.put(unsafe { bytes.add(at).read() });
    }
    if spec.left {
        out.pad(b' ', blanks);
    }
}

/// Formats a number as NetBSD's bit-field notation does: the value, then the names of its set bits in angle brackets.
///
/// `notation` starts with the base (8, 10 or 16 as a byte). In the old style, each entry is a bit number counted from 1 and
/// a name of printing characters. In the new style (second byte 0x80), entries are strings ended by NUL: `b` + bit
/// counted from 0 + name; `f` or `F` + first bit + width, then for `f` a name, with the field's value shown; `=` + value +
/// name after a field; `:` + value + name after `F`. The notation ends with an empty entry.
///
/// # Safety
/// `notation` must be such a string.
pub(crate) unsafe fn bits(sink: &mut dyn Sink, notation: *const u8, value: u64) -> usize {
    let mut out = Counting { sink, count: 0 };
    // SAFETY: reading stops at the notation's end.
    unsafe {
        let base = match notation.read() {
            8 => 8,
            16 => 16,
            _ => 10,
        };
        integer(&mut out, Directive { alternate: true, ..Directive::default() }, value, base, false, None);
        let rest = notation.add(1);
        let mut open = false;
        if rest.read() == 0x80 {
            bits_new(&mut out, rest.add(1), value, &mut open);
        } else {
            bits_old(&mut out, rest, value, &mut open);
        }
        if open {
            out.put(b'>');
        }
        out.count
    }
}

fn separator(out: &mut Counting<'_>, open: &mut bool) {
    out.put(if *open { b',' } else { b'<' });
    *open = true;
}

/// # Safety
/// As [`bits`].
unsafe fn bits_old(out: &mut Counting<'_>, mut at: *const u8, value: u64, open: &mut bool) {
    // SAFETY: reading stops at the NUL.
    unsafe {
        while at.read() != 0 {
            let bit = u32::from(at.read()).wrapping_sub(1);
            at = at.add(1);
            let set = bit < 64 && value >> bit & 1 != 0;
            if set {
                separator(out, open);
            }
            while at.read() > b' ' {
                if set {
                    out.put(at.read());
                }
                at = at.add(1);
            }
        }
    }
}

/// # Safety
/// As [`bits`].
unsafe fn bits_new(out: &mut Counting<'_>, mut at: *const u8, value: u64, open: &mut bool) {
    let mut field = 0u64;
    // SAFETY: each entry ends with NUL, and the last one is empty.
    unsafe {
        while at.read() != 0 {
            let kind = at.read();
            let first = u32::from(at.add(1).read());
            at = at.add(2);
            let show = match kind {
                b'b' => {
                    let set = value.checked_shr(first).unwrap_or(0) & 1 != 0;
                    if set {
                        separator(out, open);
                    }
                    set
                }
                b'f' | b'F' => {
                    let width = u32::from(at.read());
                    at = at.add(1);
                    let mask = if width >= 64 { u64::MAX } else { (1 << width) - 1 };
                    field = value.checked_shr(first).unwrap_or(0) & mask;
                    if kind == b'f' {
                        separator(out, open);
                    }
                    kind == b'f'
                }
                b'=' | b':' => {
                    let matches = field == u64::from(first);
                    if matches && kind == b'=' {
                        out.put(b'=');
                    } else if matches {
                        separator(out, open);
                    }
                    matches
                }
                _ => false,
            };
            while at.read() != 0 {
                if show {
                    out.put(at.read());
                }
                at = at.add(1);
            }
            at = at.add(1);
            if kind == b'f' {
                out.put(b'=');
                integer(out, Directive { alternate: true, ..Directive::default() }, field, 16, false, None);
            }
        }
    }
}

#[cfg(test)]
mod tests;
