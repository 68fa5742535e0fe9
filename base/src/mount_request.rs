//! Mounting: the server's request, and the module it brings in.

use crate::arguments::MountArguments;
use crate::error::{FileError, MountError};
use crate::kern::errno::{EINVAL, ENODEV};
use crate::kern::{later, thread};
use crate::kernel::Kernel;
use crate::vfs::{fstype, lookup, lost, mount, mounting, object::Mount, object::Statvfs, text, vnode};
use alloc::string::String;
use alloc::vec::Vec;
use rumpload::Trigger;

/// A mount that a server asks for.
#[derive(Clone, Debug)]
pub struct MountRequest<'a> {
    /// The type: `cd9660`. `ufs` means `ffs`.
    pub kind: &'a str,
    /// Where: an absolute path; made if it is missing and lies in the kernel's own root.
    pub directory: &'a str,
    /// Path of the device inside the kernel, or of the directory below for layered types.
    pub device: Option<&'a str>,
    /// Refuse changes.
    pub read_only: bool,
    /// The type's own arguments.
    pub arguments: MountArguments,
}

/// What a mounted file system says about itself (`statvfs(2)`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MountStatus {
    /// The type.
    pub kind: String,
    /// The directory it is mounted on.
    pub directory: String,
    /// What is mounted.
    pub device: String,
    /// Whether changes are refused.
    pub read_only: bool,
    /// Bytes of a block.
    pub block_size: u64,
    /// Bytes of a fragment, the unit of the counts.
    pub fragment_size: u64,
    /// Bytes of a transfer that suits.
    pub io_size: u64,
    /// Fragments there are.
    pub blocks: u64,
    /// Fragments free.
    pub free_blocks: u64,
    /// Fragments free for everybody.
    pub available_blocks: u64,
    /// Files there can be.
    pub files: u64,
    /// Files that can still be made.
    pub free_files: u64,
    /// Longest name in bytes.
    pub name_max: u64,
}

impl Kernel {
    /// Mounts a file system; a type that is not attached is autoloaded first.
    ///
    /// # Errors
    /// [`MountError::Autoload`] with the reason why the module did not come, or what the kernel and the file system give:
    /// `EBUSY` for a directory that is mounted on, unless the type shows what it covers (overlay, union), `ENOENT` or `ENOTBLK`
    /// for the device, the module's own error for what is on it.
    pub fn mount(&self, request: &MountRequest<'_>) -> Result<(), MountError> {
        let kind = if request.kind == "ufs" { "ffs" } else { request.kind };
        if kind.is_empty() || kind.len() >= fstype::NAME_LENGTH {
            return Err(MountError::new("mount", request.directory.as_bytes(), ENODEV));
        }
        let hold = || self.inside("mount", request.directory.as_bytes(), || Ok(fstype::hold(kind.as_bytes())));
        let operations = match hold()? {
            Some(operations) => operations,
            None => {
                self.instance().autoload(&Trigger::Vfs(kind)).map_err(|error| MountError::Autoload {
                    kind: kind.into(),
                    errno: ENODEV,
                    error,
                })?;
                hold()?.ok_or_else(|| MountError::new("mount", request.directory.as_bytes(), ENODEV))?
            }
        };
        let wanted = mounting::Wanted {
            operations,
            directory: request.directory.as_bytes(),
            source: request.device.map(str::as_bytes),
            flags: if request.read_only { crate::abi::constants::MNT_RDONLY } else { 0 },
            arguments: &request.arguments,
        };
        Ok(self.inside("mount", request.directory.as_bytes(), || mounting::mount(&wanted))?)
    }

    /// Unmounts what is mounted at `directory`; with `force`, whatever is still open becomes dead.
    ///
    /// # Errors
    /// `EINVAL` if nothing is mounted there, `EBUSY` while files are in use, or what the file system gives. The device's error if
    /// something could not be written that nobody was waiting for: before the end, when nothing is unmounted yet and a second call
    /// goes on without it, or at the end, when it is unmounted. Neither stops `force`.
    pub fn unmount(&self, directory: &str, force: bool) -> Result<(), MountError> {
        Ok(self
            .inside("unmount", directory.as_bytes(), || mounting::unmount(mounting::mounted_at(directory.as_bytes())?, force))?)
    }

