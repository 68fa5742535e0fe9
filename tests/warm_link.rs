//! Linking a module that is no larger than one linked before makes no heap allocation: from the file's bytes to finalized memory.

use rumpload::address::RunAddr;
use rumpload::image::Image;
use rumpload::load::Linker;
use rumpload::metadata::netbsd::Modinfo;
use rumpload::rename::{ExemptRules, Name, Namespace};
use rumpload::resolve::{Resolved, Scope, SymbolKind};
use rumpload::resource::{Memory, Placement};
use rumpload_test_modules::{NAMES, Target, module};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

/// The system's allocator; counts what the calling thread asks for while it counts.
struct Counting;

thread_local! {
    static COUNT: Cell<Option<usize>> = const { Cell::new(None) };
}

fn note() {
    // A thread that is going away has nothing to count.
    let _ = COUNT.try_with(|count| count.set(count.get().map(|count| count + 1)));
}

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's contract is this call's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often `work` asks for memory.
fn allocations<R>(work: impl FnOnce() -> R) -> (usize, R) {
    COUNT.with(|count| count.set(Some(0)));
    let result = work();
    (COUNT.with(|count| count.replace(None)).unwrap_or_default(), result)
}

/// Every name is a function far away, so that each import takes a stub.
struct Far;

impl Scope for Far {
    fn lookup(&self, _: Name<'_>) -> Option<Resolved> {
        Some(Resolved { value: RunAddr::new(0x1234_5678_9abc), kind: SymbolKind::Function })
    }
}

/// Every name is data nearby.
struct Near;

impl Scope for Near {
    fn lookup(&self, _: Name<'_>) -> Option<Resolved> {
        Some(Resolved { value: RunAddr::new(0x1000_0000), kind: SymbolKind::Data })
    }
}

fn link(file: &[u8], linker: &mut Linker, scope: &dyn Scope, memory: &Arc<dyn Memory>, namespace: &Namespace) {
    let image = Image::parse(file).expect("well-formed");
    let record = Modinfo::read(&image).expect("a record");
    let placement = Placement::Within { first: 0x1_0000, last: 0x7fff_ffff };
    let linked = linker.link(&image, namespace, scope, memory, placement).expect("linked");
    assert_ne!(linked.modcmd(&record).get(), 0);
}

#[test]
fn the_counter_counts() {
    let (count, boxed) = allocations(|| Box::new(7));
    assert_eq!((count, *boxed), (1, 7));
    assert_eq!(allocations(|| 7).0, 0);
}

#[test]
fn warm_linking_allocates_nothing() {
    let unlinkable = ["raw_common", "no_record", "two_records"];
    let memory: Arc<dyn Memory> = Arc::new(rumpload_hosted::Memory::new());
    let namespace = Namespace::new("rumpns_", ExemptRules::Before2020);
    for target in [Target::NETBSD_7_99_34_AMD64, Target::NETBSD_7_99_34_I386, Target::NETBSD_10_AMD64] {
        let names = NAMES.iter().filter(|name| !unlinkable.contains(name));
        let files: Vec<Vec<u8>> = names.map(|name| module(&target, name).unwrap_or_else(|error| panic!("{error}"))).collect();
        // i386 reaches everything, so that only amd64 has stubs.
        let scopes: [&dyn Scope; 2] = if target.pointer == 8 { [&Far, &Near] } else { [&Near, &Near] };
        for scope in scopes {
            let mut linker = Linker::new();
            let (cold, ()) = allocations(|| {
                files.iter().for_each(|file| link(file, &mut linker, scope, &memory, &namespace));
            });
            assert_ne!(cold, 0, "the first time there is scratch to make");
            for file in &files {
                let (count, ()) = allocations(|| link(file, &mut linker, scope, &memory, &namespace));
                assert_eq!(count, 0, "{}", target.name);
            }
        }
    }
}
