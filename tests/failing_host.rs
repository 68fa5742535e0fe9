//! Every single call that a whole session makes to its host fails once, in every way: the session gets a typed error, leaves
//! nothing behind, and works the next time.
#![cfg(any(target_arch = "x86", target_arch = "x86_64"))]

use rumpload::resource::fake::{self, Call, Fault, Faults, ManualClock, MemoryBlock, Recorder, Sequence};
use rumpload::resource::{Host, HostErrorKind};
use rumpload::{Config, Machine};
use rumpload_base::abi::Abi;
use rumpload_base::{Boot, Device, Kernel, MountArguments, MountRequest};
use rumpload_hosted::{DirectoryStore, Memory};
use rumpload_test_modules::Target;
use rumpload_test_modules::image::{Entry, ustar};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longer than a block of the cache and a page, and no multiple of either.
const FILE: usize = 70_001;
const DEVICE: &str = "/dev/image";
const DIRECTORY: &str = "/mnt";

/// Calls whose failure nobody need hear of: what a message says, what time it is.
const TOLERATED: [Call; 5] = [Call::Print, Call::Monotonic, Call::Wall, Call::Sleep, Call::Fill];

/// Modules whose property list a session looks for.
const PROPERTY_LISTS: u64 = 2;

fn contents() -> Vec<u8> {
    (0..FILE).map(|at| (at ^ at >> 8) as u8).collect()
}

/// Directory with the sample modules.
fn modules() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("failing_host");
        let names = ["tarindex", "tarfs", "hello", "polite"];
        rumpload_test_modules::build_some(&Target::native().expect("a target"), &directory, &names).expect("sample modules");
        directory
    })
}

/// A kernel over a host that can fail.
struct Server {
    kernel: Arc<Kernel>,
    faults: Arc<Faults>,
    memory: Arc<Memory>,
}

impl Server {
    fn host(faults: &Arc<Faults>) -> (Host, Arc<Memory>) {
        let memory = Arc::new(Memory::new());
        let host = Host {
            memory: memory.clone(),
            store: Arc::new(DirectoryStore::open(modules()).expect("the modules' directory")),
            console: Arc::new(Recorder::new()),
            clock: Arc::new(ManualClock::new(Duration::from_secs(1_000_000_000))),
            entropy: Arc::new(Sequence::new(1)),
        };
        (fake::host(&host, faults), memory)
    }

    fn boot(faults: &Arc<Faults>) -> Result<Self, String> {
        let (host, memory) = Self::host(faults);
        let abi = Abi::native().expect("a table");
        let boot = Boot::new(Config::netbsd(abi.version(), Machine::native().expect("a machine")), abi);
        let kernel = Kernel::boot(boot, host).map_err(|error| format!("boot: {error}"))?;
        kernel.instance().map_modules("").map_err(|error| format!("map: {error}"))?;
        let contents = contents();
        let entries = [Entry::directory("sub"), Entry::file("sub/file", &contents), Entry::symlink("link", "sub/file")];
        let image = ustar(&entries).expect("an archive");
        let disk = Arc::new(MemoryBlock::new(image, 512, true).expect("a disk"));
        kernel.add_device(DEVICE, Device::new(fake::block(disk, faults))).map_err(|error| format!("device: {error}"))?;
        Ok(Self { kernel, faults: faults.clone(), memory })
    }

    /// Names of active modules.
    fn active(&self) -> Vec<String> {
        let all = self.kernel.instance().stat().expect("it lives");
        all.into_iter().filter(|status| status.references.is_some()).map(|status| status.name).collect()
    }

