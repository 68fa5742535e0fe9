//! What modules ask of the module subsystem itself (`module(9)`).

use super::errno::{EFAULT, EINVAL};
use super::thread;
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::ffi::{CStr, c_char};
use rumpload::{Class, Trigger};

/// The class of a number; `None` for one that has no name.
fn class(number: u32) -> Option<Class> {
    let all = [Class::Any, Class::Misc, Class::Vfs, Class::Driver, Class::Exec, Class::Secmodel, Class::BufferQueue];
    all.into_iter().find(|class| *class as u32 == number)
}

/// Brings a module in; one that is there is no error. Kernel threads may not.
///
/// # Safety
/// `name` is a string or null.
unsafe extern "C" fn module_autoload(name: *const c_char, number: u32) -> i32 {
    if name.is_null() {
        return EFAULT;
    }
    // SAFETY: as the caller says.
    let name = unsafe { CStr::from_ptr(name) };
    if let Err(error) = thread::may_load() {
        return error;
    }
    // The string may be in the memory of a module that is gone when the call returns, so nothing keeps it.
    let (Ok(name), Some(class)) = (name.to_str(), class(number)) else { return EINVAL };
    match kernel().instance().autoload(&Trigger::Module { name, class }) {
        Ok(()) => 0,
        Err(error) => error.errno(),
    }
}

pub(crate) const EXPORTS: &[Export] = &[function!("module_autoload", module_autoload)];
