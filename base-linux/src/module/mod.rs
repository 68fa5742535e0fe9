//! The modules of a kernel: what there is, what is loaded, and every request about them.
//!
//! No lock is held while module code or the host runs, a failed request leaves nothing behind, and before a module's init runs
//! the registry owns it, so code that never returns loses nothing.

mod load;
mod tree;
mod unload;

pub(crate) use tree::Tree;

use crate::Error;
use crate::kernel::Kernel;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use rumpload::address::RunAddr;
use rumpload::resolve::Resolved;
use rumpload::resource::{Reservation, Segment};

/// The event that asks for a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trigger<'a> {
    /// A symbol is wanted: the module that exports it.
    Symbol(&'a str),
    /// A hash or cipher is wanted: a module with the alias `crypto-NAME`.
    Algorithm(&'a str),
    /// A character set is wanted: the module `nls_NAME`.
    Charset(&'a str),
    /// A module by its name.
    Module(&'a str),
}

/// Tells modules apart; never used twice in a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Coming,
    Live,
    Going,
}

struct Module {
    id: Id,
    name: String,
    stage: Stage,
    references: u32,
    required: Vec<Id>,
    init: Option<usize>,
    exit: Option<usize>,
    /// Where the module's own `struct module` is, by which its registrations name it.
    this: (u64, u64),
    memory: Reservation,
    /// What it will export once it is live.
    offered: Vec<(String, Offered)>,
    /// What is given back once it is live.
    discarded: Vec<Segment>,
}

/// A symbol that a module has to offer.
struct Offered {
    resolved: Resolved,
    crc: Option<u32>,
    gpl: bool,
    namespace: String,
}

/// A symbol that a live module exports.
struct Exported {
    resolved: Resolved,
    crc: Option<u32>,
    gpl: bool,
    namespace: String,
    owner: Id,
    owner_name: String,
}

/// One request: the modules to start, in order, and those it has brought in.
#[derive(Default)]
struct Request {
    order: Vec<String>,
    brought: Vec<Id>,
}

/// What is loaded.
#[derive(Default)]
pub(crate) struct Registry {
    modules: Vec<Module>,
    exports: BTreeMap<String, Exported>,
    requests: Vec<Request>,
    last_id: u64,
}

/// What there is to say about a loaded module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its name.
    pub name: String,
    /// How often it is used, by modules and by algorithms or character sets in use.
    pub references: u32,
    /// The modules it depends on.
    pub required: Vec<String>,
    /// Where it lies.
    pub address: RunAddr,
    /// Bytes of its memory.
    pub size: usize,
}

/// Whether two names are those of one module: `-` and `_` are the same.
fn same_name(one: &str, other: &str) -> bool {
    let plain = |byte| if byte == b'-' { b'_' } else { byte };
    one.len() == other.len() && one.bytes().map(plain).eq(other.bytes().map(plain))
}

impl Module {
    fn holds(&self, address: u64) -> bool {
        address.checked_sub(self.memory.run().get()).is_some_and(|offset| offset < self.memory.len() as u64)
    }
}

impl Registry {
    fn named(&self, name: &str) -> Option<&Module> {
        self.modules.iter().find(|module| same_name(&module.name, name))
    }

    fn get_mut(&mut self, id: Id) -> Option<&mut Module> {
        self.modules.iter_mut().find(|module| module.id == id)
    }

    fn get(&self, id: Id) -> Option<&Module> {
        self.modules.iter().find(|module| module.id == id)
    }

    /// Takes a module out with its exports; what it depends on is no longer used by it. Whoever drops it frees its memory.
    fn remove(&mut self, id: Id) -> Option<Module> {
        let at = self.modules.iter().position(|module| module.id == id)?;
        self.exports.retain(|_, export| export.owner != id);
        let module = self.modules.remove(at);
        for &required in &module.required {
            if let Some(required) = self.get_mut(required) {
                required.references = required.references.saturating_sub(1);
            }
        }
        Some(module)
    }
}

impl Kernel {
    /// The loaded modules, oldest first.
    #[must_use]
    pub fn modules(&self) -> Vec<Status> {
        let registry = self.registry.lock();
        let name = |id: &Id| registry.get(*id).map(|module| module.name.clone());
        let live = registry.modules.iter().filter(|module| module.stage == Stage::Live);
        live.map(|module| Status {
            name: module.name.clone(),
            references: module.references,
            required: module.required.iter().filter_map(name).collect(),
            address: module.memory.run(),
            size: module.memory.len(),
        })
        .collect()
    }

    /// The address of what a live module or the base exports as `name`.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<RunAddr> {
        self.resolved(name).map(|resolved| resolved.value)
    }

    fn resolved(&self, name: &str) -> Option<Resolved> {
        let exported = self.registry.lock().exports.get(name).map(|export| export.resolved);
        exported.or_else(|| self.instance().lookup(name))
    }

    /// Calls the exported function `symbol` with up to ten integers or addresses, autoloading the module that exports it. Gives
    /// what the function leaves in the result register: for a result narrower than 64 bits, only its low bits count.
    ///
    /// # Errors
    /// What [`autoload`](Self::autoload) and [`enter`](Self::enter) give; [`Error::Invalid`] for more than ten arguments.
    ///
    /// # Safety
    /// The arguments must be what the function documents, and addresses among them valid for what it does.
    pub unsafe fn call(&self, symbol: &str, arguments: &[u64]) -> Result<u64, Error> {
        self.autoload(Trigger::Symbol(symbol))?;
        let function = self.symbol(symbol).ok_or_else(|| Error::NoProvider { wanted: symbol.to_string() })?;
        // SAFETY: the address is that of an exported function; the caller vouches for the arguments.
        unsafe { self.call_at(function, arguments) }
    }

    /// As [`call`](Self::call), for the function at an address: one that module code has handed out.
    ///
    /// # Errors
    /// What [`enter`](Self::enter) gives; [`Error::Invalid`] for more than ten arguments.
    ///
    /// # Safety
    /// As [`call`](Self::call); and the address must be that of a function of a live module or of the base.
    pub unsafe fn call_at(&self, function: RunAddr, arguments: &[u64]) -> Result<u64, Error> {
        if arguments.len() > crate::arch::MAX_ARGUMENTS {
            return Err(Error::Invalid("a call passes at most ten arguments"));
        }
        // SAFETY: the caller vouches for the address and the arguments.
        self.enter(|| unsafe { crate::arch::call(function.get() as usize, arguments) })
    }

    /// Keeps the module with its `struct module` at `this` from being unloaded. A null pointer means the base itself.
    pub(crate) fn hold(&self, this: u64) -> bool {
        self.count(this, |references| references.checked_add(1))
    }

    /// Takes a [`hold`](Self::hold) back.
    pub(crate) fn release(&self, this: u64) {
        self.count(this, |references| references.checked_sub(1));
    }

    fn count(&self, this: u64, change: impl FnOnce(u32) -> Option<u32>) -> bool {
        if this == 0 {
            return true;
        }
        let mut registry = self.registry.lock();
        let inside = |module: &&mut Module| this.checked_sub(module.this.0).is_some_and(|offset| offset < module.this.1);
        let Some(module) = registry.modules.iter_mut().find(inside).filter(|module| module.stage != Stage::Going) else {
            return false;
        };
        change(module.references).map(|references| module.references = references).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyphens_are_underscores_in_names() {
        assert!(same_name("crc-itu-t", "crc_itu_t"));
        assert!(!same_name("crc7", "crc_7"));
    }
}
