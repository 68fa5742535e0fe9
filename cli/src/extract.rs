//! Copying files out of a server.

use crate::failures::Failures;
use crate::walk;
use anyhow::{Context, Result, anyhow, bail};
use rumpload_base::{FileKind, Kernel};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// Copies the file or tree `from` to `to` on the host, which must not exist. Files, directories and symbolic links are copied,
/// with permission bits; anything else is an error. Below a directory, what cannot be copied is noted and the rest goes on.
/// Nothing is ever written outside `to`: names come from the image.
pub fn extract(kernel: &Arc<Kernel>, from: &[u8], to: &Path, failures: &mut Failures) -> Result<()> {
    let context = || to.display().to_string();
    let stat = kernel.lstat(from)?;
    match stat.kind {
        FileKind::File => {
            let file = File::create_new(to).with_context(context)?;
            let mut writer = BufWriter::new(&file);
            walk::read(kernel, from, |piece| writer.write_all(piece).with_context(context))?;
            writer.flush().with_context(context)?;
            drop(writer);
            set_mode(to, stat.mode)
        }
        FileKind::Link => {
            let target = kernel.read_link(from)?;
            std::os::unix::fs::symlink(OsStr::from_bytes(&target), to).with_context(context)
        }
        FileKind::Directory => {
            fs::create_dir(to).with_context(context)?;
            for entry in kernel.read_directory(from)? {
                let name = entry.name.as_slice();
                if matches!(name, b"." | b"..") {
                    continue;
                }
                let within = [from, b"/", name].concat();
                let outcome = if name.contains(&b'/') {
                    Err(anyhow!("{}: a name with a slash in it", String::from_utf8_lossy(&within)))
                } else {
                    extract(kernel, &within, &to.join(OsStr::from_bytes(name)), failures)
                };
                if let Err(error) = outcome {
                    failures.note(kernel, error)?;
                }
            }
            set_mode(to, stat.mode | 0o700)
        }
        kind => bail!("{}: cannot copy a {kind:?}", String::from_utf8_lossy(from)),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode & 0o777);
    fs::set_permissions(path, permissions).with_context(|| path.display().to_string())
}
