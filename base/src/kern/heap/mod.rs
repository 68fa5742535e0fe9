//! The heap of a kernel and its modules.
//!
//! What is free, and how long each block is, is kept apart from the blocks: a module that writes past the end of its own, or
//! frees an address it made up, spoils memory of its kernel's at most, and never what decides where the next block lies.
//! Blocks of one size class share slabs; large blocks have their pages to themselves.

mod chunk;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use chunk::{Chunk, PAGE};
use core::ptr;
use rumpload::resource::Memory;

/// Where the memory comes from that modules, and the kernel on their behalf, hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeapSource {
    /// Regions of the host's [`Memory`]: what a module writes past the end of its blocks hits no memory of the server's own.
    #[default]
    Host,
    /// The server's allocator, a chunk of pages at a time: for servers whose memory for modules is scarce and whose protection
    /// domain ends with the kernel.
    Allocator,
}

/// Alignment of every block, and the least class, in bytes.
const ALIGN: usize = 16;
/// Classes per doubling, as a power of two.
const STEPS: u32 = 2;
/// Size of the largest class in bytes.
const LARGEST: usize = 16 << 10;
/// Number of classes.
const CLASSES: usize = class_of(LARGEST) + 1;
/// Most blocks of a slab: of the least class in a page.
const MOST: usize = PAGE / ALIGN;
/// Pages of the first chunk, and of the largest that is not made for one block.
const FIRST_CHUNK: usize = 64;
const LAST_CHUNK: usize = 1024;

/// The class whose blocks have `size` bytes or the fewest more.
const fn class_of(size: usize) -> usize {
    if size <= ALIGN << STEPS {
        return size.saturating_sub(1) / ALIGN;
    }
    let last = size - 1;
    let shift = last.ilog2() - STEPS;
    (((shift - ALIGN.ilog2()) << STEPS) as usize) + (last >> shift)
}

/// Bytes of the blocks of a class.
const fn class_size(class: usize) -> usize {
    let steps = 1 << STEPS;
    if class < steps {
        return (class + 1) * ALIGN;
    }
    let (doublings, step) = ((class - steps) / steps, (class - steps) % steps);
    (ALIGN * (steps + step + 1)) << doublings
}

/// Pages of a slab of blocks of `size` bytes.
const fn slab_pages(size: usize) -> usize {
    match size {
        0..=512 => 1,
        513..=2048 => 4,
        _ => 16,
    }
}

/// Blocks of one class, or one large block.
struct Slab {
    start: usize,
    /// Bytes of each block.
    size: usize,
    /// A bit for each block that is free.
    free: [u64; MOST / 64],
    count: usize,
    used: usize,
    /// Bytes that were asked for, of each block.
    lengths: Box<[u32]>,
    /// As `lengths`, for a large block.
    length: usize,
    class: Option<usize>,
    /// Whether it is on the list of slabs of its class that have free blocks.
    listed: bool,
    /// Blocks from this index on were never taken, and are zero.
    untouched: usize,
}

impl Slab {
    fn pages(&self) -> usize {
        match self.class {
            Some(_) => slab_pages(self.size),
            None => self.size / PAGE,
        }
    }

    fn take(&mut self, length: usize) -> Option<Block> {
        let word = self.free.iter().position(|word| *word != 0)?;
        let index = word * 64 + self.free[word].trailing_zeros() as usize;
        self.free[word] &= self.free[word] - 1;
        self.used += 1;
        self.lengths[index] = length as u32;
        let zero = index >= self.untouched;
        self.untouched = self.untouched.max(index + 1);
        Some(Block { address: self.start + index * self.size, zero })
    }

    /// Index of the live block at `address`.
    fn index(&self, address: usize) -> Result<usize, &'static str> {
        let offset = address - self.start;
        let index = offset / self.size;
        if !offset.is_multiple_of(self.size) || index >= self.count {
            return Err(NO_BLOCK);
        }
        if self.free[index / 64] & (1 << (index % 64)) != 0 { Err("it was freed before") } else { Ok(index) }
    }
}

/// A block that was taken.
#[derive(Clone, Copy, Debug)]
struct Block {
    address: usize,
    /// Whether all its bytes are zero; arbitrary otherwise.
    zero: bool,
}

const NO_BLOCK: &str = "it is not the address of an allocation";

/// All memory that a kernel and its modules hold.
pub(crate) struct Heap {
    source: HeapSource,
    memory: Arc<dyn Memory>,
    /// Sorted by address.
    chunks: Vec<Chunk>,
    slabs: Vec<Slab>,
    /// Slots of `slabs` that are unused.
    vacant: Vec<u32>,
    /// Slabs with free blocks, by class; the last is used first.
    partial: [Vec<u32>; CLASSES],
    next_chunk: usize,
}

