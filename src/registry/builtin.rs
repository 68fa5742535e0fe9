//! Modules that are linked into the server.

use super::{Class, Command, Control, Error, LoadFlags, Module, ModuleFlags, Refusal, Source, State, SymbolMap};
use crate::address::RunAddr;
use crate::errno;
use crate::instance::Instance;
use alloc::string::String;
use alloc::vec::Vec;

/// A built-in's control routine: 0, or the errno it refuses with. Called inside the instance.
pub type BuiltinControl = fn(Command) -> i32;

/// A module that is linked into the server.
#[derive(Clone, Debug)]
pub struct Builtin {
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: Class,
    /// Built-in or active modules it requires.
    pub required: Vec<String>,
    /// Its control routine.
    pub control: BuiltinControl,
}

/// A built-in with what the registry remembers of it.
#[derive(Clone)]
pub(crate) struct BuiltinModule {
    pub info: Builtin,
    pub must_force: bool,
    /// Its requirements are being started: it cannot be one of them.
    pub starting: bool,
}

impl Instance {
    /// Registers built-ins, all or none; with `init`, starts them.
    ///
    /// # Errors
    /// [`Error::Exists`] if one of the names is built in or active; the error of the first that does not start.
    pub fn add_builtins(&self, list: &[Builtin], init: bool) -> Result<(), Error> {
        self.enter(|| {
            {
                let mut state = self.state.lock();
                for (index, info) in list.iter().enumerate() {
                    let taken = state.builtins.iter().any(|other| other.info.name == info.name)
                        || state.active_named(&info.name).is_some()
                        || list[..index].iter().any(|other| other.name == info.name);
                    if taken {
                        return Err(Error::Exists { module: info.name.clone() });
                    }
                }
                state.builtins.extend(list.iter().map(|info| BuiltinModule {
                    info: info.clone(),
                    must_force: false,
                    starting: false,
                }));
            }
            if init {
                list.iter().try_for_each(|info| self.start_builtin(&info.name, LoadFlags::empty()).map(|_| ()))?;
            }
            Ok(())
        })?
    }

    /// Starts every built-in of `class` ([`Class::Any`]: all) that may start without force; those that fail stay listed.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn init_class(&self, class: Class) -> Result<(), Error> {
        self.enter(|| {
            let wanted = |state: &State| -> Vec<String> {
                let fits = |builtin: &&BuiltinModule| !builtin.must_force && (class == Class::Any || builtin.info.class == class);
                state.builtins.iter().filter(fits).map(|builtin| builtin.info.name.clone()).collect()
            };
            let names = wanted(&self.state.lock());
            for name in names {
                // One that fails stays listed and can be tried again.
                let _ = self.start_builtin(&name, LoadFlags::empty());
            }
        })
    }

    /// Starts the built-in `name` and what it requires.
    pub(super) fn start_builtin(&self, name: &str, flags: LoadFlags) -> Result<super::ModuleId, Error> {
        if let Some(module) = self.state.lock().active_named(name) {
            return Ok(module.id);
        }
        let builtin = {
            let state = self.state.lock();
            let found = state.builtins.iter().find(|builtin| builtin.info.name == name && !builtin.starting);
            found.cloned().ok_or_else(|| Error::NotActive { module: name.into() })?
        };
        if builtin.must_force && !flags.contains(LoadFlags::FORCE) {
            return Err(Error::Refused { module: name.into(), why: Refusal::MustForce });
        }
        let mut required = Vec::new();
        for requirement in &builtin.info.required {
            self.mark_starting(name, true);
            let started = self.start_builtin(requirement, LoadFlags::empty());
            self.mark_starting(name, false);
            required.push(started.map_err(|cause| Error::Requirement {
                module: name.into(),
                required: requirement.clone(),
                cause: cause.into(),
            })?);
        }
        let control = Control::Builtin(builtin.info.control);
        let id = {
            let mut state = self.state.lock();
            state.builtins.retain(|other| other.info.name != name);
            let id = state.new_id();
            state.transient.push(Module {
                id,
                name: name.into(),
                class: builtin.info.class as u32,
                source: Source::Kernel,
                flags: ModuleFlags::empty(),
                references: 0,
                required,
                required_text: builtin.info.required.join(","),
                control,
                text: (RunAddr::new(0), 0),
                sections: Vec::new(),
                symbols: SymbolMap::default(),
                unload_at: None,
                builtin: Some(builtin),
                _memory: None,
                extent: (0, 0),
            });
            id
        };
        let errno = self.control(id, control, Command::Init, 0);
        let mut state = self.state.lock();
        if errno == 0 {
            state.activate(id);
            return Ok(id);
        }
        if let Some(index) = state.transient.iter().position(|module| module.id == id) {
            let module = state.transient.remove(index);
            state.builtins.extend(module.builtin);
        }
        Err(Error::Init { module: name.into(), errno })
    }

    fn mark_starting(&self, name: &str, starting: bool) {
        let mut state = self.state.lock();
        if let Some(builtin) = state.builtins.iter_mut().find(|builtin| builtin.info.name == name) {
            builtin.starting = starting;
        }
    }

    /// Removes built-ins that are not started from the list; with `fini`, those that are started are finished first.
    ///
    /// # Errors
    /// [`Error::NotActive`] for a name that is not built in, or why it does not finish.
    pub fn remove_builtin(&self, name: &str, fini: bool) -> Result<(), Error> {
        self.enter(|| {
            let started = self.state.lock().active_named(name).is_some_and(|module| module.source == Source::Kernel);
            if started && !fini {
                return Err(Error::Invalid { why: "the built-in is started", errno: errno::EBUSY });
            }
            if started {
                self.unload_inside(name, false)?;
            }
            let mut state = self.state.lock();
            let before = state.builtins.len();
            state.builtins.retain(|builtin| builtin.info.name != name);
            if state.builtins.len() == before { Err(Error::NotActive { module: name.into() }) } else { Ok(()) }
        })?
    }
}
