//! `genfs`: the operations most file systems leave to their kernel.

mod access;
#[cfg(test)]
mod file_tests;
mod getpages;
mod node;
mod putpages;
mod rename;
mod rename_checks;
mod runs;

use super::object::{ComponentName, Mount, Statvfs, Vnode};
use super::{mount, reclaim, vnode, vop};
use crate::abi::Abi;
use crate::abi::constants::{
    DEV_BSIZE, F_SETFL, LK_DOWNGRADE, LK_EXCLUSIVE, LK_SHARED, LK_UPGRADE, POLLIN, POLLOUT, POLLRDNORM, VDESC_NO_OFFSET,
    VDESC_VP0_WILLPUT, VDESC_VP0_WILLRELE, VDESC_VP0_WILLUNLOCK,
};
use crate::export::{Export, function};
use crate::kern::errno::{EBUSY, EINVAL, ENOENT, EOPNOTSUPP, EPASSTHROUGH};
use crate::kern::panic::{panic_format, panic_message};
use crate::kern::{sleep, thread};
use crate::kernel::kernel;
use alloc::vec::Vec;

pub(crate) use putpages::null_putpages;

/// Value of a vnode's lock while one holder excludes all others.
const EXCLUSIVE: i32 = -1;

/// The vnode an operation works on; it follows the descriptor in every argument structure.
///
/// # Safety
/// `arguments` must be the argument structure of an operation on one vnode.
unsafe fn subject(arguments: *mut u8) -> Vnode {
    // SAFETY: as the caller says.
    unsafe { kernel().abi.vop_unlock_args.a_vp.read(arguments) }
}

/// What a lock word becomes when `flags` ask for it; none if its holders do not allow that.
fn locked(word: i32, shared: bool) -> Option<i32> {
    match (word, shared) {
        (0, false) => Some(EXCLUSIVE),
        (0.., true) => Some(word + 1),
        _ => None,
    }
}

/// What a lock word becomes when a holder gives it up; none if there is no holder.
fn unlocked(word: i32) -> Option<i32> {
    match word {
        0 => None,
        EXCLUSIVE => Some(0),
        holders => Some(holders - 1),
    }
}

/// Takes a vnode's lock as `flags` ask, whatever has become of its file system.
///
/// Without kernel threads whoever holds it is further up the stack, so waiting would never end: without `LK_NOWAIT` a held lock
/// ends the instance. With threads, others run until it is free.
pub(crate) fn lock_vnode(vp: Vnode, flags: i32) -> i32 {
    let word = &vp.side().lock;
    let converts = kernel().abi.vnode.v_interlock.is_present() && flags & (LK_UPGRADE | LK_DOWNGRADE) != 0;
    loop {
        let next = if converts {
            convert(word.get(), flags & LK_UPGRADE != 0)
        } else {
            debug_assert!(flags & (LK_SHARED | LK_EXCLUSIVE) != 0, "a lock of no kind");
            locked(word.get(), flags & LK_SHARED != 0)
        };
        if let Some(next) = next {
            word.set(next);
            return 0;
        }
        if i64::from(flags) & kernel().abi.constant.lk_nowait != 0 {
            return EBUSY;
        }
        if !thread::any() {
            panic_format(format_args!("vnode {:p} (tag {}) is locked by its own user", vp.0, vp.tag()));
        }
        let what = format_args!("vnode {:p} (tag {}) is locked, a deadlock", vp.0, vp.tag());
        sleep::wait_for(word.as_ptr().addr(), None, what);
    }
}

fn convert(word: i32, up: bool) -> Option<i32> {
    match (word, up) {
        (1, true) => Some(EXCLUSIVE),
        (EXCLUSIVE, false) => Some(1),
        _ => None,
    }
}

