//! `Module.symvers`: what a kernel and its modules export.

use core::fmt;

/// A line of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symver<'a> {
    /// The symbol's name.
    pub name: &'a str,
    /// The checksum of its type.
    pub crc: u32,
    /// Who exports it: `vmlinux`, or a module's path without suffix.
    pub module: &'a str,
    /// True if only GPL modules may use it.
    pub gpl: bool,
    /// The namespace that users have to import; empty for none.
    pub namespace: &'a str,
}

/// A line that is none of the file's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// Counted from 1.
    pub line: usize,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: not `checksum symbol module EXPORT_SYMBOL[_GPL] [namespace]`, separated by tabs", self.line)
    }
}

impl core::error::Error for BadLine {}

/// The lines of `text`.
pub fn symvers(text: &str) -> impl Iterator<Item = Result<Symver<'_>, BadLine>> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(index, line)| parse(line).ok_or(BadLine { line: index + 1 }))
}

fn parse(line: &str) -> Option<Symver<'_>> {
    let mut fields = line.split('\t');
    let crc = u32::from_str_radix(fields.next()?.strip_prefix("0x")?, 16).ok()?;
    let (name, module, kind) = (fields.next()?, fields.next()?, fields.next()?);
    let gpl = match kind {
        "EXPORT_SYMBOL" => false,
        "EXPORT_SYMBOL_GPL" => true,
        _ => return None,
    };
    let namespace = fields.next().unwrap_or("");
    let complete = !name.is_empty() && fields.next().is_none();
    complete.then_some(Symver { name, crc, module, gpl, namespace })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_and_without_namespace() {
        let text = "0x9cf3a2ab\tusb_x\tdrivers/usb/core\tEXPORT_SYMBOL_GPL\tUSB_STORAGE\n\n0x00000001\tmemcpy\tvmlinux\tEXPORT_SYMBOL\t\n";
        let lines: Result<std::vec::Vec<_>, _> = symvers(text).collect();
        let lines = lines.unwrap();
        assert_eq!((lines[0].crc, lines[0].gpl, lines[0].namespace), (0x9cf3_a2ab, true, "USB_STORAGE"));
        assert_eq!((lines[1].name, lines[1].module, lines[1].gpl, lines[1].namespace), ("memcpy", "vmlinux", false, ""));
    }

    #[test]
    fn other_lines_are_refused_with_their_number() {
        for bad in ["memcpy", "0x1\ta\tb", "1\ta\tb\tEXPORT_SYMBOL", "0x1\ta\tb\tEXPORT\t", "0x1\ta\tb\tEXPORT_SYMBOL\tc\td"] {
            let text = std::format!("\n{bad}\n");
            assert_eq!(symvers(&text).next(), Some(Err(BadLine { line: 2 })), "{bad}");
        }
    }
}
