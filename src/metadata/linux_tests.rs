use super::*;
use crate::image::Image;
use crate::object::{CODE, GLOBAL, LOCAL, Object, READ, UNDEFINED, WRITE};
use std::vec::Vec;

const AMD64: u16 = 62;
const PPC64: u16 = 21;
const ARM: u16 = 40;

const INFO: &[u8] = b"license=Dual BSD/GPL\0parm=level:How loud\0parmtype=level:int\0\0\0alias=fs-demo\0alias=pci:v1*\0\
depends=libfoo,libbar\0softdep=pre: crc16 crc8 post: late\0import_ns=USB\0name=demo\0vermagic=6.1.0 SMP mod_unload \0";

fn module(info: &[u8]) -> Object {
    let mut object = Object::new(AMD64, true, false, true);
    object.section(".modinfo", READ, info);
    object
}

#[test]
fn strings_of_modinfo() {
    let bytes = module(INFO).finish();
    let image = Image::parse(&bytes).unwrap();
    let info = Modinfo::read(&image).unwrap();
    assert_eq!(info.name(), "demo");
    assert!(info.is_gpl());
    assert_eq!(info.depends().collect::<Vec<_>>(), ["libfoo", "libbar"]);
    assert_eq!(info.aliases().collect::<Vec<_>>(), ["fs-demo", "pci:v1*"]);
    assert_eq!(info.vermagic(), Some("6.1.0 SMP mod_unload "));
    assert_eq!(info.imported_namespaces().collect::<Vec<_>>(), ["USB"]);
    assert_eq!(info.parameters().collect::<Vec<_>>(), [("level", "int", "How loud")]);
    let soft: Vec<(&str, bool)> = info.soft_dependencies().map(|soft| (soft.name, soft.before)).collect();
    assert_eq!(soft, [("crc16", true), ("crc8", true), ("late", false)]);
}

#[test]
fn modinfo_without_name_or_end_is_refused() {
    for (bad, problem) in [
        (&b"license=GPL\0"[..], Problem::String("name")),
        (b"name=../x\0", Problem::String("name")),
        (b"name=\0", Problem::String("name")),
        (b"name=demo", Problem::Unterminated),
    ] {
        let bytes = module(bad).finish();
        let image = Image::parse(&bytes).unwrap();
        let error = Modinfo::read(&image).unwrap_err();
        assert!(matches!(error, LinkError::Malformed { problem: found, .. } if found == problem), "{bad:?}");
    }
    let mut object = Object::new(AMD64, true, false, true);
    object.section(".text", CODE, &[0xc3]);
    let bytes = object.finish();
    let error = Modinfo::read(&Image::parse(&bytes).unwrap()).unwrap_err();
    assert!(matches!(error, LinkError::Malformed { problem: Problem::NoSection(".modinfo"), .. }));
}

#[test]
fn start_and_end_are_found_by_relocation_wherever_they_are() {
    for at in [0x100, 0x150] {
        let mut object = module(INFO);
        let text = object.section(".text", CODE, &[0xc3; 16]);
        let this = object.section(THIS_MODULE, WRITE, &[0; 0x200]);
        let init = object.symbol("init_module", GLOBAL | 2, text, 4);
        let exit = object.symbol("cleanup_module", GLOBAL | 2, text, 8);
        object.relocation(this, at, init, 1, 0);
        object.relocation(this, 0x1c0, exit, 1, 0);
        let bytes = object.finish();
        let found = ThisModule::read(&Image::parse(&bytes).unwrap()).unwrap();
        let text = SectionIndex(text.into());
        assert_eq!(found, ThisModule { init: Some((text, 4)), exit: Some((text, 8)) });
    }
}

#[test]
fn a_start_outside_the_code_is_refused() {
    for (section, value) in [(UNDEFINED, 0), (1, 0), (2, 16)] {
        let mut object = module(INFO);
        object.section(".text", CODE, &[0xc3; 16]);
        let this = object.section(THIS_MODULE, WRITE, &[0; 0x200]);
        let init = object.symbol("init_module", GLOBAL | 2, section, value);
        object.relocation(this, 0x138, init, 1, 0);
        let bytes = object.finish();
        assert!(ThisModule::read(&Image::parse(&bytes).unwrap()).is_err(), "section {section}");
    }
}

