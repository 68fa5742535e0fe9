//! The name cache: what a name in a directory leads to, names that lead nowhere included.

use super::object::{Mount, Vnode};
use super::{vcache, vnode};
use crate::abi::constants::{CREATE, ISLASTCN, ISWHITEOUT, MAKEENTRY, PURGE_CHILDREN, PURGE_PARENTS};
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::RefCell;
use hashbrown::HashTable;

/// Entries kept at most; the one not used for longest goes first.
const LIMIT: usize = 8192;
/// Longer names are not kept.
const LONGEST: usize = 255;

/// Place of an entry plus one; 0 is none.
type Index = u32;

/// Neighbours on a list.
#[derive(Clone, Copy, Default)]
struct Links {
    previous: Index,
    next: Index,
}

/// The lists an entry is on.
#[derive(Clone, Copy)]
enum Kind {
    /// Names in one directory; its head is in the directory's side.
    Directory = 0,
    /// Names of one file; its head is in the file's side.
    Target = 1,
    /// All, by last use.
    Age = 2,
}

struct Entry {
    directory: Vnode,
    /// Null: there is no such name.
    target: Vnode,
    flags: u32,
    name: Box<[u8]>,
    hash: u64,
    links: [Links; 3],
}

#[derive(Default)]
struct Cache {
    index: HashTable<Index>,
    entries: Vec<Option<Entry>>,
    free: Vec<Index>,
    oldest: Index,
    newest: Index,
}

/// The names of one kernel.
#[derive(Default)]
pub(crate) struct State {
    cache: RefCell<Cache>,
}

impl State {
    /// Number of entries.
    pub(crate) fn count(&self) -> usize {
        self.cache.borrow().index.len()
    }
}

impl Cache {
    fn entry(&self, index: Index) -> &Entry {
        self.entries[index as usize - 1].as_ref().expect("an index leads to an entry")
    }

    fn entry_mut(&mut self, index: Index) -> &mut Entry {
        self.entries[index as usize - 1].as_mut().expect("an index leads to an entry")
    }

    fn head(&self, kind: Kind, index: Index) -> Index {
        let entry = self.entry(index);
        match kind {
            Kind::Directory => entry.directory.side().names.get(),
            Kind::Target => entry.target.side().links.get(),
            Kind::Age => self.newest,
        }
    }

    fn set_head(&mut self, kind: Kind, index: Index, head: Index) {
        let entry = self.entry(index);
        match kind {
            Kind::Directory => entry.directory.side().names.set(head),
            Kind::Target => entry.target.side().links.set(head),
            Kind::Age => self.newest = head,
        }
    }

    fn push(&mut self, kind: Kind, index: Index) {
        let first = self.head(kind, index);
        self.entry_mut(index).links[kind as usize] = Links { previous: 0, next: first };
        if first != 0 {
            self.entry_mut(first).links[kind as usize].previous = index;
        } else if matches!(kind, Kind::Age) {
            self.oldest = index;
        }
        self.set_head(kind, index, index);
    }

    fn unlink(&mut self, kind: Kind, index: Index) {
        let Links { previous, next } = self.entry(index).links[kind as usize];
        if previous == 0 {
            self.set_head(kind, index, next);
        } else {
            self.entry_mut(previous).links[kind as usize].next = next;
        }
        if next != 0 {
            self.entry_mut(next).links[kind as usize].previous = previous;
        } else if matches!(kind, Kind::Age) {
            self.oldest = previous;
        }
    }

    fn find(&self, directory: Vnode, name: &[u8], hash: u64) -> Option<Index> {
        let same = |index: &Index| {
            let entry = self.entry(*index);
            entry.directory == directory && *entry.name == *name
        };
        self.index.find(hash, same).copied()
    }

    fn insert(&mut self, directory: Vnode, target: Vnode, name: &[u8], flags: u32) {
        let hash = hash(directory, name);
        if let Some(old) = self.find(directory, name, hash) {
            self.remove(old);
        }
        if self.index.len() >= LIMIT {
            self.remove(self.oldest);
        }
        let entry = Entry { directory, target, flags, name: name.into(), hash, links: [Links::default(); 3] };
        let index = match self.free.pop() {
            Some(index) => {
                self.entries[index as usize - 1] = Some(entry);
                index
            }
            None => {
                self.entries.push(Some(entry));
                self.entries.len() as Index
            }
        };
        self.push(Kind::Directory, index);
        if !target.is_null() {
            self.push(Kind::Target, index);
        }
        self.push(Kind::Age, index);
        let entries = &self.entries;
        let hash_of = |index: &Index| entries[*index as usize - 1].as_ref().map_or(0, |entry| entry.hash);
        self.index.insert_unique(hash, index, hash_of);
    }

