//! Special files: vnodes that stand for block devices of the host, or character devices of modules.

mod character;
mod ioctl;
mod operations;
mod strategy;

pub(crate) use operations::{OPERATIONS, fill};
pub(crate) use strategy::sync_device;

use super::object::{Mount, SpecDevice, SpecNode, Vnode};
use super::{buffer, text, vnode};
use crate::abi::constants::{VBLK, VCHR};
use crate::device::{Device, Label};
use crate::export::{Export, data, function};
use crate::kern::errno::EINVAL;
use crate::kern::{devsw, memory};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr;

/// Major number of the devices that the server gives; minor numbers count partitions.
const MAJOR: u64 = 0xc5;
/// Device numbers from one device to the next: each has room for a disk's partitions.
const STEP: u64 = crate::abi::constants::MAXPARTITIONS as u64;

struct Entry {
    number: u64,
    device: Device,
}

/// The devices of one kernel.
pub(crate) struct State {
    entries: RefCell<Vec<Entry>>,
    /// What device vnodes of one type and number share, by these: not every version keeps them in the structure.
    shared: RefCell<Vec<((i32, u64), SpecDevice)>>,
    /// The vnodes that stand for devices.
    vnodes: RefCell<Vec<Vnode>>,
    next: Cell<u64>,
    /// The one device switch; all devices have the same functions.
    switch: Cell<*mut u8>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            entries: RefCell::default(),
            shared: RefCell::default(),
            vnodes: RefCell::default(),
            next: Cell::new(0),
            switch: Cell::new(ptr::null_mut()),
        }
    }
}

/// `makedev`: minor numbers above 255 lie above the major number.
fn number_of(unit: u64) -> u64 {
    let minor = unit * STEP;
    (MAJOR << 8) | (minor & 0xff) | ((minor & !0xff) << 12)
}

/// Makes a device known; returns its number.
pub(crate) fn add(device: Device) -> Result<u64, i32> {
    let sector = device.block.sector_size();
    if !sector.is_power_of_two() || !(512..=65536).contains(&sector) {
        return Err(EINVAL);
    }
    let state = &kernel().vfs.devices;
    let number = number_of(state.next.get());
    state.next.set(state.next.get() + 1);
    state.entries.borrow_mut().push(Entry { number, device });
    Ok(number)
}

/// Forgets a device.
pub(crate) fn remove(number: u64) {
    let entry = {
        let mut entries = kernel().vfs.devices.entries.borrow_mut();
        entries.iter().position(|entry| entry.number == number).map(|at| entries.swap_remove(at))
    };
    // The host's device is closed with no borrow held.
    drop(entry);
}

/// Runs `work` on the device of a number; the host cannot call back into the instance.
fn with_device<R>(number: u64, work: impl FnOnce(&Device) -> R) -> Option<R> {
    let entries = kernel().vfs.devices.entries.borrow();
    entries.iter().find(|entry| entry.number == number).map(|entry| work(&entry.device))
}

/// Sectors of a device and bytes per sector.
pub(crate) fn geometry(number: u64) -> Option<(u64, u32)> {
    with_device(number, |device| {
        let sector = device.block.sector_size();
        (device.block.size() / u64::from(sector), sector)
    })
}

fn label(number: u64) -> Label {
    with_device(number, |device| device.label).unwrap_or_default()
}

/// Whether somebody has the device open or mounted.
pub(crate) fn is_open(number: u64) -> bool {
    let shared = kernel().vfs.devices.shared.borrow();
    shared.iter().any(|((_, other), device)| *other == number && (device.opens() > 0 || !device.mountpoint().is_null()))
}

/// The mount on a device, or null.
pub(crate) fn mounted_from(vp: Vnode) -> Mount {
    let node = vp.specnode();
    if !vp.is_device() || node.is_null() { Mount::NULL } else { node.device().mountpoint() }
}

/// The number of the device a vnode stands for.
pub(crate) fn number(vp: Vnode) -> Option<u64> {
    let node = vp.specnode();
    (matches!(vp.kind(), VBLK | VCHR) && !node.is_null()).then(|| node.number())
}

/// Makes a fresh vnode stand for a device.
pub(crate) unsafe extern "C" fn spec_node_init(vp: Vnode, number: u64) {
    let mut shared = kernel().vfs.devices.shared.borrow_mut();
    let key = (vp.kind(), number);
    let device = match shared.iter().find(|(other, _)| *other == key) {
        Some(&(_, device)) => device,
        None => {
            let device = SpecDevice(memory::alloc_or_end(SpecDevice::size_of(), true));
            let field = kernel().abi.specdev.sd_rdev;
            if field.is_present() {
                // SAFETY: a member of a fresh structure.
                unsafe { field.write(device.0, number) };
            }
            shared.push((key, device));
            device
        }
    };
    device.set_references(device.references() + 1);
    let node = SpecNode(memory::alloc_or_end(SpecNode::size_of(), true));
    node.set_device(device);
    node.set_number(number);
    vp.set_specnode(node);
    kernel().vfs.devices.vnodes.borrow_mut().push(vp);
}

