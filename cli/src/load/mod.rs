//! `rumpload load`: loads modules into a server, shows them, unloads them.

mod attempt;
mod modstat;

pub use modstat::modstat;

use crate::output::{Output, Reported, json_line, output};
use crate::progress::progress;
use crate::server::{Messages, Server};
use anyhow::{Context, Result, bail};
use attempt::Outcome;
use clap::Args;
use rumpload::{Load as Request, Status};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Load modules, show what is loaded, unload them.
///
/// The modules are loaded into one kernel, shown as modstat(8) shows them, and unloaded in reverse. With --all each module of
/// the directory is tried in a kernel and a process of its own: a line tells what became of it, the last line counts them. The
/// exit status is 0 if every module started, or with --all if those that did not only lack symbols.
#[derive(Debug, Args)]
pub struct Load {
    /// Directory of modules: DIR/NAME/NAME.kmod. What modules require is found there too.
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// Modules to load, in this order, into one kernel.
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NAME")]
    names: Vec<String>,
    /// Try every module of the directory, each in a process of its own.
    #[arg(long)]
    all: bool,
    /// With --all: the time a module gets, in seconds, before its process is killed and it counts as failed.
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Log each call that module code makes, on standard error.
    #[arg(long)]
    trace: bool,
    /// A line of JSON per module; with --all its outcome, and then a line with the counts.
    #[arg(long)]
    json: bool,
    /// What the process of one module is started with.
    #[arg(long, hide = true, conflicts_with = "all")]
    report: bool,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    module: &'a str,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

#[derive(Debug, Default, Serialize)]
struct Counts {
    started: usize,
    missing_symbols: usize,
    failed: usize,
    of: usize,
}

impl Load {
    pub fn run(&self) -> Result<()> {
        if self.report {
            let [name] = self.names.as_slice() else { bail!("one module is wanted") };
            return attempt::report(&self.modules, name, if self.trace { Messages::Traced } else { Messages::Hidden });
        }
        let mut output = output();
        let complete = if self.all { self.each(&mut output)? } else { self.together(&mut output)? };
        output.flush()?;
        if complete { Ok(()) } else { Err(Reported.into()) }
    }

    /// Loads the modules named into one kernel, shows it, unloads them in reverse.
    fn together(&self, output: &mut Output) -> Result<bool> {
        let messages = if self.trace { Messages::Traced } else { Messages::Shown };
        let server = Server::boot(&self.modules, messages)?;
        let instance = server.kernel.instance();
        for name in &self.names {
            server.tell_traps(name);
            instance
                .load(&Request { name, ..Request::default() })
                .with_context(|| format!("loading {name} from {}", self.modules.display()))?;
        }
        modstat(&instance.stat()?, self.json, output)?;
        output.flush()?;
        for name in self.names.iter().rev() {
            // By its own name, which may differ from that of its file.
            let own = instance.stat()?.into_iter().find(|status| named(name, status)).map_or_else(|| name.clone(), |s| s.name);
            instance.unload(&own).with_context(|| format!("unloading {own}"))?;
        }
        Ok(true)
    }

    /// Tries each module of the directory by itself; whether none failed.
    fn each(&self, output: &mut Output) -> Result<bool> {
        let names = names(&self.modules)?;
        let mut counts = Counts { of: names.len(), ..Counts::default() };
        let progress = progress(names.len());
        for name in &names {
            progress.set_message(name.clone());
            let outcome = attempt::in_child(&self.modules, name, self.trace, Duration::from_secs(self.timeout))?;
            match &outcome {
                Outcome::Started => counts.started += 1,
                Outcome::MissingSymbols { .. } => counts.missing_symbols += 1,
                Outcome::Failed { .. } => counts.failed += 1,
            }
            progress.suspend(|| self.tell(name, &outcome, output))?;
            progress.inc(1);
        }
        progress.finish_and_clear();
        let Counts { started, missing_symbols, failed, of } = counts;
        if self.json {
            json_line(output, &counts)?;
        } else {
            writeln!(output, "started {started}, missing symbols {missing_symbols}, failed {failed} of {of}")?;
        }
        Ok(failed == 0)
    }

    fn tell(&self, name: &str, outcome: &Outcome, output: &mut Output) -> Result<()> {
        if self.json {
            json_line(output, &Line { module: name, outcome })?;
        } else {
            match outcome {
                Outcome::Started => writeln!(output, "started {name}")?,
                Outcome::MissingSymbols { reason } => writeln!(output, "missing symbols {name}: {reason}")?,
                Outcome::Failed { reason } => writeln!(output, "failed {name}: {reason}")?,
            }
        }
        // A line at a time: they may be long in coming.
        Ok(output.flush()?)
    }
}

/// Whether `status` is what loading `name` brought: the newest module that came from a file and not by itself.
fn named(name: &str, status: &Status) -> bool {
    let automatic = status.flags.contains(rumpload::registry::ModuleFlags::AUTO_LOADED);
    status.name == name || (!automatic && status.references == Some(0))
}

/// Names of the modules of a directory, sorted: those NAME for which there is NAME/NAME.kmod.
pub fn names(directory: &Path) -> Result<Vec<String>> {
    let context = || format!("module directory {}", directory.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(context)? {
        let name = entry.with_context(context)?.file_name().to_string_lossy().into_owned();
        if directory.join(&name).join(format!("{name}.kmod")).is_file() {
            names.push(name);
        }
    }
    names.sort();
    anyhow::ensure!(!names.is_empty(), "{}: no modules in it", context());
    Ok(names)
}
