//! Required modules, found in a directory and linked once.

use super::session::{Candidate, Names, Outside, OwnedName, PAGE, owned};
use crate::inspect::namespace;
use rumpload::address::RunAddr;
use rumpload::image::Image;
use rumpload::load::Linker;
use rumpload::resolve::Resolved;
use rumpload::resource::{Detached, Memory, Placement, Reservation};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// What a linked module offers to those that require it.
pub struct Provided {
    pub exports: HashMap<OwnedName, Resolved>,
    /// Places in the library of what it requires itself.
    requires: Vec<usize>,
    /// Keeps its run addresses taken.
    _memory: Reservation,
}

pub struct Library {
    directory: PathBuf,
    memory: Arc<dyn Memory>,
    linker: Linker,
    provided: Vec<Provided>,
    /// Place in `provided`, or why there is none.
    known: HashMap<String, Result<usize, String>>,
}

/// A required module that waits for its own requirements.
struct Waiting {
    candidate: Candidate,
    requires: Vec<usize>,
}

impl Library {
    pub fn new(directory: PathBuf, first: RunAddr) -> Self {
        let memory = Arc::new(Detached::new(first, PAGE));
        Self { directory, memory, linker: Linker::new(), provided: Vec::new(), known: HashMap::new() }
    }

    /// What modules called `names` offer, and all that they require.
    pub fn closure(&mut self, names: &[String], outside: &Outside) -> Result<Vec<&Provided>, String> {
        let mut roots = Vec::new();
        for name in names {
            roots.push(self.require(name, outside).map_err(|reason| format!("requires {name}: {reason}"))?);
        }
        Ok(self.transitive(&roots))
    }

    fn transitive(&self, roots: &[usize]) -> Vec<&Provided> {
        let mut order = roots.to_vec();
        let mut seen: HashSet<usize> = HashSet::new();
        order.retain(|&index| seen.insert(index));
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            order.extend(self.provided[index].requires.iter().filter(|&&required| seen.insert(required)));
            next += 1;
        }
        order.into_iter().map(|index| &self.provided[index]).collect()
    }

    /// Place of `name` in `provided`; reads and links it, and what it requires, the first time.
    fn require(&mut self, name: &str, outside: &Outside) -> Result<usize, String> {
        if let Some(known) = self.known.get(name) {
            return known.clone();
        }
        let mut waiting = vec![self.begin(name)?];
        loop {
            let Some(top) = waiting.last() else { return Err("nothing is waiting".to_owned()) };
            let Some(next) = top.candidate.requires.get(top.requires.len()).cloned() else {
                let Some(done) = waiting.pop() else { continue };
                let finished = self.finish(&done, outside);
                self.known.insert(done.candidate.name.clone(), finished.clone());
                match (finished, waiting.last_mut()) {
                    (Ok(index), Some(above)) => above.requires.push(index),
                    (Err(reason), Some(_)) => return Err(self.give_up(waiting, &done.candidate.name, reason)),
                    (finished, None) => return finished,
                }
                continue;
            };
            if waiting.iter().any(|module| module.candidate.name == next) {
                let path: Vec<&str> = waiting.iter().map(|module| module.candidate.name.as_str()).collect();
                return Err(format!("modules require each other: {} -> {next}", path.join(" -> ")));
            }
            let found = match self.known.get(&next) {
                Some(known) => known.clone().map(Some),
                None => self.begin(&next).map(|module| {
                    waiting.push(module);
                    None
                }),
            };
            match (found, waiting.last_mut()) {
                (Ok(Some(index)), Some(top)) => top.requires.push(index),
                (Ok(_), _) => {}
                (Err(reason), _) => return Err(self.give_up(waiting, &next, reason)),
            }
        }
    }

    /// All that wait fail with the innermost reason.
    fn give_up(&mut self, waiting: Vec<Waiting>, name: &str, reason: String) -> String {
        let mut reason = format!("requires {name}: {reason}");
        let mut outermost = reason.clone();
        for module in waiting.into_iter().rev() {
            let name = module.candidate.name;
            outermost = std::mem::take(&mut reason);
            reason = format!("requires {name}: {outermost}");
            self.known.insert(name, Err(outermost.clone()));
        }
        outermost
    }

    /// Reads a module of the directory.
    fn begin(&self, name: &str) -> Result<Waiting, String> {
        if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
            return Err(format!("{name:?} is no module name"));
        }
        let path = self.directory.join(name).join(format!("{name}.kmod"));
        let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let candidate = Candidate::new(bytes).map_err(|reason| format!("{}: {reason}", path.display()))?;
        if candidate.name != name {
            return Err(format!("{} holds module {}", path.display(), candidate.name));
        }
        Ok(Waiting { candidate, requires: Vec::new() })
    }

    fn finish(&mut self, module: &Waiting, outside: &Outside) -> Result<usize, String> {
        let mut linker = std::mem::take(&mut self.linker);
        let provided = self.link(&mut linker, module, outside);
        self.linker = linker;
        self.provided.push(provided?);
        Ok(self.provided.len() - 1)
    }

    fn link(&self, linker: &mut Linker, module: &Waiting, outside: &Outside) -> Result<Provided, String> {
        let names = Names::new(outside, self.transitive(&module.requires));
        let image = Image::parse(&module.candidate.bytes).map_err(|error| error.to_string())?;
        let namespace = namespace(&outside.prefix, module.candidate.version);
        let linked = linker.link(&image, &namespace, &names, &self.memory, Placement::Anywhere);
        let linked = linked.map_err(|error| error.to_string())?;
        let exports = linked.exports(&image, &namespace);
        let exports = exports.map(|export| (owned(export.name), Resolved { value: export.value, kind: export.kind }));
        Ok(Provided { exports: exports.collect(), requires: module.requires.clone(), _memory: linked.reservation })
    }
}
