//! Copying files into a server.

use anyhow::{Context, Result, bail};
use rumpload_base::Kernel;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// Bytes written at a time.
const PIECE: usize = 256 << 10;

/// Copies the host's file or tree `from` to `to`, which must not exist. Files, directories and symbolic links are copied, with
/// permission bits; anything else is an error.
pub fn insert(kernel: &Arc<Kernel>, from: &Path, to: &[u8]) -> Result<()> {
    let context = || from.display().to_string();
    let metadata = fs::symlink_metadata(from).with_context(context)?;
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_file() {
        copy(kernel, File::open(from).with_context(context)?, to, mode).with_context(context)
    } else if metadata.is_symlink() {
        let target = fs::read_link(from).with_context(context)?;
        Ok(kernel.create_link(to, target.as_os_str().as_bytes())?)
    } else if metadata.is_dir() {
        kernel.create_directory(to, mode)?;
        for entry in fs::read_dir(from).with_context(context)? {
            let name = entry.with_context(context)?.file_name();
            insert(kernel, &from.join(&name), &[to, b"/", name.as_bytes()].concat())?;
        }
        Ok(())
    } else {
        bail!("{}: only files, directories and symbolic links can be copied", from.display())
    }
}

fn copy(kernel: &Arc<Kernel>, mut source: File, to: &[u8], mode: u32) -> Result<()> {
    let file = kernel.create(to, mode)?;
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let length = source.read(&mut buffer)?;
        if length == 0 {
            file.close()?;
            return Ok(());
        }
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let written = file.write_at(offset, rest)?;
            anyhow::ensure!(written != 0, "nothing more can be written after {offset} bytes");
            offset += written as u64;
            rest = &rest[written..];
        }
    }
}
