//! Statements 54 to 76: symbols and relocation.

use crate::support::{NETBSD_7_99_34, NETBSD_9_3, NETBSD_10, World, errno};
use rumpload::address::RunAddr;
use rumpload::errno::{ENOENT, ENOEXEC, EPROGMISMATCH};
use rumpload::error::{Feature, LinkError};
use rumpload::image::Image;
use rumpload::load::Linker;
use rumpload::registry::Error;
use rumpload::rename::{Name, Namespace};
use rumpload::resolve::{Resolved, Scope, SymbolKind};
use rumpload::resource::{Detached, Memory, Placement};
use rumpload::{Export, ExportValue};
use rumpload_test_modules::elf::{self, Record, info, shf, shn, sht, sym};
use std::sync::Arc;

fn world() -> World {
    World::new(NETBSD_9_3)
}

/// Puts module `name`, changed by `change`.
fn put(world: &World, name: &str, change: impl FnOnce(&mut elf::Module)) {
    let mut module = Record::new(name, world.instance.config().version.0).module(elf::Machine::NATIVE);
    change(&mut module);
    world.put(name, module.object.write().bytes);
}

/// Defines `symbol` in the module's code.
fn define(symbol: &str, binding: u8) -> impl FnOnce(&mut elf::Module) {
    move |module| {
        module.object.symbol(symbol, info(binding, sym::FUNC), module.text.0, 0, 4);
    }
}

/// Imports `symbol` and wants it in a pointer in the module's data.
fn want(symbol: &str) -> impl FnOnce(&mut elf::Module) {
    move |module| {
        let symbol = module.object.import(symbol);
        module.object.relocate(module.data, 0, symbol, 1, 0);
    }
}

fn export(world: &World, name: &'static str, number: u64) {
    world.instance.export(&[Export { name, value: ExportValue::Absolute(number) }]).expect("exported");
}

/// Every name stands for one address.
struct Everything(u64);

impl Scope for Everything {
    fn lookup(&self, _: Name<'_>) -> Option<Resolved> {
        Some(Resolved { value: RunAddr::new(self.0), kind: SymbolKind::Data })
    }
}

/// Where linked modules run in these tests.
const RUN: u64 = 0x10_0000;

/// Links a module whose data gets one relocation of type `kind` against an import at `target`; the data afterwards, and its
/// address.
fn relocated(machine: elf::Machine, kind: u32, addend: i64, target: u64) -> Result<(Vec<u8>, u64), LinkError> {
    let mut module = Record::new("m", NETBSD_9_3).module(machine);
    let symbol = module.object.import("target");
    module.object.relocate(module.data, 16, symbol, kind, addend);
    let bytes = module.object.write().bytes;
    let image = Image::parse(&bytes).expect("well-formed");
    let detached = Arc::new(Detached::new(RunAddr::new(RUN), 4096));
    let memory: Arc<dyn Memory> = detached.clone();
    let linked = Linker::new().link(&image, &Namespace::none(), &Everything(target), &memory, Placement::Anywhere)?;
    let (at, size) = linked.section(".data").expect("data");
    let all = detached.bytes(linked.reservation.run()).expect("finalized");
    let offset = (at.get() - linked.reservation.run().get()) as usize;
    Ok((all[offset..offset + size as usize].to_vec(), at.get()))
}

/// The eight bytes at the relocated place, and its address.
fn word(machine: elf::Machine, kind: u32, addend: i64, target: u64) -> ([u8; 8], u64) {
    let (data, at) = relocated(machine, kind, addend, target).expect("linked");
    (data[16..24].try_into().expect("eight bytes"), at + 16)
}

/// `low` bytes of `value`; the rest as the data was before.
fn stored(value: u64, low: usize) -> [u8; 8] {
    let mut bytes = [0x5a; 8];
    bytes[..low].copy_from_slice(&value.to_le_bytes()[..low]);
    bytes
}

