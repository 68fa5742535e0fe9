//! Statements 1 to 25: object format.

use crate::support::{INIT, NETBSD_7_99_34, NETBSD_9_3, NETBSD_10, World, noting};
use rumpload::Machine;
use rumpload::address::SectionIndex;
use rumpload::errno::{EINVAL, ENOENT, ENOEXEC};
use rumpload::image::Image;
use rumpload::plan::{Plan, SegmentKind};
use rumpload_test_modules::elf::{self, Field, Record, SectionField, Written, shf, shn, sht, sym};
use std::sync::{Arc, Mutex};

fn module() -> elf::Module {
    Record::new("m", NETBSD_9_3).module(elf::Machine::NATIVE)
}

fn written() -> Written {
    module().object.write()
}

/// The errno of loading `bytes`, which leaves nothing behind.
#[track_caller]
fn refused(bytes: Vec<u8>) -> i32 {
    let world = World::new(NETBSD_9_3);
    world.put("m", bytes);
    world.fails_whole(|world| world.load("m")).errno()
}

#[track_caller]
fn loads(bytes: Vec<u8>) {
    let world = World::new(NETBSD_9_3);
    world.put("m", bytes);
    world.load("m").expect("it loads");
    assert_eq!(world.active(), ["m"]);
}

/// The errno of a module with one field spoilt.
#[track_caller]
fn spoilt(spoil: impl FnOnce(&mut Written)) -> i32 {
    let mut module = written();
    spoil(&mut module);
    refused(module.bytes)
}

/// Segment, offset and size of a section in the plan; `None` if it is not loaded.
fn planned(module: &Written, name: &str) -> Option<(SegmentKind, usize, usize)> {
    let image = Image::parse(&module.bytes).expect("well-formed");
    let plan = Plan::of(&image, 4096).expect("it can be planned");
    plan.section(SectionIndex(module.index(name) as u32)).map(|section| (section.segment, section.offset, section.size))
}

#[test]
fn s001_short_file_is_einval() {
    let bytes = written().bytes;
    for len in 0..64 {
        assert_eq!(refused(bytes[..len].to_vec()), EINVAL, "{len} bytes");
    }
}

#[test]
fn s002_bad_magic_is_enoexec() {
    for at in 0..4 {
        assert_eq!(spoilt(|module| module.bytes[at] ^= 1), ENOEXEC);
    }
}

#[test]
fn s003_bad_elf_version_is_enoexec() {
    assert_eq!(spoilt(|module| module.bytes[6] = 0), ENOEXEC);
    assert_eq!(spoilt(|module| module.set_header(Field::Version, 2)), ENOEXEC);
}

#[test]
fn s004_executables_and_libraries_are_enoexec() {
    for kind in [2, 3] {
        assert_eq!(spoilt(|module| module.set_header(Field::Type, kind)), ENOEXEC);
    }
}

#[test]
fn s005_other_machines_are_enoexec() {
    assert_eq!(refused(Record::new("m", NETBSD_9_3).bytes(elf::Machine::NATIVE.other())), ENOEXEC);
    let other = if elf::Machine::NATIVE == elf::Machine::Amd64 { 3 } else { 62 };
    assert_eq!(spoilt(|module| module.set_header(Field::Machine, other)), ENOEXEC);
    for number in [3, 6] {
        let mut module = Record::new("m", NETBSD_9_3).module(elf::Machine::I386).object.write();
        module.set_header(Field::Machine, number);
        assert_eq!(Image::parse(&module.bytes).expect("accepted").machine(), Machine::X86);
    }
}

#[test]
fn s006_bad_section_header_geometry_is_enoexec() {
    assert_eq!(spoilt(|module| module.set_header(Field::SectionCount, 0)), ENOEXEC);
    assert_eq!(spoilt(|module| module.set_header(Field::SectionCount, 32_769)), ENOEXEC);
    assert_eq!(spoilt(|module| module.set_header(Field::SectionHeaders, 0)), ENOEXEC);
    for size in [63, 65] {
        assert_eq!(spoilt(|module| module.set_header(Field::SectionEntry, size)), ENOEXEC);
    }
}

