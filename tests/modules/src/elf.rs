//! Objects written byte by byte, for what no compiler would produce.
//!
//! [`Object`] writes any little-endian relocatable object for amd64 or i386; [`Record`] starts one that is a module. The result,
//! [`Written`], knows where its headers and tables are, so that tests can spoil single fields.

use std::collections::HashMap;

/// The machine of an [`Object`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 64 bits, relocations with addends.
    Amd64,
    /// 32 bits, addends in place.
    I386,
}

impl Machine {
    /// The machine that this program runs on, where that is one of them; else amd64.
    pub const NATIVE: Self = if cfg!(target_arch = "x86") { Self::I386 } else { Self::Amd64 };

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Amd64 => Self::I386,
            Self::I386 => Self::Amd64,
        }
    }

    /// Bytes of a pointer.
    #[must_use]
    pub const fn pointer(self) -> usize {
        match self {
            Self::Amd64 => 8,
            Self::I386 => 4,
        }
    }

    /// Relocation type of a call's distance.
    #[must_use]
    pub const fn call_type(self) -> u32 {
        match self {
            Self::Amd64 => 4,
            Self::I386 => 2,
        }
    }
}

/// Section types (`SHT_*`).
#[allow(missing_docs, reason = "the names are those of elf(5)")]
pub mod sht {
    pub const PROGBITS: u32 = 1;
    pub const SYMTAB: u32 = 2;
    pub const STRTAB: u32 = 3;
    pub const RELA: u32 = 4;
    pub const NOTE: u32 = 7;
    pub const NOBITS: u32 = 8;
    pub const REL: u32 = 9;
    pub const INIT_ARRAY: u32 = 14;
}

/// Section flags (`SHF_*`).
#[allow(missing_docs, reason = "the names are those of elf(5)")]
pub mod shf {
    pub const W: u64 = 1;
    pub const A: u64 = 2;
    pub const X: u64 = 4;
}

/// Section indexes that are none (`SHN_*`).
#[allow(missing_docs, reason = "the names are those of elf(5)")]
pub mod shn {
    pub const UNDEF: u16 = 0;
    pub const ABS: u16 = 0xfff1;
    pub const COMMON: u16 = 0xfff2;
}

/// Symbol bindings and types (`STB_*`, `STT_*`).
#[allow(missing_docs, reason = "the names are those of elf(5)")]
pub mod sym {
    pub const LOCAL: u8 = 0;
    pub const GLOBAL: u8 = 1;
    pub const WEAK: u8 = 2;
    pub const NOTYPE: u8 = 0;
    pub const OBJECT: u8 = 1;
    pub const FUNC: u8 = 2;
}

/// A section, by its index in the header table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SectionId(pub u16);

/// A symbol, by its index in the symbol table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolId(pub u32);

struct Section {
    name: String,
    kind: u32,
    flags: u64,
    align: u64,
    data: Vec<u8>,
    /// Bytes in memory, if the file holds none.
    nobits: Option<u64>,
    relocations: Vec<Relocation>,
}

struct Relocation {
    offset: u64,
    symbol: SymbolId,
    kind: u32,
    addend: i64,
}

struct Symbol {
    name: String,
    info: u8,
    section: u16,
    value: u64,
    size: u64,
}

/// A relocatable object on its way.
pub struct Object {
    machine: Machine,
    sections: Vec<Section>,
    symbols: Vec<Symbol>,
    share_tails: bool,
}

/// A written object.
#[derive(Clone)]
pub struct Written {
    /// The file.
    pub bytes: Vec<u8>,
    wide: bool,
    headers: usize,
    count: usize,
    names: HashMap<String, usize>,
}

impl Object {
    /// An object without sections and symbols.
    #[must_use]
    pub fn new(machine: Machine) -> Self {
        Self { machine, sections: Vec::new(), symbols: Vec::new(), share_tails: false }
    }

    fn wide(&self) -> bool {
        self.machine == Machine::Amd64
    }

    /// Bytes of a pointer.
    #[must_use]
    pub fn pointer(&self) -> usize {
        self.machine.pointer()
    }

    /// Relocation type of a pointer.
    #[must_use]
    pub fn pointer_type(&self) -> u32 {
        1
    }

    /// Lets names of symbols end in each other's strings, as linkers do.
    pub fn share_tails(&mut self) {
        self.share_tails = true;
    }

