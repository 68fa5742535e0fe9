//! File-system types: what modules attach, and calls through their `vfsops`.

use super::object::{FsOperations, Mount, Statvfs, Vnode};
use super::operation;
use super::text;
use crate::abi::Abi;
use crate::abi::constants::LK_EXCLUSIVE;
use crate::export::{Export, function};
use crate::kern::errno::{EBUSY, EEXIST, EOPNOTSUPP, ESRCH};
use crate::kernel::kernel;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;

/// Bytes of a type's name with its NUL.
pub(crate) const NAME_LENGTH: usize = crate::abi::constants::VFS_NAMELEN as usize;

/// The attached types, newest first.
#[derive(Default)]
pub(crate) struct State {
    list: RefCell<Vec<FsOperations>>,
}

fn name_of<'a>(operations: FsOperations) -> &'a [u8] {
    // SAFETY: a type's name is a C string that lives as long as the type is attached.
    unsafe { text::bytes(operations.name(), NAME_LENGTH) }
}

/// The type called `name`, with a reference.
pub(crate) fn hold(name: &[u8]) -> Option<FsOperations> {
    let list = kernel().vfs.types.list.borrow();
    let found = list.iter().copied().find(|operations| name_of(*operations) == name)?;
    found.set_uses(found.uses() + 1);
    Some(found)
}

/// Gives up a reference of [`hold`].
pub(crate) fn release(operations: FsOperations) {
    operations.set_uses(operations.uses() - 1);
}

/// Names of the attached types, newest first.
pub(crate) fn names() -> Vec<String> {
    let list = kernel().vfs.types.list.borrow();
    list.iter().map(|operations| String::from_utf8_lossy(name_of(*operations)).into_owned()).collect()
}

/// Reads a function member of `vfsops` and calls it with the arguments; `$absent` if the type has none.
macro_rules! vfs_call {
    ($operations:expr, $field:ident, $absent:expr, ($($argument:expr => $ty:ty),*)) => {{
        // SAFETY: the member holds a function of this type, or null; arguments are live structures.
        unsafe {
            let operations = $operations;
            let function: *const () = if operations.is_null() {
                core::ptr::null()
            } else {
                $crate::kernel::kernel().abi.vfsops.$field.read(operations.0)
            };
            if function.is_null() {
                $absent
            } else {
                let function: unsafe extern "C" fn($($ty),*) -> i32 = core::mem::transmute(function);
                function($($argument),*)
            }
        }
    }};
}

pub(crate) unsafe extern "C" fn vfs_attach(operations: FsOperations) -> i32 {
    {
        let list = kernel().vfs.types.list.borrow();
        if list.iter().any(|other| name_of(*other) == name_of(operations)) {
            return EEXIST;
        }
    }
    operation::build_vectors(operations);
    operations.set_uses(0);
    kernel().vfs.types.list.borrow_mut().insert(0, operations);
    run(operations, kernel().abi.vfsops.vfs_init);
    0
}

unsafe extern "C" fn vfs_detach(operations: FsOperations) -> i32 {
    if operations.uses() > 0 {
        return EBUSY;
    }
    {
        let mut list = kernel().vfs.types.list.borrow_mut();
        let Some(at) = list.iter().position(|other| *other == operations) else { return ESRCH };
        list.remove(at);
    }
    run(operations, kernel().abi.vfsops.vfs_done);
    operation::free_vectors(operations);
    0
}

fn run(operations: FsOperations, field: crate::abi::Field) {
    // SAFETY: the member holds a function without arguments, or null.
    unsafe {
        let function: *const () = field.read(operations.0);
        if !function.is_null() {
            let function: unsafe extern "C" fn() = core::mem::transmute(function);
            function();
        }
    }
}

unsafe extern "C" fn vfs_getopsbyname(name: *const u8) -> FsOperations {
    // SAFETY: a C string of the caller.
    hold(unsafe { text::bytes(name, NAME_LENGTH) }).unwrap_or(FsOperations::NULL)
}

unsafe extern "C" fn vfs_delref(operations: FsOperations) {
    release(operations);
}

pub(crate) unsafe extern "C" fn mount(mp: Mount, path: *const u8, data: *mut u8, length: *mut usize) -> i32 {
    vfs_call!(mp.operations(), vfs_mount, EOPNOTSUPP, (mp => Mount, path => *const u8, data => *mut u8, length => *mut usize))
}

pub(crate) unsafe extern "C" fn start(mp: Mount, flags: i32) -> i32 {
    vfs_call!(mp.operations(), vfs_start, 0, (mp => Mount, flags => i32))
}

pub(crate) unsafe extern "C" fn unmount(mp: Mount, flags: i32) -> i32 {
    vfs_call!(mp.operations(), vfs_unmount, EOPNOTSUPP, (mp => Mount, flags => i32))
}

/// The root of a mount, referenced and locked.
pub(crate) unsafe extern "C" fn root(mp: Mount, result: *mut Vnode) -> i32 {
    if kernel().abi.is_10() {
        // SAFETY: the caller's contract is that of the call.
        return unsafe { later::root(mp, LK_EXCLUSIVE, result) };
    }
    vfs_call!(mp.operations(), vfs_root, EOPNOTSUPP, (mp => Mount, result => *mut Vnode))
}

pub(crate) unsafe extern "C" fn statvfs(mp: Mount, stat: Statvfs) -> i32 {
    vfs_call!(mp.operations(), vfs_statvfs, EOPNOTSUPP, (mp => Mount, stat => Statvfs))
}

