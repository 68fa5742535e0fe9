//! The rows of the table: each links all modules once per round, rounds of all rows interleaved.

use crate::bound::Prepared;
use crate::corpus::{Corpus, Exports, Module, Symbols};
use crate::memory::{self, Count, Mode};
use crate::peers;
use anyhow::Result;
use rumpload::Flavour;
use rumpload::image::Image;
use rumpload::load::{Linker, Options};
use rumpload::rename::Namespace;
use rumpload::resource::{Memory, Placement};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Names of rows.
pub const BOUND1: &str = "bound1";
pub const BOUND2: &str = "bound2";
pub const RUMPLOAD: &str = "rumpload";
pub const ALL: &str = "rumpload, every section";
pub const KMOD: &str = "kmod-loader 0.3.1";
pub const RELINK: &str = "elf_loader 0.18.0";
pub const PARSE: &str = "parse only";

/// The system's heap, counted.
pub struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is the system allocator's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// What one row took in one mode.
pub struct Figure {
    pub row: &'static str,
    pub mode: Mode,
    /// Of one round.
    pub times: Vec<Duration>,
    pub failed: usize,
    pub memory: Count,
    /// Heap allocations of the last round.
    pub allocations: usize,
}

/// All of them, and what they were about.
pub struct Figures {
    pub modules: usize,
    pub file_bytes: usize,
    pub allocated: usize,
    pub relocations: usize,
    pub rows: Vec<Figure>,
}

type Load<'a> = Box<dyn FnMut(usize, &Module) -> Result<(), String> + 'a>;

/// Measures every row whose name contains `only`, in both modes.
pub fn measure(corpus: Corpus, rounds: usize, only: &str) -> Result<Figures> {
    let mut symbols = Symbols::new(0x6000_0000, 16);
    for module in &corpus.modules {
        symbols.add(&Image::parse(&module.bytes)?);
    }
    let symbols: &'static Symbols = Box::leak(Box::new(symbols));
    peers::kmod::prepare(symbols);
    let relink = peers::elf::Peer::new(symbols);
    let prepared: Vec<Prepared> =
        corpus.modules.iter().map(|module| Prepared::new(&module.bytes, symbols, 0x4000_0000)).collect::<Result<_>>()?;
    let wanted = |name: &str| name.contains(only);
    let patched: Vec<Vec<u8>> = match wanted(RELINK) {
        true => corpus.modules.iter().map(|module| peers::elf::patched(&module.bytes)).collect(),
        false => Vec::new(),
    };
    let memory: Arc<dyn Memory> = Arc::new(memory::Host);
    let none = Namespace::none();
    let exports = Exports { symbols, stubs: false };
    let (mut linker, mut other) = (Linker::new(), Linker::new());
    let link = |linker: &mut Linker, flavour, module: &Module| {
        let image = Image::parse(&module.bytes).map_err(|error| error.to_string())?;
        let placement = Placement::Within { first: 0x1_0000, last: 0x7fff_ffff };
        let options = Options { flavour, namespace: &none, placement, per_cpu: 0 };
        let linked = linker.link_as(&image, options, &exports, &memory).map_err(|error| error.to_string())?;
        std::hint::black_box(&linked);
        Ok(())
    };
    let mut rows: Vec<(&'static str, Load<'_>)> = vec![
        (
            BOUND1,
            Box::new(|index, module| {
                prepared[index].bound1(&module.bytes);
                Ok(())
            }),
        ),
        (
            BOUND2,
            Box::new(|index, module| {
                prepared[index].bound2(&module.bytes);
                Ok(())
            }),
        ),
        (RUMPLOAD, Box::new(|_, module| link(&mut linker, module.flavour(), module))),
        (ALL, Box::new(|_, module| link(&mut other, Flavour::NetBsd, module))),
        (KMOD, Box::new(|_, module| peers::kmod::load(&module.bytes))),
        (RELINK, Box::new(|index, _| relink.load(&patched[index]))),
        (
            PARSE,
            Box::new(|_, module| {
                std::hint::black_box(Image::parse(&module.bytes).map_err(|error| error.to_string())?);
                Ok(())
            }),
        ),
    ];
    rows.retain(|(name, _)| wanted(name));
    let mut figures = Vec::new();
    for mode in [Mode::Arena, Mode::Fresh] {
        memory::use_mode(mode);
        let start = figures.len();
        figures.extend(rows.iter().map(|&(row, _)| Figure {
            row,
            mode,
            times: Vec::new(),
            failed: 0,
            memory: Count::default(),
            allocations: 0,
        }));
        // The first round warms caches and scratch.
        for round in 0..=rounds {
            for (figure, (_, load)) in figures[start..].iter_mut().zip(&mut rows) {
                memory::count();
                let (before, begun) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
                let mut failed = 0;
                for (index, module) in corpus.modules.iter().enumerate() {
                    failed += usize::from(load(index, module).is_err());
                    memory::restart();
                }
                if round > 0 {
                    figure.times.push(begun.elapsed());
                }
                figure.failed = failed;
                figure.memory = memory::count();
                figure.allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
            }
        }
    }
    Ok(Figures {
        modules: corpus.modules.len(),
        file_bytes: corpus.modules.iter().map(|module| module.bytes.len()).sum(),
        allocated: prepared.iter().map(|prepared| prepared.allocated).sum(),
        relocations: prepared.iter().map(|prepared| prepared.relocations).sum(),
        rows: figures,
    })
}