#[test]
fn s007_section_headers_beyond_the_file_are_einval() {
    assert_eq!(spoilt(|module| module.set_header(Field::SectionCount, module.section_count() as u64 + 1)), EINVAL);
    assert_eq!(spoilt(|module| module.set_header(Field::SectionHeaders, module.bytes.len() as u64)), EINVAL);
    assert_eq!(spoilt(|module| module.set_header(Field::SectionHeaders, u64::MAX - 7)), EINVAL);
}

#[test]
fn s008_osabi_flags_and_entry_do_not_matter() {
    let mut module = written();
    module.bytes[7] = 0xff;
    module.set_header(Field::Flags, u64::MAX);
    module.set_header(Field::Entry, u64::MAX);
    loads(module.bytes);
}

#[test]
fn s009_not_exactly_one_symbol_table_is_enoexec() {
    assert_eq!(spoilt(|module| module.set(".symtab", SectionField::Type, sht::PROGBITS.into())), ENOEXEC);
    let mut module = module();
    module.object.section(".second", sht::SYMTAB, 0, 8, &[0; 24]);
    let mut module = module.object.write();
    module.set(".second", SectionField::Link, module.index(".strtab") as u64);
    module.set(".second", SectionField::EntrySize, 24);
    assert_eq!(refused(module.bytes), ENOEXEC);
}

#[test]
fn s010_bad_string_link_is_enoexec() {
    assert_eq!(spoilt(|module| module.set(".symtab", SectionField::Link, 0)), ENOEXEC);
    assert_eq!(spoilt(|module| module.set(".symtab", SectionField::Link, module.index(".text") as u64)), ENOEXEC);
    assert_eq!(spoilt(|module| module.set(".symtab", SectionField::Link, u64::from(u32::MAX))), ENOEXEC);
}

#[test]
fn s011_empty_tables_are_enoexec() {
    for table in [".symtab", ".strtab"] {
        assert_eq!(spoilt(|module| module.set(table, SectionField::Size, 0)), ENOEXEC, "{table}");
    }
}

#[test]
fn s012_section_names() {
    assert_eq!(spoilt(|module| module.set_header(Field::SectionNames, module.section_count() as u64)), ENOEXEC);
    assert_eq!(spoilt(|module| module.set_header(Field::SectionNames, 0)), ENOENT);
}

#[test]
fn s013_no_executable_section_is_enoexec() {
    assert_eq!(spoilt(|module| module.set(".text", SectionField::Flags, shf::A)), ENOEXEC);
}

#[test]
fn s014_empty_data_and_rodata_load_in_every_version() {
    for version in [NETBSD_7_99_34, NETBSD_9_3, NETBSD_10] {
        let mut no_data = Record::new("m", version).module(elf::Machine::NATIVE).object.write();
        no_data.set(".data", SectionField::Size, 0);
        // Everything that was read-only becomes data: no read-only segment is left.
        let mut no_rodata = Record::new("m", version).module(elf::Machine::NATIVE).object.write();
        for name in [".rodata", "link_set_modules"] {
            no_rodata.set(name, SectionField::Flags, shf::A | shf::W);
        }
        for module in [no_data, no_rodata] {
            let world = World::new(version);
            world.put("m", module.bytes);
            world.load("m").expect("it loads");
        }
    }
}

#[test]
fn s015_notes_are_known_by_type_not_by_name() {
    let mut module = module();
    module.object.section(".note.a", sht::NOTE, shf::A, 4, &[1; 16]);
    module.object.section(".note.b", sht::PROGBITS, shf::A, 4, &[1; 16]);
    let module = module.object.write();
    assert_eq!(planned(&module, ".note.a"), None);
    assert_eq!(planned(&module, ".note.b").map(|found| found.0), Some(SegmentKind::Rodata));
    loads(module.bytes);
}

#[test]
fn s016_sections_that_do_not_ask_for_memory_get_none() {
    let mut module = module();
    module.object.section(".comment", sht::PROGBITS, 0, 1, &[1; 16]);
    let module = module.object.write();
    assert_eq!(planned(&module, ".comment"), None);
    loads(module.bytes);
}

