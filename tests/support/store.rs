//! Files in memory.

use rumpload::resource::{FileHandle, FileKind, HostError, HostErrorKind, Metadata, Store};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Clone)]
enum Node {
    File(Vec<u8>),
    Directory,
    Other,
}

/// A store in memory. Directories above a file are there by themselves.
#[derive(Default)]
pub struct MemoryStore {
    nodes: Mutex<BTreeMap<String, Node>>,
    open: Mutex<HashMap<u64, (String, Vec<u8>)>>,
    calls: AtomicUsize,
    opened: Mutex<Vec<String>>,
}

impl MemoryStore {
    /// Makes a file, or replaces it.
    pub fn file(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.insert(path, Node::File(bytes.into()));
    }

    /// Cuts a file to `len` bytes where it is open.
    pub fn truncate(&self, path: &str, len: usize) {
        let mut open = self.open.lock().unwrap();
        open.values_mut().filter(|(opened, _)| opened == path).for_each(|(_, bytes)| bytes.truncate(len));
    }

    /// Makes a directory.
    pub fn directory(&self, path: &str) {
        self.insert(path, Node::Directory);
    }

    /// Makes something that can be seen and not opened.
    pub fn other(&self, path: &str) {
        self.insert(path, Node::Other);
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        self.nodes.lock().unwrap().remove(path);
    }

    fn insert(&self, path: &str, node: Node) {
        let mut nodes = self.nodes.lock().unwrap();
        for (at, _) in path.match_indices('/') {
            nodes.entry(path[..at].to_owned()).or_insert(Node::Directory);
        }
        nodes.insert(path.to_owned(), node);
    }

    /// Calls so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Files open now.
    pub fn open_files(&self) -> usize {
        self.open.lock().unwrap().len()
    }

    /// Paths opened so far.
    pub fn opened(&self) -> Vec<String> {
        self.opened.lock().unwrap().clone()
    }

    fn find(&self, path: &str) -> Result<Node, HostError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if path.split('/').any(|part| matches!(part, "." | "..") || (part.is_empty() && !path.is_empty())) {
            return Err(HostErrorKind::InvalidInput.into());
        }
        if path.is_empty() {
            return Ok(Node::Directory);
        }
        self.nodes.lock().unwrap().get(path).cloned().ok_or_else(|| HostErrorKind::NotFound.into())
    }
}

impl Store for MemoryStore {
    fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        Ok(match self.find(path)? {
            Node::File(bytes) => Metadata { kind: FileKind::Regular, size: bytes.len() as u64 },
            Node::Directory => Metadata { kind: FileKind::Directory, size: 0 },
            Node::Other => Metadata { kind: FileKind::Other, size: 0 },
        })
    }

    fn open(&self, path: &str) -> Result<FileHandle, HostError> {
        match self.find(path)? {
            Node::File(bytes) => {
                self.opened.lock().unwrap().push(path.to_owned());
                let mut open = self.open.lock().unwrap();
                let handle = (1..).find(|handle| !open.contains_key(handle)).expect("a free number");
                open.insert(handle, (path.to_owned(), bytes));
                Ok(FileHandle(handle))
            }
            Node::Directory => Err(HostErrorKind::IsADirectory.into()),
            Node::Other => Err(HostErrorKind::Unsupported.into()),
        }
    }

    fn size(&self, file: FileHandle) -> Result<u64, HostError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        open.get(&file.0).map(|(_, bytes)| bytes.len() as u64).ok_or_else(|| HostErrorKind::InvalidInput.into())
    }

    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        let (_, bytes) = open.get(&file.0).ok_or(HostErrorKind::InvalidInput)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        // Short on purpose: callers loop.
        let len = rest.len().min(buffer.len()).min(1000);
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn close(&self, file: FileHandle) {
        self.open.lock().unwrap().remove(&file.0);
    }

    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError> {
        if self.metadata(path)?.kind != FileKind::Directory {
            return Err(HostErrorKind::NotADirectory.into());
        }
        let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
        for (name, node) in self.nodes.lock().unwrap().iter() {
            let Some(name) = name.strip_prefix(&prefix).filter(|name| !name.is_empty() && !name.contains('/')) else { continue };
            let kind = match node {
                Node::File(_) => FileKind::Regular,
                Node::Directory => FileKind::Directory,
                Node::Other => FileKind::Other,
            };
            each(name, kind);
        }
        Ok(())
    }
}
