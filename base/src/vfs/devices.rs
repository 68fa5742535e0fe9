//! Vnodes of devices, found by the device's number.

use super::object::Vnode;
use super::vnode::{self, Phase};
use super::{reclaim, spec, vop};
use crate::abi::constants::REVOKEALL;
use crate::export::{Export, function};

/// Whether a device has a vnode of type `kind` that is in use or kept; gives a referenced one.
///
/// # Safety
/// `result` must be writable.
pub(super) unsafe extern "C" fn vfinddev(device: u64, kind: i32, result: *mut Vnode) -> i32 {
    match spec::find(device, kind) {
        Some(vp) => {
            // SAFETY: the caller's result is writable.
            unsafe { result.write(vp) };
            1
        }
        None => 0,
    }
}

/// `makedev`.
fn number(major: i32, minor: i32) -> u64 {
    let (major, minor) = (major as u32, minor as u32);
    u64::from(major << 8 & 0xf_ff00 | minor << 12 & 0xfff0_0000 | minor & 0xff)
}

/// Takes the vnodes of devices that are gone away from whoever uses them.
///
/// # Safety
/// Nobody further up may hold one of their locks.
pub(super) unsafe extern "C" fn vdevgone(major: i32, first: i32, last: i32, kind: i32) {
    for minor in first..=last {
        while let Some(vp) = spec::find(number(major, minor), kind) {
            // SAFETY: referenced by the search.
            unsafe {
                vop::revoke(vp, REVOKEALL);
                // A file system that does not know the operation does not keep the device either.
                if vp.phase() != Phase::Reclaimed {
                    reclaim::vrevoke(vp);
                }
                vnode::vrele(vp);
            }
        }
    }
}

/// Ends that a vnode stands for a device. Giving the vnode up does so by itself.
///
/// # Safety
/// The vnode is the caller's to give up.
pub(super) unsafe extern "C" fn spec_node_destroy(vp: Vnode) {
    spec::forget(vp);
}

pub(crate) const EXPORTS: &[Export] =
    &[function!("vfinddev", vfinddev), function!("vdevgone", vdevgone), function!("spec_node_destroy", spec_node_destroy)];
