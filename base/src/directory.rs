//! Reading directories.

use crate::abi::constants::{DT_BLK, DT_CHR, DT_DIR, DT_FIFO, DT_LNK, DT_REG, DT_SOCK, DT_UNKNOWN, LK_EXCLUSIVE};
use crate::error::FileError;
use crate::file::{File, lock, result};
use crate::kern::cred;
use crate::kern::errno::EIO;
use crate::kern::uio::Transfer;
use crate::kernel::Kernel;
use crate::stat::FileKind;
use crate::vfs::object::{Uio, Vnode};
use crate::vfs::vop;
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
    /// All names in a directory in its own order, `.` and `..` included where the file system has them.
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
        let mut entries = Vec::new();
        let mut buffer = vec![0; PIECE];
        let mut offset = 0;
        let mut passed = BTreeSet::new();
        loop {
            let (length, next, end) = self.kernel().inside("read directory", self.path(), || {
                Self::expect_directory(self.vnode())?;
                read_piece(self.vnode(), offset, &mut buffer)
            })?;
            if length == 0 || parse(self.kernel(), &buffer[..length], &mut entries).is_none() {
                if length == 0 {
                    return Ok(entries);
                }
                return Err(FileError::new("read directory", self.path(), EIO));
            }
            if end || next == offset {
                return Ok(entries);
            }
            // From an offset that was passed the same entries would follow for ever.
            if !passed.insert(next) || entries.len() > MOST {
                return Err(FileError::new("read directory", self.path(), EIO));
            }
            offset = next;
        }
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
fn parse(kernel: &Kernel, bytes: &[u8], entries: &mut Vec<DirectoryEntry>) -> Option<()> {
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
            entries.push(DirectoryEntry { name: name.to_vec(), fileid, kind: kind_of(kind) });
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
