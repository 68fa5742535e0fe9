//! The printf family: formatting to the console and to memory.

use super::format::{Sink, bits, format};
use crate::arch::{VaList, variadic};
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::fmt;

/// Bytes of console output gathered before they are written.
const CHUNK: usize = 512;

/// A line of text of bounded length on the stack. What does not fit is dropped.
pub(crate) struct Line {
    bytes: [u8; CHUNK],
    used: usize,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; CHUNK], used: 0 }
    }

    /// The text so far, up to the first byte that is not UTF-8.
    pub(crate) fn as_str(&self) -> &str {
        self.bytes[..self.used].utf8_chunks().next().map_or("", |chunk| chunk.valid())
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

impl Sink for Line {
    fn put(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.used) {
            *slot = byte;
            self.used += 1;
        }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.put(byte));
        Ok(())
    }
}

/// Formats into a line; returns the length of the whole text.
///
/// # Safety
/// As [`format`].
pub(crate) unsafe fn format_into(line: &mut Line, form: *const u8, arguments: &mut VaList) -> i32 {
    // SAFETY: as the caller says.
    unsafe { format(line, form, arguments) as i32 }
}

/// Writes a line of the base kernel's own to the console.
pub(crate) fn console_line(text: &str) {
    let console = &kernel().instance().host().console;
    console.write(text);
    console.write("\n");
}

/// Gathers formatted bytes and writes them to the console in pieces.
struct Console {
    line: Line,
}

impl Console {
    fn flush(&mut self) {
        let console = &kernel().instance().host().console;
        for chunk in self.line.bytes().utf8_chunks() {
            console.write(chunk.valid());
            if !chunk.invalid().is_empty() {
                console.write("\u{fffd}");
            }
        }
        self.line.used = 0;
    }
}

impl Sink for Console {
    fn put(&mut self, byte: u8) {
        // A full chunk is written before a byte that starts a character, so that no character is cut in two.
        if self.line.used == CHUNK || (self.line.used > CHUNK - 4 && byte & 0xc0 != 0x80) {
            self.flush();
        }
        self.line.put(byte);
    }
}

/// Formats to the console.
///
/// # Safety
/// As [`format`].
pub(crate) unsafe fn console_format(form: *const u8, arguments: &mut VaList) -> i32 {
    let mut console = Console { line: Line::new() };
    // SAFETY: as the caller says.
    let count = unsafe { format(&mut console, form, arguments) };
    console.flush();
    count as i32
}

/// A buffer of a C caller: keeps what fits and always ends with NUL.
struct Bounded {
    buffer: *mut u8,
    size: usize,
    used: usize,
}

impl Bounded {
    fn finish(&self) {
        if self.size > 0 {
            // SAFETY: the position is inside the buffer, which the caller vouched for.
            unsafe { self.buffer.add(self.used.min(self.size - 1)).write(0) };
        }
    }
}

impl Sink for Bounded {
    fn put(&mut self, byte: u8) {
        if self.used + 1 < self.size {
            // SAFETY: inside the buffer that the C caller passed with this size.
            unsafe { self.buffer.add(self.used).write(byte) };
            self.used += 1;
        }
    }
}

/// # Safety
/// `buffer` must have `size` writable bytes; the rest as [`format`].
unsafe fn bounded(buffer: *mut u8, size: usize, form: *const u8, arguments: &mut VaList) -> i32 {
    let mut out = Bounded { buffer, size, used: 0 };
    // SAFETY: as the caller says.
    let count = unsafe { format(&mut out, form, arguments) };
    out.finish();
    i32::try_from(count).unwrap_or(i32::MAX)
}

unsafe extern "C" fn printf_list(arguments: *mut VaList) -> i32 {
    // SAFETY: the entry made the list; its first argument is the format.
    unsafe {
        let arguments = &mut *arguments;
        let form = arguments.pointer();
        console_format(form, arguments)
    }
}

unsafe extern "C" fn vprintf(form: *const u8, list: *mut u8) -> i32 {
    // SAFETY: module code passed a format and its list.
    unsafe { VaList::from_parameter(list, |arguments| console_format(form, arguments)) }
}

unsafe extern "C" fn snprintf_list(arguments: *mut VaList) -> i32 {
    // SAFETY: the entry made the list: buffer, size, format.
    unsafe {
        let arguments = &mut *arguments;
        let (buffer, size, form) = (arguments.pointer(), arguments.word(), arguments.pointer());
        bounded(buffer, size, form, arguments)
    }
}

unsafe extern "C" fn vsnprintf(buffer: *mut u8, size: usize, form: *const u8, list: *mut u8) -> i32 {
    // SAFETY: module code passed a buffer, a format and its list.
    unsafe { VaList::from_parameter(list, |arguments| bounded(buffer, size, form, arguments)) }
}

unsafe extern "C" fn sprintf_list(arguments: *mut VaList) -> i32 {
    // SAFETY: the entry made the list: buffer, format. The caller promises a buffer that is long enough.
    unsafe {
        let arguments = &mut *arguments;
        let (buffer, form) = (arguments.pointer(), arguments.pointer());
        bounded(buffer, isize::MAX as usize, form, arguments)
    }
}

unsafe extern "C" fn vsprintf(buffer: *mut u8, form: *const u8, list: *mut u8) -> i32 {
    // SAFETY: as `sprintf`.
    unsafe { VaList::from_parameter(list, |arguments| bounded(buffer, isize::MAX as usize, form, arguments)) }
}

unsafe extern "C" fn snprintb(buffer: *mut u8, size: usize, notation: *const u8, value: u64) -> i32 {
    let mut out = Bounded { buffer, size, used: 0 };
    // SAFETY: module code passed a buffer and a notation.
    let count = unsafe { bits(&mut out, notation, value) };
    out.finish();
    i32::try_from(count).unwrap_or(i32::MAX)
}

variadic!(printf => printf_list);
variadic!(snprintf => snprintf_list);
variadic!(sprintf => sprintf_list);

pub(crate) const EXPORTS: &[Export] = &[
    function!("printf", printf),
    function!("printf_nolog", printf),
    function!("vprintf", vprintf),
    function!("snprintf", snprintf),
    function!("vsnprintf", vsnprintf),
    function!("sprintf", sprintf),
    function!("vsprintf", vsprintf),
    function!("snprintb", snprintb),
];
