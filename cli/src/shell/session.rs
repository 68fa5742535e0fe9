//! What the commands of the shell do.

use super::command::Command;
use super::path::{joined, plain, within};
use crate::extract::extract;
use crate::failures::Failures;
use crate::listing::{Form, attributes, list, usage};
use crate::load::modstat;
use crate::mounts::{Mounted, Wanted};
use crate::output::Output;
use crate::walk;
use anyhow::{Context, Result, bail, ensure};
use rumpload::Load;
use rumpload_base::{FileKind, Kernel, MountStatus};
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether the shell goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    GoOn,
    Leave,
}

/// A server and where in it the shell is.
pub struct Session {
    pub mounted: Mounted,
    /// An absolute path as [`plain`] makes it.
    pub current: Vec<u8>,
    /// Whether a prompt follows what is written, which needs a line of its own.
    pub prompts: bool,
}

impl Session {
    /// A shell that starts where paths of the command line start.
    pub fn new(mounted: Mounted, prompts: bool) -> Self {
        let current = plain(mounted.base.as_bytes());
        Self { mounted, current, prompts }
    }

    fn kernel(&self) -> Arc<Kernel> {
        Arc::clone(&self.mounted.server.kernel)
    }

    fn path(&self, typed: &OsStr) -> Vec<u8> {
        joined(&self.current, typed.as_bytes())
    }

    /// Does what a command says.
    ///
    /// # Errors
    /// What the command could not do.
    pub fn run(&mut self, command: Command, output: &mut Output) -> Result<Flow> {
        let kernel = self.kernel();
        match command {
            Command::Ls { long, paths } => self.ls(long, paths, output)?,
            Command::Cat { paths } => each(&kernel, &paths, |path, _| {
                let mut last = b'\n';
                walk::read(&kernel, &self.path(path), |piece| {
                    last = piece.last().copied().unwrap_or(last);
                    Ok(output.write_all(piece)?)
                })?;
                if self.prompts && last != b'\n' {
                    output.write_all(b"\n")?;
                }
                Ok(())
            })?,
            Command::Stat { paths } => each(&kernel, &paths, |path, _| attributes(&kernel, &self.path(path), output))?,
            Command::Cp { from, to } => self.cp(&from, to)?,
            Command::Walk { directory } => {
                let top = plain(&self.path(&directory));
                let top = std::str::from_utf8(&top).context("the path is no UTF-8")?;
                let mut failures = Failures::default();
                walk::hashes(&kernel, top.trim_end_matches('/'), &mut failures, output)?;
                failures.outcome()?;
            }
            Command::Cd { directory } => self.cd(directory)?,
            Command::Pwd => {
                output.write_all(&self.current)?;
                output.write_all(b"\n")?;
            }
            Command::Mount { kind, image, directory, options } => {
                let directory = String::from_utf8(plain(&self.path(&directory))).context("the path is no UTF-8")?;
                let image = (image != Path::new("none")).then_some(image);
                self.mounted.add(&Wanted { kind, image, directory, options })?;
            }
            Command::Umount { force, directory } => {
                let directory = String::from_utf8(plain(&self.path(&directory))).context("the path is no UTF-8")?;
                ensure!(!within(&self.current, directory.as_bytes()), "unmount {directory}: the shell is in it; cd out of it");
                self.mounted.remove(&directory, force)?;
            }
            Command::Df => usage(&self.mounts()?, output)?,
            Command::Mounts => {
                for MountStatus { kind, directory, device, read_only, .. } in self.mounts()? {
                    let access = if read_only { "read-only" } else { "read-write" };
                    writeln!(output, "{device} on {directory} type {kind} ({access})")?;
                }
            }
            Command::Modstat => modstat(&kernel.instance().stat()?, false, output)?,
            Command::Usage => {
                let held = kernel.usage()?;
                writeln!(output, "memory: {} bytes in {} blocks", held.bytes, held.blocks)?;
                writeln!(output, "vnodes: {}, {} of them in use", held.vnodes, held.used_vnodes)?;
                writeln!(output, "buffers: {} bytes in {}", held.buffer_bytes, held.buffers)?;
                writeln!(output, "names: {}", held.names)?;
                writeln!(output, "mounts: {}", held.mounts)?;
            }
            Command::Load { name } => kernel
                .instance()
                .load(&Load { name: &name, ..Load::default() })
                .with_context(|| format!("loading {name} from {}", self.mounted.server.modules.display()))?,
            Command::Unload { name } => kernel.instance().unload(&name).with_context(|| format!("unloading {name}"))?,
            Command::Exit => return Ok(Flow::Leave),
        }
        Ok(Flow::GoOn)
    }

    fn ls(&self, long: bool, mut paths: Vec<OsString>, output: &mut Output) -> Result<()> {
        let kernel = self.kernel();
        let form = if long { Form::Long } else { Form::Short };
        if paths.is_empty() {
            paths.push(OsString::new());
        }
        let several = paths.len() > 1;
        each(&kernel, &paths, |path, failures| {
            if several {
                output.write_all(path.as_bytes())?;
                output.write_all(b":\n")?;
            }
            list(&kernel, &self.path(path), form, failures, output)
        })
    }

    fn cp(&self, from: &OsStr, mut to: PathBuf) -> Result<()> {
        let from = self.path(from);
        if to.is_dir() {
            let name = from.rsplit(|byte| *byte == b'/').find(|name| !matches!(*name, b"" | b"."));
            match name {
                Some(name) if name != b".." => to.push(OsStr::from_bytes(name)),
                _ => bail!("cp to {}: the copy needs a name of its own", to.display()),
            }
        }
        let mut failures = Failures::default();
        extract(&self.kernel(), &from, &to, &mut failures)?;
        failures.outcome()
    }

    fn cd(&mut self, directory: Option<OsString>) -> Result<()> {
        let to = match directory {
            Some(directory) => plain(&self.path(&directory)),
            None => plain(self.mounted.base.as_bytes()),
        };
        let kind = self.kernel().stat(&to)?.kind;
        ensure!(kind == FileKind::Directory, "cd {}: not a directory", String::from_utf8_lossy(&to));
        self.current = to;
        Ok(())
    }

    /// What is mounted, with numbers as they are now.
    fn mounts(&self) -> Result<Vec<MountStatus>> {
        let kernel = self.kernel();
        let statuses = kernel.mounts()?.into_iter().map(|known| kernel.statvfs(&known.directory).or(Ok(known)));
        statuses.collect()
    }
}

/// Does `work` for each path; notes those it fails for, unless there is only one.
fn each(kernel: &Kernel, paths: &[OsString], mut work: impl FnMut(&OsStr, &mut Failures) -> Result<()>) -> Result<()> {
    let mut failures = Failures::default();
    for path in paths {
        match work(path, &mut failures) {
            Err(error) if paths.len() == 1 => return Err(error),
            Err(error) => failures.note(kernel, error)?,
            Ok(()) => {}
        }
    }
    failures.outcome()
}