pub(crate) unsafe extern "C" fn lock(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of lock.
    let (vp, flags): (Vnode, i32) = unsafe { (subject(arguments), kernel().abi.vop_lock_args.a_flags.read(arguments)) };
    let error = lock_vnode(vp, flags);
    if error != 0 || i64::from(flags) & kernel().abi.constant.lk_retry != 0 || vp.check_alive() == 0 {
        return error;
    }
    unlock_vnode(vp);
    ENOENT
}

fn unlock_vnode(vp: Vnode) {
    match unlocked(vp.side().lock.get()) {
        Some(next) => {
            vp.side().lock.set(next);
            sleep::wake_lock(vp.side().lock.as_ptr().cast());
        }
        None => panic_format(format_args!("vnode {:p} (tag {}) is unlocked, but not locked", vp.0, vp.tag())),
    }
}

pub(crate) unsafe extern "C" fn unlock(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of unlock.
    unlock_vnode(unsafe { subject(arguments) });
    0
}

pub(crate) unsafe extern "C" fn islocked(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of islocked.
    match unsafe { subject(arguments) }.side().lock.get() {
        0 => 0,
        EXCLUSIVE => LK_EXCLUSIVE,
        _ => LK_SHARED,
    }
}

/// Inactive without anything to do: where the version wants it, the vnode is unlocked.
pub(crate) unsafe extern "C" fn inactive(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of inactive; the flag is writable.
    unsafe {
        kernel().abi.vop_inactive_args.a_recycle.read::<*mut bool>(arguments).write(false);
        if kernel().abi.vnode.v_interlock.is_present() { 0 } else { unlock(arguments) }
    }
}

pub(crate) unsafe extern "C" fn nullop(_arguments: *mut u8) -> i32 {
    0
}

unsafe extern "C" fn einval(_arguments: *mut u8) -> i32 {
    EINVAL
}

unsafe extern "C" fn enoioctl(_arguments: *mut u8) -> i32 {
    EPASSTHROUGH
}

unsafe extern "C" fn badop(_arguments: *mut u8) -> i32 {
    panic_message("a vnode operation was called that its file system forbids");
}

/// Fails, and gives up the vnodes that the operation would have given up.
pub(crate) unsafe extern "C" fn eopnotsupp(arguments: *mut u8) -> i32 {
    let abi = kernel().abi;
    let layout = &abi.vnodeop_desc;
    // SAFETY: every argument structure starts with its descriptor, which says where the vnodes are; the list of offsets ends
    // with a mark.
    unsafe {
        let descriptor: *const u8 = abi.vop_generic_args.a_desc.read(arguments);
        let mut offset: *const i32 = layout.vdesc_vp_offsets.read(descriptor);
        let mut flags: i32 = layout.vdesc_flags.read(descriptor);
        let slot: i32 = layout.vdesc_offset.read(descriptor);
        let name: i32 = layout.vdesc_componentname_offset.read(descriptor);
        let argument = |at: i32| arguments.add(at as usize).cast::<*mut u8>().read_unaligned();
        if offset.is_null() {
            return EOPNOTSUPP;
        }
        // The names of a rename belong to whoever asked for it.
        if name != VDESC_NO_OFFSET && offset.read() != VDESC_NO_OFFSET && i64::from(slot) != abi.constant.vop_rename_descoffset {
            vop::abortop(Vnode(argument(offset.read())), ComponentName(argument(name)));
        }
        let mut put = Vnode::NULL;
        while offset.read() != VDESC_NO_OFFSET {
            let vp = Vnode(argument(offset.read()));
            if !vp.is_null() {
                match flags & VDESC_VP0_WILLPUT {
                    // A directory and its entry "." are one vnode with one lock.
                    VDESC_VP0_WILLPUT if vp != put => {
                        vnode::vput(vp);
                        put = vp;
                    }
                    VDESC_VP0_WILLPUT | VDESC_VP0_WILLRELE => vnode::vrele(vp),
                    VDESC_VP0_WILLUNLOCK => {
                        vop::unlock(vp);
                    }
                    _ => {}
                }
            }
            flags >>= 1;
            offset = offset.add(1);
        }
    }
    EOPNOTSUPP
}

