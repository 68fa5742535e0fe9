//! `rumpload link`: links modules for a chosen address, without running them.

mod library;
mod linux;
mod session;
mod symbols;

use crate::files;
use crate::output::{Reported, json_line, output};
use crate::progress::progress;
use anyhow::{Context, Result, bail};
use clap::Args;
use serde::Serialize;
use session::{Session, Wanted};
use std::io::Write;
use std::path::PathBuf;

/// Link modules without running them.
///
/// Modules that are refused (not valid modules) or fail get a line each with the reason; the last line counts them all. The
/// exit status is 0 if none failed.
#[derive(Debug, Args)]
pub struct Link {
    /// Module files, or directories of modules.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Look for modules below directories too.
    #[arg(long)]
    recursive: bool,
    /// Find required modules in this directory: DIR/NAME/NAME.kmod, or Linux modules anywhere below it. Without it each file is
    /// linked alone.
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
    /// Give each symbol that the kernel exports by this file, a Module.symvers, an address of its own, in reach, and check
    /// checksums, licenses and namespaces of Linux modules.
    #[arg(long, value_name = "FILE")]
    symvers: Option<PathBuf>,
    /// Give each symbol that nobody exports an address of its own, in reach.
    #[arg(long)]
    assume_missing: bool,
    /// Addresses of symbols, as named after renaming: lines `name address`.
    #[arg(long, value_name = "FILE")]
    symbols: Option<PathBuf>,
    /// Run address of the first byte of each module; Linux modules with --modules follow each other from there.
    #[arg(long, value_name = "ADDR", default_value = "0x10000000", value_parser = symbols::address)]
    at: u64,
    /// Prefix that the namespace gives to global symbols; empty to rename nothing.
    #[arg(long, value_name = "P", default_value = "rumpns_")]
    prefix: String,
    /// Write the finished bytes as they stand at their run addresses to this file; with several modules, to NAME.bin in this
    /// directory.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One line of JSON per module, with the addresses of sections and assumed symbols; then one with the counts.
    #[arg(long)]
    json: bool,
}

/// What became of one module.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase", tag = "outcome")]
enum Outcome {
    Linked(Box<Finished>),
    /// Not a valid module of its flavour.
    Refused {
        reason: String,
    },
    Failed {
        reason: String,
    },
}

/// A linked module.
#[derive(Debug, Serialize)]
struct Finished {
    name: String,
    run: u64,
    size: u64,
    sections: Vec<Placed>,
    assumed: Vec<Assumed>,
    #[serde(skip)]
    bytes: Vec<u8>,
}

#[derive(Debug, Serialize)]
struct Placed {
    index: u32,
    name: String,
    address: u64,
    size: u64,
}

#[derive(Debug, Serialize)]
struct Assumed {
    name: String,
    address: u64,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    file: String,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    linked: usize,
    refused: usize,
    failed: usize,
    of: usize,
}

impl Link {
    pub fn run(&self) -> Result<()> {
        let files = files::modules(&self.paths, self.recursive)?;
        let several = files.len() > 1;
        if let Some(out) = self.out.as_ref().filter(|out| several && !out.is_dir()) {
            bail!("--out {}: {} modules need a directory", out.display(), files.len());
        }
        let known = match &self.symbols {
            Some(file) => symbols::read(file)?,
            None => Vec::new(),
        };
        let wanted = Wanted {
            at: self.at,
            prefix: self.prefix.clone(),
            known,
            modules: self.modules.clone(),
            symvers: self.symvers.clone(),
            assume_missing: self.assume_missing,
        };
        let mut session = Session::new(wanted, &files)?;
        let mut output = output();
        let mut counts = Counts { of: files.len(), ..Counts::default() };
        let progress = progress(files.len());
        for file in &files {
            progress.set_message(file.file_stem().unwrap_or_default().to_string_lossy().into_owned());
            let outcome = session.link(file);
            let shown = file.display();
            match &outcome {
                Outcome::Linked(finished) => {
                    counts.linked += 1;
                    if let Some(out) = &self.out {
                        let path = if several { out.join(format!("{}.bin", finished.name)) } else { out.clone() };
                        std::fs::write(&path, &finished.bytes).with_context(|| path.display().to_string())?;
                    }
                }
                Outcome::Refused { reason } => {
                    counts.refused += 1;
                    if !self.json {
                        progress.suspend(|| writeln!(output, "refused {shown}: {reason}"))?;
                    }
                }
                Outcome::Failed { reason } => {
                    counts.failed += 1;
                    if !self.json {
                        progress.suspend(|| writeln!(output, "failed {shown}: {reason}"))?;
                    }
                }
            }
            if self.json {
                json_line(&mut output, &Line { file: shown.to_string(), outcome: &outcome })?;
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        if self.json {
            json_line(&mut output, &counts)?;
        } else {
            let Counts { linked, refused, failed, of } = counts;
            writeln!(output, "linked {linked}, refused {refused}, failed {failed} of {of}")?;
        }
        output.flush()?;
        if counts.failed == 0 { Ok(()) } else { Err(Reported.into()) }
    }
}
