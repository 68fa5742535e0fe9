//! A NetBSD kernel in this process with the sample modules at its module path, and images for it.
#![allow(dead_code, reason = "each test program uses a part of it")]

use super::support::{ManualClock, Recorder};
use rumpload::resource::{Block, Host, HostError, HostErrorKind};
use rumpload::{Config, Error, Machine};
use rumpload_base::abi::Abi;
use rumpload_base::{Boot, Device, Kernel, MountArguments, MountError, MountRequest};
use rumpload_test_modules::Target;
use rumpload_test_modules::image::{Entry, ustar};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// A booted kernel.
pub struct Server {
    pub kernel: Arc<Kernel>,
    pub console: Arc<Recorder>,
    pub clock: Arc<ManualClock>,
    pub memory: Arc<rumpload_hosted::Memory>,
}

/// A disk in memory.
pub struct RamDisk {
    bytes: Mutex<Vec<u8>>,
}

impl RamDisk {
    pub fn new(mut bytes: Vec<u8>) -> Arc<Self> {
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        Arc::new(Self { bytes: Mutex::new(bytes) })
    }
}

impl Block for RamDisk {
    fn sector_size(&self) -> u32 {
        512
    }

    fn size(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn read_only(&self) -> bool {
        true
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        let bytes = self.bytes.lock().unwrap();
        if !offset.is_multiple_of(512) || !buffer.len().is_multiple_of(512) {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).ok_or(HostErrorKind::InvalidInput)?;
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write(&self, _offset: u64, _data: &[u8]) -> Result<(), HostError> {
        Err(HostErrorKind::ReadOnly.into())
    }

    fn flush(&self) -> Result<(), HostError> {
        Ok(())
    }
}

/// The directory with the sample modules for `target`, built once per process.
pub fn modules(target: &Target) -> PathBuf {
    static BUILT: Mutex<Vec<(&str, PathBuf)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap();
    if let Some((_, directory)) = built.iter().find(|(name, _)| *name == target.name) {
        return directory.clone();
    }
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(target.name);
    rumpload_test_modules::build(target, &directory).unwrap_or_else(|error| panic!("{error}"));
    built.push((target.name, directory.clone()));
    directory
}

impl Server {
    /// A kernel of NetBSD 7.99.34 for this machine.
    pub fn new() -> Self {
        Self::of(Abi::native().expect("a table"), &Target::native().expect("a target"), |_| {})
    }

    /// A kernel of NetBSD 10.
    pub fn netbsd_10() -> Self {
        Self::of(Abi::netbsd_10_amd64(), &Target::NETBSD_10_AMD64, |_| {})
    }

    /// A kernel with `abi`'s layouts and modules built for `target`.
    pub fn of(abi: &'static Abi, target: &Target, change: impl FnOnce(&mut Config)) -> Self {
        Self::booted(abi, modules(target), |boot| change(&mut boot.config)).expect("booted")
    }

    /// A kernel with `abi`'s layouts and the modules of a directory.
    pub fn booted(abi: &'static Abi, modules: PathBuf, change: impl FnOnce(&mut Boot)) -> Result<Self, Error> {
        let (console, clock) = (Arc::new(Recorder::default()), Arc::new(ManualClock::default()));
        let memory = Arc::new(rumpload_hosted::Memory::new());
        let host = Host {
            memory: memory.clone(),
            store: Arc::new(rumpload_hosted::DirectoryStore::open(modules).expect("the modules' directory")),
            console: console.clone(),
            clock: clock.clone(),
            entropy: Arc::new(rumpload_hosted::SystemEntropy),
        };
        let mut boot = Boot::new(Config::netbsd(abi.version(), Machine::native().expect("a machine")), abi);
        change(&mut boot);
        let kernel = Kernel::boot(boot, host)?;
        kernel.instance().map_modules("").expect("mapped");
        Ok(Self { kernel, console, clock, memory })
    }

    /// Makes `image` the device `path`.
    pub fn add(&self, path: &str, image: Vec<u8>) {
        self.kernel.add_device(path, Device::new(RamDisk::new(image))).expect("a device");
    }

    /// Mounts the device `device` as tarfs on `directory`.
    pub fn mount(&self, device: &str, directory: &str) -> Result<(), MountError> {
        let arguments = MountArguments::plain(self.kernel.abi());
        let request = MountRequest { kind: "tarfs", directory, device: Some(device), read_only: true, arguments };
        self.kernel.mount(&request)
    }

    /// Names of active modules, newest first.
    pub fn active(&self) -> Vec<String> {
        let all = self.kernel.instance().stat().expect("not ended");
        all.into_iter().filter(|status| status.references.is_some()).map(|status| status.name).collect()
    }
}

/// `len` bytes that tell where they are.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8 ^ at as u8).collect()
}

/// An archive.
pub fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    ustar(entries).expect("everything fits")
}
