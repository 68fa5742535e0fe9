//! What modules there are, as values and as the records of `modctl(2)`.

use super::{Error, ModuleFlags};
use crate::address::RunAddr;
use crate::errno;
use crate::instance::Instance;
use alloc::string::String;
use alloc::vec::Vec;

/// Where a module came from (`modsrc_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Source {
    /// Linked into the server.
    Kernel = 0,
    /// From a file.
    File = 2,
}

/// One line of the module list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// What it requires: a comma list.
    pub required: String,
    /// Address of the text segment; 0 for a built-in.
    pub address: RunAddr,
    /// Bytes of the text segment.
    pub size: u64,
    /// Where it came from.
    pub source: Source,
    /// Its class number.
    pub class: u32,
    /// References; `None` for a built-in that is not started.
    pub references: Option<u32>,
    /// Flags.
    pub flags: ModuleFlags,
}

/// Code in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code<'a> {
    /// All memory of a module.
    Module {
        /// Its name.
        name: &'a str,
        /// Its first address.
        address: RunAddr,
        /// Bytes.
        size: u64,
    },
    /// One of its functions.
    Function {
        /// Its name in the file.
        name: &'a str,
        /// Its address.
        address: RunAddr,
    },
}

impl Instance {
    /// Whether modules may be loaded explicitly (0) or by autoload (1): `MODCTL_EXISTS` of `modctl(2)`. Policy alone answers; a
    /// switched-off autoload still exists.
    ///
    /// # Errors
    /// [`Error::Refused`]; [`Error::Invalid`] for any other number.
    pub fn exists(&self, kind: i32) -> Result<(), Error> {
        let autoload = match kind {
            0 => false,
            1 => true,
            _ => return Err(Error::Invalid { why: "neither a load nor an autoload", errno: errno::EINVAL }),
        };
        self.config().policy.exists(autoload).map_err(|why| Error::Refused { module: String::new(), why })
    }

    /// Calls `each` with every module that has code, those that are starting or stopping included, each followed by its
    /// functions in the order of their addresses. `each` must not ask the instance for anything.
    pub fn visit_code(&self, each: &mut dyn FnMut(Code<'_>)) {
        let state = self.state.lock();
        for module in state.active.iter().chain(&state.transient).filter(|module| module.extent.1 > 0) {
            each(Code::Module { name: &module.name, address: RunAddr::new(module.extent.0), size: module.extent.1 });
            for (name, address) in module.symbols.iter() {
                each(Code::Function { name, address: RunAddr::new(address) });
            }
        }
    }

    /// Active modules, newest first, then built-ins that are not started.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn stat(&self) -> Result<Vec<Status>, Error> {
        self.enter(|| {
            let state = self.state.lock();
            let active = state.active.iter().map(|module| Status {
                name: module.name.clone(),
                required: module.required_text.clone(),
                address: module.text.0,
                size: module.text.1,
                source: module.source,
                class: module.class,
                references: Some(module.references),
                flags: module.flags,
            });
            let idle = state.builtins.iter().map(|builtin| Status {
                name: builtin.info.name.clone(),
                required: builtin.info.required.join(","),
                address: RunAddr::new(0),
                size: 0,
                source: Source::Kernel,
                class: builtin.info.class as u32,
                references: None,
                flags: ModuleFlags::empty(),
            });
            active.chain(idle).collect()
        })
    }
}

const RECORD_7: usize = 392;
const RECORD_10: usize = 64;

/// The report of NetBSD 7 and 8 (`MODCTL_STAT`): records of 392 bytes, little-endian.
#[must_use]
pub fn encode_stat_7(list: &[Status]) -> Vec<u8> {
    let mut report = Vec::with_capacity(list.len() * RECORD_7);
    for status in list {
        let mut record = [0; RECORD_7];
        put_text(&mut record[..32], &status.name);
        put_text(&mut record[32..352], &status.required);
        put_numbers(&mut record[352..380], status);
        report.extend_from_slice(&record);
    }
    report
}

/// The report of NetBSD 10 (operation 4): a count, records of 64 bytes, then the requirement strings.
#[must_use]
pub fn encode_stat_10(list: &[Status]) -> Vec<u8> {
    let mut report = Vec::from((list.len() as u32).to_le_bytes());
    let mut strings = Vec::from([0]);
    for status in list {
        let mut record = [0; RECORD_10];
        put_text(&mut record[..32], &status.name);
        put_numbers(&mut record[32..60], status);
        if !status.required.is_empty() {
            record[60..].copy_from_slice(&(strings.len() as u32).to_le_bytes());
            strings.extend_from_slice(status.required.as_bytes());
            strings.push(0);
        }
        report.extend_from_slice(&record);
    }
    report.extend_from_slice(&strings);
    report
}

/// Name or list with its NUL, cut to the field.
fn put_text(field: &mut [u8], text: &str) {
    let len = text.len().min(field.len() - 1);
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
}

/// Address, source, class, size, references, flags: 28 bytes that both records share.
fn put_numbers(field: &mut [u8], status: &Status) {
    field[..8].copy_from_slice(&status.address.get().to_le_bytes());
    let size = u32::try_from(status.size).unwrap_or(u32::MAX);
    let numbers = [status.source as u32, status.class, size, status.references.unwrap_or(u32::MAX), status.flags.bits()];
    for (place, number) in field[8..].as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
        *place = number.to_le_bytes();
    }
}
