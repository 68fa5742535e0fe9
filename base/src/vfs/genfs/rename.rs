//! Renaming for file systems that describe theirs by a table: takes the locks, looks both names up, checks, and calls the
//! table's functions.

use crate::abi::Field;
use crate::abi::constants::{ISDOTDOT, KAUTH_VNODE_DELETE, KAUTH_VNODE_RENAME, LK_EXCLUSIVE, VDIR};
use crate::export::{Export, function};
use crate::kern::cred::Cred;
use crate::kern::errno::{EBUSY, EINVAL, EIO, EISDIR, ENOENT, ENOTDIR, ENOTEMPTY};
use crate::kern::{kauth, lock};
use crate::kernel::kernel;
use crate::vfs::object::{ComponentName, Mount, Vnode};
use crate::vfs::{namecache, vnode, vop};

/// A table of type `genfs_rename_ops`.
#[derive(Clone, Copy)]
struct Table(*const u8);

macro_rules! table_calls {
    ($($name:ident $field:ident ($($parameter:ident: $ty:ty),*) -> $result:ty;)*) => {
        impl Table {
            $(
                #[allow(clippy::too_many_arguments, reason = "the tables' functions have that many")]
                fn $name(self, $($parameter: $ty),*) -> $result {
                    // SAFETY: the member holds a function of this type; the arguments are live.
                    unsafe {
                        let function: unsafe extern "C" fn($($ty),*) -> $result =
                            core::mem::transmute(kernel().abi.genfs_rename_ops.$field.read::<*const ()>(self.0));
                        function($($parameter),*)
                    }
                }
            )*
        }
    };
}

table_calls! {
    directory_is_empty gro_directory_empty_p (mp: Mount, cred: Cred, vp: Vnode, parent: Vnode) -> bool;
    rename_possible gro_rename_check_possible (mp: Mount, fdvp: Vnode, fvp: Vnode, tdvp: Vnode, tvp: Vnode) -> i32;
    rename_permitted gro_rename_check_permitted
        (mp: Mount, cred: Cred, fdvp: Vnode, fvp: Vnode, tdvp: Vnode, tvp: Vnode) -> i32;
    remove_possible gro_remove_check_possible (mp: Mount, dvp: Vnode, vp: Vnode) -> i32;
    remove_permitted gro_remove_check_permitted (mp: Mount, cred: Cred, dvp: Vnode, vp: Vnode) -> i32;
    // The last parameter, the links left, is one of newer versions; functions of older ones do not look at it.
    rename gro_rename (mp: Mount, cred: Cred, fdvp: Vnode, fcnp: ComponentName, fde: *mut u8, fvp: Vnode, tdvp: Vnode,
        tcnp: ComponentName, tde: *mut u8, tvp: Vnode, links: *mut u32) -> i32;
    remove gro_remove (mp: Mount, cred: Cred, dvp: Vnode, cnp: ComponentName, de: *mut u8, vp: Vnode, links: *mut u32) -> i32;
    lookup gro_lookup (mp: Mount, dvp: Vnode, cnp: ComponentName, de: *mut u8, vpp: *mut Vnode) -> i32;
    genealogy gro_genealogy (mp: Mount, cred: Cred, fdvp: Vnode, tdvp: Vnode, between: *mut Vnode) -> i32;
    lock_directory gro_lock_directory (mp: Mount, dvp: Vnode) -> i32;
}

/// One end of a rename: a directory, a name in it, and where the file system keeps what it found.
#[derive(Clone, Copy)]
struct End {
    directory: Vnode,
    name: ComponentName,
    entry: *mut u8,
    /// Error if the name turns out to be the directory itself.
    dot: i32,
    missing_is_fine: bool,
}

fn lock_vnode(vp: Vnode) {
    // SAFETY: a live, referenced vnode; with this flag locking does not fail.
    unsafe { vop::lock(vp, LK_EXCLUSIVE | kernel().abi.constant.lk_retry as i32) };
}

