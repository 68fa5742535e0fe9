//! Unaligned, endian-explicit reads of ELF structures (System V ABI, chapter 4).

/// How an object's numbers are written: byte order and word size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoding {
    pub little: bool,
    pub wide: bool,
}

macro_rules! read {
    ($name:ident, $ty:ty, $len:literal) => {
        /// Reads at `offset`, which the caller has bounded.
        #[inline(always)]
        pub fn $name(self, bytes: &[u8], offset: usize) -> $ty {
            let mut raw = [0; $len];
            raw.copy_from_slice(&bytes[offset..offset + $len]);
            if self.little { <$ty>::from_le_bytes(raw) } else { <$ty>::from_be_bytes(raw) }
        }
    };
}

impl Encoding {
    read!(u16, u16, 2);
    read!(u32, u32, 4);
    read!(u64, u64, 8);

    /// A word of the class: `Elf64_Xword` or `Elf32_Word`.
    #[inline(always)]
    pub fn word(self, bytes: &[u8], offset: usize) -> u64 {
        if self.wide { self.u64(bytes, offset) } else { self.u32(bytes, offset).into() }
    }

    /// Bytes of a word.
    pub const fn word_len(self) -> usize {
        if self.wide { 8 } else { 4 }
    }

    /// Bytes of a file header.
    pub const fn header_len(self) -> usize {
        if self.wide { 64 } else { 52 }
    }

    /// Bytes of a section header.
    pub const fn section_len(self) -> usize {
        if self.wide { 64 } else { 40 }
    }

    /// Bytes of a symbol.
    pub const fn symbol_len(self) -> usize {
        if self.wide { 24 } else { 16 }
    }

    /// Bytes of a relocation.
    pub const fn relocation_len(self, addend: bool) -> usize {
        self.word_len() * if addend { 3 } else { 2 }
    }
}
