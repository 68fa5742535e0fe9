use super::{Call, Fault, Faulty};
use crate::resource::{FileHandle, FileKind, HostError, HostErrorKind, Metadata, Store};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use spin::Mutex;

/// Files in memory. Directories exist as long as there is a file below them; the root always does.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Arc<Vec<u8>>>,
    open: BTreeMap<u64, Arc<Vec<u8>>>,
    last: u64,
}

impl MemoryStore {
    /// No files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces the file `path`; those that are open keep their contents.
    pub fn insert(&self, path: &str, contents: impl Into<Vec<u8>>) {
        self.state.lock().files.insert(path.into(), Arc::new(contents.into()));
    }

    /// Removes the file `path`, if it is there.
    pub fn remove(&self, path: &str) {
        self.state.lock().files.remove(path);
    }

    /// Number of files that are open.
    #[must_use]
    pub fn open_files(&self) -> usize {
        self.state.lock().open.len()
    }
}

impl State {
    fn find(&self, path: &str) -> Result<Option<&Arc<Vec<u8>>>, HostError> {
        if path.is_empty() {
            return Ok(None);
        }
        if path.split('/').any(|part| matches!(part, "" | "." | "..") || part.contains('\0')) {
            return Err(HostErrorKind::InvalidInput.into());
        }
        if let Some(file) = self.files.get(path) {
            return Ok(Some(file));
        }
        let above = path.match_indices('/').any(|(end, _)| self.files.contains_key(&path[..end]));
        let below = format!("{path}/");
        if above {
            Err(HostErrorKind::NotADirectory.into())
        } else if self.files.keys().any(|name| name.starts_with(&below)) {
            Ok(None)
        } else {
            Err(HostErrorKind::NotFound.into())
        }
    }
}

impl Store for MemoryStore {
    fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        Ok(match self.state.lock().find(path)? {
            Some(file) => Metadata { kind: FileKind::Regular, size: file.len() as u64 },
            None => Metadata { kind: FileKind::Directory, size: 0 },
        })
    }

    fn open(&self, path: &str) -> Result<FileHandle, HostError> {
        let mut state = self.state.lock();
        let file = state.find(path)?.cloned().ok_or(HostErrorKind::IsADirectory)?;
        state.last += 1;
        let handle = state.last;
        state.open.insert(handle, file);
        Ok(FileHandle(handle))
    }

    fn size(&self, file: FileHandle) -> Result<u64, HostError> {
        Ok(self.state.lock().open.get(&file.0).ok_or(HostErrorKind::InvalidInput)?.len() as u64)
    }

    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        let contents = self.state.lock().open.get(&file.0).ok_or(HostErrorKind::InvalidInput)?.clone();
        let rest = usize::try_from(offset).ok().and_then(|offset| contents.get(offset..)).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn close(&self, file: FileHandle) {
        self.state.lock().open.remove(&file.0);
    }

    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError> {
        let mut found = BTreeSet::new();
        {
            let state = self.state.lock();
            if state.find(path)?.is_some() {
                return Err(HostErrorKind::NotADirectory.into());
            }
            let directory = if path.is_empty() { String::new() } else { format!("{path}/") };
            for rest in state.files.keys().filter_map(|name| name.strip_prefix(&directory)) {
                let (name, is_file) = rest.split_once('/').map_or((rest, true), |(name, _)| (name, false));
                found.insert((String::from(name), is_file));
            }
        }
        for (name, is_file) in found {
            each(&name, if is_file { FileKind::Regular } else { FileKind::Directory });
        }
        Ok(())
    }
}

impl Store for Faulty<dyn Store> {
    fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        self.check_path(path);
        let fault = self.enter(Call::Metadata)?;
        let found = self.inner.metadata(path)?;
        Ok(if fault == Some(Fault::Lie) { Metadata { size: u64::MAX, ..found } } else { found })
    }

    fn open(&self, path: &str) -> Result<FileHandle, HostError> {
        self.check_path(path);
        self.enter(Call::Open)?;
        let handle = self.inner.open(path)?;
        self.faults.opened(handle);
        Ok(handle)
    }

    fn size(&self, file: FileHandle) -> Result<u64, HostError> {
        self.check_handle(file, "size");
        let fault = self.enter(Call::Size)?;
        let size = self.inner.size(file)?;
        Ok(if fault == Some(Fault::Lie) { u64::MAX } else { size })
    }

    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.check_handle(file, "read_at");
        match self.enter(Call::ReadAt)? {
            Some(Fault::Short) => {
                let half = buffer.len().div_ceil(2);
                self.inner.read_at(file, offset, &mut buffer[..half])
            }
            Some(Fault::Garbage) => {
                let len = self.inner.read_at(file, offset, buffer)?;
                garble(&mut buffer[..len]);
                Ok(len)
            }
            Some(Fault::Lie) => Ok(buffer.len() + 1),
            _ => self.inner.read_at(file, offset, buffer),
        }
    }

    fn close(&self, file: FileHandle) {
        self.check_handle(file, "close");
        self.faults.closed(file);
        self.inner.close(file);
    }

    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError> {
        self.check_path(path);
        match self.faults.enter(Call::List) {
            Some(Fault::Error(kind)) => {
                let mut first = true;
                self.inner.list(path, &mut |name, kind| {
                    if core::mem::take(&mut first) {
                        each(name, kind);
                    }
                })?;
                return Err(kind.into());
            }
            Some(Fault::Lie | Fault::Garbage) => {
                for name in ["", ".", "..", "a/b", "../escape", "nul\0"] {
                    each(name, FileKind::Regular);
                }
            }
            _ => {}
        }
        self.inner.list(path, each)
    }
}

impl Faulty<dyn Store> {
    fn check_path(&self, path: &str) {
        if !path.is_empty() && path.split('/').any(|part| matches!(part, "" | "." | "..") || part.contains('\0')) {
            self.faults.note(format!("path {path:?}"));
        }
    }

    fn check_handle(&self, file: FileHandle, call: &str) {
        if !self.faults.is_open(file) {
            self.faults.note(format!("{call} of a file that is not open: {}", file.0));
        }
    }
}

/// Changes every byte.
pub(super) fn garble(bytes: &mut [u8]) {
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte ^= (index as u8).wrapping_mul(29) | 1;
    }
}
