//! Everything that is asked of a whole tree of modules: who exports what, who needs whom, who serves which alias.
//!
//! Dependencies are computed from symbols, not taken from what modules say. The index is built from the files once, saved as one
//! file, and reloaded in one read; [`ModuleIndex::stale`] compares it with the files it describes.

use super::pattern;
use crate::error::LinkError;
use crate::image::{Binding, Definition, Image};
use crate::metadata::linux::{Modinfo, exports};
use crate::rename::Name;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use hashbrown::HashTable;

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Bytes.
    pub size: u64,
    /// When it was changed last, in nanoseconds since 1970; 0 where that is not known.
    pub modified: u64,
}

/// A module of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// Its name, with `_` for `-`.
    pub name: String,
    /// Its file below the tree's root.
    pub path: String,
    /// The file's state when it was indexed.
    pub stamp: Stamp,
    /// Its soft dependencies as it spells them: `pre: a b post: c`.
    pub soft: Vec<String>,
    /// Numbers of all modules it needs, in the order in which they are loaded.
    pub(super) depends: Vec<u32>,
}

/// A tree of modules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModuleIndex {
    /// In the tree's own order.
    pub(super) modules: Vec<Indexed>,
    pub(super) aliases: Vec<(String, u32)>,
    by_name: BTreeMap<String, u32>,
    /// Numbers of aliases by what they begin with, and those that begin with a wildcard.
    by_start: BTreeMap<String, Vec<u32>>,
}

/// Why a tree cannot be indexed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IndexError {
    /// A file is no module.
    Module {
        /// The file.
        path: String,
        /// What is wrong with it.
        error: LinkError,
    },
    /// Two files hold modules of one name.
    Twice {
        /// The name.
        name: String,
        /// Both files.
        paths: [String; 2],
    },
    /// Modules need each other.
    Cycle {
        /// Their names, the first again at the end.
        path: Vec<String>,
    },
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Module { path, error } => write!(f, "{path}: {error}"),
            Self::Twice { name, paths: [one, other] } => write!(f, "{one} and {other} both hold module {name}"),
            Self::Cycle { path } => write!(f, "modules need each other: {}", path.join(" -> ")),
        }
    }
}

impl core::error::Error for IndexError {}

/// Collects modules for an index.
#[derive(Default)]
pub struct IndexBuilder {
    modules: Vec<Indexed>,
    aliases: Vec<(String, u32)>,
    exporters: HashTable<(String, u32)>,
    imports: Vec<Vec<String>>,
}

impl IndexBuilder {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the module whose file, at `path` below the root, holds `bytes` (not compressed). The order of calls is the order of
    /// the index: of several modules that serve an alias, the first added comes first.
    ///
    /// # Errors
    /// [`IndexError::Module`]; the builder is then as before.
    pub fn add(&mut self, path: &str, stamp: Stamp, bytes: &[u8]) -> Result<(), IndexError> {
        let fail = |error| IndexError::Module { path: path.into(), error };
        let image = Image::parse(bytes).map_err(fail)?;
        let info = Modinfo::read(&image).map_err(fail)?;
        let number = self.modules.len() as u32;
        let mut exported = Vec::new();
        exports(&image, |export| exported.push(export.name.to_string())).map_err(fail)?;
        for name in exported {
            let same = |entry: &(String, u32)| entry.0 == name;
            if self.exporters.find(hash(&name), same).is_none() {
                self.exporters.insert_unique(hash(&name), (name, number), |entry| hash(&entry.0));
            }
        }
        self.aliases.extend(info.aliases().map(|alias| (pattern::normal(alias), number)));
        let wanted = image.symbols().filter(|symbol| {
            symbol.definition == Definition::Undefined && symbol.binding != Binding::Local && !symbol.name.is_empty()
        });
        self.imports.push(wanted.map(|symbol| symbol.name.to_string()).collect());
        self.modules.push(Indexed {
            name: pattern::normal(info.name()),
            path: path.into(),
            stamp,
            soft: info.all("softdep").map(ToString::to_string).collect(),
            depends: Vec::new(),
        });
        Ok(())
    }

    /// The index of what was added.
    ///
    /// # Errors
    /// [`IndexError::Twice`], [`IndexError::Cycle`].
    pub fn finish(mut self) -> Result<ModuleIndex, IndexError> {
        let direct: Vec<Vec<u32>> = self.imports.iter().enumerate().map(|(number, names)| self.owners(number, names)).collect();
        let rank = ranks(&direct, &self.modules)?;
        for number in 0..self.modules.len() {
            let mut all = direct[number].clone();
            let mut next = 0;
            while let Some(&module) = all.get(next) {
                for &further in &direct[module as usize] {
                    if !all.contains(&further) {
                        all.push(further);
                    }
                }
                next += 1;
            }
            // Users have lower ranks than what they use.
            all.sort_unstable_by_key(|&module| core::cmp::Reverse(rank[module as usize]));
            self.modules[number].depends = all;
        }
        let index = ModuleIndex::new(self.modules, self.aliases);
        for module in &index.modules {
            let known = index.by_name.get(&module.name).map(|&number| &index.modules[number as usize]);
            if let Some(other) = known.filter(|other| other.path != module.path) {
                let paths = [other.path.clone(), module.path.clone()];
                return Err(IndexError::Twice { name: module.name.clone(), paths });
            }
        }
        Ok(index)
    }

    /// The modules that export `names`, without the module itself, each once.
    fn owners(&self, number: usize, names: &[String]) -> Vec<u32> {
        let mut owners: Vec<u32> = Vec::new();
        for name in names {
            if let Some(&(_, owner)) = self.exporters.find(hash(name), |entry| entry.0 == *name)
                && owner as usize != number
                && !owners.contains(&owner)
            {
                owners.push(owner);
            }
        }
        owners
    }
}

