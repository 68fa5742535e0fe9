//! A kernel with a `slotfs` on a disk.

use crate::disk::Disk;
use crate::kernel::{Server, modules};
use rumpload_base::abi::Abi;
use rumpload_base::{Boot, Device, MountArguments, MountError, MountRequest, Usage};
use rumpload_hosted::catch_faults;
use rumpload_test_modules::Target;
use rumpload_test_modules::slotfs::{self, Contents};
use std::sync::Arc;

/// Numbers of NetBSD's that only file systems give.
pub const EBADF: i32 = 9;
pub const ENXIO: i32 = 6;
pub const EXDEV: i32 = 18;
pub const ENOSPC: i32 = 28;
pub const ENOTEMPTY: i32 = 66;

pub const DEVICE: &str = "/dev/disk";
pub const ROOT: &str = "/mnt";

/// Servers of every version that runs on this machine.
pub fn servers() -> Vec<Server> {
    let mut servers = vec![Server::new()];
    if cfg!(target_arch = "x86_64") {
        servers.push(Server::netbsd_10());
    }
    servers
}

/// The same with next to no memory for blocks and pages.
pub fn small_servers() -> Vec<Server> {
    let mut kernels = vec![(Abi::native().expect("a table"), Target::native().expect("a target"))];
    if cfg!(target_arch = "x86_64") {
        kernels.push((Abi::netbsd_10_amd64(), Target::NETBSD_10_AMD64));
    }
    let boot = |(abi, target): (&'static Abi, Target)| {
        let small = |boot: &mut Boot| {
            boot.buffer_memory = 2 << 10;
            boot.page_memory = 0;
        };
        Server::booted(abi, modules(&target), small).expect("booted")
    };
    kernels.into_iter().map(boot).collect()
}

/// Runs a test once per version and with little memory, on an empty file system of 2 MiB with room for 126 files, and looks for what is left behind.
pub fn on_each(test: impl Fn(&Volume)) {
    for server in servers().into_iter().chain(small_servers()) {
        // A fault in module code is a failure that says where.
        let _guard = catch_faults(server.kernel.clone(), |kernel| kernel.instance()).expect("caught");
        let volume = Volume::of(server, slotfs::empty(2048, 128));
        let before = volume.idle();
        volume.mount().unwrap_or_else(|error| panic!("{error}"));
        test(&volume);
        volume.unmount();
        assert_eq!(volume.idle(), before, "something is left behind");
    }
}

/// A server and its disk.
pub struct Volume {
    pub server: Server,
    pub disk: Arc<Disk>,
    /// What the kernel held when nothing was mounted, for tests that ask.
    pub before: Usage,
}

impl Volume {
    pub fn around(server: Server, image: Vec<u8>) -> Self {
        let disk = Disk::new(image);
        server.kernel.add_device(DEVICE, Device::new(disk.clone())).expect("a device");
        Self { server, disk, before: Usage::default() }
    }

    /// One whose first mount, which makes things for good, is over.
    pub fn of(server: Server, image: Vec<u8>) -> Self {
        let volume = Self::around(server, image);
        volume.mount_with(true).unwrap_or_else(|error| panic!("{error}"));
        volume.unmount();
        volume
    }

    pub fn mount(&self) -> Result<(), MountError> {
        self.mount_with(false)
    }

    pub fn mount_with(&self, read_only: bool) -> Result<(), MountError> {
        let arguments = MountArguments::plain(self.server.kernel.abi());
        let request = MountRequest { kind: "slotfs", directory: ROOT, device: Some(DEVICE), read_only, arguments };
        self.server.kernel.mount(&request)
    }

    /// Mounts `image` as a device of a server that has others, and takes both away again.
    pub fn try_mount(server: &Server, path: &str, image: Vec<u8>) -> Result<(), MountError> {
        server.kernel.add_device(path, Device::new(Disk::new(image))).expect("a device");
        let arguments = MountArguments::plain(server.kernel.abi());
        let request = MountRequest { kind: "slotfs", directory: ROOT, device: Some(path), read_only: false, arguments };
        let result = server.kernel.mount(&request).and_then(|()| server.kernel.unmount(ROOT, false));
        server.kernel.remove_device(path).expect("not in use");
        result
    }

    #[track_caller]
    pub fn unmount(&self) {
        self.server.kernel.unmount(ROOT, false).unwrap_or_else(|error| panic!("{error}"));
    }

    /// Mounts another image on the same device; nothing is mounted.
    pub fn replace(&mut self, image: &[u8]) {
        self.disk.fail(0, 0);
        self.disk.set(image);
        self.mount().unwrap_or_else(|error| panic!("{error}"));
    }

    /// Whether something is mounted besides the root.
    #[track_caller]
    pub fn is_mounted(&self) -> bool {
        self.server.kernel.mounts().expect("not ended").iter().any(|mount| mount.directory == ROOT)
    }

    /// Unmounts and mounts again: nothing is in memory any more.
    #[track_caller]
    pub fn again(&self) {
        self.unmount();
        let found = slotfs::contents(&self.disk.bytes()).unwrap_or_else(|problem| panic!("{problem}"));
        assert!(found.clean);
        self.mount().unwrap_or_else(|error| panic!("{error}"));
    }

    /// What is on the image now.
    #[track_caller]
    pub fn image(&self) -> Contents {
        slotfs::contents(&self.disk.bytes()).unwrap_or_else(|problem| panic!("{problem}"))
    }

    /// What the kernel holds.
    #[track_caller]
    pub fn idle(&self) -> Usage {
        self.server.kernel.usage().expect("not ended")
    }

    #[track_caller]
    pub fn write(&self, path: &str, bytes: &[u8]) {
        let file = self.server.kernel.create(path, 0o644).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(file.write_at(0, bytes).unwrap_or_else(|error| panic!("{path}: {error}")), bytes.len());
        file.close().unwrap_or_else(|error| panic!("{error}"));
    }

    #[track_caller]
    pub fn read(&self, path: &str) -> Vec<u8> {
        let file = self.server.kernel.open(path).unwrap_or_else(|error| panic!("{error}"));
        let bytes = file.read_to_vec(1 << 20).unwrap_or_else(|error| panic!("{error}"));
        file.close().unwrap_or_else(|error| panic!("{error}"));
        bytes
    }

    /// Names in a directory, sorted, without the dots.
    #[track_caller]
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = self.server.kernel.read_directory(path).unwrap_or_else(|error| panic!("{error}"));
        let names = entries.into_iter().map(|entry| String::from_utf8(entry.name).expect("text"));
        let mut names: Vec<String> = names.filter(|name| name != "." && name != "..").collect();
        names.sort();
        names
    }
}
