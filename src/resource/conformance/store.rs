use super::{FILES, contents, refused};
use crate::resource::{FileHandle, FileKind, HostErrorKind, Metadata, Store};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Paths that every method refuses, beside paths that exist.
const REFUSED: [&str; 13] = [
    "..",
    ".",
    "/",
    "/small",
    "small/",
    "sub//large",
    "sub/",
    "./small",
    "sub/./large",
    "sub/../small",
    "../small",
    "sub/..",
    "sm\0all",
];

/// Checks every promise of [`Store`]. The store has exactly [`FILES`] with their [`contents`].
///
/// # Panics
/// If a promise is broken.
pub fn store(store: &dyn Store) {
    looks(store);
    refuses(store);
    lists(store);
    for (path, len) in FILES {
        reads(store, path, len);
    }
    handles(store);
}

fn looks(store: &dyn Store) {
    for (path, len) in FILES {
        assert_eq!(store.metadata(path), Ok(Metadata { kind: FileKind::Regular, size: len as u64 }), "metadata of {path}");
    }
    for path in ["", "sub", "sub/deep"] {
        assert_eq!(store.metadata(path), Ok(Metadata { kind: FileKind::Directory, size: 0 }), "metadata of {path:?}");
    }
}

fn refuses(store: &dyn Store) {
    let none = &mut |_: &str, _: FileKind| panic!("a refused list has no entries");
    for path in REFUSED {
        refused(store.metadata(path), HostErrorKind::InvalidInput, path);
        refused(store.open(path), HostErrorKind::InvalidInput, path);
        refused(store.list(path, none), HostErrorKind::InvalidInput, path);
    }
    for path in ["nothing", "sub/nothing", "nothing/below", "Small"] {
        refused(store.metadata(path), HostErrorKind::NotFound, path);
        refused(store.open(path), HostErrorKind::NotFound, path);
        refused(store.list(path, none), HostErrorKind::NotFound, path);
    }
    for path in ["", "sub", "sub/deep"] {
        refused(store.open(path), HostErrorKind::IsADirectory, path);
    }
    for path in ["small", "sub/large"] {
        refused(store.list(path, none), HostErrorKind::NotADirectory, path);
    }
    // A component below a file is no directory, or nothing.
    let below = store.open("small/below").map_err(|error| error.kind()).expect_err("a path below a file");
    assert!(matches!(below, HostErrorKind::NotADirectory | HostErrorKind::NotFound), "a path below a file: {below}");
    let long = "x".repeat(100_000);
    assert!(store.open(&long).is_err(), "a path longer than any");
}

fn lists(store: &dyn Store) {
    for (path, expected) in [
        ("", &[("empty", FileKind::Regular), ("small", FileKind::Regular), ("sub", FileKind::Directory)][..]),
        ("sub", &[("deep", FileKind::Directory), ("large", FileKind::Regular)]),
        ("sub/deep", &[("leaf", FileKind::Regular)]),
    ] {
        let mut found: Vec<(String, FileKind)> = Vec::new();
        // The callback may use the store.
        let mut each = |name: &str, kind| {
            assert!(store.metadata("small").is_ok(), "the store can be used while it lists");
            found.push((name.into(), kind));
        };
        store.list(path, &mut each).expect("listed");
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let found: Vec<(&str, FileKind)> = found.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
        assert_eq!(found, expected, "entries of {path:?}");
    }
}

fn reads(store: &dyn Store, path: &str, len: usize) {
    let expected = contents(path);
    let file = store.open(path).expect("opened");
    assert_eq!(store.size(file), Ok(len as u64), "size of {path}");
    for piece in [1 << 20, 4096, 1000] {
        let mut found = Vec::new();
        let mut buffer = vec![0xee; piece];
        loop {
            let count = store.read_at(file, found.len() as u64, &mut buffer).expect("read");
            assert!(count <= piece, "a read gives at most what was asked");
            if count == 0 {
                break;
            }
            found.extend_from_slice(&buffer[..count]);
        }
        assert!(found == expected, "contents of {path} in pieces of {piece} bytes");
    }
    let mut buffer = [0xee; 64];
    for offset in [0, 1, len / 2, len.saturating_sub(1)].into_iter().filter(|offset| *offset < len) {
        let count = store.read_at(file, offset as u64, &mut buffer).expect("read");
        assert!(count > 0, "0 bytes only at the end");
        assert_eq!(buffer[..count], expected[offset..][..count], "{count} bytes of {path} at {offset}");
    }
    for offset in [len as u64, len as u64 + 1, 1 << 40, i64::MAX as u64, 1 << 63, u64::MAX] {
        assert_eq!(store.read_at(file, offset, &mut buffer), Ok(0), "a read of {path} at {offset}");
    }
    assert_eq!(store.read_at(file, 0, &mut []), Ok(0), "a read of nothing");
    store.close(file);
}

fn handles(store: &dyn Store) {
    let invalid = HostErrorKind::InvalidInput;
    let first = store.open("small").expect("opened");
    let second = store.open("small").expect("a file can be open twice");
    let other = store.open("sub/deep/leaf").expect("opened");
    assert!(first != second && first != other, "open files have handles of their own");
    store.close(first);
    let mut buffer = [0; 5];
    assert_eq!(store.read_at(second, 0, &mut buffer), Ok(5), "closing one handle leaves the other");
    assert_eq!(buffer[..], contents("small"));
    refused(store.size(first), invalid, "the size of a closed file");
    refused(store.read_at(first, 0, &mut buffer), invalid, "a read of a closed file");
    store.close(first);
    for unknown in [0, u64::MAX, second.0 ^ 1 << 40] {
        refused(store.size(FileHandle(unknown)), invalid, "the size of a file that was never opened");
        refused(store.read_at(FileHandle(unknown), 0, &mut buffer), invalid, "a read of a file that was never opened");
        store.close(FileHandle(unknown));
    }
    assert_eq!(store.size(other), Ok(4096), "closing unknown handles leaves the others");
    store.close(second);
    store.close(other);
    // Handles do not run out when they are given back.
    for _ in 0..2000 {
        let file = store.open("small").expect("closed handles can be opened again");
        store.close(file);
    }
}
