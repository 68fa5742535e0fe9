//! Reads and writes of a file system made up here: block `n` of its only file lies where a list says.

use super::{getpages, lock, node, putpages};
use crate::abi::constants::{LK_EXCLUSIVE, PGO_ALLPAGES, PGO_CLEANIT, PGO_FREE, PGO_SYNCIO, UBC_READ, UBC_WRITE, VREG};
use crate::kern::errno::EIO;
use crate::kern::memory;
use crate::kern::uio::Transfer;
use crate::kernel::kernel;
use crate::testing::Bench;
use crate::vfs::object::{Buf, FsOperations, Uio, Vnode};
use crate::vfs::operation::{Op, own_vector};
use crate::vfs::pages::{self, SIZE};
use crate::vfs::vnode::{self, Phase};
use crate::vfs::{mount, pager, transfer, ubc, vop};
use std::cell::RefCell;
use std::vec;
use std::vec::Vec;

const SHIFT: i32 = 11;
const BLOCK: usize = 1 << SHIFT;
/// Device blocks of 512 bytes in a block.
const UNITS: i64 = (BLOCK / 512) as i64;

#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    /// Device block of each block of the file; -1 is a hole.
    map: Vec<i64>,
    /// Transfers: device block and bytes.
    log: Vec<(i64, usize)>,
    broken: bool,
}

std::thread_local! {
    static DISK: RefCell<Disk> = RefCell::default();
}

unsafe extern "C" fn bmap(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_bmap_args;
    // SAFETY: the arguments of bmap.
    unsafe {
        let vp: Vnode = layout.a_vp.read(arguments);
        let block: i64 = layout.a_bn.read(arguments);
        let Some(at) = DISK.with_borrow(|disk| disk.map.get(block as usize).copied()) else { return EIO };
        layout.a_vpp.read::<*mut Vnode>(arguments).write(vp);
        layout.a_bnp.read::<*mut i64>(arguments).write(at);
        layout.a_runp.read::<*mut i32>(arguments).write(0);
    }
    0
}

unsafe extern "C" fn strategy(arguments: *mut u8) -> i32 {
    // SAFETY: the arguments of strategy.
    let bp: Buf = unsafe { kernel().abi.vop_strategy_args.a_bp.read(arguments) };
    DISK.with_borrow_mut(|disk| {
        let (at, length) = (bp.block() as usize * 512, bp.count() as usize);
        disk.log.push((bp.block(), length));
        if disk.broken {
            bp.set_error(EIO);
            return;
        }
        let stored = &mut disk.bytes[at..at + length];
        // SAFETY: the buffer's data are as long as its count says.
        let data = unsafe { core::slice::from_raw_parts_mut(bp.data(), length) };
        if bp.flags() & crate::abi::constants::B_READ != 0 {
            data.copy_from_slice(stored)
        } else {
            stored.copy_from_slice(data)
        }
        bp.set_resid(0);
    });
    transfer::done(bp);
    0
}

/// A file of `size` bytes on a fresh disk, its blocks in the places `map` gives; byte `n` of the disk depends on `n`.
fn file(size: usize, map: Vec<i64>) -> Vnode {
    let end = map.iter().max().map_or(0, |last| (*last + UNITS) as usize * 512);
    let bytes = (0..end).map(|at| (at % 251) as u8).collect();
    DISK.replace(Disk { bytes, map, ..Disk::default() });
    let mp = mount::allocate(FsOperations::NULL, Vnode::NULL);
    mp.set_fs_shift(SHIFT);
    let vp = vnode::allocate(Phase::Active);
    vnode::insert_in_mount(vp, mp);
    vp.set_kind(VREG);
    let entries = &[
        (Op::Getpages, getpages::genfs_getpages as *const ()),
        (Op::Putpages, putpages::genfs_putpages as *const ()),
        (Op::Bmap, bmap as *const ()),
        (Op::Strategy, strategy as *const ()),
        (Op::Lock, lock as *const ()),
    ];
    vp.set_vector(own_vector(super::eopnotsupp as *const (), entries));
    let abi = kernel().abi;
    vp.set_data(memory::alloc_or_end(abi.genfs_node.size, true));
    let table = memory::alloc_or_end(abi.genfs_ops.size, true);
    // SAFETY: fresh structures.
    unsafe {
        abi.genfs_ops.gop_size.write(table, node::genfs_size as *const ());
        abi.genfs_ops.gop_write.write(table, putpages::genfs_gop_write as *const ());
        node::genfs_node_init(vp, table);
    }
    pages::set_size(vp, size as i64);
    vp
}

