//! The main job: an empty server, a mount, and the module arrives from the host.
//!
//! `cargo run --release --example autoload` builds the sample modules and an image, both in a temporary directory;
//! `-- --modules DIR` takes the modules from DIR as they are and builds none.

use rumpload::resource::Console;
use rumpload::{Config, Machine};
use rumpload_base::abi::Abi;
use rumpload_base::{Boot, Device, FileKind, Kernel, MountArguments, MountRequest};
use rumpload_hosted::{Access, FileBlock, host};
use rumpload_test_modules::image::{Entry, ustar};
use rumpload_test_modules::{Target, build_some};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

type Outcome<T> = Result<T, Box<dyn Error>>;

const POEM: &str = "Nobody compiled me in.\nI came when I was called.\n";
const NUMBERS: usize = 100_000;

fn main() -> ExitCode {
    let scratch = std::env::temp_dir().join(format!("rumpload-autoload-{}", std::process::id()));
    let outcome = std::fs::create_dir(&scratch).map_err(Into::into).and_then(|()| run(&scratch));
    let removed = std::fs::remove_dir_all(&scratch);
    match outcome {
        Ok(()) => match removed {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        Err(error) => failed(&*error),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("autoload: {error}");
    ExitCode::FAILURE
}

/// The directory that --modules names, if it is there.
fn modules_argument() -> Outcome<Option<PathBuf>> {
    let mut arguments = std::env::args_os().skip(1);
    match (arguments.next(), arguments.next(), arguments.next()) {
        (None, ..) => Ok(None),
        (Some(option), Some(directory), None) if option == "--modules" => Ok(Some(directory.into())),
        _ => Err("usage: autoload [--modules DIR]".into()),
    }
}

fn run(scratch: &Path) -> Outcome<()> {
    step("The host");
    let modules = match modules_argument()? {
        Some(directory) => directory,
        None => built(scratch)?,
    };
    println!("  module directory  {}", modules.display());
    let (image, numbers) = image(scratch)?;
    println!("  image             {} ({} bytes)", image.display(), std::fs::metadata(&image)?.len());

    step("An empty server");
    let abi = Abi::native().ok_or("modules of this machine cannot be run")?;
    let machine = if abi.pointer() == 8 { Machine::X86_64 } else { Machine::X86 };
    let mut host = host(&modules)?;
    host.console = Arc::new(Indented);
    let kernel = Kernel::boot(Boot::new(Config::netbsd(abi.version(), machine), abi), host)?;
    kernel.instance().map_modules("")?;
    kernel.add_device("/dev/disk", Device::new(Arc::new(FileBlock::open(&image, 512, Access::ReadOnly)?)))?;
    println!("  layouts           {}", abi.name());
    println!(
        "  exports           {} symbols, as {}...",
        kernel.instance().export_count(),
        kernel.instance().config().namespace.prefix()
    );
    println!("  file systems      {}", names(&kernel.types()?));
    println!("  module path       {}", kernel.instance().module_base());

    step("A mount of type tarfs");
    let before = kernel.instance().export_count();
    let start = Instant::now();
    let arguments = MountArguments::plain(abi);
    let request = MountRequest { kind: "tarfs", directory: "/mnt", device: Some("/dev/disk"), read_only: true, arguments };
    kernel.mount(&request).map_err(|error| format!("{error}\n  the host's directory for that path is {}", modules.display()))?;
    println!("  mounted after     {:.2} ms", start.elapsed().as_secs_f64() * 1e3);
    println!("  file systems      {}", names(&kernel.types()?));
    for module in kernel.instance().stat()? {
        let requires = if module.required.is_empty() { "nothing" } else { &module.required };
        println!(
            "  module            {:<9} text at {:#x}, {} bytes; requires {requires}",
            module.name,
            module.address.get(),
            module.size
        );
    }
    println!("  exports           {} more, from the modules", kernel.instance().export_count() - before);

    step("Files");
    tree(&kernel, "/mnt", 1)?;
    let poem = kernel.open("/mnt/poem.txt")?;
    let text = String::from_utf8(poem.read_to_vec(1 << 16)?)?;
    poem.close()?;
    text.lines().for_each(|line| println!("    | {line}"));
    let file = kernel.open("/mnt/latest")?;
    let bytes = file.read_to_vec(1 << 24)?;
    file.close()?;
    if text != POEM || bytes != numbers {
        return Err("what was read is not what the image holds".into());
    }
    println!("  latest is a link; behind it {} bytes were read, and they are those of the image", bytes.len());

    step("And away again");
    kernel.unmount("/mnt", false)?;
    println!("  unmounted");
    for module in ["tarfs", "tarindex"] {
        kernel.instance().unload(module)?;
        println!("  unloaded          {module}");
    }
    println!("  file systems      {}", names(&kernel.types()?));
    Ok(())
}

fn built(scratch: &Path) -> Outcome<PathBuf> {
    let target = Target::native().ok_or("modules of this machine cannot be run")?;
    let directory = scratch.join("modules");
    let modules = build_some(&target, &directory, &["tarfs", "tarindex"])?;
    for name in &modules.names {
        println!("  compiled          {} ({} bytes)", name, std::fs::metadata(modules.path(name))?.len());
    }
    Ok(directory)
}

/// An image, and the bytes of its largest file.
fn image(scratch: &Path) -> Outcome<(PathBuf, Vec<u8>)> {
    let numbers: Vec<u8> = (0..NUMBERS).flat_map(|number| format!("{number}\n").into_bytes()).collect();
    let entries = [
        Entry::file("poem.txt", POEM.as_bytes()),
        Entry::directory("data"),
        Entry::directory("data/2010"),
        Entry::file("data/2010/numbers", &numbers),
        Entry::file("data/empty", b""),
        Entry::symlink("latest", "data/2010/numbers"),
    ];
    let path = scratch.join("image.tar");
    std::fs::write(&path, ustar(&entries)?)?;
    Ok((path, numbers))
}

fn tree(kernel: &Arc<Kernel>, directory: &str, depth: usize) -> Outcome<()> {
    let mut entries = kernel.read_directory(directory)?;
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    for entry in entries {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        if matches!(name.as_str(), "." | "..") {
            continue;
        }
        let path = format!("{directory}/{name}");
        let stat = kernel.lstat(&path)?;
        let indent = "  ".repeat(depth);
        match stat.kind {
            FileKind::Directory => {
                println!("{indent}{name}/");
                tree(kernel, &path, depth + 1)?;
            }
            FileKind::Link => println!("{indent}{name} -> {}", String::from_utf8_lossy(&kernel.read_link(&path)?)),
            _ => println!("{indent}{name}  {} bytes", stat.size),
        }
    }
    Ok(())
}

fn step(title: &str) {
    println!("\n{title}");
}

fn names(list: &[String]) -> String {
    if list.is_empty() { "none".to_owned() } else { list.join(" ") }
}

/// What modules print, set off from what the example says.
#[derive(Debug)]
struct Indented;

impl Console for Indented {
    fn write(&self, text: &str) {
        text.lines().for_each(|line| println!("  | {line}"));
    }
}