fn unlock(vp: Vnode) {
    // SAFETY: locked by this file.
    unsafe { vop::unlock(vp) };
}

fn release(vp: Vnode) {
    if !vp.is_null() {
        // SAFETY: a reference that this file was handed.
        unsafe { vnode::vrele(vp) };
    }
}

fn is_mount_point(vp: Vnode) -> bool {
    vp.kind() == VDIR && !vp.mounted_here().is_null()
}

/// Locks an end's directory.
fn lock_directory(table: Table, mp: Mount, directory: Vnode) -> Result<(), i32> {
    match table.lock_directory(mp, directory) {
        0 => {}
        error => return Err(error),
    }
    if is_mount_point(directory) {
        unlock(directory);
        return Err(EBUSY);
    }
    Ok(())
}

/// Looks an end's name up in its locked directory: the file, referenced, or null if it may be missing.
fn look_up(table: Table, mp: Mount, end: End) -> Result<Vnode, i32> {
    let mut vp = Vnode::NULL;
    match table.lookup(mp, end.directory, end.name, end.entry, &raw mut vp) {
        0 if vp == end.directory => {
            release(vp);
            Err(end.dot)
        }
        0 => Ok(vp),
        ENOENT if end.missing_is_fine => Ok(Vnode::NULL),
        error => Err(error),
    }
}

/// Locks the files that were found, unless something is mounted on one.
fn lock_files(one: Vnode, other: Vnode) -> Result<(), i32> {
    for (vp, before) in [(one, Vnode::NULL), (other, one)] {
        if vp.is_null() || vp == before {
            continue;
        }
        lock_vnode(vp);
        if is_mount_point(vp) {
            unlock(vp);
            if !before.is_null() {
                unlock(before);
            }
            return Err(EBUSY);
        }
    }
    Ok(())
}

/// Locks and looks up two ends in different directories, `one` first; `overlap` is the error if its name is the other
/// directory.
fn enter_two(table: Table, mp: Mount, overlap: i32, one: End, other: End) -> Result<(Vnode, Vnode), i32> {
    lock_directory(table, mp, one.directory)?;
    let first = look_up(table, mp, one).inspect_err(|_| unlock(one.directory))?;
    let result = enter_second(table, mp, overlap, (one, first), other);
    if result.is_err() {
        release(first);
        unlock(one.directory);
    }
    result.map(|second| (first, second))
}

fn enter_second(table: Table, mp: Mount, overlap: i32, (one, first): (End, Vnode), other: End) -> Result<Vnode, i32> {
    if first == other.directory {
        return Err(overlap);
    }
    lock_directory(table, mp, other.directory)?;
    let second = look_up(table, mp, other).inspect_err(|_| unlock(other.directory))?;
    // A directory above the one that was found to be above it: the file system is damaged.
    let locked = if second == one.directory { Err(EIO) } else { lock_files(first, second) };
    locked.map(|()| second).inspect_err(|_| {
        release(second);
        unlock(other.directory);
    })
}

fn enter_one(table: Table, mp: Mount, from: End, to: End) -> Result<(Vnode, Vnode), i32> {
    let directory = from.directory;
    lock_directory(table, mp, directory)?;
    let fvp = look_up(table, mp, from).inspect_err(|_| unlock(directory))?;
    let found = look_up(table, mp, to).and_then(|tvp| lock_files(fvp, tvp).map(|()| tvp).inspect_err(|_| release(tvp)));
    if found.is_err() {
        release(fvp);
        unlock(directory);
    }
    found.map(|tvp| (fvp, tvp))
}

