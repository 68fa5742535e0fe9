//! Images for `slotfs`: an empty one, and what is on one, checked whole. `c/slotfs/format.h` describes the format.

use std::collections::BTreeMap;

/// Bytes of a block.
pub const BLOCK: usize = 1024;
const SLOT: usize = 128;
const ENTRY: usize = 64;
const DIRECT: usize = 12;
const POINTERS: usize = BLOCK / 4;
/// Longest file in bytes.
pub const LONGEST: usize = (DIRECT + POINTERS) * BLOCK;
/// Longest name in bytes.
pub const NAME_LIMIT: usize = 58;
const ROOT: u32 = 1;
const MAGIC: &[u8; 8] = b"slotfs 1";

/// Type bits of a mode.
const TYPE: u16 = 0o170_000;
const DIRECTORY: u16 = 0o040_000;

/// What a file is, as the image says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Number of its slot.
    pub slot: u32,
    /// Type and permission bits.
    pub mode: u16,
    /// Names it has.
    pub links: u16,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Seconds since 1970 of the last change of its contents.
    pub modified: i64,
    /// Number of the device it stands for.
    pub device: u64,
    /// Contents, holes as zeros; of a symbolic link, its target. Empty for directories.
    pub bytes: Vec<u8>,
    /// Blocks it takes.
    pub blocks: usize,
}

/// What is on an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// It was unmounted.
    pub clean: bool,
    /// Files by path from the root, which is `/`.
    pub files: BTreeMap<String, File>,
    /// Blocks nobody has.
    pub free_blocks: usize,
    /// Slots nobody has.
    pub free_slots: usize,
}

/// An empty file system of `blocks` blocks with room for `slots - 2` files.
///
/// # Panics
/// If the table and the map do not fit, or `slots` is no multiple of 8.
#[must_use]
pub fn empty(blocks: usize, slots: usize) -> Vec<u8> {
    assert!(slots.is_multiple_of(BLOCK / SLOT) && slots > 2, "whole blocks of slots");
    let (map, table) = (1, 1 + blocks.div_ceil(BLOCK * 8));
    let data = table + slots / (BLOCK / SLOT);
    assert!(data < blocks, "room for files");
    let mut image = vec![0; blocks * BLOCK];
    image[..8].copy_from_slice(MAGIC);
    for (at, value) in [blocks, slots, map, table, data, 1].into_iter().enumerate() {
        let value = u32::try_from(value).expect("a small image");
        image[8 + at * 4..][..4].copy_from_slice(&value.to_le_bytes());
    }
    for block in 0..data {
        image[map * BLOCK + block / 8] |= 1 << (block % 8);
    }
    let root = &mut image[table * BLOCK + SLOT..][..SLOT];
    root[..2].copy_from_slice(&(DIRECTORY | 0o755).to_le_bytes());
    root[2..4].copy_from_slice(&2u16.to_le_bytes());
    root[68..72].copy_from_slice(&ROOT.to_le_bytes());
    image
}

struct Reader<'a> {
    image: &'a [u8],
    slots: u32,
    map: usize,
    table: usize,
    data: usize,
    blocks: usize,
    /// Who has a block.
    owners: BTreeMap<u32, u32>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("in range")
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(number(bytes, at))
}

impl<'a> Reader<'a> {
    fn block(&self, block: u32) -> &'a [u8] {
        &self.image[block as usize * BLOCK..][..BLOCK]
    }

    fn slot(&self, slot: u32) -> &'a [u8] {
        &self.image[self.table * BLOCK + slot as usize * SLOT..][..SLOT]
    }

    /// Notes that a file has a block.
    fn own(&mut self, block: u32, slot: u32) -> Result<(), String> {
        if (block as usize) < self.data || block as usize >= self.blocks {
            return Err(format!("slot {slot} names block {block}"));
        }
        match self.owners.insert(block, slot) {
            None => Ok(()),
            Some(other) => Err(format!("block {block} belongs to slots {other} and {slot}")),
        }
    }

    fn file(&mut self, slot: u32) -> Result<File, String> {
        let bytes = self.slot(slot);
        let mode = u16::from_le_bytes(number(bytes, 0));
        if mode == 0 {
            return Err(format!("a name leads to slot {slot}, which is free"));
        }
        let size = usize::try_from(u64::from_le_bytes(number(bytes, 16))).map_err(|_| "a size".to_owned())?;
        let (held, indirect) = (word(bytes, 72) as usize, word(bytes, 124));
        let mut pointers: Vec<u32> = (0..DIRECT).map(|at| word(bytes, 76 + at * 4)).collect();
        let mut blocks = 0;
        if indirect != 0 {
            self.own(indirect, slot)?;
            blocks += 1;
            pointers.extend((0..POINTERS).map(|at| word(self.block(indirect), at * 4)));
        }
        let mut contents = vec![0; size];
        for (at, &block) in pointers.iter().enumerate().filter(|(_, block)| **block != 0) {
            self.own(block, slot)?;
            blocks += 1;
            let Some(place) = contents.get_mut(at * BLOCK..).filter(|place| !place.is_empty()) else {
                return Err(format!("slot {slot} has a block {at} behind its {size} bytes"));
            };
            let len = place.len().min(BLOCK);
            place[..len].copy_from_slice(&self.block(block)[..len]);
            if mode & TYPE == 0o100_000 && self.block(block)[len..].iter().any(|byte| *byte != 0) {
                return Err(format!("slot {slot} has something behind its {size} bytes"));
            }
        }
        if blocks != held {
            return Err(format!("slot {slot} has {blocks} blocks and says {held}"));
        }
        Ok(File {
            slot,
            mode,
            links: u16::from_le_bytes(number(bytes, 2)),
            owner: (word(bytes, 4), word(bytes, 8)),
            modified: i64::from_le_bytes(number(bytes, 32)),
            device: u64::from_le_bytes(number(bytes, 56)),
            bytes: contents,
            blocks,
        })
    }

    /// Whether the map says what files say.
    fn check_map(&self) -> Result<usize, String> {
        let mut free = 0;
        for block in 0..self.blocks {
            let taken = self.image[self.map * BLOCK + block / 8] & 1 << (block % 8) != 0;
            let owned = block < self.data || self.owners.contains_key(&(block as u32));
            if taken != owned {
                return Err(format!("block {block} is {} and marked otherwise", if owned { "in use" } else { "free" }));
            }
            free += usize::from(!taken);
        }
        Ok(free)
    }
}

