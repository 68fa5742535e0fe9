//! `rumpload inspect`: what a module is and wants, without loading anything.

use crate::output::{Output, Reported, json_line, output, text};
use anyhow::Result;
use clap::Args;
use rumpload::image::{Binding, Definition, Image, Section, Symbol, SymbolType};
use rumpload::metadata::netbsd::Modinfo;
use rumpload::registry::Era;
use rumpload::rename::{ExemptRules, Namespace};
use rumpload::{KernelVersion, Machine};
use rumpload_base::TRAPS;
use rumpload_base::abi::Abi;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Show what modules are: machine, name, version, requirements, segments, relocations, exports and imports.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Module files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Prefix that the namespace gives to global symbols; empty to rename nothing.
    #[arg(long, default_value = "rumpns_")]
    prefix: String,
    /// One line of JSON per file.
    #[arg(long)]
    json: bool,
}

/// All that is told of a file.
#[derive(Debug, Serialize)]
struct Report {
    file: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    module: Option<Module>,
}

#[derive(Debug, Serialize)]
struct Module {
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
struct Segment {
    name: &'static str,
    access: &'static str,
    size: u64,
    sections: Vec<String>,
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

impl Inspect {
    pub fn run(&self) -> Result<()> {
        let mut output = output();
        let mut failed = false;
        for file in &self.files {
            let (module, error) = match self.module(file) {
                Ok(module) => (Some(module), None),
                Err(error) => (None, Some(text(&error))),
            };
            failed |= error.is_some();
            let report = Report { file: file.display().to_string(), error, module };
            if self.json { json_line(&mut output, &report)? } else { report.print(&mut output)? }
        }
        output.flush()?;
        if failed { Err(Reported.into()) } else { Ok(()) }
    }

    fn module(&self, file: &Path) -> Result<Module> {
        let bytes = std::fs::read(file)?;
        let image = Image::parse(&bytes)?;
        let info = Modinfo::read(&image)?;
        let namespace = namespace(&self.prefix, info.version);
        let (relocations, uses) = relocations(&image);
        let base = base(&image, info.version);
        let named = |symbol: &Symbol<'_>| {
            let global = matches!(symbol.binding, Binding::Global | Binding::Weak);
            global && !symbol.name.is_empty()
        };
        let full = |symbol: &Symbol<'_>| namespace.full(namespace.name(symbol.binding == Binding::Global, symbol.name));
        let mut exports: Vec<Exported> = image
            .symbols()
            .filter(|symbol| named(symbol) && !matches!(symbol.definition, Definition::Undefined))
            .map(|symbol| Exported {
                name: full(&symbol),
                kind: kind(&symbol),
                weak: symbol.binding == Binding::Weak,
                size: symbol.size,
            })
            .collect();
        exports.sort_by(|one, other| one.name.cmp(&other.name));
        let mut imports: Vec<Imported> = image
            .symbols()
            .filter(|symbol| named(symbol) && matches!(symbol.definition, Definition::Undefined))
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
            segments: segments(&image),
            relocations,
            exports,
            imports,
        })
    }
}

