//! Which exported functions the unit tests of `base` call, as its sources show.

use crate::repository;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A test: where it is and what it does.
struct UnitTest {
    /// Source file, from `base/src`, without its ending.
    file: String,
    name: String,
    body: String,
}

/// By symbol, a test that calls it: `kern/string: lengths_and_order`.
pub fn tested() -> BTreeMap<String, String> {
    let root = repository("base/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let texts: Vec<(String, String)> = files
        .iter()
        .map(|path| {
            let name = path.strip_prefix(&root).expect("below it").with_extension("").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(path).expect("a source file"))
        })
        .collect();
    let tests: Vec<UnitTest> = texts.iter().flat_map(|(file, text)| tests_of(file, text)).collect();
    let mut tested = BTreeMap::new();
    for (file, text) in &texts {
        for (symbol, function) in exported(text) {
            let near = |test: &&UnitTest| test.file == *file || test.file.strip_suffix("/tests") == Some(directory(file));
            if let Some(test) = tests.iter().filter(near).find(|test| calls(&test.body, function)) {
                tested.insert(symbol.to_owned(), format!("{}: {}", test.file, test.name));
            }
        }
    }
    tested
}

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The module that a file's tests in `tests.rs` belong to: `kern/autoconf/mod` and `kern/autoconf/attach` to `kern/autoconf`.
fn directory(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// `function!("symbol", path)`: symbols and the last parts of paths.
fn exported(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("function!(\"").skip(1).filter_map(|rest| {
        let (symbol, rest) = rest.split_once("\", ")?;
        let (path, _) = rest.split_once(')')?;
        Some((symbol, path.rsplit("::").next()?))
    })
}

fn tests_of<'t>(file: &'t str, text: &'t str) -> impl Iterator<Item = UnitTest> + 't {
    text.split("#[test]").skip(1).filter_map(|rest| {
        let (_, rest) = rest.split_once("fn ")?;
        let (name, rest) = rest.split_once('(')?;
        // A function ends where a line closes with no more than the indentation it was opened with.
        let end = ["\n}\n", "\n    }\n"].iter().filter_map(|end| rest.find(end)).min().unwrap_or(rest.len());
        Some(UnitTest { file: file.into(), name: name.into(), body: rest[..end].into() })
    })
}

/// Whether `body` calls `function`.
fn calls(body: &str, function: &str) -> bool {
    body.match_indices(function).any(|(at, _)| {
        let before = body[..at].chars().next_back();
        let whole = !before.is_some_and(|before| before.is_alphanumeric() || before == '_' || before == '.');
        whole && body[at + function.len()..].starts_with('(')
    })
}
