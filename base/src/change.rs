//! Requests that change a file system: making, removing, renaming, attributes.

use crate::abi::constants::{
    CREATE, CREATEDIR, DELETE, FREAD, FWRITE, LK_EXCLUSIVE, LOCKLEAF, LOCKPARENT, NOFOLLOW, RENAME, VBLK, VCHR, VDIR, VFIFO,
    VLNK, VREG, VSOCK, VV_ROOT,
};
use crate::error::FileError;
use crate::file::{File, lock, open_vnode, result};
use crate::kern::cred;
use crate::kern::errno::{EBUSY, EEXIST, EINVAL, EISDIR, ENOENT, ENOTDIR, EPERM, EROFS, EXDEV};
use crate::kernel::{Kernel, kernel};
use crate::stat::{Attributes, FileKind, Timestamp};
use crate::vfs::lookup::{self, Component, Found, PathBuffer};
use crate::vfs::object::{ComponentName, Vattr, Vnode};
use crate::vfs::vnode::{vput, vrele};
use crate::vfs::{fstype, text, vop};
use alloc::sync::Arc;

/// What is to change of a file's attributes; `None` leaves as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size in bytes, of a regular file.
    pub size: Option<u64>,
    /// Last read.
    pub accessed: Option<Timestamp>,
    /// Last change of the contents.
    pub modified: Option<Timestamp>,
}

/// Looks the place for a change up and runs `work` with what was found, whose directory is locked.
fn at_parent<R>(
    path: &[u8],
    operation: i32,
    flags: i32,
    work: impl FnOnce(Found, ComponentName) -> Result<R, i32>,
) -> Result<R, i32> {
    if path.first() != Some(&b'/') {
        return Err(EINVAL);
    }
    let buffer = PathBuffer::new(path)?;
    let mut component = Component::new(operation, LOCKPARENT | flags);
    let name = component.handle();
    let outcome = lookup::resolve(buffer, Vnode::NULL, name).and_then(|found| work(found, name));
    buffer.free();
    outcome
}

/// Gives back what a lookup found when the change does not take place.
fn let_go(found: &Found, name: ComponentName) {
    // SAFETY: the directory is locked and referenced; the file is referenced, and locked if that was asked for and it is not
    // the directory itself.
    unsafe {
        vop::abortop(found.directory, name);
        if !found.vnode.is_null() {
            let locked = name.flags() & LOCKLEAF as u32 != 0 && found.vnode != found.directory;
            if locked { vput(found.vnode) } else { vrele(found.vnode) }
        }
        vput(found.directory);
    }
}

/// Makes something new at `path`; returns it referenced and unlocked.
fn make(
    path: &[u8],
    kind: i32,
    mode: u32,
    work: impl FnOnce(Vnode, *mut Vnode, ComponentName, Vattr) -> i32,
) -> Result<Vnode, i32> {
    let flags = if kind == VDIR { CREATEDIR } else { 0 };
    at_parent(path, CREATE, flags | NOFOLLOW, |found, name| {
        let problem = if !found.vnode.is_null() {
            EEXIST
        } else if found.directory.mount().flag() & crate::abi::constants::MNT_RDONLY != 0 {
            EROFS
        } else {
            0
        };
        if problem != 0 {
            let_go(&found, name);
            return Err(problem);
        }
        let mut attributes = Attributes::new();
        let wanted = attributes.handle();
        wanted.set_kind(kind);
        wanted.set_mode(mode & 0o7777);
        let mut vp = Vnode::NULL;
        let error = work(found.directory, &raw mut vp, name, wanted);
        // SAFETY: the operation leaves the directory locked.
        unsafe { vput(found.directory) };
        result(error).map(|()| vp)
    })
}

impl Kernel {
    /// Makes an empty regular file with permission bits `mode` and opens it for reading and writing.
    ///
    /// # Errors
    /// `EEXIST` if the name is taken, `EROFS`, `ENOSPC` or what the file system gives.
    pub fn create(self: &Arc<Self>, path: impl AsRef<[u8]>, mode: u32) -> Result<File, FileError> {
        let path = path.as_ref();
        let vnode = self.inside("create", path, || {
            // SAFETY: the directory is locked as the operation wants.
            let vp = make(path, VREG, mode, |directory, vpp, name, wanted| unsafe { vop::create(directory, vpp, name, wanted) })?;
            open_vnode(vp, FREAD | FWRITE)?;
            Ok(vp)
        })?;
        Ok(self.file(vnode, FREAD | FWRITE, path))
    }

