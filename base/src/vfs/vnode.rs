//! Vnodes: allocation, references, release.

use super::object::{Mount, Vnode};
use super::queue::TailQueue;
use super::{mount, reclaim, spec, vcache, vop};
use crate::abi::constants::{LK_EXCLUSIVE, VI_EXECMAP, VI_TEXT, VI_WRMAP, VV_MAPPED};
use crate::export::{Export, function};
use crate::kern::errno::{EBUSY, EDEADLK, ENOENT};
use crate::kern::panic::panic_format;
use crate::kern::{condition, lock, memory};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr;

/// The life of a vnode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// Its file system is filling it in.
    Loading,
    /// In use, or unused and kept.
    Active,
    /// Its file system is told that nobody uses it.
    Blocked,
    /// Its file system is giving it up.
    Reclaiming,
    /// It belongs to no file system.
    Reclaimed,
    /// No file: a place in a mount's list.
    Marker,
}

/// What the base keeps about a vnode; it lies behind the C structure in the same block.
pub(crate) struct Side {
    pub(crate) phase: Cell<Phase>,
    /// Identity in the vnode cache: mount, key bytes and their hash.
    pub(crate) key_mount: Cell<Mount>,
    pub(crate) key: Cell<*const u8>,
    pub(crate) key_length: Cell<usize>,
    pub(crate) key_hash: Cell<u64>,
    /// 0 free, -1 exclusive, otherwise the number of shared holders.
    pub(crate) lock: Cell<i32>,
    /// Neighbours among the unused vnodes.
    previous_unused: Cell<Vnode>,
    next_unused: Cell<Vnode>,
    unused: Cell<bool>,
    /// First name-cache entry in this directory, and first one that leads to this vnode.
    pub(crate) names: Cell<u32>,
    pub(crate) links: Cell<u32>,
}

/// All vnodes of a kernel.
pub(crate) struct State {
    count: Cell<usize>,
    oldest_unused: Cell<Vnode>,
    newest_unused: Cell<Vnode>,
    /// Released while somebody further up held the lock: dealt with at the end of the request.
    deferred: RefCell<Vec<Vnode>>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            count: Cell::new(0),
            oldest_unused: Cell::new(Vnode::NULL),
            newest_unused: Cell::new(Vnode::NULL),
            deferred: RefCell::default(),
        }
    }
}

impl State {
    /// Vnodes there are, used or not.
    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }
}

fn structure_size() -> usize {
    let abi = kernel().abi;
    abi.vnode.size.max(abi.vnode_impl.size)
}

impl Vnode {
    /// What the base keeps about it.
    pub(crate) fn side<'a>(self) -> &'a Side {
        // SAFETY: every vnode was allocated with its side behind it.
        unsafe { &*self.0.add(structure_size().next_multiple_of(align_of::<Side>())).cast::<Side>() }
    }

    pub(crate) fn phase(self) -> Phase {
        self.side().phase.get()
    }

    /// Error if the file system is giving the vnode up or has done so.
    pub(crate) fn check_alive(self) -> i32 {
        match self.phase() {
            Phase::Reclaiming => EBUSY,
            Phase::Reclaimed => ENOENT,
            _ => 0,
        }
    }
}

/// A fresh vnode with one reference.
pub(crate) fn allocate(phase: Phase) -> Vnode {
    let offset = structure_size().next_multiple_of(align_of::<Side>());
    let vp = Vnode(memory::alloc_or_end(offset + size_of::<Side>(), true));
    let side = Side {
        phase: Cell::new(phase),
        key_mount: Cell::new(Mount::NULL),
        key: Cell::new(ptr::null()),
        key_length: Cell::new(0),
        key_hash: Cell::new(0),
        lock: Cell::new(0),
        previous_unused: Cell::new(Vnode::NULL),
        next_unused: Cell::new(Vnode::NULL),
        unused: Cell::new(false),
        names: Cell::new(0),
        links: Cell::new(0),
    };
    let abi = kernel().abi;
    // SAFETY: the block has room for the structure and its side; queue heads are initialised before use.
    unsafe {
        vp.0.add(offset).cast::<Side>().write(side);
        if abi.vnode.v_cv.is_present() {
            condition::cv_init(abi.vnode.v_cv.ptr(vp.0), c"vnode".as_ptr().cast());
        }
        if abi.vnode.v_interlock.is_present() {
            abi.vnode.v_interlock.write(vp.0, lock::mutex_obj_alloc(0, 0));
        }
    }
    let object = vp.object();
    // Where the interlock is a lock of its own, the object's is a reader/writer lock.
    let by_rwlock = abi.vnode.v_interlock.is_present();
    object.set_lock(if by_rwlock { lock::rw_obj_alloc() } else { lock::mutex_obj_alloc(0, 0) });
    object.set_pager(kernel().data("uvm_vnodeops"));
    vp.set_uses(1);
    vp.set_file_size(-1);
    vp.set_write_size(-1);
    let state = &kernel().vfs.vnodes;
    state.count.set(state.count.get() + 1);
    vp
}

