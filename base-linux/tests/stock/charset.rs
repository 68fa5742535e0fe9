//! Character sets: all that the package has, there and back; those that the web knows, against its own tables.

use crate::{directory, kernel, shared};
use encoding_rs::Encoding;
use rumpload_base_linux::{Charset, Error, Trigger};
use std::path::Path;

/// The modules below the package's `fs/nls`.
fn modules() -> Vec<String> {
    fn find(directory: &Path, inside: bool, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                find(&path, path.ends_with("fs/nls"), found);
            } else if inside && path.extension().is_some_and(|extension| extension == "ko") {
                found.push(path.file_stem().unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let mut found = Vec::new();
    find(&directory(), false, &mut found);
    found.sort();
    found
}

/// How many 16-bit characters come back as they went, and those that come back as another.
fn round_trip(set: &Charset<'_>) -> (usize, Vec<u16>) {
    let (mut same, mut others) = (0, Vec::new());
    for character in 1..=u16::MAX {
        let Some(bytes) = set.encode(character).unwrap() else { continue };
        match set.decode(&bytes).unwrap() {
            Some((back, used)) if back == character && used == bytes.len() => same += 1,
            _ => others.push(character),
        }
    }
    (same, others)
}

#[test]
fn every_set_goes_there_and_back() {
    let kernel = kernel();
    let modules = modules();
    assert!(modules.len() > 40, "only {} modules", modules.len());
    for module in &modules {
        kernel.autoload(Trigger::Module(module)).unwrap_or_else(|error| panic!("{module}: {error}"));
    }
    let sets = kernel.charsets();
    assert!(sets.len() >= modules.len());
    for name in &sets {
        let set = kernel.charset(name).unwrap();
        let (same, others) = round_trip(&set);
        // What the tables of the package have, by set: several characters that become one.
        let expected = match name.as_str() {
            "cp1251" => 10,
            "cp1255" => 3,
            "cp932" | "euc-jp" => 4,
            "cp936" => 380,
            "cp949" => 332,
            "cp950" => 401,
            "iso8859-14" => 29,
            // Its decoder takes all but the two characters that are its own for one of those.
            "koi8-ru" => 255,
            _ => 0,
        };
        assert_eq!(others.len(), expected, "{name}: {others:x?}");
        assert!(same >= 127 || name == "koi8-ru", "{name} has only {same} characters");
        // UTF-8 has no tables of case; those of the Macintosh's sets are not of case, nor is one of cp1251.
        if !name.starts_with("mac") && name != "utf8" && name != "cp1251" {
            assert_eq!((set.upper(b'q'), set.lower(b'Q'), set.lower(b'3')), (b'Q', b'q', b'3'), "{name}");
        }
    }
}

/// Bytes of one or two that both a set of a module and one of the web know, and for which they disagree: the module's character.
fn differences(set: &Charset<'_>, other: &'static Encoding) -> (usize, Vec<(Vec<u8>, u16)>) {
    let single = (0..=0xff_u8).map(|byte| vec![byte]);
    let double = (0x81..=0xfe_u8).flat_map(|first| (0x40..=0xfe_u8).map(move |second| vec![first, second]));
    let (mut same, mut found) = (0, Vec::new());
    for bytes in single.chain(double) {
        let Some((ours, used)) = set.decode(&bytes).unwrap() else { continue };
        let theirs = other.decode_without_bom_handling_and_without_replacement(&bytes);
        let Some(theirs) = theirs.filter(|text| used == bytes.len() && text.encode_utf16().count() == 1) else { continue };
        match theirs.encode_utf16().eq([ours]) {
            true => same += 1,
            false => found.push((bytes, ours)),
        }
    }
    (same, found)
}

#[test]
fn sets_of_the_web_agree() {
    let kernel = shared();
    // The one set here whose module has another name.
    kernel.load("mac_roman").unwrap();
    let one = |byte: u8, character| (vec![byte], character);
    for (name, label, differing) in [
        ("cp1250", "windows-1250", vec![]),
        ("cp1251", "windows-1251", vec![]),
        ("cp1255", "windows-1255", vec![one(0xaf, 0x203e)]),
        ("cp866", "ibm866", vec![]),
        ("cp874", "windows-874", vec![]),
        ("koi8-r", "koi8-r", vec![]),
        // The web's has two Belarusian letters.
        ("koi8-u", "koi8-u", vec![one(0xae, 0x255d), one(0xbe, 0x256c)]),
        ("iso8859-2", "iso-8859-2", vec![]),
        ("iso8859-5", "iso-8859-5", vec![]),
        // The standard of 1987.
        ("iso8859-7", "iso-8859-7", vec![one(0xa1, 0x2bd), one(0xa2, 0x2bc)]),
        ("iso8859-15", "iso-8859-15", vec![]),
        ("macroman", "macintosh", vec![]),
        ("cp932", "shift_jis", vec![]),
        ("cp936", "gbk", vec![]),
        ("cp949", "euc-kr", vec![]),
        ("cp950", "big5", vec![(vec![0xf9, 0xfe], 0x2593)]),
        ("euc-jp", "euc-jp", vec![]),
    ] {
        let set = kernel.charset(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (same, found) = differences(&set, Encoding::for_label(label.as_bytes()).unwrap());
        assert_eq!(found, differing, "{name}");
        assert!(same > 200, "{name} has only {same} characters in common");
    }
}

/// A set that is made of another brings that in from within its init, and gives it back.
#[test]
fn a_set_loads_the_set_that_it_is_made_of() {
    let kernel = kernel();
    kernel.load("nls_euc-jp").unwrap();
    assert_eq!(kernel.charsets(), ["cp932", "euc-jp"]);
    assert!(matches!(kernel.unload("nls_cp932"), Err(Error::Busy { references: 1, .. })));
    kernel.unload("nls_euc_jp").unwrap();
    kernel.unload("nls_cp932").unwrap();
    assert!(kernel.charsets().is_empty() && kernel.modules().is_empty());
}
