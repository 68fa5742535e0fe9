//! Which files a command line means.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The module files that `paths` name, sorted: files as they are; of directories the `.kmod` and `.ko` files in them, and with
/// `recursive` also those below; at least one. Links to directories are not followed.
pub fn modules(paths: &[PathBuf], recursive: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = Vec::new();
    for path in paths {
        let metadata = std::fs::metadata(path).with_context(|| path.display().to_string())?;
        if metadata.is_dir() { todo.push(path.clone()) } else { found.push(path.clone()) }
    }
    while let Some(directory) = todo.pop() {
        let context = || directory.display().to_string();
        for entry in std::fs::read_dir(&directory).with_context(context)? {
            let entry = entry.with_context(context)?;
            let kind = entry.file_type().with_context(context)?;
            let path = entry.path();
            if kind.is_dir() {
                if recursive {
                    todo.push(path);
                }
            } else if is_module(&path) && path.is_file() {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        bail!("no module files found{}", if recursive { "" } else { " (see --recursive)" });
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn is_module(path: &Path) -> bool {
    matches!(path.extension().and_then(OsStr::to_str), Some("kmod" | "ko"))
}