    /// Adds a section with `data`.
    pub fn section(&mut self, name: &str, kind: u32, flags: u64, align: u64, data: &[u8]) -> SectionId {
        let name = name.to_owned();
        self.sections.push(Section { name, kind, flags, align, data: data.into(), nobits: None, relocations: Vec::new() });
        SectionId(self.sections.len() as u16)
    }

    /// Adds a section of `size` bytes that are not in the file.
    pub fn nobits(&mut self, name: &str, flags: u64, align: u64, size: u64) -> SectionId {
        let section = self.section(name, sht::NOBITS, flags, align, &[]);
        self.at(section).nobits = Some(size);
        section
    }

    fn at(&mut self, section: SectionId) -> &mut Section {
        &mut self.sections[usize::from(section.0) - 1]
    }

    /// Appends bytes to a section and says at which offset.
    pub fn append(&mut self, section: SectionId, bytes: &[u8]) -> u64 {
        let data = &mut self.at(section).data;
        data.extend_from_slice(bytes);
        (data.len() - bytes.len()) as u64
    }

    /// Adds a symbol: `info` from [`info`], `section` a section's index or one of [`shn`].
    pub fn symbol(&mut self, name: &str, info: u8, section: u16, value: u64, size: u64) -> SymbolId {
        self.symbols.push(Symbol { name: name.to_owned(), info, section, value, size });
        SymbolId(self.symbols.len() as u32)
    }

    /// A local symbol without a name at the start of `section`.
    pub fn anchor(&mut self, section: SectionId) -> SymbolId {
        self.symbol("", info(sym::LOCAL, sym::NOTYPE), section.0, 0, 0)
    }

    /// An undefined global symbol.
    pub fn import(&mut self, name: &str) -> SymbolId {
        self.symbol(name, info(sym::GLOBAL, sym::NOTYPE), shn::UNDEF, 0, 0)
    }

    /// Adds a relocation. On i386 the addend is stored at the place, if that is in the section.
    pub fn relocate(&mut self, section: SectionId, offset: u64, symbol: SymbolId, kind: u32, addend: i64) {
        if self.machine == Machine::I386
            && let Some(place) = self.at(section).data.get_mut(offset as usize..).and_then(<[u8]>::first_chunk_mut::<4>)
        {
            *place = (addend as i32).to_le_bytes();
        }
        self.at(section).relocations.push(Relocation { offset, symbol, kind, addend });
    }

    /// Bytes of the section's data so far.
    #[must_use]
    pub fn len_of(&self, section: SectionId) -> u64 {
        self.sections[usize::from(section.0) - 1].data.len() as u64
    }

    /// The file: header, sections, relocations, symbols, strings, section headers.
    #[must_use]
    pub fn write(&self) -> Written {
        let wide = self.wide();
        let mut file = File { wide, bytes: vec![0; if wide { 64 } else { 52 }], headers: vec![Header::default()] };
        let symtab = self.sections.len() + self.sections.iter().filter(|section| !section.relocations.is_empty()).count() + 1;
        for section in &self.sections {
            let at = file.place(&section.data, section.align);
            let size = section.nobits.unwrap_or(section.data.len() as u64);
            let (kind, flags, align) = (section.kind, section.flags, section.align);
            file.headers.push(Header { kind, flags, offset: at, size, align, ..Header::named(&section.name) });
        }
        for (index, section) in self.sections.iter().enumerate().filter(|(_, section)| !section.relocations.is_empty()) {
            let records: Vec<u8> = section.relocations.iter().flat_map(|relocation| file.relocation(relocation)).collect();
            let (kind, prefix, entry) = if wide { (sht::RELA, ".rela", 24) } else { (sht::REL, ".rel", 8) };
            let at = file.place(&records, 8);
            let name = format!("{prefix}{}", section.name);
            let (size, link, info) = (records.len() as u64, symtab as u32, index as u32 + 1);
            file.headers.push(Header { kind, offset: at, size, link, info, align: 8, entry, ..Header::named(&name) });
        }
        let strings = Strings::of(self.symbols.iter().map(|symbol| symbol.name.as_str()), self.share_tails);
        let entry = if wide { 24 } else { 16 };
        let mut table = vec![0; entry];
        self.symbols.iter().for_each(|symbol| table.extend(file.symbol(symbol, strings.offset(&symbol.name))));
        let at = file.place(&table, 8);
        let locals = 1 + self.symbols.iter().take_while(|symbol| symbol.info >> 4 == sym::LOCAL).count();
        let (size, link, info) = (table.len() as u64, symtab as u32 + 1, locals as u32);
        let entry = entry as u64;
        file.headers.push(Header {
            kind: sht::SYMTAB,
            offset: at,
            size,
            link,
            info,
            align: 8,
            entry,
            ..Header::named(".symtab")
        });
        file.strings(".strtab", &strings.bytes);
        let names = Strings::of(file.headers.iter().map(|header| header.name.as_str()).chain([".shstrtab"]), false);
        file.strings(".shstrtab", &names.bytes);
        file.finish(self.machine, &names)
    }
}

