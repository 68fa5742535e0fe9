//! Statements 109 to 128: the life of modules.

use crate::support::{FINI, INIT, NETBSD_7_99_34, NETBSD_9_3, NETBSD_10, World, errno, noting};
use rumpload::address::RunAddr;
use rumpload::autoload::Deny;
use rumpload::errno::{EBUSY, EEXIST, EINVAL, ENAMETOOLONG, ENOENT, ENOEXEC, ENOTTY, EPERM};
use rumpload::properties::Properties;
use rumpload::registry::{Builtin, ModuleFlags, Refusal, Source, Status, encode_stat_7, encode_stat_10};
use rumpload::{Class, Error, Load, LoadFlags, Policy, Trigger};
use rumpload_test_modules::elf::{self, info, sym};
use std::sync::atomic::{AtomicI32, Ordering};

fn world() -> World {
    World::new(NETBSD_9_3)
}

fn builtin(name: &str, class: Class, required: &[&str]) -> Builtin {
    let required = required.iter().map(|&name| name.into()).collect();
    Builtin { name: name.into(), class, required, control: |_| 0 }
}

/// Puts a module under path `/d/again.kmod` and under its own name; `exporting` says whether it defines a global.
fn twice(version: u32, exporting: bool) -> World {
    let world = World::new(version);
    let mut module = noting("m", version, 1).module(elf::Machine::NATIVE);
    if exporting {
        module.object.symbol("service", info(sym::GLOBAL, sym::FUNC), module.text.0, 0, 4);
    }
    let bytes = module.object.write().bytes;
    world.put("m", bytes.clone());
    world.store.file("modules/d/again.kmod", bytes);
    world.load("m").expect("it loads");
    world
}

#[test]
fn s109_init_that_refuses() {
    let world = world();
    world.noting("m", 1);
    for number in [5, -1, i32::MAX, i32::MIN] {
        world.when(1, move |_, event| if event.command == INIT { number } else { 0 });
        let error = world.fails_whole(|world| world.load("m"));
        assert_eq!(error, Error::Init { module: "m".into(), errno: number });
        assert_eq!(error.errno(), number);
    }
    assert!(world.commands(1).iter().all(|&command| command == INIT));
    world.when(1, |_, _| 0);
    world.load("m").expect("nothing is in its way");
}

#[test]
fn s110_fini_that_refuses() {
    let world = world();
    world.noting("m", 1);
    world.when(1, |_, event| if event.command == FINI { 5 } else { 0 });
    world.load("m").expect("it loads");
    let generation = world.instance.generation();
    assert_eq!(errno(world.instance.unload("m")), 5);
    assert_eq!((world.active(), world.instance.generation()), (vec!["m".to_owned()], generation));
    world.when(1, |_, _| 0);
    world.instance.unload("m").expect("willing now");
}

#[test]
fn s111_newest_first() {
    let world = world();
    for name in ["a", "b", "c"] {
        world.plain(name, None);
        world.load(name).expect("it loads");
    }
    assert_eq!(world.active(), ["c", "b", "a"]);
}

#[test]
fn s112_init_may_load_another_module() {
    let world = world();
    world.noting("outer", 1);
    world.noting("inner", 2);
    world.when(1, |probe, event| {
        if event.command != INIT {
            return 0;
        }
        let trigger = Trigger::Module { name: "inner", class: Class::Any };
        probe.instance().autoload(&trigger).map_or_else(|error| error.errno(), |()| 0)
    });
    world.load("outer").expect("it loads");
    assert_eq!(world.active(), ["outer", "inner"]);
    assert_eq!(world.references("inner"), Some(0), "unrelated to the requirements");
    world.instance.unload("inner").expect("unused");
}

#[test]
fn s112_also_the_module_itself_which_is_a_cycle() {
    let world = world();
    world.noting("m", 1);
    world.when(1, |probe, event| {
        if event.command == INIT {
            probe
                .instance()
                .autoload(&Trigger::Module { name: "m", class: Class::Any })
                .map_or_else(|error| error.errno(), |()| 0)
        } else {
            0
        }
    });
    let error = world.fails_whole(|world| world.load("m"));
    assert_eq!(error.errno(), rumpload::errno::EDEADLK);
}

