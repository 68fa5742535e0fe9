//! The modules, read once, and the names they import.

use anyhow::{Context, Result, bail};
use hashbrown::HashTable;
use rumpload::Flavour;
use rumpload::address::RunAddr;
use rumpload::image::{Binding, Definition, Image};
use rumpload::rename::Name;
use rumpload::resolve::{Resolved, Scope, SymbolKind};
use std::path::{Path, PathBuf};

/// A module's file.
pub struct Module {
    /// Where it is.
    pub path: PathBuf,
    /// All of it.
    pub bytes: Vec<u8>,
}

impl Module {
    /// What conventions it follows.
    pub fn flavour(&self) -> Flavour {
        if self.path.extension().is_some_and(|extension| extension == "kmod") { Flavour::NetBsd } else { Flavour::Linux }
    }
}

/// All modules below a directory.
pub struct Corpus {
    /// In the order of their paths.
    pub modules: Vec<Module>,
}

impl Corpus {
    /// Reads every `.ko` and `.kmod` below `directory`.
    pub fn read(directory: &Path) -> Result<Self> {
        let (mut found, mut todo) = (Vec::new(), vec![directory.to_owned()]);
        while let Some(directory) = todo.pop() {
            for entry in std::fs::read_dir(&directory).with_context(|| directory.display().to_string())? {
                let (path, kind) = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)))?;
                if kind.is_dir() {
                    todo.push(path);
                } else if path.extension().is_some_and(|extension| extension == "ko" || extension == "kmod") {
                    found.push(path);
                }
            }
        }
        found.sort();
        if found.is_empty() {
            bail!("no modules (*.ko, *.kmod) below {}", directory.display());
        }
        let read = |path: PathBuf| {
            let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
            Ok(Module { path, bytes })
        };
        Ok(Self { modules: found.into_iter().map(read).collect::<Result<_>>()? })
    }
}

/// Made-up addresses of imported names: what the kernel and other modules would export.
pub struct Symbols {
    table: HashTable<(Box<str>, u64)>,
    first: u64,
    step: u64,
}

impl Symbols {
    /// No names yet; addresses begin at `first`.
    pub fn new(first: u64, step: u64) -> Self {
        Self { table: HashTable::new(), first, step }
    }

    /// Gives every name that `image` imports an address.
    pub fn add(&mut self, image: &Image<'_>) {
        for symbol in image.symbols() {
            let wanted = symbol.definition == Definition::Undefined && symbol.binding != Binding::Local;
            if !wanted || symbol.name.is_empty() || symbol.name == ".TOC." || self.get(symbol.name).is_some() {
                continue;
            }
            let value = self.first + self.step * self.table.len() as u64;
            self.table.insert_unique(hash(symbol.name), (symbol.name.into(), value), |entry| hash(&entry.0));
        }
    }

    /// The address of `name`.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.table.find(hash(name), |entry| *entry.0 == *name).map(|entry| entry.1)
    }

    /// All names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.table.iter().map(|(name, value)| (&**name, *value))
    }
}

fn hash(name: &str) -> u64 {
    Name { in_namespace: false, base: name }.hash()
}

/// What rumpload looks names up in. `stubs` says that calls out of the module go through stubs of its own (powerpc64).
pub struct Exports<'a> {
    /// The names.
    pub symbols: &'a Symbols,
    /// See above.
    pub stubs: bool,
}

impl Scope for Exports<'_> {
    fn lookup(&self, name: Name<'_>) -> Option<Resolved> {
        let value = RunAddr::new(self.symbols.get(name.base)?);
        Some(Resolved { value, kind: if self.stubs { SymbolKind::Function } else { SymbolKind::Data } })
    }
}
