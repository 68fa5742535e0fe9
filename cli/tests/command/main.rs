//! The command-line tool as people run it: what it writes where, and how it ends.
#![cfg(any(target_arch = "x86_64", target_arch = "x86"))]

mod inspect;
mod link;
mod load;
mod mount;
mod shell;
mod support;

use support::run;

#[test]
fn each_command_documents_each_of_its_options() {
    for command in ["inspect", "link", "load", "mount", "shell"] {
        let help = run(&[command, "--help"]).succeeded();
        let lines = help.lines();
        for (index, line) in lines.iter().enumerate() {
            let option = line.trim_start();
            let positional = option.starts_with(['[', '<']) && line.starts_with("  ") && !line.starts_with("    ");
            let indent = line.len() - option.len();
            if (option.starts_with('-') && (1..10).contains(&indent)) || positional {
                let beside = option.split_once("  ").is_some_and(|(_, text)| !text.trim().is_empty());
                let below = lines.get(index + 1).is_some_and(|next| next.starts_with("          "));
                assert!(beside || below, "{command}: {option} is not documented");
            }
        }
        assert!(help.text().contains("Usage: rumpload "), "{}", help.text());
    }
}

#[test]
fn nonsense_is_refused_with_the_usage() {
    for arguments in [&[][..], &["frobnicate"], &["mount"], &["mount", "--modules", "."], &["link"], &["load", "--modules", "."]]
    {
        let outcome = run(arguments);
        assert_eq!(outcome.status, Some(2), "{arguments:?}: {outcome:?}");
        assert!(outcome.errors.contains("Usage:") && outcome.bytes.is_empty(), "{arguments:?}: {outcome:?}");
    }
}
