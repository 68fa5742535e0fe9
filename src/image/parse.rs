//! The one place where the structure of a file is checked.

use super::file::FileBytes;
use super::layout::{Format, RawSymbol, SectionHeader};
use super::{Image, Section};
use crate::address::SectionIndex;
use crate::arch::Machine;
use crate::error::{Feature, LinkError, Place, Problem};
use goblin::elf::{header, section_header as sh, sym};

/// Most section headers a module may have, as the reference counts.
const MAX_SECTIONS: u32 = 32_768;

impl<'a> Image<'a> {
    /// Checks `bytes` and gives a view of them.
    ///
    /// # Errors
    /// [`Truncated`](LinkError::Truncated) if something reaches beyond the end of the file,
    /// [`Malformed`](LinkError::Malformed) for what no linker writes, [`Unsupported`](LinkError::Unsupported) for machines and
    /// forms that are not known.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, LinkError> {
        Self::parse_file(FileBytes { held: bytes, unread: None })
    }

    /// As [`parse`](Self::parse), of a file that was possibly not read whole.
    pub(crate) fn parse_file(bytes: FileBytes<'a>) -> Result<Self, LinkError> {
        let header = Outline::read(bytes.held, bytes.len())?;
        let headers = match bytes.range(header.offset, header.len) {
            Ok(headers) => headers,
            Err(end) => return Err(truncated(header.place(), end, bytes.len())),
        };
        let mut image = Self {
            bytes,
            format: header.format,
            machine: header.machine,
            headers,
            section_names: "",
            symbol_section: SectionIndex(0),
            symbols: &[],
            strings: "",
            first_global: 0,
        };

        let mut symbol_tables = 0;
        for section in image.sections() {
            check_extent(&image, &section)?;
            if section.kind() == sh::SHT_SYMTAB {
                symbol_tables += 1;
                image.symbol_section = section.index();
            }
        }
        image.section_names = section_names(&image, header.names)?;
        if symbol_tables != 1 {
            return Err(LinkError::malformed(Place::FILE, Problem::SymbolTables(symbol_tables)));
        }
        symbol_table(&mut image)?;
        for section in image.sections() {
            check_section(&image, &section)?;
        }
        image.first_global = check_symbols(&image)?;
        Ok(image)
    }
}

/// What a file header says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outline {
    pub format: Format,
    machine: Machine,
    /// Where the section headers are.
    pub offset: u64,
    /// Their bytes.
    pub len: u64,
    /// Index of the section that holds the names of all.
    names: u32,
}

impl Outline {
    /// The header at the start of a file of `len` bytes, of which `bytes` are the first.
    ///
    /// # Errors
    /// As [`Image::parse`].
    pub fn read(bytes: &[u8], len: u64) -> Result<Self, LinkError> {
        let malformed = |offset: u64, problem| Err(LinkError::malformed(Place::file(offset), problem));
        let Some(ident) = bytes.get(..header::SIZEOF_IDENT) else {
            return Err(truncated(Place::FILE, header::SIZEOF_IDENT as u64, len));
        };
        if ident[..4] != *header::ELFMAG {
            return malformed(0, Problem::Magic);
        }
        let wide = match ident[header::EI_CLASS] {
            header::ELFCLASS32 => false,
            header::ELFCLASS64 => true,
            other => return malformed(header::EI_CLASS as u64, Problem::Class(other)),
        };
        let big = match ident[header::EI_DATA] {
            header::ELFDATA2LSB => false,
            header::ELFDATA2MSB => true,
            other => return malformed(header::EI_DATA as u64, Problem::ByteOrder(other)),
        };
        let format = Format::new(wide, big);
        if ident[header::EI_VERSION] != header::EV_CURRENT {
            return malformed(header::EI_VERSION as u64, Problem::Version(u32::from(ident[header::EI_VERSION])));
        }
        if bytes.len() < format.header_size() {
            return Err(truncated(Place::FILE, format.header_size() as u64, len));
        }
        let fields = format.file_header(bytes);
        let tail = if wide { 58 } else { 46 };
        if fields.version != u32::from(header::EV_CURRENT) {
            return malformed(20, Problem::Version(fields.version));
        }
        if fields.kind != header::ET_REL {
            return malformed(16, Problem::NotRelocatable(fields.kind));
        }
        let Some(machine) = Machine::from_elf(fields.machine) else {
            return Err(LinkError::unsupported(Place::file(18), Feature::Machine(fields.machine)));
        };
        if !machine.has_form(wide, big) {
            return Err(LinkError::unsupported(Place::file(header::EI_CLASS as u64), Feature::MachineForm));
        }
        let (size, expected) = (fields.section_size, format.section_size());
        if usize::from(size) != expected {
            return malformed(tail, Problem::EntrySize { found: size.into(), expected: expected as u64 });
        }
        if fields.section_count == 0 {
            return malformed(tail + 2, Problem::NoSections);
        }
        if u32::from(fields.section_count) > MAX_SECTIONS {
            return malformed(tail + 2, Problem::TooManySections(fields.section_count.into()));
        }
        if fields.section_offset == 0 {
            return malformed(section_offset_at(wide), Problem::NoSections);
        }
        let names = u32::from(fields.names);
        if names >= u32::from(fields.section_count) {
            return malformed(tail + 4, Problem::Link(names));
        }
        let table = u64::from(fields.section_count) * expected as u64;
        Ok(Self { format, machine, offset: fields.section_offset, len: table, names })
    }