#[test]
fn s054_unresolved_symbols_are_all_reported() {
    let world = world();
    put(&world, "m", |module| ["one", "two", "three"].into_iter().for_each(|name| want(name)(module)));
    let error = world.fails_whole(|world| world.load("m"));
    assert_eq!(error.errno(), ENOEXEC);
    let Error::Link { error, .. } = error else { panic!("{error}") };
    let names: Vec<&str> = error.missing().iter().map(|missing| missing.name.as_str()).collect();
    assert_eq!(names, ["rumpns_one", "rumpns_two", "rumpns_three"]);
    for missing in error.missing() {
        let place = missing.wanted.as_ref().expect("a place");
        assert_eq!((place.name.as_deref(), place.offset), (Some(".data"), Some(0)));
    }
}

#[test]
fn s055_every_active_module_is_searched() {
    let world = world();
    put(&world, "a", define("service", sym::GLOBAL));
    put(&world, "b", want("service"));
    assert_eq!(world.fails_whole(|world| world.load("b")).errno(), ENOEXEC);
    world.load("a").expect("it loads");
    world.load("b").expect("the symbol is there although a is not required");
}

#[test]
fn s056_the_kernel_goes_first() {
    let world = world();
    put(&world, "a", |module| {
        define("other", sym::GLOBAL)(module);
    });
    world.load("a").expect("it loads");
    export(&world, "service", 0x1234);
    // A module cannot define what the kernel exports, so the kernel's is the only one there is.
    put(&world, "b", define("service", sym::GLOBAL));
    assert_eq!(world.fails_whole(|world| world.load("b")).errno(), ENOEXEC);
    assert_eq!(world.instance.symbol("service"), Some(RunAddr::new(0x1234)));
}

#[test]
fn s057_a_global_is_defined_once() {
    let world = world();
    for name in ["a", "b"] {
        put(&world, name, |module| {
            define("first", sym::GLOBAL)(module);
            define("second", sym::GLOBAL)(module);
        });
    }
    world.load("a").expect("it loads");
    let error = world.fails_whole(|world| world.load("b"));
    assert_eq!(error.errno(), ENOEXEC);
    assert_eq!(error, Error::Redefined { module: "b".into(), symbols: vec!["rumpns_first".into(), "rumpns_second".into()] });
    // It is not the names but the definitions that clash.
    put(&world, "c", define("third", sym::GLOBAL));
    world.load("c").expect("it loads");
}

#[test]
fn s058_linker_delimiters_may_repeat() {
    let world = world();
    for name in ["a", "b"] {
        put(&world, name, |module| {
            define("__bss_start", sym::GLOBAL)(module);
            define("__start_link_set_x", sym::GLOBAL)(module);
        });
        world.load(name).expect("it loads");
    }
}

#[test]
fn s059_renamed_delimiters_may_not() {
    let world = world();
    for name in ["a", "b"] {
        put(&world, name, define("_end", sym::GLOBAL));
    }
    world.load("a").expect("it loads");
    let error = world.fails_whole(|world| world.load("b"));
    assert_eq!(error, Error::Redefined { module: "b".into(), symbols: vec!["rumpns__end".into()] });
    // Without a prefix nothing is renamed, and the delimiter is one again.
    let plain = World::with(NETBSD_9_3, |config| config.namespace = Namespace::none());
    for name in ["a", "b"] {
        put(&plain, name, define("_end", sym::GLOBAL));
        plain.load(name).expect("it loads");
    }
}

#[test]
fn s060_weak_definitions_are_not_offered() {
    let world = world();
    put(&world, "a", define("service", sym::WEAK));
    put(&world, "b", want("service"));
    world.load("a").expect("it loads");
    assert_eq!(world.fails_whole(|world| world.load("b")).errno(), ENOEXEC);
}

#[test]
fn s061_undefined_weak_symbols_resolve_or_are_refused() {
    for version in [NETBSD_7_99_34, NETBSD_9_3, NETBSD_10] {
        let world = World::new(version);
        put(&world, "m", |module| {
            let symbol = module.object.symbol("rump_service", info(sym::WEAK, sym::NOTYPE), shn::UNDEF, 0, 0);
            module.object.relocate(module.data, 0, symbol, 1, 0);
        });
        let error = world.fails_whole(|world| world.load("m"));
        assert_eq!(error.errno(), ENOEXEC);
        let Error::Link { error, .. } = error else { panic!("{error}") };
        assert!(error.missing()[0].weak);
        export(&world, "rump_service", 77);
        world.load("m").expect("it is exported now");
    }
}

