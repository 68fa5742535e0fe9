//! What modules there are in the store, and who offers what.
//!
//! Names come from the files' names. Who exports a symbol or serves an alias is looked up in the files themselves, once, when
//! it is first asked for.

use super::same_name;
use crate::Error;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use rumpload::image::Image;
use rumpload::metadata::linux::{Modinfo, exports};
use rumpload::resource::{FileHandle, FileKind, Store};

/// Deepest directory and most modules that are looked at.
const MAX_DEPTH: usize = 16;
const MAX_MODULES: usize = 1 << 16;
/// Largest module file in bytes.
const MAX_FILE: u64 = 256 << 20;

/// The modules of a store.
pub(crate) struct Tree {
    /// Names as modules say them, and paths; by path.
    modules: Vec<(String, String)>,
    index: Option<Index>,
}

/// Who offers what, as positions in the list.
#[derive(Default)]
struct Index {
    symbols: BTreeMap<String, u32>,
    aliases: BTreeMap<String, Vec<u32>>,
}

impl Tree {
    /// Lists every `*.ko` below the store's root.
    pub fn scan(store: &dyn Store) -> Result<Self, Error> {
        let mut modules = Vec::new();
        let mut directories = Vec::from([(String::new(), 0_usize)]);
        while let Some((directory, depth)) = directories.pop() {
            let path = |name: &str| if directory.is_empty() { name.to_string() } else { format!("{directory}/{name}") };
            let listed = store.list(&directory, &mut |name, kind| match (kind, name.strip_suffix(".ko")) {
                (FileKind::Directory, _) if depth < MAX_DEPTH => directories.push((path(name), depth + 1)),
                (FileKind::Regular, Some(stem)) if modules.len() < MAX_MODULES => {
                    modules.push((stem.replace('-', "_"), path(name)));
                }
                _ => {}
            });
            listed.map_err(|error| Error::File { path: directory.clone(), error })?;
        }
        modules.sort_unstable_by(|one, other| one.1.cmp(&other.1));
        Ok(Self { modules, index: None })
    }

    /// The `vermagic` of the first module that tells one.
    pub fn vermagic(&self, store: &dyn Store) -> Result<String, Error> {
        for (_, path) in &self.modules {
            let bytes = read(store, path)?;
            let Ok(image) = Image::parse(&bytes) else { continue };
            let Ok(info) = Modinfo::read(&image) else { continue };
            if let Some(vermagic) = info.vermagic() {
                return Ok(vermagic.to_string());
            }
        }
        Err(Error::NoModules)
    }

    /// The path of the module `name`, in which `-` and `_` are the same.
    pub fn path(&self, name: &str) -> Option<&str> {
        self.modules.iter().find(|(own, _)| same_name(own, name)).map(|(_, path)| path.as_str())
    }

    /// The module that exports `symbol`.
    pub fn exporter(&mut self, store: &dyn Store, symbol: &str) -> Option<String> {
        let at = *self.index(store).symbols.get(symbol)?;
        Some(self.modules[at as usize].0.clone())
    }

    /// The modules that serve `alias`, which are looked for by that very text; those that need no special processor first.
    pub fn serving(&mut self, store: &dyn Store, alias: &str) -> Vec<String> {
        let list = self.index(store).aliases.get(alias).cloned().unwrap_or_default();
        let mut modules: Vec<&(String, String)> = list.iter().map(|&at| &self.modules[at as usize]).collect();
        modules.sort_by_key(|(_, path)| path.split('/').any(|part| part == "arch"));
        modules.into_iter().map(|(name, _)| name.clone()).collect()
    }

    fn index(&mut self, store: &dyn Store) -> &Index {
        let modules = &self.modules;
        self.index.get_or_insert_with(|| {
            let mut index = Index::default();
            for (at, (_, path)) in (0..).zip(modules) {
                // A file that is no module says so when it is loaded.
                let Ok(bytes) = read(store, path) else { continue };
                let Ok(image) = Image::parse(&bytes) else { continue };
                let Ok(info) = Modinfo::read(&image) else { continue };
                let mut found = Vec::new();
                if exports(&image, |export| found.push(export.name)).is_ok() {
                    for symbol in found {
                        index.symbols.entry(symbol.to_string()).or_insert(at);
                    }
                }
                for alias in info.aliases().filter(|alias| !alias.contains(['*', '?', '['])) {
                    let serving: &mut Vec<u32> = index.aliases.entry(alias.to_string()).or_default();
                    if serving.last() != Some(&at) {
                        serving.push(at);
                    }
                }
            }
            index
        })
    }
}

/// An open file that closes itself.
struct Open<'s> {
    store: &'s dyn Store,
    file: FileHandle,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.store.close(self.file);
    }
}

/// Reads the whole file at `path`.
pub(crate) fn read(store: &dyn Store, path: &str) -> Result<Vec<u8>, Error> {
    let failed = |error| Error::File { path: path.to_string(), error };
    let open = Open { store, file: store.open(path).map_err(failed)? };
    let size = store.size(open.file).map_err(failed)?;
    let too_large = || Error::TooLarge { path: path.to_string(), size };
    let len = usize::try_from(size).ok().filter(|_| size <= MAX_FILE).ok_or_else(too_large)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| failed(crate::kernel::NO_MEMORY))?;
    bytes.resize(len, 0);
    let mut used = 0;
    while used < len {
        match store.read_at(open.file, used as u64, &mut bytes[used..]).map_err(failed)? {
            0 => break,
            read => used += read.min(len - used),
        }
    }
    bytes.truncate(used);
    Ok(bytes)
}
