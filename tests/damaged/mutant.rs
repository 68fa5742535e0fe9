//! Mutants: what is changed in an image, and how its device misbehaves.

use crate::random::Random;
use rumpload::resource::fake::{Call, Fault, Faults};
use rumpload::resource::{Block, HostError, HostErrorKind};
use std::sync::{Arc, Mutex};

/// What the walk of the sound image showed.
#[derive(Debug, Default)]
pub struct Clean {
    /// First byte and length of each range that was read before any file's contents were: what says where things are.
    pub metadata: Vec<(usize, usize)>,
    /// Reads of the device, files' contents included.
    pub reads: u64,
}

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len())]
}

/// A damaged image.
#[derive(Debug, Default)]
pub struct Mutant {
    /// Bytes that replace those at an offset.
    patches: Vec<(usize, Vec<u8>)>,
    /// Bytes that are left of the device.
    size: Option<usize>,
    /// The first read that fails and how; and whether all after it do.
    fault: Option<(u64, Fault, bool)>,
}

/// Bytes that a block is zeroed or overwritten in.
const BLOCK: usize = 512;

impl Mutant {
    /// Mutant `index` of an image.
    pub fn new(clean: &Clean, image: &[u8], index: u64) -> Self {
        let mut random = Random(index.wrapping_mul(0x5851_f42d_4c95_7f2d));
        let mut mutant = Self::default();
        match random.below(12) {
            0..3 => (0..pick(&mut random, &[1, 1, 2, 4, 16])).for_each(|_| mutant.flip(clean, image, &mut random)),
            3..7 => (0..pick(&mut random, &[1, 1, 2, 4])).for_each(|_| mutant.set_number(clean, image, &mut random)),
            7..9 => (0..pick(&mut random, &[1, 1, 3])).for_each(|_| mutant.overwrite(clean, image, &mut random)),
            9 => mutant.size = Some(random.below(image.len() / BLOCK) * BLOCK),
            _ => {
                let fault = pick(&mut random, &[Fault::Error(HostErrorKind::Io), Fault::Short, Fault::Garbage, Fault::Lie]);
                let nth = 1 + random.below(clean.reads as usize) as u64;
                mutant.fault = Some((nth, fault, random.below(2) == 0));
            }
        }
        mutant
    }

    /// A place of an image, most likely in its metadata, on a boundary of `align` bytes with as many behind it.
    fn place(clean: &Clean, image: &[u8], align: usize, random: &mut Random) -> usize {
        // Most of what is read is empty; what is not says more.
        let used = |at: usize| image[at / 64 * 64..].iter().take(64).any(|byte| *byte != 0);
        for _ in 0..20 {
            let at = if clean.metadata.is_empty() || random.below(10) == 0 {
                random.below(image.len())
            } else {
                let (start, len) = pick(random, &clean.metadata);
                start + random.below(len)
            };
            if used(at) {
                return at / align * align;
            }
        }
        random.below(image.len()) / align * align
    }

    fn flip(&mut self, clean: &Clean, image: &[u8], random: &mut Random) {
        let at = Self::place(clean, image, 1, random);
        self.patches.push((at, vec![image[at] ^ (1 << random.below(8))]));
    }

    /// Replaces a field of one to eight bytes by a number at the edge of something, in either byte order.
    fn set_number(&mut self, clean: &Clean, image: &[u8], random: &mut Random) {
        let len = pick(random, &[1, 2, 4, 4, 8]);
        let at = Self::place(clean, image, len.min(4), random).min(image.len() - len);
        let mut old = [0; 8];
        old[..len].copy_from_slice(&image[at..at + len]);
        let swapped = random.below(2) == 0;
        let near = if swapped { u64::from_be_bytes(old) >> (64 - 8 * len) } else { u64::from_le_bytes(old) };
        let value = match random.below(10) {
            0 | 1 => 0,
            2 => u64::MAX,
            3 => u64::MAX >> (65 - 8 * len),
            4 => 1 << (8 * len - 1),
            5 => 1 << random.below(8 * len),
            6 => near.wrapping_add(1),
            7 => near.wrapping_sub(1),
            8 => near ^ (1 << random.below(8 * len)),
            _ => random.next(),
        };
        let bytes = if swapped { value.to_be_bytes()[8 - len..].to_vec() } else { value.to_le_bytes()[..len].to_vec() };
        self.patches.push((at, bytes));
    }

    fn overwrite(&mut self, clean: &Clean, image: &[u8], random: &mut Random) {
        let at = Self::place(clean, image, BLOCK, random).min(image.len() - BLOCK);
        let bytes = match random.below(4) {
            0 => vec![0; BLOCK],
            1 => vec![0xff; BLOCK],
            2 => (0..BLOCK).map(|_| random.next() as u8).collect(),
            _ => {
                let from = Self::place(clean, image, BLOCK, random).min(image.len() - BLOCK);
                image[from..from + BLOCK].to_vec()
            }
        };
        self.patches.push((at, bytes));
    }

    /// The device that holds the mutant of `image`.
    pub fn device(&self, image: &Arc<Vec<u8>>, sector: u32) -> Arc<dyn Block> {
        let size = self.size.map_or(image.len(), |size| size / sector as usize * sector as usize);
        let disk = Disk { image: image.clone(), patches: self.patches.clone(), size, sector, ranges: Mutex::default() };
        let faults = Faults::new();
        if let Some((nth, fault, repeats)) = self.fault {
            let plan = if repeats { Faults::plan_from } else { Faults::plan };
            plan(&faults, Some(Call::BlockRead), nth, fault);
        }
        rumpload::resource::fake::block(Arc::new(disk), &faults)
    }
}

/// A disk that shares its sound bytes.
pub struct Disk {
    image: Arc<Vec<u8>>,
    patches: Vec<(usize, Vec<u8>)>,
    size: usize,
    sector: u32,
    /// What was read.
    pub ranges: Mutex<Vec<(usize, usize)>>,
}

impl Disk {
    pub fn sound(image: &Arc<Vec<u8>>, sector: u32) -> Self {
        Self { image: image.clone(), patches: Vec::new(), size: image.len(), sector, ranges: Mutex::default() }
    }
}

impl Block for Disk {
    fn sector_size(&self) -> u32 {
        self.sector
    }

    fn size(&self) -> u64 {
        self.size as u64
    }

    fn read_only(&self) -> bool {
        true
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        let sector = u64::from(self.sector);
        let whole = offset.is_multiple_of(sector) && (buffer.len() as u64).is_multiple_of(sector);
        if !whole || offset > self.size as u64 {
            return Err(HostErrorKind::InvalidInput.into());
        }
        let start = offset as usize;
        let len = buffer.len().min(self.size - start);
        buffer[..len].copy_from_slice(&self.image[start..start + len]);
        for (at, bytes) in &self.patches {
            for (at, byte) in (*at..).zip(bytes) {
                if (start..start + len).contains(&at) {
                    buffer[at - start] = *byte;
                }
            }
        }
        self.ranges.lock().expect("no panic holds it").push((start, len));
        Ok(len)
    }

    fn write(&self, _offset: u64, _data: &[u8]) -> Result<(), HostError> {
        Err(HostErrorKind::ReadOnly.into())
    }

    fn flush(&self) -> Result<(), HostError> {
        Ok(())
    }
}
