//! Finding the driver for a device, attaching and detaching.

use super::device::{Device, free, make};
use super::{Attachment, Driver, Entry, Interface, ParentSpec, attachment_named, driver_named, entries, pointers, same};
use crate::export::{Export, function};
use crate::kern::console::announce;
use crate::kern::errno::{ENOENT, EOPNOTSUPP};
use crate::kern::panic::panic_format;
use crate::kern::{later, time};
use crate::kernel::kernel;
use core::ptr;

/// Found, and cannot be found again.
const FOUND: i16 = 1;
const NOT_FOUND: i16 = 0;
/// May be found any number of times.
const ANY_NUMBER: i16 = 2;
/// Any unit of a parent.
const ANY_UNIT: i32 = -1;
const DETACH_FORCE: i32 = 1;
const DETACH_QUIET: i32 = 2;
/// Answers of a print function.
const UNCONFIGURED: i32 = 1;
const UNSUPPORTED: i32 = 2;

/// What a bus of I2C devices prints about itself when nobody attaches to it.
unsafe extern "C" fn iicbus_print(_arguments: *mut u8, parent: *const u8) -> i32 {
    if !parent.is_null() {
        // SAFETY: module code passes null or a C string.
        let parent = unsafe { crate::kern::string::bytes(parent) };
        announce(format_args!("iic at {}", alloc::string::String::from_utf8_lossy(parent)));
    }
    UNCONFIGURED
}

type Submatch = unsafe extern "C" fn(*mut Device, *mut Entry, *const i32, *mut u8) -> i32;
type Print = unsafe extern "C" fn(*mut u8, *const u8) -> i32;

/// # Safety
/// `driver` must be live and `name` a C string.
unsafe fn interface(driver: *mut Driver, name: *const u8) -> Option<*const Interface> {
    // SAFETY: a driver's interfaces are a list that ends with null.
    unsafe {
        pointers((*driver).interfaces.cast::<*mut Interface>()).find(|at| same((**at).name, name)).map(<*mut _>::cast_const)
    }
}

/// Whether a device is a parent such as a line of configuration names.
///
/// # Safety
/// Both must be live; the specification may be null.
unsafe fn is_parent(parent: *mut Device, spec: *const ParentSpec) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        let Some(spec) = spec.as_ref() else { return false };
        let driver = (*parent).driver;
        interface(driver, spec.interface).is_some()
            && (spec.driver.is_null()
                || (same((*driver).name, spec.driver) && (spec.unit == ANY_UNIT || spec.unit == (*parent).unit)))
    }
}

unsafe extern "C" fn config_match(parent: *mut Device, entry: *mut Entry, arguments: *mut u8) -> i32 {
    // SAFETY: module code passes a line of a configuration and what its bus hands to drivers.
    unsafe {
        let attachment = driver_named((*entry).driver).and_then(|driver| attachment_named(driver, (*entry).attachment));
        match attachment.and_then(|attachment| (*attachment).matches) {
            Some(matches) => matches(parent, entry, arguments),
            None => 0,
        }
    }
}

/// As [`config_match`], if every locator is the one asked for or left open.
unsafe extern "C" fn config_stdsubmatch(parent: *mut Device, entry: *mut Entry, locators: *const i32, arguments: *mut u8) -> i32 {
    // SAFETY: as above; the interface says how many locators there are.
    unsafe {
        let Some(spec) = (*entry).parent.as_ref() else { return 0 };
        let Some(interface) = interface((*parent).driver, spec.interface) else { return 0 };
        let descriptions = (*interface).locators.as_ptr();
        for at in 0..usize::try_from((*interface).locator_count).unwrap_or(0) {
            let (wanted, description) = ((*entry).locators.add(at).read(), descriptions.add(at));
            let open = !(*description).default_text.is_null() && wanted == (*description).default;
            if !open && wanted != locators.add(at).read() {
                return 0;
            }
        }
        config_match(parent, entry, arguments)
    }
}

/// The line of configuration that fits best, or null.
unsafe extern "C" fn config_search_loc(
    submatch: Option<Submatch>,
    parent: *mut Device,
    wanted: *const u8,
    locators: *const i32,
    arguments: *mut u8,
) -> *mut Entry {
    let (mut best, mut most) = (ptr::null_mut(), 0);
    let mut index = 0;
    // Match functions are module code: no borrow is held while they run.
    while let Some(table) = kernel().kern.autoconf.tables.borrow().get(index).copied() {
        index += 1;
        // SAFETY: registered tables are live; module code passes the rest.
        unsafe {
            for entry in entries(table) {
                let spec = (*entry).parent;
                if spec.is_null() || !matches!((*entry).state, NOT_FOUND | ANY_NUMBER) {
                    continue;
                }
                if (!wanted.is_null() && !same((*spec).interface, wanted)) || !is_parent(parent, spec) {
                    continue;
                }
                let priority = match submatch {
                    Some(submatch) => submatch(parent, entry, locators, arguments),
                    None => config_match(parent, entry, arguments),
                };
                if priority > most {
                    (best, most) = (entry, priority);
                }
            }
        }
    }
    best
}

