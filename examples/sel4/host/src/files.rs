//! The files and the disk image handed over at the start of the machine.
//!
//! Names of the device's files are short, so they are numbers, and one more file is the table of their paths: lines of number,
//! blank, path.

use crate::fw_cfg::{FwCfg, Item};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use core::ptr::NonNull;
use rumpload::resource::{Block, FileHandle, FileKind, HostError, HostErrorKind, Metadata, Store};
use rumpload_l4::{Window, WindowRead};
use spin::Mutex;

/// What the names of all files begin with.
const PREFIX: &str = "opt/rumpload/";
/// Files for the client.
const CLIENT_FILES: [&str; 2] = ["command", "bench"];
/// Bytes of a sector of the disk.
pub const SECTOR: u32 = 512;

/// What was handed over.
pub struct Handed {
    /// Files by path.
    pub files: BTreeMap<String, Item>,
    /// The disk image.
    pub image: Option<Item>,
    /// Files for the client: what it is to do, and what it measures reading with.
    pub client: BTreeMap<String, Item>,
    /// Seconds since 1970 at the start, if the table said it.
    pub seconds: Option<u64>,
}

impl Handed {
    /// Reads the device's directory and the table.
    pub fn look(device: &FwCfg) -> Result<Self, HostError> {
        let directory: BTreeMap<String, Item> = device
            .directory()?
            .into_iter()
            .filter_map(|(name, item)| name.strip_prefix(PREFIX).map(|name| (name.into(), item)))
            .collect();
        let text = |name| directory.get(name).map(|item| device.text(*item)).transpose();
        let mut files = BTreeMap::new();
        for line in text("table")?.unwrap_or_default().lines() {
            let (number, path) = line.split_once(' ').ok_or(HostErrorKind::Protocol)?;
            let item = directory.get(number).ok_or(HostErrorKind::Protocol)?;
            files.insert(path.into(), *item);
        }
        let seconds = text("time")?.and_then(|text| text.trim().parse().ok());
        let client = CLIENT_FILES.into_iter().filter_map(|name| Some((name.into(), *directory.get(name)?))).collect();
        Ok(Self { files, image: directory.get("image").copied(), client, seconds })
    }
}

/// The files as a store.
pub struct FwCfgStore {
    device: Arc<FwCfg>,
    files: BTreeMap<String, Item>,
    open: Mutex<(u64, BTreeMap<u64, Item>)>,
}

impl FwCfgStore {
    /// A store of `files`.
    pub fn new(device: Arc<FwCfg>, files: BTreeMap<String, Item>) -> Self {
        Self { device, files, open: Mutex::new((0, BTreeMap::new())) }
    }

    fn item(&self, file: FileHandle) -> Result<Item, HostError> {
        self.open.lock().1.get(&file.0).copied().ok_or(HostErrorKind::InvalidInput.into())
    }

    /// Paths below the directory `path`, without it; `None` if it is no directory.
    fn below<'a>(&'a self, path: &'a str) -> Option<impl Iterator<Item = &'a str> + 'a> {
        let rest = move |name: &'a String| match path {
            "" => Some(&name[..]),
            path => name.strip_prefix(path).and_then(|rest| rest.strip_prefix('/')),
        };
        let mut names = self.files.keys().filter_map(rest).peekable();
        (path.is_empty() || names.peek().is_some()).then_some(names)
    }
}

/// Refuses what is no path of a store.
fn check(path: &str) -> Result<(), HostError> {
    let refused = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    if !path.is_empty() && path.split('/').any(refused) { Err(HostErrorKind::InvalidInput.into()) } else { Ok(()) }
}

