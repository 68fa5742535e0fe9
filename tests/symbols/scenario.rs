//! What sample modules do with the base kernel.

use crate::kernel::{self, Server, archive, pattern};
use crate::writing;
use rumpload::Load;
use rumpload::image::{Definition, Image};
use rumpload_base::Trace;
use rumpload_base::abi::Abi;
use rumpload_hosted::catch_faults;
use rumpload_test_modules::image::Entry;
use rumpload_test_modules::{NAMES, Target};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

/// The directories of modules: of 7.99.34 and of 10.
#[derive(Clone)]
pub struct Modules {
    pub netbsd_7_99_34: PathBuf,
    pub netbsd_10: PathBuf,
}

/// Builds them.
pub fn modules() -> Modules {
    Modules {
        netbsd_7_99_34: kernel::modules(&Target::NETBSD_7_99_34_AMD64),
        netbsd_10: kernel::modules(&Target::NETBSD_10_AMD64),
    }
}

/// Begins the names of scenarios in a kernel of NetBSD 10.
const LATER: &str = "netbsd-10:";

impl Modules {
    /// What a scenario runs with: the layouts, the directory, and the scenario's name without its version.
    fn of<'n>(&self, name: &'n str) -> (&'static Abi, &Path, &'n str) {
        match name.strip_prefix(LATER) {
            Some(rest) => (Abi::netbsd_10_amd64(), &self.netbsd_10, rest),
            None => (Abi::netbsd_7_99_34_amd64(), &self.netbsd_7_99_34, name),
        }
    }
}

/// Names of all scenarios: modules that check services while they start, and mounts.
fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().copied().filter(|name| name.starts_with("services_")).chain([
        "init_loads",
        "tarfs",
        "netbsd-10:tarfs",
        "slotfs",
        "netbsd-10:slotfs",
        "netbsd-10:services_pages",
        "netbsd-10:services_special",
        "netbsd-10:services_transfers",
        "netbsd-10:services_writing",
        "netbsd-10:services_descriptors",
        "netbsd-10:services_thread",
        "netbsd-10:services_vnode",
    ])
}

/// By symbol, the scenarios that call it or, for a variable, whose modules link against it.
pub fn covered() -> BTreeMap<String, Vec<String>> {
    let mut covered: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for name in names() {
        let called = run(name, &modules(), None).unwrap_or_else(|error| panic!("{name}: {error}"));
        for symbol in called.into_iter().map(str::to_owned).chain(variables(name)) {
            covered.entry(symbol).or_default().push(name.to_owned());
        }
    }
    covered
}

/// The imports of a scenario's module that are not called.
fn variables(name: &str) -> Vec<String> {
    let modules = modules();
    let (abi, directory, name) = modules.of(name);
    let data: Vec<&str> = rumpload_base::symbols(abi)
        .iter()
        .filter(|symbol| symbol.kind == rumpload_base::SymbolKind::Data)
        .map(|symbol| symbol.name)
        .collect();
    let bytes = std::fs::read(directory.join(name).join(format!("{name}.kmod"))).expect("the module");
    let image = Image::parse(&bytes).expect("a module");
    let undefined = image.symbols().filter(|symbol| matches!(symbol.definition, Definition::Undefined));
    undefined.map(|symbol| symbol.name).filter(|name| data.contains(name)).map(str::to_owned).collect()
}

