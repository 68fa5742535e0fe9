//! Character devices of modules' drivers, for a server.

use crate::abi::constants::{FREAD, FWRITE, UIO_WRITE, VCHR};
use crate::error::FileError;
use crate::file::{lock, open_vnode, result};
use crate::kern::errno::{EINVAL, EMOVEFD, ENXIO, EOPNOTSUPP};
use crate::kern::process::curlwp;
use crate::kern::uio::Transfer;
use crate::kern::{cred, descriptor, devsw};
use crate::kernel::{Kernel, kernel};
use crate::vfs::object::{Uio, Vnode};
use crate::vfs::{lookup, rootfs, vn, vnode, vop};
use alloc::sync::Arc;
use alloc::vec::Vec;

type Copy = unsafe extern "C" fn(*mut u8, *mut i64, Uio, *mut u8, i32) -> i32;
type Control = unsafe extern "C" fn(*mut u8, usize, *mut u8) -> i32;

/// The file's offset moves on.
const UPDATE_OFFSET: i32 = 1;

/// What an open gave.
#[derive(Clone, Copy)]
enum Handle {
    /// The special file itself.
    Special(Vnode),
    /// The driver made a file of its own.
    Descriptor(u32),
}

/// An open character device. Closed when dropped.
pub struct CharacterDevice {
    kernel: Arc<Kernel>,
    handle: Handle,
    mode: i32,
    path: Vec<u8>,
    open: bool,
}

// SAFETY: what it refers to is only touched inside the instance, which lets one thread in at a time.
unsafe impl Send for CharacterDevice {}
// SAFETY: as above.
unsafe impl Sync for CharacterDevice {}

impl core::fmt::Debug for CharacterDevice {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("CharacterDevice").field("path", &self.path.escape_ascii()).finish_non_exhaustive()
    }
}

impl Kernel {
    /// Makes the special file `path` for unit `minor` of the character driver `name`, whose module is loaded.
    ///
    /// # Errors
    /// `ENXIO` if no driver has the name, `EINVAL` for minor numbers beyond 20 bits or a relative path, `EEXIST`, `ENOTDIR`.
    pub fn add_character_device(&self, path: &str, name: &str, minor: u32) -> Result<(), FileError> {
        self.inside("add character device", path.as_bytes(), || {
            let major = devsw::character_major(name.as_bytes()).ok_or(ENXIO)?;
            if minor >> 20 != 0 {
                return Err(EINVAL);
            }
            let minor = u64::from(minor);
            let number = u64::from(major) << 8 | minor & 0xff | (minor & !0xff) << 12;
            rootfs::make_special(path.as_bytes(), VCHR, number)
        })
    }

    /// Opens a character device for reading and writing.
    ///
    /// # Errors
    /// `ENXIO` for a device whose driver is not there or a file of another kind, or what the driver gives.
    pub fn open_character_device(self: &Arc<Self>, path: impl AsRef<[u8]>) -> Result<CharacterDevice, FileError> {
        let (path, mode) = (path.as_ref(), FREAD | FWRITE);
        let handle = self.inside("open", path, || {
            let vp = lookup::find(path, true)?;
            if vp.kind() != VCHR {
                // SAFETY: referenced by the lookup.
                unsafe { vnode::vrele(vp) };
                return Err(ENXIO);
            }
            match open_vnode(vp, mode) {
                Err(EMOVEFD) => Ok(Handle::Descriptor(cloned())),
                outcome => outcome.map(|()| Handle::Special(vp)),
            }
        })?;
        Ok(CharacterDevice { kernel: Arc::clone(self), handle, mode, path: path.into(), open: true })
    }
}

/// The descriptor that a driver's open made just now.
fn cloned() -> u32 {
    // SAFETY: a member of the kernel's own thread.
    unsafe { kernel().abi.lwp.l_dupfd.read(curlwp()) }
}

/// Closes what a device that cloned itself made for somebody who cannot use it; answers the error for them.
pub(crate) fn refuse_clone() -> i32 {
    let number = cloned();
    // SAFETY: held as closing wants.
    unsafe {
        if !descriptor::fd_getfile(number).is_null() {
            descriptor::fd_close(number);
        }
    }
    EOPNOTSUPP
}

/// Runs `work` with a descriptor's file and its operations.
fn with_file<R>(number: u32, work: impl FnOnce(*mut u8, *mut u8) -> Result<R, i32>) -> Result<R, i32> {
    // SAFETY: the file is held meanwhile.
    unsafe {
        let file = descriptor::fd_getfile(number);
        if file.is_null() {
            return Err(ENXIO);
        }
        let outcome = work(file, kernel().abi.file.f_ops.read(file));
        descriptor::fd_putfile(number);
        outcome
    }
}

