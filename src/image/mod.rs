//! Stage 1, image: bytes become a checked view.
//!
//! [`Image::parse`] bounds every offset, link, string and symbol index that later stages use, once; accessors cannot fail
//! afterwards. Nothing is copied and nothing is allocated.

mod raw;
mod relocation;
mod section;
mod symbol;

pub(crate) use raw::Encoding;
pub use relocation::{Relocation, Relocations};
pub use section::{Section, Treatment};
pub use symbol::{Binding, Place, Symbol};

use crate::arch::Machine;
use crate::error::LinkError;
use goblin::elf::header::{EI_CLASS, EI_DATA, EI_VERSION, ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ELFMAG, ET_REL};
use goblin::elf::section_header::{SHN_LORESERVE, SHT_NOBITS, SHT_REL, SHT_RELA, SHT_STRTAB, SHT_SYMTAB};

/// Most section headers an object may have, as NetBSD limits it.
const MAX_SECTIONS: u32 = 32768;

/// A checked ELF relocatable object.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: &'a [u8],
    encoding: Encoding,
    machine: Machine,
    section_offset: usize,
    section_count: u32,
    section_names: &'a [u8],
    symbol_section: u32,
    symbols: &'a [u8],
    symbol_names: &'a [u8],
}

impl<'a> Image<'a> {
    /// Checks `bytes` as an ELF relocatable object of a known machine.
    ///
    /// # Errors
    /// [`LinkError::Truncated`], [`LinkError::NotAnObject`] or [`LinkError::Malformed`], with the place.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, LinkError> {
        let encoding = ident(bytes)?;
        let header_len = encoding.header_len();
        if bytes.len() < header_len {
            return Err(LinkError::Truncated { what: "ELF header", offset: 0, needed: header_len as u64 });
        }
        let not = |why, found| Err(LinkError::NotAnObject { why, found });
        let kind = encoding.u16(bytes, 16);
        if kind != ET_REL {
            return not("e_type is not ET_REL", kind.into());
        }
        let version = encoding.u32(bytes, 20);
        if version != 1 {
            return not("e_version is not 1", version.into());
        }
        let number = encoding.u16(bytes, 18);
        let Some(machine) = Machine::from_elf(number, encoding.wide, encoding.little) else {
            return not("unknown e_machine, class or byte order", number.into());
        };
        // After e_entry, e_phoff and e_shoff come e_flags and six half-words.
        let words = 24 + 3 * encoding.word_len();
        let section_offset = encoding.word(bytes, 24 + 2 * encoding.word_len());
        let entry_len = encoding.u16(bytes, words + 10);
        let section_count = u32::from(encoding.u16(bytes, words + 12));
        let names_index = u32::from(encoding.u16(bytes, words + 14));
        if section_offset == 0 {
            return not("e_shoff is 0", 0);
        }
        if section_count == 0 || section_count > MAX_SECTIONS {
            return not("e_shnum is 0 or too large", section_count.into());
        }
        if usize::from(entry_len) != encoding.section_len() {
            return not("wrong e_shentsize", entry_len.into());
        }
        let needed = u64::from(section_count) * encoding.section_len() as u64;
        range(bytes, section_offset, needed, "section headers")?;
        let mut image = Self {
            bytes,
            encoding,
            machine,
            section_offset: section_offset as usize,
            section_count,
            section_names: &[],
            symbol_section: 0,
            symbols: &[],
            symbol_names: &[],
        };
        image.check_sections(names_index)?;
        image.check_symbols()?;
        Ok(image)
    }

    /// The machine the code is for.
    #[must_use]
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The whole file.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn check_sections(&mut self, names_index: u32) -> Result<(), LinkError> {
        if names_index >= self.section_count {
            return Err(LinkError::NotAnObject { why: "e_shstrndx out of range", found: names_index.into() });
        }
        let mut symbol_section = None;
        for index in 0..self.section_count {
            let section = self.section(index);
            let malformed = |why, entry| Err(LinkError::Malformed { why, section: index, entry });
            if section.kind() != SHT_NOBITS && index != 0 {
                range(self.bytes, section.offset(), section.size(), "section contents")?;
            }
            if section.align() & section.align().wrapping_sub(1) != 0 {
                return malformed("sh_addralign is not a power of two", section.align());
            }
            match section.kind() {
                SHT_SYMTAB if symbol_section.replace(index).is_some() => return malformed("second symbol table", 0),
                SHT_REL | SHT_RELA if section.info() >= self.section_count => {
                    return malformed("sh_info out of range", section.info().into());
                }
                _ => {}
            }
        }
        if names_index != 0 {
            let section = self.section(names_index);
            if section.kind() == SHT_STRTAB && section.size() != 0 {
                self.section_names = self.contents(section);
                terminated(self.section_names, names_index)?;
                for index in 0..self.section_count {
                    let offset = self.section(index).name_offset();
                    let Some(rest) = self.section_names.get(offset as usize..) else {
                        return Err(LinkError::Malformed { why: "sh_name out of range", section: index, entry: offset.into() });
                    };
                    if string(rest).is_none() {
                        return Err(LinkError::Malformed {
                            why: "section name is not UTF-8",
                            section: index,
                            entry: offset.into(),
                        });
                    }
                }
            }
        }
        match symbol_section {
            Some(index) => self.symbol_section = index,
            None => return Err(LinkError::NotAnObject { why: "no symbol table", found: 0 }),
        }
        Ok(())
    }

    fn check_symbols(&mut self) -> Result<(), LinkError> {
        let table = self.symbol_section;
        let section = self.section(table);
        let malformed = |why, entry| LinkError::Malformed { why, section: table, entry };
        let len = self.encoding.symbol_len();
        if section.entry_size() != len as u64 {
            return Err(malformed("wrong sh_entsize of the symbol table", section.entry_size()));
        }
        if section.size() == 0 || !section.size().is_multiple_of(len as u64) {
            return Err(malformed("symbol table is empty or ends within a symbol", section.size()));
        }
        if section.link() == 0 || section.link() >= self.section_count {
            return Err(malformed("sh_link of the symbol table out of range", section.link().into()));
        }
        let strings = self.section(section.link());
        if strings.kind() != SHT_STRTAB {
            return Err(malformed("sh_link of the symbol table names no string table", section.link().into()));
        }
        self.symbols = self.contents(section);
        self.symbol_names = self.contents(strings);
        terminated(self.symbol_names, section.link())?;
        for index in 0..self.symbol_count() {
            let (name, place) = self.symbol_raw(index);
            if name as usize >= self.symbol_names.len() {
                return Err(malformed("st_name out of range", index.into()));
            }
            if u32::from(place) < SHN_LORESERVE && u32::from(place) >= self.section_count {
                return Err(malformed("st_shndx out of range", index.into()));
            }
        }
        Ok(())
    }
}