/// Runs a scenario in a kernel of its own; answers what module code called.
pub fn run(name: &str, modules: &Modules, sabotaged: Option<&'static str>) -> Result<Vec<&'static str>, String> {
    let (abi, directory, name) = modules.of(name);
    let server = Server::booted(abi, directory.to_owned(), |boot| {
        // An export cannot be both.
        boot.trace = if sabotaged.is_some() { Trace::Off } else { Trace::Note };
        boot.sabotaged = sabotaged;
    })
    .map_err(|error| error.to_string())?;
    let _guard = catch_faults(server.kernel.clone(), |kernel| kernel.instance()).map_err(|error| error.to_string())?;
    server.add("/dev/image", archive(&[Entry::file("d/file", &pattern(20_000)), Entry::symlink("link", "d/file")]));
    match name {
        "tarfs" => mount(&server)?,
        "slotfs" => writing::run(&server)?,
        "init_loads" => {
            load(&server, name)?;
            let active = server.active();
            expect("what its start loads", active.contains(&"hello".to_owned()), true)?;
        }
        _ if name.starts_with("services_end_") => end(&server, name)?,
        _ => load(&server, name)?,
    }
    Ok(server.kernel.called())
}

/// Loads a module that checks services while it starts, three times: the last time leaves nothing that was not there before.
fn load(server: &Server, name: &str) -> Result<(), String> {
    server.clock.step_in_sleep();
    if name == "services_vnode" {
        server.mount("/dev/image", "/mnt").map_err(|error| error.to_string())?;
    }
    if matches!(name, "services_special" | "services_transfers" | "services_writing") {
        crate::disk::prepare(server)?;
    }
    let instance = server.kernel.instance();
    let told = |error: rumpload::Error| format!("{error}\n{}", server.console.text());
    let once = || {
        instance.load(&Load { name, ..Load::default() }).map_err(told)?;
        instance.unload(name).map_err(told)?;
        server.kernel.usage().map_err(|error| error.to_string())
    };
    once()?;
    let before = once()?;
    expect("what stays", once()?, before)?;
    if name == "services_vnode" {
        let text = server.console.text();
        if server.kernel.abi().version() == Abi::netbsd_7_99_34_amd64().version() {
            expect("prints of a vnode", (text.contains("tarfs: entry"), text.contains("services: vnode")), (true, true))?;
        }
        server.kernel.unmount("/mnt", false).map_err(|error| error.to_string())?;
    }
    if name == "services_print" {
        let text = server.console.text();
        let count = |wanted: &str, lines: &mut dyn Iterator<Item = &str>| lines.filter(|line| *line == wanted).count();
        for line in PRINTED {
            let wanted = 3 * count(line, &mut PRINTED.into_iter());
            expect(line, count(line, &mut text.lines()), wanted)?;
        }
        expect("what is not wanted", text.contains("not wanted"), false)?;
    }
    Ok(())
}

/// What `services_print` has to print.
const PRINTED: [&str; 20] = [
    "list 1 of two",
    "list 1 of two",
    "short 1",
    "short 1",
    "print: printf 1",
    "print: printf_nolog 2",
    "print: uprintf 3",
    "print: log 4",
    "print: addlog 5",
    "print: aprint_error 6",
    "print: aprint_normal 7",
    "print: aprint_verbose 8",
    "print: aprint_debug 9",
    "print: aprint_naive 10",
    "(null): aprint_verbose_dev",
    "(null): aprint_debug_dev",
    "(null): aprint_naive_dev",
    "(null): aprint_normal_dev",
    "(null): aprint_error_dev",
    "(null): device_printf",
];

/// What the modules that end their instance give as the reason.
const ENDS: [(&str, &str); 12] = [
    ("services_end_trap", "soisconnected was called: sockets"),
    ("services_end_thread", "services_end: in a thread (called from services_end_thread:panics+"),
    ("services_end_deadlock", "kernel thread \"keeper\" holds it and sleeps, a deadlock"),
    ("services_end_mutex", "mutex_enter"),
    ("services_end_rwlock", "rw_enter"),
    ("services_end_panic", "services_end: panicked 1"),
    ("services_end_vpanic", "services_end: vpanicked 2"),
    ("services_end_kern_assert", "services_end: asserted 3"),
    ("services_end_stack", "stack overflow"),
    ("services_end_stack_local", "stack overflow"),
    ("services_end_badop", "a vnode operation was called that its file system forbids"),
    ("services_end_reboot", "reboots the system"),
];

/// Loads a module whose start ends the instance.
fn end(server: &Server, name: &str) -> Result<(), String> {
    let (_, wanted) = ENDS.iter().find(|(module, _)| *module == name).ok_or("no such module")?;
    match server.kernel.instance().load(&Load { name, ..Load::default() }) {
        Err(rumpload::Error::Ended { reason }) if reason.contains(wanted) => Ok(()),
        other => Err(format!("the instance did not end as it should: {other:?}")),
    }
}

/// Mounts an archive and walks it, twice: the second time leaves nothing that the first one had not.
fn mount(server: &Server) -> Result<(), String> {
    let usage = || server.kernel.usage().map_err(|error| error.to_string());
    walk(server)?;
    let before = usage()?;
    walk(server)?;
    expect("what stays", usage()?, before)?;
    for name in ["tarfs", "tarindex"] {
        server.kernel.instance().unload(name).map_err(|error| error.to_string())?;
    }
    // The modules come again.
    walk(server)
}

fn walk(server: &Server) -> Result<(), String> {
    let kernel = &server.kernel;
    server.mount("/dev/image", "/mnt").map_err(|error| error.to_string())?;
    for (path, wanted) in [("/mnt/d/file", pattern(20_000)), ("/mnt/link", pattern(20_000))] {
        let file = kernel.open(path).map_err(|error| error.to_string())?;
        expect(path, file.read_to_vec(1 << 20).map_err(|error| error.to_string())?, wanted)?;
        file.close().map_err(|error| error.to_string())?;
    }
    let entries = kernel.read_directory("/mnt").map_err(|error| error.to_string())?;
    let mut names: Vec<Vec<u8>> = entries.into_iter().map(|entry| entry.name).collect();
    names.sort();
    expect("/mnt", names, [".", "..", "d", "link"].map(|name| name.as_bytes().to_vec()).to_vec())?;
    expect("the link", kernel.read_link("/mnt/link").map_err(|error| error.to_string())?, b"d/file".to_vec())?;
    expect("its size", kernel.stat("/mnt/link").map_err(|error| error.to_string())?.size, 20_000)?;
    let status = kernel.statvfs("/mnt").map_err(|error| error.to_string())?;
    expect("the type", (status.kind.as_str(), status.device.as_str(), status.block_size), ("tarfs", "/dev/image", 512))?;
    kernel.unmount("/mnt", false).map_err(|error| error.to_string())?;
    Ok(())
}

pub fn expect<T: PartialEq + Debug>(what: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: {found:?} instead of {wanted:?}")) }
}