/// Frees a vnode that nothing knows any more.
pub(crate) fn free(vp: Vnode) {
    if vp.uses() != 0 {
        panic_format(format_args!("a vnode is freed with {} references", vp.uses()));
    }
    // SAFETY: the locks are the vnode's own (or its share of one); nothing uses the memory afterwards.
    unsafe {
        if kernel().abi.vnode.v_interlock.is_present() {
            lock::rw_obj_free(vp.object().lock());
            lock::mutex_obj_free(vp.interlock());
        } else {
            lock::mutex_obj_free(vp.object().lock());
        }
        memory::free(vp.0);
    }
    let state = &kernel().vfs.vnodes;
    state.count.set(state.count.get() - 1);
}

/// The queue of a mount's vnodes.
pub(crate) fn mount_queue() -> TailQueue {
    let abi = kernel().abi;
    let link = if abi.vnode.v_mntvnodes.is_present() { abi.vnode.v_mntvnodes } else { abi.vnode_impl.vi_mntvnodes };
    TailQueue { head: abi.mount.mnt_vnodelist.offset(), link: link.offset() }
}

/// Moves a vnode to another mount's list, or to none.
pub(crate) fn insert_in_mount(vp: Vnode, mp: Mount) {
    let old = vp.mount();
    // SAFETY: a vnode with a mount is on that mount's list.
    unsafe {
        if !old.is_null() {
            mount_queue().remove(old.0, vp.0);
        }
        vp.set_mount(mp);
        if !mp.is_null() {
            mount_queue().push(mp.0, vp.0);
        }
    }
    if !old.is_null() {
        mount::release(old);
    }
}

fn add_unused(vp: Vnode) {
    let state = &kernel().vfs.vnodes;
    let side = vp.side();
    let newest = state.newest_unused.get();
    side.previous_unused.set(newest);
    side.next_unused.set(Vnode::NULL);
    side.unused.set(true);
    if newest.is_null() {
        state.oldest_unused.set(vp);
    } else {
        newest.side().next_unused.set(vp);
    }
    state.newest_unused.set(vp);
}

fn remove_unused(vp: Vnode) {
    let state = &kernel().vfs.vnodes;
    let side = vp.side();
    if !side.unused.replace(false) {
        return;
    }
    let (previous, next) = (side.previous_unused.get(), side.next_unused.get());
    if previous.is_null() {
        state.oldest_unused.set(next);
    } else {
        previous.side().next_unused.set(next);
    }
    if next.is_null() {
        state.newest_unused.set(previous);
    } else {
        next.side().previous_unused.set(previous);
    }
}

/// Takes a reference to a vnode that may be unused.
///
/// # Errors
/// `ENOENT` if its file system has given it up; `EDEADLK` if that, or loading it, is going on further up the stack.
pub(crate) fn get(vp: Vnode) -> Result<(), i32> {
    match vp.phase() {
        Phase::Active => {}
        Phase::Reclaimed | Phase::Marker => return Err(ENOENT),
        Phase::Loading | Phase::Blocked | Phase::Reclaiming => return Err(EDEADLK),
    }
    if vp.uses() == 0 {
        remove_unused(vp);
    }
    vp.set_uses(vp.uses() + 1);
    Ok(())
}

unsafe extern "C" fn vget(vp: Vnode, _flags: i32, _wait: bool) -> i32 {
    // SAFETY: the caller holds the interlock, which this call gives up.
    unsafe { lock::mutex_exit(vp.interlock()) };
    get(vp).err().unwrap_or(0)
}

pub(crate) unsafe extern "C" fn vref(vp: Vnode) {
    let uses = vp.uses();
    if uses == 0 {
        panic_format(format_args!("vref of an unused vnode {:p}", vp.0));
    }
    vp.set_uses(uses + 1);
}

pub(crate) unsafe extern "C" fn vput(vp: Vnode) {
    // SAFETY: the caller holds lock and reference.
    unsafe {
        vop::unlock(vp);
        vrele(vp);
    }
}