/// Reads or writes a file of a driver's own.
fn copy_file(number: u32, io: Uio) -> i32 {
    let write = io.direction() == UIO_WRITE;
    let copy = |file: *mut u8, operations: *mut u8| {
        let abi = kernel().abi;
        let field = if write { abi.fileops.fo_write } else { abi.fileops.fo_read };
        // SAFETY: the file is held, its operations are its driver's.
        unsafe {
            let copy = field.read::<Option<Copy>>(operations).ok_or(EOPNOTSUPP)?;
            let offset = abi.file.f_offset.ptr::<i64>(file);
            result(copy(file, offset, io, abi.file.f_cred.read(file), UPDATE_OFFSET))
        }
    };
    with_file(number, copy).err().unwrap_or(0)
}

impl CharacterDevice {
    fn copy(
        &self,
        operation: &'static str,
        buffer: *mut u8,
        length: usize,
        offset: i64,
        write: bool,
    ) -> Result<usize, FileError> {
        self.kernel.inside(operation, &self.path, || {
            let mut transfer = Transfer::new(buffer, length, offset, write);
            let io = Uio(transfer.uio());
            let error = match self.handle {
                Handle::Descriptor(number) => copy_file(number, io),
                Handle::Special(vp) => {
                    lock(vp, crate::abi::constants::LK_EXCLUSIVE)?;
                    // SAFETY: locked just now and referenced; the buffer has the length.
                    unsafe {
                        let cred = cred::current();
                        let error = if write { vop::write(vp, io, 0, cred) } else { vop::read(vp, io, 0, cred) };
                        vop::unlock(vp);
                        error
                    }
                }
            };
            let done = length - transfer.residue().min(length);
            if error != 0 && done == 0 { Err(error) } else { Ok(done) }
        })
    }

    /// Reads what the device gives, at most the buffer; `offset` is for drivers that have one.
    ///
    /// # Errors
    /// What the driver gives.
    pub fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, FileError> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        self.copy("read", buffer.as_mut_ptr(), buffer.len(), offset, false)
    }

    /// Writes; returns how many bytes the device took.
    ///
    /// # Errors
    /// What the driver gives.
    pub fn write(&self, offset: u64, data: &[u8]) -> Result<usize, FileError> {
        let offset = i64::try_from(offset).unwrap_or(i64::MAX);
        self.copy("write", data.as_ptr().cast_mut(), data.len(), offset, true)
    }

    /// Runs an ioctl. The command's number says how long its argument is, which `data` must be at least.
    ///
    /// # Errors
    /// `EINVAL` for data that is too short, or what the driver gives.
    pub fn control(&self, command: u32, data: &mut [u8]) -> Result<(), FileError> {
        let (length, mode) = ((command >> 16 & 0x1fff) as usize, self.mode);
        self.kernel.inside("ioctl", &self.path, || {
            if data.len() < length {
                return Err(EINVAL);
            }
            let (command, data) = (command as usize, data.as_mut_ptr());
            match self.handle {
                // SAFETY: referenced; the data has the command's length.
                Handle::Special(vp) => result(unsafe { vop::ioctl(vp, command, data, mode, cred::current()) }),
                // SAFETY: as above, the file being held.
                Handle::Descriptor(number) => with_file(number, |file, operations| unsafe {
                    let control = kernel().abi.fileops.fo_ioctl.read::<Option<Control>>(operations).ok_or(EOPNOTSUPP)?;
                    result(control(file, command, data))
                }),
            }
        })
    }

    /// Closes the device and says how that went, which dropping does not.
    ///
    /// # Errors
    /// What the driver gives; the device is closed all the same.
    pub fn close(mut self) -> Result<(), FileError> {
        self.finish()
    }

    fn finish(&mut self) -> Result<(), FileError> {
        self.open = false;
        let (handle, mode) = (self.handle, self.mode);
        // SAFETY: opened with this mode and not closed since; a descriptor is held as closing wants.
        self.kernel.inside("close", &self.path, || unsafe {
            result(match handle {
                Handle::Special(vp) => vn::vn_close(vp, mode, cred::current()),
                Handle::Descriptor(number) if descriptor::fd_getfile(number).is_null() => ENXIO,
                Handle::Descriptor(number) => descriptor::fd_close(number),
            })
        })
    }
}

impl Drop for CharacterDevice {
    fn drop(&mut self) {
        if self.open {
            // An instance that has ended frees everything with its memory.
            let _ = self.finish();
        }
    }
}
