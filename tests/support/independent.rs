//! A relocator that has nothing of the library's own image, rename or relocate stages.
//!
//! What is expected is made from goblin's reading of the file and the addresses that sections and symbols were given: each
//! section is copied to its address and each relocation computed anew, straight from the x86 processor supplements.

use goblin::elf::reloc::{R_386_32, R_386_PC32, R_386_PLT32, R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_PC32};
use goblin::elf::reloc::{R_X86_64_NONE, R_X86_64_PC64, R_X86_64_PLT32};
use goblin::elf::section_header::{SHF_ALLOC, SHN_ABS, SHN_UNDEF, SHT_NOBITS, SHT_PROGBITS};
use goblin::elf::sym::STB_GLOBAL;
use goblin::elf::{Elf, Reloc, SectionHeader, header};
use rumpload::address::{RunAddr, SectionIndex};
use rumpload::load::Linked;
use rumpload::rename::Name;
use rumpload::resolve::{Resolved, Scope, SymbolKind};
use std::cell::RefCell;
use std::collections::HashMap;

pub const PREFIX: &str = "rumpns_";
/// Between imported symbols; odd, so that each byte of an address matters.
const STEP: u64 = 0x1_0001;

/// Gives each imported name an address of its own.
pub struct Addresses {
    first: u64,
    by_name: RefCell<HashMap<String, u64>>,
}

impl Addresses {
    pub fn new(first: u64) -> Self {
        Self { first, by_name: RefCell::default() }
    }
}

impl Scope for Addresses {
    fn lookup(&self, name: Name<'_>) -> Option<Resolved> {
        let full = format!("{}{}", if name.in_namespace { PREFIX } else { "" }, name.base);
        let mut by_name = self.by_name.borrow_mut();
        let next = self.first + by_name.len() as u64 * STEP;
        let value = RunAddr::new(*by_name.entry(full).or_insert(next));
        Some(Resolved { value, kind: SymbolKind::Data })
    }
}

/// The name of an undefined symbol after renaming.
fn renamed(global: bool, raw: &str) -> String {
    let exempt = ["RUMP", "rump", "__", "_GLOBAL_OFFSET_TABLE"].iter().any(|start| raw.starts_with(start));
    if global && !exempt { format!("{PREFIX}{raw}") } else { raw.to_owned() }
}

/// A module as goblin reads it, and where it was put.
struct Reader<'a> {
    elf: Elf<'a>,
    file: &'a [u8],
    linked: &'a Linked,
    imports: &'a HashMap<String, u64>,
}

