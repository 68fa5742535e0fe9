//! What is shared by the modules of one command line: names, addresses, required modules.

use super::library::{Library, Provided};
use super::linux::Tree;
use super::{Assumed, Finished, Outcome, Placed};
use crate::files;
use crate::inspect::{namespace, requirements};
use anyhow::Result;
use rumpload::Flavour;
use rumpload::address::RunAddr;
use rumpload::image::Image;
use rumpload::load::{Linked, Linker};
use rumpload::metadata::netbsd::Modinfo;
use rumpload::rename::{Name, Namespace};
use rumpload::resolve::{Resolved, Scope, SymbolKind};
use rumpload::resource::{Detached, Memory, Placement};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Granularity of protection that is planned with, in bytes.
pub const PAGE: usize = 4096;
/// Where required modules run, in bytes behind the address of the module that is looked at.
const REQUIRED: u64 = 0x1000_0000;
/// Where assumed symbols begin, likewise: all in reach of 32-bit relocations that go either way.
pub const ASSUMED: u64 = 0x5000_0000;
/// Bytes from one assumed symbol to the next.
const ASSUMED_STEP: u64 = 16;

/// A name as key of a table that outlives the file it comes from.
pub type OwnedName = (bool, String);

pub fn owned(name: Name<'_>) -> OwnedName {
    (name.in_namespace, name.base.to_owned())
}

/// Where symbols that no module exports come from.
pub struct Outside {
    pub prefix: String,
    known: HashMap<OwnedName, u64>,
    /// Address of the first assumed symbol; `None` if nothing is assumed.
    assumed: Option<u64>,
}

impl Outside {
    /// The address that was given for `name`.
    pub fn address(&self, name: Name<'_>) -> Option<u64> {
        self.known.get(&owned(name)).copied()
    }

    /// Whether missing symbols get addresses of their own.
    pub fn assumes(&self) -> bool {
        self.assumed.is_some()
    }
}

/// A module on its way.
pub struct Candidate {
    pub bytes: Vec<u8>,
    pub name: String,
    pub requires: Vec<String>,
    pub version: u32,
}

impl Candidate {
    /// Checks the file's form.
    pub fn new(bytes: Vec<u8>) -> Result<Self, String> {
        let image = Image::parse(&bytes).map_err(|error| error.to_string())?;
        let info = Modinfo::read(&image).map_err(|error| error.to_string())?;
        let requires = requirements(&info);
        let (name, version) = (info.name.to_owned(), info.version);
        Ok(Self { bytes, name, requires, version })
    }
}

/// Where the undefined symbols of one module are looked up: required modules, known addresses, assumptions.
pub struct Names<'s> {
    provided: Vec<&'s Provided>,
    outside: &'s Outside,
    assumed: RefCell<HashMap<OwnedName, u64>>,
}

impl<'s> Names<'s> {
    pub fn new(outside: &'s Outside, provided: Vec<&'s Provided>) -> Self {
        Self { provided, outside, assumed: RefCell::default() }
    }

    /// The assumed symbols by address.
    fn assumed(&self, namespace: &Namespace) -> Vec<Assumed> {
        let assumed = self.assumed.borrow();
        let full = |name: &OwnedName| namespace.full(Name { in_namespace: name.0, base: &name.1 });
        let mut list: Vec<Assumed> = assumed.iter().map(|(name, &address)| Assumed { name: full(name), address }).collect();
        list.sort_by_key(|assumed| assumed.address);
        list
    }
}

impl Scope for Names<'_> {
    fn lookup(&self, name: Name<'_>) -> Option<Resolved> {
        let key = owned(name);
        if let Some(found) = self.provided.iter().find_map(|provided| provided.exports.get(&key)) {
            return Some(*found);
        }
        let value = match (self.outside.known.get(&key), self.outside.assumed) {
            (Some(&value), _) => value,
            (None, None) => return None,
            (None, Some(first)) => {
                let mut assumed = self.assumed.borrow_mut();
                let next = first.checked_add(assumed.len() as u64 * ASSUMED_STEP)?;
                *assumed.entry(key).or_insert(next)
            }
        };
        // The address is meant as it is: never reached through a stub.
        Some(Resolved { value: RunAddr::new(value), kind: SymbolKind::Data })
    }
}