/// The names in a directory and the slots they lead to.
fn entries(bytes: &[u8]) -> impl Iterator<Item = (String, u32)> + '_ {
    bytes.chunks_exact(ENTRY).filter(|entry| word(entry, 0) != 0).map(|entry| {
        let name = &entry[6..6 + usize::from(entry[5]).min(NAME_LIMIT)];
        (String::from_utf8_lossy(name).into_owned(), word(entry, 0))
    })
}

/// What is on an image.
///
/// # Errors
/// What contradicts itself on it: a block with two owners or none, a name without a file, a file without a name, a count that
/// is wrong.
pub fn contents(image: &[u8]) -> Result<Contents, String> {
    if image.len() < BLOCK || &image[..8] != MAGIC {
        return Err("no slotfs".into());
    }
    let [blocks, slots, map, table, data, clean] = [0, 1, 2, 3, 4, 5].map(|at| word(image, 8 + at * 4));
    let mut reader = Reader {
        image,
        slots,
        map: map as usize,
        table: table as usize,
        data: data as usize,
        blocks: blocks as usize,
        owners: BTreeMap::new(),
    };
    let mut files = BTreeMap::new();
    let mut names: BTreeMap<u32, u16> = BTreeMap::new();
    let mut seen: BTreeMap<u32, File> = BTreeMap::new();
    let mut left = vec![("/".to_owned(), ROOT, ROOT)];
    while let Some((path, slot, parent)) = left.pop() {
        let again = seen.contains_key(&slot);
        let mut file = match seen.get(&slot) {
            Some(file) => file.clone(),
            None => reader.file(slot)?,
        };
        *names.entry(slot).or_default() += 1;
        if file.mode & TYPE == DIRECTORY {
            if again {
                return Err(format!("{path}: a directory with two names"));
            }
            if word(reader.slot(slot), 68) != parent {
                return Err(format!("{path}: its directory is another one"));
            }
            let below = path.trim_end_matches('/').to_owned();
            let mut inside: Vec<String> = Vec::new();
            for (name, child) in entries(&file.bytes) {
                if inside.contains(&name) {
                    return Err(format!("{path}: {name} twice"));
                }
                left.push((format!("{below}/{name}"), child, slot));
                inside.push(name);
            }
            file.bytes = Vec::new();
        }
        seen.insert(slot, file.clone());
        files.insert(path, file);
    }
    for (slot, file) in &seen {
        let directories = files
            .values()
            .filter(|other| other.mode & TYPE == DIRECTORY && other.slot != *slot && word(reader.slot(other.slot), 68) == *slot);
        let wanted = if file.mode & TYPE == DIRECTORY { 2 + directories.count() as u16 } else { names[slot] };
        if file.links != wanted {
            return Err(format!("slot {slot} says {} links instead of {wanted}", file.links));
        }
    }
    let taken = (1..reader.slots).filter(|slot| u16::from_le_bytes(number(reader.slot(*slot), 0)) != 0);
    if let Some(lost) = taken.clone().find(|slot| !seen.contains_key(slot)) {
        return Err(format!("slot {lost} is taken, and no name leads to it"));
    }
    let free_slots = reader.slots as usize - 1 - taken.count();
    Ok(Contents { clean: clean == 1, files, free_blocks: reader.check_map()?, free_slots })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_image_holds_its_root() {
        let mut image = empty(64, 16);
        let found = contents(&image).unwrap();
        assert!(found.clean && found.files.keys().eq(["/"]));
        assert_eq!((found.free_blocks, found.free_slots), (60, 14));
        // A block that is marked and nobody's.
        image[BLOCK] |= 0x80;
        assert_eq!(contents(&image).unwrap_err(), "block 7 is free and marked otherwise");
    }

    #[test]
    fn what_is_wrong_is_told() {
        let mut image = empty(64, 16);
        image[2 * BLOCK + SLOT + 2] = 3;
        assert!(contents(&image).unwrap_err().contains("3 links instead of 2"));
        let mut image = empty(64, 16);
        image[2 * BLOCK + 5 * SLOT..][..2].copy_from_slice(&0o100_644u16.to_le_bytes());
        assert!(contents(&image).unwrap_err().contains("slot 5 is taken"));
    }
}