    /// The field that says where the section headers are, for errors.
    fn place(&self) -> Place {
        Place::file(section_offset_at(self.format.wide))
    }
}

const fn section_offset_at(wide: bool) -> u64 {
    if wide { 40 } else { 32 }
}

fn truncated(place: Place, end: u64, len: u64) -> LinkError {
    LinkError::Truncated { place, end, len }
}

/// Every section with bytes in the file lies in the file; afterwards [`Section::data`] is what the header says.
fn check_extent(image: &Image<'_>, section: &Section<'_>) -> Result<(), LinkError> {
    let SectionHeader { kind, offset, size, align, .. } = section.header;
    if kind == sh::SHT_NULL {
        return Ok(());
    }
    if kind != sh::SHT_NOBITS {
        let file = image.bytes;
        file.range(offset, size).map_err(|end| truncated(Place::section(section.index()), end, file.len()))?;
    }
    if align != 0 && !align.is_power_of_two() {
        return Err(LinkError::malformed(Place::section(section.index()), Problem::Alignment(align)));
    }
    Ok(())
}

/// The text of a string table section.
fn strings<'a>(section: &Section<'a>, place: impl Fn() -> Place) -> Result<&'a str, LinkError> {
    let data = section.data();
    match data.last() {
        None => return Err(LinkError::malformed(place(), Problem::Empty)),
        Some(0) => {}
        Some(_) => return Err(LinkError::malformed(place().at(data.len() as u64 - 1), Problem::Unterminated)),
    }
    core::str::from_utf8(data).map_err(|error| LinkError::malformed(place().at(error.valid_up_to() as u64), Problem::NotText))
}

fn section_names<'a>(image: &Image<'a>, index: u32) -> Result<&'a str, LinkError> {
    if index == 0 {
        return Ok("");
    }
    match image.section(SectionIndex(index)) {
        Some(section) if section.kind() == sh::SHT_STRTAB => strings(&section, || Place::section(section.index())),
        _ => Err(LinkError::malformed(Place::section(SectionIndex(index)), Problem::Link(index))),
    }
}

fn table_of(section: &Section<'_>, entry: usize) -> Result<(), LinkError> {
    let (entry, size) = (entry as u64, section.size());
    if section.header.entry_size != entry {
        let problem = Problem::EntrySize { found: section.header.entry_size, expected: entry };
        return Err(LinkError::malformed(section.place(), problem));
    }
    if size % entry != 0 {
        return Err(LinkError::malformed(section.place().at(size - size % entry), Problem::TableSize { size, entry }));
    }
    Ok(())
}

