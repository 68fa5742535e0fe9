//! Autoconfiguration: the drivers, attachments and configuration tables that modules register, and the devices made of them.
//!
//! There is no hardware, so only pseudo-devices, and what attaches to them, ever become devices.

mod attach;
mod device;
mod iterator;
mod power;

pub(crate) use device::Device;

use super::errno::{EBUSY, EEXIST, ESRCH};
use super::string;
use crate::export::Export;
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr;

/// `struct cfdriver`.
#[repr(C)]
pub(crate) struct Driver {
    link: [*mut u8; 2],
    attachments: *mut u8,
    /// Its devices by unit; drivers look into it.
    devices: *mut *mut Device,
    name: *const u8,
    class: i32,
    device_count: i32,
    interfaces: *const *const Interface,
}

/// `struct cfiattrdata`: something that children attach to.
#[repr(C)]
struct Interface {
    name: *const u8,
    locator_count: i32,
    // Behind it `locator_count` locators.
    locators: [Locator; 0],
}

/// `struct cflocdesc`.
#[repr(C)]
struct Locator {
    name: *const u8,
    default_text: *const u8,
    default: i32,
}

/// `struct cfparent`.
#[repr(C)]
struct ParentSpec {
    interface: *const u8,
    driver: *const u8,
    unit: i32,
}

/// `struct cfdata`: one line of a configuration.
#[repr(C)]
pub(crate) struct Entry {
    driver: *const u8,
    attachment: *const u8,
    unit: i16,
    state: i16,
    locators: *mut i32,
    flags: i32,
    parent: *const ParentSpec,
}

type Match = unsafe extern "C" fn(*mut Device, *mut Entry, *mut u8) -> i32;
type Attach = unsafe extern "C" fn(*mut Device, *mut Device, *mut u8);
type Detach = unsafe extern "C" fn(*mut Device, i32) -> i32;
type ChildDetached = unsafe extern "C" fn(*mut Device, *mut Device);

/// `struct cfattach`.
#[repr(C)]
pub(crate) struct Attachment {
    name: *const u8,
    link: [*mut u8; 2],
    size: usize,
    flags: i32,
    matches: Option<Match>,
    attach: Option<Attach>,
    detach: Option<Detach>,
    activate: *const u8,
    rescan: *const u8,
    child_detached: Option<ChildDetached>,
}

/// `struct cfattachinit`: attachments of a driver.
#[repr(C)]
struct AttachmentList {
    driver: *const u8,
    list: *const *mut Attachment,
}

/// Everything registered.
#[derive(Default)]
pub(crate) struct State {
    drivers: RefCell<Vec<*mut Driver>>,
    attachments: RefCell<Vec<(*mut Driver, *mut Attachment)>>,
    tables: RefCell<Vec<*mut Entry>>,
    devices: RefCell<Vec<*mut Device>>,
    events: RefCell<Vec<power::Listener>>,
    /// How many devices there ever were.
    made: Cell<usize>,
}

/// Whether two C strings are equal.
///
/// # Safety
/// Both must be strings.
unsafe fn same(one: *const u8, two: *const u8) -> bool {
    // SAFETY: as the caller says.
    unsafe { string::bytes(one) == string::bytes(two) }
}

/// # Safety
/// `name` must be a C string.
unsafe fn driver_named(name: *const u8) -> Option<*mut Driver> {
    // SAFETY: registered drivers are live.
    kernel().kern.autoconf.drivers.borrow().iter().copied().find(|driver| unsafe { same((**driver).name, name) })
}

/// # Safety
/// As [`driver_named`].
unsafe fn attachment_named(driver: *mut Driver, name: *const u8) -> Option<*mut Attachment> {
    let attachments = kernel().kern.autoconf.attachments.borrow();
    // SAFETY: registered attachments are live.
    let found = attachments.iter().find(|(of, attachment)| *of == driver && unsafe { same((**attachment).name, name) });
    found.map(|(_, attachment)| *attachment)
}

