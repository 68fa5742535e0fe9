//! Statements 129 to 147: host files under paths of the instance, and what is left of the rump environment.

use crate::support::{MODULES, NETBSD_9_3, PORT, World, errno};
use rumpload::errno::{EBUSY, EEXIST, EFBIG, EINVAL, EISDIR, ENOENT, ENOEXEC, ENOMEM, ENOTDIR, EOPNOTSUPP};
use rumpload::resource::{Etfs, EtfsKind, Placement, Window};
use rumpload::{Error, Export, ExportValue, Load};
use rumpload_test_modules::elf::{self, Record};

const WHOLE: Window = Window { begin: 0, len: None };

fn world() -> World {
    let world = World::new(NETBSD_9_3);
    world.store.file("file", *b"0123456789");
    world.store.file("dir/a", *b"a");
    world.store.file("dir/sub/deep/b", *b"b");
    world.store.file("disk", vec![7; 2000]);
    world
}

fn map(world: &World, key: &str, host: &str, kind: EtfsKind) -> Result<(), Error> {
    world.instance.etfs_register(key, host, kind, WHOLE)
}

fn map_window(world: &World, begin: u64, len: Option<u64>) -> Result<(), Error> {
    world.instance.etfs_register("/w", "file", EtfsKind::Regular, Window { begin, len })
}