impl Heap {
    pub(crate) fn new(source: HeapSource, memory: Arc<dyn Memory>) -> Self {
        Self {
            source,
            memory,
            chunks: Vec::new(),
            slabs: Vec::new(),
            vacant: Vec::new(),
            partial: [const { Vec::new() }; CLASSES],
            next_chunk: FIRST_CHUNK,
        }
    }

    /// A block of `size` bytes, aligned as [`take`](Self::take) says; null without memory.
    pub(crate) fn alloc(&mut self, size: usize, zero: bool) -> *mut u8 {
        let Some(taken) = self.take(size) else { return ptr::null_mut() };
        let block = ptr::with_exposed_provenance_mut::<u8>(taken.address);
        if zero && !taken.zero {
            // SAFETY: the block has the size and is nobody else's.
            unsafe { block.write_bytes(0, size) };
        }
        block
    }

    /// The size that the live block at `pointer` was asked for with.
    pub(crate) fn size(&self, pointer: *const u8) -> Result<usize, &'static str> {
        self.length(pointer.addr())
    }

    /// Takes a live block back; returns the size it was asked for with.
    ///
    /// # Safety
    /// Nothing may use the block afterwards.
    pub(crate) unsafe fn free(&mut self, pointer: *mut u8) -> Result<usize, &'static str> {
        self.give(pointer.addr())
    }

    /// A new block of `size` bytes, aligned to 16, and to a page if the size is a power of two that is a page or more.
    fn take(&mut self, size: usize) -> Option<Block> {
        if size > LARGEST {
            return self.take_large(size);
        }
        let class = class_of(size.max(1));
        let slab = match self.partial[class].last() {
            Some(slab) => *slab,
            None => self.new_slab(class)?,
        };
        let place = &mut self.slabs[slab as usize];
        let block = place.take(size);
        if place.used == place.count {
            place.listed = false;
            self.partial[class].pop();
        }
        block
    }

    fn take_large(&mut self, size: usize) -> Option<Block> {
        let whole = size.checked_next_multiple_of(PAGE).filter(|whole| isize::try_from(*whole).is_ok())?;
        let slab = Slab {
            start: 0,
            size: whole,
            free: [0; MOST / 64],
            count: 1,
            used: 1,
            lengths: Box::default(),
            length: size,
            class: None,
            listed: false,
            untouched: 1,
        };
        let slot = self.place(slab)?;
        let slab = &self.slabs[slot as usize];
        Some(Block { address: slab.start, zero: slab.untouched == 0 })
    }

    fn new_slab(&mut self, class: usize) -> Option<u32> {
        let size = class_size(class);
        let count = slab_pages(size) * PAGE / size;
        let mut free = [0; MOST / 64];
        for (index, word) in free.iter_mut().enumerate() {
            let bits = count.saturating_sub(index * 64).min(64) as u32;
            *word = u64::MAX.checked_shr(64 - bits).unwrap_or(0);
        }
        let lengths = vec![0; count].into_boxed_slice();
        let slab =
            Slab { start: 0, size, free, count, used: 0, lengths, length: 0, class: Some(class), listed: true, untouched: count };
        let slot = self.place(slab)?;
        self.partial[class].push(slot);
        Some(slot)
    }

    /// Finds pages for a slab and a slot.
    fn place(&mut self, mut slab: Slab) -> Option<u32> {
        let slot = self.vacant.last().copied().unwrap_or(self.slabs.len() as u32);
        let pages = slab.pages();
        let (start, zero) = match self.chunks.iter_mut().find_map(|chunk| chunk.take(pages, slot)) {
            Some(taken) => taken,
            None => self.new_chunk(pages)?.take(pages, slot)?,
        };
        slab.start = start;
        if zero {
            slab.untouched = 0;
        }
        if self.vacant.pop().is_some() {
            self.slabs[slot as usize] = slab;
        } else {
            self.slabs.push(slab);
        }
        Some(slot)
    }

    fn new_chunk(&mut self, least: usize) -> Option<&mut Chunk> {
        let usual = self.next_chunk.max(least);
        let chunk = Chunk::new(self.source, &self.memory, usual).or_else(|| Chunk::new(self.source, &self.memory, least))?;
        self.next_chunk = (self.next_chunk * 2).min(LAST_CHUNK);
        let index = self.chunks.partition_point(|other| other.start() < chunk.start());
        self.chunks.insert(index, chunk);
        self.chunks.get_mut(index)
    }

    /// The slot of the slab that `address` lies in, and of its chunk.
    fn find(&self, address: usize) -> Result<(usize, usize), &'static str> {
        let chunk = self.chunks.partition_point(|chunk| chunk.start() <= address).checked_sub(1).ok_or(NO_BLOCK)?;
        let slab = self.chunks[chunk].owner(address).ok_or(NO_BLOCK)?;
        Ok((slab as usize, chunk))
    }

    /// Bytes that the block at `address` was asked for with.
    fn length(&self, address: usize) -> Result<usize, &'static str> {
        let slab = &self.slabs[self.find(address)?.0];
        let index = slab.index(address)?;
        Ok(if slab.class.is_some() { slab.lengths[index] as usize } else { slab.length })
    }

    /// Takes a block back; returns the bytes it was asked for with.
    fn give(&mut self, address: usize) -> Result<usize, &'static str> {
        let (slot, chunk) = self.find(address)?;
        let slab = &mut self.slabs[slot];
        let index = slab.index(address)?;
        slab.used -= 1;
        let Some(class) = slab.class else {
            let length = slab.length;
            self.vacate(slot, chunk);
            return Ok(length);
        };
        slab.free[index / 64] |= 1 << (index % 64);
        let length = slab.lengths[index] as usize;
        let list = &mut self.partial[class];
        if !slab.listed {
            slab.listed = true;
            list.push(slot as u32);
        } else if slab.used == 0 && list.len() > 1 {
            // One empty slab stays for the next block of the class.
            list.retain(|other| *other as usize != slot);
            self.vacate(slot, chunk);
        }
        Ok(length)
    }

    /// Gives a slab's pages back to their chunk, and the chunk to where it came from if another is as empty.
    fn vacate(&mut self, slot: usize, chunk: usize) {
        let slab = &mut self.slabs[slot];
        let (start, pages) = (slab.start, slab.pages());
        slab.lengths = Box::default();
        self.vacant.push(slot as u32);
        self.chunks[chunk].give(start, pages);
        if self.chunks[chunk].is_unused() && self.chunks.iter().filter(|chunk| chunk.is_unused()).count() > 1 {
            self.chunks.remove(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumpload::address::RunAddr;
    use rumpload::resource::Detached;

    fn heap() -> Heap {
        Heap::new(HeapSource::Allocator, Arc::new(Detached::new(RunAddr::new(0x10_0000), PAGE)))
    }

    #[test]
    fn classes_hold_their_sizes() {
        for size in 1..=LARGEST {
            let class = class_of(size);
            assert!(class_size(class) >= size, "{size}");
            assert!(class == 0 || class_size(class - 1) < size, "{size}");
        }
        assert!((0..CLASSES).all(|class| class_size(class).is_multiple_of(ALIGN)));
    }

    #[test]
    fn blocks_do_not_overlap_and_come_back() {
        let mut heap = heap();
        let mut live: Vec<(usize, usize)> = Vec::new();
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = (seed >> 33) as usize;
            if !live.is_empty() && number % 5 < 2 {
                let (address, size) = live.swap_remove(number / 5 % live.len());
                assert_eq!(heap.length(address), Ok(size));
                assert_eq!(heap.give(address), Ok(size));
                assert!(heap.give(address).is_err(), "once only");
            } else {
                let size = [number % 64, number % 1000, number % 20_000, number % 200_000][number / 8 % 4];
                let address = heap.take(size).expect("memory").address;
                assert!(address.is_multiple_of(if size.is_power_of_two() && size >= PAGE { PAGE } else { ALIGN }));
                live.push((address, size));
            }
            if live.len() > 300 {
                let mut sorted = live.clone();
                sorted.sort_unstable();
                assert!(sorted.windows(2).all(|pair| pair[0].0 + pair[0].1.max(1) <= pair[1].0));
                for (address, size) in live.drain(..) {
                    assert_eq!(heap.give(address), Ok(size));
                }
            }
        }
        live.drain(..).for_each(|(address, _)| assert!(heap.give(address).is_ok()));
        assert!(heap.slabs.iter().all(|slab| slab.used == 0));
        assert!(heap.chunks.iter().filter(|chunk| chunk.is_unused()).count() <= 1);
    }

    #[test]
    fn addresses_that_are_no_blocks_are_refused() {
        let mut heap = heap();
        let [small, large] = [100, 100_000].map(|size| heap.take(size).expect("memory").address);
        for address in [0, 8, usize::MAX, small + 16, small - 16, large + PAGE, large + 1, small + 8 * PAGE] {
            assert!(heap.give(address).is_err() && heap.length(address).is_err(), "{address:#x}");
        }
        assert_eq!(heap.give(small), Ok(100));
        assert_eq!(heap.give(small), Err("it was freed before"));
        assert_eq!(heap.give(large), Ok(100_000));
        assert!(heap.take(usize::MAX - 8).is_none() && heap.take(isize::MAX as usize).is_none());
    }
}
