//! An independent relocator: its own reader (goblin), its own formulas, its own lookups. Slow, and only meant to be right.

use crate::corpus::Symbols;
use goblin::elf::{Elf, section_header as sh, sym};
use std::collections::HashMap;

/// What another loader made of a module.
pub struct Linked<'a> {
    /// The bytes of its region.
    pub bytes: &'a [u8],
    /// Where the region runs.
    pub run: u64,
    /// Run addresses of loaded sections by index.
    pub sections: HashMap<usize, u64>,
}

/// Relocates `file` by itself to where `linked` has its sections and compares every byte of them. Gives the number of
/// relocations compared.
pub fn compare(file: &[u8], linked: &Linked<'_>, symbols: &Symbols) -> Result<usize, String> {
    let elf = Elf::parse(file).map_err(|error| error.to_string())?;
    let reference = Reference { elf: &elf, linked, symbols, toc: toc(&elf, linked) };
    let mut count = 0;
    for (index, section) in elf.section_headers.iter().enumerate() {
        let Some(&address) = linked.sections.get(&index) else { continue };
        let mut expected = vec![0; section.sh_size as usize];
        if section.sh_type != sh::SHT_NOBITS {
            let start = section.sh_offset as usize;
            expected.copy_from_slice(&file[start..start + section.sh_size as usize]);
        }
        for (_, relocations) in elf.shdr_relocs.iter().filter(|(at, _)| elf.section_headers[*at].sh_info as usize == index) {
            for relocation in relocations {
                reference.apply(&mut expected, address, &relocation)?;
                count += 1;
            }
        }
        let start = (address - linked.run) as usize;
        let found = &linked.bytes[start..start + expected.len()];
        if let Some(at) = found.iter().zip(&expected).position(|(one, other)| one != other) {
            let name = elf.shdr_strtab.get_at(section.sh_name).unwrap_or("?");
            return Err(format!("{name}+{at:#x}: {:#04x} where {:#04x} is expected", found[at], expected[at]));
        }
    }
    Ok(count)
}

/// r2 of a powerpc64 module.
fn toc(elf: &Elf<'_>, linked: &Linked<'_>) -> u64 {
    let named = |section: &sh::SectionHeader| elf.shdr_strtab.get_at(section.sh_name) == Some(".toc");
    let index = elf.section_headers.iter().position(named);
    index.and_then(|index| linked.sections.get(&index)).map_or(linked.run, |address| *address & !0xff) + 0x8000
}

struct Reference<'a> {
    elf: &'a Elf<'a>,

    linked: &'a Linked<'a>,
    symbols: &'a Symbols,
    toc: u64,
}

/// Bytes of a section being relocated.
struct Place<'a> {
    bytes: &'a mut [u8],
    at: usize,
    big: bool,
}

impl Place<'_> {
    fn get(&self, width: usize) -> u64 {
        let bytes = &self.bytes[self.at..self.at + width];
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        if self.big { bytes.iter().fold(0, fold) } else { bytes.iter().rev().fold(0, fold) }
    }

    fn put(&mut self, width: usize, value: u64) {
        for index in 0..width {
            let shift = 8 * if self.big { width - 1 - index } else { index };
            self.bytes[self.at + index] = (value >> shift) as u8;
        }
    }

    /// Replaces `mask` of a 32-bit word.
    fn mask(&mut self, mask: u64, value: u64) {
        let old = self.get(4);
        self.put(4, old & !mask | value & mask);
    }
}

