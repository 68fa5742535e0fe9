//! What modules can import: the kernel's exports first, then those of active modules in the order they were published.

use crate::address::{RunAddr, SymbolIndex, align_up};
use crate::arch::Machine;
use crate::rename::{Name, Namespace};
use crate::resolve::{Resolved, Scope, SymbolKind};
use crate::resource::{HostError, HostErrorKind, Memory, Placement, Protection, Request, Reservation, Segment};
use alloc::sync::Arc;
use alloc::vec::Vec;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as TableEntry;
use spin::Mutex;

use super::ModuleId;

/// A symbol that a server or base kernel offers.
#[derive(Clone, Copy, Debug)]
pub struct Export {
    /// Its name in the instance's sources; the namespace's rule decides whether it is moved.
    pub name: &'static str,
    /// What it is.
    pub value: ExportValue,
}

/// What an [`Export`] is.
#[derive(Clone, Copy, Debug)]
pub enum ExportValue {
    /// A function of the machine's C calling convention. Modules see the address of a stub that jumps there.
    Function(*const ()),
    /// As [`Function`](Self::Function); the stub leaves `index` in a register first
    /// (see [`Machine::write_indexed_stub`](crate::arch::Machine::write_indexed_stub)).
    IndexedFunction {
        /// Where the stub jumps.
        target: *const (),
        /// What it leaves.
        index: u32,
    },
    /// Zeroed bytes in reach of modules, for the server to fill.
    Data {
        /// Bytes.
        size: usize,
        /// Alignment in bytes, a power of two up to the page size.
        align: usize,
    },
    /// A number.
    Absolute(u64),
}

/// A name that a module is going to export.
pub(crate) struct Offer {
    /// Index of its symbol.
    pub symbol: SymbolIndex,
    hash: u64,
    in_namespace: bool,
    /// The base of its name lies here in the names of the module's symbols.
    start: u32,
    end: u32,
}

impl Offer {
    /// `name` is that of `symbol`, whose spelling in the file begins at `at` of the symbols' names and takes `len` bytes.
    pub fn new(symbol: SymbolIndex, name: Name<'_>, at: u32, len: usize) -> Self {
        // What the namespace takes away stands in front.
        let end = at + len as u32;
        Self { symbol, hash: name.hash(), in_namespace: name.in_namespace, start: end - name.base.len() as u32, end }
    }
}

/// The base of an export's name.
enum Base {
    Kernel(&'static str),
    /// Part of the names of a module's symbols, all of which are kept in one piece.
    Module {
        strings: Arc<str>,
        start: u32,
        end: u32,
    },
}

impl Base {
    fn text(&self) -> &str {
        match self {
            Self::Kernel(name) => name,
            Self::Module { strings, start, end } => &strings[*start as usize..*end as usize],
        }
    }
}

struct Entry {
    /// Of the name; growing the table reads no name again.
    hash: u64,
    in_namespace: bool,
    base: Base,
    value: Resolved,
    size: u64,
    owner: Option<ModuleId>,
}

impl Entry {
    /// For growing the table: one function, so that there is one copy of the growing.
    fn hash(&self) -> u64 {
        self.hash
    }
}

/// The exports of an instance.
#[derive(Default)]
pub(crate) struct ExportTable {
    entries: HashTable<Entry>,
    /// Stubs and data of the kernel's exports.
    regions: Vec<Reservation>,
}

/// A scope that looks up one symbol at a time, so that nothing stays locked in between.
pub(crate) struct Shared<'t>(pub &'t Mutex<ExportTable>);

impl Scope for Shared<'_> {
    fn lookup(&self, name: Name<'_>) -> Option<Resolved> {
        self.0.lock().get(name).map(|(value, _)| value)
    }
}

impl ExportTable {
    /// The export called `name` and its size in bytes.
    pub fn get(&self, name: Name<'_>) -> Option<(Resolved, u64)> {
        let hash = name.hash();
        let same =
            |entry: &Entry| entry.hash == hash && entry.in_namespace == name.in_namespace && entry.base.text() == name.base;
        let found = self.entries.find(hash, same);
        found.map(|entry| (entry.value, entry.size))
    }

    /// Makes room for `count` more.
    pub fn reserve(&mut self, count: usize) {
        self.entries.reserve(count, Entry::hash);
    }

    /// Adds an export of the kernel's, called `base` in the namespace or out of it, that does not exist.
    pub fn insert_kernel(&mut self, in_namespace: bool, base: &'static str, value: Resolved, size: u64) {
        let hash = Name { in_namespace, base }.hash();
        self.insert_entry(Entry { hash, in_namespace, base: Base::Kernel(base), value, size, owner: None });
    }