#[test]
fn s062_weak_definitions_of_the_module_itself_work() {
    let world = world();
    put(&world, "m", |module| {
        let symbol = module.object.symbol("own", info(sym::WEAK, sym::FUNC), module.text.0, 0, 4);
        module.object.relocate(module.data, 0, symbol, 1, 0);
    });
    world.load("m").expect("it loads");
}

#[test]
fn s063_local_symbols_stay_at_home() {
    let world = world();
    put(&world, "a", define("service", sym::LOCAL));
    put(&world, "b", want("service"));
    world.load("a").expect("it loads");
    assert_eq!(world.fails_whole(|world| world.load("b")).errno(), ENOEXEC);
    assert_eq!(world.instance.symbol("service"), None);
}

#[test]
fn s064_symbol_index_beyond_the_table_is_enoexec() {
    let world = world();
    put(&world, "m", |module| module.object.relocate(module.data, 0, elf::SymbolId(1000), 1, 0));
    assert_eq!(world.fails_whole(|world| world.load("m")).errno(), ENOEXEC);
}

#[test]
fn s065_the_record_is_read_before_symbols_are_resolved() {
    let world = world();
    let mut module = Record::new("m", 902_000_000).module(elf::Machine::NATIVE);
    want("nobody")(&mut module);
    world.put("m", module.object.write().bytes);
    assert_eq!(world.fails_whole(|world| world.load("m")).errno(), EPROGMISMATCH);
}

#[test]
fn s066_requirements_come_before_symbols() {
    let world = world();
    let mut module = Record { required: Some("absent"), ..Record::new("m", NETBSD_9_3) }.module(elf::Machine::NATIVE);
    want("nobody")(&mut module);
    world.put("m", module.object.write().bytes);
    assert_eq!(world.fails_whole(|world| world.load("m")).errno(), ENOENT);
}

#[test]
fn s067_amd64_results() {
    let amd64 = elf::Machine::Amd64;
    let target = 0x12_3456;
    let (bytes, _) = word(amd64, 1, 5, 0x1234_5678_9abc_def0);
    assert_eq!(bytes, stored(0x1234_5678_9abc_def5, 8));
    let (bytes, place) = word(amd64, 2, -4, target);
    assert_eq!(bytes, stored((target - 4).wrapping_sub(place), 4));
    for kind in [10, 11] {
        let (bytes, _) = word(amd64, kind, 0x10, target);
        assert_eq!(bytes, stored(target + 0x10, 4), "type {kind}");
    }
}

#[test]
fn s068_amd64_calls_through_the_plt_are_direct() {
    let (direct, _) = word(elf::Machine::Amd64, 2, -4, 0x20_0000);
    let (through, _) = word(elf::Machine::Amd64, 4, -4, 0x20_0000);
    assert_eq!(direct, through);
}

#[test]
fn s069_amd64_results_that_do_not_fit_are_enoexec() {
    let amd64 = elf::Machine::Amd64;
    let far = |kind, target| relocated(amd64, kind, 0, target);
    for (kind, last, first) in [(10, 0xffff_ffff, 0x1_0000_0000), (11, 0x7fff_ffff, 0x8000_0000)] {
        assert!(far(kind, last).is_ok(), "type {kind} holds {last:#x}");
        let error = far(kind, first).expect_err("too far");
        assert_eq!(error.errno(), ENOEXEC);
        let LinkError::OutOfRange(what) = error else { panic!("{error}") };
        assert_eq!((what.relocation, what.symbol.as_str(), what.place.offset), (kind, "target", Some(16)));
    }
    assert!(far(11, 0xffff_ffff_8000_0000).is_ok() && far(10, 0xffff_ffff_8000_0000).is_err());
    let (_, at) = relocated(amd64, 2, 0, RUN).expect("near");
    let place = at + 16;
    assert!(far(2, place + 0x7fff_ffff).is_ok() && far(2, place + 0x8000_0000).is_err());
    assert!(far(2, place.wrapping_sub(0x8000_0000)).is_ok() && far(2, place.wrapping_sub(0x8000_0001)).is_err());
}

