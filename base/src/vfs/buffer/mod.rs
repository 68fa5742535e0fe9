//! The buffer cache: blocks of vnodes in memory.
//!
//! A buffer that nobody holds stays until memory runs short, the one not used for longest going first; a dirty one is
//! written before it goes. `b_freelistindex` says whether a buffer is among those, `b_vnbufs` links the buffers of a vnode.

mod flush;
mod queue;
mod read;
mod write;

pub(crate) use flush::{any_dirty, flush, invalidate};
pub(crate) use read::read;
pub(crate) use write::{delay, vn_bwrite};

use super::object::{Buf, SpecNode, Vnode};
use super::queue::{List, TailQueue};
use super::{lost, transfer};
use crate::abi::constants::{B_LOCKED, BC_AGE, BC_BUSY, BC_INVAL, BC_NOCACHE, BC_VFLUSH, BC_WANTED, BO_DELWRI, BO_DONE, VBLK};
use crate::export::{Export, data, function};
use crate::kern::errno::EPASSTHROUGH;
use crate::kern::lock;
use crate::kern::memory;
use crate::kern::panic::{panic_format, panic_message};
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell, UnsafeCell};
use hashbrown::HashTable;

/// Bytes of data kept at most unless told otherwise, or unless more is held at a time. Several file systems read files through
/// blocks, too.
pub(crate) const DEFAULT_LIMIT: usize = 64 << 20;

/// `b_freelistindex` of a buffer that may be reused.
const REUSABLE: i32 = 1;
/// `b_freelistindex` of a buffer that is held or locked.
const HELD: i32 = -1;

/// The buffers of one kernel.
pub(crate) struct State {
    index: RefCell<HashTable<Buf>>,
    /// Head of the queue of reusable buffers, oldest first.
    reusable: UnsafeCell<[usize; 2]>,
    bytes: Cell<usize>,
    limit: Cell<usize>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            index: RefCell::default(),
            reusable: UnsafeCell::new([0; 2]),
            bytes: Cell::new(0),
            limit: Cell::new(DEFAULT_LIMIT),
        }
    }
}

impl State {
    /// Number of buffers and the bytes they hold.
    pub(crate) fn usage(&self) -> (usize, usize) {
        (self.index.borrow().len(), self.bytes.get())
    }

    /// Sets how many bytes of data are kept at most.
    pub(crate) fn set_limit(&self, bytes: usize) {
        self.limit.set(bytes);
    }

    fn head(&self) -> *mut u8 {
        self.reusable.get().cast()
    }
}

pub(crate) fn fill(kernel: &Kernel) {
    // SAFETY: the head is two words; the lock export has a mutex's size.
    unsafe {
        reuse_queue().init(kernel.vfs.buffers.head());
        lock::mutex_init(kernel.data("bufcache_lock"), 0, 0);
    }
}

fn reuse_queue() -> TailQueue {
    TailQueue { head: 0, link: kernel().abi.buf.b_freelist.offset() }
}

fn index_hash(vp: Vnode, block: i64) -> u64 {
    super::vcache::hash(vp.0.addr(), &block.to_ne_bytes())
}

fn hash_of(bp: &Buf) -> u64 {
    index_hash(bp.vnode(), bp.logical())
}

fn free_index(bp: Buf) -> i32 {
    // SAFETY: a member of a live buffer.
    unsafe { kernel().abi.buf.b_freelistindex.read(bp.0) }
}

fn set_free_index(bp: Buf, value: i32) {
    // SAFETY: as above.
    unsafe { kernel().abi.buf.b_freelistindex.write(bp.0, value) };
}

/// The buffer of a block, whoever holds it.
pub(crate) fn find(vp: Vnode, block: i64) -> Option<Buf> {
    let index = kernel().vfs.buffers.index.borrow();
    index.find(index_hash(vp, block), |bp| bp.vnode() == vp && bp.logical() == block).copied()
}

/// Head words of a vnode's lists of clean and dirty buffers.
fn heads(vp: Vnode) -> [*mut *mut u8; 2] {
    let layout = &kernel().abi.vnode;
    // SAFETY: members of a live vnode.
    unsafe { [layout.v_cleanblkhd.ptr(vp.0), layout.v_dirtyblkhd.ptr(vp.0)] }
}

fn vnode_list() -> List {
    List { link: kernel().abi.buf.b_vnbufs.offset() }
}

/// Moves a buffer to the list of its vnode that it belongs to.
fn relist(bp: Buf) {
    let head = heads(bp.vnode())[usize::from(bp.oflags() & BO_DELWRI != 0)];
    // SAFETY: cached buffers are on a list of their vnode.
    unsafe {
        vnode_list().remove(bp.0);
        vnode_list().push(head, bp.0);
    }
}

