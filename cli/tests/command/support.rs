//! Running the tool, and what it is run on.

use rumpload_test_modules::image::{Entry, ustar};
use rumpload_test_modules::{Target, build};
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use tempfile::TempDir;

/// What came of a command.
#[derive(Debug)]
pub struct Outcome {
    /// Exit status; `None` if a signal ended it.
    pub status: Option<i32>,
    pub bytes: Vec<u8>,
    pub errors: String,
}

impl Outcome {
    /// What was written to standard output.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("UTF-8")
    }

    pub fn lines(&self) -> Vec<&str> {
        self.text().lines().collect()
    }

    /// Each line of standard output as JSON.
    pub fn json(&self) -> Vec<serde_json::Value> {
        self.lines()
            .into_iter()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    }

    /// Checks that it succeeded and complained of nothing.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!((self.status, self.errors.as_str()), (Some(0), ""), "{}", String::from_utf8_lossy(&self.bytes));
        self
    }

    /// Checks that it failed and that standard error holds each of `words`.
    #[track_caller]
    pub fn failed(self, words: &[&str]) -> Self {
        assert_eq!(self.status, Some(1), "{self:?}");
        for word in words {
            assert!(self.errors.contains(word), "{word:?} is not in: {}", self.errors);
        }
        self
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self { status: output.status.code(), bytes: output.stdout, errors: String::from_utf8(output.stderr).expect("UTF-8") }
    }
}

/// The tool with `arguments`, its streams piped.
pub fn command<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rumpload"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the tool.
pub fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Outcome {
    command(arguments).output().expect("the tool starts").into()
}

/// Runs the tool with `input` on its standard input.
pub fn run_with<A: AsRef<OsStr>>(arguments: &[A], input: &[u8]) -> Outcome {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().expect("the tool starts");
    let mut stdin = child.stdin.take().expect("piped");
    // Small enough for the pipe, so that it cannot wait for us to read.
    assert!(input.len() < 4096);
    stdin.write_all(input).expect("the tool reads");
    drop(stdin);
    child.wait_with_output().expect("the tool ends").into()
}

pub fn target() -> Target {
    Target::native().expect("a machine with modules")
}

/// The directory of the sample modules.
pub fn samples() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("command-{}", std::process::id()));
        build(&target(), &directory).unwrap_or_else(|error| panic!("{error}"));
        directory
    })
}

/// The file of a sample module.
pub fn sample(name: &str) -> PathBuf {
    samples().join(name).join(format!("{name}.kmod"))
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Regular files of the tree in [`Image`]: paths in byte order, and bytes.
pub fn files() -> Vec<(&'static str, Vec<u8>)> {
    let pattern = |len: usize| (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    vec![
        ("A file", b"a name with a blank\n".to_vec()),
        ("deep/a/b/c/leaf", pattern(513)),
        ("deep/big", pattern(300_000)),
        ("empty", Vec::new()),
        ("hello.txt", b"hello, world\n".to_vec()),
        ("zürich", pattern(4097)),
    ]
}

/// An image for `tarfs`.
pub struct Image {
    directory: TempDir,
}

impl Image {
    /// The image of the tree: its files, a directory without files and links.
    pub fn tree() -> Self {
        let files = files();
        let mut entries: Vec<Entry<'_>> = files.iter().map(|(path, bytes)| Entry::file(path, bytes)).collect();
        entries[4] = Entry { mode: 0o4751, owner: (7, 8), modified: 1_234_567_890, ..entries[4].clone() };
        entries.push(Entry::directory("nothing"));
        entries.push(Entry::symlink("link", "deep/big"));
        entries.push(Entry::symlink("dangling", "nowhere"));
        Self::of(&ustar(&entries).expect("it fits"))
    }

    /// An image of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("image"), bytes).expect("written");
        Self { directory }
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    /// A place beside it that is not there.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Runs `rumpload mount` on it.
    pub fn mount(&self, arguments: &[&str]) -> Outcome {
        let path = self.path();
        let first = ["mount", "--modules", text(samples()), "--type", "tarfs", "--image", text(&path)];
        run(&[&first, arguments].concat())
    }

    /// Runs `rumpload shell` in it.
    pub fn shell(&self, script: &str) -> Outcome {
        let path = self.path();
        run_with(&["shell", "--modules", text(samples()), "--type", "tarfs", "--image", text(&path)], script.as_bytes())
    }
}

/// What `--walk` prints for the tree, from the source.
pub fn hashes() -> String {
    use sha2::{Digest, Sha256};
    let line = |(path, bytes): (&str, Vec<u8>)| {
        let hash: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{hash}  /{path}\n")
    };
    files().into_iter().map(line).collect()
}
