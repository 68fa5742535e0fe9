//! A heap for module code: what it keeps of its blocks lies apart from them.
//!
//! A stock module that writes past the end of a block, as some do on damaged images, then damages blocks of its own kernel
//! at worst, not the heap and hardly the server's memory. What is freed is looked up, so a pointer that is no live block is
//! told from one that is.

use alloc::alloc::{Layout, alloc as allocate, alloc_zeroed, dealloc};
use alloc::vec::Vec;
use core::hash::{BuildHasherDefault, Hasher};
use core::ptr;
use hashbrown::HashMap;

/// Blocks of a size class are cut from pieces of this many bytes, aligned to as many.
const CHUNK: usize = 64 << 10;
/// Bytes behind the last block of a chunk and behind a large block that nobody uses.
const GUARD: usize = 256;
/// Sizes of blocks cut from chunks. One is a page and what is kept with it.
const CLASSES: [u16; 20] =
    [16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 4352, 5456, 6528, 8192];
/// Alignment of every block.
const ALIGN: usize = 16;

/// A piece of memory cut into blocks of one size.
struct Chunk {
    start: *mut u8,
    class: usize,
    /// By block: the size it was asked for with, plus one; 0 if it is free.
    sizes: Vec<u16>,
    free: Vec<u16>,
}

impl Chunk {
    const LAYOUT: Layout = match Layout::from_size_align(CHUNK, CHUNK) {
        Ok(layout) => layout,
        Err(_) => panic!("a chunk is a power of two"),
    };

    fn new(class: usize) -> Option<Self> {
        let count = ((CHUNK - GUARD) / usize::from(CLASSES[class])) as u16;
        let (mut sizes, mut free) = (Vec::new(), Vec::new());
        sizes.try_reserve_exact(count.into()).ok()?;
        free.try_reserve_exact(count.into()).ok()?;
        sizes.resize(count.into(), 0);
        free.extend((0..count).rev());
        // SAFETY: the layout is not empty.
        let start = unsafe { allocate(Self::LAYOUT) };
        if start.is_null() { None } else { Some(Self { start, class, sizes, free }) }
    }

    fn is_empty(&self) -> bool {
        self.free.len() == self.sizes.len()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout in `new`.
        unsafe { dealloc(self.start, Self::LAYOUT) };
    }
}

/// A block of its own.
struct Large {
    start: *mut u8,
    size: usize,
    layout: Layout,
}

/// Where a live block is kept.
enum Place {
    Small { chunk: usize, block: usize },
    Large,
}