fn hash(name: &str) -> u64 {
    Name { in_namespace: false, base: name }.hash()
}

/// Numbers modules so that each has a lower number than what it needs.
fn ranks(direct: &[Vec<u32>], modules: &[Indexed]) -> Result<Vec<u32>, IndexError> {
    let mut users = alloc::vec![0_u32; direct.len()];
    for &module in direct.iter().flatten() {
        users[module as usize] += 1;
    }
    let mut rank = alloc::vec![u32::MAX; direct.len()];
    let mut free: Vec<u32> = (0..direct.len() as u32).filter(|&module| users[module as usize] == 0).collect();
    let mut next = 0;
    while let Some(module) = free.pop() {
        rank[module as usize] = next;
        next += 1;
        for &needed in &direct[module as usize] {
            users[needed as usize] -= 1;
            if users[needed as usize] == 0 {
                free.push(needed);
            }
        }
    }
    // What has no rank is in a cycle or needed by one: going back through users must come round.
    let Some(start) = rank.iter().position(|&rank| rank == u32::MAX) else { return Ok(rank) };
    let mut path = alloc::vec![start];
    loop {
        let last = path[path.len() - 1];
        let stuck = |user: &usize| rank[*user] == u32::MAX && direct[*user].contains(&(last as u32));
        let Some(user) = (0..direct.len()).find(stuck) else { return Ok(rank) };
        if let Some(first) = path.iter().position(|&module| module == user) {
            let mut names: Vec<String> = path[first..].iter().rev().map(|&module| modules[module].name.clone()).collect();
            names.push(names[0].clone());
            return Err(IndexError::Cycle { path: names });
        }
        path.push(user);
    }
}

impl ModuleIndex {
    pub(super) fn new(modules: Vec<Indexed>, aliases: Vec<(String, u32)>) -> Self {
        let mut index = Self { modules, aliases, by_name: BTreeMap::new(), by_start: BTreeMap::new() };
        for (number, module) in index.modules.iter().enumerate() {
            index.by_name.entry(module.name.clone()).or_insert(number as u32);
        }
        for (number, (alias, _)) in index.aliases.iter().enumerate() {
            index.by_start.entry(pattern::start(alias).into()).or_default().push(number as u32);
        }
        index
    }

    /// All modules, in the tree's own order.
    #[must_use]
    pub fn modules(&self) -> &[Indexed] {
        &self.modules
    }

    /// The module called `name`; `-` and `_` are the same.
    #[must_use]
    pub fn module(&self, name: &str) -> Option<&Indexed> {
        let number = *self.by_name.get(&pattern::normal(name))?;
        self.modules.get(number as usize)
    }

    /// All that `module` needs, in the order in which it is loaded, itself not included.
    pub fn depends<'a>(&'a self, module: &'a Indexed) -> impl DoubleEndedIterator<Item = &'a Indexed> {
        module.depends.iter().filter_map(|&number| self.modules.get(number as usize))
    }

    /// The modules that `text`, a name or alias, stands for: the module of that name, or else all with a matching alias, in the
    /// tree's own order, each as often as it has such an alias.
    #[must_use]
    pub fn resolve(&self, text: &str) -> Vec<&Indexed> {
        if let Some(module) = self.module(text) {
            return alloc::vec![module];
        }
        let text = pattern::normal(text);
        // An alias is found under its own start, which may be shorter than the whole text's, or empty.
        let starts = pattern::starts(&text).filter_map(|start| self.by_start.get(start)).flatten();
        let aliases = starts.filter_map(|&number| self.aliases.get(number as usize));
        let mut found: Vec<u32> =
            aliases.filter(|(alias, _)| pattern::matches(alias, &text)).map(|&(_, module)| module).collect();
        found.sort_unstable();
        found.into_iter().filter_map(|number| self.modules.get(number as usize)).collect()
    }

    /// What is loaded for `module`, in order, each once: what it needs and, unless `hard`, what it and those want beforehand;
    /// itself; what is wanted afterwards.
    #[must_use]
    pub fn sequence<'a>(&'a self, module: &'a Indexed, hard: bool) -> Vec<&'a Indexed> {
        let mut sequence = Vec::new();
        self.extend(module, hard, &mut sequence, &mut Vec::new());
        sequence
    }

    fn extend<'a>(&'a self, module: &'a Indexed, hard: bool, done: &mut Vec<&'a Indexed>, doing: &mut Vec<&'a str>) {
        // Soft dependencies may go round; whoever is on the way is on the way.
        if doing.contains(&module.name.as_str()) || done.iter().any(|other| other.name == module.name) {
            return;
        }
        doing.push(&module.name);
        let soft = |before: bool| {
            let all = module.soft.iter().flat_map(|list| crate::metadata::linux::soft_dependencies(list));
            all.filter(move |soft| soft.before == before && !hard).flat_map(|soft| self.resolve(soft.name))
        };
        for wanted in soft(true) {
            self.extend(wanted, hard, done, doing);
        }
        for needed in self.depends(module) {
            self.extend(needed, hard, done, doing);
        }
        if !done.iter().any(|other| other.name == module.name) {
            done.push(module);
        }
        for wanted in soft(false) {
            self.extend(wanted, hard, done, doing);
        }
        doing.pop();
    }

    /// The first module whose file is not what was indexed; `stamp` tells a file's state by its path, `None` if it is gone.
    pub fn stale(&self, stamp: impl Fn(&str) -> Option<Stamp>) -> Option<&Indexed> {
        self.modules.iter().find(|module| stamp(&module.path) != Some(module.stamp))
    }
}