/// One export each from two tables, in namespace USB the second: with pointers or distances.
fn exporting(machine: u16, wide: bool, explicit: bool, pointer: Option<u32>) -> Vec<u8> {
    let mut object = Object::new(machine, wide, false, explicit);
    let text = object.section(".text", CODE, &[0xc3; 16]);
    let strings = object.section("__ksymtab_strings", READ, b"alpha\0\0beta\0USB\0");
    let field = pointer.map_or(4, |_| if wide { 8 } else { 4 });
    let kind = pointer.unwrap_or(2);
    let entry = [0_u8; 24];
    let plain = object.section("__ksymtab", READ, &entry[..3 * field as usize]);
    let gpl = object.section("__ksymtab_gpl", READ, &entry[..3 * field as usize]);
    object.section("__kcrctab", READ, &0x1122_3344_u32.to_le_bytes());
    object.section("__kcrctab_gpl", READ, &0x5566_7788_u32.to_le_bytes());
    let mut symbols = Vec::new();
    for (name, section, value) in
        [("alpha", text, 0), ("s", strings, 0), ("n", strings, 6), ("beta", text, 8), ("t", strings, 7), ("m", strings, 12)]
    {
        symbols.push(object.symbol(name, LOCAL, section, value));
    }
    for (index, &symbol) in symbols.iter().enumerate() {
        let table = if index < 3 { plain } else { gpl };
        object.relocation(table, index as u64 % 3 * field, symbol, kind, 0);
    }
    object.finish()
}

#[test]
fn export_tables_of_distances_and_of_pointers() {
    let cases = [(AMD64, true, true, None), (PPC64, true, true, Some(38)), (ARM, false, false, Some(2))];
    for (machine, wide, explicit, pointer) in cases {
        let bytes = exporting(machine, wide, explicit, pointer);
        let image = Image::parse(&bytes).unwrap();
        let mut found = Vec::new();
        exports(&image, |export| found.push(export)).unwrap();
        let text = SectionIndex(1);
        let alpha =
            Export { name: "alpha", spot: (text, 0), gpl: false, namespace: "", crc: Some(0x1122_3344), is_function: true };
        let beta =
            Export { name: "beta", spot: (text, 8), gpl: true, namespace: "USB", crc: Some(0x5566_7788), is_function: true };
        assert_eq!(found, [alpha, beta], "machine {machine}");
    }
}

#[test]
fn export_tables_with_holes_are_refused() {
    let mut object = Object::new(AMD64, true, false, true);
    let text = object.section(".text", CODE, &[0xc3; 16]);
    let table = object.section("__ksymtab", READ, &[0; 12]);
    let symbol = object.symbol("alpha", LOCAL, text, 0);
    object.relocation(table, 4, symbol, 2, 0);
    let bytes = object.finish();
    let error = exports(&Image::parse(&bytes).unwrap(), |_| {}).unwrap_err();
    assert!(matches!(error, LinkError::Malformed { problem: Problem::Pointer("value"), .. }));

    let mut object = Object::new(AMD64, true, false, true);
    object.section("__ksymtab", READ, &[0; 13]);
    let bytes = object.finish();
    let error = exports(&Image::parse(&bytes).unwrap(), |_| {}).unwrap_err();
    assert!(matches!(error, LinkError::Malformed { problem: Problem::TableSize { size: 13, entry: 12 }, .. }));
}

#[test]
fn checksums_of_imports() {
    let mut record = [0; 64];
    record[..4].copy_from_slice(&0xdead_beef_u32.to_le_bytes());
    record[8..14].copy_from_slice(b"printk");
    let mut object = module(INFO);
    object.section("__versions", READ, &record);
    let bytes = object.finish();
    let image = Image::parse(&bytes).unwrap();
    let found: Vec<Version<'_>> = versions(&image).unwrap().collect();
    assert_eq!(found, [Version { name: "printk", crc: 0xdead_beef }]);
    for bad in [&record[..63], &[b'x'; 64]] {
        let mut object = module(INFO);
        object.section("__versions", READ, bad);
        let bytes = object.finish();
        assert!(versions(&Image::parse(&bytes).unwrap()).is_err());
    }
}

#[test]
fn signatures() {
    let signed = |record: &[u8], len: usize| {
        let mut bytes = Vec::from(&b"module"[..]);
        bytes.extend_from_slice(&std::vec![7; len]);
        bytes.extend_from_slice(record);
        bytes.extend_from_slice(SIGNATURE_MARK);
        bytes
    };
    let good = signed(&[0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 5], 5);
    assert_eq!(signature(&good), Signature::Appended { module: b"module", message: &[7; 5] });
    assert_eq!(signature(b"module"), Signature::None);
    for bad in [[0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 5], [0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 5], [0; 12]] {
        assert_eq!(signature(&signed(&bad, 5)), Signature::Broken);
    }
    assert_eq!(signature(SIGNATURE_MARK), Signature::Broken);
}
