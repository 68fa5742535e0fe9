//! `rumpload`: looks at, links and runs stock kernel modules from the command line.
//!
//! Data goes to standard output, messages and progress to standard error; the exit status is 0 only on success.

mod extract;
mod failures;
mod files;
mod index;
mod insert;
mod inspect;
mod link;
mod listing;
mod load;
mod mount;
mod mounts;
mod options;
mod output;
mod progress;
mod server;
mod shell;
mod traps;
mod walk;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Stock kernel modules: look at them, link them, run file systems out of them.
#[derive(Debug, Parser)]
#[command(name = "rumpload", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Inspect(inspect::Inspect),
    Link(link::Link),
    Index(index::Index),
    Depends(index::Depends),
    Resolve(index::Resolve),
    Load(load::Load),
    Mount(mount::Mount),
    Shell(shell::Shell),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Inspect(inspect) => inspect.run(),
        Command::Link(link) => link.run(),
        Command::Index(index) => index.run(),
        Command::Depends(depends) => depends.run(),
        Command::Resolve(resolve) => resolve.run(),
        Command::Load(load) => load.run(),
        Command::Mount(mount) => mount.run(),
        Command::Shell(shell) => shell.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough; there is nobody to tell, and it was not a success.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::from(141),
        // What went wrong was the result, and has been printed.
        Err(error) if error.is::<output::Reported>() => ExitCode::FAILURE,
        Err(error) => {
            output::complain(&error);
            ExitCode::FAILURE
        }
    }
}
