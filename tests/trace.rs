//! What module code calls, as `--trace` logs it.
#![cfg(any(target_arch = "x86_64", target_arch = "x86"))]

#[path = "support/disk.rs"]
mod disk;
#[path = "support/kernel.rs"]
mod kernel;
mod support;

use kernel::{Server, archive, pattern};
use rumpload::Load;
use rumpload_base::Trace;
use rumpload_base::abi::Abi;
use rumpload_test_modules::image::Entry;
use rumpload_test_modules::{NAMES, Target};

fn traced(what: Trace) -> Server {
    let modules = kernel::modules(&Target::native().expect("a target"));
    let server = Server::booted(Abi::native().expect("a table"), modules, |boot| boot.trace = what).expect("booted");
    server.add("/dev/image", archive(&[Entry::file("d/file", &pattern(20_000))]));
    server
}

/// The lines that are calls of `name`.
fn calls<'t>(text: &'t str, name: &str) -> Vec<&'t str> {
    text.lines().filter(|line| line.trim_start().starts_with(&format!("{name}("))).collect()
}

#[test]
fn a_mount_shows_its_calls_with_arguments_and_results() {
    let server = traced(Trace::Log);
    server.mount("/dev/image", "/mnt").expect("mounted");
    let bytes = server.kernel.open("/mnt/d/file").expect("there").read_to_vec(1 << 20).expect("read");
    assert_eq!(bytes, pattern(20_000));
    server.kernel.unmount("/mnt", false).expect("unmounted");
    let console = server.console.clone();
    drop(server);
    let text = console.text();
    // A call in which others happen takes two lines; what it calls is further in.
    let get = text.lines().position(|line| line.starts_with("vcache_get(P")).unwrap_or_else(|| panic!("{text}"));
    let inner: Vec<&str> = text.lines().skip(get + 1).take_while(|line| line.starts_with("  ")).collect();
    assert!(inner.iter().any(|line| line.starts_with("  genfs_node_init(P")), "{inner:?}");
    assert_eq!(text.lines().nth(get + 1 + inner.len()), Some("... vcache_get = 0"));
    assert!(text.contains("makefstype(\"tarfs\", "), "{text}");
    let reads = calls(&text, "bread");
    assert!(reads.iter().all(|line| line.ends_with(" = 0") || line.contains("[x")), "{reads:?}");
    assert!(
        calls(&text, "namei_simple_user").iter().any(|line| line.contains("\"/dev/image\"") || line.contains("(P")),
        "{text}"
    );
    assert_eq!(calls(&text, "makefstype").len(), 1);
    assert!(calls(&text, "memcpy").is_empty() && calls(&text, "genfs_lock").is_empty(), "only what module code calls");
}

#[test]
fn a_panic_tells_who_called_whom_in_a_trace_too() {
    for what in [Trace::Off, Trace::Log] {
        let server = traced(what);
        let load = |name| server.kernel.instance().load(&Load { name, ..Load::default() });
        let error = load("services_end_panic").expect_err("it panics").to_string();
        assert!(error.contains("services_end: panicked 1") && error.contains("services_end_panic:"), "{error}");
        if what == Trace::Log {
            let text = server.console.text();
            assert!(!calls(&text, "panic").is_empty(), "{text}");
        }
    }
}

#[test]
fn calls_of_a_kernel_thread_are_its_own() {
    let server = traced(Trace::Log);
    server.clock.step_in_sleep();
    let load = |name| server.kernel.instance().load(&Load { name, ..Load::default() });
    load("services_thread").expect("it starts");
    // Its maker waits in a call of its own meanwhile.
    let text = server.console.text();
    let joining = text.lines().position(|line| line.starts_with("kthread_join(")).unwrap_or_else(|| panic!("{text}"));
    let mut rest = text.lines().skip(joining + 1);
    assert!(rest.any(|line| line.starts_with("kthread_exit(0")), "{text}");
    assert!(rest.next().is_some_and(|line| line.starts_with("... kthread_join = 0")), "{text}");
    let error = load("services_end_thread").expect_err("it panics in a thread").to_string();
    assert!(error.contains("in a thread (called from services_end_thread:panics+"), "{error}");
}

#[test]
fn services_do_the_same_in_a_trace() {
    let server = traced(Trace::Log);
    disk::prepare(&server).expect("mounted");
    let wanted = |name: &&str| name.starts_with("services_") && !name.starts_with("services_end_") && *name != "services_vnode";
    for name in NAMES.iter().copied().filter(wanted) {
        server.clock.step_in_sleep();
        let loaded = server.kernel.instance().load(&Load { name, ..Load::default() });
        loaded.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let called = server.kernel.called();
    for name in
        ["snprintf", "cv_wait", "pool_cache_get_paddr", "prop_dictionary_set_int64", "strlen", "genfs_sane_rename", "spec_read"]
    {
        assert!(called.contains(&name), "{name}");
    }
}
