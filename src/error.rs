//! Why a module cannot be linked: which place in the file, and what is wrong there.

use crate::resource::HostError;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// NetBSD errno values that the loader answers with (`errno(2)`).
pub mod errno {
    #![allow(missing_docs, reason = "the names are those of errno(2)")]
    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const EIO: i32 = 5;
    pub const ENOEXEC: i32 = 8;
    pub const EDEADLK: i32 = 11;
    pub const ENOMEM: i32 = 12;
    pub const EACCES: i32 = 13;
    pub const EFAULT: i32 = 14;
    pub const EBUSY: i32 = 16;
    pub const EEXIST: i32 = 17;
    pub const ENODEV: i32 = 19;
    pub const ENOTDIR: i32 = 20;
    pub const EISDIR: i32 = 21;
    pub const EINVAL: i32 = 22;
    pub const ENOTTY: i32 = 25;
    pub const EFBIG: i32 = 27;
    pub const EROFS: i32 = 30;
    pub const EMLINK: i32 = 31;
    pub const EOPNOTSUPP: i32 = 45;
    pub const ETIMEDOUT: i32 = 60;
    pub const ENAMETOOLONG: i32 = 63;
    pub const EPROGMISMATCH: i32 = 75;
    pub const ENOSYS: i32 = 78;
}

/// A symbol nobody exports, and the first relocation that wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name after renaming.
    pub symbol: String,
    /// Section of the first relocation against it; `None` if no relocation uses it.
    pub wanted_by: Option<(String, u64)>,
}

/// Why a module's bytes were not linked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The file ends before something its headers promise.
    Truncated {
        /// What is missing.
        what: &'static str,
        /// File offset at which it should begin.
        offset: u64,
        /// Bytes it needs.
        needed: u64,
    },
    /// Not an ELF relocatable object of a machine this library knows.
    NotAnObject {
        /// What was found.
        why: &'static str,
        /// The value found.
        found: u64,
    },
    /// A header field contradicts the file or the format.
    Malformed {
        /// What is wrong.
        why: &'static str,
        /// Index of the section header concerned.
        section: u32,
        /// Index of the entry in the section, or the offending value.
        entry: u64,
    },
    /// The object uses something this library does not do.
    Unsupported {
        /// What.
        why: &'static str,
        /// Name of the section concerned.
        section: String,
        /// Offset in the section.
        offset: u64,
        /// Number of the relocation type, or the value found.
        value: u64,
    },
    /// No module metadata where the flavour wants it.
    NoMetadata,
    /// The module metadata cannot be right.
    BadMetadata {
        /// What is wrong.
        why: &'static str,
    },
    /// Symbols that nobody exports.
    Unresolved {
        /// All of them, in symbol-table order.
        missing: Vec<Missing>,
    },
    /// A relocation uses a symbol that has no address.
    NoAddress {
        /// Name of the symbol, or of its section.
        symbol: String,
        /// Why it has none.
        why: &'static str,
        /// Section of the relocation.
        section: String,
        /// Offset in the section.
        offset: u64,
    },
    /// A value does not fit where a relocation stores it.
    OutOfRange {
        /// Name of the symbol the value comes from.
        symbol: String,
        /// The value.
        value: i128,
        /// Bits of the field.
        bits: u8,
        /// Number of the relocation type.
        kind: u32,
        /// Section of the relocation.
        section: String,
        /// Offset in the section.
        offset: u64,
    },
    /// The host refused memory.
    Memory(HostError),
}

impl LinkError {
    /// The errno NetBSD documents for the case.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Truncated { .. } => errno::EINVAL,
            Self::NoMetadata => errno::ENOENT,
            Self::Memory(_) => errno::ENOMEM,
            _ => errno::ENOEXEC,
        }
    }
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { what, offset, needed } => {
                write!(f, "file too short: {what} at offset {offset:#x} needs {needed} bytes")
            }
            Self::NotAnObject { why, found } => write!(f, "not a loadable object: {why} ({found:#x})"),
            Self::Malformed { why, section, entry } => write!(f, "malformed: {why} (section {section}, entry {entry:#x})"),
            Self::Unsupported { why, section, offset, value } => {
                write!(f, "unsupported: {why} {value} at {section}+{offset:#x}")
            }
            Self::NoMetadata => f.write_str("no section link_set_modules: not a kernel module"),
            Self::BadMetadata { why } => write!(f, "bad module metadata: {why}"),
            Self::Unresolved { missing } => {
                write!(f, "{} unresolved symbol{}", missing.len(), if missing.len() == 1 { "" } else { "s" })?;
                for (index, item) in missing.iter().enumerate() {
                    write!(f, "{} {}", if index == 0 { ":" } else { "," }, item.symbol)?;
                    if let Some((section, offset)) = &item.wanted_by {
                        write!(f, " (wanted at {section}+{offset:#x})")?;
                    }
                }
                Ok(())
            }
            Self::NoAddress { symbol, why, section, offset } => {
                write!(f, "relocation at {section}+{offset:#x}: {symbol} {why}")
            }
            Self::OutOfRange { symbol, value, bits, kind, section, offset } => {
                let sign = if *value < 0 { "-" } else { "" };
                let size = value.unsigned_abs();
                write!(
                    f,
                    "relocation type {kind} at {section}+{offset:#x}: {sign}{size:#x} (from {symbol}) does not fit {bits} bits"
                )
            }
            Self::Memory(error) => write!(f, "no memory for the module: {error}"),
        }
    }
}

impl core::error::Error for LinkError {}

impl From<HostError> for LinkError {
    fn from(error: HostError) -> Self {
        Self::Memory(error)
    }
}
