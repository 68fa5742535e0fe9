//! Files of a kernel as its server sees them.

use crate::abi::constants::{FREAD, FWRITE, IO_UNIT, LK_EXCLUSIVE, LK_SHARED, VDIR, VLNK, VREG};
use crate::character;
use crate::error::FileError;
use crate::kern::cred;
use crate::kern::errno::{EINVAL, EISDIR, EMOVEFD, ENOTDIR};
use crate::kern::uio::Transfer;
use crate::kernel::{Kernel, kernel};
use crate::stat::{Stat, attributes};
use crate::vfs::object::{Uio, Vnode};
use crate::vfs::{lookup, vn, vnode, vop};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// Longest target of a symbolic link, in bytes.
const LINK_ROOM: usize = 1024;

/// An open file or directory. Closed when dropped.
pub struct File {
    kernel: Arc<Kernel>,
    vnode: Vnode,
    mode: i32,
    path: Vec<u8>,
    open: bool,
}

// SAFETY: the vnode is only touched inside the instance, which lets one thread in at a time.
unsafe impl Send for File {}
// SAFETY: as above.
unsafe impl Sync for File {}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("File").field("path", &String::from_utf8_lossy(&self.path)).finish_non_exhaustive()
    }
}

/// Locks a referenced vnode, dead or alive.
pub(crate) fn lock(vp: Vnode, how: i32) -> Result<(), i32> {
    result(vn::lock(vp, how | kernel().abi.constant.lk_retry as i32))
}

/// An error number as a result.
pub(crate) fn result(error: i32) -> Result<(), i32> {
    if error == 0 { Ok(()) } else { Err(error) }
}

/// Opens a referenced, unlocked vnode; gives the reference up on failure.
pub(crate) fn open_vnode(vp: Vnode, mode: i32) -> Result<(), i32> {
    let outcome = lock(vp, LK_EXCLUSIVE).and_then(|()| {
        // SAFETY: locked just now and referenced.
        unsafe {
            let error = vn::open(vp, mode);
            vop::unlock(vp);
            result(error)
        }
    });
    if outcome.is_err() {
        // SAFETY: referenced by the caller, who loses it.
        unsafe { vnode::vrele(vp) };
    }
    outcome
}

impl Kernel {
    /// Opens a file or directory for reading. Symbolic links are followed.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ELOOP` and what else looking the path up and the file system give; `EOPNOTSUPP` for a character
    /// device that makes a file for each open, which [`open_character_device`](Self::open_character_device) is for.
    pub fn open(self: &Arc<Self>, path: impl AsRef<[u8]>) -> Result<File, FileError> {
        self.open_with(path.as_ref(), FREAD)
    }

    /// Opens a file that is there for reading and writing.
    ///
    /// # Errors
    /// As [`open`](Self::open), `EISDIR` for a directory, `EROFS` if the mount refuses changes.
    pub fn open_for_writing(self: &Arc<Self>, path: impl AsRef<[u8]>) -> Result<File, FileError> {
        self.open_with(path.as_ref(), FREAD | FWRITE)
    }

    fn open_with(self: &Arc<Self>, path: &[u8], mode: i32) -> Result<File, FileError> {
        let vnode = self.inside("open", path, || {
            let vp = lookup::find(path, true)?;
            if mode & FWRITE != 0
                && let Err(error) = writable(vp)
            {
                // SAFETY: referenced by the lookup.
                unsafe { vnode::vrele(vp) };
                return Err(error);
            }
            match open_vnode(vp, mode) {
                // What a device that clones itself made is no file of a file system.
                Err(EMOVEFD) => Err(character::refuse_clone()),
                outcome => outcome.map(|()| vp),
            }
        })?;
        Ok(self.file(vnode, mode, path))
    }

    /// A file of an open, referenced vnode.
    pub(crate) fn file(self: &Arc<Self>, vnode: Vnode, mode: i32, path: &[u8]) -> File {
        File { kernel: Arc::clone(self), vnode, mode, path: path.into(), open: true }
    }

    /// Attributes of what a path leads to; symbolic links are followed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn stat(&self, path: impl AsRef<[u8]>) -> Result<Stat, FileError> {
        self.stat_with("stat", path.as_ref(), true)
    }

    /// Attributes of what a path names, be it a symbolic link.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn lstat(&self, path: impl AsRef<[u8]>) -> Result<Stat, FileError> {
        self.stat_with("lstat", path.as_ref(), false)
    }

    fn stat_with(&self, operation: &'static str, path: &[u8], follow: bool) -> Result<Stat, FileError> {
        self.inside(operation, path, || {
            let vp = lookup::find(path, follow)?;
            let stat = stat_of(vp);
            // SAFETY: referenced by the lookup.
            unsafe { vnode::vrele(vp) };
            stat
        })
    }

    /// What a symbolic link points to.
    ///
    /// # Errors
    /// As [`open`](Self::open); `EINVAL` for what is no symbolic link.
    pub fn read_link(&self, path: impl AsRef<[u8]>) -> Result<Vec<u8>, FileError> {
        let path = path.as_ref();
        let mut target = [0; LINK_ROOM];
        let length = self.inside("read link", path, || {
            let vp = lookup::find(path, false)?;
            let length = if vp.kind() == VLNK { lookup::read_link(vp, target.as_mut_ptr(), LINK_ROOM) } else { Err(EINVAL) };
            // SAFETY: referenced by the lookup.
            unsafe { vnode::vrele(vp) };
            length
        })?;
        Ok(target[..length].to_vec())
    }
}