#[test]
fn s016_unless_something_loaded_refers_to_them() {
    let world = World::new(NETBSD_9_3);
    let mut module = noting("m", NETBSD_9_3, 1).module(elf::Machine::NATIVE);
    let strange = module.object.section(".strange", sht::PROGBITS, 0, 1, b"strange");
    let anchor = module.object.anchor(strange);
    module.object.relocate(module.data, 8, anchor, 1, 0);
    world.put("m", module.object.write().bytes);
    world.when(1, |probe, event| {
        if event.command != INIT {
            return 0;
        }
        let (data, _) = probe.instance().find_section(".data").expect("data");
        // SAFETY: the section is in memory while the module is; its second word was relocated to seven bytes.
        let found = unsafe { *((data.get() + 8) as *const *const [u8; 7]) };
        // SAFETY: as above.
        i32::from(unsafe { &*found } != b"strange")
    });
    world.load("m").expect("it finds its bytes");
}

#[test]
fn s017_writable_code_goes_with_the_code() {
    let mut module = module();
    module.object.section(".hot", sht::PROGBITS, shf::A | shf::W | shf::X, 1, &[0xc3]);
    assert_eq!(planned(&module.object.write(), ".hot").map(|found| found.0), Some(SegmentKind::Text));
}

#[test]
fn s018_constructors_never_run() {
    let world = World::new(NETBSD_9_3);
    let mut module = noting("m", NETBSD_9_3, 1).module(elf::Machine::NATIVE);
    // A constructor that would be noted: mov edx, 99; jmp note, or push 99, 0 and 0; call note; add esp, 12; ret.
    let (code, call): (&[u8], u64) = match elf::Machine::NATIVE {
        elf::Machine::Amd64 => (&[0xba, 99, 0, 0, 0, 0xe9, 0, 0, 0, 0], 6),
        elf::Machine::I386 => (&[0x6a, 99, 0x6a, 0, 0x6a, 0, 0xe8, 0, 0, 0, 0, 0x83, 0xc4, 12, 0xc3], 7),
    };
    let at = module.object.append(module.text, code);
    let note = module.object.import("note");
    module.object.relocate(module.text, at + call, note, elf::Machine::NATIVE.call_type(), -4);
    let text = module.object.anchor(module.text);
    for (name, kind) in [(".ctors", sht::PROGBITS), (".init_array", sht::INIT_ARRAY), (".fini_array", 15), (".dtors", 1)] {
        let list = module.object.section(name, kind, shf::A | shf::W, 8, &[0; 8]);
        module.object.relocate(list, 0, text, 1, at as i64);
    }
    world.put("m", module.object.write().bytes);
    world.load("m").expect("it loads");
    world.instance.unload("m").expect("it unloads");
    assert_eq!(world.commands(1), [0, 1]);
    assert_eq!(world.commands(99), []);
}

#[test]
fn s019_nobits_reads_as_zero() {
    let world = World::new(NETBSD_9_3);
    // Twice, so that memory is used again.
    for _ in 0..2 {
        let mut module = noting("m", NETBSD_9_3, 1).module(elf::Machine::NATIVE);
        module.object.nobits(".bss", shf::A | shf::W, 32, 5000);
        world.put("m", module.object.write().bytes);
        world.when(1, |probe, event| {
            if event.command != INIT {
                return 0;
            }
            let (at, size) = probe.instance().find_section(".bss").expect("a section");
            // SAFETY: the section is in memory and writable while the module is.
            let bytes = unsafe { std::slice::from_raw_parts_mut(at.get() as *mut u8, size as usize) };
            let zero = size == 5000 && bytes.iter().all(|&byte| byte == 0);
            bytes.fill(0xff);
            i32::from(!zero)
        });
        world.load("m").expect("it finds zeros");
        world.instance.unload("m").expect("it unloads");
    }
}

#[test]
fn s020_alignment_is_honoured() {
    let world = World::new(NETBSD_9_3);
    let mut module = noting("m", NETBSD_9_3, 1).module(elf::Machine::NATIVE);
    for (name, align) in [(".a", 1), (".b", 64), (".c", 1), (".d", 8192)] {
        module.object.section(name, sht::PROGBITS, shf::A | shf::W, align, &[1; 3]);
    }
    world.put("m", module.object.write().bytes);
    let found = Arc::new(Mutex::new(Vec::new()));
    let seen = found.clone();
    world.when(1, move |probe, _| {
        let sections = [".b", ".d"].map(|name| probe.instance().find_section(name).expect("a section").0.get());
        seen.lock().unwrap().push(sections);
        0
    });
    world.load("m").expect("it loads");
    let [b, d] = found.lock().unwrap()[0];
    assert_eq!((b % 64, d % 8192), (0, 0));
}

