//! Every symbol that the base kernel offers has a test that fails without it, or a reason why not: `docs/symbols.md` is the
//! table.
//!
//! A symbol counts as tested if a scenario calls it (or, for a variable, links against it) and fails in a kernel where it does
//! nothing; if a unit test of the base calls it; or if `tests/symbols/uncovered.tsv` says why there is no such test. Traps are
//! called one by one. `RUMPLOAD_WRITE_TABLE=1` writes the table instead of comparing it.
#![cfg(target_arch = "x86_64")]

#[path = "../support/disk.rs"]
mod disk;
#[path = "../support/kernel.rs"]
mod kernel;
mod sabotage;
mod scenario;
#[path = "../support/mod.rs"]
mod support;
mod units;
mod writing;

use kernel::Server;
use rumpload_base::abi::Abi;
use rumpload_base::{Symbol, SymbolKind, TRAPS, symbols};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// What the base offers to any of the kernels it has a table of.
fn offered() -> Vec<Symbol> {
    let all = [Abi::netbsd_7_99_34_amd64(), Abi::netbsd_7_99_34_i386(), Abi::netbsd_10_amd64()];
    let all: BTreeSet<Symbol> = all.into_iter().flat_map(symbols).collect();
    all.into_iter().collect()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Symbols without a test, and why.
fn uncovered() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(repository("tests/symbols/uncovered.tsv")).expect("the list of uncovered symbols");
    let lines = text.lines().skip(1).filter(|line| !line.is_empty());
    lines
        .map(|line| line.split_once('\t').unwrap_or_else(|| panic!("{line}: no reason")))
        .map(|(name, why)| (name.into(), why.into()))
        .collect()
}

#[test]
fn every_symbol_has_a_test_that_fails_without_it() {
    // The program calls itself for each symbol: a kernel without one may do anything.
    sabotage::child();
    let covered = scenario::covered();
    let candidates: Vec<(Symbol, Vec<String>)> = offered()
        .into_iter()
        .filter(|symbol| symbol.kind != SymbolKind::Trap)
        .map(|symbol| (symbol, covered.get(symbol.name).cloned().unwrap_or_default()))
        .collect();
    let proven = sabotage::proven(&candidates);
    let units = units::tested();
    let mut reasons = uncovered();
    let mut problems = Vec::new();
    let mut table = String::from(
        "# Symbols and their tests\n\nWritten by `RUMPLOAD_WRITE_TABLE=1 cargo test --test symbols`; `tests/run` fails where it is not \
         true.\n\n- *module*: the sample module, or the scenario of `tests/symbols/scenario.rs`, that fails where the symbol does \
         nothing (a variable: is zero);\n- *unit test*: a test of `base` that calls the function;\n- *not tested*: why.\n\n\
         | symbol | kind | test |\n|---|---|---|\n",
    );
    for symbol in offered() {
        let test = match (proven.get(symbol.name), units.get(symbol.name)) {
            _ if symbol.kind == SymbolKind::Trap => "module: the instance ends with its name".to_owned(),
            (Some(scenario), _) => format!("module `{scenario}`"),
            (None, Some(test)) => format!("unit test `{test}`"),
            (None, None) => match reasons.remove(symbol.name) {
                Some(reason) => format!("not tested: {reason}"),
                None => {
                    let called =
                        covered.get(symbol.name).map_or("nowhere called".into(), |by| format!("called by {}", by.join(", ")));
                    problems.push(format!("{}: no test fails without it ({called})", symbol.name));
                    continue;
                }
            },
        };
        let kind = format!("{:?}", symbol.kind).to_lowercase();
        writeln!(table, "| `{}` | {kind} | {test} |", symbol.name).expect("a string grows");
    }
    problems.extend(reasons.keys().map(|name| format!("{name}: listed as uncovered, but it is tested or not offered")));
    assert!(problems.is_empty(), "{} symbols:\n{}", problems.len(), problems.join("\n"));
    let path = repository("docs/symbols.md");
    if std::env::var_os("RUMPLOAD_WRITE_TABLE").is_some() {
        std::fs::write(path, table).expect("written");
    } else {
        let kept = std::fs::read_to_string(path).expect("docs/symbols.md");
        assert!(kept == table, "docs/symbols.md is out of date: run it with RUMPLOAD_WRITE_TABLE=1");
    }
}

#[test]
fn a_trap_ends_its_instance_with_its_name() {
    for trap in TRAPS {
        let server = Server::new();
        let instance = server.kernel.instance();
        let address = instance.symbol(trap.name).unwrap_or_else(|| panic!("{} is not offered", trap.name));
        let entry = std::ptr::with_exposed_provenance::<()>(address.get() as usize);
        // SAFETY: every trap is a function that takes no notice of its arguments.
        let entry = unsafe { std::mem::transmute::<*const (), extern "C" fn()>(entry) };
        let error = instance.enter(|| entry()).expect_err(trap.name).to_string();
        assert!(error.contains(trap.name) && error.contains(trap.reason), "{error}");
    }
}
