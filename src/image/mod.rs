//! Bytes of a relocatable object → a checked view.
//!
//! [`Image::parse`] bounds headers, sections, links, strings and symbols once; every accessor afterwards is infallible. There is
//! no heap and no copy: an image is a few slices of the caller's bytes. Only relocation records are left to whoever applies
//! them, so that they are streamed once: their symbol index and their place are plain numbers until then.

mod file;
mod layout;
mod parse;

pub(crate) use file::{FileBytes, LONGEST_HEADER, Unread, WORTH_WHILE};
pub(crate) use layout::{Format, Order, RawRelocation, RawSymbol, SectionHeader};
pub(crate) use parse::Outline;

use crate::address::{SectionIndex, SymbolIndex};
use crate::arch::Machine;
use crate::error::Place;
use core::ffi::CStr;
use goblin::elf::{section_header as sh, sym};

/// Width of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 32 bits.
    Elf32,
    /// 64 bits.
    Elf64,
}

/// Byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endian {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// A relocatable object whose structure has been checked. Borrows the file's bytes.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    bytes: FileBytes<'a>,
    format: Format,
    machine: Machine,
    /// The section header table.
    headers: &'a [u8],
    /// Section names; empty if the file has none.
    section_names: &'a str,
    symbol_section: SectionIndex,
    symbols: &'a [u8],
    strings: &'a str,
    /// Index of the first symbol that is not local.
    first_global: u32,
}

/// A section of an [`Image`].
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    index: SectionIndex,
    header: SectionHeader,
    file: FileBytes<'a>,
    names: &'a str,
    format: Format,
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// Nowhere in this file.
    Undefined,
    /// At its value, whatever is loaded where.
    Absolute,
    /// Nowhere yet: it waits for common space.
    Common,
    /// `value` bytes into a section.
    Section(SectionIndex),
}

/// How far a symbol is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// In its file.
    Local,
    /// Everywhere.
    Global,
    /// Everywhere, giving way to a global one.
    Weak,
    /// Anything else, by its ELF number.
    Other(u8),
}

/// What a symbol stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolType {
    /// Not said.
    None,
    /// Data.
    Object,
    /// Code.
    Function,
    /// A section.
    Section,
    /// A source file.
    File,
    /// Common data.
    Common,
    /// Thread-local data.
    ThreadLocal,
    /// A function that chooses its implementation when started.
    IndirectFunction,
    /// Anything else, by its ELF number.
    Other(u8),
}

/// A symbol of an [`Image`].
#[derive(Clone, Copy, Debug)]
pub struct Symbol<'a> {
    /// Its index.
    pub index: SymbolIndex,
    /// Its name in the file; may be empty.
    pub name: &'a str,
    /// How far it is seen.
    pub binding: Binding,
    /// What it stands for.
    pub kind: SymbolType,
    /// Where it is defined.
    pub definition: Definition,
    /// Offset in its section, absolute value, or alignment of a common symbol.
    pub value: u64,
    /// Bytes it covers, as the file says.
    pub size: u64,
}

/// A relocation record, not yet checked against its section and the symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relocation {
    /// Bytes from the start of the section it applies to.
    pub offset: u64,
    /// The symbol it names; may lie beyond the table.
    pub symbol: SymbolIndex,
    /// Its type, as the machine numbers it.
    pub kind: u32,
    /// The addend; `None` if it is stored at the place.
    pub addend: Option<i64>,
}

impl<'a> Image<'a> {
    /// The machine it was built for.
    pub fn machine(&self) -> Machine {
        match Machine::ONLY {
            Some(only) => only,
            None => self.machine,
        }
    }

    /// Width of addresses.
    pub fn class(&self) -> Class {
        if self.format().wide { Class::Elf64 } else { Class::Elf32 }
    }

    /// Byte order of the file and of its machine code's data.
    pub fn endian(&self) -> Endian {
        if self.format().order.big { Endian::Big } else { Endian::Little }
    }

