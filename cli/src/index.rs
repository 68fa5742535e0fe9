//! `rumpload index`, `rumpload depends`, `rumpload resolve`: questions about a whole tree of Linux modules.

use crate::output::{Output, output};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use rumpload::linux::{AliasPolicy, IndexBuilder, Indexed, ModuleIndex, Stamp};
use rumpload_hosted::{MAX_UNPACKED, SUFFIXES, unpack};
use std::collections::HashMap;
use std::fs::Metadata;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The file that an index is kept in, in the directory it describes.
const FILE: &str = "modules.rumpload";
/// The kernel's own list of its modules: earlier ones win.
const ORDER: &str = "modules.order";

/// Index the Linux modules below a directory, such as /lib/modules/VERSION.
#[derive(Debug, Args)]
pub struct Index {
    /// The directory.
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Write the index to this file instead of DIR/modules.rumpload.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Where an index comes from.
#[derive(Debug, Args)]
struct Source {
    /// Directory of modules. Its index is used if it is there and fits the files; otherwise the files are read.
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// Use this index, and fail if it does not fit the files.
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
}

/// Show what is loaded for a module, in order: `insmod PATH` lines, as `modprobe --show-depends` prints them.
#[derive(Debug, Args)]
pub struct Depends {
    #[command(flatten)]
    source: Source,
    /// Names or aliases.
    #[arg(required_unless_present = "all", value_name = "NAME")]
    names: Vec<String>,
    /// Soft dependencies too.
    #[arg(long)]
    soft: bool,
    /// All modules, one per line, in the form of `modules.dep`.
    #[arg(long, conflicts_with_all = ["names", "soft"])]
    all: bool,
}

/// Show the modules that an alias stands for, one per line, as `modprobe -R` prints them.
#[derive(Debug, Args)]
pub struct Resolve {
    #[command(flatten)]
    source: Source,
    /// Aliases or names; `-` reads them from standard input, one per line, and prints each before its modules.
    #[arg(required = true, value_name = "ALIAS")]
    aliases: Vec<String>,
    /// Leave out what the `blacklist` lines of this file name.
    #[arg(long, value_name = "FILE")]
    blacklist: Vec<PathBuf>,
    /// Leave out everything but these modules.
    #[arg(long, value_name = "NAME")]
    allow: Vec<String>,
}

impl Index {
    pub fn run(&self) -> Result<()> {
        let index = build(&self.directory)?;
        let out = self.out.clone().unwrap_or_else(|| self.directory.join(FILE));
        std::fs::write(&out, index.save()).with_context(|| out.display().to_string())?;
        let mut output = output();
        writeln!(output, "indexed {} modules in {}", index.modules().len(), out.display())?;
        output.flush()?;
        Ok(())
    }
}

impl Source {
    fn open(&self) -> Result<ModuleIndex> {
        let kept = self.index.clone().unwrap_or_else(|| self.modules.join(FILE));
        match self.load(&kept) {
            Ok(index) => Ok(index),
            Err(error) if self.index.is_some() => Err(error.context(kept.display().to_string())),
            Err(_) => build(&self.modules),
        }
    }

