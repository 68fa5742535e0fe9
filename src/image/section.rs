use super::{Image, string};
use goblin::elf::section_header::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_GROUP, SHT_NOBITS, SHT_NOTE, SHT_NULL, SHT_REL, SHT_RELA, SHT_STRTAB,
    SHT_SYMTAB,
};

/// A section header.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    index: u32,
    name: u32,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry_size: u64,
}

/// What becomes of a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Treatment {
    /// Executable code.
    Text,
    /// Data that is never written.
    Rodata,
    /// Writable data.
    Data,
    /// Stays in the file: tables of the linker, notes, debugging information.
    Skip,
}

impl Section {
    /// Index of the header.
    #[must_use]
    pub fn index(&self) -> u32 {
        self.index
    }

    pub(crate) fn name_offset(&self) -> u32 {
        self.name
    }

    /// `sh_type`.
    #[must_use]
    pub fn kind(&self) -> u32 {
        self.kind
    }

    /// `sh_flags`.
    #[must_use]
    pub fn flags(&self) -> u64 {
        self.flags
    }

    /// File offset of the contents in bytes.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn link(&self) -> u32 {
        self.link
    }

    pub(crate) fn info(&self) -> u32 {
        self.info
    }

    pub(crate) fn entry_size(&self) -> u64 {
        self.entry_size
    }

    /// `sh_addralign` in bytes, a power of two; 0 in the file means 1.
    #[must_use]
    pub fn align(&self) -> u64 {
        self.align.max(1)
    }

    /// True if the section takes no space in the file.
    #[must_use]
    pub fn is_nobits(&self) -> bool {
        self.kind == SHT_NOBITS
    }

    /// True for thread-local storage.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.flags & u64::from(SHF_TLS) != 0
    }

    /// Where the section goes. Writable code is text: it is never writable once it runs.
    #[must_use]
    pub fn treatment(&self) -> Treatment {
        if self.flags & u64::from(SHF_ALLOC) == 0 {
            return Treatment::Skip;
        }
        match self.kind {
            SHT_NULL | SHT_NOTE | SHT_SYMTAB | SHT_STRTAB | SHT_REL | SHT_RELA | SHT_GROUP => Treatment::Skip,
            _ if self.flags & u64::from(SHF_EXECINSTR) != 0 => Treatment::Text,
            _ if self.flags & u64::from(SHF_WRITE) != 0 => Treatment::Data,
            _ => Treatment::Rodata,
        }
    }
}

impl<'a> Image<'a> {
    /// Number of section headers.
    #[must_use]
    pub fn section_count(&self) -> u32 {
        self.section_count
    }

    /// The section header `index`, which must be below [`section_count`](Self::section_count).
    #[must_use]
    pub fn section(&self, index: u32) -> Section {
        assert!(index < self.section_count, "section index beyond the table");
        let (bytes, encoding) = (self.bytes, self.encoding);
        let at = self.section_offset + index as usize * encoding.section_len();
        let word = encoding.word_len();
        Section {
            index,
            name: encoding.u32(bytes, at),
            kind: encoding.u32(bytes, at + 4),
            flags: encoding.word(bytes, at + 8),
            offset: encoding.word(bytes, at + 8 + 2 * word),
            size: encoding.word(bytes, at + 8 + 3 * word),
            link: encoding.u32(bytes, at + 8 + 4 * word),
            info: encoding.u32(bytes, at + 12 + 4 * word),
            align: encoding.word(bytes, at + 16 + 4 * word),
            entry_size: encoding.word(bytes, at + 16 + 5 * word),
        }
    }

    /// All section headers, in file order.
    pub fn sections(&self) -> impl Iterator<Item = Section> + use<'a> {
        let image = *self;
        (0..self.section_count).map(move |index| image.section(index))
    }

    /// Name of a section; empty if the object has no section names.
    #[must_use]
    pub fn section_name(&self, section: Section) -> &'a str {
        self.section_names.get(section.name as usize..).and_then(string).unwrap_or("")
    }

    /// Contents of a section in the file; empty for NOBITS.
    #[must_use]
    pub fn contents(&self, section: Section) -> &'a [u8] {
        if section.is_nobits() || section.index == 0 {
            return &[];
        }
        let start = section.offset as usize;
        &self.bytes[start..start + section.size as usize]
    }

    /// The first section called `name`.
    #[must_use]
    pub fn section_named(&self, name: &str) -> Option<Section> {
        self.sections().find(|&section| self.section_name(section) == name)
    }
}
