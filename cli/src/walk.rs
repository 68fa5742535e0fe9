//! Walking a directory tree: every regular file and what is in it.

use anyhow::{Context, Result};
use rumpload_base::{FileKind, Kernel};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// A regular file found.
#[derive(Debug)]
pub struct Found {
    /// Its path below the directory walked, beginning with a slash.
    pub path: Vec<u8>,
}

/// The regular files below `top`, sorted by path in byte order. Symbolic links are not followed.
pub fn files(kernel: &Arc<Kernel>, top: &str) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    let mut todo: Vec<Vec<u8>> = vec![Vec::new()];
    while let Some(directory) = todo.pop() {
        let full = below(top, &directory);
        for entry in kernel.read_directory(if full.is_empty() { b"/" } else { full.as_slice() })? {
            if entry.name == b"." || entry.name == b".." {
                continue;
            }
            let path = [&directory[..], b"/", &entry.name].concat();
            // What an entry says of the type is a hint only; the file knows.
            match kernel.lstat(below(top, &path))?.kind {
                FileKind::Directory => todo.push(path),
                FileKind::File => found.push(Found { path }),
                _ => {}
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// The path of something below the directory walked, as the kernel knows it.
pub fn below(top: &str, path: &[u8]) -> Vec<u8> {
    [top.trim_end_matches('/').as_bytes(), path].concat()
}

/// Reads a whole file, giving each piece to `take`; returns its length.
pub fn read(kernel: &Arc<Kernel>, path: &[u8], mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let file = kernel.open(path)?;
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let count = file.read_at(offset, &mut buffer)?;
        if count == 0 {
            break;
        }
        take(&buffer[..count])?;
        offset += count as u64;
    }
    file.close()?;
    Ok(offset)
}

/// SHA-256 of a file, in hexadecimal, and its length.
pub fn hash(kernel: &Arc<Kernel>, path: &[u8]) -> Result<(String, u64)> {
    let mut hash = Sha256::new();
    let length = read(kernel, path, |piece| {
        hash.update(piece);
        Ok(())
    })
    .with_context(|| String::from_utf8_lossy(path).into_owned())?;
    Ok((hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect(), length))
}