fn in_a_row(size: usize, from: i64) -> Vec<i64> {
    (0..size.div_ceil(BLOCK) as i64).map(|at| from + at * UNITS).collect()
}

/// What the file should read as.
fn contents(size: usize) -> Vec<u8> {
    DISK.with_borrow(|disk| {
        let block = |at: &i64| match usize::try_from(*at) {
            Ok(at) => disk.bytes[at * 512..at * 512 + BLOCK].to_vec(),
            Err(_) => vec![0; BLOCK],
        };
        let mut bytes: Vec<u8> = disk.map.iter().flat_map(block).collect();
        bytes.truncate(size);
        bytes
    })
}

fn read(vp: Vnode, offset: usize, length: usize) -> Result<Vec<u8>, i32> {
    let mut bytes = vec![0xee; length];
    let mut request = Transfer::new(bytes.as_mut_ptr(), length, offset as i64, false);
    // SAFETY: the request describes the bytes.
    let error = unsafe { ubc::ubc_uiomove(vp.object(), Uio(request.uio()), length, 0, UBC_READ) };
    if error == 0 { Ok(bytes) } else { Err(error) }
}

fn write(vp: Vnode, offset: usize, bytes: &mut [u8]) -> i32 {
    let mut request = Transfer::new(bytes.as_mut_ptr(), bytes.len(), offset as i64, true);
    // SAFETY: the request describes the bytes.
    unsafe { ubc::ubc_uiomove(vp.object(), Uio(request.uio()), bytes.len(), 0, UBC_WRITE) }
}

fn put(vp: Vnode, flags: i32) -> i32 {
    pager::lock(vp.object());
    // SAFETY: locked as the operation wants.
    unsafe { vop::putpages(vp, 0, 0, flags) }
}

fn log() -> Vec<(i64, usize)> {
    DISK.with_borrow_mut(|disk| core::mem::take(&mut disk.log))
}

fn break_disk(broken: bool) {
    DISK.with_borrow_mut(|disk| disk.broken = broken);
}

#[test]
fn small_reads_become_large_transfers() {
    Bench::new().inside(|| {
        let size = 300_000;
        let vp = file(size, in_a_row(size, 8));
        let mut bytes = Vec::new();
        while bytes.len() < size {
            bytes.extend(read(vp, bytes.len(), 1000.min(size - bytes.len())).unwrap());
        }
        assert!(bytes == contents(size));
        let log = log();
        assert_eq!(log[..2], [(8, 65536), (8 + 128, 65536)]);
        assert_eq!(log.len(), 5, "{log:?}");
        // It is all in memory now.
        assert!(read(vp, 0, size).unwrap() == bytes);
        assert_eq!(self::log(), []);
    });
}

#[test]
fn a_read_somewhere_reads_no_more_than_its_pages() {
    Bench::new().inside(|| {
        let vp = file(1 << 20, in_a_row(1 << 20, 0));
        read(vp, 500_000, 10).unwrap();
        assert_eq!(log(), [((500_000 / 4096 * 8) as i64, SIZE)]);
    });
}

#[test]
fn scattered_blocks_and_holes_are_put_together() {
    Bench::new().inside(|| {
        let size = 7 * BLOCK - 100;
        let vp = file(size, vec![40, -1, 8, 12, -1, 20, 16]);
        assert!(read(vp, 0, size).unwrap() == contents(size));
        assert_eq!(log(), [(40, BLOCK), (8, 2 * BLOCK), (20, BLOCK), (16, BLOCK)]);
        // Behind the end of the last block a page holds zeros.
        let page = pages::find(vp.object(), 3).unwrap();
        // SAFETY: a live page's bytes.
        assert!(unsafe { core::slice::from_raw_parts(page.data(), SIZE) }[BLOCK..].iter().all(|byte| *byte == 0));
    });
}

