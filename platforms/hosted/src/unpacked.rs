//! A store whose compressed modules look like plain ones.

use crate::unpack::{MAX_UNPACKED, SUFFIXES, unpack};
use rumpload::resource::{FileHandle, FileKind, HostError, HostErrorKind, Metadata, Store};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Handles of unpacked files have this bit; stores below count up from 1.
const UNPACKED: u64 = 1 << 63;

/// The files of another store; `NAME.ko.gz`, `NAME.ko.xz` and `NAME.ko.zst` are listed as `NAME.ko` and read unpacked.
///
/// A plain file of the name goes before a compressed one. A file is unpacked as a whole when it is looked at or opened.
pub struct UnpackedStore {
    below: Arc<dyn Store>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    files: HashMap<u64, Arc<[u8]>>,
    last: u64,
}

/// What a path leads to.
enum Found {
    /// A file or directory of the store below, as it is.
    Plain(Metadata),
    /// The contents of a compressed file.
    Unpacked(Arc<[u8]>),
}

impl UnpackedStore {
    /// The files of `below`.
    #[must_use]
    pub fn new(below: Arc<dyn Store>) -> Self {
        Self { below, open: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, path: &str) -> Result<Found, HostError> {
        let missing = match self.below.metadata(path) {
            Ok(metadata) => return Ok(Found::Plain(metadata)),
            Err(error) if error.kind() == HostErrorKind::NotFound => error,
            Err(error) => return Err(error),
        };
        let [plain, packed @ ..] = SUFFIXES;
        let Some(stem) = path.strip_suffix(plain) else { return Err(missing) };
        for suffix in packed {
            let path = format!("{stem}{suffix}");
            match self.below.open(&path) {
                Ok(file) => {
                    let read = self.read(file);
                    self.below.close(file);
                    return Ok(Found::Unpacked(unpack(&read?, MAX_UNPACKED)?.into()));
                }
                Err(error) if error.kind() == HostErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Err(missing)
    }

    /// All of an open file of the store below.
    fn read(&self, file: FileHandle) -> Result<Vec<u8>, HostError> {
        let size = usize::try_from(self.below.size(file)?).ok().filter(|&size| size <= MAX_UNPACKED);
        let mut bytes = vec![0; size.ok_or(HostErrorKind::OutOfMemory)?];
        let mut done = 0;
        while done < bytes.len() {
            match self.below.read_at(file, done as u64, &mut bytes[done..])? {
                0 => break,
                count => done += count,
            }
        }
        bytes.truncate(done);
        Ok(bytes)
    }

    fn unpacked(&self, file: FileHandle) -> Result<Arc<[u8]>, HostError> {
        self.lock().files.get(&file.0).cloned().ok_or_else(|| HostErrorKind::InvalidInput.into())
    }
}

impl Store for UnpackedStore {
    fn metadata(&self, path: &str) -> Result<Metadata, HostError> {
        Ok(match self.find(path)? {
            Found::Plain(metadata) => metadata,
            Found::Unpacked(bytes) => Metadata { kind: FileKind::Regular, size: bytes.len() as u64 },
        })
    }

    fn open(&self, path: &str) -> Result<FileHandle, HostError> {
        match self.find(path)? {
            Found::Plain(_) => self.below.open(path),
            Found::Unpacked(bytes) => {
                let mut open = self.lock();
                open.last += 1;
                let handle = open.last | UNPACKED;
                open.files.insert(handle, bytes);
                Ok(FileHandle(handle))
            }
        }
    }

    fn size(&self, file: FileHandle) -> Result<u64, HostError> {
        if file.0 & UNPACKED == 0 {
            return self.below.size(file);
        }
        Ok(self.unpacked(file)?.len() as u64)
    }

    fn read_at(&self, file: FileHandle, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        if file.0 & UNPACKED == 0 {
            return self.below.read_at(file, offset, buffer);
        }
        let bytes = self.unpacked(file)?;
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn close(&self, file: FileHandle) {
        if file.0 & UNPACKED == 0 {
            return self.below.close(file);
        }
        let closed = self.lock().files.remove(&file.0);
        drop(closed);
    }

    fn list(&self, path: &str, each: &mut dyn FnMut(&str, FileKind)) -> Result<(), HostError> {
        let mut names: HashMap<String, FileKind> = HashMap::new();
        let [plain, packed @ ..] = SUFFIXES;
        self.below.list(path, &mut |name, kind| {
            let stem = packed.iter().find_map(|suffix| name.strip_suffix(suffix)).filter(|_| kind == FileKind::Regular);
            match stem {
                Some(stem) => drop(names.entry(format!("{stem}{plain}")).or_insert(kind)),
                None => drop(names.insert(name.to_owned(), kind)),
            }
        })?;
        names.iter().for_each(|(name, &kind)| each(name, kind));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DirectoryStore;

    /// `module`, compressed by gzip.
    const GZ: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\xcd\x4f\x29\xcd\x49\xe5\x02\x00\x4f\x8a\x6e\x07\x07\x00\x00\x00";

    fn store() -> (tempfile::TempDir, UnpackedStore) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(directory.path().join("a.ko.gz"), GZ).expect("written");
        std::fs::write(directory.path().join("b.ko"), "plain").expect("written");
        std::fs::write(directory.path().join("b.ko.gz"), GZ).expect("written");
        std::fs::write(directory.path().join("c.ko.xz"), "\u{fd}7zXZ").expect("written");
        let below = DirectoryStore::open(directory.path()).expect("a directory");
        (directory, UnpackedStore::new(Arc::new(below)))
    }

    #[test]
    fn compressed_files_read_as_plain_ones() {
        let (_directory, store) = store();
        for (path, contents) in [("a.ko", &b"module\n"[..]), ("b.ko", b"plain")] {
            let file = store.open(path).expect(path);
            let mut buffer = [0; 16];
            assert_eq!(store.size(file), Ok(contents.len() as u64));
            assert_eq!(store.metadata(path).expect(path).size, contents.len() as u64);
            let count = store.read_at(file, 0, &mut buffer).expect("read");
            assert_eq!(&buffer[..count], contents);
            assert_eq!(store.read_at(file, 2, &mut buffer[..3]), Ok(3));
            assert_eq!(store.read_at(file, 100, &mut buffer), Ok(0));
            store.close(file);
            assert!(store.size(file).is_err());
        }
        assert_eq!(store.open("d.ko").expect_err("missing").kind(), HostErrorKind::NotFound);
        assert_eq!(store.open("a").expect_err("missing").kind(), HostErrorKind::NotFound);
    }

    #[test]
    fn each_module_is_listed_once() {
        let (_directory, store) = store();
        let mut names = Vec::new();
        store.list("", &mut |name, _| names.push(name.to_owned())).expect("listed");
        names.sort();
        assert_eq!(names, ["a.ko", "b.ko", "c.ko"]);
    }
}
