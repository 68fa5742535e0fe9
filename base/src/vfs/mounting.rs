//! Mounting and unmounting, as the system calls do.

use super::object::{FsOperations, Mount, Vnode};
use super::vnode::vrele;
use super::{fstype, lookup, lost, mount, namecache, rootfs, text, vnode};
use crate::abi::constants::{IMNT_GONE, IMNT_UNMOUNT, MNAMELEN, MNT_FORCE, MNT_RDONLY, MNT_WAIT, VDIR, VV_ROOT};
use crate::arguments::MountArguments;
use crate::export::{Export, function};
use crate::kern::errno::{EBUSY, EINVAL, ENOENT, ENOTDIR};
use crate::kern::{cred, memory};
use crate::kernel::kernel;

/// What is to be mounted where.
pub(crate) struct Wanted<'a> {
    /// The type, with a reference that the mount takes over.
    pub(crate) operations: FsOperations,
    /// An absolute path.
    pub(crate) directory: &'a [u8],
    /// Path of the device, or of the directory below.
    pub(crate) source: Option<&'a [u8]>,
    pub(crate) flags: i32,
    pub(crate) arguments: &'a MountArguments,
}

/// The directory to mount on, referenced; made in the root if it is missing. What is mounted there may be covered only by a type
/// that shows what it covers.
fn directory(path: &[u8], shows: bool) -> Result<Vnode, i32> {
    let vp = match lookup::find(path, true) {
        Err(ENOENT) => {
            rootfs::make_directories(path)?;
            lookup::find(path, true)?
        }
        other => other?,
    };
    let error = match vp {
        vp if vp.kind() != VDIR => ENOTDIR,
        vp if !vp.mounted_here().is_null() => EBUSY,
        // The root of what is mounted there already, or of everything.
        vp if vp.vflag() & VV_ROOT != 0 && (!shows || vp.mount() == rootfs::mount()) => EBUSY,
        _ => return Ok(vp),
    };
    // SAFETY: referenced by the lookup.
    unsafe { vrele(vp) };
    Err(error)
}

/// Mounts a file system.
pub(crate) fn mount(wanted: &Wanted<'_>) -> Result<(), i32> {
    let covered = match directory(wanted.directory, wanted.arguments.shows_covered()) {
        Ok(vp) => vp,
        Err(error) => {
            fstype::release(wanted.operations);
            return Err(error);
        }
    };
    let mp = mount::allocate(wanted.operations, covered);
    mp.set_flag(wanted.flags);
    let outcome = start(mp, wanted);
    if let Err(error) = outcome {
        mp.set_covered(Vnode::NULL);
        mount::release(mp);
        // SAFETY: referenced by the lookup.
        unsafe { vrele(covered) };
        return Err(error);
    }
    covered.set_mounted_here(mp);
    kernel().vfs.mounts.append(mp);
    // SAFETY: a mount that is complete. Neither answer matters: the numbers are asked for again when they are wanted.
    unsafe {
        fstype::start(mp, 0);
        fstype::statvfs(mp, mp.statvfs());
    }
    Ok(())
}

/// Runs the type's mount with the arguments in memory of the instance.
fn start(mp: Mount, wanted: &Wanted<'_>) -> Result<(), i32> {
    let bytes = wanted.arguments.bytes();
    let least = wanted.operations.minimum_data();
    let mut length = wanted.arguments.length(least);
    if length < least {
        return Err(EINVAL);
    }
    let directory = text::own(wanted.directory);
    let source = wanted.source.map_or(core::ptr::null_mut(), text::own);
    // Room for a module that asks for more than its structure.
    let data = memory::alloc_or_end(length.max(64), true);
    // SAFETY: the block has room for the bytes, and the pointer lies within them; all stay until the call is over.
    let error = unsafe {
        data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        if let Some((offset, _)) = wanted.arguments.pointer() {
            data.add(offset).cast::<*mut u8>().write_unaligned(source);
        }
        let error = fstype::mount(mp, directory, data, &raw mut length);
        memory::free(data);
        memory::free(source);
        memory::free(directory);
        error
    };
    if error == 0 { Ok(()) } else { Err(error) }
}

/// The mount whose root a path names. A root that is too damaged to be found is named by the path it was mounted on.
pub(crate) fn mounted_at(path: &[u8]) -> Result<Mount, i32> {
    let found = lookup::find(path, true).and_then(|vp| {
        let (mp, is_root) = (vp.mount(), vp.vflag() & VV_ROOT != 0);
        // SAFETY: referenced by the lookup.
        unsafe { vrele(vp) };
        if is_root && mp != rootfs::mount() { Ok(mp) } else { Err(EINVAL) }
    });
    let named = |mp: &&Mount| {
        let (_, on, _) = mount::names(mp.statvfs());
        // SAFETY: the field has this size.
        **mp != rootfs::mount() && unsafe { text::bytes(on, MNAMELEN as usize) } == path
    };
    found.or_else(|error| kernel().vfs.mounts.all().iter().rfind(named).copied().ok_or(error))
}

/// Unmounts a file system.
///
/// # Errors
/// What it gives, or the error of a write that nobody waited for. Writes while it ends may fail, too: it is unmounted then.
pub(crate) fn unmount(mp: Mount, force: bool) -> Result<(), i32> {
    let covered = mp.covered();
    let children = kernel().vfs.mounts.all().iter().any(|other| *other != mp && other.covered().mount() == mp);
    if children || mount::is_busy(mp) {
        return Err(EBUSY);
    }
    mount::set_internal_flag(mp, IMNT_UNMOUNT, 0);
    let mut late = 0;
    // SAFETY: a live mount; a reference keeps it until the end.
    unsafe {
        namecache::cache_purgevfs(mp);
        let mut error = 0;
        if mp.flag() & MNT_RDONLY == 0 {
            error = fstype::sync(mp, MNT_WAIT, cred::current());
            let lost = lost::take(mp);
            error = if error == 0 { lost } else { error };
        }
        if error == 0 || force {
            lost::take(Mount::NULL);
            error = fstype::unmount(mp, if force { MNT_FORCE } else { 0 });
            // Its device was closed without a mount.
            late = [lost::take(mp), lost::take(Mount::NULL)].into_iter().find(|lost| *lost != 0).unwrap_or(0);
        }
        if error != 0 {
            mount::set_internal_flag(mp, 0, IMNT_UNMOUNT);
            return Err(error);
        }
        mount::set_internal_flag(mp, IMNT_GONE, 0);
        covered.set_mounted_here(Mount::NULL);
        kernel().vfs.mounts.remove(mp);
        vrele(covered);
    }
    vnode::settle();
    mount::release(mp);
    if late == 0 || force { Ok(()) } else { Err(late) }
}

unsafe extern "C" fn dounmount(mp: Mount, flags: i32, _lwp: *mut u8) -> i32 {
    unmount(mp, flags & MNT_FORCE != 0).err().unwrap_or(0)
}

pub(crate) const EXPORTS: &[Export] = &[function!("dounmount", dounmount)];
