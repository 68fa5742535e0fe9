//! The numbered statements of how NetBSD's module system behaves, as tests: `s041_...` tests statement 41.
//! `docs/conformance.md` lists all statements with their tests, and where this library differs on purpose.
#![cfg(any(target_arch = "x86", target_arch = "x86_64"))]

mod autoload;
mod etfs;
mod late_code;
mod lifecycle;
mod modinfo;
mod object;
mod paths;
mod rename;
mod requirements;
#[path = "../support/mod.rs"]
mod support;
mod symbols;

/// The table of `docs/conformance.md` lists every statement once and names tests that exist.
#[test]
fn the_table_is_complete() {
    let table = include_str!("../../docs/conformance.md");
    let sources = [
        include_str!("autoload.rs"),
        include_str!("etfs.rs"),
        include_str!("lifecycle.rs"),
        include_str!("modinfo.rs"),
        include_str!("object.rs"),
        include_str!("paths.rs"),
        include_str!("rename.rs"),
        include_str!("requirements.rs"),
        include_str!("symbols.rs"),
        include_str!("../mount.rs"),
        include_str!("../../src/relocate/instruction.rs"),
    ]
    .concat();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| "));
    let numbers: Vec<u32> = rows.filter_map(|row| row.split(" |").next()?.parse().ok()).collect();
    assert_eq!(numbers, (1..=147).collect::<Vec<u32>>());
    let is_test = |name: &&str| {
        name.starts_with("statement_0") || (name.len() > 5 && name.starts_with('s') && name.as_bytes()[1].is_ascii_digit())
    };
    for name in table.split('`').filter(is_test) {
        assert!(sources.contains(&format!("fn {name}()")), "no test {name}");
    }
    for line in sources.lines() {
        let name = line.trim().strip_prefix("fn ").and_then(|line| line.strip_suffix("() {")).unwrap_or_default();
        if is_test(&name) {
            assert!(table.contains(&format!("`{name}`")), "the table does not list {name}");
        }
    }
}
