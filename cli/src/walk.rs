//! Walking a tree: hashes of its regular files, or just reading them.

use crate::failures::Failures;
use anyhow::{Result, anyhow};
use rumpload_base::{FileKind, Kernel, Stat};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::sync::Arc;

/// Bytes read from a file at a time.
const PIECE: usize = 256 << 10;

/// Paths of the regular files below `top`, as seen from there, sorted in byte order. What cannot be read is noted and left out.
///
/// # Errors
/// `top` cannot be read at all, or see [`Failures::note`].
pub fn files(kernel: &Arc<Kernel>, top: &str, failures: &mut Failures) -> Result<Vec<Vec<u8>>> {
    let identity = |stat: Stat| (stat.device, stat.fileid);
    let mut files = Vec::new();
    // A directory to read, and those it lies in: on a damaged image it may be one of them.
    let mut directories = vec![(Vec::new(), vec![identity(kernel.stat(absolute(top, b""))?)])];
    while let Some((directory, above)) = directories.pop() {
        let entries = match kernel.read_directory(absolute(top, &directory)) {
            Ok(entries) => entries,
            Err(error) => {
                failures.note(kernel, error.into())?;
                continue;
            }
        };
        for entry in entries {
            if matches!(entry.name.as_slice(), b"." | b"..") {
                continue;
            }
            let path = [&directory, b"/".as_slice(), &entry.name].concat();
            // The entry's own word on the type is a hint: v7fs gets it wrong on volumes of the other byte order.
            let stat = match kernel.lstat(absolute(top, &path)) {
                Ok(stat) => stat,
                Err(error) => {
                    failures.note(kernel, error.into())?;
                    continue;
                }
            };
            match stat.kind {
                FileKind::Directory if above.contains(&identity(stat)) => {
                    let path = absolute(top, &path);
                    let path = String::from_utf8_lossy(&path);
                    failures.note(kernel, anyhow!("read directory {path}: it contains itself"))?;
                }
                FileKind::Directory => directories.push((path, [above.as_slice(), &[identity(stat)]].concat())),
                FileKind::File => files.push(path),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

/// A path below `top` as the kernel takes it.
pub fn absolute(top: &str, path: &[u8]) -> Vec<u8> {
    let path = [top.as_bytes(), path].concat();
    if path.is_empty() { b"/".to_vec() } else { path }
}

/// Reads a file whole, a piece at a time; returns its length in bytes.
pub fn read(kernel: &Arc<Kernel>, path: &[u8], mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<u64> {
    let file = kernel.open(path)?;
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let length = file.read_at(offset, &mut buffer)?;
        if length == 0 {
            file.close()?;
            return Ok(offset);
        }
        take(&buffer[..length])?;
        offset += length as u64;
    }
}

/// Writes one line per regular file below `top`: SHA-256, two blanks, path. A file that cannot be read whole has no line.
///
/// # Errors
/// As [`files`], or the output cannot be written.
pub fn hashes(kernel: &Arc<Kernel>, top: &str, failures: &mut Failures, output: &mut impl Write) -> Result<()> {
    for path in files(kernel, top, failures)? {
        let mut hasher = Sha256::new();
        let outcome = read(kernel, &absolute(top, &path), |piece| {
            hasher.update(piece);
            Ok(())
        });
        if let Err(error) = outcome {
            failures.note(kernel, error)?;
            continue;
        }
        for byte in hasher.finalize() {
            write!(output, "{byte:02x}")?;
        }
        output.write_all(b"  ")?;
        output.write_all(&path)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads every regular file below `top` once; returns how many could be read whole, and their bytes.
///
/// # Errors
/// As [`files`].
pub fn read_all(kernel: &Arc<Kernel>, top: &str, failures: &mut Failures) -> Result<(usize, u64)> {
    let (mut count, mut bytes) = (0, 0);
    for path in files(kernel, top, failures)? {
        match read(kernel, &absolute(top, &path), |_| Ok(())) {
            Ok(length) => (count, bytes) = (count + 1, bytes + length),
            Err(error) => failures.note(kernel, error)?,
        }
    }
    Ok((count, bytes))
}
