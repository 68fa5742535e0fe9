//! Statements 36 to 53: what modules require.

use crate::support::{NETBSD_7_99_34, NETBSD_9_3, NETBSD_10, World, errno, noting};
use rumpload::errno::{EBUSY, EDEADLK, EINVAL, EMLINK, ENOENT, EPERM};
use rumpload::properties::{Properties, Value};
use rumpload::registry::{Error, Refusal};
use rumpload::{Load, Trigger};
use rumpload_test_modules::elf::Record;

const NOAUTOLOAD: &str = "<plist version=\"1.0\"><dict><key>noautoload</key><true/></dict></plist>";

fn world() -> World {
    World::new(NETBSD_9_3)
}

fn auto_loaded(world: &World, name: &str) -> bool {
    let all = world.instance.stat().expect("not ended");
    let status = all.iter().find(|status| status.name == name).expect("active");
    status.flags.contains(rumpload::registry::ModuleFlags::AUTO_LOADED)
}

/// Modules `1` to `count`, each requiring the one before.
fn chain(version: u32, count: usize) -> (World, String) {
    let world = World::new(version);
    for number in 1..=count {
        let before = (number - 1).to_string();
        world.plain(&format!("m{number}"), (number > 1).then_some(format!("m{before}").as_str()));
    }
    (world, format!("m{count}"))
}

#[test]
fn s036_no_requirements() {
    let world = world();
    world.plain("a", None);
    world.plain("b", Some(""));
    world.load("a").expect("null");
    world.load("b").expect("empty");
    assert_eq!(world.active(), ["b", "a"]);
}

#[test]
fn s037_commas() {
    for (list, needs) in [(",a", true), ("a,", true), ("a,,b", true), (",", false), (",,a", false)] {
        let world = world();
        world.plain("a", None);
        world.plain("m", Some(list));
        world.load("m").unwrap_or_else(|error| panic!("{list}: {error}"));
        let expected: &[&str] = if needs { &["m", "a"] } else { &["m"] };
        assert_eq!(world.active(), expected, "{list}");
    }
}

#[test]
fn s038_blanks_belong_to_names() {
    let world = world();
    world.plain("a", None);
    world.plain("b", None);
    world.plain("m", Some("a, b"));
    let error = world.fails_whole(|world| world.load("m"));
    assert_eq!(error.errno(), ENOENT);
    assert!(matches!(&error, Error::Requirement { required, .. } if required == " b"), "{error}");
}

#[test]
fn s039_longest_required_name() {
    let world = world();
    let (fits, long) = ("n".repeat(30), "n".repeat(31));
    world.plain(&fits, None);
    world.plain(&long, None);
    world.plain("good", Some(&fits));
    world.plain("bad", Some(&long));
    world.load("good").expect("30 characters");
    assert_eq!(world.fails_whole(|world| world.load("bad")).errno(), EINVAL);
}

#[test]
fn s040_number_of_requirements() {
    for (version, count, fits) in [
        (NETBSD_7_99_34, 9, true),
        (NETBSD_7_99_34, 10, false),
        (NETBSD_9_3, 9, true),
        (NETBSD_9_3, 10, false),
        (NETBSD_10, 10, true),
        (NETBSD_10, 40, true),
    ] {
        let world = World::new(version);
        let names: Vec<String> = (0..count).map(|number| format!("r{number}")).collect();
        names.iter().for_each(|name| world.plain(name, None));
        world.plain("m", Some(&names.join(",")));
        if fits {
            world.load("m").expect("not too many");
            assert_eq!(world.active().len(), count + 1);
        } else {
            assert_eq!(world.fails_whole(|world| world.load("m")).errno(), EINVAL);
        }
    }
}

#[test]
fn s041_requiring_oneself_is_edeadlk() {
    let world = world();
    world.plain("a", Some("a"));
    let error = world.fails_whole(|world| world.load("a"));
    assert_eq!(error.errno(), EDEADLK);
    assert_eq!(error, Error::Cycle { path: vec!["a".into(), "a".into()] });
}

#[test]
fn s041_cycle_is_edeadlk() {
    let world = world();
    world.plain("x", None);
    world.plain("a", Some("x,b"));
    world.plain("b", Some("c"));
    world.plain("c", Some("a"));
    let error = world.fails_whole(|world| world.load("a"));
    assert_eq!(error.errno(), EDEADLK);
    assert_eq!(error, Error::Cycle { path: ["a", "b", "c", "a"].map(String::from).into() });
    // Entered from its side, the cycle is the part that closes.
    world.plain("entry", Some("b"));
    let error = world.fails_whole(|world| world.load("entry"));
    assert_eq!(error, Error::Cycle { path: ["b", "c", "a", "b"].map(String::from).into() });
}

#[test]
fn s042_depth_of_chains() {
    for (version, depth, fits) in [
        (NETBSD_7_99_34, 6, true),
        (NETBSD_7_99_34, 7, false),
        (NETBSD_9_3, 6, true),
        (NETBSD_9_3, 7, false),
        (NETBSD_10, 7, true),
        (NETBSD_10, 300, true),
    ] {
        let (world, top) = chain(version, depth);
        if fits {
            world.load(&top).expect("not too deep");
            assert_eq!(world.active().len(), depth);
        } else {
            assert_eq!(world.fails_whole(|world| world.load(&top)).errno(), EMLINK);
        }
    }
}

#[test]
fn s043_missing_requirement_names_both() {
    let world = world();
    world.plain("a", Some("b"));
    let error = world.fails_whole(|world| world.load("a"));
    assert_eq!(error.errno(), ENOENT);
    let text = error.to_string();
    assert!(text.contains("module a requires b") && text.contains("modules/b/b.kmod"), "{text}");
}

