//! The records of an ELF file, read at any alignment in either byte order and width.
//!
//! Readers take a slice that holds at least one record; [`parse`](super::parse) has bounded the tables they come from.

use crate::arch::Machine;
use goblin::elf::{header, reloc, section_header, sym};

/// Reads fields in one byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) big: bool,
}

impl Order {
    #[inline(always)]
    pub(crate) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let raw = [bytes[at], bytes[at + 1]];
        if self.big { u16::from_be_bytes(raw) } else { u16::from_le_bytes(raw) }
    }

    #[inline(always)]
    pub(crate) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        let raw = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        if self.big { u32::from_be_bytes(raw) } else { u32::from_le_bytes(raw) }
    }

    #[inline(always)]
    pub(crate) fn u64(self, bytes: &[u8], at: usize) -> u64 {
        let raw =
            [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3], bytes[at + 4], bytes[at + 5], bytes[at + 6], bytes[at + 7]];
        if self.big { u64::from_be_bytes(raw) } else { u64::from_le_bytes(raw) }
    }

    /// A word of the class: four or eight bytes.
    #[inline(always)]
    pub(crate) fn word(self, wide: bool, bytes: &[u8], at: usize) -> u64 {
        if wide { self.u64(bytes, at) } else { u64::from(self.u32(bytes, at)) }
    }
}

/// Width and byte order: everything the position of a field depends on. Constant after inlining in inner loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    pub(crate) wide: bool,
    pub(crate) order: Order,
}

/// The fields of a file header that are looked at.
pub(crate) struct FileHeader {
    pub(crate) kind: u16,
    pub(crate) machine: u16,
    pub(crate) version: u32,
    pub(crate) section_offset: u64,
    pub(crate) section_size: u16,
    pub(crate) section_count: u16,
    pub(crate) names: u16,
}

/// The fields of a section header that are looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SectionHeader {
    pub(crate) name: u32,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) offset: u64,
    pub(crate) size: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
    pub(crate) align: u64,
    pub(crate) entry_size: u64,
}

/// One symbol table entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawSymbol {
    pub(crate) name: u32,
    pub(crate) info: u8,
    pub(crate) other: u8,
    pub(crate) section: u16,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

/// One relocation record; the addend is 0 where the record has none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRelocation {
    pub(crate) offset: u64,
    pub(crate) symbol: u32,
    pub(crate) kind: u32,
    pub(crate) addend: i64,
}

impl Format {
    pub(crate) const fn new(wide: bool, big: bool) -> Self {
        Self { wide, order: Order { big } }
    }

    /// The same format; what all images have in common is constant.
    #[inline(always)]
    pub(crate) const fn known(self) -> Self {
        match Machine::ONLY {
            None => self,
            Some(only) => {
                let big = only.has_form(only.is_wide(), true) && (self.order.big || !only.has_form(only.is_wide(), false));
                Self::new(only.is_wide(), big)
            }
        }
    }

    pub(crate) const fn header_size(self) -> usize {
        if self.wide { header::header64::SIZEOF_EHDR } else { header::header32::SIZEOF_EHDR }
    }

    pub(crate) const fn section_size(self) -> usize {
        if self.wide { section_header::section_header64::SIZEOF_SHDR } else { section_header::section_header32::SIZEOF_SHDR }
    }

    #[inline(always)]
    pub(crate) const fn symbol_size(self) -> usize {
        if self.wide { sym::sym64::SIZEOF_SYM } else { sym::sym32::SIZEOF_SYM }
    }

    #[inline(always)]
    pub(crate) const fn relocation_size(self, explicit: bool) -> usize {
        match (self.wide, explicit) {
            (true, true) => reloc::reloc64::SIZEOF_RELA,
            (true, false) => reloc::reloc64::SIZEOF_REL,
            (false, true) => reloc::reloc32::SIZEOF_RELA,
            (false, false) => reloc::reloc32::SIZEOF_REL,
        }
    }

    /// Bytes of a pointer.
    pub(crate) const fn pointer_size(self) -> u64 {
        if self.wide { 8 } else { 4 }
    }

    pub(crate) fn file_header(self, bytes: &[u8]) -> FileHeader {
        let order = self.order;
        let bytes = &bytes[..self.header_size()];
        let (section_offset, tail) = if self.wide { (40, 58) } else { (32, 46) };
        FileHeader {
            kind: order.u16(bytes, 16),
            machine: order.u16(bytes, 18),
            version: order.u32(bytes, 20),
            section_offset: order.word(self.wide, bytes, section_offset),
            section_size: order.u16(bytes, tail),
            section_count: order.u16(bytes, tail + 2),
            names: order.u16(bytes, tail + 4),
        }
    }

