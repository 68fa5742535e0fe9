//! Words as a reader knows them again: small numbers, strings of modules, stand-ins for addresses.

use crate::kernel::kernel;
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt::Write;
use rumpload::registry::Code;

/// Longest string shown, in bytes.
const LONGEST: usize = 40;
/// Numbers up to here are shown in decimal.
const SMALL: usize = 9999;

/// Addresses seen so far; the first is P1.
#[derive(Default)]
pub(super) struct Names(BTreeMap<usize, usize>);

impl Names {
    /// A word: an address, or a number.
    pub(super) fn shown(&mut self, word: usize) -> String {
        let mut text = String::new();
        // A string grows: writing to it does not fail.
        let _ = if is_address(word) {
            let next = self.0.len() + 1;
            write!(text, "P{}", self.0.entry(word).or_insert(next))
        } else if let Some(negative) = negative(word) {
            write!(text, "{negative}")
        } else if word <= SMALL {
            write!(text, "{word}")
        } else {
            write!(text, "{word:#x}")
        };
        text
    }
}

/// A small negative number, of an int's width or a word's.
fn negative(word: usize) -> Option<i64> {
    let wide = word as isize as i64;
    let number = if u32::try_from(word).is_ok() { i64::from(word as u32 as i32) } else { wide };
    (-(SMALL as i64)..0).contains(&number).then_some(number)
}

/// Whether a word is likely an address: in module memory, or where heaps and stacks lie.
fn is_address(word: usize) -> bool {
    let high = match size_of::<usize>() {
        8 => (1 << 32..1 << 47).contains(&(word as u64)),
        _ => (0x0800_0000..0xffff_0000).contains(&(word as u64)),
    };
    high || is_module(word)
}

/// Whether an address lies in the memory of a module.
pub(super) fn is_module(address: usize) -> bool {
    rest_of_module(address) > 0
}

/// Bytes from `address` to the end of the module it lies in.
fn rest_of_module(address: usize) -> usize {
    let mut rest = 0;
    if rumpload::context() != 0 {
        kernel().instance().visit_code(&mut |code| {
            if let Code::Module { address: start, size, .. } = code
                && let Some(at) = (address as u64).checked_sub(start.get())
                && at < size
            {
                rest = (size - at) as usize;
            }
        });
    }
    rest
}

/// The string at an address of a module's, if there is a printable one.
fn string(address: usize) -> Option<String> {
    let bound = rest_of_module(address).min(LONGEST + 1);
    let mut text = String::new();
    for at in 0..bound {
        // SAFETY: the byte lies in the module's memory, which is readable.
        match unsafe { (address as *const u8).add(at).read() } {
            0 => return (text.len() > 2).then_some(text),
            byte if byte == b' ' || byte.is_ascii_graphic() => text.push(char::from(byte)),
            _ => return None,
        }
    }
    None
}

/// `name(1, "two", P3)`.
pub(super) fn call(name: &str, words: &[usize], names: &mut Names) -> String {
    let mut text = String::from(name);
    text.push('(');
    for (at, &word) in words.iter().enumerate() {
        if at > 0 {
            text.push_str(", ");
        }
        match string(word) {
            Some(found) => {
                let _ = write!(text, "\"{found}\"");
            }
            None => text.push_str(&names.shown(word)),
        }
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use super::Names;

    #[test]
    fn addresses_get_names_that_stay() {
        let mut names = Names::default();
        let address = (&raw const names).addr();
        let words = [0, 12, 9999, 0x2_0002, u32::MAX as usize, usize::MAX - 1, address, address + 8, address];
        let shown = words.map(|word| names.shown(word));
        assert_eq!(shown, ["0", "12", "9999", "0x20002", "-1", "-2", "P1", "P2", "P1"]);
    }
}