/// Checks the identification bytes.
fn ident(bytes: &[u8]) -> Result<Encoding, LinkError> {
    if bytes.len() < 16 {
        return Err(LinkError::Truncated { what: "ELF identification", offset: 0, needed: 16 });
    }
    let not = |why, found: u8| Err(LinkError::NotAnObject { why, found: found.into() });
    if !bytes.starts_with(ELFMAG) {
        return not("wrong magic", bytes[0]);
    }
    let wide = match bytes[EI_CLASS] {
        ELFCLASS32 => false,
        ELFCLASS64 => true,
        other => return not("unknown EI_CLASS", other),
    };
    let little = match bytes[EI_DATA] {
        ELFDATA2LSB => true,
        ELFDATA2MSB => false,
        other => return not("unknown EI_DATA", other),
    };
    if bytes[EI_VERSION] != 1 {
        return not("EI_VERSION is not 1", bytes[EI_VERSION]);
    }
    Ok(Encoding { little, wide })
}

fn range<'a>(bytes: &'a [u8], offset: u64, len: u64, what: &'static str) -> Result<&'a [u8], LinkError> {
    let found = offset.checked_add(len).and_then(|end| bytes.get(usize::try_from(offset).ok()?..usize::try_from(end).ok()?));
    found.ok_or(LinkError::Truncated { what, offset, needed: len })
}

fn terminated(strings: &[u8], section: u32) -> Result<(), LinkError> {
    if strings.last() == Some(&0) {
        return Ok(());
    }
    Err(LinkError::Malformed { why: "string table is empty or not terminated", section, entry: strings.len() as u64 })
}

/// The string at the start of `bytes`, without its NUL; `None` if it is not UTF-8 or not terminated.
pub(crate) fn string(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|&byte| byte == 0)?;
    core::str::from_utf8(&bytes[..end]).ok()
}
