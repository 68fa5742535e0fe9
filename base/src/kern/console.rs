//! Messages that are more than printf: the log, the user's terminal, autoconfiguration.

use super::autoconf::Device;
use super::printf::{Line, console_format};
use crate::abi::constants::{AB_DEBUG, AB_QUIET, AB_SILENT, AB_VERBOSE};
use crate::arch::{VaList, variadic};
use crate::export::{Export, data, function};
use crate::kernel::kernel;
use core::fmt::Write;

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

/// A message about a device that is found or goes.
pub(crate) fn announce(text: core::fmt::Arguments<'_>) {
    if shown(0, AB_QUIET | AB_SILENT) {
        let mut line = Line::new();
        let _ = line.write_fmt(text);
        kernel().instance().host().console.write(line.as_str());
    }
}

/// Prints `name: ` and the message if the boot options let it through.
///
/// # Safety
/// The list must hold a device, null perhaps, a format and its arguments.
unsafe fn print_of_device(arguments: &mut VaList, wanted: i32, unless: i32) {
    // SAFETY: as the caller says.
    unsafe {
        let device = arguments.pointer::<Device>();
        if shown(wanted, unless) {
            kernel().instance().host().console.write(Device::label(device));
            kernel().instance().host().console.write(": ");
            print(arguments);
        }
    }
}

/// Declares the list functions of messages about a device.
macro_rules! of_device {
    ($($list:ident: $wanted:expr, $unless:expr;)*) => {
        $(unsafe extern "C" fn $list(arguments: *mut VaList) {
            // SAFETY: the entry made the list: device, format.
            unsafe { print_of_device(&mut *arguments, $wanted, $unless) }
        })*
    };
}

of_device! {
    error_of: 0, 0;
    normal_of: 0, AB_QUIET | AB_SILENT;
    naive_of: AB_QUIET, AB_SILENT;
    verbose_of: AB_VERBOSE, 0;
    debug_of: AB_DEBUG, 0;
}

variadic!(device_printf => error_of);
variadic!(aprint_normal_dev => normal_of);
variadic!(aprint_naive_dev => naive_of);
variadic!(aprint_verbose_dev => verbose_of);
variadic!(aprint_debug_dev => debug_of);
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
    function!("device_printf", device_printf),
    function!("aprint_error_dev", device_printf),
    function!("aprint_normal_dev", aprint_normal_dev),
    function!("aprint_naive_dev", aprint_naive_dev),
    function!("aprint_verbose_dev", aprint_verbose_dev),
    function!("aprint_debug_dev", aprint_debug_dev),
    data!("boothowto", 4, 4),
];
