//! Making, linking, removing and renaming.

use crate::kernel::pattern;
use crate::volume::{ENOSPC, ENOTEMPTY, EXDEV, on_each};
use rumpload::errno::{EEXIST, EINVAL, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS};
use rumpload_base::{Change, FileKind, Timestamp};
use rumpload_test_modules::slotfs::{BLOCK, LONGEST, NAME_LIMIT};

#[test]
fn everything_that_has_a_name() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        kernel.create_directory("/mnt/d", 0o750).expect("made");
        kernel.create_directory("/mnt/d/e", 0o700).expect("made");
        volume.write("/mnt/d/e/f", &pattern(5000));
        kernel.hard_link("/mnt/d/e/f", "/mnt/hard").expect("linked");
        kernel.create_link("/mnt/short", b"d/e/f").expect("linked");
        let long = format!("{}d/e/f", "./".repeat(300));
        kernel.create_link("/mnt/long", long.as_bytes()).expect("linked");
        kernel.create_link("/mnt/d/nowhere", b"absent").expect("linked");
        for round in 0..2 {
            for path in ["/mnt/d/e/f", "/mnt/hard", "/mnt/short", "/mnt/long"] {
                assert!(volume.read(path) == pattern(5000), "{path}, {round}");
            }
            assert_eq!(kernel.read_link("/mnt/long").expect("a link"), long.as_bytes());
            assert_eq!(kernel.open("/mnt/d/nowhere").expect_err("dangles").errno(), ENOENT);
            let (hard, file) = (kernel.stat("/mnt/hard").expect("there"), kernel.stat("/mnt/d/e/f").expect("there"));
            assert_eq!((hard.fileid, hard.links, hard.mode & 0o777), (file.fileid, 2, 0o644));
            let directory = kernel.stat("/mnt/d").expect("there");
            assert_eq!((directory.kind, directory.mode & 0o777, directory.links), (FileKind::Directory, 0o750, 3));
            assert_eq!(volume.names("/mnt"), ["d", "hard", "long", "short"]);
            volume.again();
        }
    });
}

#[test]
fn names_go() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        let whole = (volume.image().free_blocks, volume.image().free_slots);
        kernel.create_directory("/mnt/d", 0o755).expect("made");
        volume.write("/mnt/d/f", &pattern(40_000));
        kernel.hard_link("/mnt/d/f", "/mnt/d/g").expect("linked");
        assert_eq!(kernel.remove_directory("/mnt/d").expect_err("not empty").errno(), ENOTEMPTY);
        assert_eq!(kernel.remove("/mnt/d").expect_err("a directory").errno(), EPERM);
        assert_eq!(kernel.remove_directory("/mnt/d/f").expect_err("a file").errno(), ENOTDIR);
        assert_eq!(kernel.remove("/mnt/d/h").expect_err("absent").errno(), ENOENT);
        kernel.remove("/mnt/d/f").expect("removed");
        assert_eq!(kernel.open("/mnt/d/f").expect_err("gone").errno(), ENOENT);
        assert!(volume.read("/mnt/d/g") == pattern(40_000));
        volume.again();
        assert!(volume.read("/mnt/d/g") == pattern(40_000));
        // An open file stays until it is closed.
        let file = kernel.open_for_writing("/mnt/d/g").expect("there");
        kernel.remove("/mnt/d/g").expect("removed");
        kernel.remove_directory("/mnt/d").expect("empty");
        file.write_at(50_000, b"more").expect("written");
        assert!(file.read_to_vec(40_000).expect("read") == pattern(40_000));
        file.close().expect("closed");
        volume.again();
        let image = volume.image();
        assert_eq!((image.free_blocks + 1, image.free_slots), whole, "but for the root's block");
    });
}

#[test]
fn taken_and_impossible_names() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        volume.write("/mnt/f", b"old");
        kernel.create_directory("/mnt/d", 0o755).expect("made");
        for path in ["/mnt/f", "/mnt/d"] {
            assert_eq!(kernel.create(path, 0o644).expect_err("taken").errno(), EEXIST);
            assert_eq!(kernel.create_directory(path, 0o755).expect_err("taken").errno(), EEXIST);
            assert_eq!(kernel.create_link(path, b"x").expect_err("taken").errno(), EEXIST);
            assert_eq!(kernel.hard_link("/mnt/f", path).expect_err("taken").errno(), EEXIST);
        }
        assert_eq!(kernel.hard_link("/mnt/d", "/mnt/e").expect_err("a directory").errno(), EPERM);
        let longest = format!("/mnt/{}", "n".repeat(NAME_LIMIT));
        volume.write(&longest, b"long");
        let longer = format!("{longest}n");
        assert_eq!(kernel.create(&longer, 0o644).expect_err("too long").errno(), ENAMETOOLONG);
        assert_eq!(kernel.rename("/mnt/f", &longer).expect_err("too long").errno(), ENAMETOOLONG);
        assert_eq!(kernel.hard_link("/mnt/f", &longer).expect_err("too long").errno(), ENAMETOOLONG);
        assert_eq!(kernel.create_link("/mnt/l", &[b'x'; 1024]).expect_err("too long").errno(), ENAMETOOLONG);
        assert_eq!(volume.read(&longest), b"long");
        volume.again();
        assert_eq!(volume.names("/mnt").len(), 3);
        assert_eq!(volume.image().files["/f"].links, 1);
    });
}