/// Names of the required modules: one leading comma is skipped, and an empty element ends the list, as NetBSD reads it.
pub fn requirements(info: &Modinfo<'_>) -> Vec<String> {
    let list = info.required.unwrap_or("");
    let list = list.strip_prefix(',').unwrap_or(list);
    list.split(',').take_while(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The namespace of `prefix` by the rules of the kernel that a module was built for.
pub fn namespace(prefix: &str, version: u32) -> Namespace {
    let modern = KernelVersion(version).era() == Era::Netbsd10;
    Namespace::new(prefix, if modern { ExemptRules::Since2020 } else { ExemptRules::Before2020 })
}

/// What the base kernel for a module offers.
fn base(image: &Image<'_>, version: u32) -> Option<Vec<rumpload_base::Symbol>> {
    let all = [Abi::netbsd_7_99_34_amd64(), Abi::netbsd_7_99_34_i386(), Abi::netbsd_10_amd64()];
    let machine = |abi: &Abi| if abi.pointer() == 8 { Machine::X86_64 } else { Machine::X86 };
    let abi = all.into_iter().find(|abi| machine(abi) == image.machine() && KernelVersion(abi.version()).accepts(version))?;
    Some(rumpload_base::symbols(abi))
}

/// Relocations of loaded sections: how many of each type, and how many per symbol.
fn relocations(image: &Image<'_>) -> (BTreeMap<String, u64>, BTreeMap<u32, u64>) {
    let mut types: BTreeMap<u32, u64> = BTreeMap::new();
    let mut uses: BTreeMap<u32, u64> = BTreeMap::new();
    for section in image.sections() {
        let target = section.relocates().and_then(|index| image.section(index));
        if !target.is_some_and(|target| target.is_loadable()) {
            continue;
        }
        for relocation in section.relocations() {
            *types.entry(relocation.kind).or_default() += 1;
            *uses.entry(relocation.symbol.0).or_default() += 1;
        }
    }
    let name = |number: u32| match image.machine().relocation_name(number) {
        "" => format!("type {number}"),
        name => name.to_owned(),
    };
    (types.into_iter().map(|(number, count)| (name(number), count)).collect(), uses)
}

/// The loaded sections by what they allow.
fn segments(image: &Image<'_>) -> Vec<Segment> {
    let group = |name, access, wanted: &dyn Fn(&Section<'_>) -> bool| {
        let sections: Vec<Section<'_>> =
            image.sections().filter(|section| section.is_loadable() && section.size() != 0 && wanted(section)).collect();
        Segment {
            name,
            access,
            size: sections.iter().map(Section::size).fold(0, u64::saturating_add),
            sections: sections.iter().map(|section| section.name().to_owned()).collect(),
        }
    };
    let groups = [
        group("text", "r-x", &|section| section.is_executable()),
        group("rodata", "r--", &|section| !section.is_executable() && !section.is_writable()),
        group("data", "rw-", &|section| !section.is_executable() && section.is_writable()),
    ];
    groups.into_iter().filter(|segment| !segment.sections.is_empty()).collect()
}

fn kind(symbol: &Symbol<'_>) -> &'static str {
    match (symbol.definition, symbol.kind) {
        (Definition::Absolute, _) => "absolute",
        (Definition::Common, _) => "common",
        (_, SymbolType::Function) => "function",
        (_, SymbolType::Object) => "data",
        _ => "symbol",
    }
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

impl Report {
    fn print(&self, output: &mut Output) -> Result<()> {
        writeln!(output, "{}", self.file)?;
        if let Some(error) = &self.error {
            writeln!(output, "  error       {error}")?;
        }
        let Some(module) = &self.module else { return Ok(()) };
        let none_or = |list: &[String]| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
        writeln!(output, "  flavour     {}", module.flavour)?;
        writeln!(output, "  machine     {}", module.machine)?;
        writeln!(output, "  name        {}", module.name)?;
        writeln!(output, "  class       {} ({})", module.class, module.class_name)?;
        writeln!(output, "  version     {} ({})", module.version, module.version_text)?;
        writeln!(output, "  requires    {}", none_or(&module.requires))?;
        writeln!(output, "  segments")?;
        for segment in &module.segments {
            let sections = segment.sections.join(" ");
            writeln!(output, "    {:<8} {} {:>9} bytes  {sections}", segment.name, segment.access, segment.size)?;
        }
        writeln!(output, "  relocations")?;
        for (name, count) in &module.relocations {
            writeln!(output, "    {count:>8}  {name}")?;
        }
        writeln!(output, "  exports     {}", module.exports.len())?;
        for export in &module.exports {
            let weak = if export.weak { " weak" } else { "" };
            writeln!(output, "    {:<8} {:>8}  {}{weak}", export.kind, export.size, export.name)?;
        }
        writeln!(output, "  imports     {}", module.imports.len())?;
        for import in &module.imports {
            let weak = if import.weak { " weak" } else { "" };
            let from = match (import.trap, import.base) {
                (Some(reason), _) => format!(" (declared trap: {reason})"),
                (None, Some(false)) if module.requires.is_empty() => " (missing: the base kernel does not offer it)".into(),
                (None, Some(false)) => " (of a required module, or missing)".into(),
                _ => String::new(),
            };
            writeln!(output, "    {:>8} uses  {}{weak}{from}", import.uses, import.name)?;
        }
        Ok(())
    }
}
