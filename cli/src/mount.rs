//! `rumpload mount`: the whole story in this process, from an empty server to the bytes of a file.

use crate::extract::extract;
use crate::failures::Failures;
use crate::insert::insert;
use crate::listing::{Form, attributes, list, mount_status, path_from};
use crate::load::modstat;
use crate::mounts::{Mounted, Mounts};
use crate::output::{Output, output};
use crate::walk;
use anyhow::Result;
use clap::{ArgGroup, Args};
use std::io::{Write, stderr};
use std::path::PathBuf;
use std::time::Instant;

/// Mount file systems out of stock modules, and look into them.
///
/// Data goes to standard output in this order: listings, attributes, contents, hashes, statistics. Without any of them the file
/// system is mounted and unmounted again. The exit status is 0 if all of it succeeded. Where some files of a tree or names of a
/// directory cannot be read, as on a damaged image, each is named on standard error, the others are printed, and the exit
/// status is 1.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("what").args(["kind", "mounts"]).required(true).multiple(true)))]
pub struct Mount {
    #[command(flatten)]
    mounts: Mounts,
    /// List a directory, sorted in byte order, or one file.
    #[arg(long, value_name = "PATH")]
    ls: Vec<String>,
    /// With --ls: attributes and targets of links too.
    #[arg(short = 'l', long)]
    long: bool,
    /// Show all attributes of a file; a symbolic link is not followed.
    #[arg(long = "attributes", value_name = "PATH")]
    attributes: Vec<String>,
    /// Write the bytes of a file, and nothing else.
    #[arg(long, value_name = "PATH")]
    cat: Vec<String>,
    /// Copy a file or tree of the host into the server, before anything is shown; the mount has to take changes (-o rw).
    #[arg(long, num_args = 2, value_names = ["FROM", "PATH"])]
    insert: Vec<PathBuf>,
    /// Copy a file or tree out of the server, to a name on the host that does not exist. Links and permissions are kept.
    #[arg(long, num_args = 2, value_names = ["PATH", "TO"])]
    extract: Vec<PathBuf>,
    /// One line per regular file: SHA-256, two blanks, path; sorted by path.
    #[arg(long)]
    walk: bool,
    /// Read every regular file, and do nothing with the bytes; see --time.
    #[arg(long)]
    read_all: bool,
    /// With --read-all: read them this often.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "read_all")]
    repeat: u32,
    /// What the file systems say about themselves (statvfs), and the modules that are loaded (modstat).
    #[arg(long)]
    stat: bool,
    /// How long each stage took, in milliseconds, on standard error.
    #[arg(long)]
    time: bool,
    /// Listings and module lists as lines of JSON.
    #[arg(long)]
    json: bool,
}

impl Mount {
    pub fn run(&self) -> Result<()> {
        let mut mounted = self.mounts.mount(self.time)?;
        let mut output = output();
        let mut failures = Failures::default();
        let outcome = self.show(&mut mounted, &mut failures, &mut output);
        // What was read before an error is data all the same.
        output.flush()?;
        outcome?;
        mounted.unmount()?;
        for (stage, time) in mounted.times.iter().flatten() {
            writeln!(stderr(), "{stage}: {:.3} ms", time.as_secs_f64() * 1e3)?;
        }
        failures.outcome()
    }

    fn show(&self, mounted: &mut Mounted, failures: &mut Failures, output: &mut Output) -> Result<()> {
        let base = mounted.base;
        let kernel = mounted.server.kernel.clone();
        let form = match (self.json, self.long) {
            (true, _) => Form::Json,
            (false, true) => Form::Long,
            (false, false) => Form::Short,
        };
        for pair in self.insert.chunks_exact(2) {
            insert(&kernel, &pair[0], &path_from(base, &pair[1].to_string_lossy()))?;
        }
        for path in &self.ls {
            list(&kernel, &path_from(base, path), form, failures, output)?;
        }
        for path in &self.attributes {
            attributes(&kernel, &path_from(base, path), output)?;
        }
        for path in &self.cat {
            walk::read(&kernel, &path_from(base, path), |piece| Ok(output.write_all(piece)?))?;
        }
        for pair in self.extract.chunks_exact(2) {
            extract(&kernel, &path_from(base, &pair[0].to_string_lossy()), &pair[1], failures)?;
        }
        if self.walk {
            let start = Instant::now();
            walk::hashes(&kernel, base, failures, output)?;
            mounted.note("walk", start);
        }
        if self.read_all {
            for _ in 0..self.repeat {
                let start = Instant::now();
                let (files, bytes) = walk::read_all(&kernel, base, failures)?;
                mounted.note(format!("read {files} files, {bytes} bytes"), start);
            }
        }
        if self.stat {
            for mount in &mounted.mounts {
                mount_status(&kernel.statvfs(&mount.directory)?, output)?;
            }
            modstat(&kernel.instance().stat()?, self.json, output)?;
        }
        Ok(())
    }
}