#[test]
fn s070_amd64_got_relocations_get_a_slot() {
    let mut module = Record::new("m", NETBSD_9_3).module(elf::Machine::Amd64);
    let symbol = module.object.import("far");
    module.object.relocate(module.data, 16, symbol, 9, 0);
    let bytes = module.object.write().bytes;
    let image = Image::parse(&bytes).expect("well-formed");
    let detached = Arc::new(Detached::new(RunAddr::new(RUN), 4096));
    let memory: Arc<dyn Memory> = detached.clone();
    let target = 0x1234_5678_9abc_def0;
    let linked =
        Linker::new().link(&image, &Namespace::none(), &Everything(target), &memory, Placement::Anywhere).expect("linked");
    let all = detached.bytes(linked.reservation.run()).expect("finalized");
    let base = linked.reservation.run().get();
    let place = linked.section(".data").expect("data").0.get() + 16;
    let at = (place - base) as usize;
    let distance = i32::from_le_bytes(all[at..at + 4].try_into().expect("four bytes"));
    let slot = (place.wrapping_add_signed(distance.into()) - base) as usize;
    assert_eq!(all[slot..slot + 8], target.to_le_bytes());
}

#[test]
fn s071_i386_addends_are_in_the_place() {
    let i386 = elf::Machine::I386;
    let (bytes, _) = word(i386, 1, 0x20, 0x12_3456);
    assert_eq!(bytes, stored(0x12_3476, 4));
    let (bytes, place) = word(i386, 2, -4, 0x12_3456);
    assert_eq!(bytes, stored(u64::from((0x12_3452_u32).wrapping_sub(place as u32)), 4));
    // The place is read once: linking again gives the same bytes.
    assert_eq!(word(i386, 1, 0x20, 0x12_3456).0, stored(0x12_3476, 4));
}

#[test]
fn s075_status_tells_the_text_segment() {
    let world = world();
    put(&world, "m", |module| {
        module.object.section(".text.more", sht::PROGBITS, shf::A | shf::X, 64, &[0xc3; 100]);
        define("service", sym::GLOBAL)(module);
    });
    world.load("m").expect("it loads");
    let status = world.instance.stat().expect("not ended").remove(0);
    assert_eq!(world.instance.symbol("service"), Some(status.address));
    assert_eq!(status.size, 64 + 100);
}

#[test]
fn s076_a_failed_load_leaves_no_symbols() {
    let world = world();
    put(&world, "m", |module| {
        define("service", sym::GLOBAL)(module);
        want("nobody")(module);
    });
    assert_eq!(world.fails_whole(|world| world.load("m")).errno(), ENOEXEC);
    let refusing = Record { control: elf::Control::Answers(5, 0, 0), ..Record::new("m", NETBSD_9_3) };
    let mut module = refusing.module(elf::Machine::NATIVE);
    define("service", sym::GLOBAL)(&mut module);
    world.put("m", module.object.write().bytes);
    assert_eq!(world.fails_whole(|world| world.load("m")).errno(), 5);
    assert_eq!(world.instance.symbol("service"), None);
    put(&world, "m", define("service", sym::GLOBAL));
    world.load("m").expect("nothing is in its way");
}

#[test]
fn unknown_relocation_types_are_named() {
    let error = relocated(elf::Machine::Amd64, 200, 0, 0).expect_err("unknown");
    assert!(matches!(error, LinkError::Unsupported { feature: Feature::Relocation(200), .. }), "{error}");
    let world = world();
    put(&world, "m", |module| {
        let symbol = module.object.anchor(module.text);
        module.object.relocate(module.data, 0, symbol, 200, 0);
    });
    assert_eq!(errno(world.load("m")), ENOEXEC);
}