/// Hashes one address.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte.into());
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (self.0 ^ address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

type ByAddress<T> = HashMap<usize, T, BuildHasherDefault<AddressHasher>>;

/// All blocks of a kernel. Dropping it gives everything back.
#[derive(Default)]
pub(crate) struct Heap {
    chunks: Vec<Option<Chunk>>,
    /// Indexes of `chunks` that are not in use.
    vacant: Vec<usize>,
    /// By address of a chunk: its index.
    by_start: ByAddress<usize>,
    /// By class: chunks that have a free block.
    partial: [Vec<usize>; CLASSES.len()],
    /// By address.
    large: ByAddress<Large>,
}

impl Heap {
    /// A block of `size` bytes, aligned to 16; null without memory.
    pub(crate) fn alloc(&mut self, size: usize, zero: bool) -> *mut u8 {
        let class = CLASSES.partition_point(|&class| usize::from(class) < size);
        let block = if class < CLASSES.len() { self.small(class, size) } else { return self.large(size, zero) };
        let Some(block) = block else { return ptr::null_mut() };
        if zero {
            // SAFETY: the block has `size` bytes.
            unsafe { block.write_bytes(0, size) };
        }
        block
    }

    fn small(&mut self, class: usize, size: usize) -> Option<*mut u8> {
        let index = match self.partial[class].last() {
            Some(&index) => index,
            None => self.grow(class)?,
        };
        let chunk = self.chunks.get_mut(index)?.as_mut()?;
        let block = usize::from(chunk.free.pop()?);
        chunk.sizes[block] = size as u16 + 1;
        let start = chunk.start;
        if chunk.free.is_empty() {
            self.partial[class].pop();
        }
        // SAFETY: blocks lie inside their chunk.
        Some(unsafe { start.add(block * usize::from(CLASSES[class])) })
    }

    /// Adds a chunk to a class that has no free block.
    fn grow(&mut self, class: usize) -> Option<usize> {
        self.by_start.try_reserve(1).ok()?;
        self.chunks.try_reserve(1).ok()?;
        self.partial[class].try_reserve(1).ok()?;
        let chunk = Chunk::new(class)?;
        let index = self.vacant.pop().unwrap_or(self.chunks.len());
        self.by_start.insert(chunk.start.addr(), index);
        self.partial[class].push(index);
        if index < self.chunks.len() {
            self.chunks[index] = Some(chunk);
        } else {
            self.chunks.push(Some(chunk));
        }
        Some(index)
    }

    fn large(&mut self, size: usize, zero: bool) -> *mut u8 {
        let layout = size.checked_add(GUARD).and_then(|len| Layout::from_size_align(len, ALIGN).ok());
        let (Some(layout), Some(())) = (layout, self.large.try_reserve(1).ok()) else { return ptr::null_mut() };
        // SAFETY: the layout is not empty.
        let block = unsafe { if zero { alloc_zeroed(layout) } else { allocate(layout) } };
        if !block.is_null() {
            self.large.insert(block.addr(), Large { start: block, size, layout });
        }
        block
    }

    /// The size that the live block at `pointer` was asked for with.
    pub(crate) fn size(&self, pointer: *const u8) -> Result<usize, &'static str> {
        Ok(self.find(pointer)?.1)
    }

    fn find(&self, pointer: *const u8) -> Result<(Place, usize), &'static str> {
        const UNKNOWN: &str = "it is not the address of an allocation";
        if let Some(large) = self.large.get(&pointer.addr()) {
            return Ok((Place::Large, large.size));
        }
        let start = pointer.addr() & !(CHUNK - 1);
        let index = *self.by_start.get(&start).ok_or(UNKNOWN)?;
        let chunk = self.chunks.get(index).and_then(Option::as_ref).ok_or(UNKNOWN)?;
        let class = usize::from(CLASSES[chunk.class]);
        let offset = pointer.addr() - start;
        match chunk.sizes.get(offset / class) {
            Some(&size) if offset.is_multiple_of(class) => {
                let size = size.checked_sub(1).ok_or("it was freed before")?;
                Ok((Place::Small { chunk: index, block: offset / class }, size.into()))
            }
            _ => Err(UNKNOWN),
        }
    }

    /// Takes a live block back; returns the size it was asked for with.
    ///
    /// # Safety
    /// Nothing may use the block afterwards.
    pub(crate) unsafe fn free(&mut self, pointer: *mut u8) -> Result<usize, &'static str> {
        let (place, size) = self.find(pointer)?;
        match place {
            Place::Large => {
                if let Some(large) = self.large.remove(&pointer.addr()) {
                    // SAFETY: allocated with this layout in `large`.
                    unsafe { dealloc(pointer, large.layout) };
                }
            }
            Place::Small { chunk, block } => self.give_back(chunk, block),
        }
        Ok(size)
    }

    fn give_back(&mut self, index: usize, block: usize) {
        let Some(chunk) = self.chunks.get_mut(index).and_then(Option::as_mut) else { return };
        let partial = &mut self.partial[chunk.class];
        chunk.sizes[block] = 0;
        if chunk.free.is_empty() {
            partial.push(index);
        }
        chunk.free.push(block as u16);
        // One is kept for the next block that comes.
        if chunk.is_empty() && partial.len() > 1 {
            partial.retain(|&other| other != index);
            self.by_start.remove(&chunk.start.addr());
            self.chunks[index] = None;
            self.vacant.push(index);
        }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        for (_, large) in self.large.drain() {
            // SAFETY: allocated with this layout in `large`.
            unsafe { dealloc(large.start, large.layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, CLASSES, GUARD, Heap};

    #[test]
    fn blocks_of_all_sizes_are_apart_and_come_back() {
        let mut heap = Heap::default();
        let mut blocks = alloc::vec::Vec::new();
        for size in (0..600).chain([4095, 4096, 4240, 8192, 8193, 70_000]).chain(CLASSES.map(usize::from)) {
            let block = heap.alloc(size, true);
            assert!(block.addr().is_multiple_of(16));
            // SAFETY: the block has `size` bytes.
            unsafe {
                assert!((0..size).all(|at| block.add(at).read() == 0), "{size}");
                block.write_bytes(0xa5, size);
            }
            blocks.push((block, size));
        }
        let mut ranges: alloc::vec::Vec<_> = blocks.iter().map(|(block, size)| block.addr()..block.addr() + size).collect();
        ranges.sort_by_key(|range| (range.start, range.end));
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        for (block, size) in blocks {
            assert_eq!(heap.size(block), Ok(size));
            // SAFETY: live, and not used again.
            assert_eq!(unsafe { heap.free(block) }, Ok(size));
            // SAFETY: it is looked up, not touched.
            assert!(unsafe { heap.free(block) }.is_err());
        }
        assert!(heap.large.is_empty());
        assert!(heap.chunks.iter().flatten().all(super::Chunk::is_empty));
        assert!(heap.partial.iter().all(|partial| partial.len() <= 1), "empty chunks are kept");
    }

    #[test]
    fn freed_blocks_are_used_again() {
        let mut heap = Heap::default();
        let first = heap.alloc(40, false);
        for _ in 0..10_000 {
            let block = heap.alloc(40, false);
            // SAFETY: live, and not used again.
            unsafe { heap.free(block) }.unwrap();
        }
        assert_eq!(heap.chunks.len(), 1);
        // SAFETY: as above.
        unsafe { heap.free(first) }.unwrap();
    }

    #[test]
    fn an_overrun_stays_inside_the_heap() {
        let mut heap = Heap::default();
        let count = (CHUNK - GUARD) / 48;
        let blocks: alloc::vec::Vec<_> = (0..count).map(|_| heap.alloc(48, false)).collect();
        for &block in &blocks {
            // SAFETY: not in bounds of the block, but of its chunk: the guard follows the last one.
            unsafe { block.write_bytes(0xff, 48 + GUARD) };
        }
        for &block in &blocks {
            // SAFETY: live, and not used again.
            assert_eq!(unsafe { heap.free(block) }, Ok(48));
        }
    }

    #[test]
    fn what_is_no_block_is_refused() {
        let mut heap = Heap::default();
        let block = heap.alloc(100, false);
        let word = 0usize;
        // SAFETY: looked up, not touched.
        unsafe {
            assert!(heap.free((&raw const word).cast_mut().cast()).is_err());
            assert!(heap.free(block.wrapping_add(16)).is_err());
            assert!(heap.free(block.wrapping_add(128)).is_err());
        }
        assert!(heap.alloc(usize::MAX - 8, false).is_null());
    }
}