unsafe extern "C" fn config_cfdriver_attach(driver: *mut Driver) -> i32 {
    // SAFETY: module code passes a driver that lives until it is detached.
    unsafe {
        if driver_named((*driver).name).is_some() {
            return EEXIST;
        }
    }
    kernel().kern.autoconf.drivers.borrow_mut().push(driver);
    0
}

unsafe extern "C" fn config_cfdriver_detach(driver: *mut Driver) -> i32 {
    let state = &kernel().kern.autoconf;
    // SAFETY: devices are live; their drivers too.
    if state.devices.borrow().iter().any(|device| unsafe { (**device).driver } == driver)
        || state.attachments.borrow().iter().any(|(of, _)| *of == driver)
    {
        return EBUSY;
    }
    take(&mut state.drivers.borrow_mut(), |known| *known == driver)
}

/// Takes out the element that `wanted` accepts.
fn take<T>(list: &mut Vec<T>, wanted: impl Fn(&T) -> bool) -> i32 {
    match list.iter().position(wanted) {
        Some(at) => {
            list.remove(at);
            0
        }
        None => ESRCH,
    }
}

unsafe extern "C" fn config_cfattach_attach(driver: *const u8, attachment: *mut Attachment) -> i32 {
    // SAFETY: module code passes a name and an attachment that lives until it is detached.
    unsafe {
        let Some(driver) = driver_named(driver) else { return ESRCH };
        if attachment_named(driver, (*attachment).name).is_some() {
            return EEXIST;
        }
        kernel().kern.autoconf.attachments.borrow_mut().push((driver, attachment));
    }
    0
}

unsafe extern "C" fn config_cfattach_detach(driver: *const u8, attachment: *mut Attachment) -> i32 {
    let state = &kernel().kern.autoconf;
    // SAFETY: module code passes a name; devices are live.
    unsafe {
        let Some(driver) = driver_named(driver) else { return ESRCH };
        if state.devices.borrow().iter().any(|device| (**device).attachment == attachment) {
            return EBUSY;
        }
        take(&mut state.attachments.borrow_mut(), |known| *known == (driver, attachment))
    }
}

unsafe extern "C" fn config_cfdata_attach(table: *mut Entry, _scan: i32) -> i32 {
    kernel().kern.autoconf.tables.borrow_mut().push(table);
    0
}

/// Takes a table back; the devices made from it are detached first.
unsafe extern "C" fn config_cfdata_detach(table: *mut Entry) -> i32 {
    let state = &kernel().kern.autoconf;
    // SAFETY: a table lives as long as it is registered.
    unsafe {
        loop {
            let of_table = |device: &&*mut Device| entries(table).any(|entry| entry == (***device).entry);
            let Some(device) = state.devices.borrow().iter().find(of_table).copied() else { break };
            let error = attach::config_detach(device, 0);
            if error != 0 {
                return error;
            }
        }
    }
    if take(&mut state.tables.borrow_mut(), |known| *known == table) == 0 { 0 } else { super::errno::EINVAL }
}

/// The lines of a table, which ends with one that names no driver.
///
/// # Safety
/// `table` must be one.
unsafe fn entries(table: *mut Entry) -> impl Iterator<Item = *mut Entry> {
    // SAFETY: as the caller says: lines up to the last are readable.
    let line = move |index: &usize| unsafe { table.add(*index) };
    // SAFETY: as above.
    (0..).map(move |index| line(&index)).take_while(|entry| unsafe { !(**entry).driver.is_null() })
}

/// The pointers of a list that ends with null; a null list is empty.
///
/// # Safety
/// `list` must be null or such a list.
unsafe fn pointers<T: 'static>(list: *const *mut T) -> impl Iterator<Item = *mut T> {
    // SAFETY: as the caller says.
    (0..).map_while(move |index| unsafe { list.as_ref().map(|_| list.add(index).read()).filter(|found| !found.is_null()) })
}

