//! Relocatable objects made in memory, for tests.

use crate::image::Format;
use alloc::string::String;
use alloc::vec::Vec;

/// A section being made.
pub(crate) struct MadeSection {
    name: &'static str,
    kind: u32,
    flags: u64,
    data: Vec<u8>,
    align: u64,
    link: u32,
    info: u32,
    entry: u64,
}

struct MadeSymbol {
    name: &'static str,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
}

/// An object being made. Section and symbol numbers are those of the finished file.
pub(crate) struct Object {
    format: Format,
    machine: u16,
    sections: Vec<MadeSection>,
    symbols: Vec<MadeSymbol>,
    /// Target section, offset, symbol, type, addend.
    relocations: Vec<(u32, u64, u32, u32, i64)>,
    explicit: bool,
}

pub(crate) const PROGBITS: u32 = 1;
pub(crate) const CODE: u64 = 6;
pub(crate) const READ: u64 = 2;
pub(crate) const WRITE: u64 = 3;
pub(crate) const UNDEFINED: u16 = 0;
pub(crate) const GLOBAL: u8 = 0x10;
pub(crate) const WEAK: u8 = 0x20;
pub(crate) const LOCAL: u8 = 0;

impl Object {
    /// An empty object for ELF machine number `machine`; relocations carry addends if `explicit`.
    pub fn new(machine: u16, wide: bool, big: bool, explicit: bool) -> Self {
        let format = Format::new(wide, big);
        Self { format, machine, sections: Vec::new(), symbols: Vec::new(), relocations: Vec::new(), explicit }
    }

    /// Adds a section; gives its number.
    pub fn section(&mut self, name: &'static str, flags: u64, data: &[u8]) -> u16 {
        let made = MadeSection { name, kind: PROGBITS, flags, data: data.into(), align: 8, link: 0, info: 0, entry: 0 };
        self.sections.push(made);
        self.sections.len() as u16
    }

    /// Adds a symbol (binding and type in `info`); gives its number.
    pub fn symbol(&mut self, name: &'static str, info: u8, section: u16, value: u64) -> u32 {
        self.symbols.push(MadeSymbol { name, info, other: 0, section, value });
        self.symbols.len() as u32
    }

    /// Sets `st_other` of the last symbol.
    pub fn other(&mut self, other: u8) {
        if let Some(symbol) = self.symbols.last_mut() {
            symbol.other = other;
        }
    }

    /// Adds a relocation of `section`.
    pub fn relocation(&mut self, section: u16, offset: u64, symbol: u32, kind: u32, addend: i64) {
        self.relocations.push((u32::from(section), offset, symbol, kind, addend));
    }

    fn put(&self, out: &mut Vec<u8>, width: usize, value: u64) {
        let (little, big) = (value.to_le_bytes(), value.to_be_bytes());
        out.extend_from_slice(if self.format.order.big { &big[8 - width..] } else { &little[..width] });
    }

    /// The bytes of the file.
    pub fn finish(mut self) -> Vec<u8> {
        let word = self.format.pointer_size() as usize;
        let count = self.sections.len();
        let symtab = (count + 1) as u32;
        let mut targets: Vec<u32> = self.relocations.iter().map(|relocation| relocation.0).collect();
        targets.dedup();
        let (mut strings, mut symbols) = (String::from("\0"), alloc::vec![0; self.format.symbol_size()]);
        for symbol in &self.symbols {
            let name = if symbol.name.is_empty() { 0 } else { strings.len() as u64 };
            strings.push_str(symbol.name);
            strings.push('\0');
            self.put(&mut symbols, 4, name);
            if word == 4 {
                self.put(&mut symbols, 4, symbol.value);
                self.put(&mut symbols, 4, 0);
            }
            symbols.extend_from_slice(&[symbol.info, symbol.other]);
            self.put(&mut symbols, 2, u64::from(symbol.section));
            if word == 8 {
                self.put(&mut symbols, 8, symbol.value);
                self.put(&mut symbols, 8, 0);
            }
        }
        let plain = |name, kind, data| MadeSection { name, kind, flags: 0, data, align: 8, link: 0, info: 0, entry: 0 };
        let entry = self.format.symbol_size() as u64;
        let mut made = Vec::new();
        made.push(MadeSection { link: symtab + 1, info: 1, entry, ..plain(".symtab", 2, symbols) });
        made.push(plain(".strtab", 3, strings.into_bytes()));
        for target in targets {
            let mut data = Vec::new();
            for &(_, offset, symbol, kind, addend) in self.relocations.iter().filter(|relocation| relocation.0 == target) {
                self.put(&mut data, word, offset);
                let shift = if word == 8 { 32 } else { 8 };
                self.put(&mut data, word, u64::from(symbol) << shift | u64::from(kind));
                if self.explicit {
                    self.put(&mut data, word, addend as u64);
                }
            }
            let (name, kind) = if self.explicit { (".rela", 4) } else { (".rel", 9) };
            let entry = self.format.relocation_size(self.explicit) as u64;
            made.push(MadeSection { link: symtab, info: target, entry, ..plain(name, kind, data) });
        }
        self.sections.append(&mut made);
        let mut names = String::from("\0");
        let mut offsets: Vec<u64> = Vec::new();
        for section in &self.sections {
            offsets.push(names.len() as u64);
            names.push_str(section.name);
            names.push('\0');
        }
        offsets.push(names.len() as u64);
        names.push_str(".shstrtab\0");
        self.sections.push(plain(".shstrtab", 3, names.into_bytes()));
        self.lay_out(word, &offsets)
    }

    fn lay_out(&self, word: usize, names: &[u64]) -> Vec<u8> {
        let mut body = alloc::vec![0; self.format.header_size()];
        let mut table = alloc::vec![0; self.format.section_size()];
        for (section, &name) in self.sections.iter().zip(names) {
            while !body.len().is_multiple_of(8) {
                body.push(0);
            }
            self.put(&mut table, 4, name);
            self.put(&mut table, 4, section.kind.into());
            for value in [section.flags, 0, body.len() as u64, section.data.len() as u64] {
                self.put(&mut table, word, value);
            }
            self.put(&mut table, 4, section.link.into());
            self.put(&mut table, 4, section.info.into());
            self.put(&mut table, word, section.align);
            self.put(&mut table, word, section.entry);
            body.extend_from_slice(&section.data);
        }
        let table_at = body.len() as u64;
        body.extend_from_slice(&table);
        let mut header: Vec<u8> = [0x7f, b'E', b'L', b'F', if word == 8 { 2 } else { 1 }].into();
        header.extend_from_slice(&[if self.format.order.big { 2 } else { 1 }, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        self.put(&mut header, 2, 1);
        self.put(&mut header, 2, self.machine.into());
        self.put(&mut header, 4, 1);
        for value in [0, 0, table_at] {
            self.put(&mut header, word, value);
        }
        self.put(&mut header, 4, 0);
        let size = self.format.section_size() as u64;
        for value in [self.format.header_size() as u64, 0, 0, size, self.sections.len() as u64 + 1, self.sections.len() as u64] {
            self.put(&mut header, 2, value);
        }
        body[..header.len()].copy_from_slice(&header);
        body
    }
}