pub(crate) unsafe extern "C" fn vrele(vp: Vnode) {
    let uses = vp.uses();
    match uses {
        0 => panic_format(format_args!("vrele of an unused vnode {:p}", vp.0)),
        1 => release_last(vp),
        _ => vp.set_uses(uses - 1),
    }
}

/// Gives up the last reference: tells the file system, then keeps the vnode as unused or frees it.
pub(crate) fn release_last(vp: Vnode) {
    if vp.phase() != Phase::Reclaimed {
        // SAFETY: a live vnode; a held lock makes this fail instead of wait.
        if unsafe { vop::lock(vp, LK_EXCLUSIVE | kernel().abi.constant.lk_nowait as i32) } != 0 {
            kernel().vfs.vnodes.deferred.borrow_mut().push(vp);
            return;
        }
        if vp.uses() > 1 {
            vp.set_uses(vp.uses() - 1);
            // SAFETY: locked above.
            unsafe { vop::unlock(vp) };
            return;
        }
        vp.side().phase.set(Phase::Blocked);
        let mut recycle = false;
        // SAFETY: locked as the operation wants.
        unsafe { vop::inactive(vp, &raw mut recycle) };
        vp.side().phase.set(Phase::Active);
        // SAFETY: a live vnode, referenced; since NetBSD 10 the operation leaves it locked.
        unsafe {
            match (kernel().abi.is_10(), recycle) {
                (false, true) => recycle = vop::lock(vp, LK_EXCLUSIVE) == 0,
                (true, false) => {
                    vop::unlock(vp);
                }
                _ => {}
            }
        }
        vp.set_iflag(vp.iflag() & !(VI_TEXT | VI_EXECMAP | VI_WRMAP));
        vp.set_vflag(vp.vflag() & !VV_MAPPED);
        if recycle {
            reclaim::clean(vp);
        }
    }
    let uses = vp.uses() - 1;
    vp.set_uses(uses);
    if uses != 0 {
        return;
    }
    if vp.phase() == Phase::Reclaimed {
        insert_in_mount(vp, Mount::NULL);
        if vp.is_device() {
            spec::forget(vp);
        }
        free(vp);
    } else {
        add_unused(vp);
    }
}

/// Ends a vnode that was never handed out: loading failed.
pub(crate) fn abandon(vp: Vnode) {
    vp.side().phase.set(Phase::Reclaimed);
    vcache::forget(vp);
    release_last(vp);
}

/// Deals with releases that had to wait, and gives up unused vnodes beyond the limit. Called when no vnode is locked.
pub(crate) fn settle() {
    loop {
        let next = kernel().vfs.vnodes.deferred.borrow_mut().pop();
        let Some(vp) = next else { break };
        if vp.uses() > 1 {
            vp.set_uses(vp.uses() - 1);
        } else {
            release_last(vp);
        }
    }
    let limit = super::desired_vnodes();
    let state = &kernel().vfs.vnodes;
    while state.count.get() > limit {
        let vp = state.oldest_unused.get();
        if vp.is_null() || get(vp).is_err() {
            break;
        }
        // SAFETY: referenced just now, and nobody else has it.
        if !unsafe { reclaim::vrecycle(vp) } {
            // SAFETY: the reference taken above.
            unsafe { vrele(vp) };
            break;
        }
    }
}

unsafe extern "C" fn vrele_async(vp: Vnode) {
    if vp.uses() > 1 {
        vp.set_uses(vp.uses() - 1);
    } else {
        kernel().vfs.vnodes.deferred.borrow_mut().push(vp);
    }
}

unsafe extern "C" fn vholdl(vp: Vnode) {
    vp.set_holdcnt(vp.holdcnt() + 1);
}

unsafe extern "C" fn holdrelel(vp: Vnode) {
    if vp.holdcnt() <= 0 {
        panic_format(format_args!("holdrelel of vnode {:p}, which is not held", vp.0));
    }
    vp.set_holdcnt(vp.holdcnt() - 1);
}

unsafe extern "C" fn vdead_check(vp: Vnode, _flags: i32) -> i32 {
    vp.check_alive()
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("vget", vget),
    function!("vref", vref),
    function!("vput", vput),
    function!("vrele", vrele),
    function!("vrele_async", vrele_async),
    function!("vholdl", vholdl),
    function!("holdrelel", holdrelel),
    function!("vdead_check", vdead_check),
];
