//! Reading files and trees.

use crate::script::Error;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;
use rumpload_l4::{EntryKind, RemoteFiles};
use sha2::{Digest, Sha256};

/// Bytes read at once: a window's.
const PIECE: usize = 1 << 16;
/// Bytes of contents on a line.
const LINE: usize = 512;

/// Calls `each` with the contents of `path`, piece by piece.
pub fn read(files: &RemoteFiles, path: &[u8], each: &mut dyn FnMut(&[u8])) -> Result<u64, Error> {
    let file = files.open(path)?;
    let mut buffer = alloc::vec![0; PIECE];
    let mut at = 0;
    let result = loop {
        match files.read(file, at, &mut buffer) {
            Ok(0) => break Ok(at),
            Ok(count) => {
                each(&buffer[..count]);
                at += count as u64;
            }
            Err(error) => break Err(error),
        }
    };
    let closed = files.close(file);
    let len = result?;
    closed?;
    Ok(len)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Prints the contents of `path` as lines of hexadecimal digits.
pub fn cat(files: &RemoteFiles, path: &[u8], say: &mut dyn FnMut(&str)) -> Result<(), Error> {
    read(files, path, &mut |piece| piece.chunks(LINE).for_each(|line| say(&format!("data {}", hex(line))))).map(drop)
}

/// Prints hash and path of every regular file below `top`, in the order of the bytes of their paths.
pub fn walk(files: &RemoteFiles, top: &[u8], say: &mut dyn FnMut(&str)) -> Result<(), Error> {
    let mut found = Vec::new();
    // A directory to read, and the numbers of those it lies in: on a damaged image it may be one of them.
    let mut directories = Vec::from([(Vec::new(), Vec::from([files.stat(top)?.inode]))]);
    while let Some((directory, above)) = directories.pop() {
        let mut names: Vec<(Vec<u8>, EntryKind)> = Vec::new();
        files.list(&[top, &directory].concat(), &mut |name, kind| names.push((name.to_vec(), kind)))?;
        for (name, kind) in names {
            let path = [&directory[..], b"/", &name].concat();
            match kind {
                EntryKind::Directory => {
                    let inode = files.stat(&[top, &path].concat())?.inode;
                    if above.contains(&inode) {
                        return Err(Error::Wrong(format!("{}: the directory contains itself", String::from_utf8_lossy(&path))));
                    }
                    directories.push((path, [&above[..], &[inode]].concat()));
                }
                EntryKind::Regular => found.push(path),
                EntryKind::Link | EntryKind::Other => {}
            }
        }
    }
    found.sort_unstable();
    for path in found {
        let mut hash = Sha256::new();
        let full = [top, &path].concat();
        let len = read(files, &full, &mut |piece| hash.update(piece))?;
        let size = files.stat(&full)?.size;
        if size != len {
            return Err(Error::Wrong(format!("{}: {len} bytes read of {size}", String::from_utf8_lossy(&path))));
        }
        // Names need not be text: bytes that are none come as hexadecimal digits.
        match core::str::from_utf8(&path) {
            Ok(path) => say(&format!("file {}  {path}", hex(&hash.finalize()))),
            Err(_) => say(&format!("file-hex {}  {}", hex(&hash.finalize()), hex(&path))),
        }
    }
    Ok(())
}
