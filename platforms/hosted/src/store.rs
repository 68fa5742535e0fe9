//! A directory as store, never left: `openat2` with `RESOLVE_BENEATH`, or a walk of our own where the kernel has no such call.

use crate::error::{host_error, io_error};
use rumpload::resource::{FileHandle, FileKind, HostError, HostErrorKind, Metadata, Store};
use rustix::buffer::spare_capacity;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, openat2, readlinkat};
use rustix::io::{Errno, pread};
use std::collections::HashMap;
use std::fs::File;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of fresh memory from which on its pages are asked for at once.
const POPULATED: usize = 32 << 10;
/// Links followed before a path counts as a loop, as in the kernel.
const MAX_LINKS: usize = 40;
/// How often a look-up is repeated that a concurrent rename made undecidable.
const MAX_RETRIES: usize = 64;

/// The files under one directory of the host, for reading.
///
/// The directory is held open: it may be renamed, and whoever replaces its path does not change the store. Links are followed
/// as long as they stay below it. Files are read, never mapped: nobody can change or truncate bytes after they were checked.
#[derive(Debug)]
pub struct DirectoryStore {
    root: OwnedFd,
    resolver: Resolver,
    open: Mutex<Open>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resolver {
    /// `openat2(2)`, Linux 5.6.
    Kernel,
    /// Component by component.
    Walk,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<u64, Arc<File>>,
    last: u64,
}

impl DirectoryStore {
    /// The store whose root is `directory`.
    ///
    /// # Errors
    /// [`NotFound`](HostErrorKind::NotFound), [`NotADirectory`](HostErrorKind::NotADirectory), or the host's.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, HostError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, directory.as_ref(), flags, Mode::empty()).map_err(host_error)?;
        let resolver = match beneath(root.as_fd(), ".", flags) {
            // Some sandboxes answer EPERM for calls they do not know.
            Err(Errno::NOSYS | Errno::PERM) => Resolver::Walk,
            _ => Resolver::Kernel,
        };
        Ok(Self { root, resolver, open: Mutex::default() })
    }

    /// Number of files that are open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.lock().files.len()
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, handle: FileHandle) -> Result<Arc<File>, HostError> {
        self.lock().files.get(&handle.0).cloned().ok_or_else(|| HostErrorKind::InvalidInput.into())
    }

    /// Opens `path` below the root.
    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, HostError> {
        let refused = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
        if !path.is_empty() && path.split('/').any(refused) {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let path = if path.is_empty() { "." } else { path };
        let flags = flags | OFlags::CLOEXEC;
        let opened = match self.resolver {
            Resolver::Kernel => beneath(self.root.as_fd(), path, flags),
            Resolver::Walk => walk(self.root.as_fd(), path, flags),
        };
        opened.map_err(host_error)
    }

    fn stat(&self, path: &str) -> Result<Stat, HostError> {
        fstat(self.resolve(path, OFlags::PATH)?).map_err(host_error)
    }
}

/// Opens `path` so that the kernel refuses to leave `root`, also for a moment.
fn beneath(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let mut retries = 0;
    loop {
        match openat2(root, path, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS) {
            Err(Errno::AGAIN) if retries < MAX_RETRIES => retries += 1,
            Err(Errno::INTR) => {}
            answer => return answer,
        }
    }
}

/// As [`beneath`], one component at a time: no component is ever followed by the kernel, links are read and followed here, and
/// `..` in a link goes back to a directory that was passed on the way.
fn walk(root: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    // Opening the last component this way sees what it is without opening it.
    let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut above: Vec<OwnedFd> = Vec::new();
    let mut todo: Vec<Vec<u8>> = path.rsplit('/').map(|part| part.as_bytes().to_vec()).collect();
    let mut links = 0;
    while let Some(part) = todo.pop() {
        let here = above.last().map_or(root, AsFd::as_fd);
        match &part[..] {
            b"" | b"." => continue,
            b".." => match above.pop() {
                Some(_) => continue,
                None => return Err(Errno::XDEV),
            },
            _ => {}
        }
        let next = openat(here, &part[..], look, Mode::empty())?;
        if FileType::from_raw_mode(fstat(&next)?.st_mode) == FileType::Symlink {
            links += 1;
            if links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            let target = readlinkat(&next, "", Vec::new())?.into_bytes();
            if target.first() == Some(&b'/') {
                return Err(Errno::XDEV);
            }
            todo.extend(target.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec));
            continue;
        }
        let last = todo.iter().all(|part| matches!(&part[..], b"" | b"."));
        if last && !todo.is_empty() && FileType::from_raw_mode(fstat(&next)?.st_mode) != FileType::Directory {
            return Err(Errno::NOTDIR);
        }
        if last && !flags.contains(OFlags::PATH) {
            return openat(here, &part[..], flags | OFlags::NOFOLLOW, Mode::empty());
        }
        above.push(next);
    }
    match above.pop() {
        Some(found) if flags.contains(OFlags::PATH) => Ok(found),
        Some(found) => openat(&found, ".", flags, Mode::empty()),
        None => openat(root, ".", flags, Mode::empty()),
    }
}

