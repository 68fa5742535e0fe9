//! Whether a name may be moved or removed: flags, permissions, sticky directories.

use super::access;
use crate::abi::constants::{S_ISTXT, VDIR};
use crate::export::{Export, function};
use crate::kern::cred::Cred;
use crate::kern::errno::EPERM;
use crate::kernel::kernel;
use crate::vfs::object::Vnode;
use crate::vfs::vop;

unsafe extern "C" fn genfs_ufslike_rename_check_possible(
    from_directory: usize,
    from: usize,
    to_directory: usize,
    to: usize,
    replaces: bool,
    immutable: usize,
    append: usize,
) -> i32 {
    let fixed = immutable | append;
    // Adding a name to an append-only directory is fine; replacing one is not.
    let directory = if replaces { fixed } else { immutable };
    let refused = (from_directory | from) & fixed != 0 || to_directory & directory != 0 || (replaces && to & fixed != 0);
    if refused { EPERM } else { 0 }
}

unsafe extern "C" fn genfs_ufslike_remove_check_possible(directory: usize, file: usize, immutable: usize, append: usize) -> i32 {
    if (directory | file) & (immutable | append) != 0 { EPERM } else { 0 }
}

fn may_write(vp: Vnode, cred: Cred) -> i32 {
    // SAFETY: module code passes live, locked vnodes.
    unsafe { vop::access(vp, kernel().abi.constant.vwrite as i32, cred) }
}

fn leaves(cred: Cred, mode: u32, directory_uid: u32, vp: Vnode, uid: u32) -> i32 {
    if mode & S_ISTXT as u32 == 0 || vp.is_null() { 0 } else { access::sticky(cred, directory_uid, uid) }
}

/// The first of some checks that fails.
fn first_error(checks: &[&dyn Fn() -> i32]) -> i32 {
    checks.iter().map(|check| check()).find(|error| *error != 0).unwrap_or(0)
}

unsafe extern "C" fn genfs_ufslike_rename_check_permitted(
    cred: Cred,
    from_directory: Vnode,
    from_directory_mode: u32,
    from_directory_uid: u32,
    from: Vnode,
    from_uid: u32,
    to_directory: Vnode,
    to_directory_mode: u32,
    to_directory_uid: u32,
    to: Vnode,
    to_uid: u32,
) -> i32 {
    let moves = from_directory != to_directory;
    first_error(&[
        &|| may_write(from_directory, cred),
        &|| if moves { may_write(to_directory, cred) } else { 0 },
        // Its entry ".." is rewritten.
        &|| if moves && from.kind() == VDIR { may_write(from, cred) } else { 0 },
        &|| leaves(cred, from_directory_mode, from_directory_uid, from, from_uid),
        &|| leaves(cred, to_directory_mode, to_directory_uid, to, to_uid),
    ])
}

unsafe extern "C" fn genfs_ufslike_remove_check_permitted(
    cred: Cred,
    directory: Vnode,
    mode: u32,
    directory_uid: u32,
    vp: Vnode,
    uid: u32,
) -> i32 {
    first_error(&[&|| may_write(directory, cred), &|| leaves(cred, mode, directory_uid, vp, uid)])
}

pub(super) const EXPORTS: &[Export] = &[
    function!("genfs_ufslike_rename_check_possible", genfs_ufslike_rename_check_possible),
    function!("genfs_ufslike_rename_check_permitted", genfs_ufslike_rename_check_permitted),
    function!("genfs_ufslike_remove_check_possible", genfs_ufslike_remove_check_possible),
    function!("genfs_ufslike_remove_check_permitted", genfs_ufslike_remove_check_permitted),
];

#[cfg(test)]
mod tests {
    use super::{EPERM, genfs_ufslike_remove_check_possible, genfs_ufslike_rename_check_possible};

    const IMMUTABLE: usize = 2;
    const APPEND: usize = 4;

    fn rename(from_directory: usize, from: usize, to_directory: usize, to: usize, replaces: bool) -> i32 {
        // SAFETY: the function only compares numbers.
        unsafe { genfs_ufslike_rename_check_possible(from_directory, from, to_directory, to, replaces, IMMUTABLE, APPEND) }
    }

    #[test]
    fn names_of_fixed_files_stay() {
        assert_eq!((rename(0, 0, 0, 0, false), rename(0, 0, 0, 0, true)), (0, 0));
        assert_eq!((rename(APPEND, 0, 0, 0, false), rename(0, IMMUTABLE, 0, 0, false)), (EPERM, EPERM));
        assert_eq!((rename(0, 0, APPEND, 0, false), rename(0, 0, APPEND, 0, true)), (0, EPERM));
        assert_eq!((rename(0, 0, 0, APPEND, false), rename(0, 0, 0, APPEND, true)), (0, EPERM));
        // SAFETY: the function only compares numbers.
        unsafe {
            assert_eq!(genfs_ufslike_remove_check_possible(0, 0, IMMUTABLE, APPEND), 0);
            assert_eq!(genfs_ufslike_remove_check_possible(0, APPEND, IMMUTABLE, APPEND), EPERM);
        }
    }
}