/// Takes a buffer off the queue of reusable ones, if it is there.
fn take(bp: Buf) {
    if free_index(bp) == REUSABLE {
        // SAFETY: the index says that it is on the queue.
        unsafe { reuse_queue().remove(kernel().vfs.buffers.head(), bp.0) };
        set_free_index(bp, HELD);
    }
}

/// Gives a cached buffer a block of a vnode.
fn attach(bp: Buf, vp: Vnode, block: i64) {
    bp.set_vnode(vp);
    bp.set_logical(block);
    bp.set_block(block);
    bp.set_raw_block(block);
    bp.set_object_lock(vp.interlock());
    let specnode = if vp.kind() == VBLK { vp.specnode() } else { SpecNode::NULL };
    bp.set_device(if specnode.is_null() { u64::MAX } else { specnode.number() });
    vp.set_holdcnt(vp.holdcnt() + 1);
    // SAFETY: a fresh buffer is on no list.
    unsafe { vnode_list().push(heads(vp)[0], bp.0) };
    kernel().vfs.buffers.index.borrow_mut().insert_unique(index_hash(vp, block), bp, hash_of);
}

/// Frees a buffer with its data.
fn discard(bp: Buf) {
    take(bp);
    let state = &kernel().vfs.buffers;
    let found = state.index.borrow_mut().find_entry(hash_of(&bp), |other| *other == bp).map(|entry| entry.remove()).is_ok();
    if found {
        let vp = bp.vnode();
        // SAFETY: a cached buffer is on a list of its vnode.
        unsafe { vnode_list().remove(bp.0) };
        vp.set_holdcnt(vp.holdcnt() - 1);
    }
    state.bytes.set(state.bytes.get() - bp.capacity() as usize);
    // SAFETY: the data is a block of the buffer's own.
    unsafe { memory::free(bp.data()) };
    transfer::free_header(bp);
}

/// Makes room for `size` bytes more, or for as many as can be without what is held.
fn make_room(size: usize) {
    let state = &kernel().vfs.buffers;
    while state.bytes.get() + size > state.limit.get() {
        if !reuse_oldest() {
            break;
        }
    }
}

/// Gives up the reusable buffer not used for longest, writing it first if it is dirty.
fn reuse_oldest() -> bool {
    // SAFETY: the queue is initialised at boot.
    let bp = Buf(unsafe { reuse_queue().first(kernel().vfs.buffers.head()) });
    if bp.is_null() {
        return false;
    }
    take(bp);
    bp.set_cflags(bp.cflags() | BC_BUSY);
    if bp.oflags() & BO_DELWRI != 0 {
        bp.set_cflags(bp.cflags() | BC_AGE);
        let vp = bp.vnode();
        if let Err(error) = write::through_vnode(bp) {
            lost::note(vp, error);
        }
    } else {
        discard(bp);
    }
    true
}

/// Sets the size of a buffer's data, keeping what fits if `keep`.
fn resize(bp: Buf, size: usize, keep: bool) {
    let old = bp.capacity() as usize;
    if old != size {
        make_room(size.saturating_sub(old));
        let mut data = memory::alloc(size, false);
        while data.is_null() && reuse_oldest() {
            data = memory::alloc(size, false);
        }
        if data.is_null() {
            panic_message("out of memory");
        }
        // SAFETY: both blocks have the sizes; the old one is the buffer's own, or null with size 0.
        unsafe {
            let kept = if keep { old.min(size) } else { 0 };
            if kept > 0 {
                data.copy_from_nonoverlapping(bp.data(), kept);
            }
            // Nobody is to see what others left in memory.
            data.add(kept).write_bytes(0, size - kept);
            memory::free(bp.data());
        }
        bp.set_data(data);
        bp.set_capacity(size as i32);
        let state = &kernel().vfs.buffers;
        state.bytes.set(state.bytes.get() + size - old);
    }
    bp.set_count(size as i32);
}

/// The buffer of a block, held by the caller; its data counts only with `BO_DONE` or `BO_DELWRI`.
pub(crate) fn get(vp: Vnode, block: i64, size: usize) -> Buf {
    if let Some(bp) = find(vp, block) {
        if bp.cflags() & BC_BUSY != 0 {
            panic_format(format_args!("block {block} of vnode {:p} is asked for by its holder", vp.0));
        }
        take(bp);
        bp.set_cflags(bp.cflags() | BC_BUSY);
        if bp.count() as usize != size {
            resize(bp, size, true);
        }
        return bp;
    }
    let bp = transfer::header(Vnode::NULL);
    set_free_index(bp, HELD);
    resize(bp, size, false);
    attach(bp, vp, block);
    bp
}

