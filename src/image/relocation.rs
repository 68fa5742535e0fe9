use super::{Encoding, Image, Section};
use crate::error::LinkError;
use goblin::elf::section_header::{SHT_REL, SHT_RELA};

/// A relocation record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Bytes from the start of the section it patches.
    pub offset: u64,
    /// Number of the type, as the machine's ABI supplement lists it.
    pub kind: u32,
    /// Index of the symbol.
    pub symbol: u32,
    /// The addend, if the record holds one; else it is in the place.
    pub addend: Option<i64>,
}

/// The records of one relocation section.
#[derive(Clone, Copy, Debug)]
pub struct Relocations<'a> {
    table: &'a [u8],
    encoding: Encoding,
    explicit: bool,
    /// Index of the relocation section.
    pub section: u32,
    /// Index of the section it patches.
    pub target: u32,
}

impl<'a> Image<'a> {
    /// The relocation records in `section`; `None` if it is no relocation section.
    ///
    /// # Errors
    /// [`LinkError::Malformed`] for a wrong entry size, a table that ends within a record, or another symbol table.
    pub fn relocations(&self, section: Section) -> Result<Option<Relocations<'a>>, LinkError> {
        let explicit = match section.kind() {
            SHT_REL => false,
            SHT_RELA => true,
            _ => return Ok(None),
        };
        let malformed = |why, entry| Err(LinkError::Malformed { why, section: section.index(), entry });
        let len = self.encoding.relocation_len(explicit) as u64;
        if section.entry_size() != len && section.size() != 0 {
            return malformed("wrong sh_entsize of a relocation section", section.entry_size());
        }
        if !section.size().is_multiple_of(len) {
            return malformed("relocation section ends within a record", section.size());
        }
        if section.link() != self.symbol_section {
            return malformed("relocation section links to another symbol table", section.link().into());
        }
        Ok(Some(Relocations {
            table: self.contents(section),
            encoding: self.encoding,
            explicit,
            section: section.index(),
            target: section.info(),
        }))
    }
}

impl<'a> Relocations<'a> {
    /// Number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.table.len() / self.encoding.relocation_len(self.explicit)
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The records in file order.
    pub fn iter(&self) -> impl Iterator<Item = Relocation> + use<'a> {
        let (encoding, explicit) = (self.encoding, self.explicit);
        self.table.chunks_exact(encoding.relocation_len(explicit)).map(move |record| {
            let word = encoding.word_len();
            let info = encoding.word(record, word);
            let (symbol, kind) =
                if encoding.wide { ((info >> 32) as u32, info as u32) } else { ((info >> 8) as u32, (info & 0xff) as u32) };
            let addend = explicit
                .then(|| if encoding.wide { encoding.u64(record, 16) as i64 } else { i64::from(encoding.u32(record, 8) as i32) });
            Relocation { offset: encoding.word(record, 0), kind, symbol, addend }
        })
    }
}