fn symbol_table(image: &mut Image<'_>) -> Result<(), LinkError> {
    let Some(section) = image.section(image.symbol_section) else { return Ok(()) };
    table_of(&section, image.format().symbol_size())?;
    if section.size() == 0 {
        return Err(LinkError::malformed(section.place(), Problem::Empty));
    }
    let link = section.header.link;
    let linked = match image.section(SectionIndex(link)) {
        Some(linked) if link != 0 && linked.kind() == sh::SHT_STRTAB => linked,
        _ => return Err(LinkError::malformed(section.place(), Problem::Link(link))),
    };
    image.symbols = section.data();
    image.strings = strings(&linked, || linked.place())?;
    Ok(())
}

fn check_section(image: &Image<'_>, section: &Section<'_>) -> Result<(), LinkError> {
    let header = &section.header;
    if header.kind == sh::SHT_NULL {
        return Ok(());
    }
    if !image.section_names.is_empty() && image.section_names.get(header.name as usize..).is_none_or(str::is_empty) {
        return Err(LinkError::malformed(Place::section(section.index()), Problem::NameOffset(header.name)));
    }
    if section.is_loadable() && section.has(sh::SHF_COMPRESSED) {
        return Err(LinkError::unsupported(section.place(), Feature::Compressed));
    }
    if matches!(header.kind, sh::SHT_REL | sh::SHT_RELA) {
        if header.info == 0 || header.info as usize >= image.section_count() {
            return Err(LinkError::malformed(section.place(), Problem::Link(header.info)));
        }
        if header.link != image.symbol_section.0 {
            return Err(LinkError::malformed(section.place(), Problem::Link(header.link)));
        }
        table_of(section, image.format().relocation_size(section.is_explicit()))?;
    }
    Ok(())
}

/// Checks every symbol; gives the index of the first that is not local.
fn check_symbols(image: &Image<'_>) -> Result<u32, LinkError> {
    if image.format().wide && !image.format().order.big {
        symbols_in(image, const { Format::new(true, false) })
    } else {
        symbols_in(image, image.format())
    }
}

#[inline(always)]
fn symbols_in(image: &Image<'_>, format: Format) -> Result<u32, LinkError> {
    let sections = image.section_count() as u32;
    let strings = image.strings;
    let records = image.symbols.chunks_exact(format.symbol_size());
    let mut first_global = records.len() as u32;
    for (index, record) in records.enumerate() {
        let symbol = format.symbol(record);
        let section = u32::from(symbol.section);
        if first_global > index as u32 && symbol.info >> 4 != sym::STB_LOCAL {
            first_global = index as u32;
        }
        // The table ends with a NUL and is text, so a name is fine if it starts at a character.
        let named = strings.as_bytes().get(symbol.name as usize).is_some_and(|&byte| byte as i8 >= -0x40);
        let nowhere = section == sh::SHN_UNDEF || section == sh::SHN_ABS || section == sh::SHN_COMMON;
        // Compilers anchor data by local labels that may lie beyond their section; what is addressed from there is checked then.
        let inside = || section < sections && (symbol.value <= image.section_size(format, section) || symbol.is_label());
        if named && (nowhere || inside()) {
            continue;
        }
        return Err(bad_symbol(image, index, &symbol, named));
    }
    Ok(first_global)
}

#[cold]
fn bad_symbol(image: &Image<'_>, index: usize, symbol: &RawSymbol, named: bool) -> LinkError {
    let at = index as u64 * image.format().symbol_size() as u64;
    let table = image.section(image.symbol_section).map_or(Place::FILE, |section| section.place());
    let place = table.entry(index as u32).at(at);
    let section = u32::from(symbol.section);
    if !named {
        LinkError::malformed(place, Problem::NameOffset(symbol.name))
    } else if section == sh::SHN_XINDEX {
        LinkError::unsupported(place, Feature::ExtendedIndex)
    } else if section as usize >= image.section_count() {
        LinkError::malformed(place, Problem::SymbolSection(section))
    } else {
        let size = image.section_size(image.format(), section);
        LinkError::malformed(place, Problem::SymbolValue { value: symbol.value, size })
    }
}
