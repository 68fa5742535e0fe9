//! The bytes of a file, or all but those of its largest section of code.
//!
//! Code is most of a large module, and nobody looks at it before it is relocated: it can go from the file straight to where it
//! runs. Everything else refers to the rest of the file, which is checked as usual.

use super::parse::Outline;
use crate::address::SectionIndex;
use goblin::elf::{header, section_header as sh};

/// Bytes of the longest file header.
pub(crate) const LONGEST_HEADER: usize = header::header64::SIZEOF_EHDR;

/// From this size on, in bytes, a section of code is worth a call of its own.
pub(crate) const WORTH_WHILE: u64 = 32 << 10;

/// A section of code that was not read with the rest of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    /// Which it is.
    pub section: SectionIndex,
    /// Offset of its bytes in the file.
    pub offset: u64,
    /// How many.
    pub len: u64,
}

impl Unread {
    /// What of a file of `len` bytes can be read later, if anything: bytes that belong to one section and to nothing else.
    /// `table` holds its section headers.
    pub fn choose(header: &Outline, table: &[u8], len: u64) -> Option<Self> {
        let sections = || (0..).zip(table.chunks_exact(header.format.section_size()));
        let code = u64::from(sh::SHF_ALLOC | sh::SHF_EXECINSTR);
        let mut found = Self { section: SectionIndex(0), offset: 0, len: WORTH_WHILE - 1 };
        for (index, record) in sections() {
            let section = header.format.section_header(record);
            if section.kind == sh::SHT_PROGBITS && section.flags & code == code && section.size > found.len {
                found = Self { section: SectionIndex(index), offset: section.offset, len: section.size };
            }
        }
        let mut alone = found.section.0 != 0 && found.offset.checked_add(found.len)? <= len;
        alone &= found.is_apart(0, header.format.header_size() as u64) && found.is_apart(header.offset, table.len() as u64);
        for (index, record) in sections() {
            let section = header.format.section_header(record);
            alone &= index == found.section.0 || section.kind == sh::SHT_NOBITS || found.is_apart(section.offset, section.size);
        }
        alone.then_some(found)
    }

    /// Whether none of the `size` bytes at `offset` is among those of the section.
    fn is_apart(&self, offset: u64, size: u64) -> bool {
        size == 0 || offset >= self.offset + self.len || offset.saturating_add(size) <= self.offset
    }
}

/// The bytes of a file, without those of `unread`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileBytes<'a> {
    /// All there are, in one piece.
    pub held: &'a [u8],
    /// What is not among them.
    pub unread: Option<Unread>,
}

impl<'a> FileBytes<'a> {
    /// Bytes of the file.
    pub fn len(self) -> u64 {
        self.held.len() as u64 + self.unread.map_or(0, |unread| unread.len)
    }

    /// The `len` bytes at `offset`, or the end they would have. Of what is unread there are none.
    pub fn range(self, offset: u64, len: u64) -> Result<&'a [u8], u64> {
        let end = offset.checked_add(len).ok_or(u64::MAX)?;
        if end > self.len() {
            return Err(end);
        }
        let shift = match self.unread {
            Some(unread) if offset >= unread.offset + unread.len => unread.len,
            Some(unread) if end > unread.offset => return Ok(&[]),
            _ => 0,
        };
        self.held.get((offset - shift) as usize..(end - shift) as usize).ok_or(end)
    }
}
