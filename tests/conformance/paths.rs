//! Statements 88 to 97: where modules are looked for, and property lists.

use crate::support::{NETBSD_7_99_34, NETBSD_9_3, PORT, World, errno, noting};
use rumpload::errno::{EFBIG, EINVAL, ENAMETOOLONG, ENOENT, EPERM};
use rumpload::properties::{Properties, Value};
use rumpload::registry::{Builtin, Refusal};
use rumpload::resource::{EtfsKind, Window};
use rumpload::{Class, Error, Load, LoadFlags, Trigger};
use rumpload_test_modules::elf::{self, Record};

fn world() -> World {
    World::new(NETBSD_9_3)
}

fn bytes(name: &str) -> Vec<u8> {
    Record::new(name, NETBSD_9_3).bytes(elf::Machine::NATIVE)
}

/// A world where directory `d` of the host is `/d`.
fn with_directory() -> World {
    let world = world();
    world.store.directory("d");
    world.instance.etfs_register("/d", "d", EtfsKind::Subdirectories, Window::default()).expect("mapped");
    world
}

fn list(body: &str) -> String {
    format!("<?xml version=\"1.0\"?>\n<plist version=\"1.0\"><dict>{body}</dict></plist>\n")
}

/// A property list of exactly `size` bytes.
fn list_of(size: usize) -> String {
    let empty = list("<key>k</key><string></string>").len();
    let text = list(&format!("<key>k</key><string>{}</string>", "x".repeat(size - empty)));
    assert_eq!(text.len(), size);
    text
}

#[test]
fn s088_names_and_paths() {
    let world = world();
    world.put("foo", bytes("foo"));
    world.put("foo.kmod", bytes("bar"));
    world.load("foo").expect("by name");
    assert_eq!(world.store.opened(), ["modules/foo/foo.kmod"]);
    world.load("foo.kmod").expect("a name too");
    assert_eq!(world.store.opened()[1..], ["modules/foo.kmod/foo.kmod.kmod"]);
    // There is no current directory: a path from it starts at the root.
    world.store.file("here.kmod", bytes("here"));
    world.instance.etfs_register("/here.kmod", "here.kmod", EtfsKind::Regular, Window::default()).expect("mapped");
    world.load("./here.kmod").expect("by path");
    assert_eq!(world.active(), ["here", "bar", "foo"]);
}

#[test]
fn s089_names_that_lead_nowhere() {
    let world = world();
    for (name, expected) in [
        (String::new(), ENOENT),
        ("non-existent.o".into(), ENOENT),
        ("a".repeat(1023), ENAMETOOLONG),
        ("a".repeat(1024), ENAMETOOLONG),
        ("a".repeat(100_000), ENAMETOOLONG),
    ] {
        let error = world.fails_whole(|world| world.load(&name));
        assert_eq!(error.errno(), expected, "{} characters: {error}", name.len());
    }
    assert_eq!(errno(world.load("a\0b")), EINVAL);
}

#[test]
fn s090_paths_ignore_the_module_path_and_autoload_keeps_to_it() {
    let world = with_directory();
    world.store.file("d/m.kmod", bytes("m"));
    world.load("/d/m.kmod").expect("by path");
    world.instance.unload("m").expect("unused");
    for name in ["/d/m.kmod", "../d/m", "m"] {
        let refused = errno(world.instance.autoload(&Trigger::Module { name, class: Class::Any }));
        assert!(refused == EPERM || refused == ENOENT, "{name}");
    }
    assert_eq!(world.active().len(), 0);
}

#[test]
fn s091_module_path() {
    for (version, name) in [(NETBSD_9_3, "9.3"), (899_002_500, "8.99.25"), (NETBSD_7_99_34, "7.99.34")] {
        assert_eq!(World::new(version).instance.module_base(), format!("/stand/{PORT}/{name}/modules"));
    }
}

#[test]
fn s092_without_a_mapping_no_file_is_found_and_builtins_start() {
    let world = world();
    world.instance.etfs_remove(world.instance.module_base()).expect("mapped so far");
    world.put("m", bytes("m"));
    assert_eq!(errno(world.load("m")), ENOENT);
    assert_eq!(errno(world.load("/d/m.kmod")), ENOENT);
    let builtin = Builtin { name: "b".into(), class: Class::Misc, required: Vec::new(), control: |_| 0 };
    world.instance.add_builtins(&[builtin], false).expect("registered");
    world.load("b").expect("built in");
}

