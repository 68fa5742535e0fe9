//! What can be wrong with a module, sorted by whose fault it is, each with its place in the file.

use crate::address::{SectionIndex, SymbolIndex};
use crate::errno;
use crate::resource::{HostError, HostErrorKind};
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

/// Where in a module file something was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The section; `None` for the file header.
    pub section: Option<SectionIndex>,
    /// The section's name, where it is known.
    pub name: Option<Box<str>>,
    /// Index of the record in the section (symbol, relocation), or of the header field's record.
    pub entry: Option<u32>,
    /// Bytes from the start of the section, or of the file if there is no section.
    pub offset: Option<u64>,
}

impl Place {
    /// The file as a whole.
    pub const FILE: Self = Self { section: None, name: None, entry: None, offset: None };

    /// `offset` bytes into the file.
    pub const fn file(offset: u64) -> Self {
        Self { section: None, name: None, entry: None, offset: Some(offset) }
    }

    /// Section `index` as a whole.
    pub const fn section(index: SectionIndex) -> Self {
        Self { section: Some(index), name: None, entry: None, offset: None }
    }

    /// The same place in a section called `name`.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = if name.is_empty() { None } else { Some(name.into()) };
        self
    }

    /// The same place, at record `entry`.
    #[must_use]
    pub const fn entry(mut self, entry: u32) -> Self {
        self.entry = Some(entry);
        self
    }

    /// The same place, at byte `offset`.
    #[must_use]
    pub const fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.section, &self.name) {
            (Some(index), Some(name)) => write!(f, "section {} ({name})", index.0)?,
            (Some(index), None) => write!(f, "section {}", index.0)?,
            (None, _) => f.write_str("file")?,
        }
        if let Some(entry) = self.entry {
            write!(f, ", entry {entry}")?;
        }
        if let Some(offset) = self.offset {
            write!(f, ", offset {offset:#x}")?;
        }
        Ok(())
    }
}

