//! Mounts: allocation, references, identity, statistics, the list of what is mounted.

use super::object::{FsOperations, Mount, Statvfs, Vnode};
use super::queue::TailQueue;
use super::vnode::mount_queue;
use super::{fstype, lost, text};
use crate::abi::constants::{IMNT_GONE, MNAMELEN, MNT_RDONLY, UIO_USERSPACE};
use crate::abi::{Abi, Field};
use crate::export::{Export, data, function};
use crate::kern::errno::{ENODEV, ENOENT};
use crate::kern::panic::panic_format;
use crate::kern::{lock, memory};
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

/// What is mounted, oldest first.
#[derive(Default)]
pub(crate) struct State {
    list: RefCell<Vec<Mount>>,
    generation: Cell<u64>,
    next_id: Cell<u32>,
}

impl State {
    /// The mounts, oldest first.
    pub(crate) fn all(&self) -> Vec<Mount> {
        self.list.borrow().clone()
    }

    pub(crate) fn append(&self, mp: Mount) {
        self.list.borrow_mut().push(mp);
        if let Some((queue, head)) = visible() {
            // SAFETY: the head is an export; a new mount is on no queue yet.
            unsafe { queue.push(head, mp.0) };
        }
    }

    pub(crate) fn remove(&self, mp: Mount) {
        let mut list = self.list.borrow_mut();
        let before = list.len();
        list.retain(|other| *other != mp);
        if list.len() < before
            && let Some((queue, head)) = visible()
        {
            // SAFETY: a mount of the list is on the queue.
            unsafe { queue.remove(head, mp.0) };
        }
    }
}

/// The tail queue that modules may walk, and its head. Later versions keep one of their own, which modules do not see.
fn visible() -> Option<(TailQueue, *mut u8)> {
    let kernel = kernel();
    let link = kernel.abi.mount.mnt_list;
    link.is_present().then(|| (TailQueue { head: 0, link: link.offset() }, kernel.data("mountlist")))
}

/// The locks that a version keeps in a mount.
fn locks() -> impl Iterator<Item = Field> {
    let layout = &kernel().abi.mount;
    [layout.mnt_unmounting, layout.mnt_renamelock, layout.mnt_updating].into_iter().filter(|field| field.is_present())
}

/// Bytes behind a mount that are the base's own: how often it is busy, where the version has no member for that.
const OWN: usize = size_of::<u64>();

/// A new mount with one reference, busy.
pub(crate) fn allocate(operations: FsOperations, covered: Vnode) -> Mount {
    let mp = Mount(memory::alloc_or_end(Mount::size_of() + OWN, true));
    mp.set_operations(operations);
    mp.set_covered(covered);
    mp.set_references(1);
    let state = &kernel().vfs.mounts;
    let generation = state.generation.get();
    state.generation.set(generation + 1);
    let layout = &kernel().abi.mount;
    // SAFETY: members of a fresh mount; where a version keeps its locks elsewhere, the member is a pointer to one.
    unsafe {
        mount_queue().init(mp.0);
        if layout.mnt_gen.is_present() {
            layout.mnt_gen.write(mp.0, generation);
        }
        for field in locks() {
            lock::mutex_init(field.ptr(mp.0), 0, 0);
        }
    }
    mp
}

/// Gives up a reference; frees the mount with the last one.
pub(crate) fn release(mp: Mount) {
    let references = mp.references() - 1;
    mp.set_references(references);
    if references > 0 {
        return;
    }
    // SAFETY: nothing knows the mount any more.
    unsafe {
        if !mount_queue().first(mp.0).is_null() {
            panic_format(format_args!("a mount is freed with vnodes"));
        }
        for field in locks() {
            lock::mutex_destroy(field.ptr(mp.0));
        }
        lost::take(mp);
        if !mp.operations().is_null() {
            fstype::release(mp.operations());
        }
        memory::free(mp.0);
    }
}

fn internal_flag(mp: Mount) -> i32 {
    // SAFETY: a member of a live mount.
    unsafe { kernel().abi.mount.mnt_iflag.read(mp.0) }
}

pub(crate) fn set_internal_flag(mp: Mount, set: i32, clear: i32) {
    let flags = internal_flag(mp) & !clear | set;
    // SAFETY: a member of a live mount.
    unsafe { kernel().abi.mount.mnt_iflag.write(mp.0, flags) };
}

fn nesting(mp: Mount) -> *mut u32 {
    let field = kernel().abi.mount.mnt_busynest;
    // SAFETY: a member of a live mount, or what `allocate` left room for behind it, which is aligned to a word.
    unsafe { if field.is_present() { field.ptr(mp.0) } else { mp.0.add(Mount::size_of()).cast() } }
}

/// Whether somebody keeps the mount busy.
pub(crate) fn is_busy(mp: Mount) -> bool {
    // SAFETY: a member of a live mount.
    unsafe { nesting(mp).read() != 0 }
}

/// Keeps a mount from being unmounted, with a reference.
pub(crate) fn busy(mp: Mount) -> Result<(), i32> {
    if internal_flag(mp) & IMNT_GONE != 0 {
        return Err(ENOENT);
    }
    // SAFETY: a member of a live mount.
    unsafe { *nesting(mp) += 1 };
    mp.set_references(mp.references() + 1);
    Ok(())
}

