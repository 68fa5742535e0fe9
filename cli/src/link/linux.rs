//! Linux modules: what the tree and the kernel export, and every module linked once, after those it needs.

use super::session::{ASSUMED, Outside, PAGE};
use super::{Assumed, Finished, Outcome};
use anyhow::{Context, Result};
use rumpload::Flavour;
use rumpload::address::RunAddr;
use rumpload::arch::Machine;
use rumpload::image::{Binding, Definition, Image};
use rumpload::linux::{Admission, Provider, symvers};
use rumpload::load::{Linker, Options};
use rumpload::metadata::linux::{Modinfo, exports};
use rumpload::rename::{Name, Namespace};
use rumpload::resolve::{Resolved, Scope, SymbolKind};
use rumpload::resource::{Detached, Memory, Placement, Reservation};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

/// Bytes below the first module where symbols without an address begin, for machines whose calls reach little.
const NEAR: u64 = 0x80_0000;
/// Bytes from one made-up address to the next.
const STEP: u64 = 16;
/// The owner of what the kernel itself exports.
const KERNEL: &str = "vmlinux";

/// An export as its owner describes it.
#[derive(Clone, Debug)]
struct Known {
    owner: Rc<str>,
    crc: Option<u32>,
    gpl: bool,
    namespace: String,
    /// Where it is, once the owner is linked.
    resolved: Option<Resolved>,
}

/// How far a module of the tree is.
enum State {
    Waiting,
    Linking,
    /// The outcome, until it is told.
    Done(Option<Outcome>),
}

struct Module {
    path: PathBuf,
    state: State,
}

/// A tree of modules and a kernel.
pub struct Tree {
    exports: HashMap<String, Known>,
    modules: Vec<Module>,
    by_name: HashMap<Rc<str>, usize>,
    by_path: HashMap<PathBuf, usize>,
    memory: Arc<Detached>,
    /// Keep the run addresses of linked modules taken.
    linked: Vec<Reservation>,
    linker: Linker,
    at: u64,
    /// Link each module as if there were no other.
    alone: bool,
    /// Check who may use what.
    checked: bool,
    made_up: u64,
}

impl Tree {
    /// The modules `files`, which see each other's exports unless `alone`, and the kernel that `kernel_symbols` (a
    /// `Module.symvers`) describes; the first module runs at `at`.
    pub fn new(files: &[PathBuf], alone: bool, kernel_symbols: Option<&Path>, at: u64) -> Result<Self> {
        let mut tree = Self {
            exports: HashMap::new(),
            modules: Vec::new(),
            by_name: HashMap::new(),
            by_path: HashMap::new(),
            memory: Arc::new(Detached::new(RunAddr::new(at), PAGE)),
            linked: Vec::new(),
            linker: Linker::new(),
            at,
            alone,
            checked: kernel_symbols.is_some(),
            made_up: at.wrapping_add(ASSUMED),
        };
        if let Some(file) = kernel_symbols {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            let owner: Rc<str> = KERNEL.into();
            for line in symvers(&text) {
                let line = line.with_context(|| file.display().to_string())?;
                if line.module == KERNEL {
                    let address = tree.make_up();
                    // What kind of symbol it is the file does not say; the address is meant as it is.
                    let resolved = Resolved { value: RunAddr::new(address), kind: SymbolKind::Data };
                    let known = Known {
                        owner: owner.clone(),
                        crc: Some(line.crc),
                        gpl: line.gpl,
                        namespace: line.namespace.to_owned(),
                        resolved: Some(resolved),
                    };
                    tree.exports.insert(line.name.to_owned(), known);
                }
            }
        }
        for path in files {
            tree.add(path);
        }
        Ok(tree)
    }

    fn make_up(&mut self) -> u64 {
        self.made_up = self.made_up.wrapping_add(STEP);
        self.made_up
    }

    /// Adds a file and what it exports. One that cannot be read says so when it is linked.
    fn add(&mut self, path: &Path) {
        let index = self.modules.len();
        self.modules.push(Module { path: path.to_owned(), state: State::Waiting });
        self.by_path.insert(path.to_owned(), index);
        if self.alone {
            return;
        }
        let Ok(bytes) = std::fs::read(path) else { return };
        let Ok(image) = Image::parse(&bytes) else { return };
        let Ok(info) = Modinfo::read(&image) else { return };
        let owner: Rc<str> = info.name().into();
        self.by_name.entry(owner.clone()).or_insert(index);
        let mut found = Vec::new();
        let complete = exports(&image, |export| {
            let known = Known {
                owner: owner.clone(),
                crc: export.crc,
                gpl: export.gpl,
                namespace: export.namespace.to_owned(),
                resolved: None,
            };
            found.push((export.name.to_owned(), known));
        });
        if complete.is_ok() {
            for (name, known) in found {
                self.exports.entry(name).or_insert(known);
            }
        }
    }

    /// Links the module in `file`, and before it those whose exports it uses.
    pub fn link(&mut self, file: &Path, outside: &Outside) -> Outcome {
        let Some(&root) = self.by_path.get(file) else {
            return Outcome::Failed { reason: "it is not in the tree".to_owned() };
        };
        let mut path = vec![root];
        while let Some(&top) = path.last() {
            if matches!(self.modules[top].state, State::Done(_)) {
                path.pop();
                continue;
            }
            self.modules[top].state = State::Linking;
            let outcome = match self.begin(top) {
                Err(outcome) => outcome,
                Ok((bytes, owners)) => {
                    let waiting = |owner: &&usize| !matches!(self.modules[**owner].state, State::Done(_));
                    match owners.iter().find(waiting) {
                        Some(&owner) if matches!(self.modules[owner].state, State::Waiting) => {
                            path.push(owner);
                            continue;
                        }
                        Some(&owner) => {
                            let name = self.modules[owner].path.display();
                            Outcome::Failed { reason: format!("it and {name} use each other's exports") }
                        }
                        None => self.finish(&bytes, outside).unwrap_or_else(|reason| Outcome::Failed { reason }),
                    }
                }
            };
            self.modules[top].state = State::Done(Some(outcome));
            path.pop();
        }
        match &mut self.modules[root].state {
            State::Done(outcome) => outcome.take(),
            State::Waiting | State::Linking => None,
        }
        .unwrap_or_else(|| Outcome::Failed { reason: "it was given twice".to_owned() })
    }

