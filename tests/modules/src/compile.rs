//! Compiling and linking modules, and keeping the results.

use crate::catalog::{HEADERS, LINKER_SCRIPT, NAMES, RECIPES, Recipe};
use crate::{Error, Target, header};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::thread;

/// Flags of every compilation.
const FLAGS: &[&str] = &[
    "-std=gnu99",
    "-O2",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-unused-but-set-variable",
    "-ffreestanding",
    "-nostdinc",
    "-fno-strict-aliasing",
    "-fcommon",
    "-fno-pie",
    "-fno-pic",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-omit-frame-pointer",
    "-mno-mmx",
    "-mno-sse",
    "-mno-avx",
    "-msoft-float",
    "-D_KERNEL",
    "-D_MODULE",
    "-I.",
];

/// Modules built into a directory.
#[derive(Clone, Debug)]
pub struct Built {
    /// The directory: `NAME/NAME.kmod` below it.
    pub directory: PathBuf,
    /// The modules in it.
    pub names: Vec<&'static str>,
}

impl Built {
    /// Path of a module's file.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name).join(format!("{name}.kmod"))
    }
}

/// Builds all sample modules for `target` into `directory`, which is made if need be.
///
/// # Errors
/// [`Error`]: no C compiler, or it fails, or the directory cannot be written.
pub fn build(target: &Target, directory: impl AsRef<Path>) -> Result<Built, Error> {
    build_some(target, directory, NAMES)
}

/// As [`build`], only the modules called `names`.
///
/// # Errors
/// As [`build`]; [`Error::Unknown`].
pub fn build_some(target: &Target, directory: impl AsRef<Path>, names: &[&str]) -> Result<Built, Error> {
    let directory = directory.as_ref();
    let recipes: Vec<&Recipe> = names.iter().map(|name| find(name)).collect::<Result<_, _>>()?;
    let abi = header::abi(target);
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), Error> {
        while let Some(recipe) = recipes.get(next.fetch_add(1, Ordering::Relaxed)) {
            let place = directory.join(recipe.name);
            create(&place)?;
            let bytes = compiled(target, &abi, recipe)?;
            replace(&place.join(format!("{}.kmod", recipe.name)), &bytes)?;
            if let Some(properties) = recipe.properties {
                replace(&place.join(format!("{}.plist", recipe.name)), properties.as_bytes())?;
            }
        }
        Ok(())
    };
    let workers = thread::available_parallelism().map_or(1, usize::from).min(8);
    let mut results = thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Vec<_>>()
    });
    results.drain(..).collect::<Result<(), Error>>()?;
    Ok(Built { directory: directory.to_owned(), names: recipes.iter().map(|recipe| recipe.name).collect() })
}

/// The bytes of the sample module `name`.
///
/// # Errors
/// As [`build_some`].
pub fn module(target: &Target, name: &str) -> Result<Vec<u8>, Error> {
    compiled(target, &header::abi(target), find(name)?)
}

fn find(name: &str) -> Result<&'static Recipe, Error> {
    RECIPES.iter().find(|recipe| recipe.name == name).ok_or_else(|| Error::Unknown(name.to_owned()))
}

/// The module's bytes, from the cache if they are there.
fn compiled(target: &Target, abi: &str, recipe: &Recipe) -> Result<Vec<u8>, Error> {
    let cache = cache();
    let kept = cache.join(format!("{}-{:016x}.kmod", recipe.name, fingerprint(target, abi, recipe)));
    if let Ok(bytes) = fs::read(&kept) {
        return Ok(bytes);
    }
    let work = cache.join(own_name());
    create(&work)?;
    let result = compile(target, abi, recipe, &work).and_then(|object| {
        let bytes = read(&object)?;
        fs::rename(&object, &kept).map_err(|error| Error::Io { path: kept.clone(), error })?;
        Ok(bytes)
    });
    let removed = fs::remove_dir_all(&work).map_err(|error| Error::Io { path: work, error });
    let bytes = result?;
    removed?;
    Ok(bytes)
}

/// A name that nobody else uses: several processes and threads may build at once.
fn own_name() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("{}.{}", std::process::id(), LAST.fetch_add(1, Ordering::Relaxed))
}

/// Where results are kept: under the workspace's `target`, or with other temporary files where that is gone.
fn cache() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from);
    let kept = target.join("test-modules");
    if fs::create_dir_all(&kept).is_ok() { kept } else { std::env::temp_dir() }
}

/// Everything the result depends on, but for the compiler itself: another version of it makes modules as good.
fn fingerprint(target: &Target, abi: &str, recipe: &Recipe) -> u64 {
    let mut hasher = DefaultHasher::new();
    (target.name, abi, recipe.name, recipe.sources, recipe.defines, recipe.keep_common).hash(&mut hasher);
    (HEADERS, LINKER_SCRIPT, FLAGS, machine_flags(target)).hash(&mut hasher);
    hasher.finish()
}

fn machine_flags(target: &Target) -> &'static [&'static str] {
    if target.pointer == 8 { &["-m64", "-mcmodel=kernel", "-mno-red-zone"] } else { &["-m32", "-march=i586"] }
}

/// Compiles in `work`; the path of the module.
fn compile(target: &Target, abi: &str, recipe: &Recipe, work: &Path) -> Result<PathBuf, Error> {
    write(&work.join("abi.h"), abi.as_bytes())?;
    for (name, text) in HEADERS {
        write(&work.join(name), text.as_bytes())?;
    }
    write(&work.join("module.ld"), LINKER_SCRIPT.as_bytes())?;
    let mut objects = Vec::new();
    for (name, text) in recipe.sources {
        let source = name.rsplit('/').next().unwrap_or(name);
        write(&work.join(source), text.as_bytes())?;
        let object = format!("{source}.o");
        let mut gcc = compiler(target, work);
        gcc.args(FLAGS).args(recipe.defines.iter().map(|define| format!("-D{define}"))).args(["-c", source, "-o", &object]);
        run(&mut gcc, recipe.name)?;
        objects.push(object);
    }
    let module = "module.kmod";
    let mut gcc = compiler(target, work);
    gcc.args(["-nostdlib", "-r", "-Wl,--build-id=none", "-Wl,-T,module.ld"]);
    if !recipe.keep_common {
        gcc.arg("-Wl,-d");
    }
    run(gcc.args(["-o", module]).args(objects), recipe.name)?;
    Ok(work.join(module))
}

fn compiler(target: &Target, work: &Path) -> Command {
    let mut gcc = Command::new("gcc");
    gcc.current_dir(work).args(machine_flags(target)).env("LC_ALL", "C");
    gcc
}

fn run(command: &mut Command, module: &str) -> Result<(), Error> {
    let output = command.output().map_err(Error::NoCompiler)?;
    if output.status.success() {
        return Ok(());
    }
    Err(Error::Compiler { module: module.to_owned(), output: String::from_utf8_lossy(&output.stderr).into_owned() })
}

fn create(directory: &Path) -> Result<(), Error> {
    fs::create_dir_all(directory).map_err(|error| Error::Io { path: directory.to_owned(), error })
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|error| Error::Io { path: path.to_owned(), error })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(|error| Error::Io { path: path.to_owned(), error })
}

/// Writes a file whole or not at all, so that whoever reads it meanwhile finds the old one or the new one.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = path.with_extension(own_name());
    write(&new, bytes)?;
    fs::rename(&new, path).map_err(|error| Error::Io { path: path.to_owned(), error })
}
