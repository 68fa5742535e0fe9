//! Attributes of files.

use crate::abi::Field;
use crate::abi::constants::{VBLK, VCHR, VDIR, VFIFO, VLNK, VREG, VSOCK};
use crate::kern::cred;
use crate::kernel::kernel;
use crate::vfs::object::{Vattr, Vnode};
use crate::vfs::{vn, vop};

/// What kind of file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// Something else.
    Other,
}

impl FileKind {
    /// From a vnode's type.
    pub(crate) fn of_vnode(kind: i32) -> Self {
        match kind {
            VREG => Self::File,
            VDIR => Self::Directory,
            VLNK => Self::Link,
            VBLK => Self::BlockDevice,
            VCHR => Self::CharacterDevice,
            VSOCK => Self::Socket,
            VFIFO => Self::Fifo,
            _ => Self::Other,
        }
    }
}

/// A time: seconds since 1970 and nanoseconds of the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub seconds: i64,
    /// 0 to 999,999,999.
    pub nanoseconds: u32,
}

/// Attributes of a file (`stat(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// Type and permission bits.
    pub mode: u32,
    /// Names it has.
    pub links: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// The file system it is on.
    pub device: u64,
    /// Its number there.
    pub fileid: u64,
    /// Bytes in it.
    pub size: u64,
    /// Bytes it takes on the device.
    pub allocated: u64,
    /// Bytes of a transfer that suits.
    pub block_size: u64,
    /// For a device: its number.
    pub special: u64,
    /// Last read.
    pub accessed: Timestamp,
    /// Last change of the contents.
    pub modified: Timestamp,
    /// Last change of the attributes.
    pub changed: Timestamp,
    /// Made.
    pub born: Timestamp,
}

/// Memory for a `struct vattr`, every member "no value".
#[repr(C, align(16))]
pub(crate) struct Attributes([u8; 256]);

impl Attributes {
    pub(crate) fn new() -> Self {
        debug_assert!(Vattr::size_of() <= 256);
        let mut attributes = Self([0; 256]);
        // SAFETY: the array has room for the structure.
        unsafe { vn::vattr_null(attributes.handle()) };
        attributes
    }

    /// The structure at its present place.
    pub(crate) fn handle(&mut self) -> Vattr {
        Vattr(self.0.as_mut_ptr())
    }
}

fn time(attributes: Vattr, field: Field) -> Timestamp {
    let layout = &kernel().abi.timespec;
    // SAFETY: a member of the structure, itself a timespec; all versions have 64-bit seconds.
    unsafe {
        let base: *mut u8 = field.ptr(attributes.0);
        let seconds: i64 = layout.tv_sec.read(base);
        let nanoseconds: isize = layout.tv_nsec.read(base);
        Timestamp { seconds, nanoseconds: u32::try_from(nanoseconds).unwrap_or(0) }
    }
}

/// Attributes of a locked vnode.
pub(crate) fn attributes(vp: Vnode) -> Result<Stat, i32> {
    let mut memory = Attributes::new();
    let attributes = memory.handle();
    // SAFETY: the vnode is locked by the caller.
    let error = unsafe { vop::getattr(vp, attributes, cred::current()) };
    if error != 0 {
        return Err(error);
    }
    let layout = &kernel().abi.vattr;
    Ok(Stat {
        kind: FileKind::of_vnode(attributes.kind()),
        mode: attributes.mode() & 0o7777 | vn::mode_of(attributes.kind()),
        links: attributes.links(),
        uid: attributes.uid(),
        gid: attributes.gid(),
        device: attributes.fsid(),
        fileid: attributes.fileid(),
        size: attributes.file_size(),
        allocated: attributes.bytes(),
        block_size: attributes.block_size() as u64,
        special: attributes.device(),
        accessed: time(attributes, layout.va_atime),
        modified: time(attributes, layout.va_mtime),
        changed: time(attributes, layout.va_ctime),
        born: time(attributes, layout.va_birthtime),
    })
}
