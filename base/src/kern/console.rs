//! Messages that are more than printf: the log, the user's terminal, autoconfiguration.

use super::printf::console_format;
use crate::abi::constants::{AB_DEBUG, AB_QUIET, AB_SILENT, AB_VERBOSE};
use crate::arch::{VaList, variadic};
use crate::export::{Export, data, function};
use crate::kernel::kernel;

/// # Safety
/// The list must hold a format and its arguments.
unsafe fn print(arguments: &mut VaList) {
    // SAFETY: as the caller says.
    unsafe {
        let form = arguments.pointer();
        console_format(form, arguments);
    }
}

unsafe extern "C" fn log_list(arguments: *mut VaList) {
    // SAFETY: the entry made the list: priority, format. Every priority goes to the console: there is no other log.
    unsafe {
        let arguments = &mut *arguments;
        arguments.int();
        print(arguments);
    }
}

unsafe extern "C" fn vlog(_priority: i32, form: *const u8, list: *mut u8) {
    // SAFETY: module code passed a format and its list.
    unsafe { VaList::from_parameter(list, |arguments| console_format(form, arguments)) };
}

unsafe extern "C" fn plain_list(arguments: *mut VaList) {
    // SAFETY: the entry made the list: format.
    unsafe { print(&mut *arguments) }
}

/// Whether the boot options let messages of a kind through: shown if `wanted` is set or 0, and no bit of `unless` is set.
fn shown(wanted: i32, unless: i32) -> bool {
    // SAFETY: the export is an int.
    let options = unsafe { kernel().data("boothowto").cast::<i32>().read_unaligned() };
    (wanted == 0 || options & wanted != 0) && options & unless == 0
}

unsafe extern "C" fn normal_list(arguments: *mut VaList) {
    if shown(0, AB_QUIET | AB_SILENT) {
        // SAFETY: the entry made the list: format.
        unsafe { print(&mut *arguments) }
    }
}

unsafe extern "C" fn naive_list(arguments: *mut VaList) {
    if shown(AB_QUIET, AB_SILENT) {
        // SAFETY: the entry made the list: format.
        unsafe { print(&mut *arguments) }
    }
}

unsafe extern "C" fn verbose_list(arguments: *mut VaList) {
    if shown(AB_VERBOSE, 0) {
        // SAFETY: the entry made the list: format.
        unsafe { print(&mut *arguments) }
    }
}

unsafe extern "C" fn debug_list(arguments: *mut VaList) {
    if shown(AB_DEBUG, 0) {
        // SAFETY: the entry made the list: format.
        unsafe { print(&mut *arguments) }
    }
}

variadic!(log => log_list);
variadic!(plain => plain_list);
variadic!(aprint_normal => normal_list);
variadic!(aprint_naive => naive_list);
variadic!(aprint_verbose => verbose_list);
variadic!(aprint_debug => debug_list);

pub(crate) const EXPORTS: &[Export] = &[
    function!("log", log),
    function!("vlog", vlog),
    function!("addlog", plain),
    function!("uprintf", plain),
    function!("aprint_error", plain),
    function!("aprint_normal", aprint_normal),
    function!("aprint_naive", aprint_naive),
    function!("aprint_verbose", aprint_verbose),
    function!("aprint_debug", aprint_debug),
    data!("boothowto", 4, 4),
];