pub(crate) unsafe extern "C" fn sync(mp: Mount, how: i32, cred: *mut u8) -> i32 {
    vfs_call!(mp.operations(), vfs_sync, EOPNOTSUPP, (mp => Mount, how => i32, cred => *mut u8))
}

/// Keeps other renames of a mount out.
pub(crate) unsafe extern "C" fn enter_rename(mp: Mount) -> i32 {
    vfs_call!(mp.operations(), vfs_renamelock_enter, 0, (mp => Mount))
}

/// Undoes [`enter_rename`].
///
/// # Safety
/// The caller entered.
pub(crate) unsafe fn exit_rename(mp: Mount) {
    if mp.operations().is_null() {
        return;
    }
    // SAFETY: the member holds a function of this type, or null.
    unsafe {
        let function: *const () = kernel().abi.vfsops.vfs_renamelock_exit.read(mp.operations().0);
        if !function.is_null() {
            let function: unsafe extern "C" fn(Mount) = core::mem::transmute(function);
            function(mp);
        }
    }
}

unsafe extern "C" fn quotactl(mp: Mount, arguments: *mut u8) -> i32 {
    vfs_call!(mp.operations(), vfs_quotactl, EOPNOTSUPP, (mp => Mount, arguments => *mut u8))
}

unsafe extern "C" fn fhtovp(mp: Mount, handle: *mut u8, result: *mut Vnode) -> i32 {
    vfs_call!(mp.operations(), vfs_fhtovp, EOPNOTSUPP, (mp => Mount, handle => *mut u8, result => *mut Vnode))
}

unsafe extern "C" fn vptofh(vp: Vnode, handle: *mut u8, length: *mut usize) -> i32 {
    let operations = vp.mount().operations();
    vfs_call!(operations, vfs_vptofh, EOPNOTSUPP, (vp => Vnode, handle => *mut u8, length => *mut usize))
}

unsafe extern "C" fn vget(mp: Mount, number: u64, result: *mut Vnode) -> i32 {
    vfs_call!(mp.operations(), vfs_vget, EOPNOTSUPP, (mp => Mount, number => u64, result => *mut Vnode))
}

/// The calls that got a lock type.
mod later {
    use super::*;

    pub(super) unsafe extern "C" fn root(mp: Mount, lock: i32, result: *mut Vnode) -> i32 {
        vfs_call!(mp.operations(), vfs_root, EOPNOTSUPP, (mp => Mount, lock => i32, result => *mut Vnode))
    }

    pub(super) unsafe extern "C" fn fhtovp(mp: Mount, handle: *mut u8, lock: i32, result: *mut Vnode) -> i32 {
        vfs_call!(mp.operations(), vfs_fhtovp, EOPNOTSUPP,
            (mp => Mount, handle => *mut u8, lock => i32, result => *mut Vnode))
    }

    pub(super) unsafe extern "C" fn vget(mp: Mount, number: u64, lock: i32, result: *mut Vnode) -> i32 {
        vfs_call!(mp.operations(), vfs_vget, EOPNOTSUPP, (mp => Mount, number => u64, lock => i32, result => *mut Vnode))
    }
}

unsafe extern "C" fn extattrctl(mp: Mount, command: i32, vp: Vnode, space: i32, name: *const u8) -> i32 {
    vfs_call!(mp.operations(), vfs_extattrctl, EOPNOTSUPP,
        (mp => Mount, command => i32, vp => Vnode, space => i32, name => *const u8))
}

unsafe extern "C" fn snapshot(mp: Mount, vp: Vnode, time: *mut u8) -> i32 {
    vfs_call!(mp.operations(), vfs_snapshot, EOPNOTSUPP, (mp => Mount, vp => Vnode, time => *mut u8))
}

unsafe extern "C" fn suspendctl(mp: Mount, command: i32) -> i32 {
    vfs_call!(mp.operations(), vfs_suspendctl, EOPNOTSUPP, (mp => Mount, command => i32))
}

/// What types without extended attributes put into their table.
unsafe extern "C" fn vfs_stdextattrctl(_mp: Mount, _command: i32, vp: Vnode, _space: i32, _name: *const u8) -> i32 {
    if !vp.is_null() {
        // SAFETY: the caller hands the vnode over locked.
        unsafe { super::vop::unlock(vp) };
    }
    EOPNOTSUPP
}

/// Adds the functions with the parameters of the version.
pub(super) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    out.extend_from_slice(EXPORTS);
    out.extend_from_slice(if abi.is_10() { LATER } else { EARLIER });
}

const EARLIER: &[Export] = &[function!("VFS_ROOT", root), function!("VFS_FHTOVP", fhtovp), function!("VFS_VGET", vget)];

const LATER: &[Export] =
    &[function!("VFS_ROOT", later::root), function!("VFS_FHTOVP", later::fhtovp), function!("VFS_VGET", later::vget)];

const EXPORTS: &[Export] = &[
    function!("vfs_attach", vfs_attach),
    function!("vfs_detach", vfs_detach),
    function!("vfs_getopsbyname", vfs_getopsbyname),
    function!("vfs_delref", vfs_delref),
    function!("VFS_MOUNT", mount),
    function!("VFS_START", start),
    function!("VFS_UNMOUNT", unmount),
    function!("VFS_STATVFS", statvfs),
    function!("VFS_SYNC", sync),
    function!("VFS_QUOTACTL", quotactl),
    function!("VFS_VPTOFH", vptofh),
    function!("VFS_EXTATTRCTL", extattrctl),
    function!("VFS_SNAPSHOT", snapshot),
    function!("VFS_SUSPENDCTL", suspendctl),
    function!("vfs_stdextattrctl", vfs_stdextattrctl),
];
