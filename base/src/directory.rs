//! Reading directories.

use crate::abi::constants::{DT_BLK, DT_CHR, DT_DIR, DT_FIFO, DT_LNK, DT_REG, DT_SOCK, DT_UNKNOWN, DT_WHT, LK_EXCLUSIVE};
use crate::error::FileError;
use crate::file::{File, lock, result};
use crate::kern::cred;
use crate::kern::errno::EIO;
use crate::kern::uio::Transfer;
use crate::kernel::Kernel;
use crate::stat::FileKind;
use crate::vfs::object::{Uio, Vnode};
use crate::vfs::{layers, vop};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::ptr;

/// Bytes of entries read at a time; more than the largest block of a directory.
const PIECE: usize = 64 << 10;

/// Names that a directory may have: more are those of a damaged one that leads back into itself.
const MOST: usize = 1 << 23;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name, in the file system's own encoding.
    pub name: Vec<u8>,
    /// The file's number.
    pub fileid: u64,
    /// What it is, if the directory says so.
    pub kind: Option<FileKind>,
}

impl Kernel {
    /// All names in a directory in its own order, `.` and `..` included where the file system has them. Union file systems give
    /// those of all layers, each once, the upper one's first.
    ///
    /// # Errors
    /// As [`open`](Self::open); `ENOTDIR` for what is no directory; `EIO` if the file system returns malformed entries, or
    /// the same ones over and over.
    pub fn read_directory(self: &Arc<Self>, path: impl AsRef<[u8]>) -> Result<Vec<DirectoryEntry>, FileError> {
        self.open(path)?.read_directory()
    }
}

impl File {
    /// As [`Kernel::read_directory`].
    ///
    /// # Errors
    /// As there.
    pub fn read_directory(&self) -> Result<Vec<DirectoryEntry>, FileError> {
        let mut names = Names::default();
        let mut layer = self.read_layer(self.vnode(), &mut names)?;
        while let Some(vp) = layer {
            names.next_layer();
            let outcome = self.read_layer(vp, &mut names);
            self.kernel().inside("read directory", self.path(), || {
                // SAFETY: a layer's directory is this function's own.
                unsafe { layers::close(vp) };
                Ok(())
            })?;
            layer = outcome?;
        }
        Ok(names.entries)
    }

    /// Reads a directory to its end; returns the one that a union file system shows below it.
    fn read_layer(&self, vp: Vnode, names: &mut Names) -> Result<Option<Vnode>, FileError> {
        let mut buffer = vec![0; PIECE];
        let mut offset = 0;
        let mut passed = BTreeSet::new();
        loop {
            let malformed = || FileError::new("read directory", self.path(), EIO);
            let (length, next, end) = self.kernel().inside("read directory", self.path(), || {
                Self::expect_directory(vp)?;
                read_piece(vp, offset, &mut buffer)
            })?;
            parse(self.kernel(), &buffer[..length], names).ok_or_else(malformed)?;
            if length == 0 || end || next == offset {
                // SAFETY: the caller has the directory open.
                return self.kernel().inside("read directory", self.path(), || unsafe { layers::below(vp) });
            }
            // From an offset that was passed the same entries would follow for ever.
            if !passed.insert(next) || names.read > MOST {
                return Err(malformed());
            }
            offset = next;
        }
    }
}

/// The names found so far.
#[derive(Default)]
struct Names {
    /// How many were read, of all layers.
    read: usize,
    entries: Vec<DirectoryEntry>,
    /// Where in `entries` this layer begins.
    layer: usize,
    /// Names of the layer that are whiteouts, if a layer lies below. Without one the kind is taken for what it is: there are
    /// file systems that fill it in wrongly.
    whiteouts: BTreeSet<usize>,
    /// Names of the layers above: those of the one that is read do not count again.
    above: BTreeSet<Vec<u8>>,
}

impl Names {
    /// What was read since the last call belongs to a layer with another one below it.
    fn next_layer(&mut self) {
        let whiteouts = core::mem::take(&mut self.whiteouts);
        let layer = self.entries.split_off(self.layer);
        for (index, entry) in layer.into_iter().enumerate() {
            self.above.insert(entry.name.clone());
            if !whiteouts.contains(&index) {
                self.entries.push(entry);
            }
        }
        self.layer = self.entries.len();
    }

