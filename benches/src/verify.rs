//! Every byte that rumpload links, against the independent relocator.

use crate::corpus::{Corpus, Exports, Symbols};
use crate::reference::{Linked, compare};
use anyhow::{Context, Result};
use rumpload::Flavour;
use rumpload::address::RunAddr;
use rumpload::arch::Machine;
use rumpload::image::Image;
use rumpload::load::{Linker, Options};
use rumpload::rename::Namespace;
use rumpload::resource::{Detached, Memory, Placement};
use std::sync::Arc;

/// Where modules run: high enough that made-up addresses fit below, low enough for 32-bit machines.
const RUN: u64 = 0x1000_0000;

/// Compares all modules; says how many agree.
pub fn all(corpus: &Corpus) -> Result<bool> {
    let (mut equal, mut relocations) = (0, 0);
    let mut linker = Linker::new();
    for module in &corpus.modules {
        let outcome = one(&mut linker, &module.bytes).with_context(|| module.path.display().to_string())?;
        match outcome {
            Ok(count) => {
                equal += 1;
                relocations += count;
            }
            Err(reason) => println!("differs {}: {reason}", module.path.display()),
        }
    }
    let of = corpus.modules.len();
    println!("equal {equal} of {of} to an independent relocator, {relocations} relocations");
    Ok(equal == of)
}

fn one(linker: &mut Linker, bytes: &[u8]) -> Result<Result<usize, String>> {
    let image = Image::parse(bytes)?;
    let machine = image.machine();
    // In reach of the shortest calls.
    let mut symbols = Symbols::new(RUN - 0x80_0000, 16);
    symbols.add(&image);
    let detached = Arc::new(Detached::new(RunAddr::new(RUN), 4096));
    let memory: Arc<dyn Memory> = detached.clone();
    let none = Namespace::none();
    let options = Options { flavour: Flavour::Linux, namespace: &none, placement: Placement::Anywhere, per_cpu: 0 };
    let exports = Exports { symbols: &symbols, stubs: machine == Machine::PowerPc64 };
    let linked = linker.link_as(&image, options, &exports, &memory)?;
    let run = linked.reservation.run();
    let sections = image
        .sections()
        .filter_map(|section| Some((section.index().0 as usize, linked.address(section.index(), 0)?.get())))
        .collect();
    let linked = Linked { bytes: &detached.bytes(run).context("the linked bytes are gone")?, run: run.get(), sections };
    Ok(compare(bytes, &linked, &symbols))
}