/// Undoes [`busy`]; the reference stays if `keep`.
pub(crate) fn unbusy(mp: Mount, keep: bool) {
    // SAFETY: a member of a live mount.
    unsafe {
        if nesting(mp).read() == 0 {
            panic_format(format_args!("a mount that is not busy is unbusied"));
        }
        *nesting(mp) -= 1;
    }
    if !keep {
        release(mp);
    }
}

unsafe extern "C" fn vfs_busy(mp: Mount, next: *mut Mount) -> i32 {
    let result = busy(mp);
    if result.is_err() && !next.is_null() {
        // SAFETY: the caller's result is writable.
        unsafe { next.write(after(mp)) };
    }
    result.err().unwrap_or(0)
}

unsafe extern "C" fn vfs_unbusy(mp: Mount, keep: bool, next: *mut Mount) {
    let following = after(mp);
    unbusy(mp, keep);
    if !next.is_null() {
        // SAFETY: the caller's result is writable.
        unsafe { next.write(following) };
    }
}

/// The calls that lost parameters.
mod later {
    use super::Mount;

    pub(super) unsafe extern "C" fn busy(mp: Mount) -> i32 {
        super::busy(mp).err().unwrap_or(0)
    }

    pub(super) unsafe extern "C" fn unbusy(mp: Mount) {
        super::unbusy(mp, false);
    }
}

fn after(mp: Mount) -> Mount {
    let list = kernel().vfs.mounts.list.borrow();
    let at = list.iter().position(|other| *other == mp);
    at.and_then(|at| list.get(at + 1)).copied().unwrap_or(Mount::NULL)
}

unsafe extern "C" fn vfs_destroy(mp: Mount) {
    release(mp);
}

unsafe extern "C" fn vfs_ref(mp: Mount) {
    mp.set_references(mp.references() + 1);
}

unsafe extern "C" fn mountlist_append(mp: Mount) {
    kernel().vfs.mounts.append(mp);
}

unsafe extern "C" fn vfs_rootmountalloc(name: *const u8, device: *const u8, result: *mut Mount) -> i32 {
    // SAFETY: the caller's strings and result are valid for the call.
    unsafe {
        let Some(operations) = fstype::hold(text::bytes(name, fstype::NAME_LENGTH)) else { return ENODEV };
        let mp = allocate(operations, Vnode::NULL);
        let _ = busy(mp);
        mp.set_flag(MNT_RDONLY);
        let stat = mp.statvfs();
        text::fill(names(stat).0, fstype::NAME_LENGTH, text::bytes(operations.name(), fstype::NAME_LENGTH));
        text::fill(names(stat).1, MNAMELEN as usize, b"/");
        text::fill(names(stat).2, MNAMELEN as usize, text::bytes(device, MNAMELEN as usize));
        result.write(mp);
    }
    0
}

/// The fields of a statvfs for type, mount point and device.
pub(crate) fn names(stat: Statvfs) -> (*mut u8, *mut u8, *mut u8) {
    let layout = &kernel().abi.statvfs;
    // SAFETY: members of a live statvfs.
    unsafe { (layout.f_fstypename.ptr(stat.0), layout.f_mntonname.ptr(stat.0), layout.f_mntfromname.ptr(stat.0)) }
}

/// A number for a type's name: stable, and distinct for names that differ.
pub(crate) unsafe extern "C" fn makefstype(name: *const u8) -> isize {
    // SAFETY: a C string of the caller.
    let name = unsafe { text::bytes(name, fstype::NAME_LENGTH) };
    name.iter().fold(0, |number, byte| (number << 2) ^ isize::from(*byte))
}

fn fsid_words(mp: Mount) -> *mut [i32; 2] {
    // SAFETY: a member of the mount's statvfs.
    unsafe { kernel().abi.statvfs.f_fsidx.ptr(mp.statvfs().0) }
}

pub(crate) unsafe extern "C" fn vfs_getnewfsid(mp: Mount) {
    let state = &kernel().vfs.mounts;
    // SAFETY: the type's name is a C string.
    let kind = unsafe { makefstype(mp.operations().name()) } as i32;
    let id = loop {
        let number = state.next_id.get().wrapping_add(1).max(1) & 0xfffff;
        state.next_id.set(number);
        let id = [(kind & 0xff) << 8 | (number & 0xff) as i32 | ((number & 0xfff00) << 12) as i32, kind];
        // SAFETY: members of live mounts.
        if !state.list.borrow().iter().any(|other| unsafe { fsid_words(*other).read_unaligned() } == id) {
            break id;
        }
    };
    // SAFETY: a member of a live mount.
    unsafe { fsid_words(mp).write_unaligned(id) };
    mp.statvfs().set_fsid(id[0] as u32 as usize);
}

unsafe extern "C" fn vfs_getvfs(fsid: *const [i32; 2]) -> Mount {
    // SAFETY: the caller's identity is readable, and mounts on the list live.
    unsafe {
        let wanted = fsid.read_unaligned();
        let list = kernel().vfs.mounts.list.borrow();
        list.iter().copied().find(|mp| fsid_words(*mp).read_unaligned() == wanted).unwrap_or(Mount::NULL)
    }
}

