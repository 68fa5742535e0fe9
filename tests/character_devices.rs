//! Character devices of modules' drivers, opened by a server.
#![cfg(any(target_arch = "x86", target_arch = "x86_64"))]

#[path = "support/kernel.rs"]
mod kernel;
mod support;

use kernel::Server;
use rumpload::Load;
use rumpload::errno::{EBUSY, EEXIST, EINVAL, ENOENT, ENOTTY, EOPNOTSUPP};
use rumpload_base::{FileError, FileKind};

const ENXIO: i32 = 6;
/// The sample driver's command: adds what it counts to a number.
const COUNT: u32 = 0xc004_4301;

/// A server with units 0 to 2 of the sample driver.
fn server() -> Server {
    let server = Server::new();
    let none = server.kernel.add_character_device("/dev/early", "chardev", 0);
    assert_eq!(none.map_err(errno), Err(ENXIO), "a driver that is not there");
    server.kernel.instance().load(&Load { name: "chardev", ..Load::default() }).unwrap_or_else(|error| panic!("{error}"));
    for unit in 0..3 {
        let path = format!("/dev/chardev{unit}");
        server.kernel.add_character_device(&path, "chardev", unit).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(server.kernel.add_character_device(&path, "chardev", unit).map_err(errno), Err(EEXIST));
    }
    server
}

fn errno(error: FileError) -> i32 {
    error.errno()
}

#[test]
fn a_device_is_read_written_and_asked() {
    let server = server();
    let kernel = &server.kernel;
    let device = kernel.open_character_device("/dev/chardev0").unwrap();
    assert_eq!(device.write(4, b"hello").unwrap(), 5);
    let mut bytes = [0xff; 32];
    assert_eq!(device.read(0, &mut bytes).unwrap(), 16);
    assert_eq!(&bytes[..16], b"\0\0\0\0hello\0\0\0\0\0\0\0");
    assert_eq!(device.read(16, &mut bytes).unwrap(), 0);
    assert_eq!(device.read(17, &mut bytes).map_err(errno), Err(EINVAL));
    let again = kernel.open_character_device("/dev/chardev0").unwrap();
    let mut number = 40_i32.to_ne_bytes();
    device.control(COUNT, &mut number).unwrap();
    assert_eq!(i32::from_ne_bytes(number), 42, "two are open");
    assert_eq!(device.control(COUNT, &mut [0; 3]).map_err(errno), Err(EINVAL));
    assert_eq!(device.control(COUNT + 1, &mut number).map_err(errno), Err(ENOTTY));
    again.close().unwrap();
    // The driver hears of the last close only, and stays until then.
    assert!(kernel.instance().unload("chardev").is_err());
    assert_eq!(kernel.remove_device("/dev/chardev0").map_err(errno), Err(EBUSY));
    device.close().unwrap();
    kernel.instance().unload("chardev").unwrap();
    assert_eq!(kernel.open_character_device("/dev/chardev0").map(drop).map_err(errno), Err(ENXIO));
    kernel.remove_device("/dev/chardev0").unwrap();
    assert_eq!(kernel.open_character_device("/dev/chardev0").map(drop).map_err(errno), Err(ENOENT));
}

#[test]
fn a_device_that_clones_gives_each_open_a_file() {
    let server = server();
    let kernel = &server.kernel;
    let cycle = || {
        let (one, two) =
            (kernel.open_character_device("/dev/chardev1").unwrap(), kernel.open_character_device("/dev/chardev1").unwrap());
        assert_eq!((one.write(0, b"abc").unwrap(), two.write(0, b"HAL").unwrap()), (3, 3));
        let mut bytes = [0; 3];
        assert_eq!((one.read(0, &mut bytes).unwrap(), bytes), (3, *b"bcd"));
        assert_eq!((two.read(0, &mut bytes).unwrap(), bytes), (3, *b"IBM"));
        assert_eq!(one.write(0, &[0; 17]).map_err(errno), Err(EINVAL));
        let mut number = 0_i32.to_ne_bytes();
        one.control(COUNT, &mut number).unwrap();
        assert_eq!(i32::from_ne_bytes(number), 203, "two files, the offset behind three bytes");
        assert!(kernel.instance().unload("chardev").is_err(), "files are open");
        one.close().unwrap();
        drop(two);
        kernel.usage().unwrap()
    };
    let before = cycle();
    assert_eq!(cycle(), before, "nothing stays");
    // As a file of a file system it cannot be opened: nothing would stand for it.
    assert_eq!(kernel.open("/dev/chardev1").map(drop).map_err(errno), Err(EOPNOTSUPP));
    assert_eq!(cycle(), before);
    kernel.instance().unload("chardev").unwrap();
}

#[test]
fn what_does_not_open_says_why() {
    let server = server();
    let kernel = &server.kernel;
    assert_eq!(kernel.open_character_device("/dev/chardev2").map(drop).map_err(errno), Err(ENXIO), "the driver refuses");
    assert_eq!(kernel.open_character_device("/dev").map(drop).map_err(errno), Err(ENXIO), "a directory");
    assert_eq!(kernel.open_character_device("/dev/none").map(drop).map_err(errno), Err(ENOENT));
    assert_eq!(kernel.add_character_device("/dev/large", "chardev", 1 << 20).map_err(errno), Err(EINVAL));
    let entries = kernel.read_directory("/dev").unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.kind == Some(FileKind::CharacterDevice)).count(), 3);
    assert_eq!(kernel.stat("/dev/chardev0").unwrap().kind, FileKind::CharacterDevice);
}
