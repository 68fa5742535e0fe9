//! What no loader can do without: copying the bytes of a module and storing into them.

use crate::corpus::Symbols;
use crate::memory::{PAGE, Pages};
use anyhow::{Context, Result};
use goblin::elf::{Elf, section_header as sh};

/// A section of an image.
struct Piece {
    /// Offset in the image.
    at: usize,
    /// Bytes in the image.
    len: usize,
    /// Offset in the file; `None` for zeros.
    from: Option<usize>,
}

/// A module with everything known beforehand.
pub struct Prepared {
    pieces: Vec<Piece>,
    len: usize,
    /// Ends of the executable and the read-only part.
    ends: [usize; 2],
    /// Precomputed stores: offset and value.
    narrow: Vec<(u32, u32)>,
    wide: Vec<(u32, u64)>,
    /// Relocation sections: offset of the target in the image, range in the file.
    records: Vec<(usize, std::ops::Range<usize>)>,
    /// Address of every symbol.
    values: Vec<u64>,
    /// Bytes that ask to be in memory.
    pub allocated: usize,
    /// Relocations.
    pub relocations: usize,
}

impl Prepared {
    /// Lays `file`, a module for amd64, out as one image that runs at `base`.
    pub fn new(file: &[u8], symbols: &Symbols, base: u64) -> Result<Self> {
        let elf = Elf::parse(file)?;
        let class = |section: &sh::SectionHeader| match section.sh_flags as u32 {
            flags if flags & sh::SHF_EXECINSTR != 0 => 0,
            flags if flags & sh::SHF_WRITE != 0 => 2,
            _ => 1,
        };
        let (mut pieces, mut places) = (Vec::new(), vec![None; elf.section_headers.len()]);
        let (mut end, mut ends, mut allocated) = (0_usize, [0; 2], 0);
        for wanted in 0..3 {
            for (index, section) in elf.section_headers.iter().enumerate() {
                let asks = section.sh_flags as u32 & sh::SHF_ALLOC != 0 && section.sh_type != sh::SHT_NULL;
                if !asks || class(section) != wanted {
                    continue;
                }
                let len = section.sh_size as usize;
                let at = end.next_multiple_of(section.sh_addralign.max(1) as usize);
                let from = (section.sh_type != sh::SHT_NOBITS).then_some(section.sh_offset as usize);
                pieces.push(Piece { at, len, from });
                places[index] = Some(at);
                allocated += len;
                end = at + len;
            }
            end = end.next_multiple_of(PAGE);
            if let Some(place) = ends.get_mut(wanted) {
                *place = end;
            }
        }
        let name = |symbol: &goblin::elf::Sym| elf.strtab.get_at(symbol.st_name).unwrap_or("");
        let values = elf.syms.iter().map(|symbol| match symbol.st_shndx as u32 {
            sh::SHN_UNDEF => symbols.get(name(&symbol)).unwrap_or(0),
            sh::SHN_ABS => symbol.st_value,
            _ => places.get(symbol.st_shndx).copied().flatten().map_or(0, |at| base + at as u64 + symbol.st_value),
        });
        let mut made = Self {
            pieces,
            len: end,
            ends,
            narrow: Vec::new(),
            wide: Vec::new(),
            records: Vec::new(),
            values: values.collect(),
            allocated,
            relocations: 0,
        };
        for section in &elf.section_headers {
            let Some(at) = places.get(section.sh_info as usize).copied().flatten() else { continue };
            if section.sh_type == sh::SHT_RELA {
                let start = section.sh_offset as usize;
                made.records.push((at, start..start + section.sh_size as usize));
            }
        }
        made.precompute(file, base).context("relocations")?;
        Ok(made)
    }

    fn precompute(&mut self, file: &[u8], base: u64) -> Result<()> {
        for (at, range) in &self.records {
            for record in file[range.clone()].chunks_exact(24) {
                let (offset, kind, symbol, addend) = fields(record);
                let place = (*at as u64 + offset) as u32;
                let sum = self.values[symbol].wrapping_add(addend);
                let distance = sum.wrapping_sub(base + u64::from(place));
                match kind {
                    1 => self.wide.push((place, sum)),
                    24 => self.wide.push((place, distance)),
                    2 | 4 => self.narrow.push((place, distance as u32)),
                    10 | 11 => self.narrow.push((place, sum as u32)),
                    _ => {}
                }
                self.relocations += 1;
            }
        }
        Ok(())
    }

    fn copy(&self, file: &[u8], image: &mut [u8]) {
        for piece in &self.pieces {
            let place = &mut image[piece.at..piece.at + piece.len];
            match piece.from {
                Some(from) => place.copy_from_slice(&file[from..from + piece.len]),
                None => place.fill(0),
            }
        }
    }

    fn protect(&self, pages: &Pages) {
        pages.protect(0, self.ends[0], libc::PROT_READ | libc::PROT_EXEC);
        pages.protect(self.ends[0], self.ends[1] - self.ends[0], libc::PROT_READ);
    }

    /// Copy and precomputed stores.
    pub fn bound1(&self, file: &[u8]) {
        let pages = Pages::new(self.len);
        let image = image(&pages);
        self.copy(file, image);
        for &(at, value) in &self.narrow {
            image[at as usize..][..4].copy_from_slice(&value.to_le_bytes());
        }
        for &(at, value) in &self.wide {
            image[at as usize..][..8].copy_from_slice(&value.to_le_bytes());
        }
        std::hint::black_box(&image);
        self.protect(&pages);
    }

    /// Copy and the relocation records, with the addresses of symbols known.
    pub fn bound2(&self, file: &[u8]) {
        let pages = Pages::new(self.len);
        let image = image(&pages);
        let base = image.as_ptr() as u64;
        self.copy(file, image);
        for (at, range) in &self.records {
            for record in file[range.clone()].chunks_exact(24) {
                let (offset, kind, symbol, addend) = fields(record);
                let place = *at + offset as usize;
                let sum = self.values[symbol].wrapping_add(addend);
                let distance = sum.wrapping_sub(base + place as u64);
                match kind {
                    2 | 4 => image[place..][..4].copy_from_slice(&(distance as u32).to_le_bytes()),
                    1 => image[place..][..8].copy_from_slice(&sum.to_le_bytes()),
                    10 | 11 => image[place..][..4].copy_from_slice(&(sum as u32).to_le_bytes()),
                    24 => image[place..][..8].copy_from_slice(&distance.to_le_bytes()),
                    _ => {}
                }
            }
        }
        std::hint::black_box(&image);
        self.protect(&pages);
    }
}

/// Offset, type, symbol and addend of a record.
#[inline(always)]
fn fields(record: &[u8]) -> (u64, u32, usize, u64) {
    let word = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().expect("eight bytes"));
    let info = word(8);
    (word(0), info as u32, (info >> 32) as usize, word(16))
}

#[expect(clippy::mut_from_ref, reason = "the pages are the caller's own, and no other slice of them is made")]
fn image(pages: &Pages) -> &mut [u8] {
    // SAFETY: the pages are writable and belong to the caller, who makes one slice of them.
    unsafe { std::slice::from_raw_parts_mut(pages.as_ptr(), pages.len()) }
}
