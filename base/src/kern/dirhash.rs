//! Directory hashes: for the file systems that keep names and free slots of a directory in memory.
//!
//! A module reads the flags and the entries itself, so both structures are NetBSD's. Memory for all hashes together is bounded;
//! beyond the bound those not in use are emptied, the longest unused first.

use super::{memory, panic};
use crate::abi::constants::{DIRH_COMPLETE, DIRH_PURGED};
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::cell::Cell;
use core::ptr;

/// Lists of a hash.
const LINES: usize = 32;
/// Bytes that all entries together may take.
const LIMIT: usize = 1024 * 1024;

/// `struct dirhash`.
#[repr(C)]
struct Hash {
    flags: u32,
    /// Bytes of its entries.
    size: u32,
    references: u32,
    files: u32,
    lines: [*mut Entry; LINES],
    free: *mut Entry,
    newer: *mut Hash,
    older: *mut Hash,
}

/// `struct dirhash_entry`.
#[repr(C)]
struct Entry {
    hash: u32,
    offset: u64,
    name_length: u32,
    size: u32,
    next: *mut Entry,
    previous: *mut *mut Entry,
}

const ENTRY: u32 = size_of::<Entry>() as u32;

/// All hashes of a kernel, the last used first.
pub(crate) struct State {
    newest: Cell<*mut Hash>,
    oldest: Cell<*mut Hash>,
    size: Cell<usize>,
}

impl Default for State {
    fn default() -> Self {
        Self { newest: Cell::new(ptr::null_mut()), oldest: Cell::new(ptr::null_mut()), size: Cell::new(0) }
    }
}

/// The hash of a name.
fn hash_of(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, byte| hash.wrapping_mul(33).wrapping_add(u32::from(*byte)))
}

fn line(hash: u32) -> usize {
    hash as usize % LINES
}

impl Entry {
    /// # Safety
    /// `head` must be a list's head and `entry` on no list.
    unsafe fn insert(head: *mut *mut Self, entry: *mut Self) {
        // SAFETY: as the caller says.
        unsafe {
            (*entry).next = *head;
            (*entry).previous = head;
            if !(*head).is_null() {
                (**head).previous = &raw mut (*entry).next;
            }
            *head = entry;
        }
    }

    /// # Safety
    /// `entry` must be on a list.
    unsafe fn unlink(entry: *mut Self) {
        // SAFETY: as the caller says.
        unsafe {
            *(*entry).previous = (*entry).next;
            if !(*entry).next.is_null() {
                (*(*entry).next).previous = (*entry).previous;
            }
        }
    }

    /// The first entry from `entry` on that `wanted` accepts, or null.
    ///
    /// # Safety
    /// `entry` must be null or on a list.
    unsafe fn find(mut entry: *mut Self, wanted: impl Fn(&Self) -> bool) -> *mut Self {
        // SAFETY: entries of a list are live.
        unsafe {
            while !entry.is_null() && !wanted(&*entry) {
                entry = (*entry).next;
            }
        }
        entry
    }
}

impl State {
    /// # Safety
    /// `hash` must be live and on no queue.
    unsafe fn use_now(&self, hash: *mut Hash) {
        let older = self.newest.replace(hash);
        // SAFETY: as the caller says; `older` is null or live.
        unsafe {
            (*hash).newer = ptr::null_mut();
            (*hash).older = older;
            if older.is_null() {
                self.oldest.set(hash);
            } else {
                (*older).newer = hash;
            }
        }
    }

    /// # Safety
    /// `hash` must be on the queue.
    unsafe fn unlink(&self, hash: *mut Hash) {
        // SAFETY: as the caller says; its neighbours are live.
        unsafe {
            let Hash { newer, older, .. } = *hash;
            if newer.is_null() {
                self.newest.set(older);
            } else {
                (*newer).older = older;
            }
            if older.is_null() {
                self.oldest.set(newer);
            } else {
                (*older).newer = newer;
            }
        }
    }

    /// Empties hashes nobody uses until an entry more fits the limit.
    ///
    /// # Safety
    /// Every hash on the queue must be live.
    unsafe fn make_room(&self, limit: usize, free: &impl Fn(*mut Entry)) {
        let mut hash = self.oldest.get();
        while self.size.get() + ENTRY as usize > limit && !hash.is_null() {
            // SAFETY: as the caller says.
            unsafe {
                if (*hash).references == 0 {
                    self.empty(hash, free);
                }
                hash = (*hash).newer;
            }
        }
    }

    /// Drops all entries.
    ///
    /// # Safety
    /// `hash` must be live.
    unsafe fn empty(&self, hash: *mut Hash, free: &impl Fn(*mut Entry)) {
        // SAFETY: as the caller says; entries are live until they are freed here.
        unsafe {
            if (*hash).size == 0 {
                return;
            }
            let lines = (*hash).lines;
            for mut entry in lines.into_iter().chain([(*hash).free]) {
                while !entry.is_null() {
                    let next = (*entry).next;
                    free(entry);
                    entry = next;
                }
            }
            (*hash).lines = [ptr::null_mut(); LINES];
            (*hash).free = ptr::null_mut();
            self.size.set(self.size.get() - (*hash).size as usize);
            (*hash).size = 0;
            (*hash).files = 0;
            (*hash).flags = (*hash).flags & !(DIRH_COMPLETE as u32) | DIRH_PURGED as u32;
        }
    }