#[test]
fn s044_requirements_of_a_failed_load_go_again() {
    let world = world();
    world.noting("b", 1);
    world.plain("a", Some("b,c"));
    assert_eq!(world.fails_whole(|world| world.load("a")).errno(), ENOENT);
    assert_eq!(world.commands(1), [0, 1]);
}

#[test]
fn s044_unless_the_instance_keeps_them() {
    let world = World::with(NETBSD_9_3, |config| config.keep_dependencies = true);
    world.plain("b", None);
    world.plain("a", Some("b,c"));
    assert_eq!(errno(world.load("a")), ENOENT);
    assert_eq!(world.active(), ["b"]);
    assert_eq!(world.references("b"), Some(0));
}

#[test]
fn s044_or_they_refuse_to_finish() {
    let world = world();
    world.noting("b", 1);
    world.when(1, |_, event| if event.command == 1 { 5 } else { 0 });
    world.plain("a", Some("b,c"));
    let error = world.load("a").expect_err("c is missing");
    assert_eq!(error.errno(), ENOENT);
    assert!(matches!(&error, Error::NotRolledBack { modules, .. } if modules == &["b"]), "{error}");
    assert_eq!(world.active(), ["b"]);
}

#[test]
fn s045_references_keep_requirements() {
    let world = world();
    world.plain("b", None);
    world.plain("a", Some("b"));
    world.load("a").expect("it loads");
    assert_eq!((world.references("a"), world.references("b")), (Some(0), Some(1)));
    assert_eq!(errno(world.instance.unload("b")), EBUSY);
    world.instance.unload("a").expect("nobody uses it");
    assert_eq!(world.references("b"), Some(0));
    world.instance.unload("b").expect("nobody uses it any more");
    assert_eq!(world.active().len(), 0);
}

#[test]
fn s046_listed_twice_counts_twice() {
    let world = world();
    world.plain("b", None);
    world.plain("a", Some("b,b"));
    world.load("a").expect("it loads");
    assert_eq!(world.references("b"), Some(2));
    world.instance.unload("a").expect("nobody uses it");
    assert_eq!(world.references("b"), Some(0));
}

#[test]
fn s047_requirement_of_another_name_is_enoent() {
    let world = world();
    world.put("b", Record::new("other", NETBSD_9_3).bytes(rumpload_test_modules::elf::Machine::NATIVE));
    world.plain("a", Some("b"));
    let error = world.fails_whole(|world| world.load("a"));
    assert_eq!(error.errno(), ENOENT);
    assert!(error.to_string().contains("other"), "{error}");
}

#[test]
fn s048_requirements_come_from_the_module_path() {
    let world = world();
    world.store.directory("elsewhere");
    world.instance.etfs_register("/e", "elsewhere", rumpload::resource::EtfsKind::Subdirectories, Default::default()).unwrap();
    let bytes = |record: Record<'_>| record.bytes(rumpload_test_modules::elf::Machine::NATIVE);
    world.store.file("elsewhere/a.kmod", bytes(Record { required: Some("b"), ..Record::new("a", NETBSD_9_3) }));
    world.store.file("elsewhere/b.kmod", bytes(Record::new("b", NETBSD_9_3)));
    assert_eq!(world.fails_whole(|world| world.load("/e/a.kmod")).errno(), ENOENT);
    world.plain("b", None);
    world.load("/e/a.kmod").expect("found below the module path");
}

#[test]
fn s049_requirements_came_by_themselves() {
    let world = world();
    world.plain("b", None);
    world.plain("a", Some("b"));
    world.load("a").expect("it loads");
    assert!(!auto_loaded(&world, "a") && auto_loaded(&world, "b"));
}

#[test]
fn s050_requirements_load_with_autoload_off() {
    let world = world();
    world.instance.set_autoload(false);
    world.plain("b", None);
    world.plain("a", Some("b"));
    world.load("a").expect("it loads");
    assert_eq!(world.active(), ["a", "b"]);
}

#[test]
fn s051_noautoload_keeps_a_requirement_out() {
    let world = world();
    world.plain("b", None);
    world.put_list("b", NOAUTOLOAD);
    world.plain("a", Some("b"));
    let error = world.fails_whole(|world| world.load("a"));
    assert_eq!(error.errno(), EPERM);
    let Error::Requirement { cause, .. } = error else { panic!("{error}") };
    assert!(matches!(*cause, Error::Refused { why: Refusal::NoAutoload, .. }));
    world.load("b").expect("by hand it loads");
    world.load("a").expect("now it is there");
}

#[test]
fn s052_properties_are_not_for_requirements() {
    let world = world();
    world.add(&noting("b", NETBSD_9_3, 1));
    world.add(&Record { required: Some("b"), ..noting("a", NETBSD_9_3, 2) });
    let mut properties = Properties::new();
    properties.set("key", Value::Integer(1));
    world.instance.load(&Load { name: "a", properties: Some(properties.clone()), ..Load::default() }).expect("it loads");
    assert_eq!(world.properties(), [None, Some(properties)]);
    let arguments: Vec<bool> = world.events().iter().map(|event| event.argument != 0).collect();
    assert_eq!(arguments, [false, true]);
}

#[test]
fn s053_requirements_may_be_of_any_class() {
    let world = world();
    world.add(&Record { class: 3, ..Record::new("b", NETBSD_9_3) });
    world.add(&Record { class: 2, required: Some("b"), ..Record::new("a", NETBSD_9_3) });
    world.instance.autoload(&Trigger::Vfs("a")).expect("the class is asked of the first only");
    assert_eq!(world.active(), ["a", "b"]);
}
