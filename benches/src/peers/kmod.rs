//! kmod-loader. Its helper has no state, so names and pages are reached through statics.

use crate::corpus::Symbols;
use crate::memory::Pages;
use kmod_loader::{KernelModuleHelper, ModuleLoader, SectionMemOps, SectionPerm};
use std::sync::OnceLock;

static SYMBOLS: OnceLock<&'static Symbols> = OnceLock::new();

struct Helper;

struct Section(Pages);

impl SectionMemOps for Section {
    fn as_ptr(&self) -> *const u8 {
        self.0.as_ptr()
    }

    fn as_mut_ptr(&mut self) -> *mut u8 {
        self.0.as_ptr()
    }

    fn change_perms(&mut self, perms: SectionPerm) -> bool {
        let flag = |perm, flag| if perms.contains(perm) { flag } else { 0 };
        let flags = flag(SectionPerm::READ, libc::PROT_READ)
            | flag(SectionPerm::WRITE, libc::PROT_WRITE)
            | flag(SectionPerm::EXECUTE, libc::PROT_EXEC);
        self.0.protect(0, self.0.len(), flags)
    }
}

impl KernelModuleHelper for Helper {
    fn vmalloc(size: usize) -> Box<dyn SectionMemOps> {
        Box::new(Section(Pages::new(size)))
    }

    fn resolve_symbol(name: &str) -> Option<usize> {
        SYMBOLS.get()?.get(name).map(|value| value as usize)
    }
}

/// Names for all loads from now on.
pub fn prepare(symbols: &'static Symbols) {
    SYMBOLS.get_or_init(|| symbols);
}

/// Loads a module and drops it.
pub fn load(bytes: &[u8]) -> Result<(), String> {
    let loader = ModuleLoader::<Helper>::new(bytes).map_err(|error| format!("{error:?}"))?;
    let owner = loader.load_module(c"".into()).map_err(|error| format!("{error:?}"))?;
    std::hint::black_box(&owner);
    Ok(())
}
