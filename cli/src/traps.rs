//! Which declared traps modules link against.

use crate::inspect::requirements;
use rumpload::image::{Definition, Image};
use rumpload::metadata::netbsd::Modinfo;
use rumpload_base::{TRAPS, Trap};
use std::collections::BTreeSet;
use std::path::Path;

/// The traps that the module `name` of a directory, and those it requires, link against: module and trap. What cannot be read
/// is left out: loading says why.
pub fn of_module(modules: &Path, name: &str) -> Vec<(String, &'static Trap)> {
    let (mut seen, mut next, mut found) = (BTreeSet::new(), vec![name.to_owned()], Vec::new());
    while let Some(name) = next.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Ok(bytes) = std::fs::read(modules.join(&name).join(format!("{name}.kmod"))) else { continue };
        let Ok(image) = Image::parse(&bytes) else { continue };
        let undefined = image.symbols().filter(|symbol| matches!(symbol.definition, Definition::Undefined));
        let traps = undefined.filter_map(|symbol| TRAPS.iter().find(|trap| trap.name == symbol.name));
        found.extend(traps.map(|trap| (name.clone(), trap)));
        if let Ok(info) = Modinfo::read(&image) {
            next.extend(requirements(&info));
        }
    }
    found
}
