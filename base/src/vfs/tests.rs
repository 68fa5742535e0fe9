//! Devices, buffers and names in a kernel without file systems.

use super::devices::{spec_node_destroy, vdevgone, vfinddev};
use super::object::{Buf, Vnode};
use super::{buffer, lookup, namecache, rootfs, spec, transfer, vn, vnode, vop};
use crate::abi::constants::{
    BC_INVAL, BO_DELWRI, CREATE, FREAD, FWRITE, ISLASTCN, LK_EXCLUSIVE, LOOKUP, MAKEENTRY, PURGE_CHILDREN, V_SAVE, VBLK, VCHR,
};
use crate::device::{Device, Label};
use crate::kern::cred;
use crate::kern::errno::{EBUSY, EEXIST, EINVAL, EIO, ENODEV, ENOENT, ENOTBLK, ENOTDIR, EROFS};
use crate::testing::Bench;
use crate::{FileKind, MountArguments, MountError, MountRequest};
use rumpload::resource::{Block, HostError, HostErrorKind};
use std::string::String;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::vec::Vec;

/// A disk in memory that counts what is done to it and fails when told to.
struct Disk {
    bytes: Mutex<Vec<u8>>,
    sector: u32,
    read_only: bool,
    reads: AtomicUsize,
    writes: AtomicUsize,
    flushes: AtomicUsize,
    broken: AtomicBool,
}

impl Disk {
    fn new(size: usize, sector: u32, read_only: bool) -> Arc<Self> {
        let bytes = (0..size).map(|at| (at / 512 + at) as u8).collect();
        Arc::new(Self {
            bytes: Mutex::new(bytes),
            sector,
            read_only,
            reads: AtomicUsize::default(),
            writes: AtomicUsize::default(),
            flushes: AtomicUsize::default(),
            broken: AtomicBool::default(),
        })
    }

    fn check(&self, offset: u64, length: usize) -> Result<(), HostError> {
        let sector = u64::from(self.sector);
        assert!(offset.is_multiple_of(sector) && (length as u64).is_multiple_of(sector), "requests are whole sectors");
        if self.broken.load(Ordering::Relaxed) { Err(HostErrorKind::Io.into()) } else { Ok(()) }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.lock().unwrap()[at]
    }
}

impl Block for Disk {
    fn sector_size(&self) -> u32 {
        self.sector
    }

