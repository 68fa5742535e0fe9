//! Devices and named pipes as files.

use crate::disk::Disk;
use crate::kernel::pattern;
use crate::volume::{ENXIO, on_each};
use rumpload::errno::{EBUSY, EEXIST, EINVAL};
use rumpload_base::{Change, Device, FileKind};

#[test]
fn devices_are_reached_by_names_of_a_modules_file_system() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        let other = Disk::new(pattern(1 << 16));
        kernel.add_device("/dev/other", Device::new(other.clone())).expect("a device");
        let number = kernel.stat("/dev/other").expect("there").special;
        kernel.create_special("/mnt/other", FileKind::BlockDevice, 0o640, number).expect("made");
        kernel.create_special("/mnt/absent", FileKind::BlockDevice, 0o600, 0xffff).expect("made");
        kernel.create_special("/mnt/character", FileKind::CharacterDevice, 0o600, 0x102).expect("made");
        volume.again();
        let stat = kernel.stat("/mnt/other").expect("there");
        assert_eq!((stat.kind, stat.mode & 0o777, stat.special), (FileKind::BlockDevice, 0o640, number));
        let file = kernel.open_for_writing("/mnt/other").expect("there");
        assert_eq!(kernel.open("/dev/other").expect_err("open by another name").errno(), EBUSY);
        assert_eq!(kernel.remove_device("/dev/other").expect_err("open").errno(), EBUSY);
        assert!(file.read_to_vec(1 << 20).expect("read") == pattern(1 << 16));
        assert_eq!(file.write_at(1000, b"written").expect("written"), 7);
        assert_eq!(other.bytes()[1000..1007], pattern(1007)[1000..], "not yet");
        file.sync().expect("synced");
        assert_eq!(other.bytes()[1000..1007], *b"written");
        file.write_at(2000, b"again").expect("written");
        file.close().expect("closed");
        assert_eq!(other.bytes()[2000..2005], *b"again", "when it is closed");
        for path in ["/mnt/absent", "/mnt/character"] {
            assert_eq!(kernel.open(path).expect_err("no such device").errno(), ENXIO);
        }
        let size = Change { size: Some(1), ..Change::default() };
        kernel.change("/mnt/other", &size).expect("of no consequence");
        // The device goes, its name stays.
        kernel.remove_device("/dev/other").expect("closed");
        assert_eq!(kernel.open("/mnt/other").expect_err("gone").errno(), ENXIO);
        let image = volume.image();
        assert_eq!((image.files["/other"].device, image.files["/character"].device), (number, 0x102));
        for path in ["/mnt/other", "/mnt/absent", "/mnt/character"] {
            kernel.remove(path).expect("there");
        }
    });
}

#[test]
fn pipes_and_sockets_are_names() {
    on_each(|volume| {
        let kernel = &volume.server.kernel;
        kernel.create_special("/mnt/pipe", FileKind::Fifo, 0o620, 0).expect("made");
        kernel.create_special("/mnt/socket", FileKind::Socket, 0o600, 0).expect("made");
        assert_eq!(kernel.create_special("/mnt/pipe", FileKind::Fifo, 0o600, 0).expect_err("taken").errno(), EEXIST);
        assert_eq!(kernel.create_special("/mnt/file", FileKind::File, 0o600, 0).expect_err("no such kind").errno(), EINVAL);
        kernel.hard_link("/mnt/pipe", "/mnt/second").expect("linked");
        volume.again();
        let stat = kernel.stat("/mnt/second").expect("there");
        assert_eq!((stat.kind, stat.mode & 0o777, stat.links), (FileKind::Fifo, 0o620, 2));
        assert_eq!(kernel.stat("/mnt/socket").expect("there").kind, FileKind::Socket);
        assert_eq!(kernel.open("/mnt/pipe").expect_err("nobody reads it").errno(), ENXIO);
        kernel.change("/mnt/pipe", &Change { mode: Some(0o600), ..Change::default() }).expect("changed");
        kernel.rename("/mnt/second", "/mnt/socket").expect("replaced");
        volume.again();
        assert_eq!(volume.names("/mnt"), ["pipe", "socket"]);
        let stat = kernel.stat("/mnt/socket").expect("there");
        assert_eq!((stat.kind, stat.mode & 0o777, stat.links), (FileKind::Fifo, 0o600, 2));
    });
}