    fn remove(&mut self, index: Index) {
        self.unlink(Kind::Directory, index);
        if !self.entry(index).target.is_null() {
            self.unlink(Kind::Target, index);
        }
        self.unlink(Kind::Age, index);
        if let Ok(found) = self.index.find_entry(self.entry(index).hash, |other| *other == index) {
            found.remove();
        }
        self.entries[index as usize - 1] = None;
        self.free.push(index);
    }

    fn used(&mut self, index: Index) {
        self.unlink(Kind::Age, index);
        self.push(Kind::Age, index);
    }
}

fn hash(directory: Vnode, name: &[u8]) -> u64 {
    vcache::hash(directory.0.addr(), name)
}

/// Forgets the names of `vp` and, if it is a directory, in it.
pub(crate) fn purge(vp: Vnode) {
    purge_parents(vp);
    purge_children(vp);
}

fn purge_parents(vp: Vnode) {
    let mut cache = kernel().vfs.names.cache.borrow_mut();
    while vp.side().links.get() != 0 {
        cache.remove(vp.side().links.get());
    }
}

fn purge_children(vp: Vnode) {
    let mut cache = kernel().vfs.names.cache.borrow_mut();
    while vp.side().names.get() != 0 {
        cache.remove(vp.side().names.get());
    }
}

/// Looks `name` up: the outer `None` if the file system has to be asked, the inner one if there is no such file. The vnode
/// found is referenced.
pub(crate) fn lookup(directory: Vnode, name: &[u8], operation: u32, flags: u32) -> Option<(Option<Vnode>, bool)> {
    let mut cache = kernel().vfs.names.cache.borrow_mut();
    let index = cache.find(directory, name, hash(directory, name))?;
    let (target, entry_flags) = (cache.entry(index).target, cache.entry(index).flags);
    let last = flags & ISLASTCN as u32 != 0;
    if flags & MAKEENTRY as u32 == 0 || (target.is_null() && operation == CREATE as u32 && last) {
        // The name is about to change its meaning.
        cache.remove(index);
        return None;
    }
    if target.is_null() {
        cache.used(index);
        return Some((None, entry_flags & ISWHITEOUT as u32 != 0));
    }
    if vnode::get(target).is_err() {
        return None;
    }
    cache.used(index);
    Some((Some(target), false))
}

unsafe extern "C" fn cache_lookup(
    directory: Vnode,
    name: *const u8,
    length: usize,
    operation: u32,
    flags: u32,
    whiteout: *mut i32,
    result: *mut Vnode,
) -> i32 {
    // SAFETY: the caller's name is readable, its results writable or, for the whiteout flag, null.
    unsafe {
        result.write(Vnode::NULL);
        let found = lookup(directory, core::slice::from_raw_parts(name, length), operation, flags);
        if !whiteout.is_null() {
            whiteout.write(found.is_some_and(|(_, whiteout)| whiteout).into());
        }
        let Some((target, _)) = found else { return 0 };
        result.write(target.unwrap_or(Vnode::NULL));
    }
    1
}

pub(crate) unsafe extern "C" fn cache_enter(directory: Vnode, target: Vnode, name: *const u8, length: usize, flags: u32) {
    if flags & MAKEENTRY as u32 == 0 || length > LONGEST {
        return;
    }
    // SAFETY: the caller's name is readable.
    let name = unsafe { core::slice::from_raw_parts(name, length) };
    kernel().vfs.names.cache.borrow_mut().insert(directory, target, name, flags);
}

pub(crate) unsafe extern "C" fn cache_purge1(vp: Vnode, name: *const u8, length: usize, flags: i32) {
    if flags & PURGE_PARENTS != 0 {
        purge_parents(vp);
    }
    if flags & PURGE_CHILDREN != 0 {
        purge_children(vp);
    }
    if !name.is_null() {
        // SAFETY: the caller's name is readable.
        let name = unsafe { core::slice::from_raw_parts(name, length) };
        let mut cache = kernel().vfs.names.cache.borrow_mut();
        if let Some(index) = cache.find(vp, name, hash(vp, name)) {
            cache.remove(index);
        }
    }
}

/// Forgets all names in directories of a mount.
pub(crate) unsafe extern "C" fn cache_purgevfs(mp: Mount) {
    let mut cache = kernel().vfs.names.cache.borrow_mut();
    for index in 1..=cache.entries.len() as Index {
        if cache.entries[index as usize - 1].as_ref().is_some_and(|entry| entry.directory.mount() == mp) {
            cache.remove(index);
        }
    }
}

/// Statistics that nobody reads.
unsafe extern "C" fn count() {}

pub(crate) const EXPORTS: &[Export] = &[
    function!("cache_lookup", cache_lookup),
    function!("cache_enter", cache_enter),
    function!("cache_purge1", cache_purge1),
    function!("cache_purgevfs", cache_purgevfs),
    function!("namecache_count_pass2", count),
    function!("namecache_count_2passes", count),
];
