//! Who may do what to a file: the rules that Unix-like file systems share. Privilege is not their matter; the file systems ask
//! for it afterwards.

use crate::abi::Abi;
use crate::abi::constants::{
    S_IRGRP, S_IROTH, S_IRUSR, S_ISGID, S_ISTXT, S_IWGRP, S_IWOTH, S_IWUSR, S_IXGRP, S_IXOTH, S_IXUSR, VA_UTIMES_NULL, VBLK,
    VCHR, VDIR,
};
use crate::export::{Export, function};
use crate::kern::cred::{self, Cred};
use crate::kern::errno::{EACCES, EFTYPE, EPERM};
use crate::kernel::kernel;
use crate::vfs::object::Vnode;
use crate::vfs::vop;
use alloc::vec::Vec;

/// Kinds of access, as bits of a wanted mode.
#[derive(Clone, Copy)]
struct Kinds {
    read: u32,
    write: u32,
    execute: u32,
}

/// How a user stands to a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Standing {
    Owner,
    Group,
    Other,
}

fn standing(cred: Cred, uid: u32, gid: u32) -> Standing {
    if is_owner(cred, uid) {
        Standing::Owner
    } else if in_group(cred, gid) {
        Standing::Group
    } else {
        Standing::Other
    }
}

fn is_owner(cred: Cred, uid: u32) -> bool {
    cred::effective_uid(cred) == uid
}

fn in_group(cred: Cred, gid: u32) -> bool {
    cred::effective_gid(cred) == gid || cred::is_member(cred, gid)
}

/// Whether `mode` allows a user of such standing what is wanted.
fn allows(mode: u32, standing: Standing, wanted: u32, kinds: Kinds) -> bool {
    let (read, write, execute) = match standing {
        Standing::Owner => (S_IRUSR, S_IWUSR, S_IXUSR),
        Standing::Group => (S_IRGRP, S_IWGRP, S_IXGRP),
        Standing::Other => (S_IROTH, S_IWOTH, S_IXOTH),
    };
    let needs = [(kinds.read, read), (kinds.write, write), (kinds.execute, execute)];
    needs.iter().all(|(kind, bit)| wanted & kind == 0 || mode & *bit as u32 != 0)
}

fn access(cred: Cred, uid: u32, gid: u32, mode: u32, wanted: u32) -> i32 {
    let constant = &kernel().abi.constant;
    let kinds = Kinds { read: constant.vread as u32, write: constant.vwrite as u32, execute: constant.vexec as u32 };
    if allows(mode, standing(cred, uid, gid), wanted, kinds) { 0 } else { EACCES }
}

fn chmod(kind: i32, owner: bool, member: bool, mode: u32) -> i32 {
    if !owner {
        EPERM
    } else if kind != VDIR && mode & S_ISTXT as u32 != 0 {
        EFTYPE
    } else if mode & S_ISGID as u32 != 0 && !member {
        EPERM
    } else {
        0
    }
}

fn chown(owner: bool, keeps_owner: bool, keeps_group: bool, member: bool) -> i32 {
    if owner && keeps_owner && (keeps_group || member) { 0 } else { EPERM }
}

fn chtimes(vp: Vnode, flags: u32, owner: bool, cred: Cred) -> i32 {
    if owner {
        0
    } else if flags & VA_UTIMES_NULL as u32 == 0 {
        EPERM
    } else {
        // SAFETY: module code passes a live, locked vnode.
        unsafe { vop::access(vp, kernel().abi.constant.vwrite as i32, cred) }
    }
}

fn chflags(kind: i32, owner: bool, system: bool) -> i32 {
    if owner && !system && !matches!(kind, VCHR | VBLK) { 0 } else { EPERM }
}

/// Whether a name may leave a sticky directory.
pub(super) fn sticky(cred: Cred, directory_uid: u32, file_uid: u32) -> i32 {
    if is_owner(cred, directory_uid) || is_owner(cred, file_uid) { 0 } else { EPERM }
}

unsafe extern "C" fn genfs_can_access(_kind: i32, mode: u32, uid: u32, gid: u32, wanted: u32, cred: Cred) -> i32 {
    access(cred, uid, gid, mode, wanted)
}

unsafe extern "C" fn genfs_can_chmod(kind: i32, cred: Cred, uid: u32, gid: u32, mode: u32) -> i32 {
    chmod(kind, is_owner(cred, uid), in_group(cred, gid), mode)
}

unsafe extern "C" fn genfs_can_chown(cred: Cred, uid: u32, gid: u32, new_uid: u32, new_gid: u32) -> i32 {
    chown(is_owner(cred, uid), new_uid == uid, new_gid == gid, in_group(cred, new_gid))
}

unsafe extern "C" fn genfs_can_chtimes(vp: Vnode, flags: u32, uid: u32, cred: Cred) -> i32 {
    chtimes(vp, flags, is_owner(cred, uid), cred)
}

unsafe extern "C" fn genfs_can_chflags(cred: Cred, kind: i32, uid: u32, system: bool) -> i32 {
    chflags(kind, is_owner(cred, uid), system)
}

