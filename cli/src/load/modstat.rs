//! What is shown of loaded modules.

use crate::output::{Output, json_line};
use anyhow::Result;
use rumpload::Status;
use serde::Serialize;
use std::io::Write;

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