    /// The section header at the start of `record`.
    #[inline]
    pub(crate) fn section_header(self, record: &[u8]) -> SectionHeader {
        let order = self.order;
        if self.wide {
            let record = &record[..section_header::section_header64::SIZEOF_SHDR];
            SectionHeader {
                name: order.u32(record, 0),
                kind: order.u32(record, 4),
                flags: order.u64(record, 8),
                offset: order.u64(record, 24),
                size: order.u64(record, 32),
                link: order.u32(record, 40),
                info: order.u32(record, 44),
                align: order.u64(record, 48),
                entry_size: order.u64(record, 56),
            }
        } else {
            let record = &record[..section_header::section_header32::SIZEOF_SHDR];
            let word = |at| u64::from(order.u32(record, at));
            SectionHeader {
                name: order.u32(record, 0),
                kind: order.u32(record, 4),
                flags: word(8),
                offset: word(16),
                size: word(20),
                link: order.u32(record, 24),
                info: order.u32(record, 28),
                align: word(32),
                entry_size: word(36),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn symbol(self, record: &[u8]) -> RawSymbol {
        let order = self.order;
        if self.wide {
            let record = &record[..sym::sym64::SIZEOF_SYM];
            RawSymbol {
                name: order.u32(record, 0),
                info: record[4],
                other: record[5],
                section: order.u16(record, 6),
                value: order.u64(record, 8),
                size: order.u64(record, 16),
            }
        } else {
            let record = &record[..sym::sym32::SIZEOF_SYM];
            RawSymbol {
                name: order.u32(record, 0),
                value: u64::from(order.u32(record, 4)),
                size: u64::from(order.u32(record, 8)),
                info: record[12],
                other: record[13],
                section: order.u16(record, 14),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn relocation(self, explicit: bool, record: &[u8]) -> RawRelocation {
        let order = self.order;
        if self.wide {
            let (place, addend) = record.split_at(reloc::reloc64::SIZEOF_REL);
            let info = order.u64(place, 8);
            RawRelocation {
                offset: order.u64(place, 0),
                symbol: (info >> 32) as u32,
                kind: info as u32,
                addend: if explicit { order.u64(&addend[..8], 0) as i64 } else { 0 },
            }
        } else {
            let (place, addend) = record.split_at(reloc::reloc32::SIZEOF_REL);
            let info = order.u32(place, 4);
            RawRelocation {
                offset: u64::from(order.u32(place, 0)),
                symbol: info >> 8,
                kind: info & 0xff,
                addend: if explicit { i64::from(order.u32(&addend[..4], 0) as i32) } else { 0 },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_format() {
        let wide = Format::new(true, false);
        let narrow = Format::new(false, true);
        assert_eq!((wide.header_size(), wide.section_size(), wide.symbol_size()), (64, 64, 24));
        assert_eq!((narrow.header_size(), narrow.section_size(), narrow.symbol_size()), (52, 40, 16));
        assert_eq!((wide.relocation_size(true), wide.relocation_size(false)), (24, 16));
        assert_eq!((narrow.relocation_size(true), narrow.relocation_size(false)), (12, 8));
    }

    #[test]
    fn symbols_in_every_form() {
        let le = [1, 0, 0, 0, 0x12, 2, 3, 0, 4, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0];
        let symbol = Format::new(true, false).symbol(&le);
        assert_eq!((symbol.name, symbol.info, symbol.section, symbol.value, symbol.size), (1, 0x12, 3, 4, 5));
        let be = [0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 5, 0x12, 2, 0, 3];
        let symbol = Format::new(false, true).symbol(&be);
        assert_eq!((symbol.name, symbol.info, symbol.section, symbol.value, symbol.size), (1, 0x12, 3, 4, 5));
    }

    #[test]
    fn relocations_in_every_form() {
        let be32 = [0, 0, 0, 7, 0, 1, 2, 3, 0xff, 0xff, 0xff, 0xfc];
        let record = Format::new(false, true).relocation(true, &be32);
        assert_eq!((record.offset, record.symbol, record.kind, record.addend), (7, 0x102, 3, -4));
        let le64 = [7, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2, 1, 0, 0];
        let record = Format::new(true, false).relocation(false, &le64);
        assert_eq!((record.offset, record.symbol, record.kind, record.addend), (7, 0x102, 3, 0));
    }
}