    /// Makes a directory with permission bits `mode`.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_directory(&self, path: impl AsRef<[u8]>, mode: u32) -> Result<(), FileError> {
        let path = path.as_ref();
        self.inside("create directory", path, || {
            // SAFETY: as above; the result is referenced.
            unsafe {
                let vp = make(path, VDIR, mode, |directory, vpp, name, wanted| vop::mkdir(directory, vpp, name, wanted))?;
                vrele(vp);
            }
            Ok(())
        })
    }

    /// Makes a symbolic link to `target`.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_link(&self, path: impl AsRef<[u8]>, target: &[u8]) -> Result<(), FileError> {
        let path = path.as_ref();
        self.inside("create link", path, || {
            if target.is_empty() || target.contains(&0) {
                return Err(EINVAL);
            }
            let text = text::own(target);
            // SAFETY: as above; the text is the base's own.
            unsafe {
                let made =
                    make(path, VLNK, 0o777, |directory, vpp, name, wanted| vop::symlink(directory, vpp, name, wanted, text));
                crate::kern::memory::free(text);
                vrele(made?);
            }
            Ok(())
        })
    }

    /// Makes a device, named pipe or socket with permission bits `mode`; `device` is the number of a device, as
    /// [`Stat::special`](crate::Stat::special) has it, and means nothing for the others.
    ///
    /// # Errors
    /// `EINVAL` for another kind, or as [`create`](Self::create).
    pub fn create_special(&self, path: impl AsRef<[u8]>, kind: FileKind, mode: u32, device: u64) -> Result<(), FileError> {
        let path = path.as_ref();
        self.inside("create special file", path, || {
            let kind = match kind {
                FileKind::BlockDevice => VBLK,
                FileKind::CharacterDevice => VCHR,
                FileKind::Fifo => VFIFO,
                FileKind::Socket => VSOCK,
                _ => return Err(EINVAL),
            };
            let made = make(path, kind, mode, |directory, vpp, name, wanted| {
                if matches!(kind, VBLK | VCHR) {
                    wanted.set_device(device);
                }
                // SAFETY: the directory is locked as the operation wants.
                unsafe { vop::mknod(directory, vpp, name, wanted) }
            });
            // SAFETY: the result is referenced.
            made.map(|vp| unsafe { vrele(vp) })
        })
    }

    /// Removes a file.
    ///
    /// # Errors
    /// `EPERM` for a directory, or what looking it up and the file system give.
    pub fn remove(&self, path: impl AsRef<[u8]>) -> Result<(), FileError> {
        let path = path.as_ref();
        self.inside("remove", path, || take_away(path, false))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// `ENOTDIR`, `ENOTEMPTY`, `EBUSY` for a mount point, or what looking it up and the file system give.
    pub fn remove_directory(&self, path: impl AsRef<[u8]>) -> Result<(), FileError> {
        let path = path.as_ref();
        self.inside("remove directory", path, || take_away(path, true))
    }

    /// Renames a file or directory, replacing what has the new name.
    ///
    /// # Errors
    /// `EXDEV` if the names lie on different file systems, or what looking them up and the file system give.
    pub fn rename(&self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<(), FileError> {
        let (from, to) = (from.as_ref(), to.as_ref());
        self.inside("rename", from, || {
            let source = PathBuffer::new(from)?;
            let outcome = PathBuffer::new(to).and_then(|target| {
                let outcome = rename(source, target);
                target.free();
                outcome
            });
            source.free();
            outcome
        })
    }

    /// Gives a file a further name.
    ///
    /// # Errors
    /// `EEXIST`, `EXDEV`, `EPERM` for a directory, or what the file system gives.
    pub fn hard_link(&self, existing: impl AsRef<[u8]>, path: impl AsRef<[u8]>) -> Result<(), FileError> {
        let (existing, path) = (existing.as_ref(), path.as_ref());
        self.inside("link", path, || {
            let vp = lookup::find(existing, true)?;
            let outcome = at_parent(path, CREATE, NOFOLLOW, |found, name| {
                let problem = match () {
                    () if !found.vnode.is_null() => EEXIST,
                    () if vp.kind() == VDIR => EPERM,
                    () if vp.mount() != found.directory.mount() => EXDEV,
                    () => 0,
                };
                if problem != 0 {
                    let_go(&found, name);
                    return Err(problem);
                }
                // SAFETY: the directory is locked and stays so, the file is not.
                unsafe {
                    let error = vop::link(found.directory, vp, name);
                    vput(found.directory);
                    result(error)
                }
            });
            // SAFETY: referenced by the lookup.
            unsafe { vrele(vp) };
            outcome
        })
    }

    /// Changes attributes of a file; symbolic links are followed.
    ///
    /// # Errors
    /// `EROFS`, `EISDIR` for the size of a directory, or what the file system gives.
    pub fn change(&self, path: impl AsRef<[u8]>, change: &Change) -> Result<(), FileError> {
        let path = path.as_ref();
        self.inside("change", path, || {
            let vp = lookup::find(path, true)?;
            let outcome = set_attributes(vp, change);
            // SAFETY: referenced by the lookup.
            unsafe { vrele(vp) };
            outcome
        })
    }
}

fn set_attributes(vp: Vnode, change: &Change) -> Result<(), i32> {
    if vp.mount().flag() & crate::abi::constants::MNT_RDONLY != 0 {
        return Err(EROFS);
    }
    if change.size.is_some() && vp.kind() == VDIR {
        return Err(EISDIR);
    }
    let mut attributes = Attributes::new();
    let wanted = attributes.handle();
    if let Some(mode) = change.mode {
        wanted.set_mode(mode & 0o7777);
    }
    if let Some(uid) = change.uid {
        wanted.set_uid(uid);
    }
    if let Some(gid) = change.gid {
        wanted.set_gid(gid);
    }
    if let Some(size) = change.size {
        wanted.set_file_size(size);
    }
    let abi = kernel().abi;
    for (field, time) in [(abi.vattr.va_atime, change.accessed), (abi.vattr.va_mtime, change.modified)] {
        if let Some(time) = time {
            // SAFETY: a member of the structure, itself a timespec.
            unsafe {
                let base: *mut u8 = field.ptr(wanted.0);
                abi.timespec.tv_sec.write(base, time.seconds);
                abi.timespec.tv_nsec.write(base, time.nanoseconds as isize);
            }
        }
    }
    lock(vp, LK_EXCLUSIVE)?;
    // SAFETY: locked just now and referenced.
    unsafe {
        let error = vop::setattr(vp, wanted, cred::current());
        vop::unlock(vp);
        result(error)
    }
}

fn take_away(path: &[u8], directory: bool) -> Result<(), i32> {
    at_parent(path, DELETE, LOCKLEAF | NOFOLLOW, |found, name| {
        let vp = found.vnode;
        let problem = match () {
            () if vp.is_null() => ENOENT,
            () if directory && vp == found.directory => EINVAL,
            () if vp.vflag() & VV_ROOT != 0 => EBUSY,
            () if directory && vp.kind() != VDIR => ENOTDIR,
            () if !directory && vp.kind() == VDIR => EPERM,
            () => 0,
        };
        if problem != 0 {
            let_go(&found, name);
            return Err(problem);
        }
        // SAFETY: both are locked and referenced; the operation gives up the file, and before NetBSD 10 the directory, too.
        unsafe {
            let error = if directory { vop::rmdir(found.directory, vp, name) } else { vop::remove(found.directory, vp, name) };
            if kernel().abi.is_10() {
                vput(found.directory);
            }
            result(error)
        }
    })
}

fn rename(source: PathBuffer, target: PathBuffer) -> Result<(), i32> {
    let mut from = Component::new(DELETE, LOCKPARENT | NOFOLLOW);
    let from = from.handle();
    let old = lookup::resolve(source, Vnode::NULL, from)?;
    // SAFETY: the lookup locked the directory; renaming wants it unlocked.
    unsafe { vop::unlock(old.directory) };
    let give_up = |error| {
        // SAFETY: both are referenced and unlocked.
        unsafe {
            vop::abortop(old.directory, from);
            vrele(old.directory);
            if !old.vnode.is_null() {
                vrele(old.vnode);
            }
        }
        Err(error)
    };
    if old.vnode.is_null() {
        return give_up(ENOENT);
    }
    if matches!(from.bytes(), b"." | b"..") || old.vnode.vflag() & VV_ROOT != 0 {
        return give_up(EINVAL);
    }
    let directory_flag = if old.vnode.kind() == VDIR { CREATEDIR } else { 0 };
    let mut to = Component::new(RENAME, LOCKPARENT | LOCKLEAF | NOFOLLOW | directory_flag);
    let to = to.handle();
    let new = match lookup::resolve(target, Vnode::NULL, to) {
        Ok(new) => new,
        Err(error) => return give_up(error),
    };
    let problem = match () {
        () if matches!(to.bytes(), b"." | b"..") => EINVAL,
        () if new.directory.mount() != old.directory.mount() => EXDEV,
        () if old.vnode == new.directory => EINVAL,
        () if new.vnode.is_null() => 0,
        () if old.vnode.kind() == VDIR && new.vnode.kind() != VDIR => ENOTDIR,
        () if old.vnode.kind() != VDIR && new.vnode.kind() == VDIR => EISDIR,
        () => 0,
    };
    if problem != 0 || old.vnode == new.vnode {
        let_go(&new, to);
        return if problem != 0 { give_up(problem) } else { give_up(0).or_else(result) };
    }
    let mp = old.directory.mount();
    // SAFETY: a mount in use, whose lock is given back below.
    let error = unsafe { fstype::enter_rename(mp) };
    if error != 0 {
        let_go(&new, to);
        return give_up(error);
    }
    // SAFETY: the locks are as renaming wants them; the operation gives all four vnodes up.
    result(unsafe {
        let error = vop::rename(old.directory, old.vnode, from, new.directory, new.vnode, to);
        fstype::exit_rename(mp);
        error
    })
}
