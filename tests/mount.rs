//! The sample file system, autoloaded and mounted in the base kernel: both sides of the interface at work.
#![cfg(any(target_arch = "x86", target_arch = "x86_64"))]

#[path = "support/kernel.rs"]
mod kernel;
mod support;

use kernel::{Server, archive, pattern};
use rumpload::errno::{EBUSY, EINVAL, EISDIR, ENODEV, ENOENT, ENOTDIR, EROFS};
use rumpload::registry::Error;
use rumpload_base::{FileKind, MountArguments, MountError, MountRequest};
use rumpload_test_modules::image::Entry;

/// Lengths around the sizes that something is counted in: blocks, pages, transfers, windows.
const LENGTHS: [usize; 16] = [0, 1, 511, 512, 513, 1024, 4095, 4096, 4097, 8191, 8192, 8193, 65_535, 65_537, 300_000, 3_000_001];

/// A tree with something of everything.
fn tree() -> Vec<u8> {
    let files: Vec<(String, Vec<u8>)> = LENGTHS.iter().map(|&len| (format!("files/{len}"), pattern(len))).collect();
    let many: Vec<String> = (0..3000).map(|number| format!("many/name_{number}")).collect();
    let long = format!("{}/{}", "directory_with_a_name_of_forty_characters".repeat(3), "n".repeat(99));
    let deep = format!("deep/{}file", "d/".repeat(40));
    let mut entries = vec![
        Entry { mode: 0o750, owner: (7, 8), modified: 1_234_567_890, ..Entry::directory("files") },
        Entry { mode: 0o640, owner: (1, 2), modified: 1_111_111_111, ..Entry::file("hello.txt", b"hello, world\n") },
        Entry::symlink("link", "files/513"),
        Entry::symlink("files/up", "../hello.txt"),
        Entry::symlink("absolute", "/mnt/hello.txt"),
        Entry::symlink("dangling", "nowhere"),
        Entry::symlink("loop", "loop"),
        Entry::file(&long, b"long"),
        Entry::file(&deep, b"deep"),
        Entry::directory("empty"),
    ];
    entries.extend(files.iter().map(|(name, bytes)| Entry::file(name, bytes)));
    entries.push(Entry::link("hard", "files/513"));
    entries.extend(many.iter().map(|name| Entry::file(name, name.as_bytes())));
    archive(&entries)
}

/// A server with the tree mounted on `/mnt`.
fn mounted() -> Server {
    let server = Server::new();
    server.add("/dev/image", tree());
    server.mount("/dev/image", "/mnt").unwrap_or_else(|error| panic!("{error}"));
    server
}

#[track_caller]
fn read(server: &Server, path: &str) -> Vec<u8> {
    let file = server.kernel.open(path).unwrap_or_else(|error| panic!("{error}"));
    let bytes = file.read_to_vec(1 << 24).unwrap_or_else(|error| panic!("{error}"));
    file.close().unwrap_or_else(|error| panic!("{error}"));
    bytes
}

fn names(server: &Server, path: &str) -> Vec<String> {
    let entries = server.kernel.read_directory(path).unwrap_or_else(|error| panic!("{error}"));
    entries.into_iter().map(|entry| String::from_utf8(entry.name).expect("text")).collect()
}

#[test]
fn s102_a_mount_brings_its_module_and_what_that_requires() {
    let server = mounted();
    assert_eq!(server.active(), ["tarfs", "tarindex"]);
    let status = server.kernel.statvfs("/mnt/files").expect("mounted");
    assert_eq!((status.kind.as_str(), status.directory.as_str(), status.device.as_str()), ("tarfs", "/mnt", "/dev/image"));
    assert!(status.read_only && status.block_size == 512 && status.name_max == 255 && status.files > 3000);
    server.kernel.unmount("/mnt", false).expect("unused");
    assert_eq!(server.active(), ["tarfs", "tarindex"], "it stays until it has been idle");
}

#[test]
fn files_hold_what_was_put_in() {
    let server = mounted();
    for len in LENGTHS {
        let bytes = read(&server, &format!("/mnt/files/{len}"));
        assert!(bytes == pattern(len), "file of {len} bytes");
    }
    assert_eq!(read(&server, "/mnt/hello.txt"), b"hello, world\n");
}

