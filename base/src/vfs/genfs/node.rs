//! The part of a file system's node that `genfs` owns: it lies first in the node.

use crate::abi::constants::{RW_READER, RW_WRITER};
use crate::export::{Export, function};
use crate::kern::lock;
use crate::kernel::kernel;
use crate::vfs::object::Vnode;
use crate::vfs::pages::Page;

/// The lock of a vnode's node.
fn lock_of(vp: Vnode) -> *mut u8 {
    // SAFETY: a node that was initialised starts with the structure.
    unsafe { kernel().abi.genfs_node.g_glock.ptr(vp.data()) }
}

/// Keeps the file from being truncated.
pub(super) fn lock_shared(vp: Vnode) {
    // SAFETY: the lock of a live node.
    unsafe { lock::rw_enter(lock_of(vp), RW_READER) };
}

/// Undoes [`lock_shared`].
pub(super) fn unlock(vp: Vnode) {
    // SAFETY: as above.
    unsafe { lock::rw_exit(lock_of(vp)) };
}

/// The file system's table of `genfs` functions.
fn table(vp: Vnode) -> *const u8 {
    // SAFETY: a node that was initialised starts with the structure.
    unsafe { kernel().abi.genfs_node.g_op.read(vp.data()) }
}

/// The end of a file of `size` bytes: on the device, or in memory if `flags` say so.
pub(super) fn end(vp: Vnode, size: i64, flags: i32) -> i64 {
    let mut result = 0;
    // SAFETY: the table has this member.
    unsafe {
        let function: unsafe extern "C" fn(Vnode, i64, *mut i64, i32) =
            core::mem::transmute(kernel().abi.genfs_ops.gop_size.read::<*const ()>(table(vp)));
        function(vp, size, &raw mut result, flags);
    }
    result
}

/// Lets the file system note an access or a change.
pub(super) fn mark_update(vp: Vnode, flags: i32) {
    // SAFETY: the member is such a function or null.
    unsafe {
        let function: *const () = kernel().abi.genfs_ops.gop_markupdate.read(table(vp));
        if !function.is_null() {
            let function: unsafe extern "C" fn(Vnode, i32) = core::mem::transmute(function);
            function(vp, flags);
        }
    }
}

/// Lets the file system write pages.
///
/// # Safety
/// `list` must hold `count` pages that the caller holds.
pub(super) unsafe fn write(vp: Vnode, list: *mut Page, count: i32, flags: i32) -> i32 {
    // SAFETY: the member is such a function or null; the pages are the caller's.
    unsafe {
        let function: *const () = kernel().abi.genfs_ops.gop_write.read(table(vp));
        if function.is_null() {
            return crate::kern::errno::EROFS;
        }
        let function: unsafe extern "C" fn(Vnode, *mut Page, i32, i32) -> i32 = core::mem::transmute(function);
        function(vp, list, count, flags)
    }
}

pub(super) unsafe extern "C" fn genfs_node_init(vp: Vnode, operations: *const u8) {
    // SAFETY: the file system set the vnode's node, which starts with the structure.
    unsafe {
        kernel().abi.genfs_node.g_op.write(vp.data(), operations);
        lock::rw_init(lock_of(vp));
    }
}

unsafe extern "C" fn genfs_node_destroy(vp: Vnode) {
    // SAFETY: as above.
    unsafe { lock::rw_destroy(lock_of(vp)) };
}

unsafe extern "C" fn genfs_node_wrlock(vp: Vnode) {
    // SAFETY: as above.
    unsafe { lock::rw_enter(lock_of(vp), RW_WRITER) };
}

unsafe extern "C" fn genfs_node_rdlock(vp: Vnode) {
    lock_shared(vp);
}

unsafe extern "C" fn genfs_node_rdtrylock(vp: Vnode) -> i32 {
    // SAFETY: as above.
    unsafe { lock::rw_tryenter(lock_of(vp), RW_READER) }
}

unsafe extern "C" fn genfs_node_wrlocked(vp: Vnode) -> i32 {
    // SAFETY: as above.
    unsafe { lock::rw_write_held(lock_of(vp)) }
}

unsafe extern "C" fn genfs_node_unlock(vp: Vnode) {
    unlock(vp);
}

/// A file's end for file systems that store whole blocks.
pub(super) unsafe extern "C" fn genfs_size(vp: Vnode, size: i64, result: *mut i64, _flags: i32) {
    // SAFETY: the caller's result is writable.
    unsafe { result.write(round_to(size, vp.mount().fs_shift())) };
}

fn round_to(size: i64, shift: i32) -> i64 {
    let block = 1i64 << shift.clamp(0, 62);
    size.saturating_add(block - 1) & !(block - 1)
}

pub(super) const EXPORTS: &[Export] = &[
    function!("genfs_node_init", genfs_node_init),
    function!("genfs_node_destroy", genfs_node_destroy),
    function!("genfs_node_wrlock", genfs_node_wrlock),
    function!("genfs_node_rdlock", genfs_node_rdlock),
    function!("genfs_node_rdtrylock", genfs_node_rdtrylock),
    function!("genfs_node_wrlocked", genfs_node_wrlocked),
    function!("genfs_node_unlock", genfs_node_unlock),
    function!("genfs_size", genfs_size),
];

#[cfg(test)]
mod tests {
    use super::round_to;

    #[test]
    fn sizes_are_rounded_to_blocks() {
        assert_eq!((round_to(0, 11), round_to(1, 11), round_to(2048, 11), round_to(2049, 11)), (0, 2048, 2048, 4096));
        assert_eq!(round_to(i64::MAX, 11) & 2047, 0);
    }
}
