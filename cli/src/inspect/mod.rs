//! `rumpload inspect`: what a module is and wants, without loading anything.

mod linux;
mod netbsd;

use crate::output::{Output, Reported, json_line, output, text};
use anyhow::{Result, anyhow};
use clap::Args;
use rumpload::image::{Binding, Definition, Image, Section, Symbol, SymbolType};
use rumpload::metadata::netbsd::Modinfo;
use rumpload::registry::Era;
use rumpload::rename::{ExemptRules, Namespace};
use rumpload::{Flavour, KernelVersion};
use rumpload_hosted::{MAX_UNPACKED, unpack};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Show what modules are: machine, name, version, requirements, segments, relocations, exports and imports; of Linux modules,
/// compressed or not, also license, aliases, signature and checksums.
#[derive(Debug, Args)]
pub struct Inspect {
    /// Module files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Prefix that the namespace gives to global symbols of NetBSD modules; empty to rename nothing.
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
#[serde(untagged)]
enum Module {
    NetBsd(netbsd::Module),
    Linux(linux::Module),
}

#[derive(Debug, Serialize)]
struct Segment {
    name: &'static str,
    access: &'static str,
    size: u64,
    sections: Vec<String>,
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
        let bytes = unpack(&bytes, MAX_UNPACKED).map_err(|error| anyhow!("unpacking: {error}"))?;
        let image = Image::parse(&bytes)?;
        match Flavour::of(&image) {
            Some(Flavour::Linux) => linux::read(&image).map(Module::Linux),
            _ => netbsd::read(&image, &self.prefix).map(Module::NetBsd),
        }
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

/// The symbols that other modules may see or have: global and weak ones.
fn global<'a>(image: &Image<'a>, defined: bool) -> impl Iterator<Item = Symbol<'a>> + use<'a> {
    image.symbols().filter(move |symbol| {
        let global = matches!(symbol.binding, Binding::Global | Binding::Weak);
        global && !symbol.name.is_empty() && defined != matches!(symbol.definition, Definition::Undefined)
    })
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

impl Report {
    fn print(&self, output: &mut Output) -> Result<()> {
        writeln!(output, "{}", self.file)?;
        if let Some(error) = &self.error {
            writeln!(output, "  error       {error}")?;
        }
        match &self.module {
            Some(Module::NetBsd(module)) => module.print(output),
            Some(Module::Linux(module)) => module.print(output),
            None => Ok(()),
        }
    }
}

/// `names`, or that there are none.
fn none_or(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn print_contents(output: &mut Output, segments: &[Segment], relocations: &BTreeMap<String, u64>) -> Result<()> {
    writeln!(output, "  segments")?;
    for segment in segments {
        let sections = segment.sections.join(" ");
        writeln!(output, "    {:<8} {} {:>9} bytes  {sections}", segment.name, segment.access, segment.size)?;
    }
    writeln!(output, "  relocations")?;
    for (name, count) in relocations {
        writeln!(output, "    {count:>8}  {name}")?;
    }
    Ok(())
}
