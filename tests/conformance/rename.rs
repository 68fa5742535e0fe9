//! Statements 77 to 87: symbols move into the namespace.

use crate::support::{NETBSD_9_3, World, noting};
use rumpload::address::RunAddr;
use rumpload::image::Image;
use rumpload::load::Linker;
use rumpload::rename::{ExemptRules, Name, Namespace};
use rumpload::resource::{Detached, Memory, Placement};
use rumpload::{Export, ExportValue};
use rumpload_test_modules::elf::{self, Record, SectionField, info, sht, sym};
use rumpload_test_modules::{Target, module};
use std::sync::Arc;

fn rump() -> Namespace {
    Namespace::new("rumpns_", ExemptRules::Before2020)
}

/// The full names of what a module that defines `names` with `binding` exports.
fn exported(names: &[&str], binding: u8) -> Vec<String> {
    let mut module = Record::new("m", NETBSD_9_3).module(elf::Machine::NATIVE);
    for name in names {
        module.object.symbol(name, info(binding, sym::FUNC), module.text.0, 0, 4);
    }
    let bytes = module.object.write().bytes;
    let image = Image::parse(&bytes).expect("well-formed");
    let memory: Arc<dyn Memory> = Arc::new(Detached::new(RunAddr::new(0x10_0000), 4096));
    let namespace = rump();
    let linked = Linker::new().link(&image, &namespace, &(), &memory, Placement::Anywhere).expect("linked");
    linked.exports(&image, &namespace).map(|export| namespace.full(export.name)).collect()
}

#[test]
fn s077_globals_get_the_prefix_defined_or_not() {
    assert_eq!(exported(&["foo"], sym::GLOBAL), ["rumpns_foo"]);
    let world = World::new(NETBSD_9_3);
    let mut module = Record::new("m", NETBSD_9_3).module(elf::Machine::NATIVE);
    module.object.import("foo");
    world.put("m", module.object.write().bytes);
    let error = world.fails_whole(|world| world.load("m"));
    assert!(error.to_string().contains("rumpns_foo"), "{error}");
}

#[test]
fn s078_exempt_names() {
    let names = ["__foo", "rump_foo", "rumpuser_foo", "rumpns_foo", "RUMP_foo", "_GLOBAL_OFFSET_TABLE_"];
    assert_eq!(exported(&names, sym::GLOBAL), names);
}

#[test]
fn s079_near_misses() {
    assert_eq!(exported(&["_foo", "Rump"], sym::GLOBAL), ["rumpns__foo", "rumpns_Rump"]);
}

#[test]
fn s080_the_rule_is_a_prefix() {
    assert_eq!(exported(&["rumpfs_x"], sym::GLOBAL), ["rumpfs_x"]);
}

#[test]
fn s081_toc() {
    assert_eq!(exported(&[".TOC."], sym::GLOBAL), ["rumpns_.TOC."]);
    let since = Namespace::new("rumpns_", ExemptRules::Since2020);
    assert_eq!(since.full(since.name(true, ".TOC.")), ".TOC.");
}

#[test]
fn s082_weak_and_local_names() {
    assert_eq!(exported(&["foo"], sym::WEAK), ["foo"]);
    assert_eq!(exported(&["foo"], sym::LOCAL), [""; 0]);
    assert_eq!(rump().name(false, "foo"), Name { in_namespace: false, base: "foo" });
}

#[test]
fn s083_section_names_and_s084_module_names_stay() {
    let world = World::new(NETBSD_9_3);
    world.add(&noting("m", NETBSD_9_3, 1));
    world.when(1, |probe, _| {
        i32::from(["link_set_modules", ".text"].iter().any(|name| probe.instance().find_section(name).is_none()))
    });
    world.load("m").expect("it finds its sections");
    assert_eq!(world.active(), ["m"]);
}

/// Exports what module `tails` calls, and loads it from `bytes`.
fn load_tails(bytes: Vec<u8>) -> World {
    extern "C" fn attach(_: usize) -> i32 {
        0
    }
    let world = World::new(799_003_400);
    let export = |name| Export { name, value: ExportValue::Function(attach as *const ()) };
    world.instance.export(&[export("vfs_attach"), export("vfs_detach")]).expect("exported");
    world.put("tails", bytes);
    world.load("tails").expect("it loads");
    world
}

#[test]
fn s085_shared_tails_are_two_names() {
    let bytes = module(&Target::native().expect("a target"), "tails").expect("compiled");
    let image = Image::parse(&bytes).expect("well-formed");
    let [whole, tail] = ["vfs_attach", "attach"].map(|name| image.symbols().find(|symbol| symbol.name == name).expect(name));
    assert!(std::ptr::eq(whole.name[4..].as_ptr(), tail.name.as_ptr()), "the linker shares them");
    let world = load_tails(bytes);
    let (service, own) = (world.instance.symbol("vfs_attach"), world.instance.symbol("attach"));
    assert!(service.is_some() && own.is_some() && service != own);

    // The same with tables of our own.
    let mut built = Record::new("tails", 799_003_400).module(elf::Machine::NATIVE);
    built.object.share_tails();
    built.object.symbol("attach", info(sym::GLOBAL, sym::FUNC), built.text.0, 0, 4);
    built.object.import("vfs_attach");
    let world = load_tails(built.object.write().bytes);
    assert_ne!(world.instance.symbol("vfs_attach"), world.instance.symbol("attach"));
}

#[test]
fn s086_string_tables_are_not_rewritten() {
    // A table as large as its names allow: a prefix for each of them would not fit anywhere.
    let mut module = Record::new("m", NETBSD_9_3).module(elf::Machine::NATIVE);
    for index in 0..5000 {
        module.object.symbol(&format!("symbol_{index}"), info(sym::GLOBAL, sym::OBJECT), module.data.0, 0, 0);
    }
    let written = module.object.write();
    assert_eq!(written.get(".strtab", SectionField::Type), u64::from(sht::STRTAB));
    let image = Image::parse(&written.bytes).expect("well-formed");
    let memory: Arc<dyn Memory> = Arc::new(Detached::new(RunAddr::new(0x10_0000), 4096));
    let namespace = rump();
    let linked = Linker::new().link(&image, &namespace, &(), &memory, Placement::Anywhere).expect("linked");
    let range = written.bytes.as_ptr_range();
    assert_eq!(linked.exports(&image, &namespace).count(), 5000);
    for export in linked.exports(&image, &namespace) {
        assert!(export.name.in_namespace && range.contains(&export.name.base.as_ptr()), "names stay in the file");
    }
}

#[test]
fn s087_objects_in_memory_are_renamed_too() {
    // `exported` links bytes that never were a file.
    assert_eq!(exported(&["in_memory"], sym::GLOBAL), ["rumpns_in_memory"]);
}
