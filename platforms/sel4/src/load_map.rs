//! What a domain tells its supervisor while it lives, for the case that it does not: which code lies where, which request it
//! works on since when, and its last words.
//!
//! The domain writes, the supervisor reads, in memory that both see. The supervisor believes nothing: every offset is bounded
//! by the memory, and a map that is being written or makes no sense reads as empty.

use crate::clock::time_stamp;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering, fence};

/// Bytes of a load map.
pub const LOAD_MAP_BYTES: usize = 1 << 16;
/// Bytes of the last words.
pub const LAST_WORDS: usize = 256;
const ENTRIES: usize = 1600;
const NAMES: usize = LOAD_MAP_BYTES - size_of::<Header>() - ENTRIES * size_of::<Entry>();

#[repr(C)]
struct Header {
    /// Odd while the entries are being written.
    sequence: AtomicU32,
    entries: AtomicU32,
    /// Number of the request that is worked on; 0: none.
    request: AtomicU64,
    /// Time stamp at its start.
    since: AtomicU64,
    last_words_len: AtomicU32,
    /// Label of the request.
    label: AtomicU32,
    last_words: [AtomicU8; LAST_WORDS],
}

/// A module (with `size` bytes of code) or, behind it, one of its functions.
#[repr(C)]
struct Entry {
    address: AtomicU64,
    size: AtomicU32,
    /// Offset into the names, and whether it is a module in the top bit.
    name: AtomicU32,
    name_len: AtomicU32,
    reserved: AtomicU32,
}

const MODULE: u32 = 1 << 31;

#[repr(C)]
struct Map {
    header: Header,
    entries: [Entry; ENTRIES],
    names: [AtomicU8; NAMES],
}

const _: () = assert!(size_of::<Map>() <= LOAD_MAP_BYTES);

/// The writing side.
pub struct LoadMap {
    map: &'static Map,
}

/// A request that is worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Working {
    /// Its number.
    pub number: u64,
    /// The label of its message.
    pub label: u32,
    /// The time stamp at its start.
    pub since: u64,
}

/// Adds entries while the map is being rewritten.
pub struct Rewrite<'a> {
    map: &'a Map,
    entries: usize,
    names: usize,
}

impl LoadMap {
    /// A load map at `base`.
    ///
    /// # Safety
    /// [`LOAD_MAP_BYTES`] bytes at `base`, 8-byte aligned, must stay mapped and readable for good, writable too on the side that
    /// writes, and nothing may access them but load maps.
    #[must_use]
    pub unsafe fn new(base: NonNull<u8>) -> Self {
        // SAFETY: the caller vouches for the memory; all fields are atomics, for which any bytes are valid and that both sides
        // may access at once.
        Self { map: unsafe { base.cast::<Map>().as_ref() } }
    }

    /// Replaces the whole list of code.
    pub fn rewrite(&self, fill: impl FnOnce(&mut Rewrite<'_>)) {
        let header = &self.map.header;
        let sequence = header.sequence.load(Ordering::Relaxed) | 1;
        header.sequence.store(sequence, Ordering::Relaxed);
        fence(Ordering::Release);
        let mut rewrite = Rewrite { map: self.map, entries: 0, names: 0 };
        fill(&mut rewrite);
        header.entries.store(rewrite.entries as u32, Ordering::Relaxed);
        header.sequence.store(sequence.wrapping_add(1), Ordering::Release);
    }

    /// Says that work on request `number` (not 0), a message of `label`, begins now.
    pub fn begin(&self, number: u64, label: u32) {
        self.map.header.label.store(label, Ordering::Relaxed);
        self.map.header.since.store(time_stamp(), Ordering::Relaxed);
        self.map.header.request.store(number, Ordering::Release);
    }

    /// Says that nothing is worked on.
    pub fn end(&self) {
        self.map.header.request.store(0, Ordering::Release);
    }

    /// Leaves a text for the supervisor, cut to [`LAST_WORDS`] bytes.
    pub fn last_words(&self, text: &str) {
        let len = text.len().min(LAST_WORDS);
        for (place, byte) in self.map.header.last_words.iter().zip(text.bytes()) {
            place.store(byte, Ordering::Relaxed);
        }
        self.map.header.last_words_len.store(len as u32, Ordering::Release);
    }

    /// Forgets everything: before a new domain gets the memory.
    pub fn reset(&self) {
        self.end();
        self.last_words("");
        self.rewrite(|_| {});
    }

    /// The request that is worked on.
    #[must_use]
    pub fn working(&self) -> Option<Working> {
        let header = &self.map.header;
        match header.request.load(Ordering::Acquire) {
            0 => None,
            number => {
                let (label, since) = (header.label.load(Ordering::Relaxed), header.since.load(Ordering::Relaxed));
                Some(Working { number, label, since })
            }
        }
    }

    /// Copies the last words to `buffer` and returns them, what is not UTF-8 left out.
    pub fn read_last_words<'b>(&self, buffer: &'b mut [u8; LAST_WORDS]) -> &'b str {
        let len = (self.map.header.last_words_len.load(Ordering::Acquire) as usize).min(LAST_WORDS);
        for (place, byte) in buffer.iter_mut().zip(&self.map.header.last_words) {
            *place = byte.load(Ordering::Relaxed);
        }
        text(&buffer[..len])
    }

    /// What code `address` is in.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<Place> {
        let header = &self.map.header;
        let sequence = header.sequence.load(Ordering::Acquire);
        if sequence & 1 != 0 {
            return None;
        }
        let count = (header.entries.load(Ordering::Relaxed) as usize).min(ENTRIES);
        let mut found: Option<Place> = None;
        let mut within = false;
        for entry in &self.map.entries[..count] {
            let start = entry.address.load(Ordering::Relaxed);
            let name = entry.name.load(Ordering::Relaxed);
            let Some(offset) = address.checked_sub(start) else { continue };
            if name & MODULE != 0 {
                within = offset < u64::from(entry.size.load(Ordering::Relaxed));
                if within {
                    found = Some(Place { module: self.name(entry), symbol: None, offset });
                }
            } else if within
                && let Some(place) = &mut found
                && (place.symbol.is_none() || offset < place.offset)
            {
                place.symbol = Some(self.name(entry));
                place.offset = offset;
            }
        }
        fence(Ordering::Acquire);
        if header.sequence.load(Ordering::Relaxed) == sequence { found } else { None }
    }

    fn name(&self, entry: &Entry) -> Name {
        let start = (entry.name.load(Ordering::Relaxed) & !MODULE) as usize;
        let len = (entry.name_len.load(Ordering::Relaxed) as usize).min(NAME);
        let mut bytes = [0; NAME];
        let stored = self.map.names.get(start..).and_then(|names| names.get(..len)).unwrap_or_default();
        for (place, byte) in bytes.iter_mut().zip(stored) {
            *place = byte.load(Ordering::Relaxed);
        }
        let mut name = Name::new();
        // Cannot fail: a name has room for all its bytes.
        let _ = name.push_str(text(&bytes[..stored.len()]));
        name
    }
}

