//! Images for `tarfs`.

use std::fmt;

/// Bytes of a block.
pub const BLOCK: usize = 512;

/// A member of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its path, components separated by `/`, none of them empty.
    pub path: &'a str,
    /// What it is.
    pub kind: Kind<'a>,
    /// Permission bits.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Seconds since 1970.
    pub modified: u64,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// A directory. Those that are only implied by paths need no entry.
    Directory,
    /// A regular file and its bytes.
    File(&'a [u8]),
    /// A symbolic link and where it points.
    Symlink(&'a str),
    /// Another name of a file, and that file's path.
    Link(&'a str),
}

/// Why an archive cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TooLong {
    /// The path, target or number that does not fit its field.
    pub what: String,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a ustar header has no room for {}", self.what)
    }
}

impl std::error::Error for TooLong {}

impl<'a> Entry<'a> {
    /// A directory that everybody may read.
    #[must_use]
    pub fn directory(path: &'a str) -> Self {
        Self { path, kind: Kind::Directory, mode: 0o755, owner: (0, 0), modified: 1_000_000_000 }
    }

    /// A file that everybody may read.
    #[must_use]
    pub fn file(path: &'a str, bytes: &'a [u8]) -> Self {
        Self { path, kind: Kind::File(bytes), mode: 0o644, owner: (0, 0), modified: 1_000_000_000 }
    }

    /// A symbolic link to `target`.
    #[must_use]
    pub fn symlink(path: &'a str, target: &'a str) -> Self {
        Self { path, kind: Kind::Symlink(target), mode: 0o777, owner: (0, 0), modified: 1_000_000_000 }
    }

    /// Another name of the file `target`.
    #[must_use]
    pub fn link(path: &'a str, target: &'a str) -> Self {
        Self { path, kind: Kind::Link(target), mode: 0o644, owner: (0, 0), modified: 1_000_000_000 }
    }
}

/// A ustar archive (POSIX.1-1988) of `entries`, in their order, a whole number of blocks.
///
/// # Errors
/// [`TooLong`] if a path has more than 100 bytes and cannot be split at a `/`, a target has more than 100, or a number does
/// not fit.
pub fn ustar(entries: &[Entry<'_>]) -> Result<Vec<u8>, TooLong> {
    let mut archive = Vec::new();
    for entry in entries {
        let (kind, target, data): (u8, &str, &[u8]) = match &entry.kind {
            Kind::File(bytes) => (b'0', "", bytes),
            Kind::Link(target) => (b'1', target, &[]),
            Kind::Symlink(target) => (b'2', target, &[]),
            Kind::Directory => (b'5', "", &[]),
        };
        archive.extend(header(entry, kind, target, data.len() as u64)?);
        archive.extend_from_slice(data);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    Ok(archive)
}

fn header(entry: &Entry<'_>, kind: u8, target: &str, size: u64) -> Result<[u8; BLOCK], TooLong> {
    let mut header = [0; BLOCK];
    let (prefix, name) = split(entry.path)?;
    let mut put = |at: usize, room: usize, bytes: &[u8], what: &str| match header.get_mut(at..at + bytes.len()) {
        Some(place) if bytes.len() <= room => {
            place.copy_from_slice(bytes);
            Ok(())
        }
        _ => Err(TooLong { what: what.to_owned() }),
    };
    let octal = |value: u64, digits: usize| format!("{value:0digits$o}\0");
    put(0, 100, name.as_bytes(), entry.path)?;
    put(100, 8, octal(entry.mode.into(), 7).as_bytes(), "the mode")?;
    put(108, 8, octal(entry.owner.0.into(), 7).as_bytes(), "the owner")?;
    put(116, 8, octal(entry.owner.1.into(), 7).as_bytes(), "the group")?;
    put(124, 12, octal(size, 11).as_bytes(), "the size")?;
    put(136, 12, octal(entry.modified, 11).as_bytes(), "the time")?;
    put(148, 8, b"        ", "")?;
    put(156, 1, &[kind], "")?;
    put(157, 100, target.as_bytes(), target)?;
    put(257, 8, b"ustar\x0000", "")?;
    put(345, 155, prefix.as_bytes(), entry.path)?;
    let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(header)
}

/// Prefix and name: at most 155 and 100 bytes.
fn split(path: &str) -> Result<(&str, &str), TooLong> {
    if path.len() <= 100 {
        return Ok(("", path));
    }
    let fits = |&(at, _): &(usize, &str)| at <= 155 && path.len() - at - 1 <= 100;
    let at = path.match_indices('/').find(fits).map(|(at, _)| at);
    at.map(|at| (&path[..at], &path[at + 1..])).ok_or_else(|| TooLong { what: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_their_checksum_and_data_its_blocks() {
        let archive = ustar(&[Entry::directory("d"), Entry::file("d/f", &[7; 513])]).unwrap();
        assert_eq!(archive.len(), BLOCK * (1 + 1 + 2 + 2));
        for at in [0, BLOCK] {
            let header = &archive[at..at + BLOCK];
            let blank = |(index, &byte): (usize, &u8)| if (148..156).contains(&index) { 32 } else { u32::from(byte) };
            let sum: u32 = header.iter().enumerate().map(blank).sum();
            assert_eq!(u32::from_str_radix(std::str::from_utf8(&header[148..154]).unwrap(), 8), Ok(sum));
        }
        assert!(archive[archive.len() - 2 * BLOCK..].iter().all(|&byte| byte == 0));
    }

    #[test]
    fn long_paths_are_split_or_refused() {
        let long = format!("{}/{}", "p".repeat(150), "n".repeat(90));
        assert_eq!(split(&long), Ok(("p".repeat(150).as_str(), "n".repeat(90).as_str())));
        assert!(ustar(&[Entry::file(&"x".repeat(101), b"")]).is_err());
        assert!(ustar(&[Entry::symlink("l", &"t".repeat(101))]).is_err());
    }
}
