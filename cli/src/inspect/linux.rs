//! Linux modules.

use super::{Segment, global, none_or, print_contents, relocations, segments};
use crate::output::Output;
use anyhow::Result;
use rumpload::image::{Binding, Image};
use rumpload::metadata::linux::{Modinfo, Signature, ThisModule, exports, signature, versions};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;

#[derive(Debug, Serialize)]
pub struct Module {
    flavour: &'static str,
    machine: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    vermagic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    license: Option<String>,
    /// Whether the license lets it use what is exported to GPL modules only.
    gpl: bool,
    signature: &'static str,
    /// Whether something runs when it is loaded.
    init: bool,
    /// Whether it can be unloaded once that has run.
    exit: bool,
    depends: Vec<String>,
    /// Wanted before it where they exist, and after it.
    soft_before: Vec<String>,
    soft_after: Vec<String>,
    aliases: Vec<String>,
    /// Namespaces of exports that it asks for.
    imported_namespaces: Vec<String>,
    parameters: Vec<Parameter>,
    segments: Vec<Segment>,
    relocations: BTreeMap<String, u64>,
    exports: Vec<Exported>,
    imports: Vec<Imported>,
}

#[derive(Debug, Serialize)]
struct Parameter {
    name: String,
    kind: String,
    description: String,
}

#[derive(Debug, Serialize)]
struct Exported {
    name: String,
    kind: &'static str,
    gpl: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Imported {
    name: String,
    weak: bool,
    /// How many relocations of loaded sections use it.
    uses: u64,
    /// The checksum it was built against.
    #[serde(skip_serializing_if = "Option::is_none")]
    crc: Option<u32>,
}

/// Reads what `image` says of itself.
pub fn read(image: &Image<'_>) -> Result<Module> {
    let info = Modinfo::read(image)?;
    let this = ThisModule::read(image)?;
    let (relocations, uses) = relocations(image);
    let checksums: HashMap<&str, u32> = versions(image)?.map(|version| (version.name, version.crc)).collect();
    let mut exported = Vec::new();
    exports(image, |export| {
        exported.push(Exported {
            name: export.name.to_owned(),
            kind: if export.is_function { "function" } else { "data" },
            gpl: export.gpl,
            namespace: export.namespace.to_owned(),
            crc: export.crc,
        });
    })?;
    exported.sort_by(|one, other| one.name.cmp(&other.name));
    let mut imports: Vec<Imported> = global(image, false)
        .map(|symbol| Imported {
            name: symbol.name.to_owned(),
            weak: symbol.binding == Binding::Weak,
            uses: uses.get(&symbol.index.0).copied().unwrap_or(0),
            crc: checksums.get(symbol.name).copied(),
        })
        .collect();
    imports.sort_by(|one, other| one.name.cmp(&other.name));
    let soft = |before| info.soft_dependencies().filter(move |soft| soft.before == before).map(|soft| soft.name.to_owned());
    let parameter = |(name, kind, description): (&str, &str, &str)| Parameter {
        name: name.to_owned(),
        kind: kind.to_owned(),
        description: description.to_owned(),
    };
    Ok(Module {
        flavour: "Linux",
        machine: image.machine().to_string(),
        name: info.name().to_owned(),
        vermagic: info.vermagic().map(|text| text.trim_end().to_owned()),
        license: info.get("license").map(str::to_owned),
        gpl: info.is_gpl(),
        signature: match signature(image.bytes()) {
            Signature::None => "none",
            Signature::Appended { .. } => "appended, not verified",
            Signature::Broken => "broken",
        },
        init: this.init.is_some(),
        exit: this.exit.is_some(),
        depends: info.depends().map(str::to_owned).collect(),
        soft_before: soft(true).collect(),
        soft_after: soft(false).collect(),
        aliases: info.aliases().map(str::to_owned).collect(),
        imported_namespaces: info.imported_namespaces().map(str::to_owned).collect(),
        parameters: info.parameters().map(parameter).collect(),
        segments: segments(image),
        relocations,
        exports: exported,
        imports,
    })
}

/// A checksum as tools print it.
fn checksum(crc: Option<u32>) -> String {
    crc.map_or_else(|| "-".to_owned(), |crc| format!("{crc:#010x}"))
}

impl Module {
    pub fn print(&self, output: &mut Output) -> Result<()> {
        writeln!(output, "  flavour     {}", self.flavour)?;
        writeln!(output, "  machine     {}", self.machine)?;
        writeln!(output, "  name        {}", self.name)?;
        writeln!(output, "  vermagic    {}", self.vermagic.as_deref().unwrap_or("none"))?;
        let gpl = if self.gpl { "" } else { " (nothing exported to GPL modules only)" };
        writeln!(output, "  license     {}{gpl}", self.license.as_deref().unwrap_or("none"))?;
        writeln!(output, "  signature   {}", self.signature)?;
        let routines = match (self.init, self.exit) {
            (true, true) => "init, exit",
            (true, false) => "init; it cannot be unloaded",
            (false, true) => "exit",
            (false, false) => "none",
        };
        writeln!(output, "  routines    {routines}")?;
        writeln!(output, "  depends     {}", none_or(&self.depends))?;
        for (what, names) in
            [("soft before", &self.soft_before), ("soft after", &self.soft_after), ("namespaces", &self.imported_namespaces)]
        {
            if !names.is_empty() {
                writeln!(output, "  {what:<11} {}", names.join(", "))?;
            }
        }
        writeln!(output, "  aliases     {}", self.aliases.len())?;
        for alias in &self.aliases {
            writeln!(output, "    {alias}")?;
        }
        writeln!(output, "  parameters  {}", self.parameters.len())?;
        for parameter in &self.parameters {
            let line = format!("    {:<8} {}  {}", parameter.kind, parameter.name, parameter.description);
            writeln!(output, "{}", line.trim_end())?;
        }
        print_contents(output, &self.segments, &self.relocations)?;
        writeln!(output, "  exports     {}", self.exports.len())?;
        for export in &self.exports {
            let gpl = if export.gpl { " (GPL only)" } else { "" };
            let namespace = match export.namespace.as_str() {
                "" => String::new(),
                namespace => format!(" (namespace {namespace})"),
            };
            writeln!(output, "    {:<8} {:>10}  {}{gpl}{namespace}", export.kind, checksum(export.crc), export.name)?;
        }
        writeln!(output, "  imports     {}", self.imports.len())?;
        for import in &self.imports {
            let weak = if import.weak { " weak" } else { "" };
            writeln!(output, "    {:>8} uses {:>10}  {}{weak}", import.uses, checksum(import.crc), import.name)?;
        }
        Ok(())
    }
}
