//! Devices that fail: every failure is told, nothing is left behind, and what was told to be safe is there.

use crate::kernel::{Server, pattern};
use crate::volume::{Volume, servers, small_servers};
use rumpload::errno::EIO;
use rumpload_base::{Change, FileError};
use rumpload_hosted::catch_faults;
use rumpload_test_modules::slotfs;
use std::collections::BTreeMap;

/// A session of changes below `/mnt/new`; what fails is counted and passed over. Returns what should be there: files whose every
/// step succeeded, by path.
fn session(volume: &Volume) -> (BTreeMap<String, Vec<u8>>, Vec<i32>) {
    let kernel = &volume.server.kernel;
    let (mut wanted, mut errors) = (BTreeMap::new(), Vec::new());
    let mut note = |result: Result<(), FileError>| result.map_err(|error| errors.push(error.errno())).is_ok();
    let mut short = 0;
    note(kernel.create_directory("/mnt/new", 0o755));
    note(kernel.create_directory("/mnt/new/d", 0o755));
    for (number, len) in [10, 3000, 40_000, 150_000, 70_000, 5].into_iter().enumerate() {
        let path = format!("/mnt/new/{number}");
        let mut written = 0;
        let taken = note(kernel.create(&path, 0o644).and_then(|file| {
            let result = file.write_at(0, &pattern(len)).map(|count| written = count);
            file.close().and(result)
        }));
        // Less than was given: the rest failed, and so did taking the first part back.
        short += usize::from(taken && written != len);
        if written == len {
            wanted.insert(path, pattern(len));
        }
    }
    note(kernel.hard_link("/mnt/new/1", "/mnt/new/d/hard"));
    note(kernel.create_link("/mnt/new/link", b"d/hard"));
    if note(kernel.rename("/mnt/new/0", "/mnt/new/d/moved")) {
        if let Some(bytes) = wanted.remove("/mnt/new/0") {
            wanted.insert("/mnt/new/d/moved".into(), bytes);
        }
    } else {
        // It may have either name or both.
        wanted.remove("/mnt/new/0");
    }
    if note(kernel.rename("/mnt/new/5", "/mnt/new/4")) {
        if let Some(bytes) = wanted.remove("/mnt/new/5") {
            wanted.insert("/mnt/new/4".into(), bytes);
        }
    } else {
        wanted.remove("/mnt/new/5");
        wanted.remove("/mnt/new/4");
    }
    let cut = Change { size: Some(1234), ..Change::default() };
    if note(kernel.change("/mnt/new/2", &cut)) {
        if let Some(bytes) = wanted.get_mut("/mnt/new/2") {
            bytes.truncate(1234);
        }
    } else {
        wanted.remove("/mnt/new/2");
    }
    note(kernel.remove("/mnt/new/3"));
    wanted.remove("/mnt/new/3");
    note(kernel.sync());
    errors.extend(std::iter::repeat_n(EIO, short));
    (wanted, errors)
}

/// A volume with files that were there, and are safe, before the device begins to fail.
fn prepared() -> Vec<Volume> {
    // With little memory blocks are read and written again and again.
    servers()
        .into_iter()
        .chain(small_servers())
        .map(|server| {
            let mut volume = Volume::of(server, slotfs::empty(2048, 128));
            volume.mount().unwrap_or_else(|error| panic!("{error}"));
            volume.server.kernel.create_directory("/mnt/old", 0o755).expect("made");
            for len in [100, 20_000, 100_000] {
                volume.write(&format!("/mnt/old/{len}"), &pattern(len));
            }
            volume.unmount();
            volume.before = volume.idle();
            volume.mount().unwrap_or_else(|error| panic!("{error}"));
            volume
        })
        .collect()
}

/// Runs the session while every `writes`-th write and every `reads`-th read fails.
fn fail_every(writes: usize, reads: usize) {
    for volume in prepared() {
        volume.disk.fail(writes, reads);
        endure(&volume, &format!("every write {writes}, every read {reads}"));
    }
}

