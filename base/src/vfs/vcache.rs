//! The vnode cache: which vnode stands for which file of which mount.

use super::mount::{busy, unbusy};
use super::object::{Mount, Vattr, Vnode};
use super::vnode::{self, Phase};
use crate::abi::Abi;
use crate::abi::constants::VV_MPSAFE;
use crate::export::{Export, function};
use crate::kern::errno::{EDEADLK, EEXIST, EINVAL, ENOENT};
use crate::kern::panic::panic_format;
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ptr;
use hashbrown::HashTable;

/// `vfs_loadvnode`.
type LoadVnode = unsafe extern "C" fn(Mount, Vnode, *const u8, usize, *mut *const u8) -> i32;
/// `vfs_newvnode`.
type NewVnode = unsafe extern "C" fn(Mount, Vnode, Vnode, Vattr, *mut u8, *mut usize, *mut *const u8) -> i32;
type NewVnode10 = unsafe extern "C" fn(Mount, Vnode, Vnode, Vattr, *mut u8, *mut u8, *mut usize, *mut *const u8) -> i32;

/// All vnodes with a key.
#[derive(Default)]
pub(crate) struct State {
    table: RefCell<HashTable<Vnode>>,
}

/// A cheap hash of bytes, good enough for keys that no outsider chooses freely.
pub(crate) fn hash(seed: usize, bytes: &[u8]) -> u64 {
    const PRIME: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = (seed as u64).wrapping_mul(PRIME);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        hash = (hash.rotate_left(23) ^ u64::from_ne_bytes(*word)).wrapping_mul(PRIME);
    }
    for byte in rest {
        hash = (hash.rotate_left(23) ^ u64::from(*byte)).wrapping_mul(PRIME);
    }
    hash ^ (hash >> 32)
}

/// # Safety
/// `key` must be readable for `length` bytes for the lifetime chosen.
unsafe fn slice<'a>(key: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        return &[];
    }
    // SAFETY: as the caller says.
    unsafe { core::slice::from_raw_parts(key, length) }
}

impl State {
    fn find(&self, mp: Mount, key: &[u8], hash: u64) -> Option<Vnode> {
        self.table
            .borrow()
            .find(hash, |vp| {
                let side = vp.side();
                // SAFETY: a vnode's key stays readable as long as it is in the table.
                side.key_mount.get() == mp && unsafe { slice(side.key.get(), side.key_length.get()) } == key
            })
            .copied()
    }

    /// Vnodes with a key that somebody has a reference to.
    pub(crate) fn used(&self) -> usize {
        self.table.borrow().iter().filter(|vp| vp.uses() > 0).count()
    }

    fn insert(&self, vp: Vnode) {
        self.table.borrow_mut().insert_unique(vp.side().key_hash.get(), vp, |vp| vp.side().key_hash.get());
    }

    fn remove(&self, vp: Vnode) {
        if let Ok(entry) = self.table.borrow_mut().find_entry(vp.side().key_hash.get(), |other| *other == vp) {
            entry.remove();
        }
    }
}

/// Sets a vnode's key.
fn set_key(vp: Vnode, mp: Mount, key: *const u8, length: usize, hash: u64) {
    let side = vp.side();
    side.key_mount.set(mp);
    side.key.set(key);
    side.key_length.set(length);
    side.key_hash.set(hash);
}

/// Takes a vnode out of the cache, if it is in it.
pub(crate) fn forget(vp: Vnode) {
    kernel().vfs.vcache.remove(vp);
}

pub(crate) unsafe extern "C" fn vcache_get(mp: Mount, key: *const u8, length: usize, vpp: *mut Vnode) -> i32 {
    // SAFETY: the caller's key and result are valid for the call.
    unsafe { vpp.write(Vnode::NULL) };
    // SAFETY: as above.
    let result = load(mp, unsafe { slice(key, length) });
    match result {
        Ok(vp) => {
            // SAFETY: as above.
            unsafe { vpp.write(vp) };
            0
        }
        Err(error) => error,
    }
}

/// The vnode for a key, referenced and unlocked; asks the file system to load it if it is not there.
pub(crate) fn load(mp: Mount, key: &[u8]) -> Result<Vnode, i32> {
    let state = &kernel().vfs.vcache;
    let hash = hash(mp.0.addr(), key);
    if let Some(vp) = state.find(mp, key, hash) {
        return match vnode::get(vp) {
            Ok(()) => Ok(vp),
            // A vnode that is gone but still in the table is being given up further up.
            Err(ENOENT) => Err(EDEADLK),
            Err(error) => Err(error),
        };
    }
    busy(mp)?;
    let vp = vnode::allocate(Phase::Loading);
    set_key(vp, mp, key.as_ptr(), key.len(), hash);
    state.insert(vp);
    let mut new_key: *const u8 = ptr::null();
    // SAFETY: the member holds a function of this type, or null.
    let error = unsafe {
        let function: *const () = kernel().abi.vfsops.vfs_loadvnode.read(mp.operations().0);
        if function.is_null() {
            EINVAL
        } else {
            let load = core::mem::transmute::<*const (), LoadVnode>(function);
            load(mp, vp, key.as_ptr(), key.len(), &raw mut new_key)
        }
    };
    if error != 0 || new_key.is_null() || vp.vector().is_null() {
        vnode::abandon(vp);
        unbusy(mp, false);
        return Err(if error == 0 { EINVAL } else { error });
    }
    // Rehashing while the key moves would lose the vnode: the bytes are the same, so the hash is.
    vp.side().key.set(new_key);
    finish(vp, mp);
    Ok(vp)
}