    /// # Safety
    /// `hash` must be live; `entry` fresh memory.
    unsafe fn add(&self, hash: *mut Hash, head: *mut *mut Entry, entry: *mut Entry, value: Entry) {
        // SAFETY: as the caller says.
        unsafe {
            entry.write(value);
            Entry::insert(head, entry);
            (*hash).size += ENTRY;
        }
        self.size.set(self.size.get() + ENTRY as usize);
    }

    /// # Safety
    /// `entry` must be of `hash`.
    unsafe fn drop_entry(&self, hash: *mut Hash, entry: *mut Entry, free: &impl Fn(*mut Entry)) {
        // SAFETY: as the caller says.
        unsafe {
            Entry::unlink(entry);
            (*hash).size -= ENTRY;
        }
        self.size.set(self.size.get() - ENTRY as usize);
        free(entry);
    }
}

fn fresh() -> *mut Entry {
    memory::alloc_or_end(size_of::<Entry>(), false).cast()
}

fn free(entry: *mut Entry) {
    // SAFETY: entries come from `fresh` and are taken off their list first.
    unsafe { memory::free(entry.cast()) }
}

fn entry(hash: u32, offset: u64, name_length: u32, size: u32) -> Entry {
    Entry { hash, offset, name_length, size, next: ptr::null_mut(), previous: ptr::null_mut() }
}

/// The name of a `struct dirent`.
///
/// # Safety
/// `dirent` must point to one.
unsafe fn name<'a>(dirent: *const u8) -> &'a [u8] {
    let fields = &kernel().abi.dirent;
    // SAFETY: as the caller says.
    unsafe {
        let length: u16 = fields.d_namlen.read(dirent);
        core::slice::from_raw_parts(fields.d_name.ptr(dirent), usize::from(length).min(fields.d_name.size()))
    }
}

unsafe extern "C" fn dirhash_get(at: *mut *mut Hash) {
    let state = &kernel().kern.dirhash;
    // SAFETY: module code passes a pointer to null or a hash.
    unsafe {
        if (*at).is_null() {
            *at = memory::alloc_or_end(size_of::<Hash>(), true).cast();
        } else {
            state.unlink(*at);
        }
        state.use_now(*at);
        (**at).references += 1;
    }
}

unsafe extern "C" fn dirhash_put(hash: *mut Hash) {
    // SAFETY: module code passes a hash.
    let references = unsafe { &mut (*hash).references };
    match references.checked_sub(1) {
        Some(fewer) => *references = fewer,
        None => panic::panic_message("dirhash_put of a directory hash that nobody uses"),
    }
}

unsafe extern "C" fn dirhash_purge_entries(hash: *mut Hash) {
    if !hash.is_null() {
        // SAFETY: module code passes a hash.
        unsafe { kernel().kern.dirhash.empty(hash, &free) }
    }
}

unsafe extern "C" fn dirhash_purge(at: *mut *mut Hash) {
    // SAFETY: module code passes a pointer to null or a hash, and does not use the hash any more.
    unsafe {
        if !(*at).is_null() {
            dirhash_purge_entries(*at);
            kernel().kern.dirhash.unlink(*at);
            memory::free((*at).cast());
            *at = ptr::null_mut();
        }
    }
}

unsafe extern "C" fn dirhash_enter(hash: *mut Hash, dirent: *const u8, offset: u64, size: u32, new: i32) {
    let state = &kernel().kern.dirhash;
    // SAFETY: module code passes a hash it uses and a directory entry.
    unsafe {
        if new == 0 && (*hash).flags & DIRH_COMPLETE as u32 != 0 {
            return;
        }
        let name = name(dirent);
        let value = hash_of(name);
        let head = &raw mut (*hash).lines[line(value)];
        if !Entry::find(*head, |entry| entry.hash == value && entry.offset == offset).is_null() {
            return;
        }
        let freed = Entry::find((*hash).free, |entry| entry.offset == offset);
        if !freed.is_null() {
            state.drop_entry(hash, freed, &free);
        }
        state.make_room(LIMIT, &free);
        state.add(hash, head, fresh(), entry(value, offset, name.len() as u32, size));
        (*hash).files += 1;
    }
}

unsafe extern "C" fn dirhash_enter_freed(hash: *mut Hash, offset: u64, size: u32) {
    // SAFETY: module code passes a hash it uses.
    unsafe {
        let head = &raw mut (*hash).free;
        kernel().kern.dirhash.add(hash, head, fresh(), entry(0, offset, 0, size));
    }
}

unsafe extern "C" fn dirhash_remove(hash: *mut Hash, dirent: *const u8, offset: u64, size: u32) {
    // SAFETY: module code passes a hash it uses and a directory entry.
    unsafe {
        let value = hash_of(name(dirent));
        let found = Entry::find((*hash).lines[line(value)], |entry| entry.hash == value && entry.offset == offset);
        if found.is_null() {
            panic::panic_format(format_args!("dirhash_remove: no entry at offset {offset}"));
        }
        kernel().kern.dirhash.drop_entry(hash, found, &free);
        (*hash).files -= 1;
        dirhash_enter_freed(hash, offset, size);
    }
}