/// Runs the session while the device fails now and then; the device is well again when it is unmounted. Returns how often it failed.
fn endure(volume: &Volume, what: &str) -> usize {
    let _guard = catch_faults(volume.server.kernel.clone(), |kernel| kernel.instance()).expect("caught");
    let (wanted, errors) = session(volume);
    let failed = volume.disk.failed();
    assert!(errors.iter().all(|error| *error == EIO || *error == 2), "{what}: {errors:?}");
    assert!(failed == 0 || !errors.is_empty(), "{what}: {failed} requests failed, and nobody was told");
    volume.disk.fail(0, 0);
    // The end may still have to tell of what nobody was waiting for, each once: before it, and while it gives files up.
    // What is left after that has lost the pointers to where it belongs: it goes by force.
    for force in [false, false, false, true] {
        if !volume.is_mounted() {
            break;
        }
        if let Err(error) = volume.server.kernel.unmount("/mnt", force) {
            assert_eq!(error.errno(), EIO, "{what}");
            assert!(failed != 0 && !force, "{what}");
        }
    }
    volume.mount().unwrap_or_else(|error| panic!("{what}: {error}"));
    for len in [100, 20_000, 100_000] {
        assert!(volume.read(&format!("/mnt/old/{len}")) == pattern(len), "{what}: what was safe is not");
    }
    if errors.is_empty() {
        for (path, bytes) in &wanted {
            assert!(volume.read(path) == *bytes, "{what}: {path}");
        }
        volume.image();
    }
    volume.unmount();
    assert_eq!(volume.idle(), volume.before, "{what}: something is left behind");
    failed
}

/// Each request of a session fails once; a kernel makes more than `least` on average.
fn fail_each(least: usize, at: impl Fn(&Volume, usize)) {
    let volumes = prepared();
    let (kernels, mut total) = (volumes.len(), 0);
    for (version, volume) in volumes.into_iter().enumerate() {
        let mut volume = volume;
        let safe = volume.disk.bytes();
        let mut number = 1;
        loop {
            at(&volume, number);
            if endure(&volume, &format!("number {number} in kernel {version}")) == 0 {
                break;
            }
            // The next time starts from the same image.
            volume.replace(&safe);
            number += 1;
        }
        total += number - 1;
    }
    assert!(total > least * kernels, "only {total} requests of the kind");
}

#[test]
fn each_write_fails_once() {
    fail_each(30, |volume, number| volume.disk.fail_once(number, 0));
}

#[test]
fn each_read_fails_once() {
    fail_each(25, |volume, number| volume.disk.fail_once(0, number));
}

#[test]
fn writes_that_fail_are_told() {
    // A session takes some 200 writes: with the last of these none fails.
    for every in [1, 2, 3, 5, 7, 11, 17, 23, 37, 53, 71, 97, 113, 131, 151, 1000] {
        fail_every(every, 0);
    }
}

#[test]
fn reads_that_fail_are_told() {
    for every in [1, 2, 3, 5, 7, 11, 17, 1000] {
        fail_every(0, every);
    }
}

#[test]
fn both_fail() {
    for (writes, reads) in [(2, 2), (3, 5), (13, 4), (29, 11)] {
        fail_every(writes, reads);
    }
}

#[test]
fn a_device_that_is_gone_can_be_unmounted_by_force() {
    for volume in prepared() {
        let before = volume.idle();
        volume.write("/mnt/lost", &pattern(30_000));
        let open = volume.server.kernel.open_for_writing("/mnt/old/100").expect("there");
        open.write_at(0, b"changed").expect("written, not yet to the device");
        volume.disk.fail(1, 1);
        assert_eq!(open.sync().expect_err("the device fails").errno(), EIO);
        assert_eq!(volume.server.kernel.sync().expect_err("the device fails").errno(), EIO);
        assert_eq!(volume.server.kernel.unmount("/mnt", false).expect_err("open, and the device fails").errno(), EIO);
        volume.server.kernel.unmount("/mnt", true).unwrap_or_else(|error| panic!("{error}"));
        assert!(open.read_at(0, &mut [0; 8]).is_err());
        drop(open);
        volume.disk.fail(0, 0);
        volume.mount().expect("mounted");
        assert!(volume.read("/mnt/old/100") == pattern(100) && volume.read("/mnt/old/100000") == pattern(100_000));
        assert!(volume.server.console.text().contains("slotfs: was not unmounted"));
        assert_eq!(volume.idle().mounts, before.mounts);
        volume.unmount();
        assert_eq!(volume.idle().used_vnodes, 0);
    }
}

