//! What can be typed into the shell.

use crate::options::Options;
use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One line.
#[derive(Debug, Parser)]
#[command(multicall = true, disable_version_flag = true, about = "Look into the file systems of this server.")]
pub struct Line {
    #[command(subcommand)]
    pub command: Command,
}

/// Paths are those inside the server, from the directory the shell is in, unless it says otherwise.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List directories and files.
    Ls {
        /// Attributes and targets of links too.
        #[arg(short)]
        long: bool,
        /// What to list; by default the directory the shell is in.
        #[arg(value_name = "PATH")]
        paths: Vec<OsString>,
    },
    /// Write the bytes of files.
    Cat {
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<OsString>,
    },
    /// Show all attributes of files; symbolic links are not followed.
    Stat {
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<OsString>,
    },
    /// Copy a file or a tree out of the server.
    Cp {
        #[arg(value_name = "PATH")]
        from: OsString,
        /// Where to on the host: a name that does not exist, or a directory to copy into.
        #[arg(value_name = "TO")]
        to: PathBuf,
    },
    /// Write one line per regular file: SHA-256, two blanks, path from there; sorted by path.
    Walk {
        /// Where to begin; by default the directory the shell is in.
        #[arg(value_name = "DIR", default_value = "")]
        directory: OsString,
    },
    /// Go to a directory; by default to where the shell started.
    Cd {
        #[arg(value_name = "DIR")]
        directory: Option<OsString>,
    },
    /// Show the directory the shell is in.
    Pwd,
    /// Mount a file system; its module comes by itself.
    Mount {
        /// Its type.
        #[arg(value_name = "TYPE")]
        kind: String,
        /// Its image on the host, or `none` for types that have no image.
        #[arg(value_name = "IMAGE")]
        image: PathBuf,
        /// Where to; a directory of the server's own root is made.
        #[arg(value_name = "DIR")]
        directory: OsString,
        /// As -o of `rumpload mount`.
        #[arg(short = 'o', value_name = "OPTIONS", default_value = "")]
        options: Options,
    },
    /// Unmount a file system.
    Umount {
        /// Even if files of it are open.
        #[arg(short)]
        force: bool,
        #[arg(value_name = "DIR")]
        directory: OsString,
    },
    /// Show how full the file systems are.
    Df,
    /// Show what is mounted.
    Mounts,
    /// Show the modules that are loaded, newest first.
    Modstat,
    /// Show what the kernel holds: memory, vnodes, buffers, names.
    Usage,
    /// Load a module, and what it requires.
    Load {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Unload a module that is not in use.
    Unload {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Unmount everything and leave, as the end of the input does.
    #[command(visible_alias = "quit")]
    Exit,
}

/// Words of a line as a POSIX shell splits it: quotes, backslashes, comments behind `#`. Nothing is expanded.
///
/// # Errors
/// A quote is not closed.
pub fn words(line: &[u8]) -> Result<Vec<OsString>> {
    let words = shlex::bytes::split(line).ok_or_else(|| anyhow!("a quote is not closed, or a backslash ends the line"))?;
    Ok(words.into_iter().map(OsString::from_vec).collect())
}

/// What a line of `words` means.
///
/// # Errors
/// It is no command, with a message for people; or it asks for help, which is the message.
pub fn parse(words: Vec<OsString>) -> Result<Command, clap::Error> {
    Line::try_parse_from(words).map(|line| line.command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound() {
        Line::command().debug_assert();
    }

    #[test]
    fn lines_become_commands() {
        let command = parse(words(b"ls -l 'a b' c\\ d # comment").expect("words")).expect("a command");
        let Command::Ls { long: true, paths } = command else { panic!("{command:?}") };
        assert_eq!(paths, ["a b", "c d"]);
        assert!(words(b"cat 'a").is_err());
        assert!(words(b"  # nothing").expect("words").is_empty());
        for line in ["no_such", "cat", "cp a", "ls -x", "mount cd9660 x.iso", "mount a b c -o sector=7"] {
            let error = parse(words(line.as_bytes()).expect("words")).expect_err(line);
            assert!(error.use_stderr(), "{line}: {error}");
        }
        let error = parse(words(b"help cp").expect("words")).expect_err("it asks for help");
        assert!(!error.use_stderr() && error.to_string().contains("TO"), "{error}");
    }
}