#[test]
fn errors_of_the_disk_reach_the_reader_and_leave_nothing_behind() {
    Bench::new().inside(|| {
        let vp = file(100_000, in_a_row(100_000, 0));
        break_disk(true);
        assert_eq!(read(vp, 0, 5000), Err(EIO));
        assert!(pages::first_in(vp.object(), 0..=u64::MAX).is_none());
        break_disk(false);
        assert!(read(vp, 0, 5000).unwrap() == contents(5000));
    });
}

#[test]
fn what_is_written_reaches_the_disk_once() {
    Bench::new().inside(|| {
        let vp = file(50_000, in_a_row(50_000, 4));
        let mut bytes = vec![7; 9000];
        assert_eq!(write(vp, 3000, &mut bytes), 0);
        assert!(pages::any_dirty(vp.object()));
        let old = contents(50_000);
        log();
        assert_eq!(put(vp, PGO_ALLPAGES | PGO_CLEANIT | PGO_SYNCIO), 0);
        assert_eq!(log(), [(4, 3 * SIZE)]);
        assert!(!pages::any_dirty(vp.object()));
        let new = contents(50_000);
        assert!(new[..3000] == old[..3000] && new[3000..12_000] == bytes && new[12_000..] == old[12_000..]);
        assert_eq!((put(vp, PGO_ALLPAGES | PGO_CLEANIT | PGO_SYNCIO), log().len()), (0, 0));
    });
}

#[test]
fn what_cannot_be_written_stays_dirty() {
    Bench::new().inside(|| {
        let vp = file(5000, in_a_row(5000, 4));
        assert_eq!(write(vp, 0, &mut [1; 100]), 0);
        break_disk(true);
        assert_eq!(put(vp, PGO_ALLPAGES | PGO_CLEANIT | PGO_FREE | PGO_SYNCIO), EIO);
        assert!(pages::any_dirty(vp.object()));
        break_disk(false);
        assert_eq!(put(vp, PGO_ALLPAGES | PGO_CLEANIT | PGO_FREE | PGO_SYNCIO), 0);
        assert!(pages::first_in(vp.object(), 0..=u64::MAX).is_none());
        assert!(contents(100) == [1; 100]);
    });
}

#[test]
fn memory_for_pages_is_bounded_and_given_back() {
    let bench = Bench::new();
    bench.inside(|| {
        pages::set_limit(40);
        let size = 1 << 20;
        let vp = file(size, in_a_row(size, 0));
        for at in 0..size / 50_000 {
            assert!(read(vp, at * 50_000, 50_000).unwrap()[..] == contents(size)[at * 50_000..][..50_000]);
        }
        assert!(kernel().vfs.pages.counts().files <= 40);
        pages::set_size(vp, 5000);
        assert!(pages::first_in(vp.object(), 2..=u64::MAX).is_none());
        pages::forget(vp.object());
        assert_eq!(kernel().vfs.pages.counts().files, 0);
    });
}

#[test]
fn writing_goes_on_when_memory_is_short() {
    Bench::new().inside(|| {
        pages::set_limit(40);
        let size = 1 << 20;
        let vp = file(size, in_a_row(size, 0));
        for at in (0..size).step_by(50_000) {
            assert_eq!(write(vp, at, &mut vec![at as u8; 50_000.min(size - at)]), 0);
            assert!(kernel().vfs.pages.counts().files <= 60);
        }
        assert_eq!(put(vp, PGO_ALLPAGES | PGO_CLEANIT | PGO_SYNCIO), 0);
        assert!(contents(size).chunks(50_000).enumerate().all(|(n, piece)| piece.iter().all(|byte| *byte == (n * 50_000) as u8)));
    });
}

#[test]
fn a_vnode_is_not_locked_twice() {
    let reason = Bench::new().ends(|| {
        let vp = file(0, vec![]);
        // SAFETY: a live vnode.
        unsafe { (vop::lock(vp, LK_EXCLUSIVE), vop::lock(vp, LK_EXCLUSIVE)) }
    });
    assert!(reason.contains("locked by its own user"), "{reason}");
}