    /// Adds an export of the module `owner` unless it exists; `strings` are the names of the module's symbols.
    pub fn insert(&mut self, offer: &Offer, strings: &Arc<str>, value: Resolved, size: u64, owner: ModuleId) {
        let &Offer { hash, in_namespace, start, end, .. } = offer;
        let name = &strings[start as usize..end as usize];
        let same = |entry: &Entry| entry.hash == hash && entry.in_namespace == in_namespace && entry.base.text() == name;
        if let TableEntry::Vacant(vacant) = self.entries.entry(hash, same, Entry::hash) {
            let base = Base::Module { strings: strings.clone(), start, end };
            vacant.insert(Entry { hash, in_namespace, base, value, size, owner: Some(owner) });
        }
    }

    fn insert_entry(&mut self, entry: Entry) {
        self.entries.insert_unique(entry.hash, entry, Entry::hash);
    }

    /// Takes away what `owner` exports.
    pub fn remove(&mut self, owner: ModuleId) {
        self.entries.retain(|entry| entry.owner != Some(owner));
    }

    /// Number of exports.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Keeps the memory of the kernel's exports as long as the table.
    pub fn keep(&mut self, region: Reservation) {
        self.regions.push(region);
    }
}

/// The kernel's exports with their addresses, and the memory of their stubs and data.
pub(crate) struct Placed {
    pub values: Vec<(Export, Resolved, u64)>,
    pub region: Option<Reservation>,
}

/// Gives every export an address in reach.
pub(crate) fn place(
    exports: &[Export],
    machine: Machine,
    memory: &Arc<dyn Memory>,
    placement: Placement,
) -> Result<Placed, HostError> {
    let overflow = HostError::new(HostErrorKind::OutOfMemory);
    let page = memory.page_size();
    let (mut stubs, mut data) = (0_usize, 0_usize);
    let mut offsets = Vec::with_capacity(exports.len());
    for export in exports {
        offsets.push(match export.value {
            ExportValue::Function(_) | ExportValue::IndexedFunction { .. } => {
                stubs += machine.stub_len();
                stubs - machine.stub_len()
            }
            ExportValue::Data { size, align } => {
                if !align.is_power_of_two() || align > page {
                    return Err(HostErrorKind::InvalidInput.into());
                }
                let at = align_up(data, align).ok_or(overflow)?;
                // Two empty objects still have two addresses.
                data = at.checked_add(size.max(1)).ok_or(overflow)?;
                at
            }
            ExportValue::Absolute(_) => 0,
        });
    }
    let text_len = align_up(stubs, page).ok_or(overflow)?;
    let data_len = align_up(data, page).ok_or(overflow)?;
    let mut region = match text_len.checked_add(data_len).ok_or(overflow)? {
        0 => None,
        len => Some(Reservation::new(memory, &Request { len, align: page, placement })?),
    };
    let run = region.as_ref().map_or(0, |region| region.run().get());
    let mut values = Vec::with_capacity(exports.len());
    for (&export, offset) in exports.iter().zip(offsets) {
        let mut stub = |target: *const (), index: Option<u32>| {
            let at = RunAddr::new(run + offset as u64);
            if let Some(region) = &mut region {
                let slot = &mut region.bytes_mut()[offset..offset + machine.stub_len()];
                match index {
                    None => machine.write_stub(slot, at, target.expose_provenance() as u64),
                    Some(index) => machine.write_indexed_stub(slot, at, index, target.expose_provenance() as u64),
                }
            }
            Resolved { value: at, kind: SymbolKind::Function }
        };
        let (resolved, size) = match export.value {
            ExportValue::Function(target) => (stub(target, None), 0),
            ExportValue::IndexedFunction { target, index } => (stub(target, Some(index)), 0),
            ExportValue::Data { size, .. } => {
                let at = RunAddr::new(run + (text_len + offset) as u64);
                (Resolved { value: at, kind: SymbolKind::Data }, size as u64)
            }
            ExportValue::Absolute(number) => (Resolved { value: RunAddr::new(number), kind: SymbolKind::Absolute }, 0),
        };
        values.push((export, resolved, size));
    }
    if let Some(region) = &mut region {
        let text = Segment { offset: 0, len: text_len, protection: Protection::ReadExecute };
        let data = Segment { offset: text_len, len: data_len, protection: Protection::ReadWrite };
        match (text_len, data_len) {
            (0, _) => region.finalize(&[data])?,
            (_, 0) => region.finalize(&[text])?,
            _ => region.finalize(&[text, data])?,
        }
    }
    Ok(Placed { values, region })
}

/// Globals that every module may define: the linker puts them there.
pub(crate) fn may_repeat(namespace: &Namespace, name: Name<'_>) -> bool {
    const DELIMITERS: [&str; 8] =
        ["_bss_start", "__bss_start", "_bss_end__", "__bss_end__", "_edata", "_end", "__end", "__end__"];
    let moved = name.in_namespace && !namespace.prefix().is_empty();
    !moved
        && (DELIMITERS.contains(&name.base)
            || name.base.starts_with("__start_link_set_")
            || name.base.starts_with("__stop_link_set_"))
}