unsafe extern "C" fn genfs_can_sticky(cred: Cred, directory_uid: u32, file_uid: u32) -> i32 {
    sticky(cred, directory_uid, file_uid)
}

/// The same with the parameters of newer versions, which start with the vnode. Access lists are not known here.
mod later {
    use super::{Cred, Vnode};
    use crate::kern::errno::EACCES;

    pub(super) unsafe extern "C" fn access(
        _vp: Vnode,
        cred: Cred,
        uid: u32,
        gid: u32,
        mode: u32,
        list: *const u8,
        wanted: u32,
    ) -> i32 {
        if list.is_null() { super::access(cred, uid, gid, mode, wanted) } else { EACCES }
    }

    pub(super) unsafe extern "C" fn chmod(vp: Vnode, cred: Cred, uid: u32, gid: u32, mode: u32) -> i32 {
        super::chmod(vp.kind(), super::is_owner(cred, uid), super::in_group(cred, gid), mode)
    }

    pub(super) unsafe extern "C" fn chown(_vp: Vnode, cred: Cred, uid: u32, gid: u32, new_uid: u32, new_gid: u32) -> i32 {
        super::chown(super::is_owner(cred, uid), new_uid == uid, new_gid == gid, super::in_group(cred, new_gid))
    }

    pub(super) unsafe extern "C" fn chtimes(vp: Vnode, cred: Cred, uid: u32, flags: u32) -> i32 {
        super::chtimes(vp, flags, super::is_owner(cred, uid), cred)
    }

    pub(super) unsafe extern "C" fn chflags(vp: Vnode, cred: Cred, uid: u32, system: bool) -> i32 {
        super::chflags(vp.kind(), super::is_owner(cred, uid), system)
    }

    pub(super) unsafe extern "C" fn sticky(_vp: Vnode, cred: Cred, directory_uid: u32, file_uid: u32) -> i32 {
        super::sticky(cred, directory_uid, file_uid)
    }
}

/// Adds the functions with the parameters of the version.
pub(super) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    out.extend_from_slice(if abi.vnode.v_interlock.is_present() { LATER } else { EXPORTS });
}

const EXPORTS: &[Export] = &[
    function!("genfs_can_access", genfs_can_access),
    function!("genfs_can_chmod", genfs_can_chmod),
    function!("genfs_can_chown", genfs_can_chown),
    function!("genfs_can_chtimes", genfs_can_chtimes),
    function!("genfs_can_chflags", genfs_can_chflags),
    function!("genfs_can_sticky", genfs_can_sticky),
];

const LATER: &[Export] = &[
    function!("genfs_can_access", later::access),
    function!("genfs_can_chmod", later::chmod),
    function!("genfs_can_chown", later::chown),
    function!("genfs_can_chtimes", later::chtimes),
    function!("genfs_can_chflags", later::chflags),
    function!("genfs_can_sticky", later::sticky),
];

#[cfg(test)]
mod tests {
    use super::{EFTYPE, EPERM, Kinds, Standing, VBLK, VDIR, allows, chflags, chmod, chown};

    const KINDS: Kinds = Kinds { read: 4, write: 2, execute: 1 };
    const FILE: i32 = crate::abi::constants::VREG;

    #[test]
    fn only_the_bits_of_ones_own_standing_count() {
        assert!(allows(0o640, Standing::Owner, 6, KINDS));
        assert!(allows(0o640, Standing::Group, 4, KINDS) && !allows(0o640, Standing::Group, 2, KINDS));
        assert!(!allows(0o640, Standing::Other, 4, KINDS) && allows(0o640, Standing::Other, 0, KINDS));
        // An owner without rights has none, whatever others may do.
        assert!(!allows(0o077, Standing::Owner, 4, KINDS) && allows(0o077, Standing::Other, 7, KINDS));
        assert!(!allows(0o644, Standing::Owner, 1, KINDS));
    }

    #[test]
    fn modes_are_the_owners_matter() {
        assert_eq!((chmod(FILE, false, true, 0o600), chmod(FILE, true, false, 0o600)), (EPERM, 0));
        assert_eq!((chmod(FILE, true, true, 0o1600), chmod(VDIR, true, true, 0o1700)), (EFTYPE, 0));
        assert_eq!((chmod(FILE, true, false, 0o2700), chmod(FILE, true, true, 0o2700)), (EPERM, 0));
    }

    #[test]
    fn files_are_given_to_ones_own_groups_only() {
        assert_eq!(chown(true, true, false, true), 0);
        assert_eq!(chown(true, true, true, false), 0);
        for refused in [chown(false, true, true, true), chown(true, false, true, true), chown(true, true, false, false)] {
            assert_eq!(refused, EPERM);
        }
    }

    #[test]
    fn flags_of_devices_and_of_the_system_stay() {
        assert_eq!(chflags(FILE, true, false), 0);
        assert_eq!((chflags(VBLK, true, false), chflags(FILE, true, true), chflags(FILE, false, false)), (EPERM, EPERM, EPERM));
    }
}
