//! What files hold.

use crate::kernel::pattern;
use crate::volume::{EBADF, ENOSPC, Volume, on_each};
use rumpload::errno::{EFBIG, EINVAL, EIO, EISDIR, EROFS};
use rumpload_base::Change;
use rumpload_test_modules::slotfs::LONGEST;

/// Lengths around blocks, pages, pieces, pointers and what is written early.
const LENGTHS: [usize; 15] = [0, 1, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 8193, 12_288, 12_289, 65_537, 200_000, LONGEST];

#[track_caller]
fn resize(volume: &Volume, path: &str, size: u64) {
    volume
        .server
        .kernel
        .change(path, &Change { size: Some(size), ..Change::default() })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn files_are_there_after_the_next_mount() {
    on_each(|volume| {
        for len in LENGTHS {
            volume.write(&format!("/mnt/{len}"), &pattern(len));
            assert!(volume.read(&format!("/mnt/{len}")) == pattern(len), "file of {len} bytes, not yet written");
        }
        volume.again();
        for len in LENGTHS {
            let path = format!("/mnt/{len}");
            assert!(volume.read(&path) == pattern(len), "file of {len} bytes");
            assert_eq!(volume.server.kernel.stat(&path).expect("there").size, len as u64);
        }
        let image = volume.image();
        for len in LENGTHS {
            assert!(image.files[&format!("/{len}")].bytes == pattern(len), "file of {len} bytes on the image");
        }
    });
}

#[test]
fn pieces_overwrite_what_was_there() {
    on_each(|volume| {
        let mut wanted = pattern(30_000);
        volume.write("/mnt/f", &wanted);
        volume.again();
        let file = volume.server.kernel.open_for_writing("/mnt/f").expect("there");
        for (offset, size) in [(0, 1), (1000, 3000), (4090, 12), (8192, 4096), (16_000, 14_000), (29_999, 2), (35_000, 70_000)] {
            let piece: Vec<u8> = pattern(size).into_iter().map(|byte| !byte).collect();
            assert_eq!(file.write_at(offset as u64, &piece).expect("written"), size);
            wanted.resize(wanted.len().max(offset + size), 0);
            wanted[offset..offset + size].copy_from_slice(&piece);
        }
        file.close().expect("closed");
        assert!(volume.read("/mnt/f") == wanted, "in memory");
        volume.again();
        assert!(volume.read("/mnt/f") == wanted, "on the device");
    });
}

#[test]
fn holes_take_no_room_and_read_as_zeros() {
    on_each(|volume| {
        let file = volume.server.kernel.create("/mnt/sparse", 0o600).expect("made");
        file.write_at(200_000, b"end").expect("written");
        file.close().expect("closed");
        let mut wanted = vec![0; 200_003];
        wanted[200_000..].copy_from_slice(b"end");
        assert!(volume.read("/mnt/sparse") == wanted);
        volume.again();
        assert!(volume.read("/mnt/sparse") == wanted);
        assert_eq!(volume.image().files["/sparse"].blocks, 2, "the last block and that of pointers");
        // Pages of a hole are in memory now, and become blocks when they are written to.
        let file = volume.server.kernel.open_for_writing("/mnt/sparse").expect("there");
        assert_eq!(file.write_at(100_000, b"middle").expect("written"), 6);
        file.close().expect("closed");
        wanted[100_000..100_006].copy_from_slice(b"middle");
        volume.again();
        assert!(volume.read("/mnt/sparse") == wanted);
        assert_eq!(volume.image().files["/sparse"].blocks, 3);
    });
}

#[test]
fn what_is_cut_off_does_not_come_back() {
    on_each(|volume| {
        volume.write("/mnt/f", &pattern(100_000));
        volume.again();
        for size in [70_000, 12_289, 12_288, 5000, 1024, 1000, 0] {
            resize(volume, "/mnt/f", size);
            assert!(volume.read("/mnt/f") == pattern(100_000)[..size as usize], "cut to {size}");
            resize(volume, "/mnt/f", size + 3000);
            let mut wanted = pattern(100_000)[..size as usize].to_vec();
            wanted.resize(size as usize + 3000, 0);
            assert!(volume.read("/mnt/f") == wanted, "cut to {size} and grown");
            volume.again();
            assert!(volume.read("/mnt/f") == wanted, "cut to {size}, grown and mounted");
            resize(volume, "/mnt/f", size);
        }
        volume.again();
        assert_eq!(volume.image().files["/f"].blocks, 0);
    });
}

#[test]
fn sync_brings_everything_to_the_device() {
    on_each(|volume| {
        volume.write("/mnt/f", &pattern(50_000));
        volume.write("/mnt/g", &pattern(20_000));
        volume.server.kernel.create_directory("/mnt/d", 0o755).expect("made");
        volume.server.kernel.sync().expect("synced");
        let image = volume.image();
        assert!(!image.clean, "still mounted");
        assert!(image.files["/f"].bytes == pattern(50_000) && image.files["/g"].bytes == pattern(20_000));
        // One file alone.
        let file = volume.server.kernel.open_for_writing("/mnt/f").expect("there");
        file.write_at(0, b"new").expect("written");
        file.sync().expect("synced");
        assert_eq!(volume.image().files["/f"].bytes[..3], *b"new");
        file.close().expect("closed");
        let (_, written, flushes) = volume.disk.counts();
        volume.unmount();
        assert!(volume.disk.counts().1 > written && volume.disk.counts().2 > flushes, "the device hears of the end");
        volume.mount().expect("mounted");
    });
}

#[test]
fn a_full_device_takes_nothing_more_and_loses_nothing() {
    on_each(|volume| {
        let mut made = Vec::new();
        let error = loop {
            let path = format!("/mnt/big{}", made.len());
            let file = volume.server.kernel.create(&path, 0o644).expect("a slot");
            let result = file.write_at(0, &pattern(LONGEST));
            file.close().expect("closed");
            match result {
                Ok(count) => assert_eq!(count, LONGEST),
                Err(error) => break error,
            }
            made.push(path);
        };
        assert_eq!(error.errno(), ENOSPC);
        assert!(made.len() >= 6, "2 MiB hold {} files", made.len());
        let last = format!("/mnt/big{}", made.len());
        assert_eq!(volume.server.kernel.stat(&last).expect("there").size, 0, "whole or not at all");
        assert!(volume.server.kernel.statvfs("/mnt").expect("mounted").free_blocks < 270);
        volume.again();
        for path in &made {
            assert!(volume.read(path) == pattern(LONGEST), "{path}");
            volume.server.kernel.remove(path).unwrap_or_else(|error| panic!("{error}"));
        }
        volume.server.kernel.remove(&last).expect("removed");
        volume.again();
        let image = volume.image();
        // The directory keeps its block.
        assert_eq!((image.free_blocks, image.free_slots), (2048 - 18 - 1, 126), "all of it is free again");
        volume.write("/mnt/again", &pattern(LONGEST));
    });
}

#[test]
fn files_run_out() {
    on_each(|volume| {
        for number in 0..126 {
            volume.write(&format!("/mnt/{number}"), b"");
        }
        let status = volume.server.kernel.statvfs("/mnt").expect("mounted");
        assert_eq!((status.kind.as_str(), status.files, status.free_files, status.read_only), ("slotfs", 127, 0, false));
        assert_eq!(volume.server.kernel.create("/mnt/more", 0o644).expect_err("none left").errno(), ENOSPC);
        assert_eq!(volume.server.kernel.create_directory("/mnt/more", 0o755).expect_err("none left").errno(), ENOSPC);
        volume.again();
        assert_eq!(volume.names("/mnt").len(), 126);
        for number in 0..126 {
            volume.server.kernel.remove(format!("/mnt/{number}")).expect("there");
        }
        volume.write("/mnt/more", b"room again");
    });
}

#[test]
fn what_does_not_work_says_why() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        volume.write("/mnt/f", b"text");
        kernel.create_directory("/mnt/d", 0o755).expect("made");
        let file = kernel.open_for_writing("/mnt/f").expect("there");
        assert_eq!(file.write_at(LONGEST as u64, b"x").expect_err("too far").errno(), EFBIG);
        assert_eq!(file.write_at(u64::MAX >> 1, b"x").expect_err("too far").errno(), EFBIG);
        file.close().expect("closed");
        assert_eq!(kernel.open("/mnt/f").expect("there").write_at(0, b"x").expect_err("not for writing").errno(), EBADF);
        assert_eq!(kernel.open_for_writing("/mnt/d").expect_err("a directory").errno(), EISDIR);
        let size = Change { size: Some(LONGEST as u64 + 1), ..Change::default() };
        assert_eq!(kernel.change("/mnt/f", &size).expect_err("too long").errno(), EFBIG);
        assert_eq!(kernel.change("/mnt/d", &size).expect_err("a directory").errno(), EISDIR);
        assert_eq!(volume.read("/mnt/f"), b"text");
        volume.unmount();
        volume.mount_with(true).expect("mounted");
        assert_eq!(kernel.create("/mnt/g", 0o644).expect_err("read only").errno(), EROFS);
        assert_eq!(kernel.open_for_writing("/mnt/f").expect_err("read only").errno(), EROFS);
        assert_eq!(kernel.remove("/mnt/f").expect_err("read only").errno(), EROFS);
        let before = volume.disk.counts().1;
        assert_eq!(volume.read("/mnt/f"), b"text");
        volume.unmount();
        assert_eq!(volume.disk.counts().1, before, "nothing is written");
        volume.mount().expect("mounted");
    });
}

#[test]
fn an_image_that_is_none_is_not_mounted() {
    on_each(|volume| {
        volume.unmount();
        let whole = volume.disk.bytes();
        for (at, byte) in [(0, b'x'), (9, 0xff), (12, 1), (16, 0), (20, 0xff)] {
            let mut image = whole.clone();
            image[at] = byte;
            let broken = Volume::try_mount(&volume.server, "/dev/broken", image);
            assert_eq!(broken.expect_err("no slotfs").errno(), EINVAL, "byte {at}");
        }
        assert_eq!(Volume::try_mount(&volume.server, "/dev/broken", whole[..1024].to_vec()).expect_err("short").errno(), EINVAL);
        volume.disk.fail(0, 1);
        assert_eq!(volume.mount().expect_err("unreadable").errno(), EIO);
        volume.disk.fail(1, 0);
        assert_eq!(volume.mount().expect_err("unwritable").errno(), EIO);
        volume.disk.fail(0, 0);
        volume.mount().expect("mounted");
    });
}
