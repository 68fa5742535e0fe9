//! Mounting a mutant and reading everything in it, within bounds.

use crate::mutant::Mutant;
use crate::subject::{Server, Subject};
use rumpload::resource::Block;
use rumpload_base::{Device, FileError, FileKind, MountError, MountRequest};
use std::sync::Arc;

const DEVICE: &str = "/dev/image";
const DIRECTORY: &[u8] = b"/mnt";
/// Files and directories that are looked at.
const FILES: usize = 600;
/// Directories deep.
const DEPTH: usize = 12;
/// Bytes that are read of a file from its start, and once more around its end.
const START: usize = 256 << 10;
/// Bytes that are read of all files.
const BYTES: usize = 32 << 20;

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    Names,
    Contents,
}

/// How a walk went: errors are what a damaged image gives.
#[derive(Default)]
struct Walk {
    files: usize,
    bytes: usize,
    errors: usize,
    first: Option<String>,
}

impl Walk {
    /// The value, or the error counted; an instance that ended ends the walk.
    fn take<T>(&mut self, result: Result<T, FileError>) -> Result<Option<T>, String> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(FileError::Ended { reason }) => Err(format!("ended {reason}")),
            Err(error) => {
                self.errors += 1;
                self.first.get_or_insert_with(|| error.to_string());
                Ok(None)
            }
        }
    }
}

/// Walks a mutant and says in a line how that went: `ok`, `errno ...`, `left ...` or `ended ...`.
pub fn walk(subject: &Subject, server: &Server, mutant: &Mutant) -> String {
    walk_device(subject, server, mutant.device(&subject.image, subject.sector), Depth::Contents)
}

pub fn walk_device(subject: &Subject, server: &Server, block: Arc<dyn Block>, depth: Depth) -> String {
    let mut walk = Walk::default();
    match attempt(subject, server, block, depth, &mut walk) {
        Err(line) => line,
        Ok(()) => match walk.first {
            None => "ok".into(),
            Some(first) => format!("errno {} errors, first: {first}", walk.errors),
        },
    }
}

fn attempt(subject: &Subject, server: &Server, block: Arc<dyn Block>, depth: Depth, walk: &mut Walk) -> Result<(), String> {
    let kernel = &server.kernel;
    let device = Device { block, label: subject.label };
    if walk.take(kernel.add_device(DEVICE, device))?.is_none() {
        return Ok(());
    }
    // The mount point is made by the first mount and stays.
    let before = kernel.usage().map_err(|error| error.to_string())?;
    let request = MountRequest {
        kind: &subject.kind,
        directory: "/mnt",
        device: Some(DEVICE),
        read_only: true,
        arguments: subject.arguments.clone(),
    };
    let mounted = match kernel.mount(&request) {
        Ok(()) => true,
        Err(MountError::File(error)) => walk.take::<()>(Err(error))?.is_some(),
        Err(error) => return Err(format!("errno {error}")),
    };
    if mounted {
        tree(server, depth, walk)?;
        if let Err(MountError::File(error)) = kernel.unmount("/mnt", false) {
            walk.take::<()>(Err(error))?;
            return Err(format!("left busy: {}", walk.first.as_deref().unwrap_or_default()));
        }
    }
    let after = kernel.usage().map_err(|error| format!("ended {error}"))?;
    let held = |usage: rumpload_base::Usage| (usage.mounts, usage.used_vnodes);
    if held(before) != held(after) {
        let (mounts, vnodes) = (after.mounts - before.mounts, after.used_vnodes - before.used_vnodes);
        let first = walk.first.as_deref().unwrap_or("no error");
        return Err(format!("left {mounts} mounts and {vnodes} vnodes: {first}"));
    }
    Ok(())
}

fn tree(server: &Server, depth: Depth, walk: &mut Walk) -> Result<(), String> {
    let kernel = &server.kernel;
    walk.take(kernel.statvfs(DIRECTORY))?;
    let mut directories = vec![(DIRECTORY.to_vec(), 0)];
    let mut files = Vec::new();
    while let Some((directory, level)) = directories.pop() {
        let Some(entries) = walk.take(kernel.read_directory(&directory))? else { continue };
        for entry in entries {
            if matches!(entry.name.as_slice(), b"." | b"..") || walk.files == FILES {
                continue;
            }
            walk.files += 1;
            let path = [&directory, b"/".as_slice(), &entry.name].concat();
            let Some(stat) = walk.take(kernel.lstat(&path))? else { continue };
            match stat.kind {
                FileKind::Directory if level < DEPTH => directories.push((path, level + 1)),
                FileKind::File => files.push((path, stat.size)),
                FileKind::Link => drop(walk.take(kernel.read_link(&path))?),
                _ => {}
            }
        }
    }
    if depth == Depth::Contents {
        for (path, size) in files {
            contents(server, &path, size, walk)?;
        }
    }
    Ok(())
}

fn contents(server: &Server, path: &[u8], size: u64, walk: &mut Walk) -> Result<(), String> {
    let Some(file) = walk.take(server.kernel.open(path))? else { return Ok(()) };
    let mut buffer = vec![0; START / 4];
    let mut offset = 0;
    while offset < START && walk.bytes < BYTES {
        let Some(count) = walk.take(file.read_at(offset as u64, &mut buffer))? else { break };
        if count > buffer.len() {
            return Err("crash: more bytes than asked for".into());
        }
        if count == 0 {
            break;
        }
        offset += count;
        walk.bytes += count;
    }
    if size > START as u64 {
        for offset in [size / 2, size - 1000, size.saturating_add(1)] {
            walk.take(file.read_at(offset, &mut buffer[..3000]))?;
        }
    }
    walk.take(file.close())?;
    Ok(())
}
