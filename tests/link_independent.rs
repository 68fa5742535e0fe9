//! The finished bytes of modules against an independent relocator.
//!
//! What is expected is made by `support/independent.rs`. Modules are those below the directory in `RUMPLOAD_STOCK`, or the sample
//! modules without it.

#[path = "support/independent.rs"]
mod independent;

use independent::{Addresses, PREFIX, check};
use rumpload::address::RunAddr;
use rumpload::image::Image;
use rumpload::load::Linker;
use rumpload::rename::{ExemptRules, Namespace};
use rumpload::resource::{Detached, Memory, Placement};
use rumpload_test_modules::{NAMES, Target, build_some};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const PAGE: usize = 4096;
/// Where modules run: below 2 GiB, and for 64-bit machines also in the highest 2 GiB, as in a kernel.
const BASES: [u64; 2] = [0x1000_0000, 0xffff_ffff_9000_0000];
/// From a module to the first symbol that it imports.
const IMPORTS: u64 = 0x2000_0000;

/// Links the module for `base` and compares it; the number of relocations computed.
fn compare(file: &[u8], image: &Image<'_>, base: u64) -> Result<usize, String> {
    let scope = Addresses::new(base + IMPORTS);
    let detached = Arc::new(Detached::new(RunAddr::new(base), PAGE));
    let memory: Arc<dyn Memory> = detached.clone();
    let namespace = Namespace::new(PREFIX, ExemptRules::Before2020);
    let linked =
        Linker::new().link(image, &namespace, &scope, &memory, Placement::Anywhere).map_err(|error| error.to_string())?;
    let run = linked.reservation.run();
    let found = detached.bytes(run).ok_or("the linked bytes are gone")?;
    check(file, &linked, &scope, &found)
}

fn modules(directory: &Path, list: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a directory that can be read").path();
        if path.is_dir() {
            modules(&path, list);
        } else if path.extension().is_some_and(|extension| extension == "kmod") {
            list.push(path);
        }
    }
}

/// Compares every module below `directory`; the number of modules that were linked.
fn compare_all(directory: &Path) -> usize {
    let mut files = Vec::new();
    modules(directory, &mut files);
    files.sort();
    let (mut linked, mut relocations, mut refused, mut wrong) = (0, 0, 0, Vec::new());
    for path in &files {
        let file = std::fs::read(path).expect("a module that can be read");
        let Ok(image) = Image::parse(&file) else {
            refused += 1;
            continue;
        };
        let bases = if image.machine().is_wide() { &BASES[..] } else { &BASES[..1] };
        for &base in bases {
            match compare(&file, &image, base) {
                Ok(count) => relocations += count,
                Err(error) => wrong.push(format!("{} at {base:#x}: {error}", path.display())),
            }
        }
        linked += 1;
    }
    println!("{}: {linked} modules, {relocations} relocations, {refused} not valid", directory.display());
    assert!(wrong.is_empty(), "{} of {linked} modules:\n{}", wrong.len(), wrong.join("\n"));
    assert!(relocations > linked, "too few relocations to mean anything");
    linked
}

#[test]
fn linked_bytes_are_what_an_independent_relocator_makes() {
    if let Some(directory) = std::env::var_os("RUMPLOAD_STOCK") {
        assert_ne!(compare_all(Path::new(&directory)), 0, "no modules below {}", directory.display());
        return;
    }
    // Its common symbol has no space, so it cannot be linked.
    let names: Vec<&str> = NAMES.iter().copied().filter(|&name| name != "raw_common").collect();
    for target in [Target::NETBSD_7_99_34_AMD64, Target::NETBSD_7_99_34_I386] {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("link_independent").join(target.name);
        // Modules of an earlier state of the tree do not count.
        let _ = std::fs::remove_dir_all(&directory);
        let built = build_some(&target, &directory, &names).expect("the sample modules build");
        assert_eq!(compare_all(&built.directory), names.len());
    }
}
