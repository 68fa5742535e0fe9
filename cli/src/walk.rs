//! Walking a tree: hashes of its regular files, or just reading them.

use anyhow::{Context, Result, bail};
use rumpload_base::{FileKind, Kernel, Stat};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::sync::Arc;

/// Bytes read from a file at a time.
const PIECE: usize = 256 << 10;

/// Paths of the regular files below `top`, as seen from there, sorted in byte order.
pub fn files(kernel: &Arc<Kernel>, top: &str) -> Result<Vec<Vec<u8>>> {
    let identity = |stat: Stat| (stat.device, stat.fileid);
    let mut files = Vec::new();
    // A directory to read, and those it lies in: on a damaged image it may be one of them.
    let mut directories = vec![(Vec::new(), vec![identity(kernel.stat(absolute(top, b""))?)])];
    while let Some((directory, above)) = directories.pop() {
        for entry in kernel.read_directory(absolute(top, &directory))? {
            if matches!(entry.name.as_slice(), b"." | b"..") {
                continue;
            }
            let path = [&directory, b"/".as_slice(), &entry.name].concat();
            // The entry's own word on the type is a hint: v7fs gets it wrong on volumes of the other byte order.
            let stat = kernel.lstat(absolute(top, &path))?;
            match stat.kind {
                FileKind::Directory if above.contains(&identity(stat)) => {
                    bail!("{}: the directory contains itself", String::from_utf8_lossy(&path));
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

/// Writes one line per regular file below `top`: SHA-256, two blanks, path.
pub fn hashes(kernel: &Arc<Kernel>, top: &str, output: &mut impl Write) -> Result<()> {
    for path in files(kernel, top)? {
        let mut hasher = Sha256::new();
        read(kernel, &absolute(top, &path), |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        for byte in hasher.finalize() {
            write!(output, "{byte:02x}")?;
        }
        output.write_all(b"  ")?;
        output.write_all(&path)?;
        output.write_all(b"\n")?;
    }
    Ok(())
}

/// Reads every regular file below `top` once; returns how many, and their bytes.
pub fn read_all(kernel: &Arc<Kernel>, top: &str) -> Result<(usize, u64)> {
    let files = files(kernel, top)?;
    let mut bytes = 0;
    for path in &files {
        bytes += read(kernel, &absolute(top, path), |_| Ok(())).with_context(|| String::from_utf8_lossy(path).into_owned())?;
    }
    Ok((files.len(), bytes))
}