/// Whether a vnode's mount takes changes.
fn writable(vp: Vnode) -> Result<(), i32> {
    if vp.kind() == VDIR {
        return Err(EISDIR);
    }
    let read_only = vp.kind() == VREG && vp.mount().flag() & crate::abi::constants::MNT_RDONLY != 0;
    if read_only { Err(crate::kern::errno::EROFS) } else { Ok(()) }
}

fn stat_of(vp: Vnode) -> Result<Stat, i32> {
    lock(vp, LK_SHARED)?;
    let stat = attributes(vp);
    // SAFETY: locked above.
    unsafe { vop::unlock(vp) };
    stat
}

impl File {
    /// The path it was opened by.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    pub(crate) fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    pub(crate) fn vnode(&self) -> Vnode {
        self.vnode
    }

    /// Reads from byte `offset` on into `buffer`; returns how many bytes, fewer only at the end of the file.
    ///
    /// # Errors
    /// `EISDIR` for a directory, or what the file system or its device gives.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        let (vp, length) = (self.vnode, buffer.len());
        self.kernel.inside("read", &self.path, || {
            if vp.kind() == VDIR {
                return Err(EISDIR);
            }
            let offset = i64::try_from(offset).map_err(|_| EINVAL)?;
            lock(vp, LK_EXCLUSIVE)?;
            let mut transfer = Transfer::new(buffer.as_mut_ptr(), length, offset, false);
            // SAFETY: the vnode is locked, the buffer has the length.
            let error = unsafe {
                let error = vop::read(vp, Uio(transfer.uio()), 0, cred::current());
                vop::unlock(vp);
                error
            };
            let done = length - transfer.residue().min(length);
            if error != 0 && done == 0 { Err(error) } else { Ok(done) }
        })
    }

    /// Reads the whole file, at most `limit` bytes of it.
    ///
    /// # Errors
    /// As [`read_at`](Self::read_at).
    pub fn read_to_vec(&self, limit: usize) -> Result<Vec<u8>, FileError> {
        let mut bytes = Vec::new();
        while bytes.len() < limit {
            let start = bytes.len();
            bytes.resize(limit.min(start + (256 << 10)), 0);
            let count = self.read_at(start as u64, &mut bytes[start..])?;
            bytes.truncate(start + count);
            if count == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Writes all of `data` from byte `offset` on; returns how many bytes were taken, fewer only with an error later.
    ///
    /// # Errors
    /// `EBADF` unless opened for writing, `ENOSPC`, `EFBIG` or what the file system gives.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<usize, FileError> {
        let (vp, length) = (self.vnode, data.len());
        self.kernel.inside("write", &self.path, || {
            if self.mode & FWRITE == 0 {
                return Err(crate::kern::errno::EBADF);
            }
            let offset = i64::try_from(offset).map_err(|_| EINVAL)?;
            lock(vp, LK_EXCLUSIVE)?;
            let mut transfer = Transfer::new(data.as_ptr().cast_mut(), length, offset, true);
            // SAFETY: the vnode is locked; the file system only reads from the buffer of a write.
            let error = unsafe {
                let error = vop::write(vp, Uio(transfer.uio()), IO_UNIT, cred::current());
                vop::unlock(vp);
                error
            };
            let done = length - transfer.residue().min(length);
            if error != 0 && done == 0 { Err(error) } else { Ok(done) }
        })
    }

    /// Writes what is dirty of the file to its device.
    ///
    /// # Errors
    /// What the file system or its device gives.
    pub fn sync(&self) -> Result<(), FileError> {
        let vp = self.vnode;
        self.kernel.inside("sync", &self.path, || {
            lock(vp, LK_EXCLUSIVE)?;
            // SAFETY: locked above and referenced.
            unsafe {
                let error = vop::fsync(vp, cred::current(), crate::abi::constants::FSYNC_WAIT, 0, 0);
                vop::unlock(vp);
                result(error)
            }
        })
    }

    /// Attributes of the file.
    ///
    /// # Errors
    /// What the file system gives.
    pub fn stat(&self) -> Result<Stat, FileError> {
        self.kernel.inside("stat", &self.path, || stat_of(self.vnode))
    }

    /// Whether it is a directory.
    ///
    /// # Errors
    /// [`FileError::Ended`].
    pub fn is_directory(&self) -> Result<bool, FileError> {
        self.kernel.inside("stat", &self.path, || Ok(self.vnode.kind() == VDIR))
    }

    /// Fails with `ENOTDIR` for what is no directory.
    pub(crate) fn expect_directory(vp: Vnode) -> Result<(), i32> {
        if vp.kind() == VDIR { Ok(()) } else { Err(ENOTDIR) }
    }

    /// Closes the file and says how that went, which dropping does not.
    ///
    /// # Errors
    /// What the file system gives; the file is closed all the same.
    pub fn close(mut self) -> Result<(), FileError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), FileError> {
        self.open = false;
        let (vp, mode) = (self.vnode, self.mode);
        // SAFETY: the file holds a reference and opened the vnode with this mode.
        self.kernel.inside("close", &self.path, || result(unsafe { vn::vn_close(vp, mode, cred::current()) }))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        if self.open {
            // An instance that has ended frees the vnode with all its memory.
            let _ = self.finish();
        }
    }
}