    /// The file system that `path` lies on.
    ///
    /// # Errors
    /// What looking the path up or the file system gives.
    pub fn statvfs(&self, path: impl AsRef<[u8]>) -> Result<MountStatus, FileError> {
        let path = path.as_ref();
        self.inside("statvfs", path, || {
            let vp = lookup::find(path, true)?;
            let mp = vp.mount();
            mount::busy(mp)?;
            // SAFETY: the vnode is referenced, the mount busy.
            let error = unsafe {
                vnode::vrele(vp);
                if mp.operations().is_null() { 0 } else { fstype::statvfs(mp, mp.statvfs()) }
            };
            let status = status(mp);
            mount::unbusy(mp, false);
            if error == 0 { Ok(status) } else { Err(error) }
        })
    }

    /// What is mounted, oldest first, with the numbers as they were asked for last.
    ///
    /// # Errors
    /// [`FileError::Ended`].
    pub fn mounts(&self) -> Result<Vec<MountStatus>, FileError> {
        self.inside("mounts", b"/", || Ok(self.vfs.mounts.all().into_iter().map(status).collect()))
    }

    /// Writes everything that is dirty.
    ///
    /// # Errors
    /// The first error of a file system, or of a write since the last time that nobody waited for.
    pub fn sync(&self) -> Result<(), FileError> {
        self.inside("sync", b"/", || {
            let mut outcome = Ok(());
            for index in 0.. {
                let Some(mp) = self.vfs.mounts.all().get(index).copied() else { break };
                // SAFETY: a mount on the list.
                let error = unsafe { fstype::sync(mp, crate::abi::constants::MNT_WAIT, crate::kern::cred::current()) };
                for error in [error, lost::take(mp)] {
                    if error != 0 && outcome.is_ok() {
                        outcome = Err(error);
                    }
                }
            }
            outcome
        })
    }

    /// Names of the attached file-system types, newest first.
    ///
    /// # Errors
    /// [`FileError::Ended`].
    pub fn types(&self) -> Result<Vec<String>, FileError> {
        self.inside("types", b"/", || Ok(fstype::names()))
    }

    /// Runs `work` inside and settles what it left; an error number becomes an error with operation and path.
    pub(crate) fn inside<R>(
        &self,
        operation: &'static str,
        path: &[u8],
        work: impl FnOnce() -> Result<R, i32>,
    ) -> Result<R, FileError> {
        if path.contains(&0) {
            return Err(FileError::new(operation, path, EINVAL));
        }
        let outcome = self.instance().enter(|| {
            let outcome = work();
            later::settle();
            thread::settle();
            vnode::settle();
            outcome
        });
        outcome.map_err(|error| FileError::from_core(&error))?.map_err(|errno| FileError::new(operation, path, errno))
    }
}

/// A mount's statistics, in memory of the server.
fn status(mp: Mount) -> MountStatus {
    let stat: Statvfs = mp.statvfs();
    let (kind, on, from) = mount::names(stat);
    let room = crate::abi::constants::MNAMELEN as usize;
    // SAFETY: the fields have these sizes.
    let name = |field: *mut u8, room| unsafe { String::from_utf8_lossy(text::bytes(field, room)).into_owned() };
    MountStatus {
        kind: name(kind, fstype::NAME_LENGTH),
        directory: name(on, room),
        device: name(from, room),
        read_only: mp.flag() & crate::abi::constants::MNT_RDONLY != 0,
        block_size: stat.block_size() as u64,
        fragment_size: stat.fragment_size() as u64,
        io_size: stat.io_size() as u64,
        blocks: stat.blocks(),
        free_blocks: stat.free_blocks(),
        available_blocks: stat.available_blocks(),
        files: stat.files(),
        free_files: stat.free_files(),
        name_max: stat.name_max() as u64,
    }
}
