//! Several instances in one process, of different prefixes: entering, re-entering, and leaving for good.
#![cfg(target_arch = "x86_64")]

#[path = "support/kernel.rs"]
mod kernel;
mod support;

use kernel::Server;
use rumpload::errno::EIO;
use rumpload::rename::{ExemptRules, Namespace};
use rumpload::{Class, Error, Load, Trigger};
use rumpload_base::abi::Abi;
use rumpload_hosted::catch_faults;
use rumpload_test_modules::Target;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use support::{INIT, NETBSD_7_99_34, NETBSD_9_3, World};

/// A kernel whose symbols live under `prefix`.
fn with_prefix(prefix: &str) -> Server {
    Server::of(Abi::netbsd_7_99_34_amd64(), &Target::NETBSD_7_99_34_AMD64, |config| {
        config.namespace = Namespace::new(prefix, ExemptRules::Before2020);
    })
}

fn load(server: &Server, name: &str) -> Result<(), Error> {
    server.kernel.instance().load(&Load { name, ..Load::default() })
}

#[track_caller]
fn reason(result: Result<(), Error>) -> String {
    match result {
        Err(Error::Ended { reason }) => reason,
        other => panic!("the instance did not end: {other:?}"),
    }
}

#[test]
fn an_init_that_autoloads_in_two_instances() {
    let servers = [with_prefix("rumpns_"), with_prefix("other_"), with_prefix("")];
    for server in &servers {
        load(server, "init_loads").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(server.active(), ["init_loads", "hello"]);
        assert_eq!(server.console.text(), "hello: init\n");
    }
    for server in &servers {
        load(server, "polite").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(server.console.text(), "hello: init\nhello: greetings to polite\n");
        assert!(server.kernel.instance().symbol("hello_greet").is_some());
    }
    let addresses = servers.each_ref().map(|server| server.kernel.instance().symbol("hello_greet"));
    assert!(addresses[0] != addresses[1] && addresses[1] != addresses[2], "each has its own");
    for (server, prefix) in servers.iter().zip(["rumpns_", "other_", ""]) {
        let error = load(server, "missing").expect_err("nobody offers its symbols").to_string();
        for symbol in ["no_such_function", "another_missing_function", "no_such_variable"] {
            assert!(error.contains(&format!("{prefix}{symbol}")), "{error}");
        }
    }
    for server in &servers {
        for name in ["init_loads", "polite", "hello"] {
            server.kernel.instance().unload(name).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(server.console.text().ends_with("hello: fini\n"));
        assert_eq!(server.kernel.instance().symbol("hello_greet"), None);
    }
}

#[test]
fn a_fini_that_panics_ends_its_instance_only() {
    let (doomed, healthy) = (with_prefix("rumpns_"), with_prefix("other_"));
    for server in [&doomed, &healthy] {
        load(server, "fini_panics").unwrap_or_else(|error| panic!("{error}"));
        load(server, "init_loads").unwrap_or_else(|error| panic!("{error}"));
    }
    let why = reason(doomed.kernel.instance().unload("fini_panics"));
    assert!(why.contains("fini_panics: asked to finish with 1"), "{why}");
    let instance = doomed.kernel.instance();
    assert_eq!(reason(instance.load(&Load { name: "hello", ..Load::default() })), why);
    assert_eq!(reason(instance.autoload(&Trigger::Vfs("tarfs"))), why);
    assert_eq!(reason(instance.stat().map(|_| ())), why);
    assert_eq!(instance.ended(), Some(why));
    assert_eq!(doomed.kernel.usage().expect_err("ended").errno(), EIO);

    assert_eq!(healthy.active(), ["init_loads", "hello", "fini_panics"]);
    load(&healthy, "polite").expect("the other one goes on");
    let memory = doomed.memory.clone();
    assert_ne!(memory.in_use(), 0);
    drop(doomed);
    assert_eq!(memory.in_use(), 0, "what has ended still takes its memory with it");
    healthy.kernel.instance().unload("polite").expect("and on");
}

#[test]
fn faults_end_their_instance_only() {
    let healthy = with_prefix("other_");
    load(&healthy, "hello").expect("it loads");
    for (name, signal) in
        [("crash_store", "SIGSEGV"), ("crash_divide", "SIGFPE"), ("crash_jump", "SIGSEGV"), ("crash_thread", "SIGSEGV")]
    {
        let server = with_prefix("rumpns_");
        let _guard = catch_faults(server.kernel.clone(), |kernel| kernel.instance()).expect("caught");
        let why = reason(load(&server, name));
        assert!(why.starts_with(signal) && why.contains(name), "{why}");
        assert_eq!(server.kernel.instance().ended(), Some(why));
    }
    assert_eq!(healthy.active(), ["hello"]);
    load(&healthy, "polite").expect("the other one goes on");
}

#[test]
fn what_ended_an_instance_is_told_by_module_and_symbol() {
    for (name, what) in
        [("crash_panic", "number 7 (called from"), ("crash_pass", "SIGSEGV at address 0x10 in strlen, called by module code")]
    {
        let server = with_prefix("rumpns_");
        let _guard = catch_faults(server.kernel.clone(), |kernel| kernel.instance()).expect("caught");
        let why = reason(load(&server, name));
        let function = format!("{name}+0x");
        let caller = "crash_modcmd+0x";
        let places = [what, function.as_str(), caller].map(|part| why.find(part));
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{why}");
    }
    let server = with_prefix("rumpns_");
    reason(load(&server, "crash_panic"));
    let printed = server.console.text();
    assert!(printed.contains("panic: number 7\ncalled from crash_panic:crash_panic+0x"), "{printed}");
}

#[test]
fn module_code_of_one_enters_another_and_comes_back() {
    let outer = World::new(NETBSD_9_3);
    let inner = Arc::new(World::with(NETBSD_7_99_34, |config| {
        config.namespace = Namespace::new("other_", ExemptRules::Before2020);
    }));
    outer.noting("m", 1);
    inner.noting("n", 2);
    let entered = inner.clone();
    outer.when(1, move |probe, event| {
        if event.command != INIT {
            return 0;
        }
        assert!(probe.instance().is_inside() && !entered.instance.is_inside());
        entered.load("n").expect("it loads in the other instance");
        assert!(std::ptr::eq(probe, support::probe()), "back in the first one");
        probe.instance().stat().map_or(EIO, |_| 0)
    });
    let outside = rumpload::context();
    outer.load("m").expect("it loads");
    assert_eq!(rumpload::context(), outside, "and outside again");
    assert_eq!((outer.commands(1), outer.commands(2)), (vec![INIT], vec![]));
    assert_eq!((inner.commands(1), inner.commands(2)), (vec![], vec![INIT]));
    assert_eq!((outer.active(), inner.active()), (vec!["m".to_owned()], vec!["n".to_owned()]));
}

#[test]
fn requests_nest_in_one_instance() {
    let world = World::new(NETBSD_9_3);
    for number in 0..4 {
        world.noting(&format!("m{number}"), number);
    }
    for number in 0..3 {
        world.when(number, move |probe, event| {
            if event.command != INIT {
                return 0;
            }
            let instance = probe.instance();
            let (stack, len) = instance.stack();
            let here = (&raw const event).addr() as u64;
            assert!((stack.get()..stack.get() + len as u64).contains(&here), "module code runs on the instance's stack");
            let name = format!("m{}", number + 1);
            instance.autoload(&Trigger::Module { name: &name, class: Class::Any }).map_or_else(|error| error.errno(), |()| 0)
        });
    }
    world.load("m0").expect("it loads");
    assert_eq!(world.active(), ["m0", "m1", "m2", "m3"]);
}

#[test]
fn a_panic_inside_nested_requests_leaves_them_all() {
    for prefix in ["rumpns_", "other_"] {
        let world = World::with(NETBSD_9_3, |config| config.namespace = Namespace::new(prefix, ExemptRules::Before2020));
        world.noting("outer", 1);
        world.noting("inner", 2);
        world.when(1, |probe, _| {
            let trigger = Trigger::Module { name: "inner", class: Class::Any };
            probe.instance().autoload(&trigger).map_or_else(|error| error.errno(), |()| 0)
        });
        world.when(2, |probe, _| {
            // SAFETY: the thread is inside, called from module code; no frame up to the entry holds a lock of the instance or owns
            // anything.
            unsafe { probe.instance().end("inner gave up") }
        });
        let memory = world.memory.clone();
        assert_eq!(reason(world.load("outer")), "inner gave up");
        assert_eq!(world.instance.ended().as_deref(), Some("inner gave up"));
        assert!(!world.instance.is_inside());
        drop(world);
        assert_eq!(memory.live(), 0);
    }
}

#[test]
fn threads_take_turns_in_one_instance_and_not_in_two() {
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    let worlds = [
        World::new(NETBSD_9_3),
        World::with(NETBSD_9_3, |config| {
            config.namespace = Namespace::new("other_", ExemptRules::Before2020);
        }),
    ];
    // Two threads meet inside of two instances: neither waits for the other to leave.
    let meeting = Barrier::new(2);
    std::thread::scope(|scope| {
        for world in &worlds {
            scope.spawn(|| world.instance.enter(|| meeting.wait()).expect("not ended"));
        }
    });
    // Of many threads, one at a time is inside of one instance.
    let world = &worlds[0];
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    let together = world.instance.enter(|| {
                        let before = INSIDE.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        INSIDE.fetch_sub(1, Ordering::SeqCst);
                        before
                    });
                    assert_eq!(together.expect("not ended"), 0);
                }
            });
        }
    });
}
