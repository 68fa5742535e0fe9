//! Completion of what is typed: commands, and what their arguments name.

use super::command::Line;
use super::path::joined;
use super::session::Session;
use clap::CommandFactory;
use rumpload_base::FileKind;
use rustyline::completion::{Completer, FilenameCompleter, Pair, Quote, escape, extract_word, unescape};
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::rc::Rc;

/// What a word of a line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Command,
    /// A path inside the server.
    Inside,
    /// A path on the host.
    Host,
    /// A module that could be loaded.
    Module,
    /// A module that is loaded.
    Active,
    /// A directory with a mount.
    Mounted,
    Nothing,
}

/// What the word after `before` names.
fn named(before: &[&str]) -> Named {
    let Some((command, arguments)) = before.split_first() else { return Named::Command };
    let place = arguments.iter().filter(|word| !word.starts_with('-')).count();
    match (*command, place) {
        ("ls" | "cat" | "stat", _) | ("walk" | "cd" | "cp", 0) | ("mount", 2) => Named::Inside,
        ("cp", 1) | ("mount", 1) => Named::Host,
        ("load" | "mount", 0) => Named::Module,
        ("unload", 0) => Named::Active,
        ("umount", 0) => Named::Mounted,
        ("help", 0) => Named::Command,
        _ => Named::Nothing,
    }
}

/// Characters that a shell takes for something else unless they are escaped.
fn special(character: char) -> bool {
    character.is_whitespace() || "\\'\"#".contains(character)
}

/// Completes lines of a session.
pub struct Completion {
    session: Rc<RefCell<Session>>,
    host: FilenameCompleter,
}

impl Completion {
    pub fn new(session: Rc<RefCell<Session>>) -> Self {
        Self { session, host: FilenameCompleter::new() }
    }

    /// Names that begin as `typed` does. What cannot be read has none.
    fn names(&self, named: Named, typed: &str) -> Vec<String> {
        let session = self.session.borrow();
        let kernel = &session.mounted.server.kernel;
        let all: Vec<String> = match named {
            Named::Command => {
                let grammar = Line::command();
                grammar.get_subcommands().map(|command| command.get_name().to_owned()).chain(["help".to_owned()]).collect()
            }
            Named::Inside => return inside(&session, typed),
            Named::Module => crate::load::names(&session.mounted.server.modules).unwrap_or_default(),
            Named::Active => {
                kernel.instance().stat().map_or_else(|_| Vec::new(), |list| list.into_iter().map(|status| status.name).collect())
            }
            Named::Mounted => session.mounted.mounts.iter().map(|mount| mount.directory.clone()).collect(),
            Named::Host | Named::Nothing => Vec::new(),
        };
        let mut names: Vec<String> = all.into_iter().filter(|name| name.starts_with(typed)).collect();
        names.sort();
        names
    }
}

/// Paths inside the server that begin as `typed` does, directories with a slash at the end.
fn inside(session: &Session, typed: &str) -> Vec<String> {
    let (directory, begin) = typed.rfind('/').map_or(("", typed), |at| typed.split_at(at + 1));
    let path = joined(&session.current, OsStr::new(directory).as_encoded_bytes());
    let kernel = &session.mounted.server.kernel;
    let Ok(entries) = kernel.read_directory(&path) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .into_iter()
        // Names that are no text cannot be typed.
        .filter_map(|entry| String::from_utf8(entry.name).ok())
        .filter(|name| name.starts_with(begin) && !matches!(name.as_str(), "." | ".."))
        .map(|name| {
            let stat = kernel.stat([path.as_slice(), b"/", name.as_bytes()].concat());
            let slash = if stat.is_ok_and(|stat| stat.kind == FileKind::Directory) { "/" } else { "" };
            format!("{directory}{name}{slash}")
        })
        .collect();
    names.sort();
    names
}

impl Completer for Completion {
    type Candidate = Pair;

    fn complete(&self, line: &str, position: usize, _context: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let (start, word) = extract_word(line, position, Some('\\'), special);
        let before: Vec<&str> = line[..start].split_whitespace().collect();
        let named = named(&before);
        if named == Named::Host {
            return self.host.complete_path(line, position);
        }
        let typed = unescape(word, Some('\\'));
        let pairs = self.names(named, &typed).into_iter().map(|name| {
            let shown = name.trim_end_matches('/').rsplit('/').next().unwrap_or(&name);
            let end = if name.ends_with('/') { "/" } else { "" };
            let display = format!("{shown}{end}");
            // The next word can follow, unless the path goes on.
            let gap = if end.is_empty() { " " } else { "" };
            Pair { display, replacement: escape(name, Some('\\'), special, Quote::None) + gap }
        });
        Ok((start, pairs.collect()))
    }
}

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Hinter for Completion {
    type Hint = String;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_what_their_command_says() {
        for (before, expected) in [
            ("", Named::Command),
            ("help", Named::Command),
            ("ls -l a", Named::Inside),
            ("cp", Named::Inside),
            ("cp a", Named::Host),
            ("cp a b", Named::Nothing),
            ("mount", Named::Module),
            ("mount cd9660", Named::Host),
            ("mount cd9660 x.iso", Named::Inside),
            ("umount -f", Named::Mounted),
            ("load", Named::Module),
            ("unload", Named::Active),
            ("pwd", Named::Nothing),
        ] {
            assert_eq!(named(&before.split_whitespace().collect::<Vec<_>>()), expected, "{before}");
        }
    }
}