/// Locks both directories and both files, each once; the files are referenced.
fn enter(table: Table, mp: Mount, cred: Cred, from: End, to: End) -> Result<(Vnode, Vnode), i32> {
    if from.directory == to.directory {
        return enter_one(table, mp, from, End { dot: EISDIR, ..to });
    }
    let mut between = Vnode::NULL;
    match table.genealogy(mp, cred, from.directory, to.directory, &raw mut between) {
        0 => {}
        error => return Err(error),
    }
    // The directory that is above the other one is locked first.
    let entered = if between.is_null() {
        enter_two(table, mp, ENOTEMPTY, End { dot: EISDIR, ..to }, from).map(|(tvp, fvp)| (fvp, tvp))
    } else {
        enter_two(table, mp, EINVAL, from, End { dot: EISDIR, ..to })
    };
    let result = match entered {
        Ok((fvp, tvp)) if fvp == between => {
            leave(from.directory, fvp, to.directory, tvp);
            Err(EINVAL)
        }
        other => other,
    };
    release(between);
    result
}

fn leave(fdvp: Vnode, fvp: Vnode, tdvp: Vnode, tvp: Vnode) {
    if !tvp.is_null() && tvp != fvp {
        unlock(tvp);
    }
    unlock(fvp);
    release(tvp);
    if tdvp != fdvp {
        unlock(tdvp);
    }
    release(fvp);
    unlock(fdvp);
}

/// Whether the policy lets the caller take a name away, given what the file system's own check said.
fn authorize(cred: Cred, action: usize, vp: Vnode, directory: Vnode, error: i32) -> i32 {
    // SAFETY: live vnodes and a live credential.
    unsafe { kauth::authorize_vnode(cred, action, vp.0, directory.0, error) }
}

fn remove(table: Table, mp: Mount, cred: Cred, from: End, fvp: Vnode) -> i32 {
    let error = table.remove_possible(mp, from.directory, fvp);
    if error != 0 {
        return error;
    }
    let error = table.remove_permitted(mp, cred, from.directory, fvp);
    let error = authorize(cred, KAUTH_VNODE_DELETE as usize, fvp, from.directory, error);
    if error != 0 {
        return error;
    }
    let mut links = 0;
    table.remove(mp, cred, from.directory, from.name, from.entry, fvp, &raw mut links)
}

/// The rename proper, with everything locked.
fn rename(table: Table, mp: Mount, cred: Cred, from: End, to: End, (fvp, tvp): (Vnode, Vnode), posix: bool) -> i32 {
    if fvp == tvp {
        let same_name = from.directory == to.directory && from.name.bytes() == to.name.bytes();
        return match () {
            () if fvp.kind() == VDIR => EINVAL,
            // Two names of one file: POSIX leaves both, others take the first away.
            () if posix || same_name => 0,
            () => remove(table, mp, cred, from, fvp),
        };
    }
    if !tvp.is_null() {
        let error = match (fvp.kind() == VDIR, tvp.kind() == VDIR) {
            (true, true) if !table.directory_is_empty(mp, cred, tvp, to.directory) => ENOTEMPTY,
            (true, false) => ENOTDIR,
            (false, true) => EISDIR,
            _ => 0,
        };
        if error != 0 {
            return error;
        }
    }
    let error = table.rename_possible(mp, from.directory, fvp, to.directory, tvp);
    if error != 0 {
        return error;
    }
    let error = table.rename_permitted(mp, cred, from.directory, fvp, to.directory, tvp);
    let error = authorize(cred, KAUTH_VNODE_DELETE as usize, fvp, from.directory, error);
    let error = authorize(cred, KAUTH_VNODE_RENAME as usize, tvp, to.directory, error);
    if error != 0 {
        return error;
    }
    let mut links = 0;
    table.rename(mp, cred, from.directory, from.name, from.entry, fvp, to.directory, to.name, to.entry, tvp, &raw mut links)
}