impl Reader<'_> {
    /// Address of a section, if it is loaded.
    fn address(&self, section: usize) -> Option<u64> {
        self.linked.address(SectionIndex(section as u32), 0).map(RunAddr::get)
    }

    /// Address that symbol `index` stands for.
    fn value(&self, index: usize) -> Result<u64, String> {
        let symbol = self.elf.syms.get(index).ok_or("a symbol is out of range")?;
        let name = self.elf.strtab.get_at(symbol.st_name).unwrap_or_default();
        match symbol.st_shndx as u32 {
            SHN_UNDEF if index == 0 => Ok(0),
            SHN_UNDEF => {
                let name = renamed(symbol.st_bind() == STB_GLOBAL, name);
                self.imports.get(&name).copied().ok_or_else(|| format!("{name} was never looked up"))
            }
            SHN_ABS => Ok(symbol.st_value),
            section => {
                let start = self.address(section as usize).ok_or_else(|| format!("{name} is in a section that is not loaded"))?;
                Ok(start.wrapping_add(symbol.st_value))
            }
        }
    }

    /// Computes `relocation` of the section at `start`, whose bytes are `section`.
    fn relocate(&self, start: u64, section: &mut [u8], relocation: &Reloc) -> Result<(), String> {
        let offset = relocation.r_offset as usize;
        let wide = self.elf.is_64;
        let machine = self.elf.header.e_machine;
        let (len, relative, signed) = match (machine, relocation.r_type) {
            (header::EM_X86_64, R_X86_64_NONE) => return Ok(()),
            (header::EM_X86_64, R_X86_64_64) => (8, false, false),
            (header::EM_X86_64, R_X86_64_PC64) => (8, true, true),
            (header::EM_X86_64, R_X86_64_32) => (4, false, false),
            (header::EM_X86_64, R_X86_64_32S) => (4, false, true),
            (header::EM_X86_64, R_X86_64_PC32 | R_X86_64_PLT32) => (4, true, true),
            (header::EM_386, R_386_32) => (4, false, false),
            (header::EM_386, R_386_PC32 | R_386_PLT32) => (4, true, false),
            (machine, kind) => return Err(format!("relocation {kind} of machine {machine} is not known here")),
        };
        let place = section.get_mut(offset..offset + len).ok_or("a relocation lies outside its section")?;
        let addend = match relocation.r_addend {
            Some(addend) => addend as u64,
            None => i64::from(i32::from_le_bytes((&*place).try_into().map_err(|_| "an addend of 8 bytes")?)) as u64,
        };
        let mut value = self.value(relocation.r_sym)?.wrapping_add(addend);
        if relative {
            value = value.wrapping_sub(start + relocation.r_offset);
        }
        let fits = !wide || len == 8 || if signed { i32::try_from(value as i64).is_ok() } else { u32::try_from(value).is_ok() };
        if !fits {
            return Err(format!("{value:#x} does not fit at {offset:#x}"));
        }
        place.copy_from_slice(&value.to_le_bytes()[..len]);
        Ok(())
    }

    /// The module as it has to stand in memory, `len` bytes from `run`; and how many relocations were computed.
    fn expected(&self, run: u64, len: usize) -> Result<(Vec<u8>, usize), String> {
        let mut image = vec![0; len];
        let mut taken = vec![false; len];
        let mut count = 0;
        for (index, section) in self.elf.section_headers.iter().enumerate() {
            let Some(start) = self.address(index) else {
                let needed = u64::from(SHF_ALLOC) & section.sh_flags != 0 && matches!(section.sh_type, SHT_PROGBITS | SHT_NOBITS);
                if needed {
                    return Err(format!("section {index} is not loaded"));
                }
                continue;
            };
            if !start.is_multiple_of(section.sh_addralign.max(1)) {
                return Err(format!("section {index} is at {start:#x}, aligned to less than {}", section.sh_addralign));
            }
            let from = (start - run) as usize;
            let range = from..from + section.sh_size as usize;
            let bytes = image.get_mut(range.clone()).ok_or_else(|| format!("section {index} is outside the region"))?;
            if taken[range.clone()].iter().any(|&taken| taken) {
                return Err(format!("section {index} overlaps another"));
            }
            taken[range].fill(true);
            bytes.copy_from_slice(&self.contents(section));
            let relocations =
                self.elf.shdr_relocs.iter().filter(|(by, _)| self.elf.section_headers[*by].sh_info as usize == index);
            for relocation in relocations.flat_map(|(_, list)| list.iter()) {
                self.relocate(start, bytes, &relocation).map_err(|error| format!("section {index}: {error}"))?;
                count += 1;
            }
        }
        Ok((image, count))
    }

    fn contents(&self, section: &SectionHeader) -> Vec<u8> {
        section.file_range().map_or_else(|| vec![0; section.sh_size as usize], |range| self.file[range].to_vec())
    }
}

/// Compares `found`, the linked bytes from the region's first to its last, with what they have to be; the number of relocations.
pub fn check(file: &[u8], linked: &Linked, scope: &Addresses, found: &[u8]) -> Result<usize, String> {
    let elf = Elf::parse(file).map_err(|error| format!("goblin: {error}"))?;
    let reader = Reader { elf, file, linked, imports: &scope.by_name.borrow() };
    let (expected, count) = reader.expected(linked.reservation.run().get(), found.len())?;
    match expected.iter().zip(found).position(|(expected, found)| expected != found) {
        Some(at) => Err(format!("byte {at:#x} of the region is {:#04x}, not {:#04x}", found[at], expected[at])),
        None => Ok(count),
    }
}