    fn size(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, HostError> {
        self.check(offset, buffer.len())?;
        self.reads.fetch_add(1, Ordering::Relaxed);
        let bytes = self.bytes.lock().unwrap();
        let there = &bytes[offset as usize..];
        let length = there.len().min(buffer.len());
        buffer[..length].copy_from_slice(&there[..length]);
        Ok(length)
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), HostError> {
        self.check(offset, data.len())?;
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.bytes.lock().unwrap()[offset as usize..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> Result<(), HostError> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

const PATH: &str = "/dev/disk";

fn bench(disk: &Arc<Disk>) -> Bench {
    let bench = Bench::new();
    bench.kernel.add_device(PATH, Device::new(disk.clone())).unwrap();
    bench
}

/// The device's vnode, open, referenced and unlocked.
fn open(mode: i32) -> Result<Vnode, i32> {
    let vp = lookup::find(PATH.as_bytes(), true)?;
    crate::file::open_vnode(vp, mode).map(|()| vp)
}

fn close(vp: Vnode, mode: i32) -> i32 {
    // SAFETY: opened and referenced by `open`.
    unsafe { vn::vn_close(vp, mode, cred::current()) }
}

fn data<'a>(bp: Buf) -> &'a mut [u8] {
    // SAFETY: a held buffer's data is its holder's.
    unsafe { core::slice::from_raw_parts_mut(bp.data(), bp.count() as usize) }
}

#[test]
fn a_block_is_read_once() {
    let disk = Disk::new(1 << 20, 512, true);
    let bench = bench(&disk);
    bench.inside(|| {
        let vp = open(FREAD).unwrap();
        for _ in 0..3 {
            let bp = buffer::read(vp, 8, 2048).unwrap();
            assert_eq!((data(bp)[0], data(bp)[2047]), (disk.byte(4096), disk.byte(6143)));
            buffer::release(bp, 0);
        }
        assert_eq!(disk.reads.load(Ordering::Relaxed), 1);
        let bp = buffer::read(vp, 8, 2048).unwrap();
        buffer::release(bp, BC_INVAL);
        buffer::release(buffer::read(vp, 8, 2048).unwrap(), 0);
        assert_eq!(disk.reads.load(Ordering::Relaxed), 2);
        assert_eq!(close(vp, FREAD), 0);
    });
    assert_eq!(bench.kernel.usage().unwrap().buffers, 0);
}

#[test]
fn a_delayed_write_reaches_the_device_when_it_closes() {
    let disk = Disk::new(1 << 20, 512, false);
    let bench = bench(&disk);
    bench.inside(|| {
        let vp = open(FREAD | FWRITE).unwrap();
        let bp = buffer::read(vp, 2, 1024).unwrap();
        data(bp).fill(0xa5);
        buffer::delay(bp);
        assert_eq!(disk.writes.load(Ordering::Relaxed), 0);
        let bp = buffer::read(vp, 2, 1024).unwrap();
        assert!(bp.oflags() & BO_DELWRI != 0 && data(bp)[5] == 0xa5);
        buffer::release(bp, 0);
        assert_eq!(close(vp, FREAD | FWRITE), 0);
    });
    assert_eq!((disk.writes.load(Ordering::Relaxed), disk.flushes.load(Ordering::Relaxed)), (1, 1));
    assert_eq!((disk.byte(1024), disk.byte(2047)), (0xa5, 0xa5));
}

#[test]
fn errors_of_the_device_come_through_and_leave_nothing() {
    let disk = Disk::new(1 << 16, 512, false);
    let bench = bench(&disk);
    bench.inside(|| {
        let vp = open(FREAD | FWRITE).unwrap();
        disk.broken.store(true, Ordering::Relaxed);
        assert_eq!(buffer::read(vp, 0, 512).err(), Some(EIO));
        disk.broken.store(false, Ordering::Relaxed);
        let bp = buffer::read(vp, 0, 512).unwrap();
        data(bp).fill(1);
        buffer::delay(bp);
        disk.broken.store(true, Ordering::Relaxed);
        assert_eq!(buffer::flush(vp), Err(EIO));
        disk.broken.store(false, Ordering::Relaxed);
        // What could not be written is gone.
        assert!(buffer::find(vp, 0).is_none() && vp.numoutput() == 0);
        assert_eq!(buffer::read(vp, 1 << 20, 512).err(), Some(EINVAL));
        assert_eq!(buffer::invalidate(vp, V_SAVE), Ok(()));
        assert_eq!(close(vp, FREAD | FWRITE), 0);
    });
    assert_eq!(disk.byte(1), 1);
}

#[test]
fn transfers_may_begin_within_a_sector() {
    let disk = Disk::new(1 << 16, 4096, false);
    let bench = bench(&disk);
    bench.inside(|| {
        let vp = open(FREAD | FWRITE).unwrap();
        let bp = buffer::read(vp, 3, 1536).unwrap();
        assert_eq!((data(bp)[0], data(bp)[1535]), (disk.byte(1536), disk.byte(3071)));
        data(bp).fill(9);
        buffer::delay(bp);
        assert_eq!(close(vp, FREAD | FWRITE), 0);
    });
    assert_eq!((disk.byte(1536), disk.byte(3071)), (9, 9));
    // The rest of the sector is as it was.
    assert_eq!((disk.byte(1535), disk.byte(3072)), ((1535 / 512 + 1535) as u8, (3072 / 512 + 3072) as u8));
}

#[test]
fn what_lies_behind_the_device_reads_as_zeros() {
    let disk = Disk::new(1536, 512, true);
    let bench = bench(&disk);
    bench.inside(|| {
        let vp = open(FREAD).unwrap();
        let bp = buffer::read(vp, 2, 1024).unwrap();
        assert_eq!((data(bp)[511], data(bp)[512], data(bp)[1023], bp.resid()), (disk.byte(1535), 0, 0, 512));
        buffer::release(bp, 0);
        assert_eq!(close(vp, FREAD), 0);
    });
}

#[test]
fn the_cache_is_bounded_and_writes_what_it_drops() {
    let size = 24 << 20;
    let disk = Disk::new(size, 512, false);
    let bench = bench(&disk);
    let limit = 16 << 20;
    let largest = bench.inside(|| {
        bench.kernel.vfs.buffers.set_limit(limit);
        let vp = open(FREAD | FWRITE).unwrap();
        let mut largest = 0;
        for block in (0..(size / 512) as i64).step_by(128) {
            let bp = buffer::get(vp, block, 65536);
            data(bp).fill(7);
            buffer::delay(bp);
            largest = largest.max(bench.kernel.vfs.buffers.usage().1);
        }
        assert_eq!(close(vp, FREAD | FWRITE), 0);
        largest
    });
    assert!(largest <= limit, "{largest} bytes of buffers");
    assert!(disk.bytes.lock().unwrap().iter().all(|byte| *byte == 7));
}

#[test]
fn a_device_opens_once_and_only_as_it_can() {
    let disk = Disk::new(1 << 16, 512, true);
    let bench = bench(&disk);
    bench.inside(|| {
        assert_eq!(open(FREAD | FWRITE).err(), Some(EROFS));
        let vp = open(FREAD).unwrap();
        assert_eq!(open(FREAD).err(), Some(EBUSY));
        assert_eq!(vp.uses(), 2);
        assert_eq!(close(vp, FREAD), 0);
    });
    let busy = |error: crate::FileError| error.errno();
    assert_eq!(bench.kernel.add_device(PATH, Device::new(disk.clone())).map_err(busy), Err(EEXIST));
    assert_eq!(bench.kernel.add_device("/dev/disk/x", Device::new(disk.clone())).map_err(busy), Err(ENOTDIR));
    assert_eq!(bench.kernel.remove_device("/dev").map_err(busy), Err(ENOTBLK));
    let file = bench.kernel.open(PATH).unwrap();
    assert_eq!(bench.kernel.remove_device(PATH).map_err(busy), Err(EBUSY));
    let mut bytes = [0; 100];
    assert_eq!(file.read_at(700, &mut bytes).unwrap(), 100);
    assert_eq!(bytes[0], disk.byte(700));
    file.close().unwrap();
    bench.kernel.remove_device(PATH).unwrap();
    assert_eq!(bench.kernel.stat(PATH).map(|_| ()).map_err(busy), Err(ENOENT));
    assert_eq!(Arc::strong_count(&disk), 1);
}

#[test]
fn the_root_lists_what_is_in_it() {
    let disk = Disk::new(1 << 16, 512, true);
    let bench = bench(&disk);
    let names = |path: &str| {
        let entries = bench.kernel.read_directory(path).unwrap();
        entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names("/"), [".", "..", "dev"]);
    assert_eq!(names("/dev/../dev/."), [".", "..", "disk"]);
    let stat = bench.kernel.stat(PATH).unwrap();
    assert_eq!((stat.kind, stat.mode), (FileKind::BlockDevice, 0o060_600));
    let errno = |path: &str| bench.kernel.stat(path).unwrap_err().errno();
    assert_eq!((errno("/dev/none"), errno("/dev/disk/x"), errno("dev"), errno("")), (ENOENT, ENOTDIR, EINVAL, ENOENT));
}

#[test]
fn a_label_says_what_the_server_wants() {
    let disk = Disk::new(880 << 10, 512, true);
    let bench = Bench::new();
    bench.kernel.add_device(PATH, Device { block: disk, label: Label::Floppy }).unwrap();
    bench.inside(|| {
        let vp = open(FREAD).unwrap();
        let layout = &bench.kernel.abi.disklabel;
        let mut label = [0u64; 64];
        let place = label.as_mut_ptr().cast::<u8>();
        // SAFETY: the array has room for a label.
        unsafe {
            let command = bench.kernel.abi.constant.diocgdinfo as usize;
            assert_eq!(vop::ioctl(vp, command, place, FREAD, cred::current()), 0);
            assert_eq!(layout.d_type.read::<u16>(place), 10);
            assert_eq!(layout.d_secperunit.read::<u32>(place), 1760);
            assert_eq!((layout.d_nsectors.read::<u32>(place), layout.d_ncylinders.read::<u32>(place)), (11, 80));
            assert_eq!(vop::ioctl(vp, 0, place, FREAD, cred::current()), crate::kern::errno::ENOTTY);
        }
        assert_eq!(close(vp, FREAD), 0);
        assert_eq!(spec::geometry(spec::number(vp).unwrap()), Some((1760, 512)));
    });
}

#[test]
fn names_are_found_until_they_change() {
    let disk = Disk::new(1 << 16, 512, true);
    let bench = bench(&disk);
    bench.inside(|| {
        let (root, dev) = (lookup::find(b"/", true).unwrap(), lookup::find(b"/dev", true).unwrap());
        let enter: unsafe extern "C" fn(Vnode, Vnode, *const u8, usize, u32) = namecache::cache_enter;
        let keep = MAKEENTRY as u32;
        let last = (MAKEENTRY | ISLASTCN) as u32;
        // SAFETY: the names are readable, the vnodes referenced.
        unsafe {
            enter(root, dev, b"dev".as_ptr(), 3, keep);
            enter(root, Vnode::NULL, b"none".as_ptr(), 4, keep);
            enter(root, dev, b"unkept".as_ptr(), 6, 0);
        }
        let look = |name: &[u8], operation: i32, flags: u32| namecache::lookup(root, name, operation as u32, flags);
        let uses = dev.uses();
        assert_eq!(look(b"dev", LOOKUP, keep), Some((Some(dev), false)));
        assert_eq!(dev.uses(), uses + 1);
        assert_eq!(look(b"none", LOOKUP, last), Some((None, false)));
        assert_eq!(look(b"unkept", LOOKUP, keep), None);
        // Making a name ends the knowledge that there is none.
        assert_eq!(look(b"none", CREATE, last), None);
        assert_eq!(look(b"none", LOOKUP, last), None);
        // SAFETY: a null name is none; the vnodes are referenced.
        unsafe {
            namecache::cache_purge1(root, core::ptr::null(), 0, PURGE_CHILDREN);
            assert_eq!(look(b"dev", LOOKUP, keep), None);
            vnode::vrele(dev);
            vnode::vrele(dev);
            vnode::vrele(root);
        }
    });
    assert_eq!(bench.kernel.usage().unwrap().names, 0);
}

#[test]
fn the_oldest_names_go_first() {
    let bench = Bench::new();
    bench.inside(|| {
        let root = lookup::find(b"/", true).unwrap();
        for number in 0..10_000u32 {
            let name = number.to_ne_bytes();
            // SAFETY: the name is readable, the vnode referenced.
            unsafe { namecache::cache_enter(root, Vnode::NULL, name.as_ptr(), 4, MAKEENTRY as u32) };
            // The first is used all the time.
            assert!(namecache::lookup(root, &0u32.to_ne_bytes(), LOOKUP as u32, MAKEENTRY as u32).is_some());
        }
        assert!(bench.kernel.vfs.names.count() <= 8192);
        assert!(namecache::lookup(root, &1u32.to_ne_bytes(), LOOKUP as u32, MAKEENTRY as u32).is_none());
        namecache::purge(root);
        // SAFETY: referenced by the lookup.
        unsafe { vnode::vrele(root) };
    });
    assert_eq!(bench.kernel.usage().unwrap().names, 0);
}

#[test]
fn parts_of_a_transfer_end_the_whole() {
    let bench = Bench::new();
    bench.inside(|| {
        let master = transfer::header(Vnode::NULL);
        let mut bytes = [0u8; 1024];
        master.set_data(bytes.as_mut_ptr());
        master.set_count(1024);
        master.set_resid(1024);
        master.set_flags(crate::abi::constants::B_READ);
        let parts = [0, 512].map(|offset| {
            let part = transfer::header(Vnode::NULL);
            // SAFETY: both buffers are live, the part lies inside the data.
            unsafe { transfer::nestiobuf_setup(master, part, offset, 512) };
            part
        });
        parts[0].set_resid(0);
        transfer::done(parts[0]);
        assert_eq!((master.resid(), master.oflags() & crate::abi::constants::BO_DONE), (512, 0));
        // This one stops short.
        transfer::done(parts[1]);
        assert_eq!((transfer::wait(master), master.resid()), (EIO, 1024));
        transfer::free_header(master);
    });
    let reason = bench.ends(|| {
        let bp = transfer::header(Vnode::NULL);
        transfer::done(bp);
        transfer::done(bp);
    });
    assert!(reason.contains("biodone"), "{reason}");
}

#[test]
fn locks_of_vnodes_exclude() {
    let disk = Disk::new(1 << 16, 512, true);
    let bench = bench(&disk);
    bench.inside(|| {
        let vp = lookup::find(PATH.as_bytes(), true).unwrap();
        let no_wait = bench.kernel.abi.constant.lk_nowait as i32;
        assert_eq!(vn::lock(vp, LK_EXCLUSIVE), 0);
        assert_eq!(vn::lock(vp, LK_EXCLUSIVE | no_wait), EBUSY);
        // SAFETY: locked above and referenced.
        unsafe { vnode::vput(vp) };
    });
}

#[test]
fn a_type_without_a_module_says_why() {
    let bench = Bench::new();
    bench.kernel.instance().set_autoload(true);
    let arguments = MountArguments::new(bench.kernel.abi, "cd9660").unwrap();
    let request = MountRequest { kind: "cd9660", directory: "/mnt", device: Some(PATH), read_only: true, arguments };
    let error = bench.kernel.mount(&request).unwrap_err();
    assert_eq!(error.errno(), ENODEV);
    assert!(matches!(&error, MountError::Autoload { kind, .. } if kind == "cd9660"), "{error}");
    assert!(std::format!("{error}").contains("cd9660.kmod"), "{error}");
    assert_eq!(bench.kernel.unmount("/", false).unwrap_err().errno(), EINVAL);
}

/// Leads from the directory `/one` to `/two`.
unsafe extern "C" fn lead(vpp: *mut Vnode, file: *mut u8, lwp: *mut u8) -> i32 {
    let abi = crate::kernel::kernel().abi;
    // SAFETY: the vnode is open and referenced; a `struct file` of the version.
    unsafe {
        let content = abi.file.f_undata.ptr(file);
        assert_eq!((abi.file_data.fd_vp.read::<Vnode>(content), lwp), (*vpp, crate::kern::process::curlwp()));
        let one = lookup::find(b"/one", true).unwrap();
        vnode::vrele(one);
        if *vpp != one {
            return 0;
        }
        let two = lookup::find(b"/two", true).unwrap();
        crate::file::open_vnode(two, FREAD).unwrap();
        abi.file_data.fd_vp.write(content, two);
        vn::vn_close(*vpp, FREAD, abi.file.f_cred.read(file));
        *vpp = two;
        0
    }
}

unsafe extern "C" fn refuse(_vpp: *mut Vnode, _file: *mut u8, _lwp: *mut u8) -> i32 {
    EIO
}

#[test]
fn a_hook_adds_the_directory_below() {
    let bench = Bench::new();
    let kernel = &bench.kernel;
    bench.inside(|| {
        for path in ["/one/a", "/one/both", "/two/b", "/two/both"] {
            rootfs::make_directories(path.as_bytes()).unwrap();
        }
    });
    type Hook = unsafe extern "C" fn(*mut Vnode, *mut u8, *mut u8) -> i32;
    // SAFETY: the export is a pointer to a function.
    let hook = |hook: Option<Hook>| unsafe { kernel.data("vn_union_readdir_hook").cast::<Option<Hook>>().write(hook) };
    let names = |path| {
        let entries = kernel.read_directory(path).map_err(|error| error.errno())?;
        Ok(entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect::<Vec<_>>())
    };
    let usage = || kernel.usage().unwrap();
    let own = Ok(["a", "both", ".", ".."].map(String::from).to_vec());
    let sorted = |names: Result<Vec<String>, i32>| {
        names.map(|mut names| {
            names.sort();
            names
        })
    };
    assert_eq!(sorted(names("/one")), sorted(own));
    let before = usage();
    hook(Some(lead));
    assert_eq!(sorted(names("/one")), Ok([".", "..", "a", "b", "both"].map(String::from).to_vec()));
    assert_eq!(sorted(names("/two")), Ok([".", "..", "b", "both"].map(String::from).to_vec()));
    hook(Some(refuse));
    assert_eq!(names("/one"), Err(EIO));
    assert_eq!(usage(), before);
}

#[test]
fn vnodes_of_devices_are_found_and_taken_away() {
    let disk = Disk::new(1 << 16, 512, true);
    let bench = bench(&disk);
    bench.inside(|| {
        let vp = open(FREAD).unwrap();
        let number = spec::number(vp).unwrap();
        let (major, minor) = ((number >> 8) as i32 & 0xfff, number as i32 & 0xff);
        let mut found = Vnode::NULL;
        // SAFETY: the result is this frame's; references are given up once each.
        unsafe {
            assert_eq!((vfinddev(number, VCHR, &raw mut found), vfinddev(number + 1, VBLK, &raw mut found)), (0, 0));
            assert_eq!((vfinddev(number, VBLK, &raw mut found), found), (1, vp));
            vnode::vrele(found);
            vdevgone(major, minor + 1, minor + 3, VBLK);
            vdevgone(major, minor, minor, VCHR);
            assert_eq!(vp.phase(), vnode::Phase::Active);
            vdevgone(major, minor, minor + 1, VBLK);
            assert_eq!((vp.phase(), vfinddev(number, VBLK, &raw mut found)), (vnode::Phase::Reclaimed, 0));
            assert!(!spec::is_open(number));
            vnode::vrele(vp);
        }
    });
}

#[test]
fn a_vnode_can_cease_to_be_a_device() {
    let disk = Disk::new(1 << 16, 512, true);
    let bench = bench(&disk);
    bench.inside(|| {
        let vp = lookup::find(PATH.as_bytes(), true).unwrap();
        let number = spec::number(vp).unwrap();
        let mut found = Vnode::NULL;
        // SAFETY: referenced by the lookup; nobody else uses the device.
        unsafe {
            spec_node_destroy(vp);
            assert_eq!(spec::number(vp), None);
            assert_eq!(vfinddev(number, VBLK, &raw mut found), 0);
            vnode::vrele(vp);
        }
    });
}