#[test]
fn s112_what_init_brought_in_stays_when_init_fails() {
    let world = world();
    world.noting("outer", 1);
    world.plain("inner", None);
    world.when(1, |probe, _| {
        probe.instance().autoload(&Trigger::Module { name: "inner", class: Class::Any }).expect("it loads");
        5
    });
    assert_eq!(errno(world.load("outer")), 5);
    assert_eq!(world.active(), ["inner"], "it was a request of its own");
}

#[test]
fn s113_init_finds_its_sections() {
    static FOUND: AtomicI32 = AtomicI32::new(0);
    let world = world();
    world.noting("m", 1);
    world.when(1, |probe, _| {
        let instance = probe.instance();
        let (known, unknown) = (instance.find_section("link_set_modules"), instance.find_section(".nowhere"));
        FOUND.store(
            i32::from(known.is_some_and(|(_, size)| size == size_of::<usize>() as u64) && unknown.is_none()),
            Ordering::SeqCst,
        );
        0
    });
    world.load("m").expect("it loads");
    assert_eq!(FOUND.load(Ordering::SeqCst), 1);
    assert_eq!(world.instance.find_section(".text"), None, "nothing runs now");
}

#[test]
fn s114_loading_what_is_active_is_eexist() {
    struct Unprivileged;
    impl Policy for Unprivileged {
        fn autoload(&self, _: &Trigger<'_>, _: &str) -> Result<(), Refusal> {
            Ok(())
        }
        fn explicit(&self, _: &str) -> Result<(), Refusal> {
            Err(Refusal::Policy)
        }
    }
    for (version, unprivileged) in [(NETBSD_7_99_34, EPERM), (NETBSD_9_3, EEXIST), (NETBSD_10, EEXIST)] {
        let world = World::new(version);
        world.plain("m", None);
        world.load("m").expect("it loads");
        assert_eq!(world.fails_whole(|world| world.load("m")).errno(), EEXIST);

        let world = World::with(version, |config| config.policy = Box::new(Unprivileged));
        world.plain("m", None);
        world.instance.autoload(&Trigger::Module { name: "m", class: Class::Any }).expect("it loads");
        assert_eq!(errno(world.load("m")), unprivileged);
    }
}

#[test]
fn s115_loading_again_through_a_path() {
    for (version, exporting, expected) in
        [(NETBSD_7_99_34, true, ENOEXEC), (NETBSD_9_3, true, EEXIST), (NETBSD_9_3, false, EEXIST), (NETBSD_10, false, EEXIST)]
    {
        let world = twice(version, exporting);
        let path = format!("{}/d/again.kmod", world.instance.module_base());
        assert_eq!(world.fails_whole(|world| world.load(&path)).errno(), expected);
        assert_eq!(world.commands(1), [INIT], "it was not started again");
    }
    // Where neither the name nor a symbol stops it, the second one starts, and is taken back.
    let world = twice(NETBSD_7_99_34, false);
    let path = format!("{}/d/again.kmod", world.instance.module_base());
    assert_eq!(world.fails_whole(|world| world.load(&path)).errno(), EEXIST);
}

#[test]
fn s116_unloading_what_is_not_there() {
    let world = world();
    world.plain("ffs", None);
    world.load("ffs").expect("it loads");
    assert_eq!(errno(world.instance.unload("")), ENOENT);
    assert_eq!(errno(world.instance.unload("ffs.kmod")), ENOENT);
    assert_eq!(errno(world.instance.unload(&"n".repeat(32))), ENAMETOOLONG);
    assert_eq!(errno(world.instance.unload(&"n".repeat(31))), ENOENT);
}

#[test]
fn s117_a_file_system_in_use_says_ebusy() {
    // What `vfs_detach` answers while something is mounted; the mount tests do it with a real one.
    let world = world();
    world.noting("m", 1);
    world.when(1, |_, event| if event.command == FINI { EBUSY } else { 0 });
    world.load("m").expect("it loads");
    assert_eq!(errno(world.instance.unload("m")), EBUSY);
    assert_eq!(world.active(), ["m"]);
}