/// Hands a loaded vnode over to its mount; takes over the reference of `busy`.
fn finish(vp: Vnode, mp: Mount) {
    vnode::insert_in_mount(vp, mp);
    let flags: i32 = {
        // SAFETY: a member of a live mount.
        unsafe { kernel().abi.mount.mnt_iflag.read(mp.0) }
    };
    if flags & crate::abi::constants::IMNT_MPSAFE != 0 {
        vp.set_vflag(vp.vflag() | VV_MPSAFE);
    }
    unbusy(mp, true);
    vp.side().phase.set(Phase::Active);
}

unsafe extern "C" fn vcache_new(mp: Mount, dvp: Vnode, vap: Vattr, cred: *mut u8, vpp: *mut Vnode) -> i32 {
    // SAFETY: the caller's contract is that of the call; there is nothing more to hand on.
    unsafe { make(mp, dvp, vap, cred, ptr::null_mut(), vpp) }
}

/// Makes a file and its vnode; NetBSD 10 hands `extra` on to the file system.
unsafe extern "C" fn make(mp: Mount, dvp: Vnode, vap: Vattr, cred: *mut u8, extra: *mut u8, vpp: *mut Vnode) -> i32 {
    // SAFETY: the caller's result is writable.
    unsafe { vpp.write(Vnode::NULL) };
    if let Err(error) = busy(mp) {
        return error;
    }
    let vp = vnode::allocate(Phase::Loading);
    let mut key: *const u8 = ptr::null();
    let mut length = 0usize;
    // SAFETY: the member holds a function of this type, or null.
    let error = unsafe {
        let function: *const () = kernel().abi.vfsops.vfs_newvnode.read(mp.operations().0);
        if function.is_null() {
            crate::kern::errno::EROFS
        } else {
            if kernel().abi.is_10() {
                let create = core::mem::transmute::<*const (), NewVnode10>(function);
                create(mp, dvp, vp, vap, cred, extra, &raw mut length, &raw mut key)
            } else {
                let create = core::mem::transmute::<*const (), NewVnode>(function);
                create(mp, dvp, vp, vap, cred, &raw mut length, &raw mut key)
            }
        }
    };
    if error != 0 || key.is_null() || vp.vector().is_null() {
        vnode::abandon(vp);
        unbusy(mp, false);
        return if error == 0 { EINVAL } else { error };
    }
    // SAFETY: the file system handed over the key of its node.
    let bytes = unsafe { slice(key, length) };
    let hash = hash(mp.0.addr(), bytes);
    if kernel().vfs.vcache.find(mp, bytes, hash).is_some() {
        panic_format(format_args!("a new file has the identity of one in use"));
    }
    set_key(vp, mp, key, length, hash);
    kernel().vfs.vcache.insert(vp);
    finish(vp, mp);
    // SAFETY: as above.
    unsafe { vpp.write(vp) };
    0
}

unsafe extern "C" fn vcache_remove(mp: Mount, key: *const u8, length: usize) {
    // SAFETY: the caller's key is valid for the call.
    let key = unsafe { slice(key, length) };
    if let Some(vp) = kernel().vfs.vcache.find(mp, key, hash(mp.0.addr(), key)) {
        forget(vp);
    }
}

unsafe extern "C" fn vcache_rekey_enter(
    mp: Mount,
    vp: Vnode,
    old: *const u8,
    old_length: usize,
    new: *const u8,
    new_length: usize,
) -> i32 {
    // SAFETY: the caller's keys are valid until `vcache_rekey_exit`.
    let (old, new) = unsafe { (slice(old, old_length), slice(new, new_length)) };
    let state = &kernel().vfs.vcache;
    let new_hash = hash(mp.0.addr(), new);
    if state.find(mp, new, new_hash).is_some() {
        return EEXIST;
    }
    // One thread at a time is inside and none can look the new key up before `vcache_rekey_exit`, but the module's own code
    // may: the vnode is blocked until then.
    state.remove(vp);
    set_key(vp, mp, old.as_ptr(), old.len(), hash(mp.0.addr(), old));
    state.insert(vp);
    vp.side().phase.set(Phase::Blocked);
    0
}

unsafe extern "C" fn vcache_rekey_exit(
    mp: Mount,
    vp: Vnode,
    _old: *const u8,
    _old_length: usize,
    new: *const u8,
    new_length: usize,
) {
    let state = &kernel().vfs.vcache;
    state.remove(vp);
    // SAFETY: the caller's new key lies in its node.
    let hash = hash(mp.0.addr(), unsafe { slice(new, new_length) });
    set_key(vp, mp, new, new_length, hash);
    state.insert(vp);
    vp.side().phase.set(Phase::Active);
}

/// Adds the functions with the parameters of the version.
pub(super) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    out.extend_from_slice(EXPORTS);
    out.extend_from_slice(if abi.is_10() { LATER } else { EARLIER });
}

const EARLIER: &[Export] = &[function!("vcache_new", vcache_new), function!("vcache_remove", vcache_remove)];

const LATER: &[Export] = &[function!("vcache_new", make)];

const EXPORTS: &[Export] = &[
    function!("vcache_get", vcache_get),
    function!("vcache_rekey_enter", vcache_rekey_enter),
    function!("vcache_rekey_exit", vcache_rekey_exit),
];