#[test]
fn a_device_that_comes_back_loses_nothing_of_a_file() {
    for volume in prepared() {
        let file = volume.server.kernel.open_for_writing("/mnt/old/20000").expect("there");
        file.write_at(5000, &[7; 40_000]).expect("written, not yet to the device");
        volume.disk.fail(1, 0);
        for _ in 0..3 {
            assert_eq!(file.sync().expect_err("the device fails").errno(), EIO);
        }
        volume.disk.fail(0, 0);
        file.sync().expect("the device is back");
        file.close().expect("closed");
        let mut wanted = pattern(20_000);
        wanted.resize(45_000, 0);
        wanted[5000..].fill(7);
        volume.again();
        assert!(volume.read("/mnt/old/20000") == wanted);
        volume.unmount();
    }
}

/// Memory for blocks is short: those that make way are written then, with nobody waiting.
#[test]
fn blocks_that_make_way_are_told_of_once() {
    let volume = Volume::of(small_servers().remove(0), slotfs::empty(2048, 128));
    volume.mount().expect("mounted");
    let kernel = &volume.server.kernel;
    let paths: Vec<String> = (0..30).map(|number| format!("/mnt/{number}")).collect();
    for path in &paths {
        volume.write(path, b"text");
    }
    kernel.sync().expect("synced");
    volume.disk.fail(1, 0);
    for path in &paths {
        kernel.change(path, &Change { mode: Some(0o600), ..Change::default() }).expect("changed in memory");
        kernel.stat(path).expect("there");
    }
    assert_ne!(volume.disk.failed(), 0, "blocks made way");
    volume.disk.fail(0, 0);
    assert_eq!(kernel.sync().expect_err("some changes are lost").errno(), EIO);
    kernel.sync().expect("told once");
    for path in &paths {
        kernel.change(path, &Change { mode: Some(0o640), ..Change::default() }).expect("changed");
    }
    volume.again();
    for path in &paths {
        assert_eq!(kernel.stat(path).expect("there").mode & 0o777, 0o640);
    }
    volume.unmount();
}

/// Images with a few bytes changed in what the file system keeps for itself, mounted for writing: whatever comes of it, an error or
/// the end of the instance, the base goes on and everything is given back.
#[test]
fn damaged_images_are_written_to() {
    let mut whole = prepared();
    let image = whole.remove(0).disk.bytes();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |limit: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % limit
    };
    for number in 0..150 {
        let mut damaged = image.clone();
        for _ in 0..=next(8) {
            // The superblock, the map, the first slots, directories.
            let area = [0..32, 1024..1300, 2048..3400, 18 * 1024..24 * 1024][next(4)].clone();
            damaged[area.start + next(area.len())] = [0, 0xff, 1, 0x80, next(256) as u8][next(5)];
        }
        let server = Server::new();
        let memory = server.memory.clone();
        {
            let _guard = catch_faults(server.kernel.clone(), |kernel| kernel.instance()).expect("caught");
            let volume = Volume::around(server, damaged);
            if volume.mount().is_ok() {
                let (_, errors) = session(&volume);
                let forced = volume.server.kernel.unmount("/mnt", false).or_else(|_| volume.server.kernel.unmount("/mnt", true));
                assert!(forced.is_ok() || !errors.is_empty(), "{number}: {forced:?}");
            }
        }
        assert_eq!(memory.in_use(), 0, "{number}: memory stays");
    }
}