#[test]
fn pieces_of_files() {
    let server = mounted();
    for len in [513, 8193, 300_000] {
        let whole = pattern(len);
        let file = server.kernel.open(format!("/mnt/files/{len}")).expect("there");
        for (offset, size) in [(0, 1), (0, 512), (1, 511), (511, 2), (512, 512), (4090, 20), (len - 1, 10), (7, len), (len, 10)] {
            let mut buffer = vec![0xee; size];
            let count = file.read_at(offset as u64, &mut buffer).expect("read");
            let expected = whole.get(offset..).unwrap_or_default();
            let expected = &expected[..expected.len().min(size)];
            assert!(buffer[..count] == *expected, "{size} bytes at {offset} of {len}");
            assert!(buffer[count..].iter().all(|&byte| byte == 0xee), "nothing behind them");
        }
        assert_eq!(file.read_at(u64::MAX >> 1, &mut [0; 8]).expect("beyond the end"), 0);
    }
}

#[test]
fn attributes() {
    let server = mounted();
    let stat = server.kernel.stat("/mnt/hello.txt").expect("there");
    assert_eq!((stat.kind, stat.mode & 0o7777, stat.links), (FileKind::File, 0o640, 1));
    assert_eq!((stat.uid, stat.gid, stat.size), (1, 2, 13));
    assert_eq!((stat.modified.seconds, stat.modified.nanoseconds), (1_111_111_111, 0));
    let stat = server.kernel.stat("/mnt/files").expect("there");
    assert_eq!(
        (stat.kind, stat.mode & 0o7777, stat.uid, stat.gid, stat.modified.seconds),
        (FileKind::Directory, 0o750, 7, 8, 1_234_567_890)
    );
    let (hard, file) = (server.kernel.stat("/mnt/hard").expect("there"), server.kernel.stat("/mnt/files/513").expect("there"));
    assert_eq!((hard.fileid, hard.links), (file.fileid, 2));
    assert_eq!(read(&server, "/mnt/hard"), pattern(513));
}

#[test]
fn symbolic_links() {
    let server = mounted();
    assert_eq!(server.kernel.read_link("/mnt/link").expect("a link"), b"files/513");
    assert_eq!(server.kernel.lstat("/mnt/link").expect("a link").kind, FileKind::Link);
    assert_eq!(read(&server, "/mnt/link"), pattern(513));
    for path in ["/mnt/files/up", "/mnt/absolute", "/mnt/files/../absolute"] {
        assert_eq!(read(&server, path), b"hello, world\n", "{path}");
    }
    let errno = |path: &str| server.kernel.open(path).expect_err(path).errno();
    assert_eq!(errno("/mnt/dangling"), ENOENT);
    assert_eq!(errno("/mnt/loop"), 62);
    assert_eq!(server.kernel.read_link("/mnt/hello.txt").expect_err("no link").errno(), EINVAL);
}

#[test]
fn directories_are_read_in_pieces() {
    let server = mounted();
    let mut many = names(&server, "/mnt/many");
    assert_eq!(many[..2], [".", ".."]);
    assert_eq!(many.len(), 3002);
    many.sort();
    many.dedup();
    assert_eq!(many.len(), 3002, "each once");
    assert_eq!(names(&server, "/mnt/empty"), [".", ".."]);
    let top = names(&server, "/mnt");
    for name in ["files", "hello.txt", "link", "hard", "many", "deep", "empty"] {
        assert!(top.iter().any(|entry| entry == name), "{name}");
    }
    for number in [0, 1, 1499, 2999] {
        let name = format!("many/name_{number}");
        assert_eq!(read(&server, &format!("/mnt/{name}")), name.as_bytes());
    }
}

#[test]
fn cookies_lead_to_the_next_entry() {
    let server = mounted();
    server
        .kernel
        .instance()
        .load(&rumpload::Load { name: "cookies", ..Default::default() })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(server.console.text().contains("cookies: 3002 entries"), "{}", server.console.text());
}

#[test]
fn long_and_deep_names() {
    let server = mounted();
    let long = format!("/mnt/{}/{}", "directory_with_a_name_of_forty_characters".repeat(3), "n".repeat(99));
    assert_eq!(read(&server, &long), b"long");
    let deep = format!("/mnt/deep/{}file", "d/".repeat(40));
    assert_eq!(read(&server, &deep), b"deep");
    let there_and_back = format!("/mnt/deep/{}{}../hello.txt", "d/".repeat(40), "../".repeat(40));
    assert_eq!(read(&server, &there_and_back), b"hello, world\n");
}

#[test]
fn what_does_not_work_says_why() {
    let server = mounted();
    let errno = |path: &str| server.kernel.open(path).expect_err(path).errno();
    assert_eq!(errno("/mnt/absent"), ENOENT);
    assert_eq!(errno("/mnt/absent"), ENOENT, "also from the name cache");
    assert_eq!(errno("/mnt/hello.txt/x"), ENOTDIR);
    assert_eq!(errno(&format!("/mnt/{}", "x".repeat(512))), 63);
    let directory = server.kernel.open("/mnt/files").expect("a directory");
    assert_eq!(directory.read_at(0, &mut [0; 10]).expect_err("no file").errno(), EISDIR);
    assert_eq!(server.kernel.open_for_writing("/mnt/hello.txt").expect_err("read-only").errno(), EROFS);
    assert_eq!(server.kernel.read_directory("/mnt/hello.txt").expect_err("no directory").errno(), ENOTDIR);
}

