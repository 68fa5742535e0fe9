//! Unloading, holding, and the pass that unloads what came by itself and is idle.

use super::{Class, Command, Control, Error, ModuleFlags, ModuleId, Refusal, Source};
use crate::activate;
use crate::address::RunAddr;
use crate::errno;
use crate::instance::Instance;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl Instance {
    /// Unloads a module that nobody uses. Nothing cascades: its requirements stay.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::NotActive`], [`Error::Busy`], [`Error::Refused`], [`Error::Fini`] with the module's own errno.
    pub fn unload(&self, name: &str) -> Result<(), Error> {
        self.enter(|| {
            if name.len() >= 32 {
                return Err(Error::BadName { name: name.chars().take(32).collect(), errno: errno::ENAMETOOLONG });
            }
            self.config.policy.explicit(name).map_err(|why| Error::Refused { module: name.into(), why })?;
            self.unload_inside(name, true)
        })?
    }

    /// Unloads; a built-in goes back to its list and, if `by_user`, must be forced from then on.
    pub(super) fn unload_inside(&self, name: &str, by_user: bool) -> Result<(), Error> {
        let (id, control) = {
            let state = self.state.lock();
            let module = state.active_named(name).ok_or_else(|| Error::NotActive { module: name.into() })?;
            if module.references != 0 || state.running.contains(&module.id) {
                return Err(Error::Busy { module: name.into(), references: module.references });
            }
            if module.source == Source::Kernel && module.class == Class::Secmodel as u32 {
                return Err(Error::Refused { module: name.into(), why: Refusal::SecurityModel });
            }
            (module.id, module.control)
        };
        let errno = self.control(id, control, Command::Fini, 0);
        if errno != 0 {
            return Err(Error::Fini { module: name.into(), errno });
        }
        self.exports.lock().remove(id);
        let module = self.state.lock().deactivate(id);
        if let Some(mut module) = module
            && let Some(mut builtin) = module.builtin.take()
        {
            builtin.must_force = by_user;
            builtin.starting = false;
            self.state.lock().builtins.push(builtin);
        }
        (self.config.hooks.code_changed)(self);
        Ok(())
    }

    /// Keeps a module from being unloaded until [`release`](Self::release).
    ///
    /// # Errors
    /// [`Error::NotActive`].
    pub fn hold(&self, name: &str) -> Result<(), Error> {
        self.change_references(name, |references| references.checked_add(1))
    }

    /// Takes a [`hold`](Self::hold) back.
    ///
    /// # Errors
    /// [`Error::NotActive`]; [`Error::Invalid`] if the module has no reference left.
    pub fn release(&self, name: &str) -> Result<(), Error> {
        self.change_references(name, |references| references.checked_sub(1))
    }

    fn change_references(&self, name: &str, change: impl FnOnce(u32) -> Option<u32>) -> Result<(), Error> {
        self.enter(|| {
            let mut state = self.state.lock();
            let module = state.active.iter_mut().find(|module| module.name == name);
            let module = module.ok_or_else(|| Error::NotActive { module: name.into() })?;
            let why = "the module has no reference to take or to give back";
            module.references = change(module.references).ok_or(Error::Invalid { why, errno: errno::EINVAL })?;
            Ok(())
        })?
    }

    /// One pass over the modules that came by themselves: those that are due, unreferenced and do not object are unloaded.
    /// Each is asked once. Returns the names of those that went.
    ///
    /// # Errors
    /// [`Error::Ended`].
    pub fn auto_unload(&self) -> Result<Vec<String>, Error> {
        self.enter(|| {
            let Ok(now) = self.host().clock.monotonic() else { return Vec::new() };
            let due: Vec<(ModuleId, Control, String)> = {
                let mut state = self.state.lock();
                if state.autotime == 0 {
                    return Vec::new();
                }
                let due = state.active.iter_mut().filter(|module| {
                    module.source == Source::File
                        && module.flags.contains(ModuleFlags::AUTO_LOADED)
                        && module.unload_at.is_some_and(|at| at <= now)
                });
                due.map(|module| {
                    module.unload_at = None;
                    (module.id, module.control, module.name.clone())
                })
                .collect()
            };
            let mut gone = Vec::new();
            for (id, control, name) in due {
                if self.state.lock().any(id).is_none_or(|module| module.references != 0) {
                    continue;
                }
                let answer = self.control(id, control, Command::Autounload, 0);
                if (answer == 0 || answer == errno::ENOTTY) && self.unload_inside(&name, false).is_ok() {
                    gone.push(name);
                }
            }
            gone
        })
    }

    /// Calls a module's control routine, with the module marked as running. If the module goes after that, the kernel's threads
    /// run first.
    pub(super) fn control(&self, id: ModuleId, control: Control, command: Command, argument: usize) -> i32 {
        self.state.lock().running.push(id);
        let errno = match control {
            #[expect(unsafe_code, reason = "the registry calls control routines in this one place")]
            // SAFETY: the address is that of a control routine in a linked and finalized module which the registry keeps until
            // the call is over; the metadata stage checked that it lies in the module's code; every caller is inside `enter`.
            Control::Native(modcmd) => unsafe { activate::call_modcmd(modcmd, command as i32, argument) },
            Control::Builtin(function) => function(command),
        };
        self.state.lock().running.pop();
        if matches!((command, errno), (Command::Fini, 0) | (Command::Init, 1..)) {
            // The code is about to go: threads that were told to end have to leave it.
            (self.config.hooks.settle)(self.context());
        }
        errno
    }

    /// Address and size in bytes of a section of the module whose control routine runs.
    #[must_use]
    pub fn find_section(&self, name: &str) -> Option<(RunAddr, u64)> {
        let state = self.state.lock();
        let module = state.any(*state.running.last()?)?;
        module.sections.iter().find(|(section, ..)| section == name).map(|(_, at, size)| (*at, *size))
    }

    /// Name of the module whose control routine runs.
    #[must_use]
    pub fn running(&self) -> Option<String> {
        let state = self.state.lock();
        state.any(*state.running.last()?).map(|module| module.name.clone())
    }

    /// The module and function that `address` lies in, and how many bytes behind its start. Never waits: `None` also if the
    /// registry is in use, as it may be when a fault handler asks.
    #[must_use]
    pub fn symbolize(&self, address: RunAddr) -> Option<(String, String, u64)> {
        let state = self.state.try_lock()?;
        let at = address.get();
        let inside = |extent: (u64, u64)| at.checked_sub(extent.0).is_some_and(|offset| offset < extent.1);
        let module = state.active.iter().chain(&state.transient).find(|module| inside(module.extent))?;
        let (symbol, offset) = module.symbols.find(at).unwrap_or(("?", at - module.extent.0));
        Some((module.name.clone(), symbol.to_string(), offset))
    }
}
