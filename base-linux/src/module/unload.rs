//! Unloading.

use super::{Id, Module, Stage};
use crate::Error;
use crate::arch;
use crate::kernel::Kernel;
use alloc::string::ToString;

impl Kernel {
    /// Unloads a module that nobody uses. What it depends on stays.
    ///
    /// # Errors
    /// [`Error::NotActive`], [`Error::Busy`], [`Error::Permanent`], [`Error::Policy`], [`Error::Ended`].
    pub fn unload(&self, name: &str) -> Result<(), Error> {
        let policy = &self.instance().config().policy;
        policy.explicit(name).map_err(|why| Error::Policy { module: name.to_string(), why })?;
        self.enter(|| {
            let id = self.registry.lock().named(name).map(|module| module.id);
            self.unload_id(id.ok_or_else(|| Error::NotActive { module: name.to_string() })?)
        })?
    }

    /// Runs inside.
    pub(super) fn unload_id(&self, id: Id) -> Result<(), Error> {
        let exit = {
            let mut registry = self.registry.lock();
            let Some(module) = registry.get_mut(id) else { return Ok(()) };
            if module.stage != Stage::Live || module.references != 0 {
                return Err(Error::Busy { module: module.name.clone(), references: module.references });
            }
            if module.init.is_some() && module.exit.is_none() {
                return Err(Error::Permanent { module: module.name.clone() });
            }
            module.stage = Stage::Going;
            module.exit
        };
        if let Some(exit) = exit {
            // SAFETY: the address is that of the exit routine of a live module, which takes no argument; the registry keeps the
            // module until the call is over.
            unsafe { arch::call(exit, &[]) };
        }
        let module = self.registry.lock().remove(id);
        if let Some(module) = module {
            self.forget(&module);
        }
        Ok(())
    }

    /// Takes registrations back that a module left behind, before its memory goes.
    pub(super) fn forget(&self, module: &Module) {
        self.forget_algorithms(|address| module.holds(address));
        self.forget_charsets(|address| module.holds(address));
    }
}