/// How a command line wants its modules linked.
pub struct Wanted {
    pub at: u64,
    pub prefix: String,
    pub known: Vec<(String, u64)>,
    pub modules: Option<PathBuf>,
    pub symvers: Option<PathBuf>,
    pub assume_missing: bool,
}

pub struct Session {
    at: u64,
    outside: Outside,
    library: Option<Library>,
    linker: Linker,
    tree: Tree,
}

impl Session {
    /// A session that will be asked for modules of `files`.
    pub fn new(wanted: Wanted, files: &[PathBuf]) -> Result<Self> {
        let Wanted { at, prefix, known, modules, symvers, assume_missing } = wanted;
        let spelled = namespace(&prefix, 0);
        let known = known.into_iter().map(|(name, value)| (owned(spelled.spelled(&name)), value)).collect();
        let assumed = assume_missing.then(|| at.wrapping_add(ASSUMED));
        let mut seen = files.to_vec();
        if let Some(directory) = &modules {
            // A directory without modules of either flavour is an error of whoever needs one.
            seen.extend(files::modules(std::slice::from_ref(directory), true).unwrap_or_default());
            seen.sort();
            seen.dedup();
        }
        let tree = Tree::new(&seen, modules.is_none(), symvers.as_deref(), at)?;
        let outside = Outside { prefix, known, assumed };
        let library = modules.map(|directory| Library::new(directory, RunAddr::new(at.wrapping_add(REQUIRED))));
        Ok(Self { at, outside, library, linker: Linker::new(), tree })
    }

    /// Links the module in `file`.
    pub fn link(&mut self, file: &Path) -> Outcome {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => return Outcome::Failed { reason: error.to_string() },
        };
        if Image::parse(&bytes).is_ok_and(|image| Flavour::of(&image) == Some(Flavour::Linux)) {
            return self.tree.link(file, &self.outside);
        }
        let candidate = match Candidate::new(bytes) {
            Ok(candidate) => candidate,
            Err(reason) => return Outcome::Refused { reason },
        };
        match self.finish(&candidate) {
            Ok(finished) => Outcome::Linked(Box::new(finished)),
            Err(reason) => Outcome::Failed { reason },
        }
    }

    fn finish(&mut self, candidate: &Candidate) -> Result<Finished, String> {
        let provided = match &mut self.library {
            Some(library) => library.closure(&candidate.requires, &self.outside)?,
            None => Vec::new(),
        };
        let detached = Arc::new(Detached::new(RunAddr::new(self.at), PAGE));
        let memory: Arc<dyn Memory> = detached.clone();
        let namespace = namespace(&self.outside.prefix, candidate.version);
        let names = Names::new(&self.outside, provided);
        let image = Image::parse(&candidate.bytes).map_err(|error| error.to_string())?;
        let linked = self.linker.link(&image, &namespace, &names, &memory, Placement::Anywhere);
        let linked = linked.map_err(|error| error.to_string())?;
        let bytes = detached.bytes(linked.reservation.run()).ok_or("the linked bytes are gone")?;
        Ok(Finished::new(&candidate.name, &image, &linked, names.assumed(&namespace), bytes))
    }
}

impl Finished {
    /// What is told of `image`, linked.
    pub fn new(name: &str, image: &Image<'_>, linked: &Linked, assumed: Vec<Assumed>, bytes: Vec<u8>) -> Self {
        let sections = image.sections().filter_map(|section| {
            let address = linked.address(section.index(), 0)?.get();
            Some(Placed { index: section.index().0, name: section.name().to_owned(), address, size: section.size() })
        });
        let run = linked.reservation.run().get();
        Self { name: name.to_owned(), run, size: bytes.len() as u64, sections: sections.collect(), assumed, bytes }
    }
}
