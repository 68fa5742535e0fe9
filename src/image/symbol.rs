use super::{Image, string};
use goblin::elf::section_header::{SHN_ABS, SHN_COMMON, SHN_LORESERVE, SHN_UNDEF};
use goblin::elf::sym::{STB_GLOBAL, STB_LOCAL, STB_WEAK, STT_FUNC, STT_SECTION, STT_TLS};

/// Who sees a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// Its own object.
    Local,
    /// Everybody.
    Global,
    /// Everybody, unless there is a global one.
    Weak,
    /// A value the ABI does not define here.
    Other(u8),
}

/// Where a symbol is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Not in this object.
    Undefined,
    /// A number, not a place.
    Absolute,
    /// A common block nobody has allocated.
    Common,
    /// In a section, at an offset of [`Symbol::value`] bytes.
    Section(u32),
    /// A reserved section index.
    Reserved(u16),
}

/// A symbol.
#[derive(Clone, Copy, Debug)]
pub struct Symbol {
    /// Index in the table.
    pub index: u32,
    pub(crate) name: u32,
    /// `st_value`.
    pub value: u64,
    /// `st_size` in bytes.
    pub size: u64,
    /// Who sees it.
    pub binding: Binding,
    kind: u8,
    /// Where it is.
    pub place: Place,
}

impl Symbol {
    /// True for a function.
    #[must_use]
    pub fn is_function(&self) -> bool {
        self.kind == STT_FUNC
    }

    /// True for the symbol that stands for a section.
    #[must_use]
    pub fn is_section(&self) -> bool {
        self.kind == STT_SECTION
    }

    /// True for a thread-local object.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.kind == STT_TLS
    }

    /// True if the symbol has a name at all.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.name != 0
    }
}

impl<'a> Image<'a> {
    /// Number of symbols, the empty first one included.
    #[must_use]
    pub fn symbol_count(&self) -> u32 {
        (self.symbols.len() / self.encoding.symbol_len()) as u32
    }

    /// `st_name` and `st_shndx` of a symbol.
    pub(super) fn symbol_raw(&self, index: u32) -> (u32, u16) {
        let (at, encoding) = (index as usize * self.encoding.symbol_len(), self.encoding);
        (encoding.u32(self.symbols, at), encoding.u16(self.symbols, at + if encoding.wide { 6 } else { 14 }))
    }

    /// The symbol `index`, which must be below [`symbol_count`](Self::symbol_count).
    #[must_use]
    pub fn symbol(&self, index: u32) -> Symbol {
        let (at, encoding, table) = (index as usize * self.encoding.symbol_len(), self.encoding, self.symbols);
        let (name, place) = self.symbol_raw(index);
        let (value, size, info) = if encoding.wide {
            (encoding.u64(table, at + 8), encoding.u64(table, at + 16), table[at + 4])
        } else {
            (encoding.u32(table, at + 4).into(), encoding.u32(table, at + 8).into(), table[at + 12])
        };
        Symbol {
            index,
            name,
            value,
            size,
            binding: match info >> 4 {
                STB_LOCAL => Binding::Local,
                STB_GLOBAL => Binding::Global,
                STB_WEAK => Binding::Weak,
                other => Binding::Other(other),
            },
            kind: info & 0xf,
            place: match u32::from(place) {
                SHN_UNDEF => Place::Undefined,
                SHN_ABS => Place::Absolute,
                SHN_COMMON => Place::Common,
                index if index < SHN_LORESERVE => Place::Section(index),
                _ => Place::Reserved(place),
            },
        }
    }

    /// All symbols but the empty first one.
    pub fn symbols(&self) -> impl Iterator<Item = Symbol> + use<'a> {
        let image = *self;
        (1..self.symbol_count()).map(move |index| image.symbol(index))
    }

    /// Name of a symbol as the file has it; `None` if it is not UTF-8.
    #[must_use]
    pub fn symbol_name(&self, symbol: Symbol) -> Option<&'a str> {
        string(&self.symbol_names[symbol.name as usize..])
    }
}
