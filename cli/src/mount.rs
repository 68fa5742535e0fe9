//! `rumpload mount`: mounts an image in a server of its own and shows what is on it.

use crate::options::Options;
use crate::output::{Output, json_line, output};
use crate::server::{Messages, Server};
use crate::walk;
use anyhow::{Context, Result, bail};
use clap::Args;
use rumpload_base::{Device, Kernel, Label, MountArguments, MountRequest, Stat};
use rumpload_hosted::{Access, FileBlock};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the image appears as a device, and where it is mounted.
const DEVICE: &str = "/dev/image";
const DIRECTORY: &str = "/mnt";

/// Mount an image with a stock file-system module and show what is on it.
///
/// The module comes when the mount asks for it. Data goes to standard output in the order --stat, --ls, --cat, --walk.
#[derive(Debug, Args)]
pub struct Mount {
    /// Directory of modules: DIR/NAME/NAME.kmod.
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// File-system type: cd9660, msdos, ffs, ...
    #[arg(long = "type", value_name = "TYPE")]
    kind: String,
    /// Image file or block device; types without a device need none.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,
    /// Options, separated by commas: sector=512|2048|4096, label=floppy, fields of the type's arguments as KEY=VALUE, flags by name.
    #[arg(short = 'o', default_value = "", value_name = "OPTIONS", hide_default_value = true)]
    options: String,
    /// Mount for reading and writing.
    #[arg(long)]
    read_write: bool,
    /// List a directory.
    #[arg(long, value_name = "PATH")]
    ls: Vec<String>,
    /// With --ls, show attributes.
    #[arg(long, short = 'l', requires = "ls")]
    long: bool,
    /// Write a file's bytes.
    #[arg(long, value_name = "PATH")]
    cat: Vec<String>,
    /// Print the SHA-256 and path of every regular file, sorted by path.
    #[arg(long)]
    walk: bool,
    /// Read every regular file and print nothing.
    #[arg(long)]
    read_all: bool,
    /// How often --read-all walks and reads.
    #[arg(long, default_value_t = 1, value_name = "N", requires = "read_all")]
    repeat: u32,
    /// Show the file system's size and use.
    #[arg(long)]
    stat: bool,
    /// Say how long each stage took, on standard error.
    #[arg(long)]
    time: bool,
    /// Log each call that module code makes.
    #[arg(long)]
    trace: bool,
    /// Lines of JSON.
    #[arg(long)]
    json: bool,
}

/// Stage times, told on standard error.
struct Stages {
    on: bool,
    start: Instant,
}

impl Stages {
    fn new(on: bool) -> Self {
        Self { on, start: Instant::now() }
    }

    fn done(&mut self, what: &str) {
        let now = Instant::now();
        let taken: Duration = now - self.start;
        if self.on {
            eprintln!("{:>10.3} ms  {what}", taken.as_secs_f64() * 1e3);
        }
        self.start = Instant::now();
    }
}

#[derive(Debug, Serialize)]
struct Space<'a> {
    kind: &'a str,
    device: &'a str,
    read_only: bool,
    block_size: u64,
    fragment_size: u64,
    blocks: u64,
    free_blocks: u64,
    available_blocks: u64,
    files: u64,
    free_files: u64,
    name_max: u64,
}

#[derive(Debug, Serialize)]
struct Listed<'a> {
    directory: &'a str,
    name: String,
    fileid: u64,
    kind: String,
    mode: u32,
    links: u32,
    uid: u32,
    gid: u32,
    size: u64,
    modified: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

#[derive(Debug, Serialize)]
struct Walked<'a> {
    sha256: &'a str,
    size: u64,
    path: String,
}

impl Mount {
    pub fn run(&self) -> Result<()> {
        let options: Options = self.options.parse()?;
        let mut stages = Stages::new(self.time);
        let messages = if self.trace { Messages::Traced } else { Messages::Shown };
        let server = Server::boot(&self.modules, messages)?;
        let kernel = &server.kernel;
        if let Some(image) = &self.image {
            let access = if self.read_write { Access::ReadWrite } else { Access::ReadOnly };
            let block = FileBlock::open(image, options.sector, access).with_context(|| image.display().to_string())?;
            let label = if options.floppy { Label::Floppy } else { Label::Plain };
            kernel.add_device(DEVICE, Device { block: Arc::new(block), label })?;
        }
        stages.done("boot");
        self.mount(kernel, &options)?;
        stages.done("mount");
        let mut output = output();
        let shown = self.show(kernel, &mut output, &mut stages);
        let flushed = output.flush();
        stages.start = Instant::now();
        let unmounted = kernel.unmount(DIRECTORY, false);
        stages.done("unmount");
        shown?;
        flushed?;
        unmounted?;
        Ok(())
    }

