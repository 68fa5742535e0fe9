//! Giving vnodes up: `vgone`, `vrecycle`, `vflush`, and walking the vnodes of a mount.

use super::object::{Mount, Vnode};
use super::vnode::{self, Phase, mount_queue};
use super::{buffer, dead, lost, namecache, pages, spec, vop};
use crate::abi::constants::{
    FORCECLOSE, LK_EXCLUSIVE, MNT_RDONLY, SKIPSYSTEM, V_SAVE, VI_EXECMAP, VI_TEXT, VREG, VV_LOCKSWORK, VV_ROOT, VV_SYSTEM,
    WRITECLOSE,
};
use crate::export::{Export, data, function};
use crate::kern::errno::{EBUSY, EOPNOTSUPP};
use crate::kern::lock;
use crate::kern::panic::panic_format;
use crate::kernel::kernel;

/// Whether a vnode's mount takes changes.
fn is_writable(vp: Vnode) -> bool {
    !vp.mount().is_null() && vp.mount().flag() & MNT_RDONLY == 0
}

/// Takes a vnode away from its file system. Entered with it locked and referenced; unlocks, and keeps the reference.
pub(crate) fn clean(vp: Vnode) {
    let active = vp.uses() > 1;
    vp.side().phase.set(Phase::Reclaiming);
    vp.set_iflag(vp.iflag() & !(VI_TEXT | VI_EXECMAP));
    let dirty = pages::any_dirty(vp.object()) || buffer::any_dirty(vp);
    if let Err(error) = buffer::invalidate(vp, V_SAVE) {
        // What could not be written is lost; keeping it would keep the vnode for ever. What a file system keeps by itself may be
        // lost with it, unless it cannot be written: those refuse to write when there is nothing, too.
        if dirty || (error != EOPNOTSUPP && is_writable(vp)) {
            lost::note(vp, error);
        }
        let _ = buffer::invalidate(vp, 0);
    }
    if active && vp.is_device() {
        spec::revoke(vp);
    }
    // SAFETY: a live vnode, locked. Before NetBSD 10 either call unlocks it, as reclaiming wants; since then it stays locked until
    // reclaiming gives the lock up.
    unsafe {
        if active {
            let mut recycle = false;
            vop::inactive(vp, &raw mut recycle);
        } else if !kernel().abi.is_10() {
            vop::unlock(vp);
        }
        if vop::reclaim(vp) != 0 {
            panic_format(format_args!("a file system cannot give up vnode {:p}", vp.0));
        }
    }
    // The base's own file systems have nothing to do with locks.
    vp.side().lock.set(0);
    pages::forget(vp.object());
    namecache::purge(vp);
    // A module that did not take its key out would leave a pointer into freed memory behind.
    super::vcache::forget(vp);
    vp.set_vflag(vp.vflag() & !VV_ROOT);
    dead::adopt(vp);
    vp.set_vflag(vp.vflag() | VV_LOCKSWORK);
    vp.side().phase.set(Phase::Reclaimed);
    vp.set_tag(0);
}

/// Gives a vnode up if the caller's reference is the only one, and takes that; false, with nothing changed, otherwise.
pub(crate) unsafe extern "C" fn vrecycle(vp: Vnode) -> bool {
    // SAFETY: the caller holds a reference.
    unsafe {
        if vop::lock(vp, LK_EXCLUSIVE | kernel().abi.constant.lk_nowait as i32) != 0 {
            return false;
        }
        if vp.uses() != 1 {
            vop::unlock(vp);
            return false;
        }
    }
    clean(vp);
    vnode::release_last(vp);
    true
}

/// Gives a vnode up whoever uses it; takes the caller's reference.
pub(crate) unsafe extern "C" fn vgone(vp: Vnode) {
    // SAFETY: the caller holds a reference.
    unsafe {
        if vop::lock(vp, LK_EXCLUSIVE) != 0 {
            vnode::vrele(vp);
            return;
        }
        clean(vp);
        vnode::vrele(vp);
    }
}

pub(crate) unsafe extern "C" fn vrevoke(vp: Vnode) {
    // SAFETY: the caller holds a reference; one more is taken, which `vgone` gives up.
    unsafe {
        if vp.phase() != Phase::Reclaimed {
            vnode::vref(vp);
            vgone(vp);
        }
    }
}

/// A place in a mount's list of vnodes, kept by a marker.
pub(crate) struct Cursor(Vnode);

impl Cursor {
    pub(crate) fn new(mp: Mount) -> Self {
        let marker = vnode::allocate(Phase::Marker);
        marker.set_mount(mp);
        // SAFETY: a fresh marker is on no list.
        unsafe { mount_queue().push_front(mp.0, marker.0) };
        Self(marker)
    }

