use super::*;
use crate::image::Image;
use crate::metadata::linux::Modinfo;
use crate::object::{CODE, GLOBAL, LOCAL, Object, READ, UNDEFINED};
use alloc::string::ToString;
use alloc::vec::Vec;

/// A module with the strings `info` that exports `own` and imports `wanted`.
fn module(info: &[u8], own: Option<&'static str>, wanted: &[&'static str]) -> Vec<u8> {
    let mut object = Object::new(62, true, false, true);
    object.section(".modinfo", READ, info);
    let text = object.section(".text", CODE, &[0xc3; 8]);
    if let Some(name) = own {
        let mut strings = Vec::from(name.as_bytes());
        strings.extend_from_slice(b"\0\0");
        let strings_section = object.section("__ksymtab_strings", READ, &strings);
        let table = object.section("__ksymtab", READ, &[0; 12]);
        let value = object.symbol("", LOCAL, text, 0);
        let string = object.symbol("", LOCAL, strings_section, 0);
        let empty = object.symbol("", LOCAL, strings_section, strings.len() as u64 - 1);
        for (field, symbol) in [value, string, empty].into_iter().enumerate() {
            object.relocation(table, 4 * field as u64, symbol, 2, 0);
        }
    }
    for name in wanted {
        object.symbol(name, GLOBAL, UNDEFINED, 0);
    }
    object.finish()
}

fn index(modules: &[(&str, Vec<u8>)]) -> Result<ModuleIndex, IndexError> {
    let mut builder = IndexBuilder::new();
    for (path, bytes) in modules {
        builder.add(path, Stamp { size: bytes.len() as u64, modified: 1 }, bytes)?;
    }
    builder.finish()
}

fn tree() -> ModuleIndex {
    index(&[
        ("fs/a.ko", module(b"name=a\0alias=fs-a\0softdep=pre: d post: late\0", None, &["b_one", "printk"])),
        ("lib/b.ko", module(b"name=b\0alias=pci:v1*\0", Some("b_one"), &["c_one"])),
        ("lib/c-x.ko", module(b"name=c_x\0alias=pci:v*\0", Some("c_one"), &[])),
        ("lib/d.ko", module(b"name=d\0alias=pci:v2*\0", Some("d_one"), &["c_one"])),
        ("lib/late.ko", module(b"name=late\0", None, &[])),
    ])
    .unwrap()
}

fn names(modules: &[&Indexed]) -> Vec<alloc::string::String> {
    modules.iter().map(|module| module.name.clone()).collect()
}

#[test]
fn dependencies_come_from_symbols_in_loading_order() {
    let tree = tree();
    let a = tree.module("a").unwrap();
    assert_eq!(names(&tree.depends(a).collect::<Vec<_>>()), ["c_x", "b"]);
    assert_eq!(names(&tree.sequence(a, true)), ["c_x", "b", "a"]);
    assert_eq!(names(&tree.sequence(a, false)), ["c_x", "d", "b", "a", "late"]);
}

#[test]
fn aliases_give_all_matches_and_names_one() {
    let tree = tree();
    assert_eq!(names(&tree.resolve("pci:v1d2")), ["b", "c_x"]);
    assert_eq!(names(&tree.resolve("pci:v2d2")), ["c_x", "d"]);
    assert_eq!(names(&tree.resolve("fs_a")), ["a"]);
    assert_eq!(names(&tree.resolve("c-x")), ["c_x"]);
    assert!(tree.resolve("usb:v1").is_empty());
}

#[test]
fn policies_hide_what_aliases_find() {
    let tree = tree();
    let mut policy = AliasPolicy::new();
    policy.read("# comment\nblacklist b\noptions d x=1\n");
    let permitted = |policy: &AliasPolicy| {
        let found = tree.resolve("pci:v1d2");
        names(&found.into_iter().filter(|module| policy.permits(module)).collect::<Vec<_>>())
    };
    assert_eq!(permitted(&policy), ["c_x"]);
    let mut policy = AliasPolicy::new();
    policy.allow("b");
    assert_eq!(permitted(&policy), ["b"]);
}