    /// The bytes of the file.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes.held
    }

    /// The section whose bytes are still in the file.
    pub(crate) fn unread(&self) -> Option<Unread> {
        self.bytes.unread
    }

    /// Number of section headers, the null one included.
    pub fn section_count(&self) -> usize {
        self.headers.len() / self.format().section_size()
    }

    /// The section `index`, if there is one.
    pub fn section(&self, index: SectionIndex) -> Option<Section<'a>> {
        let size = self.format().section_size();
        let record = self.headers.get((index.0 as usize).checked_mul(size)?..)?.get(..size)?;
        Some(self.made(index, record))
    }

    /// All sections in header order, the null one included.
    pub fn sections(&self) -> impl Iterator<Item = Section<'a>> + use<'a> {
        let image = *self;
        let records = self.headers.chunks_exact(self.format().section_size()).enumerate();
        records.map(move |(index, record)| image.made(SectionIndex(index as u32), record))
    }

    #[inline]
    fn made(&self, index: SectionIndex, record: &[u8]) -> Section<'a> {
        let header = self.format().section_header(record);
        Section { index, header, file: self.bytes, names: self.section_names, format: self.format() }
    }

    /// The first section called `name`.
    pub fn section_by_name(&self, name: &str) -> Option<Section<'a>> {
        self.sections().find(|section| section.name() == name)
    }

    /// The section that holds the symbol table.
    pub fn symbol_section(&self) -> SectionIndex {
        self.symbol_section
    }

    /// Number of symbols, the null one included; at least one.
    pub fn symbol_count(&self) -> usize {
        self.symbols.len() / self.format().symbol_size()
    }

    /// The symbol `index`, if there is one.
    pub fn symbol(&self, index: SymbolIndex) -> Option<Symbol<'a>> {
        Some(self.cooked(index, self.raw_symbol(index)?))
    }

    /// All symbols in table order, the null one included.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol<'a>> + use<'a> {
        let image = *self;
        self.raw_symbols().enumerate().map(move |(index, raw)| image.cooked(SymbolIndex(index as u32), raw))
    }

    /// Bytes of section `index` in memory; 0 if there is none. `format` is the image's own.
    #[inline(always)]
    pub(crate) fn section_size(&self, format: Format, index: u32) -> u64 {
        let (record, field) = if format.wide { (64, 32) } else { (40, 20) };
        let at = index as usize * record + field;
        let width = format.pointer_size() as usize;
        self.headers.get(at..at + width).map_or(0, |bytes| format.order.word(format.wide, bytes, 0))
    }

    /// The symbols from the first that is not local, with their indexes; `format` is the image's own,
    /// constant where that is worth it.
    #[inline(always)]
    pub(crate) fn raw_globals(&self, format: Format) -> impl Iterator<Item = (u32, RawSymbol)> + use<'a> {
        let first = self.first_global;
        let records = self.symbols.get(first as usize * format.symbol_size()..).unwrap_or_default();
        let records = records.chunks_exact(format.symbol_size()).enumerate();
        records.map(move |(index, record)| (first + index as u32, format.known().symbol(record)))
    }

    pub(crate) fn format(&self) -> Format {
        self.format.known()
    }

    pub(crate) fn raw_symbol(&self, index: SymbolIndex) -> Option<RawSymbol> {
        let size = self.format().symbol_size();
        let record = self.symbols.get((index.0 as usize).checked_mul(size)?..)?.get(..size)?;
        Some(self.format().symbol(record))
    }

    pub(crate) fn raw_symbols(&self) -> impl Iterator<Item = RawSymbol> + use<'a> {
        let format = self.format();
        self.symbols.chunks_exact(format.symbol_size()).map(move |record| format.symbol(record))
    }

    /// The records of the symbols.
    pub(crate) fn symbol_records(&self) -> &'a [u8] {
        self.symbols
    }

    /// The string at `offset` of the symbol strings; parse has checked that offsets of symbols lead to a terminated one.
    pub(crate) fn symbol_name(&self, offset: u32) -> &'a str {
        terminated(self.strings, offset)
    }

    /// The names of all symbols, each with a NUL behind it.
    pub(crate) fn strings(&self) -> &'a str {
        self.strings
    }

    fn cooked(&self, index: SymbolIndex, raw: RawSymbol) -> Symbol<'a> {
        Symbol {
            index,
            name: self.symbol_name(raw.name),
            binding: raw.binding(),
            kind: raw.kind(),
            definition: raw.definition(),
            value: raw.value,
            size: raw.size,
        }
    }

    /// The name people know a symbol by: its own, or that of the section it stands for.
    pub(crate) fn described(&self, symbol: &Symbol<'a>) -> &'a str {
        match symbol.definition {
            Definition::Section(index) if symbol.name.is_empty() => self.section(index).map_or("", |section| section.name()),
            _ => symbol.name,
        }
    }
}

/// The text from `offset` up to the next NUL; empty if the offset is out of bounds.
pub(crate) fn terminated(table: &str, offset: u32) -> &str {
    let Some(rest) = table.get(offset as usize..) else { return "" };
    match CStr::from_bytes_until_nul(rest.as_bytes()) {
        Ok(text) => &rest[..text.count_bytes()],
        Err(_) => "",
    }
}

impl RawSymbol {
    #[inline(always)]
    pub(crate) fn is_global(&self) -> bool {
        sym::st_bind(self.info) == sym::STB_GLOBAL
    }

    #[inline(always)]
    pub(crate) fn is_weak(&self) -> bool {
        sym::st_bind(self.info) == sym::STB_WEAK
    }