    /// Autoloads a file system with the module it requires, mounts it, reads, and takes it all away again.
    fn session(&self) -> Result<(), String> {
        let kernel = &self.kernel;
        let arguments = MountArguments::plain(kernel.abi());
        let request = MountRequest { kind: "tarfs", directory: DIRECTORY, device: Some(DEVICE), read_only: true, arguments };
        kernel.mount(&request).map_err(|error| format!("mount: {error}"))?;
        let names = kernel.read_directory("/mnt/sub").map_err(|error| format!("list: {error}"))?;
        assert!(names.iter().any(|entry| entry.name == b"file"), "a list that succeeds is whole");
        let file = kernel.open("/mnt/link").map_err(|error| format!("open: {error}"))?;
        let bytes = file.read_to_vec(1 << 20).map_err(|error| format!("read: {error}"));
        file.close().map_err(|error| format!("close: {error}"))?;
        assert!(bytes? == contents(), "a read that succeeds gives the file's bytes");
        kernel.unmount(DIRECTORY, false).map_err(|error| format!("unmount: {error}"))?;
        self.unload()
    }

    fn unload(&self) -> Result<(), String> {
        for name in ["tarfs", "tarindex"] {
            self.kernel.instance().unload(name).map_err(|error| format!("unload: {error}"))?;
        }
        Ok(())
    }

    /// After a session that failed: what it had reached is taken away, by a host that works.
    fn take_back(&self) {
        if self.kernel.mounts().expect("it lives").iter().any(|mount| mount.directory == DIRECTORY) {
            self.kernel.unmount(DIRECTORY, false).unwrap_or_else(|error| panic!("unmount after a failure: {error}"));
        }
        for name in ["tarfs", "tarindex"] {
            if self.active().iter().any(|active| active == name) {
                self.kernel.instance().unload(name).unwrap_or_else(|error| panic!("unload after a failure: {error}"));
            }
        }
    }
}

/// What became of a session with a fault.
struct Struck {
    outcome: Result<(), String>,
    /// Calls of the kind that was struck.
    calls: u64,
}

/// A session with one fault in one call; `None` if it makes no such call.
fn strike(server: &Server, call: Call, nth: u64, fault: Fault) -> Option<Struck> {
    let (live, active) = (server.faults.live(), server.active());
    let before = server.faults.calls(Some(call));
    server.faults.plan(Some(call), nth, fault);
    let outcome = server.session();
    let calls = server.faults.calls(Some(call)) - before;
    let struck = server.faults.injected() > 0;
    server.faults.clear();
    let what = || format!("{fault:?} in call {nth} of {call:?}: {outcome:?}");
    assert_eq!(server.kernel.instance().ended(), None, "{}", what());
    server.take_back();
    assert_eq!(server.active(), active, "modules left by {}", what());
    assert_eq!(server.faults.live(), live, "left by {}", what());
    assert_eq!(server.faults.misuse(), Vec::<String>::new(), "{}", what());
    let again = server.session();
    assert_eq!(again, Ok(()), "the next session, after {}", what());
    assert_eq!(server.faults.live(), live, "left by the next session, after {}", what());
    struck.then_some(Struck { outcome, calls })
}

/// A server that has done the session before: what it keeps for good it has.
fn warm() -> Server {
    let server = Server::boot(&Faults::new()).expect("booted");
    for _ in 0..2 {
        assert_eq!(server.session(), Ok(()));
    }
    server
}

/// Strikes call 1, 2, 3, ... of `call` until a session has no more; how many there were. But for the failures that may be borne,
/// `tolerated` at most, the session fails, or makes the call again: what was only read ahead is read when it is wanted.
fn strike_all(server: &Server, call: Call, fault: Fault, tolerated: u64) -> u64 {
    let before = server.faults.calls(Some(call));
    assert_eq!(server.session(), Ok(()));
    let usual = server.faults.calls(Some(call)) - before;
    let mut borne = 0;
    for nth in 1..=usual {
        let struck = strike(server, call, nth, fault).expect("as many calls as before");
        borne += u64::from(struck.outcome.is_ok() && struck.calls <= usual);
        assert!(borne <= tolerated, "{fault:?} in call {nth} of {usual} of {call:?} passed unnoticed");
    }
    assert!(strike(server, call, usual + 1, fault).is_none());
    usual
}