impl Reference<'_> {
    /// The symbol's address, and whether it is defined elsewhere.
    fn symbol(&self, index: usize) -> Result<(u64, bool, sym::Sym), String> {
        let symbol = self.elf.syms.get(index).ok_or("no such symbol")?;
        let name = self.elf.strtab.get_at(symbol.st_name).unwrap_or("");
        let section = symbol.st_shndx;
        let address = match section as u32 {
            sh::SHN_UNDEF if name == ".TOC." => self.toc,
            sh::SHN_UNDEF => self.symbols.get(name).unwrap_or(0),
            sh::SHN_ABS => symbol.st_value,
            _ => {
                let base = self.linked.sections.get(&section).ok_or_else(|| format!("section {section} of {name} is missing"))?;
                base.wrapping_add(symbol.st_value)
            }
        };
        Ok((address, section == 0 && name != ".TOC.", symbol))
    }

    /// What is stored at a run address of the region.
    fn stored(&self, address: u64, len: usize) -> &[u8] {
        let start = (address - self.linked.run) as usize;
        &self.linked.bytes[start..start + len]
    }

    fn apply(&self, bytes: &mut [u8], base: u64, relocation: &goblin::elf::Reloc) -> Result<(), String> {
        let (kind, at) = (relocation.r_type, relocation.r_offset as usize);
        let p = base + relocation.r_offset;
        let big = self.elf.header.e_ident[goblin::elf::header::EI_DATA] == goblin::elf::header::ELFDATA2MSB;
        let mut place = Place { bytes, at, big };
        let machine = self.elf.header.e_machine;
        if kind == 0 || machine == 21 && kind == 118 {
            return Ok(());
        }
        let (s, outside, symbol) = self.symbol(relocation.r_sym)?;
        let a = relocation.r_addend.unwrap_or(0) as u64;
        let (sum, distance) = (s.wrapping_add(a), s.wrapping_add(a).wrapping_sub(p));
        match (machine, kind) {
            // amd64
            (62, 1) => place.put(8, sum),
            (62, 2 | 4) => place.put(4, distance),
            (62, 10 | 11) => place.put(4, sum),
            (62, 24) => place.put(8, distance),
            // i386
            (3, 1) => place.put(4, place.get(4).wrapping_add(s)),
            (3, 2 | 4) => place.put(4, place.get(4).wrapping_add(s).wrapping_sub(p)),
            // arm64
            (183, 257) => place.put(8, sum),
            (183, 260) => place.put(8, distance),
            (183, 261) => place.put(4, distance),
            (183, 275) => {
                let pages = (sum >> 12).wrapping_sub(p >> 12);
                place.mask(3 << 29 | 0x7_ffff << 5, (pages & 3) << 29 | (pages >> 2 & 0x7_ffff) << 5);
            }
            (183, 277 | 278) => place.mask(0xfff << 10, sum << 10),
            (183, 284) => place.mask(0xfff << 10, (sum & 0xfff) >> 1 << 10),
            (183, 285) => place.mask(0xfff << 10, (sum & 0xfff) >> 2 << 10),
            (183, 286) => place.mask(0xfff << 10, (sum & 0xfff) >> 3 << 10),
            (183, 299) => place.mask(0xfff << 10, (sum & 0xfff) >> 4 << 10),
            (183, 282 | 283) => place.mask(0x3ff_ffff, distance >> 2),
            // arm
            (40, 2) => place.put(4, place.get(4).wrapping_add(s)),
            (40, 3) => place.put(4, place.get(4).wrapping_add(s).wrapping_sub(p)),
            (40, 28 | 29) => {
                let field = (place.get(4) as u32) << 8;
                let old = i64::from(field as i32 >> 6) as u64;
                place.mask(0xff_ffff, old.wrapping_add(s).wrapping_sub(p) >> 2);
            }
            (40, 42) => {
                let old = i64::from(((place.get(4) as u32) << 1) as i32 >> 1) as u64;
                place.mask(0x7fff_ffff, old.wrapping_add(s).wrapping_sub(p));
            }
            (40, 43 | 44) => {
                let word = place.get(4);
                let old = i64::from((word >> 4 & 0xf000 | word & 0xfff) as u16 as i16) as u64;
                let value = old.wrapping_add(s) >> if kind == 44 { 16 } else { 0 };
                place.mask(0xf_0fff, (value & 0xf000) << 4 | value & 0xfff);
            }
            // powerpc64
            (21, 38) => place.put(8, sum),
            (21, 44) => place.put(8, distance),
            (21, 26) => place.put(4, distance),
            (21, 48) => place.put(2, sum.wrapping_sub(self.toc)),
            (21, 50) => place.put(2, sum.wrapping_sub(self.toc).wrapping_add(0x8000) >> 16),
            (21, 64) => {
                let old = place.get(2);
                place.put(2, old & 3 | sum.wrapping_sub(self.toc) & 0xfffc);
            }
            (21, 10) if outside => self.power_call(&mut place, p, sum)?,
            (21, 10) => {
                let entry = match symbol.st_other >> 5 {
                    0 | 1 => 0,
                    bits => 1 << bits,
                };
                place.mask(0x3ff_fffc, distance.wrapping_add(entry));
            }
            // s390x
            (22, 22) => place.put(8, sum),
            (22, 23) => place.put(8, distance),
            (22, 5) => place.put(4, distance),
            (22, 17 | 18) => place.put(2, ((distance as i64) >> 1) as u64),
            (22, 19 | 20) => place.put(4, ((distance as i64) >> 1) as u64),
            (22, 26) => self.s390_slot(&mut place, p, a, s)?,
            _ => return Err(format!("machine {machine} type {kind} is unknown")),
        }
        Ok(())
    }

    /// Takes over where the other loader's call goes, once a stub to `target` is found there.
    fn power_call(&self, place: &mut Place<'_>, p: u64, target: u64) -> Result<(), String> {
        let start = (p - self.linked.run) as usize;
        let word = u32::from_le_bytes(self.linked.bytes[start..start + 4].try_into().expect("four bytes"));
        let field = (word & 0x3ff_fffc) << 6;
        let stub = p.wrapping_add_signed(i64::from(field as i32 >> 6));
        let words: Vec<u32> =
            self.stored(stub, 32).chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("four bytes"))).collect();
        let part = |index: usize| u64::from(words[index] & 0xffff);
        let found = part(1) << 48 | part(2) << 32 | part(4) << 16 | part(5);
        if found != target || words[0] != 0xf841_0018 || words[7] != 0x4e80_0420 {
            return Err(format!("no stub to {target:#x} at {stub:#x}"));
        }
        place.mask(0x3ff_fffc, u64::from(word));
        let call = place.get(4);
        place.at += 4;
        if call & 1 == 1 && place.at + 4 <= place.bytes.len() && place.get(4) == 0x6000_0000 {
            place.put(4, 0xe841_0018);
        }
        Ok(())
    }

    /// Takes over which slot the other loader chose, once it holds `target`.
    fn s390_slot(&self, place: &mut Place<'_>, p: u64, addend: u64, target: u64) -> Result<(), String> {
        let start = (p - self.linked.run) as usize;
        let field = i32::from_be_bytes(self.linked.bytes[start..start + 4].try_into().expect("four bytes"));
        let slot = p.wrapping_add_signed(2 * i64::from(field)).wrapping_sub(addend);
        let found = u64::from_be_bytes(self.stored(slot, 8).try_into().expect("eight bytes"));
        if found != target {
            return Err(format!("slot at {slot:#x} holds {found:#x}, not {target:#x}"));
        }
        place.put(4, field as u32 as u64);
        Ok(())
    }
}
