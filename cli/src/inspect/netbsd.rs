//! NetBSD modules.

use super::{Segment, global, kind, namespace, none_or, print_contents, relocations, requirements, segments};
use crate::output::Output;
use anyhow::Result;
use rumpload::image::{Binding, Image, Symbol};
use rumpload::metadata::netbsd::Modinfo;
use rumpload::{KernelVersion, Machine};
use rumpload_base::TRAPS;
use rumpload_base::abi::Abi;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

#[derive(Debug, Serialize)]
pub struct Module {
    flavour: &'static str,
    machine: String,
    name: String,
    class: u32,
    class_name: &'static str,
    version: u32,
    version_text: String,
    requires: Vec<String>,
    segments: Vec<Segment>,
    relocations: BTreeMap<String, u64>,
    exports: Vec<Exported>,
    imports: Vec<Imported>,
}

#[derive(Debug, Serialize)]
struct Exported {
    name: String,
    kind: &'static str,
    weak: bool,
    size: u64,
}

#[derive(Debug, Serialize)]
struct Imported {
    name: String,
    weak: bool,
    /// How many relocations of loaded sections use it.
    uses: u64,
    /// Why calling it ends the instance, if it is a declared trap of the base kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    trap: Option<&'static str>,
    /// Whether the base kernel of the module's version and machine offers it, traps included; absent if there is no such kernel.
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<bool>,
}

/// Reads what `image` says of itself; its global symbols get `prefix`.
pub fn read(image: &Image<'_>, prefix: &str) -> Result<Module> {
    let info = Modinfo::read(image)?;
    let namespace = namespace(prefix, info.version);
    let (relocations, uses) = relocations(image);
    let base = base(image, info.version);
    let full = |symbol: &Symbol<'_>| namespace.full(namespace.name(symbol.binding == Binding::Global, symbol.name));
    let mut exports: Vec<Exported> = global(image, true)
        .map(|symbol| Exported {
            name: full(&symbol),
            kind: kind(&symbol),
            weak: symbol.binding == Binding::Weak,
            size: symbol.size,
        })
        .collect();
    exports.sort_by(|one, other| one.name.cmp(&other.name));
    let mut imports: Vec<Imported> = global(image, false)
        .map(|symbol| Imported {
            name: full(&symbol),
            weak: symbol.binding == Binding::Weak,
            uses: uses.get(&symbol.index.0).copied().unwrap_or(0),
            trap: TRAPS.iter().find(|trap| trap.name == symbol.name).map(|trap| trap.reason),
            base: base.as_ref().map(|base| base.iter().any(|offered| offered.name == symbol.name)),
        })
        .collect();
    imports.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Module {
        flavour: "NetBSD",
        machine: image.machine().to_string(),
        name: info.name.to_owned(),
        class: info.class,
        class_name: class_name(info.class),
        version: info.version,
        version_text: KernelVersion(info.version).directory(),
        requires: requirements(&info),
        segments: segments(image),
        relocations,
        exports,
        imports,
    })
}

/// What the base kernel for a module offers.
fn base(image: &Image<'_>, version: u32) -> Option<Vec<rumpload_base::Symbol>> {
    let all = [Abi::netbsd_7_99_34_amd64(), Abi::netbsd_7_99_34_i386(), Abi::netbsd_10_amd64()];
    let machine = |abi: &Abi| if abi.pointer() == 8 { Machine::X86_64 } else { Machine::X86 };
    let abi = all.into_iter().find(|abi| machine(abi) == image.machine() && KernelVersion(abi.version()).accepts(version))?;
    Some(rumpload_base::symbols(abi))
}

/// Name of a module class (`modclass_t`).
fn class_name(class: u32) -> &'static str {
    match class {
        0 => "any",
        1 => "misc",
        2 => "vfs",
        3 => "driver",
        4 => "exec",
        5 => "secmodel",
        6 => "bufq",
        _ => "unknown",
    }
}

impl Module {
    pub fn print(&self, output: &mut Output) -> Result<()> {
        writeln!(output, "  flavour     {}", self.flavour)?;
        writeln!(output, "  machine     {}", self.machine)?;
        writeln!(output, "  name        {}", self.name)?;
        writeln!(output, "  class       {} ({})", self.class, self.class_name)?;
        writeln!(output, "  version     {} ({})", self.version, self.version_text)?;
        writeln!(output, "  requires    {}", none_or(&self.requires))?;
        print_contents(output, &self.segments, &self.relocations)?;
        writeln!(output, "  exports     {}", self.exports.len())?;
        for export in &self.exports {
            let weak = if export.weak { " weak" } else { "" };
            writeln!(output, "    {:<8} {:>8}  {}{weak}", export.kind, export.size, export.name)?;
        }
        writeln!(output, "  imports     {}", self.imports.len())?;
        for import in &self.imports {
            let weak = if import.weak { " weak" } else { "" };
            let from = match (import.trap, import.base) {
                (Some(reason), _) => format!(" (declared trap: {reason})"),
                (None, Some(false)) if self.requires.is_empty() => " (missing: the base kernel does not offer it)".into(),
                (None, Some(false)) => " (of a required module, or missing)".into(),
                _ => String::new(),
            };
            writeln!(output, "    {:>8} uses  {}{weak}{from}", import.uses, import.name)?;
        }
        Ok(())
    }
}