#[test]
fn s103_failed_mounts_say_why_and_leave_nothing() {
    let server = Server::new();
    server.add("/dev/image", tree());
    server.add("/dev/zero", vec![0; 4096]);
    server.add("/dev/noise", pattern(4096));
    let mut broken = tree();
    broken[148] ^= 1;
    server.add("/dev/broken", broken);
    let cut = tree()[..5 * 512].to_vec();
    server.add("/dev/cut", cut);
    server.mount("/dev/image", "/mnt").expect("mounted");
    server.kernel.unmount("/mnt", false).expect("unused");
    let before = server.kernel.usage().expect("not ended");
    for (device, expected) in [("/dev/noise", EINVAL), ("/dev/broken", EINVAL), ("/dev/absent", ENOENT)] {
        let error = server.mount(device, "/mnt").expect_err(device);
        assert_eq!(error.errno(), expected, "{device}: {error}");
    }
    assert!(server.mount("/dev/cut", "/mnt").is_err());
    server.mount("/dev/zero", "/mnt").expect("an empty archive");
    assert_eq!(names(&server, "/mnt"), [".", ".."]);
    server.kernel.unmount("/mnt", false).expect("unused");
    let after = server.kernel.usage().expect("not ended");
    assert_eq!((after.mounts, after.used_vnodes, after.blocks), (before.mounts, before.used_vnodes, before.blocks));

    let arguments = || MountArguments::plain(server.kernel.abi());
    let request =
        MountRequest { kind: "tarfs", directory: "/mnt", device: Some("/dev/image"), read_only: false, arguments: arguments() };
    assert_eq!(server.kernel.mount(&request).expect_err("read-only only").errno(), EROFS);
    let request = MountRequest { kind: "absentfs", ..request };
    let error = server.kernel.mount(&request).expect_err("no such type");
    assert_eq!(error.errno(), ENODEV);
    assert!(error.to_string().contains("absentfs/absentfs.kmod"), "{error}");
    assert!(matches!(error, MountError::Autoload { error: Error::File { .. }, .. }));
}

#[test]
fn s117_a_mounted_file_systems_module_is_busy() {
    let server = mounted();
    let instance = server.kernel.instance();
    assert_eq!(instance.unload("tarfs").expect_err("mounted").errno(), EBUSY);
    let file = server.kernel.open("/mnt/hello.txt").expect("there");
    assert_eq!(server.kernel.unmount("/mnt", false).expect_err("a file is open").errno(), EBUSY);
    assert_eq!(file.read_to_vec(100).expect("still there"), b"hello, world\n");
    drop(file);
    server.kernel.unmount("/mnt", false).expect("unused");
    instance.unload("tarfs").expect("unmounted");
    instance.unload("tarindex").expect("unused");
    assert_eq!(server.active(), [""; 0]);
}

#[test]
fn s106_idle_modules_go_after_the_last_unmount() {
    let server = mounted();
    let instance = server.kernel.instance();
    server.clock.advance(20);
    assert_eq!(instance.auto_unload().expect("not ended"), [""; 0], "mounted");
    server.kernel.unmount("/mnt", false).expect("unused");
    // What was asked once and refused is not asked again by itself; a new mount makes a new chance.
    instance.unload("tarfs").expect("unmounted");
    server.mount("/dev/image", "/mnt").expect("mounted again");
    server.kernel.unmount("/mnt", false).expect("unused");
    server.clock.advance(20);
    let mut gone = instance.auto_unload().expect("not ended");
    gone.extend(instance.auto_unload().expect("not ended"));
    assert!(gone.iter().any(|name| name == "tarfs"), "{gone:?}");
    assert!(!server.active().iter().any(|name| name == "tarfs"));
}

#[test]
fn forced_unmount_makes_open_files_dead() {
    let server = mounted();
    let file = server.kernel.open("/mnt/files/8193").expect("there");
    let mut buffer = [0; 100];
    assert_eq!(file.read_at(0, &mut buffer).expect("there"), 100);
    server.kernel.unmount("/mnt", true).expect("forced");
    let dead = file.read_at(5000, &mut buffer);
    assert!(!matches!(dead, Ok(count) if count != 0), "nothing is read from a dead file: {dead:?}");
    drop(file);
    server.mount("/dev/image", "/mnt").expect("mounted again");
    assert_eq!(read(&server, "/mnt/hello.txt"), b"hello, world\n");
}

