//! Statements 98 to 108: autoload.

use crate::support::{NETBSD_9_3, World, errno, noting};
use rumpload::autoload::{AllowList, Deny};
use rumpload::errno::{EBUSY, EINVAL, ENAMETOOLONG, ENODEV, ENOENT, ENOTTY, EPERM};
use rumpload::registry::{Error, ModuleFlags, Refusal, Status};
use rumpload::{Class, Policy, Trigger};
use rumpload_test_modules::elf::Record;
use std::sync::Barrier;

fn world() -> World {
    World::new(NETBSD_9_3)
}

fn any(name: &str) -> Trigger<'_> {
    Trigger::Module { name, class: Class::Any }
}

fn status(world: &World, name: &str) -> Status {
    world.instance.stat().expect("not ended").into_iter().find(|status| status.name == name).expect("active")
}

/// A policy that denies what the server itself asks for.
struct Unprivileged;

impl Policy for Unprivileged {
    fn autoload(&self, _: &Trigger<'_>, _: &str) -> Result<(), Refusal> {
        Ok(())
    }

    fn explicit(&self, _: &str) -> Result<(), Refusal> {
        Err(Refusal::Policy)
    }
}

#[test]
fn s098_switched_off_nothing_is_touched() {
    let world = world();
    world.plain("m", None);
    world.instance.set_autoload(false);
    let calls = world.store.calls();
    let error = world.fails_whole(|world| world.instance.autoload(&any("m")));
    assert_eq!(error, Error::Refused { module: "m".into(), why: Refusal::AutoloadOff });
    assert_eq!((error.errno(), world.store.calls()), (EPERM, calls));
    world.instance.set_autoload(true);
    world.instance.autoload(&any("m")).expect("switched on");
}

#[test]
fn s099_names_from_outside_are_checked_before_any_path_is_made() {
    let world = world();
    for name in ["a/b", "a@b", "a.b", "..", "/", "a\0b", "a\nb"] {
        world.store.file(&format!("modules/{name}/{name}.kmod"), *b"x");
        let calls = world.store.calls();
        let error = world.fails_whole(|world| world.instance.autoload(&any(name)));
        assert_eq!(error.errno(), EPERM, "{name:?}");
        assert_eq!(world.store.calls(), calls, "{name:?}");
    }
    assert_eq!(errno(world.instance.autoload(&any(""))), ENOENT);
    assert_eq!(errno(world.instance.autoload(&any(&"n".repeat(32)))), ENAMETOOLONG);
}

#[test]
fn s100_policy_decides() {
    let unprivileged = World::with(NETBSD_9_3, |config| config.policy = Box::new(Unprivileged));
    unprivileged.plain("m", None);
    assert_eq!(errno(unprivileged.load("m")), EPERM);
    unprivileged.instance.autoload(&any("m")).expect("anybody may cause an autoload");
    assert_eq!(errno(unprivileged.instance.unload("m")), EPERM);

    let denied = World::with(NETBSD_9_3, |config| config.policy = Box::new(Deny));
    denied.plain("m", None);
    let calls = denied.store.calls();
    assert_eq!(errno(denied.instance.autoload(&any("m"))), EPERM);
    assert_eq!(denied.store.calls(), calls);

    let listed = World::with(NETBSD_9_3, |config| config.policy = Box::new(AllowList(vec!["good".into()])));
    listed.plain("good", None);
    listed.plain("bad", None);
    listed.instance.autoload(&any("good")).expect("listed");
    assert_eq!(errno(listed.instance.autoload(&any("bad"))), EPERM);
}

#[test]
fn s101_class_mismatch_is_enoent_and_nothing_ran() {
    let world = world();
    world.add(&Record { class: 3, ..noting("m", NETBSD_9_3, 1) });
    let error = world.fails_whole(|world| world.instance.autoload(&Trigger::Vfs("m")));
    assert_eq!(error, Error::Class { module: "m".into(), found: 3, wanted: 2 });
    assert_eq!(error.errno(), ENOENT);
    assert_eq!(world.commands(1), []);
    world.instance.autoload(&Trigger::Driver("m")).expect("its own class");
}

