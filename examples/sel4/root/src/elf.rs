//! The images of the domains: 64-bit little-endian executables at fixed addresses.

/// A part of an image that is loaded.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// Address.
    pub address: u64,
    /// Bytes in memory.
    pub size: u64,
    /// The first of them.
    pub data: &'static [u8],
    /// Written to.
    pub writable: bool,
}

const LOAD: u32 = 1;
const WRITE: u32 = 2;

fn number<const N: usize>(image: &[u8], offset: usize) -> Option<u64> {
    let bytes = image.get(offset..offset.checked_add(N)?)?;
    let mut word = [0; 8];
    word[..N].copy_from_slice(bytes);
    Some(u64::from_le_bytes(word))
}

/// The entry of an image.
pub fn entry(image: &'static [u8]) -> Option<u64> {
    (image.get(..6)? == b"\x7fELF\x02\x01").then_some(())?;
    number::<8>(image, 24)
}

/// The parts of an image; `None` in place of one that lies outside the file.
pub fn segments(image: &'static [u8]) -> impl Iterator<Item = Option<Segment>> {
    let table = number::<8>(image, 32).unwrap_or(0) as usize;
    let (size, count) = (number::<2>(image, 54).unwrap_or(0) as usize, number::<2>(image, 56).unwrap_or(0) as usize);
    let header = move |index: usize| {
        let at = table.checked_add(index * size)?;
        if number::<4>(image, at)? as u32 != LOAD {
            return Some(None);
        }
        let (offset, file) = (number::<8>(image, at + 8)? as usize, number::<8>(image, at + 32)? as usize);
        Some(Some(Segment {
            address: number::<8>(image, at + 16)?,
            size: number::<8>(image, at + 40)?,
            data: image.get(offset..offset.checked_add(file)?)?,
            writable: number::<4>(image, at + 4)? as u32 & WRITE != 0,
        }))
    };
    (0..count).map(header).filter_map(|segment| match segment {
        Some(Some(segment)) => Some(Some(segment)),
        Some(None) => None,
        None => Some(None),
    })
}