/// Finds the next entry that may have the name: same hash and length. `cursor` holds the last one found, or null.
unsafe extern "C" fn dirhash_lookup(hash: *mut Hash, name: *const u8, length: i32, cursor: *mut *mut Entry) -> i32 {
    let length = u32::try_from(length).unwrap_or(0);
    // SAFETY: module code passes a hash it uses, a name of this length, and null or an entry.
    unsafe {
        let value = hash_of(core::slice::from_raw_parts(name, length as usize));
        let start = if (*cursor).is_null() { (*hash).lines[line(value)] } else { (**cursor).next };
        *cursor = Entry::find(start, |entry| entry.hash == value && entry.name_length == length);
        i32::from(!(*cursor).is_null())
    }
}

/// Finds the next free slot of at least `size` bytes.
unsafe extern "C" fn dirhash_lookup_freed(hash: *mut Hash, size: u32, cursor: *mut *mut Entry) -> i32 {
    // SAFETY: as above.
    unsafe {
        let start = if (*cursor).is_null() { (*hash).free } else { (**cursor).next };
        *cursor = Entry::find(start, |entry| entry.size >= size);
        i32::from(!(*cursor).is_null())
    }
}

/// Whether nothing but an entry for the parent directory is in it.
unsafe extern "C" fn dirhash_dir_isempty(hash: *mut Hash) -> bool {
    // SAFETY: module code passes a hash.
    unsafe { (*hash).files <= 1 }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("dirhash_get", dirhash_get),
    function!("dirhash_put", dirhash_put),
    function!("dirhash_purge", dirhash_purge),
    function!("dirhash_purge_entries", dirhash_purge_entries),
    function!("dirhash_enter", dirhash_enter),
    function!("dirhash_enter_freed", dirhash_enter_freed),
    function!("dirhash_remove", dirhash_remove),
    function!("dirhash_lookup", dirhash_lookup),
    function!("dirhash_lookup_freed", dirhash_lookup_freed),
    function!("dirhash_dir_isempty", dirhash_dir_isempty),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use core::mem::offset_of;
    use std::boxed::Box;

    #[test]
    fn the_structures_are_the_tables() {
        let abi = if cfg!(target_pointer_width = "64") { Abi::netbsd_7_99_34_amd64() } else { Abi::netbsd_7_99_34_i386() };
        let (hash, entry) = (&abi.dirhash, &abi.dirhash_entry);
        assert_eq!((hash.size, entry.size), (size_of::<Hash>(), size_of::<Entry>()));
        assert_eq!(hash.free_entries.offset(), offset_of!(Hash, free));
        assert_eq!(hash.num_files.offset(), offset_of!(Hash, files));
        assert_eq!(entry.offset.offset(), offset_of!(Entry, offset));
        assert_eq!(entry.entry_size.offset(), offset_of!(Entry, size));
        assert_eq!(entry.next.offset(), offset_of!(Entry, next));
    }

    fn hash() -> *mut Hash {
        // SAFETY: zero is a value of every member.
        Box::into_raw(Box::new(unsafe { core::mem::zeroed() }))
    }

    #[test]
    fn the_longest_unused_hash_makes_room() {
        let state = State::default();
        let free = |entry: *mut Entry| {
            // SAFETY: the test's entries are boxes.
            drop(unsafe { Box::from_raw(entry) });
        };
        let (one, two, three) = (hash(), hash(), hash());
        // SAFETY: the hashes are boxes that live until the end; so do entries until they are dropped.
        unsafe {
            for at in [one, two, three] {
                state.use_now(at);
                for offset in 0..3 {
                    let value = hash_of(&[offset as u8]);
                    let head = &raw mut (*at).lines[line(value)];
                    state.add(at, head, Box::into_raw(Box::new(entry(0, 0, 0, 0))), entry(value, offset, 1, 64));
                    (*at).files += 1;
                }
                (*at).flags = DIRH_COMPLETE as u32;
            }
            (*one).references = 1;
            state.make_room(9 * ENTRY as usize, &free);
            assert_eq!([(*one).files, (*two).files, (*three).files], [3, 0, 3]);
            assert_eq!((*two).flags, DIRH_PURGED as u32);
            assert_eq!(state.size.get(), 6 * ENTRY as usize);
            let value = hash_of(&[2]);
            let found = Entry::find((*three).lines[line(value)], |entry| entry.hash == value);
            assert_eq!((*found).offset, 2);
            state.drop_entry(three, found, &free);
            assert!(Entry::find((*three).lines[line(value)], |entry| entry.hash == value).is_null());
            state.unlink(three);
            state.use_now(three);
            state.unlink(one);
            assert_eq!((state.oldest.get(), state.newest.get()), (two, three));
            for at in [one, two, three] {
                state.empty(at, &free);
                drop(Box::from_raw(at));
            }
        }
        assert_eq!(state.size.get(), 0);
    }
}
