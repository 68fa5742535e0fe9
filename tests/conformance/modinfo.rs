//! Statements 26 to 35: the module's record.

use crate::support::{NETBSD_7_99_34, NETBSD_9_3, NETBSD_10, World};
use rumpload::errno::{EINVAL, ENOENT, ENOEXEC, EPROGMISMATCH};
use rumpload::image::Image;
use rumpload::metadata::netbsd::Modinfo;
use rumpload::{Class, Load, LoadFlags};
use rumpload_test_modules::elf::{self, Record, SectionField};

/// The errno of loading a module built for `version` into a kernel of version `kernel`; 0 if it loads.
fn version(kernel: u32, version: u32) -> i32 {
    let world = World::new(kernel);
    world.add(&Record::new("m", version));
    world.load("m").map_or_else(|error| error.errno(), |()| 0)
}

#[test]
fn s026_no_link_set_is_enoent() {
    let world = World::new(NETBSD_9_3);
    let mut module = Record::new("m", NETBSD_9_3).module(elf::Machine::NATIVE).object.write();
    let name = module.offset_of(".shstrtab") + module.get("link_set_modules", SectionField::Name) as usize;
    module.bytes[name] = b'L';
    world.put("m", module.bytes);
    assert_eq!(world.fails_whole(|world| world.load("m")).errno(), ENOENT);
}

#[test]
fn s027_link_set_of_another_size_is_enoexec() {
    let pointer = elf::Machine::NATIVE.pointer() as u64;
    for size in [0, pointer / 2, 2 * pointer] {
        let world = World::new(NETBSD_9_3);
        let mut module = Record::new("m", NETBSD_9_3).module(elf::Machine::NATIVE).object.write();
        module.set("link_set_modules", SectionField::Size, size);
        world.put("m", module.bytes);
        assert_eq!(world.fails_whole(|world| world.load("m")).errno(), ENOEXEC, "{size} bytes");
    }
}

#[test]
fn s028_fields_lie_where_each_width_has_them() {
    for machine in [elf::Machine::Amd64, elf::Machine::I386] {
        let record = Record { class: 4, required: Some("a,b"), ..Record::new("name", NETBSD_9_3) };
        let module = record.module(machine);
        let (at, rodata) = (module.record as usize, module.rodata);
        let words = if machine == elf::Machine::Amd64 { [8, 16, 24] } else { [8, 12, 16] };
        assert_eq!(module.object.len_of(rodata), at as u64 + words[2] + if machine == elf::Machine::Amd64 { 8 } else { 4 });
        let bytes = module.object.write().bytes;
        let info = Modinfo::read(&Image::parse(&bytes).expect("well-formed")).expect("a record");
        assert_eq!((info.version, info.class, info.name, info.required), (NETBSD_9_3, 4, "name", Some("a,b")));
    }
}

#[test]
fn s029_patches_of_a_release_fit() {
    assert_eq!(version(NETBSD_9_3, 903_000_100), 0);
    assert_eq!(version(NETBSD_9_3, 903_009_900), 0);
    assert_eq!(version(NETBSD_9_3, 903_010_000), EPROGMISMATCH);
}

#[test]
fn s030_another_minor_release_does_not() {
    assert_eq!(version(NETBSD_9_3, 902_000_000), EPROGMISMATCH);
}

#[test]
fn s031_development_versions_must_be_equal() {
    assert_eq!(version(NETBSD_7_99_34, 799_003_400), 0);
    assert_eq!(version(NETBSD_7_99_34, 799_003_500), EPROGMISMATCH);
    assert_eq!(version(NETBSD_7_99_34, 799_003_401), EPROGMISMATCH);
}

#[test]
fn s032_force_overrides_the_version_with_a_warning_also_of_dependencies() {
    let world = World::new(NETBSD_9_3);
    world.add(&Record { required: Some("b"), ..Record::new("a", 902_000_000) });
    world.add(&Record::new("b", 901_000_000));
    assert_eq!(world.fails_whole(|world| world.load("a")).errno(), EPROGMISMATCH);
    assert_eq!(world.console.text(), "");
    world.instance.load(&Load { name: "a", flags: LoadFlags::FORCE, ..Load::default() }).expect("forced");
    assert_eq!(world.active(), ["a", "b"]);
    let text = world.console.text();
    for version in ["902000000", "901000000"] {
        assert!(text.contains("WARNING") && text.contains(version), "{text}");
    }
}

#[test]
fn s033_longest_own_name() {
    for (len, result) in [(31, 0), (32, EINVAL), (200, EINVAL)] {
        let world = World::new(NETBSD_9_3);
        let name = "n".repeat(len);
        world.add(&Record::new(&name, NETBSD_9_3));
        assert_eq!(world.load(&name).map_or_else(|error| error.errno(), |()| 0), result, "{len} characters");
    }
}

#[test]
fn s034_class_numbers() {
    for class in [0, 7] {
        let world = World::new(NETBSD_10);
        world.add(&Record { class, ..Record::new("m", NETBSD_10) });
        assert_eq!(world.fails_whole(|world| world.load("m")).errno(), EINVAL, "class {class}");
    }
    for kernel in [NETBSD_7_99_34, NETBSD_9_3] {
        let world = World::new(kernel);
        world.add(&Record { class: 7, ..Record::new("m", kernel) });
        world.instance.load(&Load { name: "m", class: Some(Class::Any), ..Load::default() }).expect("any class is fine");
    }
}

#[test]
fn s035_a_path_may_lead_to_a_module_of_another_name() {
    let world = World::new(NETBSD_9_3);
    let path = format!("{}/x/foo.kmod", world.instance.module_base());
    world.store.file("modules/x/foo.kmod", Record::new("bar", NETBSD_9_3).bytes(elf::Machine::NATIVE));
    world.load(&path).expect("it loads");
    assert_eq!(world.active(), ["bar"]);
}