    fn load(&self, file: &Path) -> Result<ModuleIndex> {
        let index = ModuleIndex::load(&std::fs::read(file)?)?;
        let now = |path: &str| std::fs::metadata(self.modules.join(path)).ok().map(|metadata| stamp(&metadata));
        match index.stale(now) {
            None => Ok(index),
            Some(module) => bail!("{} is not what was indexed: index the directory again", module.path),
        }
    }
}

impl Depends {
    pub fn run(&self) -> Result<()> {
        let index = self.source.open()?;
        let mut output = output();
        if self.all {
            for module in index.modules() {
                write!(output, "{}:", module.path)?;
                for needed in index.depends(module).rev() {
                    write!(output, " {}", needed.path)?;
                }
                writeln!(output)?;
            }
        }
        for name in &self.names {
            let found = index.resolve(name);
            if found.is_empty() {
                output.flush()?;
                bail!("module {name} not found in {}", self.source.modules.display());
            }
            for module in found {
                for step in index.sequence(module, !self.soft) {
                    writeln!(output, "insmod {} ", self.source.modules.join(&step.path).display())?;
                }
            }
        }
        output.flush()?;
        Ok(())
    }
}

impl Resolve {
    pub fn run(&self) -> Result<()> {
        let index = self.source.open()?;
        let mut policy = AliasPolicy::new();
        for file in &self.blacklist {
            policy.read(&std::fs::read_to_string(file).with_context(|| file.display().to_string())?);
        }
        self.allow.iter().for_each(|name| policy.allow(name));
        let mut output = output();
        for alias in &self.aliases {
            if alias == "-" {
                for line in std::io::stdin().lines() {
                    let line = line?;
                    writeln!(output, "{line}")?;
                    print(&index, &policy, &line, &mut output)?;
                }
            } else if print(&index, &policy, alias, &mut output)? == 0 {
                output.flush()?;
                bail!("module {alias} not found in {}", self.source.modules.display());
            }
        }
        output.flush()?;
        Ok(())
    }
}

/// Prints the modules of `alias`; says how many.
fn print(index: &ModuleIndex, policy: &AliasPolicy, alias: &str, output: &mut Output) -> Result<usize> {
    let permitted = |module: &&Indexed| policy.permits(module);
    let found: Vec<&Indexed> = index.resolve(alias).into_iter().filter(permitted).collect();
    for module in &found {
        writeln!(output, "{}", module.name)?;
    }
    Ok(found.len())
}

fn stamp(metadata: &Metadata) -> Stamp {
    let nanoseconds = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    Stamp { size: metadata.size(), modified: u64::try_from(nanoseconds).unwrap_or(0) }
}

/// Reads every module below `directory`.
fn build(directory: &Path) -> Result<ModuleIndex> {
    let mut files = Vec::new();
    let mut todo = vec![PathBuf::new()];
    while let Some(below) = todo.pop() {
        let at = directory.join(&below);
        let context = || at.display().to_string();
        for entry in std::fs::read_dir(&at).with_context(context)? {
            let entry = entry.with_context(context)?;
            let name = entry.file_name().into_string().map_err(|name| anyhow!("{name:?} is no text"))?;
            let kind = entry.file_type().with_context(context)?;
            if kind.is_dir() {
                todo.push(below.join(&name));
            } else if kind.is_file() && SUFFIXES.iter().any(|suffix| name.ends_with(suffix)) {
                let path = below.join(&name).into_os_string().into_string();
                files.push(path.map_err(|path| anyhow!("{path:?} is no text"))?);
            }
        }
    }
    if files.is_empty() {
        bail!("no modules below {}", directory.display());
    }
    sort(directory, &mut files);
    let mut builder = IndexBuilder::new();
    for path in files {
        let file = directory.join(&path);
        let context = || file.display().to_string();
        let metadata = std::fs::metadata(&file).with_context(context)?;
        let bytes = std::fs::read(&file).with_context(context)?;
        let bytes = unpack(&bytes, MAX_UNPACKED).map_err(|error| anyhow!("{}: {error}", file.display()))?;
        builder.add(&path, stamp(&metadata), &bytes)?;
    }
    Ok(builder.finish()?)
}

/// Sorts as the kernel lists its modules; others behind, by name.
fn sort(directory: &Path, files: &mut [String]) {
    let order = std::fs::read_to_string(directory.join(ORDER)).unwrap_or_default();
    let ranks: HashMap<&str, usize> = order.lines().enumerate().map(|(rank, line)| (line, rank)).collect();
    let plain = |path: &str| match path.rfind(".ko") {
        Some(at) => path[..at + 3].to_owned(),
        None => path.to_owned(),
    };
    let rank = |path: &String| ranks.get(plain(path).as_str()).copied().unwrap_or(usize::MAX);
    files.sort_by_cached_key(|path| (rank(path), path.clone()));
}
