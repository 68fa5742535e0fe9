//! Which file systems a command line mounts, and mounting them.

use crate::options::Options;
use crate::server::{Messages, Server};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rumpload::Trigger;
use rumpload_base::{ArgumentError, Device, Label, MountArguments, MountRequest};
use rumpload_hosted::{Access, FileBlock};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where --type is mounted inside the server.
const DIRECTORY: &str = "/mnt";

/// The file systems of a server.
#[derive(Debug, Args)]
pub struct Mounts {
    /// Directory of modules: DIR/NAME/NAME.kmod.
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// Type of the file system; the module of this name is autoloaded.
    #[arg(long = "type", value_name = "T", required_unless_present = "mounts")]
    kind: Option<String>,
    /// Image of the file system, for types that have one.
    #[arg(long, value_name = "FILE", requires = "kind")]
    image: Option<PathBuf>,
    /// Options of --type: `key=value` and names, separated by commas: sector=512|2048|4096, label=floppy, ro, rw, target=DIR
    /// for layered types, and the fields and flags of the type's own mount arguments.
    #[arg(short = 'o', value_name = "OPTIONS", default_value = "", requires = "kind")]
    options: Options,
    /// Mount more: TYPE:IMAGE:DIR[:OPTIONS], in this order and before --type. IMAGE may be empty; paths are then those
    /// inside the server.
    #[arg(long = "mount", value_name = "TYPE:IMAGE:DIR")]
    mounts: Vec<Wanted>,
    /// Log each call that module code makes.
    #[arg(long)]
    trace: bool,
}

/// One file system to mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub kind: String,
    pub image: Option<PathBuf>,
    pub directory: String,
    pub options: Options,
}

impl FromStr for Wanted {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.splitn(4, ':').collect();
        let &[kind, image, directory, ..] = parts.as_slice() else { bail!("{text}: TYPE:IMAGE:DIR is wanted") };
        ensure!(!kind.is_empty() && directory.starts_with('/'), "{text}: a type and an absolute directory are wanted");
        let options = parts.get(3).copied().unwrap_or_default().parse()?;
        let image = (!image.is_empty()).then(|| PathBuf::from(image));
        Ok(Self { kind: kind.into(), image, directory: directory.into(), options })
    }
}

/// A server with its file systems, and how long it took.
pub struct Mounted {
    pub server: Server,
    /// Directory that paths on the command line start from: that of --type, or the root.
    pub base: &'static str,
    /// What was mounted, in this order.
    pub directories: Vec<String>,
    pub times: Vec<(String, Duration)>,
}

impl Mounts {
    /// Boots a server and mounts everything.
    pub fn mount(&self) -> Result<Mounted> {
        let start = Instant::now();
        let server = Server::boot(&self.modules, if self.trace { Messages::Traced } else { Messages::Shown })?;
        let base = if self.kind.is_some() { DIRECTORY } else { "" };
        let mut mounted = Mounted { server, base, directories: Vec::new(), times: vec![("boot".into(), start.elapsed())] };
        let own = self.kind.as_ref().map(|kind| Wanted {
            kind: kind.clone(),
            image: self.image.clone(),
            directory: DIRECTORY.into(),
            options: self.options.clone(),
        });
        for wanted in self.mounts.iter().chain(&own) {
            mounted.add(wanted)?;
        }
        Ok(mounted)
    }
}

impl Mounted {
    /// Mounts one more.
    pub fn add(&mut self, wanted: &Wanted) -> Result<()> {
        let kernel = &self.server.kernel;
        let Wanted { kind, image, directory, options } = wanted;
        let start = Instant::now();
        let arguments = arguments(&self.server, wanted)?;
        let device = match (&options.target, image) {
            (Some(_), Some(image)) => bail!("-o target and the image {} cannot both be mounted", image.display()),
            (Some(target), None) => Some(target.clone()),
            (None, Some(image)) => Some(self.device(image, options)?),
            (None, None) => None,
        };
        if arguments.wants_path() && device.is_none() {
            bail!("type {kind} wants an image, or -o target=DIR for a layered type");
        }
        if !arguments.takes_path() && device.is_some() {
            bail!("type {kind} has no image");
        }
        // The mount would bring the module in by itself; asked for first, its time can be told from the mount's.
        let attached = kernel.types()?.iter().any(|attached| attached == kind.as_str() || (kind == "ufs" && attached == "ffs"));
        if !attached && let Err(error) = kernel.instance().autoload(&Trigger::Vfs(kind)) {
            let base = kernel.instance().module_base();
            bail!("mount of type {kind}: the module {kind} was looked for in {base} and did not come: {error}");
        }
        self.times.push((format!("autoload {kind}"), start.elapsed()));
        let start = Instant::now();
        let read_only = options.read_only.unwrap_or(device.is_some());
        let request = MountRequest { kind, directory, device: device.as_deref(), read_only, arguments };
        kernel.mount(&request)?;
        self.times.push((format!("mount {kind}"), start.elapsed()));
        self.directories.push(directory.clone());
        Ok(())
    }

    /// Makes an image a device of the server; returns its path there.
    fn device(&self, image: &Path, options: &Options) -> Result<String> {
        let access = if options.read_only == Some(false) { Access::ReadWrite } else { Access::ReadOnly };
        let block = FileBlock::open(image, options.sector, access).with_context(|| format!("image {}", image.display()))?;
        let path = format!("/dev/image{}", self.directories.len());
        let label = if options.floppy { Label::Floppy } else { Label::Plain };
        self.server.kernel.add_device(&path, Device { block: Arc::new(block), label })?;
        Ok(path)
    }

    /// Unmounts everything, newest first.
    pub fn unmount(&mut self) -> Result<()> {
        while let Some(directory) = self.directories.last() {
            let start = Instant::now();
            self.server.kernel.unmount(directory, false)?;
            self.times.push((format!("unmount {directory}"), start.elapsed()));
            self.directories.pop();
        }
        Ok(())
    }
}

/// The type's own arguments.
fn arguments(server: &Server, wanted: &Wanted) -> Result<MountArguments> {
    let Wanted { kind, options, .. } = wanted;
    let abi = server.kernel.abi();
    let mut arguments = match MountArguments::new(abi, kind) {
        Err(ArgumentError::UnknownType) => MountArguments::plain(abi),
        known => known.with_context(|| format!("arguments of a mount of type {kind}"))?,
    };
    for (name, value) in &options.fields {
        arguments.set(name, *value).with_context(|| {
            let known: Vec<&str> = arguments.field_names().collect();
            format!("-o {name}={value} for type {kind}, which has: {}", known.join(" "))
        })?;
    }
    for name in &options.names {
        let known: Vec<&str> = arguments.flag_names().collect();
        let known = known.join(" ");
        arguments.set_flag(name).with_context(|| format!("-o {name} for type {kind}, which has: {known}"))?;
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_taken_apart() {
        let wanted: Wanted = "null::/upper:target=/lower,rw".parse().expect("valid");
        assert_eq!((wanted.kind.as_str(), wanted.image, wanted.directory.as_str()), ("null", None, "/upper"));
        assert_eq!((wanted.options.target.as_deref(), wanted.options.read_only), (Some("/lower"), Some(false)));
        let wanted: Wanted = "ffs:a.img:/a".parse().expect("valid");
        assert_eq!((wanted.image, wanted.options), (Some(PathBuf::from("a.img")), Options::default()));
        for text in ["ffs", "ffs:a", "ffs:a:b", ":a:/b", "ffs:a:/b:sector=1"] {
            assert!(text.parse::<Wanted>().is_err(), "{text}");
        }
    }
}