unsafe extern "C" fn config_search_ia(
    submatch: Option<Submatch>,
    parent: *mut Device,
    wanted: *const u8,
    arguments: *mut u8,
) -> *mut Entry {
    // SAFETY: as `config_search_loc`.
    unsafe { config_search_loc(submatch, parent, wanted, ptr::null(), arguments) }
}

/// # Safety
/// `parent` must be null or live, `entry` a line of a registered table.
unsafe fn create(parent: *mut Device, entry: *mut Entry, locators: *const i32) -> Option<(*mut Device, *mut Attachment)> {
    // SAFETY: as the caller says.
    unsafe {
        let driver = driver_named((*entry).driver)?;
        let attachment = attachment_named(driver, (*entry).attachment)?;
        let count = (*entry).parent.as_ref().filter(|_| !parent.is_null() && !locators.is_null());
        let count = count.and_then(|spec| interface((*parent).driver, spec.interface)).map_or(0, |at| (*at).locator_count);
        let lowest = i32::from((*entry).unit);
        let free_from =
            |unit: i32| kernel().kern.autoconf.devices.borrow().iter().all(|at| (**at).driver != driver || (**at).unit != unit);
        let unit = if (*entry).state == ANY_NUMBER {
            (lowest..).find(|unit| free_from(*unit))?
        } else {
            (*entry).state = FOUND;
            Some(lowest).filter(|unit| free_from(*unit))?
        };
        let locators = core::slice::from_raw_parts(if count > 0 { locators } else { ptr::dangling() }, count.max(0) as usize);
        Some((make(parent, driver, attachment, entry, unit, locators), attachment))
    }
}

unsafe extern "C" fn config_attach_loc(
    parent: *mut Device,
    entry: *mut Entry,
    locators: *const i32,
    arguments: *mut u8,
    print: Option<Print>,
) -> *mut Device {
    // SAFETY: module code passes a parent, a line found for it, and what its bus hands to drivers.
    unsafe {
        let Some((device, attachment)) = create(parent, entry, locators) else { return ptr::null_mut() };
        match parent.as_ref() {
            Some(parent) => announce(format_args!("{} at {}", (*device).text(), parent.text())),
            None => announce(format_args!("{} (root)", (*device).text())),
        }
        if let Some(print) = print.filter(|_| !parent.is_null()) {
            print(arguments, ptr::null());
        }
        if let Some(attach) = (*attachment).attach {
            attach(parent, device, arguments);
        }
        device
    }
}

unsafe extern "C" fn config_attach(
    parent: *mut Device,
    entry: *mut Entry,
    arguments: *mut u8,
    print: Option<Print>,
) -> *mut Device {
    // SAFETY: as `config_attach_loc`.
    unsafe { config_attach_loc(parent, entry, ptr::null(), arguments, print) }
}

unsafe extern "C" fn config_found_sm_loc(
    parent: *mut Device,
    wanted: *const u8,
    locators: *const i32,
    arguments: *mut u8,
    print: Option<Print>,
    submatch: Option<Submatch>,
) -> *mut Device {
    // SAFETY: as `config_search_loc` and `config_attach_loc`.
    unsafe {
        let entry = config_search_loc(submatch, parent, wanted, locators, arguments);
        if !entry.is_null() {
            return config_attach_loc(parent, entry, locators, arguments, print);
        }
        if let Some(print) = print {
            match print(arguments, (*parent).name.as_ptr()) {
                UNCONFIGURED => announce(format_args!(" not configured\n")),
                UNSUPPORTED => announce(format_args!(" unsupported\n")),
                _ => {}
            }
        }
        ptr::null_mut()
    }
}

pub(super) unsafe extern "C" fn config_found_ia(
    parent: *mut Device,
    wanted: *const u8,
    arguments: *mut u8,
    print: Option<Print>,
) -> *mut Device {
    // SAFETY: as `config_found_sm_loc`.
    unsafe { config_found_sm_loc(parent, wanted, ptr::null(), arguments, print, None) }
}