#[test]
fn s118_builtins_that_a_user_unloaded_must_be_forced() {
    let world = world();
    world.instance.add_builtins(&[builtin("b", Class::Misc, &[])], true).expect("started");
    world.instance.unload("b").expect("unused");
    assert_eq!(world.load("b"), Err(Error::Refused { module: "b".into(), why: Refusal::MustForce }));
    assert_eq!(errno(world.load("b")), EPERM);
    assert_eq!(errno(world.instance.autoload(&Trigger::Module { name: "b", class: Class::Any })), EPERM);
    world.instance.init_class(Class::Any).expect("not ended");
    assert_eq!(world.active().len(), 0);
    world.instance.load(&Load { name: "b", flags: LoadFlags::FORCE, ..Load::default() }).expect("forced");
    assert_eq!(world.active(), ["b"]);
}

#[test]
fn s119_builtin_security_models_stay() {
    let world = world();
    world.instance.add_builtins(&[builtin("secmodel", Class::Secmodel, &[])], true).expect("started");
    assert_eq!(errno(world.instance.unload("secmodel")), EPERM);
    assert_eq!(world.active(), ["secmodel"]);
}

#[test]
fn s120_builtins_are_registered_all_or_none() {
    let world = world();
    world.instance.add_builtins(&[builtin("a", Class::Misc, &[])], false).expect("registered");
    world.plain("active", None);
    world.load("active").expect("it loads");
    for clash in ["a", "active"] {
        let list = [builtin("new", Class::Misc, &[]), builtin(clash, Class::Misc, &[])];
        assert_eq!(errno(world.instance.add_builtins(&list, false)), EEXIST, "{clash}");
    }
    let twice = [builtin("new", Class::Misc, &[]), builtin("new", Class::Misc, &[])];
    assert_eq!(errno(world.instance.add_builtins(&twice, false)), EEXIST);
    let names: Vec<String> = world.instance.stat().expect("not ended").into_iter().map(|status| status.name).collect();
    assert_eq!(names, ["active", "a"]);
}

#[test]
fn s121_builtins_that_fail_can_be_tried_again() {
    static ANSWER: AtomicI32 = AtomicI32::new(5);
    let world = world();
    let moody = Builtin { control: |_| ANSWER.load(Ordering::SeqCst), ..builtin("moody", Class::Vfs, &[]) };
    let list = [builtin("other", Class::Misc, &[]), moody, builtin("needs", Class::Vfs, &["moody"])];
    world.instance.add_builtins(&list, false).expect("registered");
    world.instance.init_class(Class::Vfs).expect("not ended");
    assert_eq!(world.active().len(), 0);
    assert_eq!(world.instance.stat().expect("not ended").len(), 3, "all stay listed");
    ANSWER.store(0, Ordering::SeqCst);
    world.instance.init_class(Class::Vfs).expect("not ended");
    let mut active = world.active();
    active.sort();
    assert_eq!(active, ["moody", "needs"]);
    assert_eq!(world.references("moody"), Some(1));
}

#[test]
fn s122_generation() {
    let world = world();
    world.plain("b", None);
    world.plain("a", Some("b"));
    world.add(&elf::Record { control: elf::Control::Answers(5, 0, 0), ..elf::Record::new("bad", NETBSD_9_3) });
    let start = world.instance.generation();
    assert_eq!(errno(world.load("bad")), 5);
    assert_eq!(errno(world.load("absent")), ENOENT);
    assert_eq!(errno(world.instance.unload("absent")), ENOENT);
    assert_eq!(world.instance.generation(), start);
    world.load("a").expect("it loads");
    assert_eq!(world.instance.generation(), start + 2);
    world.instance.unload("a").expect("unused");
    assert_eq!(world.instance.generation(), start + 3);
}

