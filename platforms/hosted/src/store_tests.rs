use super::*;
use std::os::unix::fs::symlink;

/// A directory with a file, links that stay and links that leave, beside a secret; and both kinds of store over it.
fn stores() -> (tempfile::TempDir, [DirectoryStore; 2]) {
    let outside = tempfile::tempdir().expect("a temporary directory");
    let root = outside.path().join("root");
    std::fs::create_dir_all(root.join("sub/deep")).expect("made");
    std::fs::write(outside.path().join("secret"), "secret").expect("written");
    std::fs::write(root.join("sub/file"), "contents").expect("written");
    for (target, link) in [
        ("sub/file", "inside"),
        ("../../sub/file", "sub/deep/up"),
        ("sub/deep", "directory"),
        ("../secret", "out"),
        ("../../../secret", "sub/deep/out"),
        ("sub/../../secret", "zigzag"),
        ("../root/sub/file", "out-and-back"),
        ("/etc/passwd", "absolute"),
        ("/proc/self/cwd", "magic"),
        ("loop", "loop"),
        ("nothing", "dangling"),
        ("sub/file/", "file-as-directory"),
    ] {
        symlink(target, root.join(link)).expect("linked");
    }
    let store = |resolver| DirectoryStore { resolver, ..DirectoryStore::open(&root).expect("a directory") };
    let stores = [store(Resolver::Kernel), store(Resolver::Walk)];
    (outside, stores)
}

fn read(store: &DirectoryStore, path: &str) -> Result<Vec<u8>, HostErrorKind> {
    let handle = store.open(path).map_err(|error| error.kind())?;
    let mut buffer = vec![0; 64];
    let len = store.read_at(handle, 0, &mut buffer).map_err(|error| error.kind())?;
    buffer.truncate(len);
    store.close(handle);
    Ok(buffer)
}

#[test]
fn links_inside_are_followed() {
    let (_directory, stores) = stores();
    for store in stores {
        for path in ["sub/file", "inside", "sub/deep/up", "directory/up"] {
            assert_eq!(read(&store, path).as_deref(), Ok(&b"contents"[..]), "{path} by {:?}", store.resolver);
        }
        assert_eq!(store.open_files(), 0);
    }
}

#[test]
fn links_that_leave_are_refused() {
    let (_directory, stores) = stores();
    for store in stores {
        for path in ["out", "sub/deep/out", "zigzag", "out-and-back", "absolute", "magic", "magic/etc", "loop", "directory/out"] {
            let answer = read(&store, path);
            assert_eq!(answer, Err(HostErrorKind::PermissionDenied), "{path} by {:?}", store.resolver);
        }
    }
}

#[test]
fn refused_components() {
    let (_directory, stores) = stores();
    for store in stores {
        for path in ["../secret", "sub/../sub/file", "./inside", "/etc/passwd", "sub//file", "sub/", "in\0side", ".", ".."] {
            assert_eq!(read(&store, path), Err(HostErrorKind::InvalidInput), "{path:?} by {:?}", store.resolver);
        }
    }
}

#[test]
fn other_failures_keep_their_kind() {
    let (_directory, stores) = stores();
    for store in stores {
        for (path, kind) in [
            ("nothing", HostErrorKind::NotFound),
            ("dangling", HostErrorKind::NotFound),
            ("sub/file/below", HostErrorKind::NotADirectory),
            ("file-as-directory", HostErrorKind::NotADirectory),
            ("sub", HostErrorKind::IsADirectory),
            ("", HostErrorKind::IsADirectory),
        ] {
            assert_eq!(read(&store, path), Err(kind), "{path:?} by {:?}", store.resolver);
        }
    }
}

#[test]
fn lists_show_what_links_lead_to() {
    let (_directory, stores) = stores();
    for store in stores {
        let mut found = HashMap::new();
        store
            .list("", &mut |name, kind| {
                let _ = found.insert(name.to_owned(), kind);
            })
            .expect("listed");
        assert_eq!(found.len(), 11);
        assert_eq!(found["sub"], FileKind::Directory);
        assert_eq!(found["directory"], FileKind::Directory);
        assert_eq!(found["inside"], FileKind::Regular);
        assert_eq!(found["out"], FileKind::Other);
        let nested = store.list("directory", &mut |_, _| ()).map_err(|error| error.kind());
        assert_eq!(nested, Ok(()));
        let file = store.list("inside", &mut |_, _| ()).map_err(|error| error.kind());
        assert_eq!(file, Err(HostErrorKind::NotADirectory));
    }
}

#[test]
fn a_device_is_seen_and_not_opened() {
    let (directory, stores) = stores();
    let pipe = std::process::Command::new("mkfifo").arg(directory.path().join("root/pipe")).status();
    assert!(pipe.expect("mkfifo runs").success());
    for store in stores {
        assert_eq!(store.metadata("pipe").map(|metadata| metadata.kind), Ok(FileKind::Other));
        assert_eq!(read(&store, "pipe"), Err(HostErrorKind::Unsupported));
    }
}

#[test]
fn handles_and_ends() {
    let (_directory, [store, _]) = stores();
    let handle = store.open("inside").expect("opened");
    assert_eq!(store.size(handle), Ok(8));
    let mut buffer = [0; 4];
    assert_eq!(store.read_at(handle, 6, &mut buffer), Ok(2));
    assert_eq!(store.read_at(handle, 8, &mut buffer), Ok(0));
    assert_eq!(store.read_at(handle, u64::MAX, &mut buffer), Ok(0));
    store.close(handle);
    store.close(handle);
    assert_eq!(store.read_at(handle, 0, &mut buffer).map_err(|error| error.kind()), Err(HostErrorKind::InvalidInput));
}