#[test]
fn files_change_their_names() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        kernel.create_directory("/mnt/a", 0o755).expect("made");
        kernel.create_directory("/mnt/b", 0o755).expect("made");
        volume.write("/mnt/f", b"f");
        volume.write("/mnt/a/g", b"g");
        let id = kernel.stat("/mnt/f").expect("there").fileid;
        kernel.rename("/mnt/f", "/mnt/h").expect("in one directory");
        kernel.rename("/mnt/h", "/mnt/a/h").expect("down");
        kernel.rename("/mnt/a/h", "/mnt/b/h").expect("across");
        assert_eq!(kernel.stat("/mnt/b/h").expect("there").fileid, id);
        kernel.rename("/mnt/b/h", "/mnt/a/g").expect("over another file");
        assert_eq!(volume.read("/mnt/a/g"), b"f");
        kernel.hard_link("/mnt/a/g", "/mnt/b/g").expect("linked");
        // Two names of one file: nothing happens.
        kernel.rename("/mnt/a/g", "/mnt/b/g").expect("the same file");
        kernel.rename("/mnt/a/g", "/mnt/a/g").expect("the same name");
        kernel.rename("/mnt/a", "/mnt/b/a").expect("a directory down");
        assert_eq!(volume.read("/mnt/b/a/../a/g"), b"f");
        kernel.create_directory("/mnt/c", 0o755).expect("made");
        kernel.rename("/mnt/b/a", "/mnt/c").expect("over an empty directory");
        assert_eq!(kernel.stat("/mnt/c/..").expect("there").fileid, kernel.stat("/mnt").expect("there").fileid);
        volume.again();
        assert_eq!((volume.names("/mnt"), volume.names("/mnt/c")), (vec!["b".into(), "c".into()], vec!["g".into()]));
        assert_eq!(volume.read("/mnt/c/g"), b"f");
        assert_eq!(kernel.stat("/mnt").expect("there").links, 4);
    });
}

#[test]
fn renames_that_cannot_be() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        for path in ["/mnt/a", "/mnt/a/b", "/mnt/a/b/c", "/mnt/full"] {
            kernel.create_directory(path, 0o755).expect("made");
        }
        volume.write("/mnt/f", b"f");
        volume.write("/mnt/full/f", b"f");
        assert_eq!(kernel.rename("/mnt/absent", "/mnt/x").expect_err("absent").errno(), ENOENT);
        assert_eq!(kernel.rename("/mnt/f", "/mnt/x/y").expect_err("no directory").errno(), ENOENT);
        assert_eq!(kernel.rename("/mnt/a", "/mnt/a/b/c/d").expect_err("into itself").errno(), EINVAL);
        assert_eq!(kernel.rename("/mnt/a/b", "/mnt/a/b/c").expect_err("into itself").errno(), EINVAL);
        assert_eq!(kernel.rename("/mnt/a/b/c", "/mnt/a").expect_err("over what is above").errno(), ENOTEMPTY);
        assert_eq!(kernel.rename("/mnt/a", "/mnt/full").expect_err("over a full one").errno(), ENOTEMPTY);
        assert_eq!(kernel.rename("/mnt/a", "/mnt/f").expect_err("over a file").errno(), ENOTDIR);
        assert_eq!(kernel.rename("/mnt/f", "/mnt/a").expect_err("over a directory").errno(), EISDIR);
        assert_eq!(kernel.rename("/mnt/a/.", "/mnt/x").expect_err("a dot").errno(), EINVAL);
        assert_eq!(kernel.rename("/mnt/f", "/mnt/a/..").expect_err("dots").errno(), EINVAL);
        volume.again();
        assert_eq!(
            (volume.names("/mnt"), volume.names("/mnt/a/b")),
            (vec!["a".into(), "f".into(), "full".into()], vec!["c".into()])
        );
    });
}