/// `st_info` of a binding and a type.
#[must_use]
pub const fn info(binding: u8, kind: u8) -> u8 {
    binding << 4 | kind
}

/// A string table.
struct Strings {
    bytes: Vec<u8>,
    offsets: HashMap<String, u32>,
}

impl Strings {
    fn of<'a>(names: impl Iterator<Item = &'a str>, share_tails: bool) -> Self {
        let mut names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
        if share_tails {
            // Longest first: every tail finds a string that is there already.
            names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        }
        let mut strings = Self { bytes: vec![0], offsets: HashMap::new() };
        for name in names {
            let host = strings.offsets.iter().find(|(host, _)| share_tails && host.ends_with(name));
            let at = match host {
                Some((host, at)) => *at + (host.len() - name.len()) as u32,
                None => {
                    let at = strings.bytes.len() as u32;
                    strings.bytes.extend_from_slice(name.as_bytes());
                    strings.bytes.push(0);
                    at
                }
            };
            strings.offsets.entry(name.to_owned()).or_insert(at);
        }
        strings
    }

    fn offset(&self, name: &str) -> u32 {
        self.offsets.get(name).copied().unwrap_or(0)
    }
}

#[derive(Default)]
struct Header {
    name: String,
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
    link: u32,
    info: u32,
    align: u64,
    entry: u64,
}

impl Header {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// The file while it grows.
struct File {
    wide: bool,
    bytes: Vec<u8>,
    headers: Vec<Header>,
}

impl File {
    fn place(&mut self, data: &[u8], align: u64) -> u64 {
        let align = usize::try_from(align).ok().filter(|align| (1..=4096).contains(align)).unwrap_or(1);
        self.bytes.resize(self.bytes.len().next_multiple_of(align), 0);
        self.bytes.extend_from_slice(data);
        (self.bytes.len() - data.len()) as u64
    }

    fn strings(&mut self, name: &str, data: &[u8]) {
        let at = self.place(data, 1);
        let header = Header { kind: sht::STRTAB, offset: at, size: data.len() as u64, align: 1, ..Header::named(name) };
        self.headers.push(header);
    }

    fn word(&self, value: u64) -> Vec<u8> {
        if self.wide { value.to_le_bytes().to_vec() } else { (value as u32).to_le_bytes().to_vec() }
    }

    fn relocation(&self, relocation: &Relocation) -> Vec<u8> {
        let Relocation { offset, symbol, kind, addend } = *relocation;
        let info = if self.wide { u64::from(symbol.0) << 32 | u64::from(kind) } else { u64::from(symbol.0 << 8 | kind) };
        let mut record = [self.word(offset), self.word(info)].concat();
        if self.wide {
            record.extend(addend.to_le_bytes());
        }
        record
    }

    fn symbol(&self, symbol: &Symbol, name: u32) -> Vec<u8> {
        let Symbol { info, section, value, size, .. } = *symbol;
        let name = name.to_le_bytes().to_vec();
        let (value, size, section) = (self.word(value), self.word(size), section.to_le_bytes().to_vec());
        match self.wide {
            true => [name, vec![info, 0], section, value, size].concat(),
            false => [name, value, size, vec![info, 0], section].concat(),
        }
    }

