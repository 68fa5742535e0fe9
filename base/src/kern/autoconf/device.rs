//! Devices: `device_t` is opaque to drivers, which use the functions below.

use super::{Attachment, Driver, Entry, same};
use crate::export::{Export, function};
use crate::kern::property::{self, Object};
use crate::kern::{memory, string};
use crate::kernel::kernel;
use alloc::format;
use alloc::string::String;
use core::ptr;
use rumpload::properties::{Properties, Value};

/// The driver's part lies in a block of its own.
const SEPARATE: i32 = 2;

/// What the base keeps about a device.
#[repr(C)]
pub(crate) struct Device {
    class: i32,
    pub(super) unit: i32,
    /// Driver's name and unit, with NUL.
    pub(super) name: [u8; 32],
    pub(super) parent: *mut Device,
    /// Counts up from 1 as devices are made.
    pub(super) serial: usize,
    pub(super) driver: *mut Driver,
    pub(super) attachment: *mut Attachment,
    pub(super) entry: *mut Entry,
    private: *mut u8,
    locators: *mut i32,
    locator_count: u32,
    /// A dictionary of the driver's name, the unit and the parent's name.
    properties: *mut Object,
    /// Whether the driver has told how to suspend the device.
    pub(super) power_handlers: bool,
}

impl Device {
    /// The name of a device, or what stands for none.
    ///
    /// # Safety
    /// `device` must be null or live as long as the name is used.
    pub(crate) unsafe fn label<'a>(device: *const Self) -> &'a str {
        // SAFETY: as the caller says.
        unsafe { device.as_ref() }.map_or("(null)", Self::text)
    }

    /// The name.
    pub(super) fn text(&self) -> &str {
        self.name.utf8_chunks().next().map_or("?", |chunk| chunk.valid()).trim_end_matches('\0')
    }
}

/// A new device, in the list and in its driver's array.
///
/// # Safety
/// `parent` must be null or live; the rest must be registered.
pub(super) unsafe fn make(
    parent: *mut Device,
    driver: *mut Driver,
    attachment: *mut Attachment,
    entry: *mut Entry,
    unit: i32,
    locators: &[i32],
) -> *mut Device {
    // SAFETY: as the caller says; blocks are fresh and as long as what is written.
    unsafe {
        let separate = (*attachment).flags & SEPARATE != 0;
        let private = match (*attachment).size {
            0 if separate => ptr::null_mut(),
            size => memory::alloc_or_end(if separate { size } else { size.max(size_of::<Device>()) }, true),
        };
        let device = if separate { memory::alloc_or_end(size_of::<Device>(), true) } else { private }.cast::<Device>();
        let kept = memory::alloc_or_end(size_of_val(locators), false).cast::<i32>();
        ptr::copy_nonoverlapping(locators.as_ptr(), kept, locators.len());
        let mut name = [0; 32];
        let text = string::bytes((*driver).name).iter().copied().chain(format!("{unit}").into_bytes());
        name[..31].iter_mut().zip(text).for_each(|(slot, byte)| *slot = byte);
        device.write(Device {
            class: (*driver).class,
            unit,
            name,
            parent,
            serial: kernel().kern.autoconf.made.get() + 1,
            driver,
            attachment,
            entry,
            private,
            locators: kept,
            locator_count: locators.len() as u32,
            properties: describe(parent, driver, unit),
            power_handlers: false,
        });
        kernel().kern.autoconf.made.set((*device).serial);
        kernel().kern.autoconf.devices.borrow_mut().push(device);
        place(driver, unit, device);
        device
    }
}

/// The properties of a new device.
///
/// # Safety
/// `parent` must be null or live, `driver` registered.
unsafe fn describe(parent: *mut Device, driver: *mut Driver, unit: i32) -> *mut Object {
    // SAFETY: as the caller says.
    unsafe {
        let mut properties = Properties::new();
        let text = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).into_owned());
        properties.set("device-driver", text(string::bytes((*driver).name)));
        properties.set("device-unit", Value::Integer(unit.into()));
        if let Some(parent) = parent.as_ref() {
            properties.set("device-parent", Value::String(parent.text().into()));
        }
        property::dictionary_of(&properties)
    }
}

/// Enters a device into its driver's array, which grows as needed.
///
/// # Safety
/// `driver` must be registered.
unsafe fn place(driver: *mut Driver, unit: i32, device: *mut Device) {
    // SAFETY: the array is a block made here, as long as the count says.
    unsafe {
        if unit >= (*driver).device_count {
            let size = (unit as usize + 1) * size_of::<*mut Device>();
            let grown = memory::realloc((*driver).devices.cast(), size, true);
            if grown.is_null() {
                crate::kern::panic::panic_message("out of memory");
            }
            (*driver).devices = grown.cast();
            (*driver).device_count = unit + 1;
        }
        (*driver).devices.add(unit as usize).write(device);
    }
}