impl Store for FwCfgStore {
    fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        check(path)?;
        if let Some(item) = self.files.get(path) {
            return Ok(Metadata { kind: FileKind::Regular, size: item.size.into() });
        }
        if self.below(path).is_some() {
            return Ok(Metadata { kind: FileKind::Directory, size: 0 });
        }
        let mut upper = path;
        while let Some((parent, _)) = upper.rsplit_once('/') {
            if self.files.contains_key(parent) {
                return Err(HostErrorKind::NotADirectory.into());
            }
            upper = parent;
        }
        Err(HostErrorKind::NotFound.into())
    }

    fn open(&self, path: &str) -> Result<FileHandle, HostError> {
        if self.metadata(path)?.kind == FileKind::Directory {
            return Err(HostErrorKind::IsADirectory.into());
        }
        let item = *self.files.get(path).ok_or(HostErrorKind::NotFound)?;
        let (last, open) = &mut *self.open.lock();
        *last += 1;
        open.insert(*last, item);
        Ok(FileHandle(*last))
    }

    fn size(&self, file: FileHandle) -> Result<u64, HostError> {
        self.item(file).map(|item| item.size.into())
    }

    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        let item = self.item(file)?;
        let len = left(item, offset).min(buffer.len());
        self.device.read(item, offset, &mut buffer[..len])?;
        Ok(len)
    }

    fn close(&self, file: FileHandle) {
        self.open.lock().1.remove(&file.0);
    }

    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError> {
        if self.metadata(path)?.kind != FileKind::Directory {
            return Err(HostErrorKind::NotADirectory.into());
        }
        let mut last = "";
        for rest in self.below(path).into_iter().flatten() {
            // Paths are sorted, so what lies below one directory comes together.
            match rest.split_once('/') {
                Some((name, _)) if name == last => {}
                Some((name, _)) => {
                    last = name;
                    each(name, FileKind::Directory);
                }
                None => each(rest, FileKind::Regular),
            }
        }
        Ok(())
    }
}

/// Bytes of `item` from `offset` on.
fn left(item: Item, offset: u64) -> usize {
    u64::from(item.size).saturating_sub(offset) as usize
}

/// The disk image. A last sector that the file does not fill ends in zeroes.
pub struct Disk {
    device: Arc<FwCfg>,
    item: Item,
}

impl Disk {
    /// The image in `item`.
    pub fn new(device: Arc<FwCfg>, item: Item) -> Self {
        Self { device, item }
    }

    /// Bytes that a read at `offset` of `len` bytes gives.
    fn count(&self, offset: u64, len: usize) -> Result<usize, HostError> {
        let sector = u64::from(SECTOR);
        if !offset.is_multiple_of(sector) || !(len as u64).is_multiple_of(sector) || offset > self.size() {
            return Err(HostErrorKind::InvalidInput.into());
        }
        Ok((self.size() - offset).min(len as u64) as usize)
    }
}

impl Block for Disk {
    fn sector_size(&self) -> u32 {
        SECTOR
    }

    fn size(&self) -> u64 {
        u64::from(self.item.size).next_multiple_of(SECTOR.into())
    }

    fn read_only(&self) -> bool {
        true
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        let len = self.count(offset, buffer.len())?;
        self.device.read(self.item, offset, &mut buffer[..len])?;
        Ok(len)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        self.count(offset, data.len())?;
        Err(HostErrorKind::ReadOnly.into())
    }

    fn flush(&self) -> Result<(), HostError> {
        Ok(())
    }
}

/// Reads of files and the disk straight into a window: the device writes there itself.
pub struct Direct {
    /// The device.
    pub device: Arc<FwCfg>,
    /// The store whose handles are read.
    pub store: Arc<FwCfgStore>,
    /// The disk.
    pub disk: Option<Arc<Disk>>,
    /// Address and physical address of the window, which is contiguous in both.
    pub window: (u64, u64),
}

impl Direct {
    fn physical(&self, window: &Window, at: u64, len: usize) -> Result<u64, HostError> {
        let address: NonNull<u8> = window.address(at, len as u64)?;
        let offset = (address.as_ptr().addr() as u64).checked_sub(self.window.0).ok_or(HostErrorKind::InvalidInput)?;
        Ok(self.window.1 + offset)
    }
}

impl WindowRead for Direct {
    fn read_file(&self, file: FileHandle, offset: u64, window: &Window, at: u64, len: usize) -> Result<usize, HostError> {
        let item = self.store.item(file)?;
        let len = left(item, offset).min(len);
        self.device.read_to(item, offset, self.physical(window, at, len)?, len)?;
        Ok(len)
    }

    fn read_block(&self, device: usize, offset: u64, window: &Window, at: u64, len: usize) -> Result<usize, HostError> {
        let disk = self.disk.as_ref().filter(|_| device == 0).ok_or(HostErrorKind::NotFound)?;
        let len = disk.count(offset, len)?;
        self.device.read_to(disk.item, offset, self.physical(window, at, len)?, len)?;
        Ok(len)
    }
}
