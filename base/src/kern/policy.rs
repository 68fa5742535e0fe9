//! What security models ask about files and mounts.

use super::errno::{EBUSY, EINVAL, EPERM};
use crate::abi::constants::{MNT_EXPORTED, MNT_NODEV, MNT_NOEXEC, MNT_NOSUID, VBLK};
use crate::export::{Export, function};
use crate::vfs::object::{Mount, Vnode};
use crate::vfs::spec;

/// Whether the file is the memory of the machine. There is no such device.
unsafe extern "C" fn iskmemvp(_vp: Vnode) -> bool {
    false
}

/// Error if a disk is mounted, or if the file is no disk; `out` gets the block device.
unsafe extern "C" fn rawdev_mounted(vp: Vnode, out: *mut Vnode) -> i32 {
    if vp.kind() != VBLK {
        return EINVAL;
    }
    if !out.is_null() {
        // SAFETY: module code passes null or room for a vnode.
        unsafe { out.write(vp) };
    }
    if spec::mounted_from(vp).is_null() { 0 } else { EBUSY }
}

/// What a user without privileges may mount.
fn user_mount(held: i32, wanted: i32) -> i32 {
    let needs = MNT_NODEV | MNT_NOSUID | held & MNT_NOEXEC;
    if wanted & MNT_EXPORTED != 0 || wanted & needs != needs { EPERM } else { 0 }
}

unsafe extern "C" fn usermount_common_policy(mp: Mount, wanted: usize) -> i32 {
    user_mount(mp.flag(), wanted as i32)
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("iskmemvp", iskmemvp),
    function!("rawdev_mounted", rawdev_mounted),
    function!("usermount_common_policy", usermount_common_policy),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_give_up_devices_and_identities() {
        let least = MNT_NODEV | MNT_NOSUID;
        assert_eq!(user_mount(0, least), 0);
        assert_eq!(user_mount(MNT_NOEXEC, least), EPERM);
        assert_eq!(user_mount(MNT_NOEXEC, least | MNT_NOEXEC), 0);
        assert_eq!([user_mount(0, MNT_NODEV), user_mount(0, MNT_NOSUID), user_mount(0, least | MNT_EXPORTED)], [EPERM; 3]);
    }
}
