//! One module tried by itself: in this process, or in one of its own, which it cannot take others down with.

use super::named;
use crate::output::{json_line, output, text};
use crate::server::{Messages, Server};
use anyhow::{Context, Result, bail};
use rumpload::error::LinkError;
use rumpload::{Error, Load as Request};
use rumpload_base::Trap;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Most bytes that the report of a process is read to.
const REPORT: u64 = 1 << 20;
/// How many of the last lines that a process printed are told of if it was killed.
const LAST_LINES: usize = 2;

/// What became of one module.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    Started,
    MissingSymbols { reason: String },
    Failed { reason: String },
}

impl Outcome {
    fn failed(reason: impl ToString) -> Self {
        Self::Failed { reason: reason.to_string() }
    }
}

/// Loads one module into a kernel of its own, looks whether it is there, and unloads it; a module may refuse to be unloaded.
fn attempt(modules: &Path, name: &str, messages: Messages) -> Outcome {
    let server = match Server::boot(modules, messages) {
        Ok(server) => server,
        Err(error) => return Outcome::failed(text(&error)),
    };
    server.tell_traps(name);
    let instance = server.kernel.instance();
    if let Err(error) = instance.load(&Request { name, ..Request::default() }) {
        let reason = error.to_string();
        return if lacks_symbols(&error) { Outcome::MissingSymbols { reason } } else { Outcome::Failed { reason } };
    }
    match instance.stat() {
        Ok(list) => match list.iter().find(|status| named(name, status)) {
            Some(status) => match instance.unload(&status.name) {
                Ok(()) | Err(Error::Fini { .. }) => Outcome::Started,
                Err(error) => Outcome::failed(format!("started, but did not stop: {error}")),
            },
            None => Outcome::failed("it was loaded, but is not among the active modules"),
        },
        Err(error) => Outcome::failed(error),
    }
}

/// Tries a module in this process and reports the outcome to the one that asked for it.
pub fn report(modules: &Path, name: &str, messages: Messages) -> Result<()> {
    let outcome = attempt(modules, name, messages);
    let mut output = output();
    json_line(&mut output, &outcome)?;
    Ok(output.flush()?)
}

/// Tries a module in a process of its own, which is killed after `limit`.
///
/// # Errors
/// The process cannot be started or waited for. What happens inside it is an outcome.
pub fn in_child(modules: &Path, name: &str, trace: bool, limit: Duration) -> Result<Outcome> {
    let program = std::env::current_exe().context("finding this program, to start it for a module")?;
    let mut command = Command::new(&program);
    command.args(["load", "--report", "--modules"]).arg(modules);
    command.args(trace.then_some("--trace")).args(["--", name]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(if trace { Stdio::inherit() } else { Stdio::piped() });
    let mut child = command.spawn().with_context(|| format!("starting {}", program.display()))?;
    let (Some(stdout), stderr) = (child.stdout.take(), child.stderr.take()) else {
        bail!("no pipe to {}", program.display());
    };
    let printed = thread::spawn(move || stderr.map_or_else(Vec::new, last_lines));
    let (sender, report) = channel();
    thread::spawn(move || {
        let mut text = Vec::new();
        let outcome = stdout.take(REPORT).read_to_end(&mut text).map(|_| text);
        // Nobody receives what comes after the limit.
        let _ = sender.send(outcome);
    });
    let report = report.recv_timeout(limit);
    if let Err(RecvTimeoutError::Timeout) = report {
        child.kill().context("killing the process of a module")?;
    }
    let status = child.wait().context("waiting for the process of a module")?;
    let printed = printed.join().unwrap_or_default();
    Ok(match report {
        Err(RecvTimeoutError::Timeout) => Outcome::failed(format!("timeout: it ran for {} s and was killed", limit.as_secs())),
        Ok(Ok(text)) if status.success() => match serde_json::from_slice(&text) {
            Ok(outcome) => outcome,
            Err(error) => Outcome::failed(format!("its process reported nonsense: {error}")),
        },
        _ if printed.is_empty() => Outcome::failed(format!("its process ended by {status}")),
        _ => Outcome::failed(format!("its process ended by {status}: {}", printed.join("; "))),
    })
}

/// The last lines that say something.
fn last_lines(text: impl Read) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in BufReader::new(text).split(b'\n').map_while(std::io::Result::ok) {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if line.is_empty() || line.starts_with("note: ") {
            continue;
        }
        if lines.len() == LAST_LINES {
            lines.remove(0);
        }
        lines.push(line);
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_tell() {
        assert_eq!(last_lines(&b"one\n\n  two \nthree\nnote: run with more\n\n"[..]), ["two", "three"]);
        assert!(last_lines(&b"\n"[..]).is_empty());
    }

    #[test]
    fn reports_are_read_as_they_are_written() {
        for outcome in
            [Outcome::Started, Outcome::MissingSymbols { reason: "a \"b\"".into() }, Outcome::Failed { reason: "c\nd".into() }]
        {
            let text = serde_json::to_vec(&outcome).expect("JSON");
            assert_eq!(serde_json::from_slice::<Outcome>(&text).expect("the same"), outcome);
        }
    }
}