/// Every attachment of a module with its driver's name.
///
/// # Safety
/// `lists` must be null or an array that ends with a null name.
unsafe fn attachments(lists: *const AttachmentList) -> Vec<(*const u8, *mut Attachment)> {
    let mut found = Vec::new();
    let mut list = lists;
    // SAFETY: as the caller says.
    unsafe {
        while let Some(of) = list.as_ref().filter(|of| !of.driver.is_null()) {
            found.extend(pointers(of.list).map(|attachment| (of.driver, attachment)));
            list = list.add(1);
        }
    }
    found
}

/// Registers all parts of a driver module, or none.
unsafe extern "C" fn config_init_component(drivers: *const *mut Driver, lists: *const AttachmentList, table: *mut Entry) -> i32 {
    let (mut drivers_done, mut attachments_done) = (Vec::new(), Vec::new());
    // SAFETY: module code passes lists that end with null and live until the component is taken back.
    let error = unsafe {
        let mut work = || {
            for driver in pointers(drivers) {
                check(config_cfdriver_attach(driver))?;
                drivers_done.push(driver);
            }
            for (driver, attachment) in attachments(lists) {
                check(config_cfattach_attach(driver, attachment))?;
                attachments_done.push((driver, attachment));
            }
            check(config_cfdata_attach(table, 1))
        };
        work()
    };
    let Err(error) = error else { return 0 };
    // SAFETY: registered just now.
    unsafe {
        attachments_done.into_iter().rev().for_each(|(driver, attachment)| {
            config_cfattach_detach(driver, attachment);
        });
        drivers_done.into_iter().rev().for_each(|driver| {
            config_cfdriver_detach(driver);
        });
    }
    error
}

/// Takes all parts of a driver module back. A device that does not detach keeps everything in place.
unsafe extern "C" fn config_fini_component(drivers: *const *mut Driver, lists: *const AttachmentList, table: *mut Entry) -> i32 {
    // SAFETY: as for registering.
    unsafe {
        let error = config_cfdata_detach(table);
        if error != 0 {
            return error;
        }
        for (driver, attachment) in attachments(lists) {
            config_cfattach_detach(driver, attachment);
        }
        pointers(drivers).map(|driver| config_cfdriver_detach(driver)).find(|error| *error != 0).unwrap_or(0)
    }
}

fn check(error: i32) -> Result<(), i32> {
    if error == 0 { Ok(()) } else { Err(error) }
}

unsafe extern "C" fn config_cfdriver_lookup(name: *const u8) -> *mut Driver {
    // SAFETY: module code passes a C string.
    unsafe { driver_named(name) }.unwrap_or(ptr::null_mut())
}

unsafe extern "C" fn config_cfattach_lookup(driver: *const u8, name: *const u8) -> *mut Attachment {
    // SAFETY: module code passes two C strings.
    unsafe { driver_named(driver).and_then(|driver| attachment_named(driver, name)) }.unwrap_or(ptr::null_mut())
}

/// Adds the functions of this part.
pub(crate) fn exports(out: &mut Vec<Export>) {
    use crate::export::function;
    out.extend_from_slice(&[
        function!("config_cfdriver_attach", config_cfdriver_attach),
        function!("config_cfdriver_detach", config_cfdriver_detach),
        function!("config_cfdriver_lookup", config_cfdriver_lookup),
        function!("config_cfattach_attach", config_cfattach_attach),
        function!("config_cfattach_detach", config_cfattach_detach),
        function!("config_cfattach_lookup", config_cfattach_lookup),
        function!("config_cfdata_attach", config_cfdata_attach),
        function!("config_cfdata_detach", config_cfdata_detach),
        function!("config_init_component", config_init_component),
        function!("config_fini_component", config_fini_component),
    ]);
    out.extend_from_slice(attach::EXPORTS);
    out.extend_from_slice(device::EXPORTS);
    out.extend_from_slice(iterator::EXPORTS);
    out.extend_from_slice(power::EXPORTS);
}

#[cfg(test)]
mod tests;