/// How a file breaks the rules of its format.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// The first four bytes are not those of ELF.
    Magic,
    /// The ELF version is not 1.
    Version(u32),
    /// Neither 32-bit nor 64-bit.
    Class(u8),
    /// Neither little nor big endian.
    ByteOrder(u8),
    /// Not a relocatable object (`ET_REL`).
    NotRelocatable(u16),
    /// There are no section headers.
    NoSections,
    /// More section headers than any module has.
    TooManySections(u32),
    /// A record size other than the format's own.
    EntrySize {
        /// In the file.
        found: u64,
        /// What it has to be.
        expected: u64,
    },
    /// A table whose size is no multiple of its record size.
    TableSize {
        /// Bytes in the file.
        size: u64,
        /// Bytes of one record.
        entry: u64,
    },
    /// A section index that names no section, or one of the wrong type.
    Link(u32),
    /// A name offset outside its string table.
    NameOffset(u32),
    /// An alignment that is no power of two.
    Alignment(u64),
    /// Not exactly one symbol table.
    SymbolTables(u32),
    /// A table that must not be empty is.
    Empty,
    /// A string table without a final NUL.
    Unterminated,
    /// A string table that is not text.
    NotText,
    /// A symbol in a section that does not exist.
    SymbolSection(u32),
    /// A symbol outside its section.
    SymbolValue {
        /// Offset of the symbol.
        value: u64,
        /// Bytes of the section.
        size: u64,
    },
    /// A relocation that names a symbol beyond the table.
    RelocationSymbol(u32),
    /// A relocation whose place is not wholly inside its section.
    RelocationPlace {
        /// Offset of the place.
        offset: u64,
        /// Bytes of the section.
        size: u64,
    },
    /// A relocation that needs a symbol and names none.
    NoSymbol,
    /// A relocation refers to an undefined symbol that is local.
    UndefinedLocal(SymbolIndex),
    /// An instruction that the relocation type does not belong to.
    Instruction(u32),
    /// A lower half of an address without its upper half.
    Pair,
    /// Sizes whose sum does not fit.
    TooLarge,
    /// A section without which it is no module of its flavour.
    NoSection(&'static str),
    /// No executable section with anything in it.
    NoText,
    /// The link set of modules does not hold exactly one pointer.
    LinkSetSize {
        /// Bytes in the file.
        found: u64,
        /// Bytes of one pointer.
        expected: u64,
    },
    /// A pointer of the module's own record that no relocation fills, or that a wrong kind of relocation fills.
    Pointer(&'static str),
    /// A pointer of the module's own record that leads out of the module's sections.
    PointerTarget(&'static str),
    /// A string of the module's own record that is not text or has no end.
    String(&'static str),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("not an ELF file"),
            Self::Version(found) => write!(f, "ELF version {found} is not 1"),
            Self::Class(found) => write!(f, "ELF class {found} is neither 32-bit nor 64-bit"),
            Self::ByteOrder(found) => write!(f, "byte order {found} is neither little nor big endian"),
            Self::NotRelocatable(found) => write!(f, "file type {found} is not a relocatable object"),
            Self::NoSections => f.write_str("no section headers"),
            Self::TooManySections(found) => write!(f, "{found} section headers are too many"),
            Self::EntrySize { found, expected } => write!(f, "record size {found} is not {expected}"),
            Self::TableSize { size, entry } => write!(f, "table of {size} bytes is no multiple of its {entry}-byte records"),
            Self::Link(index) => write!(f, "section index {index} does not name a fitting section"),
            Self::NameOffset(offset) => write!(f, "name offset {offset:#x} is outside the string table"),
            Self::Alignment(found) => write!(f, "alignment {found:#x} is no power of two"),
            Self::SymbolTables(found) => write!(f, "{found} symbol tables where one is needed"),
            Self::Empty => f.write_str("table is empty"),
            Self::Unterminated => f.write_str("string table does not end with a NUL"),
            Self::NotText => f.write_str("string table is not UTF-8"),
            Self::SymbolSection(index) => write!(f, "symbol in section {index:#x}, which does not exist"),
            Self::SymbolValue { value, size } => write!(f, "symbol at {value:#x} is outside its section of {size:#x} bytes"),
            Self::RelocationSymbol(index) => write!(f, "relocation names symbol {index}, which is beyond the table"),
            Self::RelocationPlace { offset, size } => {
                write!(f, "relocation at {offset:#x} is outside its section of {size:#x} bytes")
            }
            Self::NoSymbol => f.write_str("relocation needs a symbol and names none"),
            Self::UndefinedLocal(index) => write!(f, "relocation against local symbol {}, which is not defined", index.0),
            Self::Instruction(word) => write!(f, "instruction {word:#010x} does not fit the relocation type"),
            Self::Pair => f.write_str("no upper half where the relocation says it is"),
            Self::TooLarge => f.write_str("sizes add up to more than an address can hold"),
            Self::NoSection(name) => write!(f, "no section {name}"),
            Self::NoText => f.write_str("no executable section"),
            Self::LinkSetSize { found, expected } => {
                write!(f, "link set of modules has {found} bytes where one pointer of {expected} is needed")
            }
            Self::Pointer(field) => write!(f, "{field} is not filled by one local relocation"),
            Self::PointerTarget(field) => write!(f, "{field} leads out of the module"),
            Self::String(field) => write!(f, "{field} is not a terminated text"),
        }
    }
}

/// What a well-formed file asks for that cannot be given.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// A machine that is not known.
    Machine(u16),
    /// A class and byte order that the machine does not have here.
    MachineForm,
    /// Section indexes beyond 16 bits.
    ExtendedIndex,
    /// Compressed contents in memory.
    Compressed,
    /// A relocation type that is not implemented for the machine.
    Relocation(u32),
    /// A symbol that still waits for common space.
    Common(Box<str>),
    /// A thread-local symbol.
    ThreadLocal(Box<str>),
    /// A function whose address only running code can tell.
    IndirectFunction(Box<str>),
    /// A symbol in a section that is not loaded.
    Unloaded(Box<str>),
    /// A symbol value that the machine's addresses cannot hold.
    AddressWidth(Box<str>),
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(number) => write!(f, "machine {number} is not supported"),
            Self::MachineForm => f.write_str("this class and byte order are not supported for the machine"),
            Self::ExtendedIndex => f.write_str("extended section indexes are not supported"),
            Self::Compressed => f.write_str("compressed section that would have to be loaded"),
            Self::Relocation(number) => write!(f, "relocation type {number} is not supported"),
            Self::Common(name) => write!(f, "common symbol {name} has no space"),
            Self::ThreadLocal(name) => write!(f, "symbol {name} is thread-local"),
            Self::IndirectFunction(name) => write!(f, "symbol {name} is an indirect function"),
            Self::Unloaded(name) => write!(f, "symbol {name} is in a section that is not loaded"),
            Self::AddressWidth(name) => write!(f, "the address of {name} does not fit the machine"),
        }
    }
}

