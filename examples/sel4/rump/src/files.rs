//! The base kernel's file systems as the files of the protocol.

use crate::load_map;
use crate::options::{self, Presented};
use crate::sectors::Sectors;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::time::Duration;
use rumpload::errno::ENODEV;
use rumpload::registry::Code;
use rumpload::resource::{Host, HostErrorKind};
use rumpload::{Config, Instance, Machine, Trigger};
use rumpload_base::abi::Abi;
use rumpload_base::{
    Boot, Device, File, FileError, FileKind, HeapSource, Kernel, MountArguments, MountError, MountRequest, Stat, Timestamp,
};
use rumpload_l4::{Connection, EntryKind, Failure, FileService, FileStat, Mount, RemoteBlock, Status};
use rumpload_sel4::DomainMemory;

/// What the paths of devices inside the kernel begin with.
const DEVICE: &str = "/dev/image";

/// Bytes of the heap for the kernel's pages and buffers.
const PAGE_MEMORY: usize = 4 << 20;
const BUFFER_MEMORY: usize = 2 << 20;

/// What kernels are started with.
pub struct Start {
    /// The host.
    pub host: Host,
    /// Where devices are served.
    pub connection: Arc<Connection>,
    /// Module memory, to say how much is used.
    pub memory: Arc<DomainMemory>,
}

/// A kernel, started when it is needed, and anew once module code has ended it.
pub struct KernelFiles {
    start: Start,
    kernel: Option<Arc<Kernel>>,
}

impl KernelFiles {
    /// No kernel yet.
    pub fn new(start: Start) -> Self {
        Self { start, kernel: None }
    }

    fn kernel(&mut self) -> Result<&Arc<Kernel>, Failure> {
        self.kernel.take_if(|kernel| kernel.instance().ended().is_some());
        let kernel = match self.kernel.take() {
            Some(kernel) => kernel,
            None => self.boot()?,
        };
        Ok(self.kernel.insert(kernel))
    }

    fn boot(&self) -> Result<Arc<Kernel>, Failure> {
        let unsupported = || Failure::from(HostErrorKind::Unsupported);
        let abi = Abi::native().ok_or_else(unsupported)?;
        let mut config = Config::netbsd(abi.version(), Machine::X86_64);
        config.hooks.code_changed = publish;
        let console = self.start.host.console.clone();
        let say = |error: &dyn core::fmt::Display| {
            console.write(&format!("starting the kernel: {error}\n"));
            Failure::from(HostErrorKind::Io)
        };
        // The domain's heap is measured for what modules hold; memory for their code is another.
        let heap = HeapSource::Allocator;
        let boot = Boot { page_memory: PAGE_MEMORY, buffer_memory: BUFFER_MEMORY, heap, ..Boot::new(config, abi) };
        let kernel = Kernel::boot(boot, self.start.host.clone()).map_err(|error| say(&error))?;
        kernel.instance().map_modules("").map_err(|error| say(&error))?;
        Ok(kernel)
    }

    /// The path inside the kernel of device `number`, presented as asked; it is made if it is not there.
    fn device(&mut self, number: u32, presented: Presented) -> Result<String, Failure> {
        let connection = self.start.connection.clone();
        let kernel = self.kernel()?;
        let floppy = if presented.floppy { "f" } else { "" };
        let path = format!("{DEVICE}{number}s{}{floppy}", presented.sector);
        if kernel.lstat(&path).is_err() {
            let block = Sectors::new(RemoteBlock::new(&connection, number)?, presented.sector)?;
            let device = Device { block: Arc::new(block), label: presented.label() };
            kernel.add_device(&path, device).map_err(failure)?;
        }
        Ok(path)
    }
    /// Says on the console why a mount failed: the protocol has room for a number only.
    fn tell(&self, error: &MountError) {
        // The text of a mount error includes its causes.
        self.start.host.console.write(&format!("{error}\n"));
    }
}

/// Writes what code lies where to the load map.
fn publish(instance: &Instance) {
    load_map().rewrite(|list| {
        instance.visit_code(&mut |code| match code {
            Code::Module { name, address, size } => list.module(name, address.get(), size),
            Code::Function { name, address } => list.function(name, address.get()),
        });
    });
}

fn failure(error: FileError) -> Failure {
    Failure::Errno(error.errno())
}

fn kind(kind: FileKind) -> EntryKind {
    match kind {
        FileKind::File => EntryKind::Regular,
        FileKind::Directory => EntryKind::Directory,
        FileKind::Link => EntryKind::Link,
        _ => EntryKind::Other,
    }
}