unsafe extern "C" fn genfs_sane_rename(
    table: *const u8,
    fdvp: Vnode,
    fcnp: ComponentName,
    fde: *mut u8,
    tdvp: Vnode,
    tcnp: ComponentName,
    tde: *mut u8,
    cred: Cred,
    posix: bool,
) -> i32 {
    if (fcnp.flags() | tcnp.flags()) & ISDOTDOT as u32 != 0 {
        return EINVAL;
    }
    let (table, mp) = (Table(table), fdvp.mount());
    let from = End { directory: fdvp, name: fcnp, entry: fde, dot: EINVAL, missing_is_fine: false };
    let to = End { directory: tdvp, name: tcnp, entry: tde, dot: EINVAL, missing_is_fine: true };
    match enter(table, mp, cred, from, to) {
        Err(error) => error,
        Ok((fvp, tvp)) => {
            let error = rename(table, mp, cred, from, to, (fvp, tvp), posix);
            leave(fdvp, fvp, tdvp, tvp);
            error
        }
    }
}

type Sane = unsafe extern "C" fn(Vnode, ComponentName, Vnode, ComponentName, Cred, bool) -> i32;

/// Turns the locks and references of `VOP_RENAME` into what a sane rename wants: directories referenced, nothing locked.
unsafe extern "C" fn genfs_insane_rename(arguments: *mut u8, sane: Sane) -> i32 {
    let layout = &kernel().abi.vop_rename_args;
    // SAFETY: the arguments of rename, with its references and locks, all of which this call takes over.
    unsafe {
        let vnode = |field: Field| field.read::<Vnode>(arguments);
        let (fdvp, fvp, tdvp, tvp) = (vnode(layout.a_fdvp), vnode(layout.a_fvp), vnode(layout.a_tdvp), vnode(layout.a_tvp));
        let (fcnp, tcnp): (ComponentName, ComponentName) = (layout.a_fcnp.read(arguments), layout.a_tcnp.read(arguments));
        unlock(tdvp);
        if !tvp.is_null() && tvp != tdvp {
            unlock(tvp);
        }
        release(fvp);
        release(tvp);
        let error = sane(fdvp, fcnp, tdvp, tcnp, fcnp.cred(), false);
        release(fdvp);
        release(tdvp);
        error
    }
}

/// Events are not delivered.
unsafe extern "C" fn genfs_rename_knote(_fdvp: Vnode, _fvp: Vnode, _tdvp: Vnode, _tvp: Vnode, _gone: usize) {}

unsafe extern "C" fn genfs_rename_cache_purge(fdvp: Vnode, fvp: Vnode, tdvp: Vnode, tvp: Vnode) {
    namecache::purge(fdvp);
    if fvp.kind() == VDIR {
        namecache::purge(fvp);
    }
    if tdvp != fdvp {
        namecache::purge(tdvp);
    }
    if !tvp.is_null() && tvp.kind() == VDIR {
        namecache::purge(tvp);
    }
}

fn rename_lock(mp: Mount) -> *mut u8 {
    let field = kernel().abi.mount.mnt_renamelock;
    // SAFETY: a member of a live mount: the lock, or a pointer to one in newer versions, which starts out as a lock word too.
    unsafe { field.ptr(mp.0) }
}

unsafe extern "C" fn genfs_renamelock_enter(mp: Mount) -> i32 {
    // SAFETY: the lock of a live mount.
    unsafe { lock::mutex_enter(rename_lock(mp)) };
    0
}

unsafe extern "C" fn genfs_renamelock_exit(mp: Mount) {
    // SAFETY: as above.
    unsafe { lock::mutex_exit(rename_lock(mp)) };
}

pub(super) const EXPORTS: &[Export] = &[
    function!("genfs_sane_rename", genfs_sane_rename),
    function!("genfs_insane_rename", genfs_insane_rename),
    function!("genfs_rename_knote", genfs_rename_knote),
    function!("genfs_rename_cache_purge", genfs_rename_cache_purge),
    function!("genfs_renamelock_enter", genfs_renamelock_enter),
    function!("genfs_renamelock_exit", genfs_renamelock_exit),
];
