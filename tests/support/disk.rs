//! A disk in memory that can be written, keeps count, and fails when told to.
#![allow(dead_code, reason = "each test program uses a part of it")]

use super::kernel::{Server, pattern};
use rumpload::resource::{Block, HostError, HostErrorKind};
use rumpload_base::{Device, MountArguments, MountRequest};
use rumpload_test_modules::slotfs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const SECTOR: usize = 512;

/// Mounts a device as slotfs on `/mnt`.
pub fn mount_slotfs(server: &Server, device: &str, read_only: bool) -> Result<(), String> {
    let arguments = MountArguments::plain(server.kernel.abi());
    let request = MountRequest { kind: "slotfs", directory: "/mnt", device: Some(device), read_only, arguments };
    server.kernel.mount(&request).map_err(|error| error.to_string())
}

/// What modules that check services of writing want: an empty slotfs, mounted from `/dev/disk`, and a disk `/dev/other`.
pub fn prepare(server: &Server) -> Result<(), String> {
    let other = pattern(1 << 16).into_iter().map(|byte| !byte).collect();
    for (path, bytes) in [("/dev/disk", slotfs::empty(2048, 64)), ("/dev/other", other)] {
        server.kernel.add_device(path, Device::new(Disk::new(bytes))).map_err(|error| error.to_string())?;
    }
    mount_slotfs(server, "/dev/disk", false)
}

/// The disk.
pub struct Disk {
    bytes: Mutex<Vec<u8>>,
    reads: AtomicUsize,
    writes: AtomicUsize,
    flushes: AtomicUsize,
    /// Every how many writes and reads one fails; 0 for none.
    failing_writes: AtomicUsize,
    failing_reads: AtomicUsize,
    /// Only the first of those.
    once: AtomicBool,
    failed: AtomicUsize,
}

impl Disk {
    pub fn new(bytes: Vec<u8>) -> Arc<Self> {
        assert!(bytes.len().is_multiple_of(SECTOR));
        Arc::new(Self {
            bytes: Mutex::new(bytes),
            reads: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            flushes: AtomicUsize::new(0),
            failing_writes: AtomicUsize::new(0),
            failing_reads: AtomicUsize::new(0),
            once: AtomicBool::new(false),
            failed: AtomicUsize::new(0),
        })
    }

    /// What is on it.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }

    /// Puts something else on it, of the same length.
    pub fn set(&self, bytes: &[u8]) {
        self.bytes.lock().unwrap().copy_from_slice(bytes);
    }

    /// Reads, writes and flushes so far.
    pub fn counts(&self) -> (usize, usize, usize) {
        [&self.reads, &self.writes, &self.flushes].map(|count| count.load(Ordering::Relaxed)).into()
    }

    /// From now on every `writes`-th write and every `reads`-th read fails; 0 for none.
    pub fn fail(&self, writes: usize, reads: usize) {
        self.writes.store(0, Ordering::Relaxed);
        self.reads.store(0, Ordering::Relaxed);
        self.failed.store(0, Ordering::Relaxed);
        self.once.store(false, Ordering::Relaxed);
        self.failing_writes.store(writes, Ordering::Relaxed);
        self.failing_reads.store(reads, Ordering::Relaxed);
    }

    /// From now on the write and the read of these numbers fail; 0 for none.
    pub fn fail_once(&self, write: usize, read: usize) {
        self.fail(write, read);
        self.once.store(true, Ordering::Relaxed);
    }

    /// Requests that failed since then.
    pub fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    fn count(&self, counter: &AtomicUsize, failing: &AtomicUsize) -> Result<(), HostError> {
        let number = counter.fetch_add(1, Ordering::Relaxed) + 1;
        let every = failing.load(Ordering::Relaxed);
        let fails = every != 0 && if self.once.load(Ordering::Relaxed) { number == every } else { number.is_multiple_of(every) };
        if !fails {
            return Ok(());
        }
        self.failed.fetch_add(1, Ordering::Relaxed);
        Err(HostErrorKind::Io.into())
    }
}

impl Block for Disk {
    fn sector_size(&self) -> u32 {
        SECTOR as u32
    }

    fn size(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn read_only(&self) -> bool {
        false
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.count(&self.reads, &self.failing_reads)?;
        let bytes = self.bytes.lock().unwrap();
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).ok_or(HostErrorKind::InvalidInput)?;
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        self.count(&self.writes, &self.failing_writes)?;
        let mut bytes = self.bytes.lock().unwrap();
        let place = usize::try_from(offset).ok().and_then(|offset| bytes.get_mut(offset..)?.get_mut(..data.len()));
        place.ok_or(HostErrorKind::InvalidInput)?.copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> Result<(), HostError> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}