    fn add(&mut self, name: &[u8], fileid: u64, kind: i32) {
        self.read += 1;
        if self.above.contains(name) {
            return;
        }
        if kind == DT_WHT {
            self.whiteouts.insert(self.entries.len() - self.layer);
        }
        self.entries.push(DirectoryEntry { name: name.to_vec(), fileid, kind: kind_of(kind) });
    }
}

/// Reads entries from `offset` on; returns their bytes, where to go on, and whether that is the end.
fn read_piece(vp: Vnode, offset: i64, buffer: &mut [u8]) -> Result<(usize, i64, bool), i32> {
    lock(vp, LK_EXCLUSIVE)?;
    let mut end = 0;
    let mut transfer = Transfer::new(buffer.as_mut_ptr(), buffer.len(), offset, false);
    // SAFETY: the vnode is locked, the buffer has the length; nobody wants cookies.
    let error = unsafe {
        let io = Uio(transfer.uio());
        let error = vop::readdir(vp, io, cred::current(), &raw mut end, ptr::null_mut(), ptr::null_mut());
        vop::unlock(vp);
        error
    };
    result(error)?;
    let length = buffer.len() - transfer.residue().min(buffer.len());
    Ok((length, transfer.offset(), end != 0))
}

/// Takes entries apart; `None` if one does not lie within the bytes.
fn parse(kernel: &Kernel, bytes: &[u8], names: &mut Names) -> Option<()> {
    let layout = &kernel.abi.dirent;
    let header = layout.d_name.offset();
    let mut rest = bytes;
    while !rest.is_empty() {
        let number = |at: usize, size: usize| -> Option<u64> {
            let mut value = [0; 8];
            value.get_mut(..size)?.copy_from_slice(rest.get(at..at + size)?);
            Some(u64::from_le_bytes(value))
        };
        let fileid = number(layout.d_fileno.offset(), layout.d_fileno.size())?;
        let record = number(layout.d_reclen.offset(), 2)? as usize;
        let length = number(layout.d_namlen.offset(), 2)? as usize;
        let kind = number(layout.d_type.offset(), 1)? as i32;
        if record < header || record > rest.len() {
            return None;
        }
        // A name ends at its NUL at the latest, whatever its length field says.
        let field = &rest[header..record];
        let name = &field[..length.min(field.len())];
        let name = name.split(|byte| *byte == 0).next().unwrap_or(name);
        if fileid != 0 && !name.is_empty() {
            names.add(name, fileid, kind);
        }
        rest = &rest[record..];
    }
    Some(())
}

fn kind_of(kind: i32) -> Option<FileKind> {
    Some(match kind {
        DT_REG => FileKind::File,
        DT_DIR => FileKind::Directory,
        DT_LNK => FileKind::Link,
        DT_BLK => FileKind::BlockDevice,
        DT_CHR => FileKind::CharacterDevice,
        DT_SOCK => FileKind::Socket,
        DT_FIFO => FileKind::Fifo,
        DT_UNKNOWN => return None,
        _ => FileKind::Other,
    })
}

#[cfg(test)]
mod tests {
    use super::{DT_REG, DT_WHT, Names};
    use std::vec::Vec;

    #[test]
    fn upper_layers_hide_names() {
        let mut names = Names::default();
        for (name, kind) in [("a", DT_REG), ("gone", DT_WHT)] {
            names.add(name.as_bytes(), 1, kind);
        }
        names.next_layer();
        for name in ["a", "b", "gone", "b"] {
            names.add(name.as_bytes(), 2, DT_REG);
        }
        let found: Vec<_> = names.entries.iter().map(|entry| (entry.name.as_slice(), entry.fileid)).collect();
        assert_eq!(found, [(&b"a"[..], 1), (b"b", 2), (b"b", 2)]);
        assert_eq!(names.read, 6);
    }

    #[test]
    fn a_whiteout_above_nothing_is_a_name() {
        let mut names = Names::default();
        names.add(b"odd", 1, DT_WHT);
        assert_eq!(names.entries.len(), 1);
    }
}