    /// The next vnode that `wanted` accepts, referenced.
    pub(crate) fn next(&self, mut wanted: impl FnMut(Vnode) -> bool) -> Option<Vnode> {
        let marker = self.0;
        let mp = marker.mount();
        let queue = mount_queue();
        loop {
            // SAFETY: the marker is on the mount's list as long as the cursor lives.
            let vp = unsafe { Vnode(queue.next(marker.0)) };
            if vp.is_null() {
                return None;
            }
            // SAFETY: as above.
            unsafe {
                queue.remove(mp.0, marker.0);
                queue.insert_after(mp.0, vp.0, marker.0);
            }
            if vp.phase() == Phase::Marker || vp.check_alive() != 0 || !wanted(vp) {
                continue;
            }
            if vnode::get(vp).is_ok() {
                return Some(vp);
            }
        }
    }

    /// Ends the walk.
    pub(crate) fn finish(self) {
        let marker = self.0;
        // SAFETY: as above.
        unsafe { mount_queue().remove(marker.mount().0, marker.0) };
        marker.set_mount(Mount::NULL);
        marker.set_uses(0);
        vnode::free(marker);
    }
}

/// Gives up all vnodes of a mount but `skip`.
pub(crate) unsafe extern "C" fn vflush(mp: Mount, skip: Vnode, flags: i32) -> i32 {
    let wanted = |vp: Vnode| {
        vp != skip
            && !(flags & SKIPSYSTEM != 0 && vp.vflag() & VV_SYSTEM != 0)
            && !(flags & WRITECLOSE != 0 && vp.kind() == VREG && vp.writecount() == 0)
    };
    super::flush_deferred();
    let cursor = Cursor::new(mp);
    let mut busy = 0;
    while let Some(vp) = cursor.next(wanted) {
        // SAFETY: the cursor took a reference, which each branch gives up.
        unsafe {
            if vrecycle(vp) {
                continue;
            }
            if flags & FORCECLOSE != 0 {
                vgone(vp);
                continue;
            }
            vnode::vrele(vp);
        }
        busy += 1;
    }
    cursor.finish();
    super::flush_deferred();
    // Reclaiming one vnode may release others: a second look finds them unused.
    if busy == 0 && first_left(mp, wanted).is_some() {
        return retry(mp, wanted);
    }
    if busy == 0 { 0 } else { EBUSY }
}

fn first_left(mp: Mount, wanted: impl Fn(Vnode) -> bool) -> Option<Vnode> {
    let queue = mount_queue();
    // SAFETY: the list of a live mount.
    let mut vp = unsafe { Vnode(queue.first(mp.0)) };
    while !vp.is_null() {
        if vp.phase() != Phase::Marker && wanted(vp) {
            return Some(vp);
        }
        // SAFETY: as above.
        vp = unsafe { Vnode(queue.next(vp.0)) };
    }
    None
}

fn retry(mp: Mount, wanted: impl Fn(Vnode) -> bool) -> i32 {
    while let Some(vp) = first_left(mp, &wanted) {
        if vnode::get(vp).is_err() {
            return EBUSY;
        }
        // SAFETY: referenced just now.
        unsafe {
            if !vrecycle(vp) {
                vnode::vrele(vp);
                return EBUSY;
            }
        }
    }
    0
}

unsafe extern "C" fn iterator_init(mp: Mount, result: *mut Vnode) {
    // SAFETY: the caller's result is writable.
    unsafe { result.write(Cursor::new(mp).0) };
}

unsafe extern "C" fn iterator_destroy(marker: Vnode) {
    Cursor(marker).finish();
}

type Selector = unsafe extern "C" fn(*mut u8, Vnode) -> bool;

unsafe extern "C" fn iterator_next(marker: Vnode, selector: Option<Selector>, argument: *mut u8) -> Vnode {
    let cursor = Cursor(marker);
    let found = cursor.next(|vp| {
        let Some(selector) = selector else { return true };
        // SAFETY: the selector runs with the interlock held.
        unsafe {
            lock::mutex_enter(vp.interlock());
            let wanted = selector(argument, vp);
            lock::mutex_exit(vp.interlock());
            wanted
        }
    });
    found.unwrap_or(Vnode::NULL)
}

pub(crate) const EXPORTS: &[Export] = &[
    // A debug switch; 0 is quiet.
    data!("prtactive", 4, 4),
    function!("vrecycle", vrecycle),
    function!("vgone", vgone),
    function!("vrevoke", vrevoke),
    function!("vflush", vflush),
    function!("vfs_vnode_iterator_init", iterator_init),
    function!("vfs_vnode_iterator_destroy", iterator_destroy),
    function!("vfs_vnode_iterator_next", iterator_next),
];
