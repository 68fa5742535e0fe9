//! The promises of the resource traits, checked on Linux.

use rumpload::resource::conformance::{self, RunsIn};
use rumpload::resource::fake::Recorder;
use rumpload::resource::{Memory as _, Placement};
use rumpload_hosted::{Access, DirectoryStore, FileBlock, Memory, StandardError, SystemClock, SystemEntropy};
use std::process::Command;

#[test]
fn memory() {
    let memory = Memory::new();
    conformance::memory(&memory, Placement::Within { first: 0x1_0000, last: 0x7fff_ffff }, RunsIn::ThisProgram);
    conformance::memory(&memory, Placement::Anywhere, RunsIn::ThisProgram);
    assert!(memory.page_size() >= 4096);
    assert_eq!(memory.in_use(), 0);
}

#[test]
fn store() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (path, _) in conformance::FILES {
        let path_on_host = directory.path().join(path);
        std::fs::create_dir_all(path_on_host.parent().expect("below the directory")).expect("made");
        std::fs::write(path_on_host, conformance::contents(path)).expect("written");
    }
    let store = DirectoryStore::open(directory.path()).expect("a store");
    conformance::store(&store);
    assert_eq!(store.open_files(), 0);
}

#[test]
fn block() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), conformance::device()).expect("written");
    for sector in [512, 2048, 4096] {
        for access in [Access::ReadWrite, Access::ReadOnly] {
            conformance::block(&FileBlock::open(file.path(), sector, access).expect("a disk"));
        }
    }
}

/// The console is the standard error of a process of its own: here, this test once more.
#[test]
fn console() {
    const CHILD: &str = "RUMPLOAD_CONSOLE_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return conformance::console(&StandardError, None);
    }
    let program = std::env::current_exe().expect("a path");
    let output = Command::new(program).args(["--exact", "console", "--nocapture"]).env(CHILD, "1").output().expect("runs");
    assert!(output.status.success());
    let expected = Recorder::new();
    conformance::console(&expected, Some(&|| expected.text()));
    assert!(String::from_utf8(output.stderr).expect("text").contains(&expected.text()), "all text comes out");
}

#[test]
fn clock_and_entropy() {
    conformance::clock(&SystemClock::new());
    conformance::entropy(&SystemEntropy);
}