#[test]
fn s093_path_of_the_property_list() {
    let world = with_directory();
    for (object, properties) in [("x.kmod", "x.plist"), ("x", "x.plist"), ("module.mod", "module.mod.plist"), (".kmod", ".plist")]
    {
        world.store.file(&format!("d/{object}"), noting("m", NETBSD_9_3, 1).bytes(elf::Machine::NATIVE));
        world.store.file(&format!("d/{properties}"), list("<key>k</key><true/>"));
        world.load(&format!("/d/{object}")).unwrap_or_else(|error| panic!("{object}: {error}"));
        let got = world.properties().pop().flatten();
        assert_eq!(got.and_then(|properties| properties.get("k").cloned()), Some(Value::Bool(true)), "{object}");
        world.instance.unload("m").expect("unused");
        world.store.remove(&format!("d/{properties}"));
    }
}

#[test]
fn s094_sizes_of_property_lists() {
    let world = world();
    world.put("m", bytes("m"));
    world.load("m").expect("without a list");
    world.instance.unload("m").expect("unused");
    world.put_list("m", &list_of(8191));
    assert_eq!(world.fails_whole(|world| world.load("m")).errno(), EFBIG);
    world.put_list("m", &list_of(8190));
    world.load("m").expect("the largest list");
    let got = world.properties().pop().flatten().expect("properties");
    assert!(matches!(got.get("k"), Some(Value::String(text)) if text.len() > 8000));
}

#[test]
fn s095_unparseable_list_is_einval() {
    let world = world();
    world.put("m", bytes("m"));
    for text in ["", "<plist", "not xml", "<plist version=\"1.0\"><array/></plist>", "<plist><dict><key>k</key></dict></plist>"] {
        world.put_list("m", text);
        let error = world.fails_whole(|world| world.load("m"));
        assert_eq!(error.errno(), EINVAL, "{text}");
        assert!(error.to_string().contains("m.plist"), "{error}");
    }
    world.store.file("modules/m/m.plist", [0xff, 0xfe, 0]);
    assert_eq!(world.fails_whole(|world| world.load("m")).errno(), EINVAL);
}

#[test]
fn s096_noautoload() {
    let world = world();
    world.put("m", bytes("m"));
    world.put_list("m", &list("<key>noautoload</key><true/>"));
    let trigger = Trigger::Module { name: "m", class: Class::Any };
    let error = world.fails_whole(|world| world.instance.autoload(&trigger));
    assert_eq!(error, Error::Refused { module: "m".into(), why: Refusal::NoAutoload });
    assert_eq!(error.errno(), EPERM);
    world.load("m").expect("by hand");
    world.instance.unload("m").expect("unused");
    world.put_list("m", &list("<key>noautoload</key><false/>"));
    world.instance.autoload(&trigger).expect("false is as good as absent");
}

#[test]
fn s097_properties_are_merged() {
    let integers = |pairs: &[(&str, i128)]| {
        let mut properties = Properties::new();
        pairs.iter().for_each(|&(key, value)| properties.set(key, Value::Integer(value)));
        properties
    };
    let world = world();
    world.add(&noting("m", NETBSD_9_3, 1));
    let load = |properties: Option<Properties>, flags| {
        world.instance.load(&Load { name: "m", flags, properties, class: None }).expect("it loads");
        world.instance.unload("m").expect("unused");
        let argument = world.events().iter().rev().find(|event| event.command == 0).expect("noted").argument;
        let got = world.properties().pop().expect("asked for");
        assert_eq!(argument != 0, got.is_some());
        got
    };
    assert_eq!(load(None, LoadFlags::empty()), None);
    let user = integers(&[("b", 3)]);
    assert_eq!(load(Some(user.clone()), LoadFlags::empty()), Some(user.clone()));
    world.put_list("m", &list("<key>a</key><integer>1</integer><key>b</key><integer>2</integer>"));
    assert_eq!(load(Some(user.clone()), LoadFlags::empty()), Some(integers(&[("a", 1), ("b", 3)])));
    assert_eq!(load(Some(user.clone()), LoadFlags::NO_PROP), Some(user));
    assert_eq!(load(None, LoadFlags::empty()), Some(integers(&[("a", 1), ("b", 2)])));
    assert_eq!(load(None, LoadFlags::NO_PROP), None);
}
