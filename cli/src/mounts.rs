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
    /// Directory of modules: DIR/NAME/NAME.kmod, as kernels have it. It appears at the module path inside the server.
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// Type of the file system: cd9660, ffs, msdos, ... The module of this name, and those it requires, are autoloaded.
    #[arg(long = "type", value_name = "T")]
    kind: Option<String>,
    /// Image of the file system, for types that have one. It is not changed unless -o says rw.
    #[arg(long, value_name = "FILE", requires = "kind")]
    image: Option<PathBuf>,
    /// Options of --type, separated by commas.
    ///
    /// For every type: ro, rw; of the device: sector=512|2048|4096, label=floppy; for layered types: target=DIR, a directory
    /// inside the server (overlay: the one it is mounted on). Besides, the fields of the type's own mount arguments as
    /// NAME=NUMBER (endian=little|big|pdp too), and the names of its flags, such as norrip and nojoliet of cd9660. Who asks for
    /// one that the type does not have is told those it has.
    #[arg(short = 'o', value_name = "OPTIONS", default_value = "", hide_default_value = true, requires = "kind")]
    options: Options,
    /// Mount more, in this order and before --type: TYPE:IMAGE:DIR[:OPTIONS], with an empty IMAGE for types that have none.
    ///
    /// --type is mounted on /mnt, and the paths of other options start there; without --type they are those inside the server.
    #[arg(long = "mount", value_name = "TYPE:IMAGE:DIR")]
    mounts: Vec<Wanted>,
    /// Log each call that module code makes, on standard error.
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
    /// What is mounted, in this order.
    pub mounts: Vec<MountedAt>,
    /// How long each stage took, if that is to be told.
    pub times: Option<Vec<(String, Duration)>>,
    /// How many devices there have been; the next one's number.
    devices: usize,
}

/// One file system that is mounted.
pub struct MountedAt {
    pub directory: String,
    /// The device that was made for its image.
    device: Option<String>,
}

impl Mounts {
    /// Boots a server and mounts everything; `timed` says whether to note how long it takes.
    pub fn mount(&self, timed: bool) -> Result<Mounted> {
        let start = Instant::now();
        let server = Server::boot(&self.modules, if self.trace { Messages::Traced } else { Messages::Shown })?;
        let base = if self.kind.is_some() { DIRECTORY } else { "" };
        let times = timed.then(Vec::new);
        let mut mounted = Mounted { server, base, mounts: Vec::new(), times, devices: 0 };
        mounted.note("boot", start);
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
    /// Notes how long a stage took that began at `start`.
    pub fn note(&mut self, stage: impl Into<String>, start: Instant) {
        if let Some(times) = &mut self.times {
            times.push((stage.into(), start.elapsed()));
        }
    }

    /// Mounts one more.
    pub fn add(&mut self, wanted: &Wanted) -> Result<()> {
        let Wanted { kind, image, options, .. } = wanted;
        let start = Instant::now();
        let arguments = arguments(&self.server, wanted)?;
        if let (Some(_), Some(image)) = (&options.target, image) {
            bail!("-o target and the image {} cannot both be mounted", image.display());
        }
        let source = image.is_some() || options.target.is_some();
        if arguments.wants_path() && !source {
            bail!("type {kind} wants an image, or -o target=DIR for a layered type");
        }
        if !arguments.takes_path() && source {
            bail!("type {kind} has no image");
        }
        let device = image.as_ref().map(|image| self.device(image, options)).transpose()?;
        let outcome = self.mount(wanted, device.as_deref().or(options.target.as_deref()), arguments, start);
        match (outcome, device) {
            (Ok(()), device) => self.mounts.push(MountedAt { directory: wanted.directory.clone(), device }),
            (Err(error), None) => return Err(error),
            (Err(error), Some(device)) => {
                // The mount's own error says more than one of taking its device back.
                let _ = self.server.kernel.remove_device(&device);
                return Err(error);
            }
        }
        Ok(())
    }

    fn mount(&mut self, wanted: &Wanted, device: Option<&str>, arguments: MountArguments, start: Instant) -> Result<()> {
        let kernel = Arc::clone(&self.server.kernel);
        let Wanted { kind, directory, options, .. } = wanted;
        // The mount would bring the module in by itself; asked for first, its time can be told from the mount's.
        let attached = kernel.types()?.iter().any(|attached| attached == kind.as_str() || (kind == "ufs" && attached == "ffs"));
        if !attached {
            self.server.tell_traps(kind);
        }
        if !attached && let Err(error) = kernel.instance().autoload(&Trigger::Vfs(kind)) {
            let base = kernel.instance().module_base();
            let modules = self.server.modules.display();
            bail!(
                "mount of type {kind}: its module was looked for in {modules}, which is {base} inside, and did not come: {error}"
            );
        }
        self.note(format!("autoload {kind}"), start);
        let start = Instant::now();
        let read_only = options.read_only.unwrap_or(device.is_some());
        let request = MountRequest { kind, directory, device, read_only, arguments };
        kernel.mount(&request).with_context(|| match &wanted.image {
            Some(image) => format!("type {kind}, image {}", image.display()),
            None => format!("type {kind}"),
        })?;
        self.note(format!("mount {kind}"), start);
        Ok(())
    }

    /// Makes an image a device of the server; returns its path there.
    fn device(&mut self, image: &Path, options: &Options) -> Result<String> {
        let access = if options.read_only == Some(false) { Access::ReadWrite } else { Access::ReadOnly };
        let block = FileBlock::open(image, options.sector, access).with_context(|| format!("image {}", image.display()))?;
        let path = format!("/dev/image{}", self.devices);
        self.devices += 1;
        let label = if options.floppy { Label::Floppy } else { Label::Plain };
        self.server.kernel.add_device(&path, Device { block: Arc::new(block), label })?;
        Ok(path)
    }

    /// Unmounts everything, newest first.
    pub fn unmount(&mut self) -> Result<()> {
        while let Some(newest) = self.mounts.last() {
            let directory = newest.directory.clone();
            self.remove(&directory, false)?;
        }
        Ok(())
    }

    /// Unmounts the newest that was mounted at `directory`; with `force`, even if files are open.
    pub fn remove(&mut self, directory: &str, force: bool) -> Result<()> {
        let start = Instant::now();
        self.server.kernel.unmount(directory, force)?;
        self.note(format!("unmount {directory}"), start);
        if let Some(index) = self.mounts.iter().rposition(|mount| mount.directory == directory)
            && let Some(device) = self.mounts.remove(index).device
        {
            self.server.kernel.remove_device(&device)?;
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