unsafe extern "C" fn config_found(parent: *mut Device, arguments: *mut u8, print: Option<Print>) -> *mut Device {
    // SAFETY: as `config_found_sm_loc`.
    unsafe { config_found_sm_loc(parent, ptr::null(), ptr::null(), arguments, print, None) }
}

/// Makes a device that has no hardware.
pub(super) unsafe extern "C" fn config_attach_pseudo(entry: *mut Entry) -> *mut Device {
    // SAFETY: module code passes a line of a configuration.
    unsafe {
        let Some((device, attachment)) = create(ptr::null_mut(), entry, ptr::null()) else { return ptr::null_mut() };
        if let Some(attach) = (*attachment).attach {
            attach(ptr::null_mut(), device, ptr::null_mut());
        }
        device
    }
}

/// Detaches a device if its driver agrees.
///
/// # Safety
/// `device` must be live; nothing uses it after success.
pub(super) unsafe extern "C" fn config_detach(device: *mut Device, flags: i32) -> i32 {
    let state = &kernel().kern.autoconf;
    if !state.devices.borrow().contains(&device) {
        return ENOENT;
    }
    // SAFETY: the device is in the list, so it is live, and so is what it points to.
    unsafe {
        let error = (*(*device).attachment).detach.map_or(EOPNOTSUPP, |detach| detach(device, flags));
        if error != 0 {
            if flags & DETACH_FORCE != 0 {
                panic_format(format_args!("config_detach: {} does not detach: error {error}", (*device).text()));
            }
            return error;
        }
        if state.devices.borrow().iter().any(|other| (**other).parent == device) {
            panic_format(format_args!("config_detach: {} is gone before its children", (*device).text()));
        }
        let parent = (*device).parent;
        if !parent.is_null()
            && let Some(gone) = (*(*parent).attachment).child_detached
        {
            gone(parent, device);
        }
        let entry = (*device).entry;
        if (*entry).state == FOUND {
            (*entry).state = NOT_FOUND;
        }
        if flags & DETACH_QUIET == 0 {
            announce(format_args!("{}: detached\n", (*device).text()));
        }
        kernel().kern.later.cancel(device.addr());
        free(device);
    }
    0
}

pub(super) unsafe extern "C" fn config_detach_children(parent: *mut Device, flags: i32) -> i32 {
    loop {
        let devices = kernel().kern.autoconf.devices.borrow();
        // SAFETY: devices in the list are live.
        let child = devices.iter().rev().copied().find(|device| unsafe { (**device).parent } == parent);
        drop(devices);
        let Some(child) = child else { return 0 };
        // SAFETY: as above.
        let error = unsafe { config_detach(child, flags) };
        if error != 0 {
            return error;
        }
    }
}

unsafe extern "C" fn config_deferred(device: *mut u8, function: *mut u8) {
    // SAFETY: `config_defer` was given this function for this device.
    unsafe { core::mem::transmute::<*mut u8, unsafe extern "C" fn(*mut u8)>(function)(device) }
}

/// Calls a driver's function when the devices around it are attached.
unsafe extern "C" fn config_defer(device: *mut u8, function: *mut u8) {
    let due = time::monotonic();
    later::add(later::Job { owner: device.addr(), due, work: config_deferred, arguments: [device, function] });
}

/// Interrupts are on and the root is mounted: what waits for that runs at once.
unsafe extern "C" fn config_now(device: *mut u8, function: unsafe extern "C" fn(*mut u8)) {
    // SAFETY: module code passes a function for its device.
    unsafe { function(device) }
}

unsafe extern "C" fn null_childdetached(_parent: *mut Device, _child: *mut Device) {}

pub(super) const EXPORTS: &[Export] = &[
    function!("iicbus_print", iicbus_print),
    function!("config_match", config_match),
    function!("config_stdsubmatch", config_stdsubmatch),
    function!("config_search_loc", config_search_loc),
    function!("config_search_ia", config_search_ia),
    function!("config_attach_loc", config_attach_loc),
    function!("config_attach", config_attach),
    function!("config_found_sm_loc", config_found_sm_loc),
    function!("config_found_ia", config_found_ia),
    function!("config_found", config_found),
    function!("config_attach_pseudo", config_attach_pseudo),
    function!("config_detach", config_detach),
    function!("config_detach_children", config_detach_children),
    function!("config_defer", config_defer),
    function!("config_interrupts", config_now),
    function!("config_mountroot", config_now),
    function!("null_childdetached", null_childdetached),
];
