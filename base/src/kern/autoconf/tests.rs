use super::*;
use crate::kern::errno::ENOENT;
use crate::kern::later;
use crate::testing::Bench;
use core::ffi::CStr;

const SEPARATE: i32 = 2;

fn driver(name: &'static CStr, interfaces: *const *const Interface) -> Driver {
    let none = ptr::null_mut();
    Driver {
        link: [none; 2],
        attachments: none,
        devices: ptr::null_mut(),
        name: name.as_ptr().cast(),
        class: 6,
        device_count: 0,
        interfaces,
    }
}

fn entry(name: &'static CStr, state: i16, parent: *const ParentSpec) -> Entry {
    let name = name.as_ptr().cast();
    Entry { driver: name, attachment: name, unit: 0, state, locators: ptr::null_mut(), flags: 0, parent }
}

fn last() -> Entry {
    Entry { driver: ptr::null(), ..entry(c"", 0, ptr::null()) }
}

fn attachment(name: &'static CStr, matches: Option<Match>, attach: Option<Attach>, detach: Option<Detach>) -> Attachment {
    Attachment {
        name: name.as_ptr().cast(),
        link: [ptr::null_mut(); 2],
        size: 16,
        flags: SEPARATE,
        matches,
        attach,
        detach,
        activate: ptr::null(),
        rescan: ptr::null(),
        child_detached: None,
    }
}

unsafe extern "C" fn matches(_: *mut Device, entry: *mut Entry, wanted: *mut u8) -> i32 {
    // SAFETY: the test's own line.
    if unsafe { same((*entry).driver, wanted) } { 3 } else { 0 }
}

unsafe extern "C" fn attach(_: *mut Device, device: *mut Device, _: *mut u8) {
    // SAFETY: sixteen bytes were asked for.
    unsafe { device::device_private(device).cast::<u32>().write(0x600d) }
}

unsafe extern "C" fn attach_bus(parent: *mut Device, device: *mut Device, arguments: *mut u8) {
    // SAFETY: the device was made just now; the name of the child it is to find is a string.
    unsafe {
        attach(parent, device, arguments);
        let found = attach::config_found_ia(device, c"testbus".as_ptr().cast(), c"child".as_ptr().cast_mut().cast(), None);
        assert!(!found.is_null());
        assert!(
            attach::config_found_ia(device, c"otherbus".as_ptr().cast(), c"child".as_ptr().cast_mut().cast(), None).is_null()
        );
    }
}

unsafe extern "C" fn detach(device: *mut Device, flags: i32) -> i32 {
    if flags & 4 != 0 {
        return EBUSY;
    }
    // SAFETY: a live device.
    unsafe { attach::config_detach_children(device, flags) }
}

unsafe extern "C" fn event(device: *mut u8, _: *mut u8) {
    // SAFETY: a live device with sixteen bytes of its own.
    unsafe { device::device_private(device.cast()).cast::<u32>().write(7) }
}

#[test]
fn a_component_comes_and_goes_as_a_whole() {
    let interface = Interface { name: c"testbus".as_ptr().cast(), locator_count: 0, locators: [] };
    let interfaces = [&raw const interface, ptr::null()];
    let (mut bus, mut child) = (driver(c"bus", interfaces.as_ptr()), driver(c"child", ptr::null()));
    let drivers = [&raw mut bus, &raw mut child, ptr::null_mut()];
    let mut bus_attachment = attachment(c"bus", None, Some(attach_bus), Some(detach));
    let mut child_attachment = attachment(c"child", Some(matches), Some(attach), Some(detach));
    let bus_list = [&raw mut bus_attachment, ptr::null_mut()];
    let child_list = [&raw mut child_attachment, ptr::null_mut()];
    let name = |name: &'static CStr| name.as_ptr().cast::<u8>();
    let lists = [
        AttachmentList { driver: name(c"bus"), list: bus_list.as_ptr() },
        AttachmentList { driver: name(c"child"), list: child_list.as_ptr() },
        AttachmentList { driver: ptr::null(), list: ptr::null() },
    ];
    let parent = ParentSpec { interface: name(c"testbus"), driver: name(c"bus"), unit: -1 };
    let mut table = [entry(c"bus", 2, ptr::null()), entry(c"child", 2, &raw const parent), last()];
    let table = table.as_mut_ptr();
    let bench = Bench::new();
    bench.inside(|| {
        let blocks = kernel().kern.memory.usage().blocks;
        let state = &kernel().kern.autoconf;
        // SAFETY: everything registered lives in this frame and is taken back.
        unsafe {
            assert_eq!(config_init_component(drivers.as_ptr(), lists.as_ptr(), table), 0);
            assert_eq!(config_init_component(drivers.as_ptr(), lists.as_ptr(), table), EEXIST);
            assert_eq!((state.drivers.borrow().len(), state.attachments.borrow().len()), (2, 2));
            let (first, second) = (attach::config_attach_pseudo(table), attach::config_attach_pseudo(table));
            assert_eq!(((*first).text(), (*second).text()), ("bus0", "bus1"));
            assert_eq!(bus.device_count, 2);
            assert_eq!(*bus.devices.add(1), second);
            assert_eq!(device::device_private(second).cast::<u32>().read(), 0x600d);
            assert_eq!(state.devices.borrow().len(), 4);
            assert_eq!(device::device_unit(second), 1);
            assert_eq!(config_cfdriver_detach(&raw mut bus), EBUSY);
            assert_eq!(attach::config_detach(second, 4), EBUSY);
            assert_eq!((attach::config_detach(second, 2), attach::config_detach(second, 2)), (0, ENOENT));
            assert_eq!(state.devices.borrow().len(), 2);
            power::pmf_event_register(first, 9, event, false);
            power::pmf_event_inject(first, 8);
            later::settle();
            assert_eq!(device::device_private(first).cast::<u32>().read(), 0x600d);
            power::pmf_event_inject(first, 9);
            later::settle();
            assert_eq!(device::device_private(first).cast::<u32>().read(), 7);
            assert_eq!(config_fini_component(drivers.as_ptr(), lists.as_ptr(), table), 0);
            assert!(state.drivers.borrow().is_empty() && state.devices.borrow().is_empty());
        }
        assert_eq!(kernel().kern.memory.usage().blocks, blocks);
    });
    assert!(bench.printed().contains("child0 at bus0"), "{}", bench.printed());
}

#[test]
fn a_component_with_a_fault_leaves_nothing() {
    let mut one = driver(c"one", ptr::null());
    let drivers = [&raw mut one, ptr::null_mut()];
    let mut at = attachment(c"two", None, None, None);
    let list = [&raw mut at, ptr::null_mut()];
    let lists = [
        AttachmentList { driver: c"two".as_ptr().cast(), list: list.as_ptr() },
        AttachmentList { driver: ptr::null(), list: ptr::null() },
    ];
    Bench::new().inside(|| {
        // SAFETY: as above.
        unsafe {
            assert_eq!(config_init_component(drivers.as_ptr(), lists.as_ptr(), ptr::null_mut()), ESRCH);
        }
        let state = &kernel().kern.autoconf;
        assert!(state.drivers.borrow().is_empty() && state.tables.borrow().is_empty());
    });
}