/// Gives a held buffer back; `set` are `BC_*` flags that say what becomes of it.
pub(crate) fn release(bp: Buf, set: i32) {
    bp.set_cflags(bp.cflags() | set);
    if bp.cflags() & BC_BUSY == 0 {
        panic_format(format_args!("buffer {:p}, which nobody holds, is released", bp.0));
    }
    if bp.flags() & B_LOCKED != 0 && bp.cflags() & BC_INVAL == 0 {
        // Its owner finds it again by itself.
        bp.set_error(0);
        bp.set_cflags(bp.cflags() & !(BC_AGE | BC_BUSY | BC_NOCACHE | BC_WANTED));
        return;
    }
    if bp.cflags() & BC_NOCACHE != 0 && bp.oflags() & BO_DELWRI != 0 {
        bp.set_cflags(bp.cflags() & !BC_NOCACHE);
    }
    let bad = bp.cflags() & (BC_NOCACHE | BC_INVAL) != 0 || bp.error() != 0 || bp.capacity() <= 0;
    if bad || bp.vnode().is_null() {
        discard(bp);
        return;
    }
    let old = bp.cflags() & (BC_AGE | BC_VFLUSH) != 0;
    bp.set_cflags(bp.cflags() & !(BC_AGE | BC_BUSY | BC_NOCACHE | BC_WANTED | BC_VFLUSH));
    let head = kernel().vfs.buffers.head();
    // SAFETY: a held buffer is not on the queue.
    unsafe { if old { reuse_queue().push_front(head, bp.0) } else { reuse_queue().push(head, bp.0) } };
    set_free_index(bp, REUSABLE);
}

/// The first buffer on one of a vnode's lists (0 clean, 1 dirty) that `wanted` accepts.
fn first_of(vp: Vnode, list: usize, mut wanted: impl FnMut(Buf) -> bool) -> Option<Buf> {
    // SAFETY: lists of a live vnode hold live buffers.
    let mut bp = Buf(unsafe { heads(vp)[list].read() });
    while !bp.is_null() {
        if wanted(bp) {
            return Some(bp);
        }
        bp = bp.next_of_vnode();
    }
    None
}

unsafe extern "C" fn getblk(vp: Vnode, block: i64, size: i32, _signals: i32, _time: i32) -> Buf {
    get(vp, block, size as usize)
}

unsafe extern "C" fn incore(vp: Vnode, block: i64) -> Buf {
    find(vp, block).filter(|bp| bp.cflags() & BC_INVAL == 0).unwrap_or(Buf::NULL)
}

unsafe extern "C" fn brelse(bp: Buf, set: i32) {
    release(bp, set);
}

unsafe extern "C" fn allocbuf(bp: Buf, size: i32, keep: i32) -> i32 {
    resize(bp, size as usize, keep != 0);
    0
}

unsafe extern "C" fn bbusy(bp: Buf, _signals: bool, _time: i32, _interlock: *mut u8) -> i32 {
    if bp.cflags() & BC_BUSY != 0 {
        return EPASSTHROUGH;
    }
    bp.set_cflags(bp.cflags() | BC_BUSY);
    0
}

unsafe extern "C" fn bremfree(bp: Buf) {
    take(bp);
}

unsafe extern "C" fn buf_memcalc() -> usize {
    kernel().vfs.buffers.limit.get()
}

const EXPORTS: &[Export] = &[
    // A limit of the journal; 0 as in a rump kernel, which has no fixed number of buffers.
    data!("nbuf", 4, 4),
    function!("getblk", getblk),
    function!("incore", incore),
    function!("brelse", brelse),
    function!("brelsel", brelse),
    function!("allocbuf", allocbuf),
    function!("bbusy", bbusy),
    function!("bremfree", bremfree),
    function!("buf_memcalc", buf_memcalc),
    data!("bufcache_lock", size_of::<usize>(), align_of::<usize>()),
];

/// Adds the exports of the cache.
pub(crate) fn exports(out: &mut Vec<Export>) {
    for table in [EXPORTS, flush::EXPORTS, queue::EXPORTS, read::EXPORTS, write::EXPORTS] {
        out.extend_from_slice(table);
    }
}

/// What a reader finds: whether the data of a held buffer counts.
fn is_valid(bp: Buf) -> bool {
    bp.oflags() & (BO_DONE | BO_DELWRI) != 0
}