/// Takes a device out of everything and frees it.
///
/// # Safety
/// `device` must be live; nothing uses it afterwards.
pub(super) unsafe fn free(device: *mut Device) {
    let state = &kernel().kern.autoconf;
    state.devices.borrow_mut().retain(|known| *known != device);
    state.events.borrow_mut().retain(|listener| listener.device != device);
    // SAFETY: as the caller says.
    unsafe {
        let (driver, private) = ((*device).driver, (*device).private);
        (*driver).devices.add((*device).unit as usize).write(ptr::null_mut());
        if !state.devices.borrow().iter().any(|other| (**other).driver == driver) {
            memory::free((*driver).devices.cast());
            (*driver).devices = ptr::null_mut();
            (*driver).device_count = 0;
        }
        memory::free((*device).locators.cast());
        property::release((*device).properties);
        if private != device.cast() {
            memory::free(private);
        }
        memory::free(device.cast());
    }
}

macro_rules! getters {
    ($($name:ident: $member:ident -> $ty:ty;)*) => {
        $(pub(super) unsafe extern "C" fn $name(device: *const Device) -> $ty {
            // SAFETY: module code passes a live device.
            unsafe { (*device).$member }
        })*
    };
}

getters! {
    device_unit: unit -> i32;
    class: class -> i32;
    device_parent: parent -> *mut Device;
    device_cfdata: entry -> *mut Entry;
    device_cfdriver: driver -> *mut Driver;
    device_cfattach: attachment -> *mut Attachment;
    device_properties: properties -> *mut Object;
}

pub(super) unsafe extern "C" fn device_private(device: *const Device) -> *mut u8 {
    // SAFETY: module code passes null or a live device.
    unsafe { device.as_ref() }.map_or(ptr::null_mut(), |device| device.private)
}

unsafe extern "C" fn device_xname(device: *const Device) -> *const u8 {
    // SAFETY: module code passes null or a live device.
    unsafe { device.as_ref() }.map_or(c"(null)".as_ptr().cast(), |device| device.name.as_ptr())
}

unsafe extern "C" fn device_is_active(device: *const Device) -> bool {
    kernel().kern.autoconf.devices.borrow().iter().any(|known| ptr::eq(*known, device))
}

unsafe extern "C" fn device_is_a(device: *const Device, name: *const u8) -> bool {
    // SAFETY: module code passes null or a live device, and a C string.
    unsafe { device.as_ref().is_some_and(|device| same((*device.driver).name, name)) }
}

unsafe extern "C" fn device_locator(device: *const Device, index: u32) -> i32 {
    // SAFETY: module code passes a live device.
    unsafe {
        if index >= (*device).locator_count {
            crate::kern::panic::panic_format(format_args!("{} has no locator {index}", (*device).text()));
        }
        (*device).locators.add(index as usize).read()
    }
}

unsafe extern "C" fn device_lookup(driver: *const Driver, unit: i32) -> *mut Device {
    // SAFETY: module code passes its driver; devices are live.
    let wanted = |device: &&*mut Device| unsafe { (***device).driver.cast_const() == driver && (***device).unit == unit };
    kernel().kern.autoconf.devices.borrow().iter().find(wanted).copied().unwrap_or(ptr::null_mut())
}

unsafe extern "C" fn device_lookup_private(driver: *const Driver, unit: i32) -> *mut u8 {
    // SAFETY: as above.
    unsafe { device_private(device_lookup(driver, unit)) }
}

unsafe extern "C" fn device_find_by_xname(name: *const u8) -> *mut Device {
    // SAFETY: module code passes a C string; devices are live.
    let wanted = |device: &&*mut Device| unsafe { same((***device).name.as_ptr(), name) };
    kernel().kern.autoconf.devices.borrow().iter().find(wanted).copied().unwrap_or(ptr::null_mut())
}

unsafe extern "C" fn device_find_by_driver_unit(name: *const u8, unit: i32) -> *mut Device {
    // SAFETY: module code passes a C string.
    unsafe { super::driver_named(name).map_or(ptr::null_mut(), |driver| device_lookup(driver, unit)) }
}

pub(super) const EXPORTS: &[Export] = &[
    function!("device_unit", device_unit),
    function!("device_class", class),
    function!("device_parent", device_parent),
    function!("device_cfdata", device_cfdata),
    function!("device_cfdriver", device_cfdriver),
    function!("device_cfattach", device_cfattach),
    function!("device_properties", device_properties),
    function!("device_private", device_private),
    function!("device_xname", device_xname),
    function!("device_is_active", device_is_active),
    function!("device_is_a", device_is_a),
    function!("device_locator", device_locator),
    function!("device_lookup", device_lookup),
    function!("device_lookup_private", device_lookup_private),
    function!("device_find_by_xname", device_find_by_xname),
    function!("device_find_by_driver_unit", device_find_by_driver_unit),
];