#[test]
fn s102_a_mount_asks_for_the_module_of_its_type() {
    let world = world();
    world.add(&Record { class: 2, ..noting("cd9660", NETBSD_9_3, 1) });
    world.instance.autoload(&Trigger::Vfs("cd9660")).expect("found by the type's name");
    assert_eq!(world.store.opened(), ["modules/cd9660/cd9660.kmod"]);
    assert_eq!(world.commands(1), [0]);
    // What is active already is no error: the mount goes on.
    world.instance.autoload(&Trigger::Vfs("cd9660")).expect("there");
    assert_eq!(world.commands(1), [0]);
}

#[test]
fn s103_the_reason_of_a_failed_autoload_reaches_the_caller() {
    let world = world();
    world.add(&Record { class: 2, required: Some("b"), ..noting("m", NETBSD_9_3, 1) });
    world.add(&Record { class: 2, ..Record::new("bad", 1) });
    let reasons: Vec<String> = ["m", "bad", "absent"]
        .map(|name| {
            let error = world.fails_whole(|world| world.instance.autoload(&Trigger::Vfs(name)));
            assert_ne!(error.errno(), ENODEV);
            error.to_string()
        })
        .into();
    for (reason, part) in reasons.iter().zip(["b/b.kmod", "kernel version 1", "absent/absent.kmod"]) {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn s104_ufs_means_ffs() {
    let world = world();
    world.add(&Record { class: 2, ..Record::new("ffs", NETBSD_9_3) });
    world.instance.autoload(&Trigger::Vfs("ufs")).expect("it loads");
    assert_eq!(world.active(), ["ffs"]);
}

#[test]
fn s105_auto_loaded_depends_on_the_time() {
    for (time, flag) in [(10, true), (1, true), (0, false)] {
        let world = world();
        world.instance.set_autotime(time).expect("valid");
        world.plain("m", None);
        world.instance.autoload(&any("m")).expect("it loads");
        assert_eq!(status(&world, "m").flags.contains(ModuleFlags::AUTO_LOADED), flag, "{time} seconds");
    }
}

#[test]
fn s106_idle_modules_go_after_their_time_and_are_asked_once() {
    let world = world();
    for (number, name, answer) in [(1, "willing", 0), (2, "silent", ENOTTY), (3, "busy", EBUSY), (4, "used", 0)] {
        world.noting(name, number);
        world.when(number, move |_, event| if event.command == 3 { answer } else { 0 });
        world.instance.autoload(&any(name)).expect("it loads");
    }
    world.noting("by_hand", 5);
    world.load("by_hand").expect("it loads");
    world.instance.hold("used").expect("active");
    world.clock.advance(9);
    assert_eq!(world.instance.auto_unload().expect("not ended"), [""; 0]);
    world.clock.advance(1);
    let mut gone = world.instance.auto_unload().expect("not ended");
    gone.sort();
    assert_eq!(gone, ["silent", "willing"]);
    assert_eq!(world.commands(3), [0, 3]);
    world.clock.advance(1000);
    world.instance.auto_unload().expect("not ended");
    assert_eq!(world.commands(3), [0, 3], "asked only once");
    assert_eq!(world.commands(5), [0], "what was loaded by hand is not asked");
    assert_eq!(world.commands(4), [0], "what is in use is not asked");
    let mut left = world.active();
    left.sort();
    assert_eq!(left, ["busy", "by_hand", "used"]);
}

#[test]
fn s107_nothing_goes_unless_the_server_asks() {
    let world = world();
    world.plain("m", None);
    world.instance.autoload(&any("m")).expect("it loads");
    world.clock.advance(1_000_000);
    world.instance.enter(|| {}).expect("not ended");
    world.plain("other", None);
    world.load("other").expect("it loads");
    assert_eq!(world.active(), ["other", "m"]);
}

#[test]
fn s108_negative_time_is_einval() {
    let world = world();
    assert_eq!(errno(world.instance.set_autotime(-1)), EINVAL);
    assert_eq!(errno(world.instance.set_autotime(i32::MIN)), EINVAL);
}

#[test]
fn concurrent_requests_for_one_module_become_one_load() {
    let world = world();
    world.noting("m", 1);
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                barrier.wait();
                world.instance.autoload(&any("m")).expect("there, whoever brought it");
            });
        }
    });
    assert_eq!(world.commands(1), [0]);
    assert_eq!(world.store.opened().len(), 1);
}