unsafe extern "C" fn set_statvfs_info(
    on: *const u8,
    on_space: i32,
    from: *const u8,
    from_space: i32,
    kind: *const u8,
    mp: Mount,
    _lwp: *mut u8,
) -> i32 {
    // Both address spaces are the instance's own.
    let _ = (on_space, from_space, UIO_USERSPACE);
    let stat = mp.statvfs();
    let (type_field, on_field, from_field) = names(stat);
    let room = MNAMELEN as usize;
    // SAFETY: the caller's strings are C strings or null; the fields have their sizes.
    unsafe {
        text::fill(type_field, fstype::NAME_LENGTH, text::bytes(kind, fstype::NAME_LENGTH));
        if !on.is_null() {
            text::fill(on_field, room, text::bytes(on, room));
        }
        if !from.is_null() {
            text::fill(from_field, room, text::bytes(from, room));
        }
    }
    0
}

/// Adds what is known from the mount to the numbers of its file system.
///
/// # Safety
/// `stat` must be a writable `struct statvfs`.
pub(super) unsafe extern "C" fn copy_statvfs_info(stat: Statvfs, mp: Mount) {
    let own = mp.statvfs();
    let layout = &kernel().abi.statvfs;
    stat.set_flag(mp.flag() as u32 as usize & kernel().abi.constant.mnt_visflagmask as usize);
    if stat == own {
        return;
    }
    for field in [
        layout.f_fsidx,
        layout.f_fsid,
        layout.f_owner,
        layout.f_fstypename,
        layout.f_mntonname,
        layout.f_mntfromname,
        layout.f_mntfromlabel,
        layout.f_namemax,
        layout.f_iosize,
        layout.f_syncreads,
        layout.f_asyncreads,
        layout.f_syncwrites,
        layout.f_asyncwrites,
    ] {
        if field.is_present() {
            // SAFETY: the same member of two live structures.
            unsafe { field.ptr::<u8>(stat.0).copy_from_nonoverlapping(field.ptr::<u8>(own.0), field.size()) };
        }
    }
}

/// Empties the tail queue that modules may walk.
pub(crate) fn fill(kernel: &Kernel) {
    // SAFETY: the export is a lock's word.
    unsafe { lock::mutex_init(kernel.data("mountlist_lock"), 0, 0) };
    let head = kernel.data("mountlist");
    // SAFETY: the exports have the sizes of a queue head and an int.
    unsafe {
        TailQueue { head: 0, link: 0 }.init(head);
        // A debug switch: 0 would refuse forced unmounts.
        kernel.data("doforce").cast::<i32>().write(1);
    }
}

/// Adds the functions with the parameters of the version.
pub(super) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    out.extend_from_slice(EXPORTS);
    out.extend_from_slice(if abi.is_10() { LATER } else { EARLIER });
}

const EARLIER: &[Export] =
    &[function!("vfs_busy", vfs_busy), function!("vfs_unbusy", vfs_unbusy), function!("vfs_destroy", vfs_destroy)];

const LATER: &[Export] =
    &[function!("vfs_busy", later::busy), function!("vfs_unbusy", later::unbusy), function!("vfs_rele", vfs_destroy)];

const EXPORTS: &[Export] = &[
    function!("vfs_ref", vfs_ref),
    function!("mountlist_append", mountlist_append),
    function!("vfs_rootmountalloc", vfs_rootmountalloc),
    function!("makefstype", makefstype),
    function!("vfs_getnewfsid", vfs_getnewfsid),
    function!("vfs_getvfs", vfs_getvfs),
    function!("set_statvfs_info", set_statvfs_info),
    function!("copy_statvfs_info", copy_statvfs_info),
    data!("doforce", 4, 4),
    data!("mountlist_lock", size_of::<usize>(), align_of::<usize>()),
    data!("mountlist", size_of::<usize>() * 2, align_of::<usize>()),
];

#[cfg(test)]
mod tests {
    use super::{Vnode, allocate, mountlist_append, release, visible};
    use crate::kernel::kernel;
    use crate::testing::Bench;
    use crate::vfs::object::FsOperations;

    #[test]
    fn modules_see_what_was_appended_last() {
        Bench::new().inside(|| {
            let mounts = &kernel().vfs.mounts;
            let before = mounts.all();
            let mp = allocate(FsOperations::NULL, Vnode::NULL);
            // SAFETY: a fresh mount.
            unsafe { mountlist_append(mp) };
            let after = mounts.all();
            assert_eq!((after.len(), after.last()), (before.len() + 1, Some(&mp)));
            let (queue, head) = visible().expect("this version has a queue");
            // SAFETY: the head is an export, and the mounts on it live.
            let seen = unsafe { core::iter::successors(Some(queue.first(head)), |at| Some(queue.next(*at))) };
            assert!(seen.take(after.len()).last() == Some(mp.0));
            mounts.remove(mp);
            release(mp);
            assert_eq!(mounts.all(), before);
        });
    }
}