/// Gives fresh memory its pages all at once; a fault for each would cost more. Memory that has them stays as it is.
fn populate(memory: &mut [MaybeUninit<u8>]) {
    let page = rustix::param::page_size();
    let start = memory.as_ptr().addr().next_multiple_of(page);
    let end = (memory.as_ptr().addr() + memory.len()) & !(page - 1);
    if end.saturating_sub(start) >= POPULATED {
        let first = memory.as_mut_ptr().wrapping_byte_add(start - memory.as_ptr().addr());
        // SAFETY: the pages lie within memory that is the caller's alone, and keep what is in them. Linux before 5.14 does not
        // know how.
        let _ = unsafe { rustix::mm::madvise(first.cast(), end - start, rustix::mm::Advice::LinuxPopulateWrite) };
    }
}

fn kind_of(stat: &Stat) -> FileKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::Regular,
        FileType::Directory => FileKind::Directory,
        _ => FileKind::Other,
    }
}

impl Store for DirectoryStore {
    fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        let stat = self.stat(path)?;
        let kind = kind_of(&stat);
        let size = if kind == FileKind::Directory { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
        Ok(Metadata { kind, size })
    }

    fn open(&self, path: &str) -> Result<FileHandle, HostError> {
        let refuse = |kind| match kind {
            FileKind::Regular => Ok(()),
            FileKind::Directory => Err(HostError::from(HostErrorKind::IsADirectory)),
            FileKind::Other => Err(HostErrorKind::Unsupported.into()),
        };
        // Looking first spares devices an open that may have effects; looking again catches whoever swapped the file.
        refuse(kind_of(&self.stat(path)?))?;
        let file = self.resolve(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY)?;
        refuse(kind_of(&fstat(&file).map_err(host_error)?))?;
        let mut open = self.lock();
        open.last += 1;
        let handle = open.last;
        open.files.insert(handle, Arc::new(File::from(file)));
        Ok(FileHandle(handle))
    }

    fn size(&self, file: FileHandle) -> Result<u64, HostError> {
        let metadata = self.file(file)?.metadata().map_err(|error| io_error(&error))?;
        Ok(metadata.len())
    }

    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        let file = self.file(file)?;
        // No file is longer than the kernel's signed offsets reach, and it refuses a range that passes them.
        let Some(reach) = (i64::MAX as u64).checked_sub(offset) else { return Ok(0) };
        let reach = usize::try_from(reach).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..reach];
        loop {
            match file.read_at(buffer, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                answer => return answer.map_err(|error| io_error(&error)),
            }
        }
    }

    fn read_onto(&self, file: FileHandle, offset: u64, len: usize, bytes: &mut Vec<u8>) -> Result<usize, HostError> {
        let file = self.file(file)?;
        let start = bytes.len();
        bytes.try_reserve_exact(len).map_err(|_| HostErrorKind::OutOfMemory)?;
        if i64::try_from(offset).is_err() {
            return Ok(0);
        }
        populate(bytes.spare_capacity_mut());
        let read = loop {
            match pread(&file, spare_capacity(bytes), offset) {
                Err(Errno::INTR) => {}
                answer => break answer.map_err(host_error)?,
            }
        };
        // There may be more room than was asked for.
        bytes.truncate(start + len);
        Ok(read.min(len))
    }

    fn close(&self, file: FileHandle) {
        let closed = self.lock().files.remove(&file.0);
        // Closed outside the lock: a slow file system delays nobody else.
        drop(closed);
    }

    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError> {
        if self.metadata(path)?.kind != FileKind::Directory {
            return Err(HostErrorKind::NotADirectory.into());
        }
        let directory = self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        for entry in Dir::new(directory).map_err(host_error)? {
            let entry = entry.map_err(host_error)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            let kind = match entry.file_type() {
                _ if matches!(name, "." | "..") => continue,
                FileType::RegularFile => FileKind::Regular,
                FileType::Directory => FileKind::Directory,
                FileType::Symlink | FileType::Unknown => {
                    let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                    self.stat(&below).map_or(FileKind::Other, |stat| kind_of(&stat))
                }
                _ => FileKind::Other,
            };
            each(name, kind);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