    fn finish(mut self, machine: Machine, names: &Strings) -> Written {
        let headers = self.place(&[], 8) as usize;
        for header in &self.headers {
            let mut record = [names.offset(&header.name).to_le_bytes(), header.kind.to_le_bytes()].concat();
            for word in [header.flags, 0, header.offset, header.size] {
                record.extend(self.word(word));
            }
            record.extend([header.link.to_le_bytes(), header.info.to_le_bytes()].concat());
            record.extend(self.word(header.align));
            record.extend(self.word(header.entry));
            self.bytes.extend(record);
        }
        let count = self.headers.len();
        let ident = [0x7f, b'E', b'L', b'F', if self.wide { 2 } else { 1 }, 1, 1];
        self.bytes[..7].copy_from_slice(&ident);
        let machine: u16 = if machine == Machine::Amd64 { 62 } else { 3 };
        let names = self.headers.iter().enumerate().map(|(index, header)| (header.name.clone(), index)).collect();
        let mut written = Written { bytes: self.bytes, wide: self.wide, headers, count, names };
        let (size, entry) = if written.wide { (64, 64) } else { (52, 40) };
        written.set_header(Field::Type, 1);
        written.set_header(Field::Machine, machine.into());
        written.set_header(Field::Version, 1);
        written.set_header(Field::SectionHeaders, headers as u64);
        written.set_header(Field::HeaderSize, size);
        written.set_header(Field::SectionEntry, entry);
        written.set_header(Field::SectionCount, count as u64);
        written.set_header(Field::SectionNames, count as u64 - 1);
        written
    }
}

/// A field of the file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after what elf(5) calls it")]
pub enum Field {
    Type,
    Machine,
    Version,
    Entry,
    SectionHeaders,
    Flags,
    HeaderSize,
    SectionEntry,
    SectionCount,
    SectionNames,
}

/// A field of a section header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named after what elf(5) calls it")]
pub enum SectionField {
    Name,
    Type,
    Flags,
    Offset,
    Size,
    Link,
    Info,
    Align,
    EntrySize,
}

impl Written {
    /// Offset and bytes of a field of the file header.
    #[must_use]
    pub fn header(&self, field: Field) -> (usize, usize) {
        let (word, tail) = if self.wide { (8, 52) } else { (4, 40) };
        match field {
            Field::Type => (16, 2),
            Field::Machine => (18, 2),
            Field::Version => (20, 4),
            Field::Entry => (24, word),
            Field::SectionHeaders => (24 + 2 * word, word),
            Field::Flags => (24 + 3 * word, 4),
            Field::HeaderSize => (tail, 2),
            Field::SectionEntry => (tail + 6, 2),
            Field::SectionCount => (tail + 8, 2),
            Field::SectionNames => (tail + 10, 2),
        }
    }

    /// Sets a field of the file header.
    pub fn set_header(&mut self, field: Field, value: u64) {
        let (at, len) = self.header(field);
        self.put(at, len, value);
    }

    /// Index of the first section called `name`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn index(&self, name: &str) -> usize {
        self.names[name]
    }

    /// Number of section headers.
    #[must_use]
    pub fn section_count(&self) -> usize {
        self.count
    }

    /// Offset and bytes of a field of the header of section `index`.
    #[must_use]
    pub fn field(&self, index: usize, field: SectionField) -> (usize, usize) {
        let word = if self.wide { 8 } else { 4 };
        let (at, len) = match field {
            SectionField::Name => (0, 4),
            SectionField::Type => (4, 4),
            SectionField::Flags => (8, word),
            SectionField::Offset => (8 + 2 * word, word),
            SectionField::Size => (8 + 3 * word, word),
            SectionField::Link => (8 + 4 * word, 4),
            SectionField::Info => (12 + 4 * word, 4),
            SectionField::Align => (16 + 4 * word, word),
            SectionField::EntrySize => (16 + 5 * word, word),
        };
        (self.headers + index * if self.wide { 64 } else { 40 } + at, len)
    }

    /// The value of a field of the header of section `name`.
    #[must_use]
    pub fn get(&self, name: &str, field: SectionField) -> u64 {
        let (at, len) = self.field(self.index(name), field);
        let mut bytes = [0; 8];
        bytes[..len].copy_from_slice(&self.bytes[at..at + len]);
        u64::from_le_bytes(bytes)
    }

    /// Sets a field of the header of section `name`.
    pub fn set(&mut self, name: &str, field: SectionField, value: u64) {
        let (at, len) = self.field(self.index(name), field);
        self.put(at, len, value);
    }

    /// Offset of section `name`'s bytes in the file.
    #[must_use]
    pub fn offset_of(&self, name: &str) -> usize {
        self.get(name, SectionField::Offset) as usize
    }

    /// Sets `len` bytes at `at` of the file to the little-endian `value`.
    pub fn put(&mut self, at: usize, len: usize, value: u64) {
        self.bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    }
}

/// The record of a module (`struct modinfo`), and what its control routine does.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its class.
    pub class: u32,
    /// The kernel version it claims to be built for.
    pub version: u32,
    /// What it requires; `None` for a null pointer.
    pub required: Option<&'a str>,
    /// What its control routine does.
    pub control: Control<'a>,
}

/// What a module's control routine does.
#[derive(Clone, Copy, Debug)]
pub enum Control<'a> {
    /// Answers INIT, FINI and AUTOUNLOAD with these numbers, everything else with ENOTTY.
    Answers(i32, i32, i32),
    /// Goes on to an imported function, with a third argument after the routine's own two.
    Calls(&'a str, u32),
}