fn sample() -> Vec<Status> {
    let active = Status {
        name: "ffs".into(),
        required: "wapbl".into(),
        address: RunAddr::new(0x1122_3344_5566_7788),
        size: 0x1234,
        source: Source::File,
        class: 2,
        references: Some(7),
        flags: ModuleFlags::AUTO_LOADED,
    };
    let idle = Status {
        name: "b".into(),
        required: String::new(),
        address: RunAddr::new(0),
        size: 0,
        source: Source::Kernel,
        class: 1,
        references: None,
        flags: ModuleFlags::empty(),
    };
    vec![active, idle]
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[test]
fn s123_the_whole_report_is_a_multiple_of_the_record() {
    assert_eq!(encode_stat_7(&[]).len(), 0);
    assert_eq!(encode_stat_7(&sample()).len(), 2 * 392);
}

#[test]
fn s124_records_of_netbsd_7() {
    let report = encode_stat_7(&sample());
    let (record, idle) = report.split_at(392);
    assert_eq!((&record[..4], &record[32..38]), (&b"ffs\0"[..], &b"wapbl\0"[..]));
    assert_eq!(record[352..360], 0x1122_3344_5566_7788_u64.to_le_bytes());
    let numbers = [360, 364, 368, 372, 376].map(|at| u32_at(record, at));
    assert_eq!(numbers, [2, 2, 0x1234, 7, 2]);
    assert!(record[380..].iter().all(|&byte| byte == 0));
    assert_eq!((u32_at(idle, 372), u32_at(idle, 376)), (u32::MAX, 0));
    // Long texts are cut and still end.
    let long = Status { name: "n".repeat(40), required: "r".repeat(400), ..sample().remove(0) };
    let record = encode_stat_7(&[long]);
    assert_eq!((record[30], record[31], record[350], record[351]), (b'n', 0, b'r', 0));
}

#[test]
fn s125_report_of_netbsd_10() {
    let report = encode_stat_10(&sample());
    assert_eq!(u32_at(&report, 0), 2);
    let (record, idle) = (&report[4..68], &report[68..132]);
    assert_eq!(record[..4], *b"ffs\0");
    assert_eq!([40, 44, 48, 52, 56].map(|at| u32_at(record, at)), [2, 2, 0x1234, 7, 2]);
    let strings = &report[132..];
    assert_eq!(strings, b"\0wapbl\0");
    assert_eq!((u32_at(record, 60), u32_at(idle, 60)), (1, 0));
}

#[test]
fn s126_properties_that_are_no_dictionary() {
    for text in ["", "text", "<plist version=\"1.0\"><string>s</string></plist>"] {
        assert!(Properties::parse(text.as_bytes()).is_err(), "{text}");
    }
    let error =
        Error::Properties { module: "m".into(), path: "p".into(), error: Properties::parse(b"text").expect_err("no dictionary") };
    assert_eq!(error.errno(), EINVAL);
}

#[test]
fn s127_exists() {
    let world = world();
    world.instance.set_autoload(false);
    for kind in [0, 1] {
        world.instance.exists(kind).expect("the switch does not matter");
    }
    for kind in [2, -1, 99] {
        assert_eq!(errno(world.instance.exists(kind)), EINVAL);
    }
    let denied = World::with(NETBSD_9_3, |config| config.policy = Box::new(Deny));
    denied.instance.exists(0).expect("allowed");
    assert_eq!(errno(denied.instance.exists(1)), EPERM);
}

#[test]
fn stopping_and_starting_leaves_no_memory_behind() {
    let world = world();
    world.plain("b", None);
    world.plain("a", Some("b"));
    let regions = world.memory.live();
    for _ in 0..100 {
        world.load("a").expect("it loads");
        assert_eq!(world.memory.live(), regions + 2);
        world.instance.unload("a").expect("unused");
        world.instance.unload("b").expect("unused");
    }
    assert_eq!(world.memory.live(), regions);
    let memory = world.memory.clone();
    world.load("a").expect("it loads");
    drop(world);
    assert_eq!(memory.live(), 0, "an instance takes everything with it");
}

#[test]
fn unknown_commands_are_enotty() {
    let world = world();
    world.plain("idle", None);
    world.instance.autoload(&Trigger::Module { name: "idle", class: Class::Any }).expect("it loads");
    world.clock.advance(10);
    // The routine of `plain` knows no AUTOUNLOAD and says so, which counts as willing.
    assert_eq!(elf::Record::new("m", NETBSD_9_3).required, None);
    assert!(matches!(elf::Record::new("m", NETBSD_9_3).control, elf::Control::Answers(0, 0, ENOTTY)));
    assert_eq!(world.instance.auto_unload().expect("not ended"), ["idle"]);
}
