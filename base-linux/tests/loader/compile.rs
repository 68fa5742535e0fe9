//! Compiles modules into a directory that goes with the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Code as the kernel's build has it: 32-bit addresses in the upper half, no red zone, a stack aligned to 8 bytes, a canary at the
/// GS base, and every call, return and function entry by way of the kernel.
const FLAGS: &[&str] = &[
    "-c",
    "-O2",
    "-std=gnu11",
    "-Wall",
    "-Wno-infinite-recursion",
    "-ffreestanding",
    "-fno-pic",
    "-fno-strict-aliasing",
    "-fno-asynchronous-unwind-tables",
    "-fcf-protection=none",
    "-mcmodel=kernel",
    "-mno-red-zone",
    "-mno-sse",
    "-mpreferred-stack-boundary=3",
    "-fstack-protector-strong",
    "-mindirect-branch=thunk-extern",
    "-mindirect-branch-register",
    "-mfunction-return=thunk-extern",
    "-pg",
    "-mfentry",
];

/// A directory of modules.
pub struct Modules {
    directory: PathBuf,
}

impl Modules {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("rumpload-base-linux-{}-{number}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        Self { directory }
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Compiles `source`, a file beside this one, into the module `name`.
    pub fn compile(&self, name: &str, source: &str, definitions: &[&str]) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/loader").join(source);
        let mut gcc = Command::new("gcc");
        gcc.args(FLAGS).arg(format!("-DNAME={}", name.replace('-', "_")));
        gcc.args(definitions.iter().map(|definition| format!("-D{definition}")));
        gcc.arg(source).arg("-o").arg(self.directory.join(format!("{name}.ko")));
        let output = gcc.output().expect("gcc runs");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        // A directory that stays behind is no reason to fail.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