    /// True for a local symbol of no type.
    pub(crate) fn is_label(&self) -> bool {
        sym::st_bind(self.info) == sym::STB_LOCAL && sym::st_type(self.info) == sym::STT_NOTYPE
    }

    pub(crate) fn binding(&self) -> Binding {
        match sym::st_bind(self.info) {
            sym::STB_LOCAL => Binding::Local,
            sym::STB_GLOBAL => Binding::Global,
            sym::STB_WEAK => Binding::Weak,
            other => Binding::Other(other),
        }
    }

    pub(crate) fn kind(&self) -> SymbolType {
        match sym::st_type(self.info) {
            sym::STT_NOTYPE => SymbolType::None,
            sym::STT_OBJECT => SymbolType::Object,
            sym::STT_FUNC => SymbolType::Function,
            sym::STT_SECTION => SymbolType::Section,
            sym::STT_FILE => SymbolType::File,
            sym::STT_COMMON => SymbolType::Common,
            sym::STT_TLS => SymbolType::ThreadLocal,
            sym::STT_GNU_IFUNC => SymbolType::IndirectFunction,
            other => SymbolType::Other(other),
        }
    }

    #[inline(always)]
    pub(crate) fn definition(&self) -> Definition {
        match u32::from(self.section) {
            sh::SHN_UNDEF => Definition::Undefined,
            sh::SHN_ABS => Definition::Absolute,
            sh::SHN_COMMON => Definition::Common,
            index => Definition::Section(SectionIndex(index)),
        }
    }
}

impl<'a> Section<'a> {
    /// Its index.
    pub fn index(&self) -> SectionIndex {
        self.index
    }

    /// Its name; empty if the file names no sections.
    pub fn name(&self) -> &'a str {
        terminated(self.names, self.header.name)
    }

    /// Its type (`SHT_*`).
    pub fn kind(&self) -> u32 {
        self.header.kind
    }

    /// Its flags (`SHF_*`).
    pub fn flags(&self) -> u64 {
        self.header.flags
    }

    /// Bytes in memory.
    pub fn size(&self) -> u64 {
        self.header.size
    }

    /// Alignment: a power of two, at least 1.
    pub fn align(&self) -> u64 {
        self.header.align.max(1)
    }

    /// Offset of its bytes in the file.
    pub fn file_offset(&self) -> u64 {
        self.header.offset
    }

    /// Its bytes in the file; none for NOBITS.
    pub fn data(&self) -> &'a [u8] {
        match self.file_size() {
            0 => &[],
            size => self.file.range(self.header.offset, size).unwrap_or_default(),
        }
    }

    /// Number of its bytes in the file.
    pub(crate) fn file_size(&self) -> u64 {
        if matches!(self.header.kind, sh::SHT_NOBITS | sh::SHT_NULL) { 0 } else { self.header.size }
    }

    /// True if the section asks to be in memory: allocated, with or without bytes in the file.
    pub fn is_loadable(&self) -> bool {
        self.is_bits() && self.has(sh::SHF_ALLOC)
    }

    /// True for PROGBITS and NOBITS: a section that could be in memory.
    pub(crate) fn is_bits(&self) -> bool {
        matches!(self.header.kind, sh::SHT_PROGBITS | sh::SHT_NOBITS)
    }

    /// True if it holds instructions.
    pub fn is_executable(&self) -> bool {
        self.has(sh::SHF_EXECINSTR)
    }

    /// True if it may be written.
    pub fn is_writable(&self) -> bool {
        self.has(sh::SHF_WRITE)
    }

    pub(crate) fn has(&self, flag: u32) -> bool {
        self.header.flags & u64::from(flag) != 0
    }

    /// For a relocation section, the section it applies to.
    pub fn relocates(&self) -> Option<SectionIndex> {
        matches!(self.header.kind, sh::SHT_REL | sh::SHT_RELA).then_some(SectionIndex(self.header.info))
    }

    /// True if its relocations carry their addends (RELA).
    pub(crate) fn is_explicit(&self) -> bool {
        self.header.kind == sh::SHT_RELA
    }

    /// The relocation records of a relocation section; none for any other.
    pub fn relocations(&self) -> impl Iterator<Item = Relocation> + use<'a> {
        let records = if self.relocates().is_some() { self.data() } else { &[] };
        let (format, explicit) = (self.format, self.is_explicit());
        records.chunks_exact(format.relocation_size(explicit)).map(move |record| {
            let RawRelocation { offset, symbol, kind, addend } = format.known().relocation(explicit, record);
            Relocation { offset, symbol: SymbolIndex(symbol), kind, addend: explicit.then_some(addend) }
        })
    }

    /// The place of this section, for errors.
    pub(crate) fn place(&self) -> Place {
        Place::section(self.index).named(self.name())
    }
}