/// Bytes of a name that are kept.
const NAME: usize = 64;
/// A name, cut to its first bytes.
pub type Name = heapless::String<NAME>;

/// The longest beginning of `bytes` that is UTF-8.
fn text(bytes: &[u8]) -> &str {
    match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

/// Where an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The module.
    pub module: Name,
    /// The function, if the module's list has one at or before the address.
    pub symbol: Option<Name>,
    /// Bytes from the function, or from the start of the module's code.
    pub offset: u64,
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.symbol {
            Some(symbol) => write!(f, "{} {symbol}+{:#x}", self.module, self.offset),
            None => write!(f, "{}+{:#x}", self.module, self.offset),
        }
    }
}

impl Rewrite<'_> {
    /// Adds a module. What the map has no room for is left out.
    pub fn module(&mut self, name: &str, address: u64, size: u64) {
        self.add(name, address, size, MODULE);
    }

    /// Adds a function of the module added last.
    pub fn function(&mut self, name: &str, address: u64) {
        self.add(name, address, 0, 0);
    }

    fn add(&mut self, name: &str, address: u64, size: u64, mark: u32) {
        let name = &name[..name.floor_char_boundary(NAME)];
        let Some(entry) = self.map.entries.get(self.entries) else { return };
        let Some(places) = self.map.names.get(self.names..self.names + name.len()) else { return };
        for (place, byte) in places.iter().zip(name.bytes()) {
            place.store(byte, Ordering::Relaxed);
        }
        entry.address.store(address, Ordering::Relaxed);
        entry.size.store(u32::try_from(size).unwrap_or(u32::MAX), Ordering::Relaxed);
        entry.name.store(self.names as u32 | mark, Ordering::Relaxed);
        entry.name_len.store(name.len() as u32, Ordering::Relaxed);
        self.names += name.len();
        self.entries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn map_of(fill: u64) -> LoadMap {
        let words = vec![fill; LOAD_MAP_BYTES / 8].leak();
        let base = NonNull::from(&mut *words).cast();
        // SAFETY: leaked, so mapped for good; 8-byte aligned words of the right number.
        unsafe { LoadMap::new(base) }
    }

    fn place(map: &LoadMap, address: u64) -> Option<alloc::string::String> {
        map.find(address).map(|place| place.to_string())
    }

    #[test]
    fn addresses_are_named_by_module_function_and_offset() {
        let map = map_of(0);
        map.rewrite(|list| {
            list.module("one", 0x1000, 0x100);
            list.module("two", 0x2000, 0x100);
            list.function("late", 0x2080);
            list.function("early", 0x2010);
        });
        assert_eq!(place(&map, 0x1010).as_deref(), Some("one+0x10"));
        assert_eq!(place(&map, 0x2004).as_deref(), Some("two+0x4"));
        assert_eq!(place(&map, 0x2011).as_deref(), Some("two early+0x1"));
        assert_eq!(place(&map, 0x20ff).as_deref(), Some("two late+0x7f"));
        assert_eq!(place(&map, 0x2100), None);
        assert_eq!(place(&map, 0xfff), None);
        map.reset();
        assert_eq!(place(&map, 0x1010), None);
    }

    #[test]
    fn requests_and_last_words_come_across() {
        let map = map_of(0);
        assert_eq!(map.working(), None);
        map.begin(7, 9);
        assert_eq!(map.working().map(|working| (working.number, working.label)), Some((7, 9)));
        map.end();
        assert_eq!(map.working(), None);
        map.last_words(&"x".repeat(1000));
        assert_eq!(map.read_last_words(&mut [0; LAST_WORDS]).len(), LAST_WORDS);
    }

    #[test]
    fn a_full_map_and_a_map_of_noise_do_no_harm() {
        let map = map_of(0);
        map.rewrite(|list| {
            for index in 0..10_000 {
                list.module("a name of some length", 0x1000 * index, 0x1000);
            }
        });
        assert!(place(&map, 0x1004).is_some());
        for noise in [u64::MAX, 0x8000_0000_8000_0000, 0x7fff_fffe_0000_0002] {
            let map = map_of(noise);
            let _ = map.find(noise);
            let _ = map.find(0);
            let _ = map.read_last_words(&mut [0; LAST_WORDS]);
            assert!(map.find(5).is_none_or(|place| place.module.len() <= NAME));
        }
    }
}