#[test]
fn cycles_and_doubles_are_refused() {
    let error = index(&[
        ("a.ko", module(b"name=a\0", Some("a_one"), &["b_one"])),
        ("b.ko", module(b"name=b\0", Some("b_one"), &["a_one"])),
    ])
    .unwrap_err();
    let IndexError::Cycle { path } = &error else { panic!("{error}") };
    assert_eq!((path.len(), &path[0]), (3, &path[2]));
    let same = module(b"name=a\0", None, &[]);
    let error = index(&[("one/a.ko", same.clone()), ("other/a.ko", same)]).unwrap_err();
    assert_eq!(error.to_string(), "one/a.ko and other/a.ko both hold module a");
}

#[test]
fn a_saved_index_comes_back_and_a_damaged_one_does_not() {
    let tree = tree();
    let saved = tree.save();
    assert_eq!(ModuleIndex::load(&saved), Ok(tree));
    for at in 0..saved.len() {
        let mut bad = saved.clone();
        bad[at] ^= 1;
        let expected = if at < 8 { DamagedIndex::Magic } else { DamagedIndex::Checksum };
        assert_eq!(ModuleIndex::load(&bad), Err(expected), "byte {at}");
        assert!(ModuleIndex::load(&saved[..at]).is_err());
    }
}

#[test]
fn a_changed_file_makes_the_index_stale() {
    let tree = tree();
    let as_it_was = |path: &str| tree.modules().iter().find(|module| module.path == path).map(|module| module.stamp);
    assert_eq!(tree.stale(as_it_was), None);
    let changed =
        |path: &str| as_it_was(path).map(|stamp| Stamp { modified: stamp.modified + u64::from(path == "lib/d.ko"), ..stamp });
    assert_eq!(tree.stale(changed).unwrap().name, "d");
    assert_eq!(tree.stale(|path| as_it_was(path).filter(|_| path != "lib/b.ko")).unwrap().name, "b");
}

#[test]
fn each_refusal_has_its_own_error() {
    let mut versions = [0; 64];
    versions[0] = 1;
    versions[8..13].copy_from_slice(b"b_one");
    let build = |info: &[u8], versioned: bool| {
        let mut object = Object::new(62, true, false, true);
        object.section(".modinfo", READ, info);
        object.section(".text", CODE, &[0xc3]);
        if versioned {
            object.section("__versions", READ, &versions);
        }
        object.symbol("b_one", GLOBAL, UNDEFINED, 0);
        object.finish()
    };
    let check = |bytes: &[u8], admission: Admission<'_>, provider: Provider<'static>| {
        let image = Image::parse(bytes).unwrap();
        let info = Modinfo::read(&image).unwrap();
        admission.check(&image, &info, |name| (name == "b_one").then_some(provider))
    };
    let any = Admission::default();
    let free = Provider { owner: "b", crc: Some(1), gpl: false, namespace: "" };
    let gpl = build(b"name=a\0license=GPL\0vermagic=6.1 SMP \0", true);
    assert_eq!(check(&gpl, any, free), Ok(()));
    let other = Provider { crc: Some(2), ..free };
    assert!(matches!(check(&gpl, any, other), Err(Refused::Version { found: 1, wanted: 2, .. })));
    let wanted = Admission { vermagic: Some("6.2 SMP "), ..any };
    assert!(matches!(check(&gpl, wanted, free), Err(Refused::Vermagic { .. })));
    let closed = build(b"name=a\0license=Proprietary\0", true);
    assert!(matches!(check(&closed, any, Provider { gpl: true, ..free }), Err(Refused::GplOnly { .. })));
    assert_eq!(check(&gpl, any, Provider { gpl: true, ..free }), Ok(()));
    let spaced = Provider { namespace: "USB", ..free };
    assert!(matches!(check(&gpl, any, spaced), Err(Refused::Namespace { .. })));
    assert_eq!(check(&build(b"name=a\0import_ns=USB\0", true), any, spaced), Ok(()));
    assert!(matches!(check(&build(b"name=a\0", false), any, free), Err(Refused::NoVersion { .. })));
    let strict = Admission { signature: SignaturePolicy::Required, ..any };
    assert!(matches!(check(&gpl, strict, free), Err(Refused::Unsigned { .. })));
    let mut broken = gpl.clone();
    broken.extend_from_slice(b"~Module signature appended~\n");
    assert!(matches!(check(&broken, strict, free), Err(Refused::BrokenSignature { .. })));
    let mut signed = gpl;
    signed.extend_from_slice(&[7, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    signed.extend_from_slice(b"~Module signature appended~\n");
    assert_eq!(check(&signed, strict, free), Ok(()));
}