unsafe extern "C" fn seek(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of seek.
    let new: i64 = unsafe { kernel().abi.vop_seek_args.a_newoff.read(arguments) };
    if new < 0 { EINVAL } else { 0 }
}

unsafe extern "C" fn fcntl(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of fcntl.
    let command: u32 = unsafe { kernel().abi.vop_fcntl_args.a_command.read(arguments) };
    if command == F_SETFL as u32 { 0 } else { EOPNOTSUPP }
}

unsafe extern "C" fn poll(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of poll.
    let events: i32 = unsafe { kernel().abi.vop_poll_args.a_events.read(arguments) };
    events & (POLLIN | POLLOUT | POLLRDNORM)
}

/// Events are not delivered.
unsafe extern "C" fn kqfilter(_arguments: *mut u8) -> i32 {
    EOPNOTSUPP
}

unsafe extern "C" fn revoke(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of revoke; the caller holds a reference.
    unsafe { reclaim::vrevoke(subject(arguments)) };
    0
}

/// Adds the functions of this part; some have other parameters in newer versions.
pub(crate) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    for table in [EXPORTS, getpages::EXPORTS, node::EXPORTS, putpages::EXPORTS, rename::EXPORTS, rename_checks::EXPORTS] {
        out.extend_from_slice(table);
    }
    access::exports(abi, out);
}

/// Statistics of file systems that lie on nothing.
unsafe extern "C" fn statvfs(mp: Mount, stat: Statvfs) -> i32 {
    let block = DEV_BSIZE as usize;
    stat.set_block_size(block);
    stat.set_fragment_size(block);
    stat.set_io_size(block);
    // Programs divide by the number of blocks.
    stat.set_blocks(2);
    let layout = &kernel().abi.statvfs;
    for field in
        [layout.f_bfree, layout.f_bavail, layout.f_bresvd, layout.f_files, layout.f_ffree, layout.f_favail, layout.f_fresvd]
    {
        // SAFETY: a member of the caller's structure.
        unsafe { field.write(stat.0, 0_u64) };
    }
    // SAFETY: a live mount and the caller's structure.
    unsafe { mount::copy_statvfs_info(stat, mp) };
    0
}

const EXPORTS: &[Export] = &[
    function!("genfs_lock", lock),
    function!("genfs_unlock", unlock),
    function!("genfs_islocked", islocked),
    function!("genfs_nullop", nullop),
    function!("genfs_einval", einval),
    function!("genfs_enoioctl", enoioctl),
    function!("genfs_badop", badop),
    function!("genfs_eopnotsupp", eopnotsupp),
    function!("genfs_abortop", nullop),
    function!("genfs_mmap", nullop),
    function!("genfs_seek", seek),
    function!("genfs_fcntl", fcntl),
    function!("genfs_poll", poll),
    function!("genfs_kqfilter", kqfilter),
    function!("genfs_revoke", revoke),
    function!("genfs_statvfs", statvfs),
];

#[cfg(test)]
mod tests {
    use super::{EXCLUSIVE, convert, locked, unlocked};

    #[test]
    fn a_lock_is_exclusive_or_shared() {
        assert_eq!((locked(0, false), locked(0, true), locked(2, true)), (Some(EXCLUSIVE), Some(1), Some(3)));
        assert_eq!((locked(EXCLUSIVE, false), locked(EXCLUSIVE, true), locked(1, false)), (None, None, None));
        assert_eq!((unlocked(EXCLUSIVE), unlocked(3), unlocked(1), unlocked(0)), (Some(0), Some(2), Some(0), None));
        assert_eq!((convert(1, true), convert(2, true), convert(EXCLUSIVE, false)), (Some(EXCLUSIVE), None, Some(1)));
    }
}
