//! `rumpload shell`: a server to look around in, by hand or from a script.

mod command;
mod complete;
mod path;
mod session;

use crate::mounts::Mounts;
use crate::output::{Output, Reported, complain, is_broken_pipe, output};
use anyhow::{Context, Result};
use clap::Args;
use complete::Completion;
use rustyline::error::ReadlineError;
use rustyline::history::MemHistory;
use rustyline::{CompletionType, Config, Editor};
use session::{Flow, Session};
use std::cell::RefCell;
use std::io::{BufRead, IsTerminal, Write, stderr, stdin};
use std::rc::Rc;

/// Look around in a server: mount, list, read, copy out.
///
/// On a terminal lines are edited and completed, and an error does not end the shell. Otherwise commands are read from standard
/// input, a line each; all are run, and the exit status is 0 if none of them failed. `help` lists the commands.
#[derive(Debug, Args)]
pub struct Shell {
    #[command(flatten)]
    mounts: Mounts,
}

impl Shell {
    pub fn run(&self) -> Result<()> {
        let prompts = stdin().is_terminal();
        let session = Rc::new(RefCell::new(Session::new(self.mounts.mount(false)?, prompts)));
        let mut output = output();
        if prompts {
            interactive(&session, &mut output)?;
        } else {
            script(&mut session.borrow_mut(), &mut output)?;
        }
        session.borrow_mut().mounted.unmount()
    }
}

/// Runs a line and shows what came of it.
///
/// # Errors
/// The command failed; or the output cannot be written.
fn line(session: &mut Session, line: &[u8], output: &mut Output) -> Result<Flow> {
    let words = command::words(line)?;
    if words.is_empty() {
        return Ok(Flow::GoOn);
    }
    let outcome = match command::parse(words) {
        Ok(command) => session.run(command, output),
        Err(help) if !help.use_stderr() => Ok(output.write_all(help.to_string().as_bytes()).map(|()| Flow::GoOn)?),
        Err(error) => {
            let text = error.to_string();
            Err(anyhow::anyhow!("{}", text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()))
        }
    };
    // What was read before an error is data all the same.
    output.flush()?;
    outcome
}

fn interactive(session: &Rc<RefCell<Session>>, output: &mut Output) -> Result<()> {
    let config = Config::builder().completion_type(CompletionType::List).auto_add_history(true).build();
    let mut editor = Editor::with_history(config, MemHistory::new()).context("using the terminal")?;
    editor.set_helper(Some(Completion::new(Rc::clone(session))));
    loop {
        let prompt = format!("{}> ", String::from_utf8_lossy(&session.borrow().current));
        match editor.readline(&prompt) {
            Ok(text) => match line(&mut session.borrow_mut(), text.as_bytes(), output) {
                Ok(Flow::GoOn) => {}
                Ok(Flow::Leave) => return Ok(()),
                Err(error) if is_broken_pipe(&error) => return Err(error),
                Err(error) if error.is::<Reported>() => {}
                Err(error) => complain(&error),
            },
            Err(ReadlineError::Interrupted) => writeln!(stderr(), "(`exit` leaves)")?,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(error).context("reading from the terminal"),
        }
    }
}

fn script(session: &mut Session, output: &mut Output) -> Result<()> {
    let mut failed = false;
    for (number, text) in stdin().lock().split(b'\n').enumerate() {
        let text = text.context("reading commands")?;
        match line(session, &text, output) {
            Ok(Flow::GoOn) => {}
            Ok(Flow::Leave) => break,
            Err(error) if is_broken_pipe(&error) => return Err(error),
            Err(error) => {
                failed = true;
                if !error.is::<Reported>() {
                    complain(&error.context(format!("line {}", number + 1)));
                }
            }
        }
    }
    if !failed {
        return Ok(());
    }
    session.mounted.unmount()?;
    Err(Reported.into())
}