/// A time as the protocol has it: what was before 1970 is 0.
fn time(time: Timestamp) -> Duration {
    Duration::new(u64::try_from(time.seconds).unwrap_or(0), time.nanoseconds.min(999_999_999))
}

fn stat(stat: &Stat) -> FileStat {
    FileStat {
        kind: kind(stat.kind),
        mode: stat.mode,
        inode: stat.fileid,
        size: stat.size,
        links: stat.links.into(),
        modified: time(stat.modified),
    }
}

impl FileService for KernelFiles {
    type File = File;

    fn mount(&mut self, mount: &Mount<'_>) -> Result<(), Failure> {
        let directory = core::str::from_utf8(mount.path).map_err(|_| HostErrorKind::InvalidInput)?;
        let kernel = self.kernel()?;
        // A type without a table is given a device if there is one.
        let (mut arguments, known) = match MountArguments::new(kernel.abi(), mount.kind) {
            Ok(arguments) => (arguments, true),
            Err(_) => (MountArguments::plain(kernel.abi()), false),
        };
        let presented = options::apply(mount.options, &mut arguments).map_err(|error| {
            self.start.host.console.write(&format!("{error}\n"));
            Failure::from(HostErrorKind::InvalidInput)
        })?;
        // A type whose module does not come fails for that reason, whatever the device: it is asked for first.
        let kernel = self.kernel()?;
        let attached = kernel.types().map_err(failure)?.iter().any(|kind| kind == mount.kind);
        if !attached && let Err(error) = kernel.instance().autoload(&Trigger::Vfs(mount.kind)) {
            self.start.host.console.write(&format!("mount of type {}: {error}\n", mount.kind));
            return Err(Failure::Errno(ENODEV));
        }
        let device = match self.device(mount.device, presented) {
            Ok(device) => Some(device).filter(|_| arguments.wants_path() || !known),
            Err(_) if !arguments.wants_path() => None,
            Err(error) => return Err(error),
        };
        let (kind, device, read_only) = (mount.kind, device.as_deref(), mount.read_only);
        let result = self.kernel()?.mount(&MountRequest { kind, directory, device, read_only, arguments });
        result.map_err(|error| {
            self.tell(&error);
            Failure::Errno(error.errno())
        })
    }

    fn unmount(&mut self, path: &[u8], force: bool) -> Result<(), Failure> {
        let directory = core::str::from_utf8(path).map_err(|_| HostErrorKind::InvalidInput)?;
        self.kernel()?.unmount(directory, force).map_err(|error| Failure::Errno(error.errno()))
    }

    fn stat(&mut self, path: &[u8]) -> Result<FileStat, Failure> {
        self.kernel()?.lstat(path).map(|found| stat(&found)).map_err(failure)
    }

    fn open(&mut self, path: &[u8]) -> Result<File, Failure> {
        let file = self.kernel()?.open(path).map_err(failure)?;
        if file.is_directory().map_err(failure)? { Err(HostErrorKind::IsADirectory.into()) } else { Ok(file) }
    }

    fn read(&mut self, file: &File, offset: u64, buffer: &mut [u8]) -> Result<usize, Failure> {
        file.read_at(offset, buffer).map_err(failure)
    }

    fn close(&mut self, file: File) {
        drop(file);
    }

    fn list(&mut self, path: &[u8], each: &mut dyn FnMut(&[u8], EntryKind)) -> Result<(), Failure> {
        let kernel = self.kernel()?.clone();
        for entry in kernel.read_directory(path).map_err(failure)? {
            if matches!(&entry.name[..], b"." | b"..") {
                continue;
            }
            // The entry's own word on the type is a hint: v7fs gets it wrong on volumes of the other byte order.
            let name = [path, b"/", &entry.name].concat();
            let known = kind(kernel.lstat(&name).map_err(failure)?.kind);
            each(&entry.name, known);
        }
        Ok(())
    }

    fn status(&mut self) -> Status {
        let counted = self.kernel.as_ref().map(|kernel| {
            let modules = kernel.instance().stat().map_or(0, |list| list.len());
            (modules, kernel.mounts().map_or(0, |list| list.len()))
        });
        let (modules, mounts) = counted.unwrap_or((0, 0));
        let (used, peak) = self.start.memory.usage();
        self.start.host.console.write(&format!("module memory {} bytes, at most {}\n", used << 12, peak << 12));
        Status {
            modules: modules as u64,
            mounts: mounts as u64,
            open_files: 0,
            heap: sel4_runtime::heap_used() as u64,
            heap_peak: sel4_runtime::heap_peak() as u64,
        }
    }
}