/// A vnode of type `kind` that stands for a device, referenced.
pub(crate) fn find(wanted: u64, kind: i32) -> Option<Vnode> {
    let vnodes = kernel().vfs.devices.vnodes.borrow();
    vnodes.iter().copied().find(|vp| number(*vp) == Some(wanted) && vp.kind() == kind && vnode::get(*vp).is_ok())
}

/// Takes back what [`spec_node_init`] gave a vnode, with its last reference.
pub(crate) fn forget(vp: Vnode) {
    let node = vp.specnode();
    if node.is_null() {
        return;
    }
    let device = node.device();
    vp.set_specnode(SpecNode::NULL);
    kernel().vfs.devices.vnodes.borrow_mut().retain(|other| *other != vp);
    let references = device.references() - 1;
    device.set_references(references);
    if references == 0 {
        kernel().vfs.devices.shared.borrow_mut().retain(|(_, other)| *other != device);
        // SAFETY: the last vnode of the device gives it up.
        unsafe { memory::free(device.0) };
    }
    // SAFETY: the node was the vnode's own.
    unsafe { memory::free(node.0) };
}

/// Ends the opens of a device vnode that is given up while in use.
pub(crate) fn revoke(vp: Vnode) {
    let node = vp.specnode();
    if node.is_null() {
        return;
    }
    let device = node.device();
    device.set_opens(device.opens() - node.opens());
    node.set_opens(0);
    if device.block_vnode() == vp {
        device.set_block_vnode(Vnode::NULL);
    }
}

unsafe extern "C" fn spec_node_setmountedfs(vp: Vnode, mp: Mount) {
    vp.specnode().device().set_mountpoint(mp);
}

unsafe extern "C" fn spec_node_getmountedfs(vp: Vnode) -> Mount {
    mounted_from(vp)
}

unsafe extern "C" fn bdevsw_lookup(number: u64) -> *mut u8 {
    // What is not the server's may be a driver's.
    if geometry(number).is_some() { kernel().vfs.devices.switch.get() } else { devsw::block_switch(number).cast_mut() }
}

unsafe extern "C" fn getdisksize(vp: Vnode, sectors: *mut u64, sector: *mut u32) -> i32 {
    let Some((count, bytes)) = number(vp).and_then(geometry) else { return crate::kern::errno::ENXIO };
    if count == 0 {
        return EINVAL;
    }
    // SAFETY: the caller's results are writable.
    unsafe {
        sectors.write_unaligned(count);
        sector.write(bytes);
    }
    0
}

unsafe extern "C" fn getdiskinfo(vp: Vnode, info: *mut u8) -> i32 {
    let Some((count, _)) = number(vp).and_then(geometry) else { return crate::kern::errno::ENXIO };
    let layout = &kernel().abi.dkwedge_info;
    // SAFETY: the caller's structure is writable.
    unsafe {
        info.write_bytes(0, layout.size);
        text::fill(layout.dkw_parent.ptr(info), layout.dkw_parent.size(), b"image");
        layout.dkw_size.write(info, count);
    }
    0
}

/// Fills the device switch.
pub(super) fn fill_switch() {
    let layout = &kernel().abi.bdevsw;
    let switch = memory::alloc_or_end(layout.size, true);
    // SAFETY: a member of a fresh structure.
    unsafe { layout.d_strategy.write(switch, strategy::bdev_strategy as *const ()) };
    kernel().vfs.devices.switch.set(switch);
}

/// Gives up all buffers of a device vnode; see [`buffer::invalidate`].
fn invalidate(vp: Vnode, flags: i32) -> i32 {
    buffer::invalidate(vp, flags).err().unwrap_or(0)
}

const EXPORTS: &[Export] = &[
    function!("spec_node_init", spec_node_init),
    function!("spec_node_setmountedfs", spec_node_setmountedfs),
    function!("spec_node_getmountedfs", spec_node_getmountedfs),
    function!("bdevsw_lookup", bdevsw_lookup),
    function!("bdev_strategy", strategy::bdev_strategy),
    function!("getdisksize", getdisksize),
    function!("getdiskinfo", getdiskinfo),
    data!("spec_vnodeop_p", size_of::<usize>(), align_of::<usize>()),
    data!("rootvp", size_of::<usize>(), align_of::<usize>()),
    data!("root_device", size_of::<usize>(), align_of::<usize>()),
];

/// Adds the exports of special files.
pub(crate) fn exports(out: &mut Vec<Export>) {
    out.extend_from_slice(EXPORTS);
    out.extend_from_slice(operations::EXPORTS);
}