#[test]
fn every_call_fails_once() {
    let server = warm();
    let mut total = 0;
    for kind in [HostErrorKind::Io, HostErrorKind::OutOfMemory, HostErrorKind::NotFound] {
        for call in Call::ALL {
            let tolerated = match (call, kind) {
                _ if TOLERATED.contains(&call) => u64::MAX,
                // A file that is said not to be there may be one that need not be.
                (Call::Open, HostErrorKind::NotFound) => PROPERTY_LISTS,
                _ => 0,
            };
            total += strike_all(&server, call, Fault::Error(kind), tolerated);
        }
    }
    assert!(total > 30, "a session makes more than {total} calls");
}

#[test]
fn every_answer_is_short_once() {
    let server = warm();
    // Both read what is missing, or fail.
    assert!(strike_all(&server, Call::ReadAt, Fault::Short, 0) > 1);
    assert!(strike_all(&server, Call::BlockRead, Fault::Short, 0) > 1);
}

#[test]
fn every_answer_is_a_lie_once() {
    let server = warm();
    for call in [Call::Reserve, Call::Size, Call::ReadAt, Call::BlockRead] {
        strike_all(&server, call, Fault::Lie, 0);
    }
    // Time that goes back stands still.
    for call in [Call::Monotonic, Call::Wall, Call::Sleep] {
        strike_all(&server, call, Fault::Lie, u64::MAX);
    }
}

/// Bytes that are not those of the file are refused by the loader before any of the module runs.
#[test]
fn every_module_read_is_garbage_once() {
    let server = warm();
    assert!(strike_all(&server, Call::ReadAt, Fault::Garbage, 0) > 1);
}

#[test]
fn every_call_of_the_start_fails_once() {
    let faults = Faults::new();
    drop(Server::boot(&faults).expect("booted"));
    let calls = faults.calls(None);
    assert!(calls > 2);
    for nth in 1..=calls {
        for fault in [Fault::Error(HostErrorKind::OutOfMemory), Fault::Lie] {
            let faults = Faults::new();
            faults.plan(None, nth, fault);
            match Server::boot(&faults) {
                Ok(server) => {
                    faults.clear();
                    assert_eq!(server.session(), Ok(()));
                    let Server { kernel, memory, .. } = server;
                    drop(kernel);
                    assert_eq!(memory.in_use(), 0);
                }
                Err(error) => assert!(!error.is_empty()),
            }
            assert_eq!(faults.live(), fake::Live::default(), "{fault:?} in call {nth}");
            assert_eq!(faults.misuse(), Vec::<String>::new());
        }
    }
}

/// The loader alone: a module and what it requires, without devices.
#[test]
fn an_autoload_is_all_or_nothing() {
    let server = warm();
    let instance = server.kernel.instance();
    let autoload = || instance.load(&rumpload::Load { name: "polite", ..rumpload::Load::default() });
    let live = server.faults.live();
    let mut struck = 0;
    for call in Call::ALL {
        for nth in 1.. {
            server.faults.plan(Some(call), nth, Fault::Error(HostErrorKind::Io));
            let outcome = autoload();
            let hit = server.faults.injected() > 0;
            server.faults.clear();
            match outcome {
                Ok(()) => {
                    for name in ["polite", "hello"] {
                        instance.unload(name).unwrap_or_else(|error| panic!("{error}"));
                    }
                }
                Err(error) => assert!(error.errno() > 0, "{error}"),
            }
            assert_eq!(server.active(), Vec::<String>::new(), "call {nth} of {call:?}");
            assert_eq!(server.faults.live(), live, "call {nth} of {call:?}");
            if !hit {
                break;
            }
            struck += 1;
        }
    }
    assert!(struck > 10, "only {struck} calls");
    autoload().expect("loaded");
}