#[test]
fn directories_grow_and_are_read_while_they_change() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        kernel.create_directory("/mnt/d", 0o755).expect("made");
        let name = |number: usize| format!("/mnt/d/file number {number}");
        for number in 0..100 {
            volume.write(&name(number), name(number).as_bytes());
        }
        for number in (0..100).step_by(3) {
            kernel.remove(name(number)).expect("there");
        }
        for number in (1..100).step_by(3) {
            kernel.rename(name(number), format!("{} renamed", name(number))).expect("there");
        }
        assert_eq!(volume.names("/mnt/d").len(), 66);
        volume.again();
        assert_eq!(volume.names("/mnt/d").len(), 66);
        for number in 0..100 {
            let (path, there) = match number % 3 {
                1 => (format!("{} renamed", name(number)), true),
                rest => (name(number), rest == 2),
            };
            match kernel.open(&path) {
                Ok(file) => assert_eq!((file.read_to_vec(99).expect("read"), there), (name(number).into_bytes(), true)),
                Err(error) => assert_eq!((error.errno(), there), (ENOENT, false), "{path}"),
            }
        }
    });
}

#[test]
fn attributes_stay() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        volume.write("/mnt/f", b"text");
        let (accessed, modified) = (Timestamp { seconds: 1_000, nanoseconds: 0 }, Timestamp { seconds: 2_000, nanoseconds: 0 });
        let change = Change {
            mode: Some(0o4751),
            uid: Some(7),
            gid: Some(8),
            accessed: Some(accessed),
            modified: Some(modified),
            size: None,
        };
        kernel.change("/mnt/f", &change).expect("changed");
        volume.again();
        let stat = kernel.stat("/mnt/f").expect("there");
        assert_eq!((stat.mode & 0o7777, stat.uid, stat.gid), (0o4751, 7, 8));
        assert_eq!((stat.accessed, stat.modified), (accessed, modified));
        let image = volume.image();
        assert_eq!((image.files["/f"].owner, image.files["/f"].modified), ((7, 8), 2_000));
        // Reading and writing leave their marks, too.
        let file = kernel.open_for_writing("/mnt/f").expect("there");
        file.read_to_vec(9).expect("read");
        file.write_at(0, b"T").expect("written");
        file.close().expect("closed");
        volume.again();
        let stat = kernel.stat("/mnt/f").expect("there");
        assert!(stat.accessed > accessed && stat.modified > modified);
    });
}

/// A second try finds nothing locked.
#[test]
fn the_kernels_own_root_refuses_and_keeps_no_locks() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        volume.write("/mnt/f", b"f");
        for _ in 0..2 {
            for result in [
                kernel.create("/file", 0o644).map(|_| ()),
                kernel.create_directory("/directory", 0o755),
                kernel.create_link("/link", b"dev"),
                kernel.hard_link("/dev/disk", "/dev/disk2"),
                kernel.remove("/dev/disk"),
                kernel.rename("/dev/disk", "/dev/disk2"),
                kernel.remove_directory("/dev"),
            ] {
                assert_eq!(result.expect_err("the root takes nothing").errno(), EROFS);
            }
            assert_eq!(kernel.rename("/mnt/f", "/f").expect_err("across").errno(), EROFS);
            assert_eq!(kernel.hard_link("/dev/disk", "/mnt/disk").expect_err("across").errno(), EXDEV);
        }
    });
}

#[test]
fn a_directory_grows_until_its_file_system_is_full() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        kernel.create_directory("/mnt/d", 0o755).expect("made");
        for number in 0..16 {
            volume.write(&format!("/mnt/d/{number}"), b"");
        }
        for number in 0.. {
            let file = kernel.create(format!("/mnt/fill{number}"), 0o644).expect("made");
            let full = (0..LONGEST / BLOCK).any(|at| file.write_at((at * BLOCK) as u64, b"x").is_err());
            if full {
                break;
            }
        }
        assert_eq!(kernel.statvfs("/mnt").expect("mounted").free_blocks, 0);
        let before = kernel.statvfs("/mnt").expect("mounted").free_files;
        for _ in 0..3 {
            assert_eq!(kernel.create("/mnt/d/16", 0o644).expect_err("no room").errno(), ENOSPC);
            assert_eq!(kernel.create_directory("/mnt/d/16", 0o755).expect_err("no room").errno(), ENOSPC);
            assert_eq!(kernel.create_link("/mnt/d/16", b"16").expect_err("no room").errno(), ENOSPC);
            assert_eq!(kernel.hard_link("/mnt/d/1", "/mnt/d/16").expect_err("no room").errno(), ENOSPC);
            assert_eq!(kernel.rename("/mnt/fill0", "/mnt/d/16").expect_err("no room").errno(), ENOSPC);
        }
        assert_eq!(kernel.statvfs("/mnt").expect("mounted").free_files, before);
        volume.again();
        assert_eq!(volume.names("/mnt/d").len(), 16);
        // A name in place of another one needs no room.
        kernel.rename("/mnt/fill0", "/mnt/d/1").expect("replaced");
    });
}