#[test]
fn s021_sections_keep_their_order() {
    let mut module = module();
    let names = [".z", ".a", ".m"];
    for name in names {
        module.object.section(name, sht::PROGBITS, shf::A | shf::W, 1, &[1; 3]);
    }
    let module = module.object.write();
    let offsets: Vec<usize> = names.iter().map(|name| planned(&module, name).expect("loaded").1).collect();
    assert!(offsets.is_sorted(), "{offsets:?}");
    assert!(planned(&module, ".data").expect("loaded").1 < offsets[0]);
}

#[test]
fn s022_relocations_of_what_has_no_bytes_are_ignored() {
    let mut module = module();
    let missing = module.object.symbol("local", elf::info(sym::LOCAL, sym::NOTYPE), shn::UNDEF, 0, 0);
    let note = module.object.section(".note", sht::NOTE, shf::A, 4, &[1; 16]);
    let bss = module.object.nobits(".bss", shf::A | shf::W, 8, 16);
    let strings = module.object.section(".strings", sht::STRTAB, 0, 1, &[0; 16]);
    for section in [note, bss, strings] {
        module.object.relocate(section, 0, missing, 1, 0);
    }
    loads(module.object.write().bytes);
}

#[test]
fn s023_hostile_fields_are_enoexec_and_leave_nothing() {
    let wide = elf::Machine::NATIVE == elf::Machine::Amd64;
    let (relocations, symbol) = if wide { (".rela.rodata", 24) } else { (".rel.rodata", 16) };
    let count = written().section_count() as u64;
    for info in [count, u64::from(u32::MAX)] {
        assert_eq!(spoilt(|module| module.set(relocations, SectionField::Info, info)), ENOEXEC);
    }
    for place in [65 - elf::Machine::NATIVE.pointer() as u64, 64, u64::MAX, u64::MAX - 3] {
        let mut module = module();
        let anchor = module.object.anchor(module.text);
        module.object.relocate(module.data, place, anchor, 1, 0);
        assert_eq!(refused(module.object.write().bytes), ENOEXEC, "place {place:#x}");
    }
    assert_eq!(
        spoilt(|module| {
            let (at, size) = (module.offset_of(".symtab") + symbol, module.get(".strtab", SectionField::Size));
            module.put(at, 4, size);
        }),
        ENOEXEC
    );
    assert_eq!(
        spoilt(|module| {
            let end = module.offset_of(".strtab") + module.get(".strtab", SectionField::Size) as usize - 1;
            module.bytes[end] = b'x';
        }),
        ENOEXEC
    );
    for align in [3, 6, u64::MAX] {
        assert_eq!(spoilt(|module| module.set(".data", SectionField::Align, align)), ENOEXEC, "alignment {align:#x}");
    }
    let mut module = module();
    for name in [".bss.a", ".bss.b"] {
        module.object.nobits(name, shf::A | shf::W, 1, u64::MAX - 100);
    }
    assert_eq!(refused(module.object.write().bytes), ENOEXEC);
}

#[test]
fn s024_alignment_zero_is_one() {
    let mut module = module();
    module.object.section(".odd", sht::PROGBITS, shf::A | shf::W, 1, &[1]);
    module.object.section(".next", sht::PROGBITS, shf::A | shf::W, 0, &[1]);
    let module = module.object.write();
    let (odd, next) = (planned(&module, ".odd").expect("loaded"), planned(&module, ".next").expect("loaded"));
    assert_eq!(next.1, odd.1 + 1);
    loads(module.bytes);
}

#[test]
fn s025_relocations_against_common_symbols_are_enoexec() {
    let mut module = module();
    let common = module.object.symbol("shared", elf::info(sym::GLOBAL, sym::OBJECT), shn::COMMON, 8, 64);
    loads(module.object.write().bytes);
    module.object.relocate(module.data, 0, common, 1, 0);
    assert_eq!(refused(module.object.write().bytes), ENOEXEC);
}