    /// Reads a module; gives its bytes and the modules whose exports it uses.
    fn begin(&self, index: usize) -> Result<(Vec<u8>, Vec<usize>), Outcome> {
        let failed = |reason: String| Outcome::Failed { reason };
        let bytes = std::fs::read(&self.modules[index].path).map_err(|error| failed(error.to_string()))?;
        let refused = |reason: String| Outcome::Refused { reason };
        let image = Image::parse(&bytes).map_err(|error| refused(error.to_string()))?;
        Modinfo::read(&image).map_err(|error| refused(error.to_string()))?;
        let wanted = image.symbols().filter(|symbol| {
            symbol.definition == Definition::Undefined && symbol.binding != Binding::Local && !symbol.name.is_empty()
        });
        let mut owners: Vec<usize> = wanted
            .filter_map(|symbol| self.by_name.get(&self.exports.get(symbol.name)?.owner).copied())
            .filter(|&owner| owner != index)
            .collect();
        owners.sort_unstable();
        owners.dedup();
        Ok((bytes, owners))
    }

    fn finish(&mut self, bytes: &[u8], outside: &Outside) -> Result<Outcome, String> {
        let image = Image::parse(bytes).map_err(|error| error.to_string())?;
        let info = Modinfo::read(&image).map_err(|error| error.to_string())?;
        if self.checked {
            let provider = |name: &str| {
                self.exports.get(name).map(|known| Provider {
                    owner: &known.owner,
                    crc: known.crc,
                    gpl: known.gpl,
                    namespace: &known.namespace,
                })
            };
            Admission::default().check(&image, &info, provider).map_err(|refused| refused.to_string())?;
        }
        let none = Namespace::none();
        let options = Options { flavour: Flavour::Linux, namespace: &none, placement: Placement::Anywhere, per_cpu: 0 };
        let memory: Arc<dyn Memory> = self.memory.clone();
        if self.alone {
            self.memory.restart(RunAddr::new(self.at));
        }
        let mut linker = std::mem::take(&mut self.linker);
        let names = Names { exports: &self.exports, outside, machine: image.machine(), at: self.at, assumed: RefCell::default() };
        let linked = linker.link_as(&image, options, &names, &memory);
        let assumed = names.assumed();
        self.linker = linker;
        let linked = linked.map_err(|error| error.to_string())?;
        let addresses = |spot: (rumpload::address::SectionIndex, u64)| linked.address(spot.0, spot.1);
        let mut found = Vec::new();
        exports(&image, |export| {
            let kind = if export.is_function { SymbolKind::Function } else { SymbolKind::Data };
            found.push((export.name, addresses(export.spot).map(|value| Resolved { value, kind })));
        })
        .map_err(|error| error.to_string())?;
        for (name, resolved) in found {
            if let Some(known) = self.exports.get_mut(name).filter(|known| *known.owner == *info.name()) {
                known.resolved = resolved;
            }
        }
        let run = linked.reservation.run();
        let bytes = self.memory.bytes(run).ok_or("the linked bytes are gone")?;
        let finished = Finished::new(info.name(), &image, &linked, assumed, bytes);
        if !self.alone {
            self.linked.push(linked.reservation);
        }
        Ok(Outcome::Linked(Box::new(finished)))
    }
}

/// Where the undefined symbols of one module are looked up: modules, kernel, known addresses, assumptions.
struct Names<'t> {
    exports: &'t HashMap<String, Known>,
    outside: &'t Outside,
    machine: Machine,
    at: u64,
    assumed: RefCell<HashMap<String, u64>>,
}

impl Names<'_> {
    /// The assumed symbols by address.
    fn assumed(&self) -> Vec<Assumed> {
        let assumed = self.assumed.borrow();
        let mut list: Vec<Assumed> = assumed.iter().map(|(name, &address)| Assumed { name: name.clone(), address }).collect();
        list.sort_by_key(|assumed| assumed.address);
        list
    }

    /// Where made-up addresses begin: in reach of every relocation of the machine.
    fn first(&self) -> u64 {
        match self.machine {
            Machine::Aarch64 | Machine::Arm => self.at.wrapping_sub(NEAR),
            _ => self.at.wrapping_add(ASSUMED),
        }
    }
}

impl Scope for Names<'_> {
    fn lookup(&self, name: Name<'_>) -> Option<Resolved> {
        if let Some(resolved) = self.exports.get(name.base).and_then(|known| known.resolved) {
            return Some(resolved);
        }
        let value = match self.outside.address(name) {
            Some(value) => value,
            None if self.outside.assumes() => {
                let mut assumed = self.assumed.borrow_mut();
                let next = self.first().checked_add(assumed.len() as u64 * STEP)?;
                *assumed.entry(name.base.to_owned()).or_insert(next)
            }
            None => return None,
        };
        // The address is meant as it is, but on powerpc64 every call out of a module goes through a stub.
        let kind = if self.machine == Machine::PowerPc64 { SymbolKind::Function } else { SymbolKind::Data };
        Some(Resolved { value: RunAddr::new(value), kind })
    }
}