/// An object that is a module, with the sections that one has.
pub struct Module {
    /// The object, for more sections, symbols and relocations.
    pub object: Object,
    /// Code; the control routine is at 0.
    pub text: SectionId,
    /// Strings and the record.
    pub rodata: SectionId,
    /// Data that may be written.
    pub data: SectionId,
    /// The pointer to the record.
    pub link_set: SectionId,
    /// Offset of the record in the read-only data.
    pub record: u64,
}

impl Record<'_> {
    /// A record that fits every loader: class MISC, no requirements, a control routine that answers 0.
    #[must_use]
    pub const fn new(name: &str, version: u32) -> Record<'_> {
        Record { name, class: 1, version, required: None, control: Control::Answers(0, 0, 25) }
    }

    /// Starts the module.
    #[must_use]
    pub fn module(&self, machine: Machine) -> Module {
        let mut object = Object::new(machine);
        let text = object.section(".text", sht::PROGBITS, shf::A | shf::X, 16, &[]);
        let rodata = object.section(".rodata", sht::PROGBITS, shf::A, 8, &[]);
        let link_set = object.section("link_set_modules", sht::PROGBITS, shf::A, 8, &vec![0; object.pointer()]);
        let data = object.section(".data", sht::PROGBITS, shf::A | shf::W, 64, &[0x5a; 64]);
        self.control_routine(&mut object, text, machine);
        let (in_text, in_rodata) = (object.anchor(text), object.anchor(rodata));
        let name = object.append(rodata, &[self.name.as_bytes(), &[0]].concat());
        let required = self.required.map(|list| object.append(rodata, &[list.as_bytes(), &[0]].concat()));
        let padding = object.len_of(rodata).next_multiple_of(8) - object.len_of(rodata);
        object.append(rodata, &vec![0; padding as usize]);
        let word = object.pointer() as u64;
        let record = object.append(rodata, &[self.version.to_le_bytes(), self.class.to_le_bytes()].concat());
        object.append(rodata, &vec![0; 3 * word as usize]);
        let pointer = object.pointer_type();
        object.relocate(rodata, record + 8, in_text, pointer, 0);
        object.relocate(rodata, record + 8 + word, in_rodata, pointer, name as i64);
        if let Some(required) = required {
            object.relocate(rodata, record + 8 + 2 * word, in_rodata, pointer, required as i64);
        }
        object.relocate(link_set, 0, in_rodata, pointer, record as i64);
        Module { object, text, rodata, data, link_set, record }
    }

    /// The module's file.
    #[must_use]
    pub fn bytes(&self, machine: Machine) -> Vec<u8> {
        self.module(machine).object.write().bytes
    }

    fn control_routine(&self, object: &mut Object, text: SectionId, machine: Machine) {
        match self.control {
            Control::Answers(init, fini, autounload) => {
                // mov ecx, edi or mov ecx, [esp+4]
                let mut code: Vec<u8> = if machine == Machine::Amd64 { vec![0x89, 0xf9] } else { vec![0x8b, 0x4c, 0x24, 4] };
                for (command, answer) in [(0, init), (1, fini), (3, autounload)] {
                    // mov eax, answer; cmp ecx, command; jne over a ret
                    code.push(0xb8);
                    code.extend(answer.to_le_bytes());
                    code.extend([0x83, 0xf9, command, 0x75, 1, 0xc3]);
                }
                code.extend([0xb8, 25, 0, 0, 0, 0xc3]);
                object.append(text, &code);
            }
            Control::Calls(function, number) => {
                let function = object.import(function);
                let mut code;
                if machine == Machine::Amd64 {
                    // mov edx, number; jmp function
                    code = vec![0xba];
                    code.extend(number.to_le_bytes());
                } else {
                    // push number; push [esp+12]; push [esp+12]; call function; add esp, 12; ret
                    code = vec![0x68];
                    code.extend(number.to_le_bytes());
                    code.extend([0xff, 0x74, 0x24, 12, 0xff, 0x74, 0x24, 12]);
                }
                let at = object.append(text, &code) + code.len() as u64;
                let jump: &[u8] =
                    if machine == Machine::Amd64 { &[0xe9, 0, 0, 0, 0] } else { &[0xe8, 0, 0, 0, 0, 0x83, 0xc4, 12, 0xc3] };
                object.append(text, jump);
                object.relocate(text, at + 1, function, machine.call_type(), -4);
            }
        }
    }
}
