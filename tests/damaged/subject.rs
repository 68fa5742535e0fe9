//! What is put to the test: an image, the type it is mounted as, and the modules that do it.

use rumpload::resource::Host;
use rumpload::resource::fake::Recorder;
use rumpload::{Config, Machine, Trigger};
use rumpload_base::abi::Abi;
use rumpload_base::{Boot, Kernel, Label, MountArguments};
use rumpload_hosted::{DirectoryStore, FaultGuard, Memory, SystemClock, SystemEntropy, catch_faults};
use rumpload_test_modules::Target;
use rumpload_test_modules::image::{Entry, ustar};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub struct Subject {
    pub name: String,
    pub kind: String,
    pub image: Arc<Vec<u8>>,
    pub sector: u32,
    pub label: Label,
    pub arguments: MountArguments,
    modules: PathBuf,
}

/// A kernel with the subject's module loaded; faults end it.
pub struct Server {
    pub kernel: Arc<Kernel>,
    _faults: FaultGuard,
}

pub fn stock() -> Option<PathBuf> {
    std::env::var_os("RUMPLOAD_STOCK").map(PathBuf::from)
}

/// Every image there is to test.
pub fn all() -> Vec<Subject> {
    let (Some(modules), Some(images)) = (stock(), std::env::var_os("RUMPLOAD_IMAGES")) else { return vec![sample()] };
    let only = std::env::var("RUMPLOAD_ONLY").unwrap_or_default();
    let files = std::fs::read_dir(&images).expect("RUMPLOAD_IMAGES is a directory").map(|entry| entry.expect("listed").path());
    let mut options: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|extension| extension == "opts")).collect();
    options.sort();
    let name = |path: &Path| path.file_stem().expect("a file").to_string_lossy().into_owned();
    options
        .iter()
        .filter(|path| name(path).starts_with(&only))
        .filter_map(|path| {
            let image =
                ["img", "iso", "hdf"].iter().map(|extension| path.with_extension(extension)).find(|image| image.exists())?;
            let text = std::fs::read_to_string(path).expect("readable");
            Some(Subject::new(name(path), &text, std::fs::read(image).expect("readable"), modules.clone()))
        })
        .collect()
}

/// A tree of the sample file system with something of everything.
fn sample() -> Subject {
    let modules = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("damaged-modules");
    rumpload_test_modules::build(&Target::NETBSD_7_99_34_AMD64, &modules).unwrap_or_else(|error| panic!("{error}"));
    let bytes: Vec<u8> = (0..20_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let long = format!("{}/{}", "directory".repeat(10), "n".repeat(99));
    let entries = [
        Entry::directory("empty"),
        Entry::file("hello.txt", b"hello, world\n"),
        Entry::file("large", &bytes),
        Entry::file("a/b/c/deep", &bytes[..700]),
        Entry::file(&long, b"long"),
        Entry::symlink("link", "a/b/c/deep"),
        Entry::symlink("loop", "loop"),
        Entry::link("hard", "large"),
    ];
    Subject::new("tarfs".into(), "--type tarfs", ustar(&entries).expect("everything fits"), modules)
}

impl Subject {
    fn new(name: String, options: &str, image: Vec<u8>, modules: PathBuf) -> Self {
        let abi = Abi::netbsd_7_99_34_amd64();
        let words: Vec<&str> = options.split_whitespace().collect();
        let after = |flag: &str| words.iter().position(|word| *word == flag).and_then(|at| words.get(at + 1).copied());
        let kind = after("--type").unwrap_or_else(|| panic!("{name}: no --type"));
        let arguments = MountArguments::new(abi, kind).unwrap_or_else(|_| MountArguments::plain(abi));
        let mut subject =
            Self { kind: kind.into(), name, image: Arc::new(image), sector: 512, label: Label::Plain, arguments, modules };
        for option in after("-o").unwrap_or_default().split(',').filter(|option| !option.is_empty()) {
            subject.set(option);
        }
        let image = Arc::get_mut(&mut subject.image).expect("not shared yet");
        image.resize(image.len().next_multiple_of(subject.sector as usize), 0);
        subject
    }

    fn set(&mut self, option: &str) {
        let done = match option.split_once('=') {
            None => self.arguments.set_flag(option),
            Some(("sector", size)) => {
                self.sector = size.parse().unwrap_or_else(|_| panic!("{option}"));
                Ok(())
            }
            Some(("label", "floppy")) => {
                self.label = Label::Floppy;
                Ok(())
            }
            Some((field, value)) => {
                let value = match (value, value.strip_prefix('0')) {
                    ("little", _) => Ok(1234),
                    ("big", _) => Ok(4321),
                    ("pdp", _) => Ok(3412),
                    (_, Some(octal)) if !octal.is_empty() => u64::from_str_radix(octal, 8),
                    _ => value.parse(),
                };
                self.arguments.set(field, value.unwrap_or_else(|_| panic!("{option}")))
            }
        };
        done.unwrap_or_else(|error| panic!("{}: -o {option}: {error}", self.name));
    }

    /// Boots a kernel and loads the module.
    pub fn server(&self) -> Server {
        let abi = Abi::netbsd_7_99_34_amd64();
        let host = Host {
            memory: Arc::new(Memory::new()),
            store: Arc::new(DirectoryStore::open(&self.modules).expect("a directory of modules")),
            console: Arc::new(Recorder::new()),
            clock: Arc::new(SystemClock::new()),
            entropy: Arc::new(SystemEntropy),
        };
        let kernel = Kernel::boot(Boot::new(Config::netbsd(abi.version(), Machine::X86_64), abi), host).expect("booted");
        kernel.instance().map_modules("").expect("mapped");
        kernel.instance().autoload(&Trigger::Vfs(&self.kind)).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let faults = catch_faults(kernel.clone(), Kernel::instance).expect("faults are caught");
        Server { kernel, _faults: faults }
    }
}
