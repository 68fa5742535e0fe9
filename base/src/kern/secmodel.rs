//! Security models that modules register, and code that is to run once.

use super::errno::{EEXIST, ENOENT};
use super::{panic, string};
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;

type Evaluate = unsafe extern "C" fn(*const u8, *mut u8, *mut u8) -> i32;

struct Model {
    handle: usize,
    name: Vec<u8>,
    evaluate: Option<Evaluate>,
}

/// The models registered. Their policy is in the listeners they add.
#[derive(Default)]
pub(crate) struct State {
    models: RefCell<Vec<Model>>,
}

unsafe extern "C" fn secmodel_register(
    out: *mut usize,
    id: *const u8,
    _name: *const u8,
    _behavior: *mut u8,
    evaluate: Option<Evaluate>,
    _set: *mut u8,
) -> i32 {
    // SAFETY: module code passes a C string.
    let name = unsafe { string::bytes(id) }.to_vec();
    let mut models = kernel().kern.secmodel.models.borrow_mut();
    if models.iter().any(|model| model.name == name) {
        return EEXIST;
    }
    let handle = models.iter().map(|model| model.handle).max().unwrap_or(0) + 1;
    models.push(Model { handle, name, evaluate });
    // SAFETY: module code passes room for a handle.
    unsafe { out.write(handle) };
    0
}

unsafe extern "C" fn secmodel_deregister(handle: usize) -> i32 {
    let mut models = kernel().kern.secmodel.models.borrow_mut();
    match models.iter().position(|model| model.handle == handle) {
        Some(at) => {
            models.remove(at);
            0
        }
        None => ENOENT,
    }
}

unsafe extern "C" fn secmodel_nsecmodels() -> i32 {
    kernel().kern.secmodel.models.borrow().len() as i32
}

/// Asks a model a question of its own.
unsafe extern "C" fn secmodel_eval(id: *const u8, what: *const u8, argument: *mut u8, answer: *mut u8) -> i32 {
    // SAFETY: module code passes a C string.
    let name = unsafe { string::bytes(id) };
    let evaluate = {
        let models = kernel().kern.secmodel.models.borrow();
        models.iter().find(|model| model.name == name).map(|model| model.evaluate)
    };
    match evaluate {
        None => super::errno::EINVAL,
        Some(None) => ENOENT,
        // SAFETY: the model's own function; no borrow is held.
        Some(Some(evaluate)) => unsafe { evaluate(what, argument, answer) },
    }
}

/// `once_t`.
#[repr(C)]
struct Once {
    status: u32,
    error: i32,
}

const RUNNING: u32 = 1;
const DONE: u32 = 2;

/// Runs `function` unless it ran before without an error.
unsafe extern "C" fn run_once(once: *mut Once, function: unsafe extern "C" fn() -> i32) -> i32 {
    // SAFETY: module code passes its own `once_t` and function.
    unsafe {
        match (*once).status {
            DONE => return (*once).error,
            RUNNING => panic::panic_message("code that is to run once waits for itself"),
            _ => {}
        }
        (*once).status = RUNNING;
        let error = function();
        (*once).error = error;
        (*once).status = if error == 0 { DONE } else { 0 };
        error
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("secmodel_register", secmodel_register),
    function!("secmodel_deregister", secmodel_deregister),
    function!("secmodel_nsecmodels", secmodel_nsecmodels),
    function!("secmodel_eval", secmodel_eval),
    function!("_run_once", run_once),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;
    use core::ptr;
    use core::sync::atomic::{AtomicI32, Ordering};

    static CALLS: AtomicI32 = AtomicI32::new(0);

    unsafe extern "C" fn second_time_lucky() -> i32 {
        if CALLS.fetch_add(1, Ordering::Relaxed) == 0 { 5 } else { 0 }
    }

    #[test]
    fn what_failed_is_tried_again_and_what_worked_is_not() {
        let mut once = Once { status: 0, error: 0 };
        // SAFETY: the function touches nothing but its counter.
        let results = [(); 3].map(|()| unsafe { run_once(&raw mut once, second_time_lucky) });
        assert_eq!(results, [5, 0, 0]);
        assert_eq!(CALLS.load(Ordering::Relaxed), 2);
    }

    unsafe extern "C" fn answer(_: *const u8, argument: *mut u8, _: *mut u8) -> i32 {
        argument.addr() as i32
    }

    #[test]
    fn models_have_unique_names() {
        Bench::new().inside(|| {
            let (mut one, none) = (0, ptr::null_mut());
            let name = c"com.example.model".as_ptr().cast();
            // SAFETY: names are strings, the handle a word.
            unsafe {
                assert_eq!(secmodel_register(&raw mut one, name, name, none, Some(answer), none), 0);
                assert_eq!(secmodel_register(&raw mut one, name, name, none, None, none), EEXIST);
                assert_eq!(secmodel_eval(name, name, 33 as *mut u8, none), 33);
                assert_eq!((secmodel_deregister(one), secmodel_deregister(one), secmodel_nsecmodels()), (0, ENOENT, 0));
            }
        });
    }
}