#[track_caller]
fn read(world: &World, path: &str) -> Vec<u8> {
    world.instance.read_file(path, 1 << 20).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn unread(world: &World, path: &str) -> i32 {
    world.instance.read_file(path, 1 << 20).expect_err("nothing is there").errno()
}

#[test]
fn s129_keys() {
    let world = world();
    assert_eq!(errno(map(&world, "foo", "file", EtfsKind::Regular)), EINVAL);
    assert_eq!(errno(map(&world, "", "file", EtfsKind::Regular)), EINVAL);
    map(&world, "//foo", "file", EtfsKind::Regular).expect("mapped");
    assert_eq!(read(&world, "/foo"), b"0123456789");
    assert_eq!(errno(map(&world, "/foo", "file", EtfsKind::Regular)), EEXIST);
    map(&world, "/a//b", "file", EtfsKind::Regular).expect("mapped");
    map(&world, "/a/b", "dir/a", EtfsKind::Regular).expect("another key");
    assert_eq!((read(&world, "/a//b"), read(&world, "/a/b")), (b"0123456789".to_vec(), b"a".to_vec()));
    assert_eq!(errno(map(&world, &format!("/{}", "k".repeat(1023)), "file", EtfsKind::Regular)), EINVAL);
}

#[test]
fn s130_missing_host_file() {
    let world = world();
    assert_eq!(errno(map(&world, "/foo", "absent", EtfsKind::Regular)), ENOENT);
    assert_eq!(unread(&world, "/foo"), ENOENT);
}

#[test]
fn s131_directories() {
    let world = world();
    for kind in [EtfsKind::Directory, EtfsKind::Subdirectories] {
        assert_eq!(errno(map(&world, "/d", "file", kind)), ENOTDIR);
        for window in [Window { begin: 1, len: None }, Window { begin: 0, len: Some(0) }, Window { begin: 0, len: Some(5) }] {
            assert_eq!(errno(world.instance.etfs_register("/d", "dir", kind, window)), EISDIR, "{window:?}");
        }
    }
    assert_eq!(unread(&world, "/d"), ENOENT, "nothing was mapped");
}

#[test]
fn s132_windows() {
    let world = world();
    assert_eq!(errno(map_window(&world, 11, None)), EINVAL);
    assert_eq!(errno(map_window(&world, 5, Some(6))), EINVAL);
    assert_eq!(errno(map_window(&world, u64::MAX, Some(u64::MAX))), EINVAL);
    for (begin, len, expected) in [(10, None, ""), (0, None, "0123456789"), (3, Some(4), "3456"), (3, None, "3456789")] {
        map_window(&world, begin, len).expect("it lies in the file");
        assert_eq!(read(&world, "/w"), expected.as_bytes());
        world.instance.etfs_remove("/w").expect("mapped");
    }
}

#[test]
fn s133_clashes() {
    let world = world();
    map(&world, "/d", "dir", EtfsKind::Directory).expect("mapped");
    assert_eq!(errno(map(&world, "/d", "dir", EtfsKind::Directory)), EEXIST);
    assert_eq!(errno(map(&world, "/d/x", "file", EtfsKind::Regular)), EEXIST);
    map(&world, "/dx", "file", EtfsKind::Regular).expect("a name that only starts alike is another one");
    map(&world, "/e/x", "file", EtfsKind::Regular).expect("mapped");
    map(&world, "/e", "dir", EtfsKind::Directory).expect("above what is mapped");
    assert_eq!((read(&world, "/e/a"), unread(&world, "/e/x")), (b"a".to_vec(), ENOENT), "the newer one goes first");
    map(&world, "/r", "file", EtfsKind::Regular).expect("mapped");
    assert_eq!(errno(map(&world, "/r/x", "dir", EtfsKind::Directory)), EEXIST);
}

#[test]
fn s134_keys_need_no_directories() {
    let world = world();
    map(&world, "/a/b/c", "file", EtfsKind::Regular).expect("mapped");
    assert_eq!(read(&world, "/a/b/c"), b"0123456789");
    assert_eq!((unread(&world, "/a"), unread(&world, "/a/b")), (ENOENT, ENOENT));
}

#[test]
fn s135_keys_do_not_show_in_listings() {
    let world = world();
    map(&world, "/foo", "file", EtfsKind::Regular).expect("mapped");
    // There is no root directory to list; the map itself can be asked.
    assert_eq!(unread(&world, "/"), ENOENT);
    let mut map = Etfs::default();
    map.register(&*world.store, "/foo", "file", EtfsKind::Regular, WHOLE).expect("mapped");
    assert_eq!(map.mappings().collect::<Vec<_>>(), [("foo", "file", EtfsKind::Regular)]);
}

#[test]
fn s136_below_a_directory() {
    let world = world();
    world.store.other("dir/socket");
    map(&world, "/d", "dir", EtfsKind::Subdirectories).expect("mapped");
    assert_eq!((read(&world, "/d/a"), read(&world, "/d/sub/deep/b")), (b"a".to_vec(), b"b".to_vec()));
    assert_eq!(read(&world, "/d//sub/./deep/b"), b"b");
    for path in ["/d/..", "/d/../file", "/d/sub/../a", "/d/sub/deep/../../.."] {
        assert_eq!(unread(&world, path), EOPNOTSUPP, "{path}");
    }
    assert_eq!(unread(&world, "/d/socket"), ENOENT);
    assert_eq!((unread(&world, "/d"), unread(&world, "/d/sub")), (EISDIR, EISDIR));
    map(&world, "/flat", "dir", EtfsKind::Directory).expect("mapped");
    assert_eq!(read(&world, "/flat/a"), b"a");
    assert_eq!(unread(&world, "/flat/sub/deep/b"), ENOENT);
}

#[test]
fn s137_sixteen_devices() {
    let world = world();
    for number in 0..17 {
        world.store.file(&format!("disk{number}"), vec![0; 512]);
    }
    for number in 0..16 {
        map(&world, &format!("/dev/{number}"), &format!("disk{number}"), EtfsKind::Block).expect("a free slot");
    }
    assert_eq!(errno(map(&world, "/dev/16", "disk16", EtfsKind::Block)), EBUSY);
    map(&world, "/dev/again", "disk3", EtfsKind::Block).expect("the same file uses the same slot");
    world.instance.etfs_remove("/dev/5").expect("mapped");
    map(&world, "/dev/16", "disk16", EtfsKind::Block).expect("a slot is free again");
}

#[test]
fn s138_block_windows() {
    let world = world();
    world.store.file("disk", (0..2000_u32).map(|byte| byte as u8).collect::<Vec<u8>>());
    let window = Window { begin: 100, len: Some(1000) };
    world.instance.etfs_register("/disk", "disk", EtfsKind::Block, window).expect("mapped");
    let file = world.instance.open_file("/disk").expect("opens");
    let mut sector = [0; 512];
    assert_eq!(file.read_at(0, &mut sector), Ok(512));
    assert_eq!((sector[0], sector[511]), (100, (100 + 511) as u8));
    assert_eq!(file.read_at(512, &mut sector), Ok(488), "across the end: short");
    assert_eq!(file.read_at(1000, &mut sector), Ok(0), "at the end: nothing");
    assert_eq!(file.read_at(1001, &mut sector).map_err(|error| error.errno()), Err(EINVAL));
    assert_eq!(file.read_at(0, &mut sector[..100]).map_err(|error| error.errno()), Err(EINVAL));
}

#[test]
fn s139_removal() {
    let world = world();
    map(&world, "/foo", "file", EtfsKind::Regular).expect("mapped");
    assert_eq!(errno(world.instance.etfs_remove("/bar")), ENOENT);
    assert_eq!(errno(world.instance.etfs_remove("foo")), EINVAL);
    world.instance.etfs_remove("/foo").expect("mapped");
    assert_eq!(unread(&world, "/foo"), ENOENT);
    map(&world, "/foo", "file", EtfsKind::Regular).expect("free again");
}

#[test]
fn s142_the_module_path_is_mapped_when_the_server_says_so() {
    let world = world();
    world.instance.etfs_remove(world.instance.module_base()).expect("mapped by the test's server");
    assert_eq!(errno(world.instance.map_modules("absent")), ENOENT, "a missing directory is not silent");
    world.store.file("mine/m/m.kmod", Record::new("m", NETBSD_9_3).bytes(elf::Machine::NATIVE));
    world.instance.map_modules("mine").expect("mapped");
    world.load("m").expect("found below it");
    assert_eq!(read(&world, &format!("/stand/{PORT}/9.3/modules/m/m.kmod"))[..4], *b"\x7fELF");
}

#[test]
fn s143_without_exports_only_modules_that_need_nothing_load() {
    let world = world();
    let config = rumpload::Config::netbsd(NETBSD_9_3, rumpload::Machine::native().expect("a machine"));
    let bare = rumpload::Instance::new(config, world.instance.host().clone()).expect("an instance");
    bare.map_modules(MODULES).expect("mapped");
    world.plain("m", None);
    world.noting("n", 1);
    bare.load(&Load { name: "m", ..Load::default() }).expect("it needs nothing");
    assert_eq!(errno(bare.load(&Load { name: "n", ..Load::default() })), ENOEXEC);
}

#[test]
fn s144_a_name_is_exported_once() {
    let world = world();
    let number = |name, number| Export { name, value: ExportValue::Absolute(number) };
    world.instance.export(&[number("one", 1)]).expect("exported");
    world.instance.export(&[number("two", 2)]).expect("more may follow");
    let count = world.instance.export_count();
    let error = world.instance.export(&[number("three", 3), number("one", 4)]).expect_err("there already");
    assert!(matches!(&error, Error::Redefined { symbols, .. } if symbols == &["one"]), "{error}");
    assert!(world.instance.export(&[number("four", 4), number("four", 5)]).is_err());
    assert_eq!(world.instance.export_count(), count, "all or none");
}

#[test]
fn s147_everything_is_in_reach_or_the_load_fails_with_enomem() {
    let world = world();
    // An i386 reaches all of its memory.
    let window = 0..if cfg!(target_arch = "x86") { 1 << 32 } else { 0x8000_0000_u64 };
    world.noting("m", 1);
    world.load("m").expect("it loads");
    let (text, size) = world.instance.stat().map(|all| (all[0].address.get(), all[0].size)).expect("not ended");
    assert!(window.contains(&text) && window.contains(&(text + size)));
    assert!(window.contains(&world.instance.symbol("note").expect("exported").get()));

    // A window too small for the module, but not for the exports.
    let page = 4096;
    let narrow = World::with(NETBSD_9_3, |config| {
        config.placement = Placement::Within { first: 0x1000_0000, last: 0x1000_0000 + 4 * page - 1 };
    });
    narrow.noting("m", 1);
    let mut module = Record::new("large", NETBSD_9_3).module(elf::Machine::NATIVE);
    module.object.nobits(".bss", 3, 8, 1 << 20);
    narrow.put("large", module.object.write().bytes);
    assert_eq!(narrow.fails_whole(|world| world.load("large")).errno(), ENOMEM);
}

#[test]
fn files_larger_than_the_reader_takes() {
    let world = world();
    map(&world, "/foo", "file", EtfsKind::Regular).expect("mapped");
    assert_eq!(world.instance.read_file("/foo", 9).expect_err("ten bytes").errno(), EFBIG);
    assert_eq!(world.instance.read_file("/foo", 10).expect("ten bytes").len(), 10);
    assert_eq!(world.store.open_files(), 0, "handles are closed");
}