    fn mount(&self, kernel: &Kernel, options: &Options) -> Result<()> {
        let mut arguments = MountArguments::new(kernel.abi(), &self.kind)
            .or_else(|error| {
                let nothing_set = options.fields.is_empty() && options.names.is_empty();
                if nothing_set { Ok(MountArguments::plain(kernel.abi(), kernel.abi().pointer())) } else { Err(error) }
            })
            .with_context(|| self.kind.clone())?;
        for (name, value) in &options.fields {
            arguments.set(name, *value).with_context(|| format!("-o {name}"))?;
        }
        for name in &options.names {
            arguments.set_flag(name).with_context(|| format!("-o {name}"))?;
        }
        let device = match (&self.image, &options.target) {
            (_, Some(target)) => Some(target.as_str()),
            (Some(_), None) => Some(DEVICE),
            (None, None) if arguments.wants_path() => bail!("type {} needs --image", self.kind),
            (None, None) => None,
        };
        let request = MountRequest { kind: &self.kind, directory: DIRECTORY, device, read_only: !self.read_write, arguments };
        Ok(kernel.mount(&request)?)
    }

    fn show(&self, kernel: &Arc<Kernel>, output: &mut Output, stages: &mut Stages) -> Result<()> {
        if self.stat {
            self.space(kernel, output)?;
            stages.done("stat");
        }
        for path in &self.ls {
            self.list(kernel, path, output)?;
            stages.done("ls");
        }
        for path in &self.cat {
            let full = walk::below(DIRECTORY, inside(path).as_bytes());
            walk::read(kernel, &full, |piece| Ok(output.write_all(piece)?))?;
            stages.done("cat");
        }
        if self.walk {
            for file in walk::files(kernel, DIRECTORY)? {
                let (sha256, size) = walk::hash(kernel, &walk::below(DIRECTORY, &file.path))?;
                if self.json {
                    json_line(output, &Walked { sha256: &sha256, size, path: String::from_utf8_lossy(&file.path).into() })?;
                } else {
                    write!(output, "{sha256}  ")?;
                    output.write_all(&file.path)?;
                    output.write_all(b"\n")?;
                }
            }
            stages.done("walk");
        }
        if self.read_all {
            for _ in 0..self.repeat {
                let (mut files, mut bytes) = (0u64, 0);
                for file in walk::files(kernel, DIRECTORY)? {
                    bytes += walk::read(kernel, &walk::below(DIRECTORY, &file.path), |_| Ok(()))?;
                    files += 1;
                }
                stages.done(&format!("read {bytes} bytes of {files} files"));
            }
        }
        Ok(())
    }

    fn space(&self, kernel: &Kernel, output: &mut Output) -> Result<()> {
        let status = kernel.statvfs(DIRECTORY)?;
        if self.json {
            return json_line(
                output,
                &Space {
                    kind: &status.kind,
                    device: &status.device,
                    read_only: status.read_only,
                    block_size: status.block_size,
                    fragment_size: status.fragment_size,
                    blocks: status.blocks,
                    free_blocks: status.free_blocks,
                    available_blocks: status.available_blocks,
                    files: status.files,
                    free_files: status.free_files,
                    name_max: status.name_max,
                },
            );
        }
        let access = if status.read_only { "read-only" } else { "read-write" };
        writeln!(output, "type       {} ({access})", status.kind)?;
        writeln!(output, "device     {}", status.device)?;
        writeln!(output, "blocks     {} of {} bytes, {} free", status.blocks, status.fragment_size, status.free_blocks)?;
        writeln!(output, "files      {}, {} free", status.files, status.free_files)?;
        writeln!(output, "names      up to {} bytes", status.name_max)?;
        Ok(())
    }

    fn list(&self, kernel: &Arc<Kernel>, path: &str, output: &mut Output) -> Result<()> {
        let directory = walk::below(DIRECTORY, inside(path).as_bytes());
        for entry in kernel.read_directory(&directory)? {
            let full = [&directory[..], b"/", &entry.name].concat();
            if !self.long && !self.json {
                output.write_all(&entry.name)?;
                output.write_all(b"\n")?;
                continue;
            }
            let stat = kernel.lstat(&full)?;
            let target = match stat.kind {
                rumpload_base::FileKind::Link => Some(String::from_utf8_lossy(&kernel.read_link(&full)?).into_owned()),
                _ => None,
            };
            if self.json {
                let name = String::from_utf8_lossy(&entry.name).into_owned();
                json_line(output, &listed(path, name, &stat, target))?;
                continue;
            }
            write!(output, "{} {:>3} {:>5} {:>5} {:>11} ", mode(&stat), stat.links, stat.uid, stat.gid, stat.size)?;
            output.write_all(&entry.name)?;
            match target {
                Some(target) => writeln!(output, " -> {target}")?,
                None => writeln!(output)?,
            }
        }
        Ok(())
    }
}

fn listed<'a>(directory: &'a str, name: String, stat: &Stat, target: Option<String>) -> Listed<'a> {
    Listed {
        directory,
        name,
        fileid: stat.fileid,
        kind: format!("{:?}", stat.kind).to_lowercase(),
        mode: stat.mode,
        links: stat.links,
        uid: stat.uid,
        gid: stat.gid,
        size: stat.size,
        modified: stat.modified.seconds,
        target,
    }
}

/// A path with its leading slash.
fn inside(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

/// `drwxr-xr-x`.
fn mode(stat: &Stat) -> String {
    let kind = match stat.mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o060_000 => 'b',
        0o020_000 => 'c',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let bits = "rwxrwxrwx".chars().enumerate();
    std::iter::once(kind).chain(bits.map(|(at, letter)| if stat.mode >> (8 - at) & 1 == 1 { letter } else { '-' })).collect()
}