/// Mounts, reads and unmounts `cycles` times; what is held afterwards is what was held before.
fn cycles_leave_nothing_behind(server: &Server, cycles: usize) {
    server.add(
        "/dev/image",
        archive(&[Entry::file("a/b/c", b"abc"), Entry::file("large", &pattern(20_000)), Entry::symlink("link", "a/b/c")]),
    );
    let cycle = || {
        server.mount("/dev/image", "/mnt").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read(server, "/mnt/link"), b"abc");
        assert_eq!(read(server, "/mnt/large").len(), 20_000);
        assert_eq!(names(server, "/mnt/a").len(), 3);
        server.kernel.unmount("/mnt", false).unwrap_or_else(|error| panic!("{error}"));
    };
    // The first cycles make what is kept: pools, the mount point, caches up to their size.
    for _ in 0..20 {
        cycle();
    }
    let state = || (server.kernel.usage().expect("not ended"), server.memory.in_use(), server.active());
    let before = state();
    for _ in 0..cycles {
        cycle();
    }
    assert_eq!(state(), before, "after {cycles} mounts and unmounts");
}

#[test]
fn mounts_leave_nothing_behind() {
    cycles_leave_nothing_behind(&Server::new(), if cfg!(debug_assertions) { 1_000 } else { 10_000 });
}

// There is a table of NetBSD 10 for amd64 only.
#[cfg(target_arch = "x86_64")]
#[test]
fn mounts_of_netbsd_10_leave_nothing_behind() {
    cycles_leave_nothing_behind(&Server::netbsd_10(), if cfg!(debug_assertions) { 200 } else { 10_000 });
}

#[test]
fn modules_come_and_go_without_a_trace() {
    let server = Server::new();
    server.add("/dev/image", archive(&[Entry::file("file", b"bytes")]));
    let instance = server.kernel.instance();
    let cycle = || {
        server.mount("/dev/image", "/mnt").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read(&server, "/mnt/file"), b"bytes");
        server.kernel.unmount("/mnt", false).expect("unused");
        instance.unload("tarfs").expect("unmounted");
        instance.unload("tarindex").expect("unused");
    };
    for _ in 0..5 {
        cycle();
    }
    let state = || (server.kernel.usage().expect("not ended"), server.memory.in_use(), instance.export_count());
    let before = state();
    for _ in 0..100 {
        cycle();
    }
    assert_eq!(state(), before);
}

#[test]
fn two_images_and_two_kernels_at_once() {
    let first = Server::new();
    let second = Server::new();
    for (server, marks) in [(&first, ["1a", "1b"]), (&second, ["2a", "2b"])] {
        for (mark, place) in marks.into_iter().zip(["/a", "/b"]) {
            let device = format!("/dev/{mark}");
            server.add(&device, archive(&[Entry::file("mark", mark.as_bytes())]));
            server.mount(&device, place).unwrap_or_else(|error| panic!("{error}"));
        }
    }
    for (server, marks) in [(&first, ["1a", "1b"]), (&second, ["2a", "2b"])] {
        for (mark, place) in marks.into_iter().zip(["/a", "/b"]) {
            assert_eq!(read(server, &format!("{place}/mark")), mark.as_bytes());
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn netbsd_10_beside_7() {
    let seven = mounted();
    let ten = Server::netbsd_10();
    ten.add("/dev/image", tree());
    ten.mount("/dev/image", "/mnt").unwrap_or_else(|error| panic!("{error}"));
    for server in [&seven, &ten, &seven, &ten] {
        assert_eq!(server.active(), ["tarfs", "tarindex"]);
        for len in LENGTHS {
            assert!(read(server, &format!("/mnt/files/{len}")) == pattern(len), "file of {len} bytes");
        }
        assert_eq!(read(server, "/mnt/absolute"), b"hello, world\n");
        assert_eq!(names(server, "/mnt/many").len(), 3002);
        assert_eq!(server.kernel.open("/mnt/absent").expect_err("absent").errno(), ENOENT);
    }
    for server in [&seven, &ten] {
        server.kernel.unmount("/mnt", false).unwrap_or_else(|error| panic!("{error}"));
        server.kernel.instance().unload("tarfs").unwrap_or_else(|error| panic!("{error}"));
    }
    // Neither takes the other's modules.
    let swapped =
        Server::of(rumpload_base::abi::Abi::netbsd_10_amd64(), &rumpload_test_modules::Target::NETBSD_7_99_34_AMD64, |_| {});
    let error = swapped.kernel.instance().load(&rumpload::Load { name: "hello", ..Default::default() }).expect_err("too old");
    assert_eq!(error.errno(), rumpload::errno::EPROGMISMATCH);
}
