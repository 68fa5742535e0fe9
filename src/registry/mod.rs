//! What is loaded: modules, their states and references, and every request about them.
//!
//! Semantics are NetBSD's (`module(9)`, `modctl(2)`) made safe: errors are typed, a failed load leaves nothing behind, and
//! nothing is locked while module code or the host runs.

mod builtin;
mod calls;
mod error;
mod export;
mod file;
mod loading;
mod status;
mod unloading;
mod version;

pub use builtin::{Builtin, BuiltinControl};
pub use error::{Error, Refusal};
pub use export::{Export, ExportValue};
pub(crate) use export::{ExportTable, place};
pub use loading::Load;
pub use status::{Code, Source, Status, encode_stat_7, encode_stat_10};
pub use version::{Era, KernelVersion};

use crate::address::RunAddr;
use crate::image::terminated;
use crate::properties::Properties;
use crate::resource::Reservation;
use alloc::collections::BinaryHeap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bitflags::bitflags;
use builtin::BuiltinModule;
use core::time::Duration;
use file::ModuleFile;

/// A module class (`modclass_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Class {
    /// Whatever.
    Any = 0,
    /// Miscellaneous.
    Misc = 1,
    /// A file system.
    Vfs = 2,
    /// A driver.
    Driver = 3,
    /// An executable format.
    Exec = 4,
    /// A security model.
    Secmodel = 5,
    /// A disk queue strategy (NetBSD 8.99 and later).
    BufferQueue = 6,
}

/// First class number that NetBSD 10 does not know.
const CLASS_MAX: u32 = 7;

/// A command to a module's control routine (`modcmd_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Command {
    /// Start. The argument is a property dictionary or null.
    Init = 0,
    /// Finish.
    Fini = 1,
    /// Unused by kernels.
    Stat = 2,
    /// May the module be unloaded because it is idle?
    Autounload = 3,
}

bitflags! {
    /// Flags of an explicit load (`modctl(2)`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct LoadFlags: u32 {
        /// Load in spite of a wrong version, or a built-in that must be forced.
        const FORCE = 1;
        /// Do not use the property list beside the module.
        const NO_PROP = 2;
    }
}

bitflags! {
    /// Flags of a module (`modflags_t`).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
    pub struct ModuleFlags: u32 {
        /// Was unloaded by a user; comes back only when forced.
        const MUST_FORCE = 1;
        /// Came by itself and may go by itself.
        const AUTO_LOADED = 2;
    }
}

/// Tells modules apart; never used twice in an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ModuleId(u64);

/// How a module is controlled.
#[derive(Clone, Copy)]
pub(crate) enum Control {
    /// Its control routine, in module memory.
    Native(RunAddr),
    /// A function of the server.
    Builtin(BuiltinControl),
}

/// A module that is starting, active or stopping.
pub(crate) struct Module {
    id: ModuleId,
    name: String,
    class: u32,
    source: Source,
    flags: ModuleFlags,
    references: u32,
    /// Requirements, each as often as it is listed.
    required: Vec<ModuleId>,
    required_text: String,
    control: Control,
    text: (RunAddr, u64),
    sections: Vec<(String, RunAddr, u64)>,
    symbols: SymbolMap,
    unload_at: Option<Duration>,
    builtin: Option<BuiltinModule>,
    /// Keeps the code; dropped last of all.
    _memory: Option<Reservation>,
    extent: (u64, u64),
}

/// Names of a module's functions and their addresses, for people: made at every load, asked for hardly ever, so nothing is in
/// order.
#[derive(Default)]
pub(crate) struct SymbolMap {
    /// The names of all its symbols, each with a NUL behind it.
    strings: Arc<str>,
    /// Address, and where the name begins in `strings`.
    entries: Vec<(u64, u32)>,
}

impl SymbolMap {
    pub fn new(strings: Arc<str>, entries: Vec<(u64, u32)>) -> Self {
        Self { strings, entries }
    }

    fn name(&self, index: usize) -> &str {
        terminated(&self.strings, self.entries[index].1)
    }

    /// Names and addresses in the order of these.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        // A heap, whose code is a tenth of that of a sort.
        let order: BinaryHeap<(u64, usize)> = self.entries.iter().enumerate().map(|(index, entry)| (entry.0, index)).collect();
        order.into_sorted_vec().into_iter().map(|(address, index)| (self.name(index), address))
    }

    /// The function that `address` is in or behind, and how far. Allocates nothing.
    pub fn find(&self, address: u64) -> Option<(&str, u64)> {
        let before = self.entries.iter().enumerate().filter(|(_, entry)| entry.0 <= address);
        let (index, &(at, _)) = before.max_by_key(|(_, entry)| entry.0)?;
        Some((self.name(index), address - at))
    }
}

/// One module on its way: read and checked, waiting for its requirements.
pub(crate) struct Pending {
    /// The name it was asked for by.
    wanted: String,
    path: String,
    file: ModuleFile,
    name: String,
    class: u32,
    required_text: String,
    requirements: Vec<String>,
    next: usize,
    required: Vec<ModuleId>,
    autoload: bool,
    properties: Option<Properties>,
}

/// One outermost request to load: the modules on their way, innermost last, and those it has brought in.
#[derive(Default)]
pub(crate) struct Request {
    pending: Vec<Pending>,
    brought: Vec<ModuleId>,
}

/// All there is to know about the modules of an instance.
pub(crate) struct State {
    /// Active modules, newest first.
    active: Vec<Module>,
    /// Modules whose control routine runs and that are not active.
    transient: Vec<Module>,
    builtins: Vec<BuiltinModule>,
    requests: Vec<Request>,
    /// Modules whose control routine runs, innermost last.
    running: Vec<ModuleId>,
    generation: u64,
    next_id: u64,
    pub autoload: bool,
    pub autotime: u32,
}

impl State {
    pub fn new() -> Self {
        Self {
            active: Vec::new(),
            transient: Vec::new(),
            builtins: Vec::new(),
            requests: Vec::new(),
            running: Vec::new(),
            generation: 1,
            next_id: 1,
            autoload: true,
            autotime: 10,
        }
    }

    pub fn generation(&self) -> u64 {
        self.generation
    }

    fn new_id(&mut self) -> ModuleId {
        self.next_id += 1;
        ModuleId(self.next_id)
    }

    fn active_named(&self, name: &str) -> Option<&Module> {
        self.active.iter().find(|module| module.name == name)
    }

    fn active_mut(&mut self, id: ModuleId) -> Option<&mut Module> {
        self.active.iter_mut().find(|module| module.id == id)
    }

    fn any(&self, id: ModuleId) -> Option<&Module> {
        self.active.iter().chain(&self.transient).find(|module| module.id == id)
    }

    /// Puts a started module at the head of the active list and references what it requires.
    fn activate(&mut self, id: ModuleId) {
        let Some(index) = self.transient.iter().position(|module| module.id == id) else { return };
        let module = self.transient.remove(index);
        for &required in &module.required {
            if let Some(required) = self.active_mut(required) {
                required.references += 1;
            }
        }
        self.active.insert(0, module);
        self.generation += 1;
    }

    /// Takes a finished module off the active list and its references away.
    fn deactivate(&mut self, id: ModuleId) -> Option<Module> {
        let index = self.active.iter().position(|module| module.id == id)?;
        let module = self.active.remove(index);
        for &required in &module.required {
            if let Some(required) = self.active_mut(required) {
                required.references = required.references.saturating_sub(1);
            }
        }
        self.generation += 1;
        Some(module)
    }
}
