//! `rumpload load`: loads modules into a server, shows them, unloads them.

use crate::output::{Output, Reported, json_line, output};
use crate::server::{Messages, Server};
use anyhow::{Context, Result};
use clap::Args;
use rumpload::error::LinkError;
use rumpload::{Error, Load as Request, Status};
use rumpload_base::Trap;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Load modules, show what is loaded, unload them.
///
/// With --all each module of the directory is tried in a kernel of its own; the last line counts them. The exit status is 0 if
/// every module started, or with --all if those that did not only lack symbols.
#[derive(Debug, Args)]
pub struct Load {
    /// Directory of modules: DIR/NAME/NAME.kmod.
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// Modules to load, in this order, into one kernel.
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "NAME")]
    names: Vec<String>,
    /// Try every module of the directory, each in a kernel of its own.
    #[arg(long)]
    all: bool,
    /// Log each call that module code makes.
    #[arg(long)]
    trace: bool,
    /// Lines of JSON.
    #[arg(long)]
    json: bool,
}

/// What became of one module.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
enum Outcome {
    Started,
    MissingSymbols { reason: String },
    Failed { reason: String },
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

/// A module as `modstat(8)` shows it.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    name: &'a str,
    class: u32,
    source: String,
    flags: u32,
    references: Option<u32>,
    address: u64,
    size: u64,
    requires: &'a str,
}

impl Load {
    pub fn run(&self) -> Result<()> {
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
            instance.load(&Request { name, ..Request::default() }).with_context(|| name.clone())?;
        }
        modstat(&instance.stat()?, self.json, output)?;
        output.flush()?;
        for name in self.names.iter().rev() {
            // By its own name, which may differ from that of its file.
            let own = instance.stat()?.into_iter().find(|status| named(name, status)).map_or_else(|| name.clone(), |s| s.name);
            instance.unload(&own).with_context(|| own.clone())?;
        }
        Ok(true)
    }

    /// Tries each module of the directory by itself; whether none failed.
    fn each(&self, output: &mut Output) -> Result<bool> {
        let names = names(&self.modules)?;
        let mut counts = Counts { of: names.len(), ..Counts::default() };
        for name in &names {
            let outcome = self.alone(name);
            match &outcome {
                Outcome::Started => counts.started += 1,
                Outcome::MissingSymbols { .. } => counts.missing_symbols += 1,
                Outcome::Failed { .. } => counts.failed += 1,
            }
            if self.json {
                json_line(output, &Line { module: name, outcome: &outcome })?;
            } else {
                match &outcome {
                    Outcome::Started => writeln!(output, "started {name}")?,
                    Outcome::MissingSymbols { reason } => writeln!(output, "missing symbols {name}: {reason}")?,
                    Outcome::Failed { reason } => writeln!(output, "failed {name}: {reason}")?,
                }
            }
            output.flush()?;
        }
        let Counts { started, missing_symbols, failed, of } = counts;
        if self.json {
            json_line(output, &counts)?;
        } else {
            writeln!(output, "started {started}, missing symbols {missing_symbols}, failed {failed} of {of}")?;
        }
        Ok(failed == 0)
    }

    /// Loads one module, looks whether it is there, and unloads it; a module may refuse to be unloaded.
    fn alone(&self, name: &str) -> Outcome {
        let messages = if self.trace { Messages::Traced } else { Messages::Hidden };
        let server = match Server::boot(&self.modules, messages) {
            Ok(server) => server,
            Err(error) => return Outcome::Failed { reason: format!("{error:#}") },
        };
        let instance = server.kernel.instance();
        if let Err(error) = instance.load(&Request { name, ..Request::default() }) {
            let reason = error.to_string();
            return if lacks_symbols(&error) { Outcome::MissingSymbols { reason } } else { Outcome::Failed { reason } };
        }
        match instance.stat() {
            Ok(list) => match list.iter().find(|status| named(name, status)) {
                Some(status) => match instance.unload(&status.name) {
                    Ok(()) | Err(Error::Fini { .. }) => Outcome::Started,
                    Err(error) => Outcome::Failed { reason: format!("started, but did not stop: {error}") },
                },
                None => Outcome::Failed { reason: "it was loaded, but is not among the active modules".into() },
            },
            Err(error) => Outcome::Failed { reason: error.to_string() },
        }
    }
}

/// Whether `status` is what loading `name` brought: the newest module that came from a file and not by itself.
fn named(name: &str, status: &Status) -> bool {
    let automatic = status.flags.contains(rumpload::registry::ModuleFlags::AUTO_LOADED);
    status.name == name || (!automatic && status.references == Some(0))
}

/// Whether what the module needs from others is not there: symbols that nobody exports, in it or in a module it requires; a
/// required module that is not in the directory; a symbol that is only declared, so that the module can be linked, and was called.
fn lacks_symbols(error: &Error) -> bool {
    match error {
        Error::Link { error: LinkError::Unresolved(_), .. } => true,
        Error::Requirement { cause, .. } => matches!(**cause, Error::File { .. }) || lacks_symbols(cause),
        Error::NotRolledBack { cause, .. } => lacks_symbols(cause),
        Error::Ended { reason } => Trap::of_reason(reason).is_some(),
        _ => false,
    }
}

/// Names of the modules of a directory, sorted: those NAME for which there is NAME/NAME.kmod.
fn names(directory: &Path) -> Result<Vec<String>> {
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

/// Prints the modules of a kernel, newest first.
pub fn modstat(list: &[Status], json: bool, output: &mut Output) -> Result<()> {
    if !json {
        writeln!(
            output,
            "{:<20} {:>5} {:>7} {:>5} {:>4} {:>10} {:>8} REQUIRES",
            "NAME", "CLASS", "SOURCE", "FLAGS", "REFS", "ADDRESS", "SIZE"
        )?;
    }
    for status in list {
        let shown = Shown {
            name: &status.name,
            class: status.class,
            source: format!("{:?}", status.source).to_lowercase(),
            flags: status.flags.bits(),
            references: status.references,
            address: status.address.get(),
            size: status.size,
            requires: &status.required,
        };
        if json {
            json_line(output, &shown)?;
            continue;
        }
        let references = shown.references.map_or_else(|| "-".to_owned(), |references| references.to_string());
        let requires = if shown.requires.is_empty() { "-" } else { shown.requires };
        writeln!(
            output,
            "{:<20} {:>5} {:>7} {:>5} {:>4} {:#10x} {:>8} {requires}",
            shown.name, shown.class, shown.source, shown.flags, references, shown.address, shown.size
        )?;
    }
    Ok(())
}