/// An undefined symbol that nobody exports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The full name, in its namespace.
    pub name: String,
    /// True if the reference is weak.
    pub weak: bool,
    /// The first place in a loaded section that wants it; `None` if no relocation does.
    pub wanted: Option<Place>,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, if self.weak { " (weak)" } else { "" })?;
        match &self.wanted {
            Some(place) => write!(f, " wanted by {place}"),
            None => f.write_str(" wanted by no relocation"),
        }
    }
}

/// A result that does not fit where it has to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutOfRange {
    /// The place in the section that is relocated.
    pub place: Place,
    /// The full name of the symbol, or the name of its section.
    pub symbol: String,
    /// Relocation type, as the machine numbers it.
    pub relocation: u32,
    /// What was to be stored, or for scaled fields what it was computed from.
    pub value: i64,
}

/// Why a module could not be read or linked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The file ends before what its headers promise.
    Truncated {
        /// What reaches beyond the end.
        place: Place,
        /// Where it would end, in bytes from the start of the file.
        end: u64,
        /// Bytes in the file.
        len: u64,
    },
    /// The file breaks the rules of its format.
    Malformed {
        /// Where.
        place: Place,
        /// How.
        problem: Problem,
    },
    /// The file asks for something that is not offered.
    Unsupported {
        /// Where.
        place: Place,
        /// What.
        feature: Feature,
    },
    /// The object has no `link_set_modules` section: it is not a module.
    NoMetadata,
    /// Symbols that nobody exports: all of them.
    Unresolved(Box<[Missing]>),
    /// A relocation's result does not fit its field.
    OutOfRange(Box<OutOfRange>),
    /// A call of the host failed.
    Host {
        /// What was wanted from the host.
        wanted: &'static str,
        /// Its answer.
        error: HostError,
    },
}

impl LinkError {
    pub(crate) fn malformed(place: Place, problem: Problem) -> Self {
        Self::Malformed { place, problem }
    }

    pub(crate) fn unsupported(place: Place, feature: Feature) -> Self {
        Self::Unsupported { place, feature }
    }

    /// The NetBSD error number of the case.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Truncated { .. } => errno::EINVAL,
            Self::Malformed { .. } | Self::Unsupported { .. } | Self::Unresolved(_) | Self::OutOfRange(_) => errno::ENOEXEC,
            Self::NoMetadata => errno::ENOENT,
            Self::Host { error, .. } => match error.kind() {
                HostErrorKind::OutOfMemory => errno::ENOMEM,
                HostErrorKind::InvalidInput => errno::EINVAL,
                _ => errno::EIO,
            },
        }
    }

    /// The symbols nobody exports, if that is the reason.
    pub fn missing(&self) -> &[Missing] {
        match self {
            Self::Unresolved(missing) => missing,
            _ => &[],
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { place, end, len } => {
                write!(f, "{place}: needs {end:#x} bytes of a file of {len:#x}")
            }
            Self::Malformed { place, problem } => write!(f, "{place}: {problem}"),
            Self::Unsupported { place, feature } => write!(f, "{place}: {feature}"),
            Self::NoMetadata => f.write_str("no link_set_modules section: not a module"),
            Self::Unresolved(missing) => {
                write!(f, "{} undefined symbol{}: ", missing.len(), if missing.len() == 1 { "" } else { "s" })?;
                for (index, symbol) in missing.iter().enumerate() {
                    write!(f, "{}{symbol}", if index == 0 { "" } else { "; " })?;
                }
                Ok(())
            }
            Self::OutOfRange(what) => write!(
                f,
                "{}: relocation type {} against {} gives {:#x}, which does not fit",
                what.place, what.relocation, what.symbol, what.value
            ),
            Self::Host { wanted, error } => write!(f, "{wanted}: {error}"),
        }
    }
}

impl core::error::Error for LinkError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Host { error, .. } => Some(error),
            _ => None,
        }
    }
}
