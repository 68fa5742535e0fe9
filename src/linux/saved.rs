//! The form an index is saved in.
//!
//! ```text
//! magic (8)  checksum of the rest (8)
//! modules: count, then name, path, size (8), time (8), soft dependencies (count, texts), needed modules (count, numbers)
//! aliases: count, then text, module
//! ```
//! Numbers are little-endian, 32 bits where not said; a text is its length and its bytes.

use super::index::{Indexed, ModuleIndex, Stamp};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What a saved index begins with; the last byte is the version of the form.
const MAGIC: &[u8; 8] = b"RMPLIDX\x01";

/// Why a saved index cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamagedIndex {
    /// It is no index, or one of another version.
    Magic,
    /// Its bytes are not those that were saved.
    Checksum,
    /// It is too short, or refers to what it does not hold.
    Contents,
}

impl fmt::Display for DamagedIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Magic => "not an index of this version: make it anew",
            Self::Checksum => "the index is damaged: make it anew",
            Self::Contents => "the index contradicts itself: make it anew",
        })
    }
}

impl core::error::Error for DamagedIndex {}

/// A checksum against accidents, not against malice: eight bytes at a time.
fn checksum(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let fold = |state: u64, word: &[u8; 8]| {
        let product = u128::from(state ^ u64::from_le_bytes(*word)) * 0x9e37_79b9_7f4a_7c15_u128;
        product as u64 ^ (product >> 64) as u64
    };
    let state = words.iter().fold(bytes.len() as u64 ^ 0x517c_c1b7_2722_0a95, fold);
    fold(state, &last)
}

fn put(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u32).to_le_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

/// Reads what [`put`] wrote.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], DamagedIndex> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(DamagedIndex::Contents)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, DamagedIndex> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DamagedIndex::Contents)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*taken))
    }

    fn long(&mut self) -> Result<u64, DamagedIndex> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(DamagedIndex::Contents)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*taken))
    }

    fn text(&mut self) -> Result<String, DamagedIndex> {
        let len = self.number()? as usize;
        let text = core::str::from_utf8(self.take(len)?).map_err(|_| DamagedIndex::Contents)?;
        Ok(text.into())
    }

    /// As many items as the number in front says; each takes at least four bytes.
    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, DamagedIndex>) -> Result<Vec<T>, DamagedIndex> {
        let count = self.number()? as usize;
        if count > self.0.len() / 4 {
            return Err(DamagedIndex::Contents);
        }
        (0..count).map(|_| item(self)).collect()
    }
}

impl ModuleIndex {
    /// The bytes to save.
    #[must_use]
    pub fn save(&self) -> Vec<u8> {
        let mut out = Vec::from(&MAGIC[..]);
        out.extend_from_slice(&[0; 8]);
        put(&mut out, self.modules.len());
        for module in &self.modules {
            put_text(&mut out, &module.name);
            put_text(&mut out, &module.path);
            out.extend_from_slice(&module.stamp.size.to_le_bytes());
            out.extend_from_slice(&module.stamp.modified.to_le_bytes());
            put(&mut out, module.soft.len());
            module.soft.iter().for_each(|text| put_text(&mut out, text));
            put(&mut out, module.depends.len());
            module.depends.iter().for_each(|&number| put(&mut out, number as usize));
        }
        put(&mut out, self.aliases.len());
        for (alias, module) in &self.aliases {
            put_text(&mut out, alias);
            put(&mut out, *module as usize);
        }
        let sum = checksum(&out[16..]);
        out[8..16].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// The index that was saved as `bytes`.
    ///
    /// # Errors
    /// [`DamagedIndex`].
    pub fn load(bytes: &[u8]) -> Result<Self, DamagedIndex> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(DamagedIndex::Magic)?;
        let (sum, rest) = rest.split_first_chunk::<8>().ok_or(DamagedIndex::Contents)?;
        if checksum(rest) != u64::from_le_bytes(*sum) {
            return Err(DamagedIndex::Checksum);
        }
        let mut reader = Reader(rest);
        let modules = reader.list(|reader| {
            Ok(Indexed {
                name: reader.text()?,
                path: reader.text()?,
                stamp: Stamp { size: reader.long()?, modified: reader.long()? },
                soft: reader.list(Reader::text)?,
                depends: reader.list(Reader::number)?,
            })
        })?;
        let aliases = reader.list(|reader| Ok((reader.text()?, reader.number()?)))?;
        let count = modules.len() as u32;
        let known = modules.iter().flat_map(|module| &module.depends).all(|&number| number < count)
            && aliases.iter().all(|&(_, number)| number < count);
        if !known || !reader.0.is_empty() {
            return Err(DamagedIndex::Contents);
        }
        Ok(Self::new(modules, aliases))
    }
}
