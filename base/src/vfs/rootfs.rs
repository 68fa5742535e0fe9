//! The root file system of a kernel: directories for mounts and the devices the server gives, in memory.

use super::object::{ComponentName, FsOperations, Mount, Vattr, Vnode};
use super::operation::{Op, own_vector};
use super::vnode::{self, Phase};
use super::{genfs, mount, reclaim, spec, text};
use crate::abi::constants::{
    _PC_LINK_MAX, _PC_NAME_MAX, _PC_NO_TRUNC, _PC_PATH_MAX, CREATE, DEV_BSHIFT, DEV_BSIZE, DT_BLK, DT_CHR, DT_DIR, ISLASTCN,
    LOOKUP, MNT_LOCAL, NAME_MAX, PAGE_SHIFT, PATH_MAX, VBLK, VCHR, VDIR, VNOVAL, VV_ROOT,
};
use crate::kern::errno::{EBUSY, EEXIST, EINVAL, ENAMETOOLONG, ENOENT, ENOTBLK, ENOTDIR, EROFS};
use crate::kern::uio::uiomove;
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::ptr;

/// Longest name in the root.
const LONGEST: usize = 255;
/// A vnode's tag: no file system of a module.
const TAG: i32 = 0;

struct Node {
    parent: usize,
    name: Vec<u8>,
    /// Null once the node is removed.
    vnode: Vnode,
}

/// The root of one kernel.
pub(crate) struct State {
    nodes: RefCell<Vec<Node>>,
    mount: Cell<Mount>,
    directories: Cell<*const *const ()>,
    devices: Cell<*const *const ()>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            nodes: RefCell::default(),
            mount: Cell::new(Mount::NULL),
            directories: Cell::new(ptr::null()),
            devices: Cell::new(ptr::null()),
        }
    }
}

pub(crate) fn fill(kernel: &Kernel) {
    let state = &kernel.vfs.root;
    let mp = mount::allocate(FsOperations::NULL, Vnode::NULL);
    mp.set_flag(MNT_LOCAL);
    let (kind, on, from) = mount::names(mp.statvfs());
    // SAFETY: the fields have room for the names and numbers.
    unsafe {
        text::fill(kind, 16, b"rootfs");
        text::fill(on, 16, b"/");
        text::fill(from, 16, b"root_device");
        // As in other memory file systems. nilfs counts its device's blocks as large as those of the device's file system.
        kernel.abi.mount.mnt_fs_bshift.write(mp.0, PAGE_SHIFT);
        kernel.abi.mount.mnt_dev_bshift.write(mp.0, DEV_BSHIFT);
    }
    state.mount.set(mp);
    let shared: &[(Op, *const ())] = &[
        (Op::Access, genfs::nullop as *const ()),
        (Op::Getattr, getattr as *const ()),
        (Op::Pathconf, pathconf as *const ()),
        (Op::Abortop, genfs::nullop as *const ()),
    ];
    let directories: &[(Op, *const ())] = &[
        (Op::Lookup, lookup as *const ()),
        (Op::Open, genfs::nullop as *const ()),
        (Op::Close, genfs::nullop as *const ()),
        (Op::Fsync, genfs::nullop as *const ()),
        (Op::Readdir, readdir as *const ()),
        (Op::Inactive, inactive as *const ()),
        (Op::Reclaim, genfs::nullop as *const ()),
        (Op::Lock, genfs::lock as *const ()),
        (Op::Unlock, genfs::unlock as *const ()),
        (Op::Islocked, genfs::islocked as *const ()),
        (Op::Putpages, genfs::null_putpages as *const ()),
        (Op::Print, genfs::nullop as *const ()),
    ];
    let refuse = genfs::eopnotsupp as *const ();
    state.directories.set(own_vector(refuse, &[directories, shared].concat()));
    state.devices.set(own_vector(refuse, &[spec::OPERATIONS, shared].concat()));
    let root = make(0, b"", None);
    root.set_vflag(root.vflag() | VV_ROOT);
    crate::kern::process::set_directory(kernel, root);
}

/// The root directory.
pub(crate) fn root() -> Vnode {
    kernel().vfs.root.nodes.borrow()[0].vnode
}

/// The mount of the root.
pub(crate) fn mount() -> Mount {
    kernel().vfs.root.mount.get()
}

/// Makes a node; its vnode keeps one reference for it.
fn make(parent: usize, name: &[u8], device: Option<(i32, u64)>) -> Vnode {
    let state = &kernel().vfs.root;
    let vp = vnode::allocate(Phase::Active);
    vp.set_tag(TAG);
    vp.set_kind(device.map_or(VDIR, |(kind, _)| kind));
    vp.set_vector(if device.is_some() { state.devices.get() } else { state.directories.get() });
    vp.set_file_size(0);
    vp.set_write_size(0);
    if let Some((_, number)) = device {
        // SAFETY: a fresh vnode of a device.
        unsafe { spec::spec_node_init(vp, number) };
    }
    let mp = state.mount.get();
    mp.set_references(mp.references() + 1);
    vnode::insert_in_mount(vp, mp);
    let mut nodes = state.nodes.borrow_mut();
    vp.set_data((nodes.len() + 1) as *mut u8);
    nodes.push(Node { parent, name: name.to_vec(), vnode: vp });
    vp
}

fn index_of(vp: Vnode) -> usize {
    vp.data().addr().wrapping_sub(1)
}

fn child(parent: usize, name: &[u8]) -> Option<(usize, Vnode)> {
    let nodes = kernel().vfs.root.nodes.borrow();
    let found =
        nodes.iter().position(|node| !node.vnode.is_null() && node.parent == parent && node.name == name && !name.is_empty());
    found.map(|index| (index, nodes[index].vnode))
}

/// The names of an absolute path.
fn names(path: &[u8]) -> Result<impl Iterator<Item = &[u8]>, i32> {
    if path.first() != Some(&b'/') {
        return Err(EINVAL);
    }
    if path.contains(&0) || path.split(|byte| *byte == b'/').any(|name| name == b"." || name == b"..") {
        return Err(EINVAL);
    }
    if path.split(|byte| *byte == b'/').any(|name| name.len() > LONGEST) {
        return Err(ENAMETOOLONG);
    }
    Ok(path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()))
}

/// The node of a path in the root, mounts not crossed.
fn find(path: &[u8]) -> Result<(usize, Vnode), i32> {
    names(path)?.try_fold((0, root()), |(parent, _), name| child(parent, name).ok_or(ENOENT))
}

/// Makes the directories of a path that are missing.
pub(crate) fn make_directories(path: &[u8]) -> Result<(), i32> {
    make_parents(names(path)?).map(drop)
}

fn make_parents<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<usize, i32> {
    let mut at = 0;
    for name in names {
        at = match child(at, name) {
            Some((index, vp)) if vp.kind() == VDIR => {
                if !vp.mounted_here().is_null() {
                    // What is below belongs to the file system mounted there.
                    return Err(ENOENT);
                }
                index
            }
            Some(_) => return Err(ENOTDIR),
            None => index_of(make(at, name, None)),
        };
    }
    Ok(at)
}

/// Makes a block device's node, and the directories on its way.
pub(crate) fn make_device(path: &[u8], number: u64) -> Result<(), i32> {
    make_special(path, VBLK, number)
}

/// Makes the node of a device of type `VBLK` or `VCHR`, and the directories on its way.
pub(crate) fn make_special(path: &[u8], kind: i32, number: u64) -> Result<(), i32> {
    let all: Vec<&[u8]> = names(path)?.collect();
    let (name, directories) = all.split_last().ok_or(EEXIST)?;
    let parent = make_parents(directories.iter().copied())?;
    if child(parent, name).is_some() {
        return Err(EEXIST);
    }
    make(parent, name, Some((kind, number)));
    Ok(())
}

/// The number of the device a path names.
pub(crate) fn device_number(path: &[u8]) -> Result<u64, i32> {
    spec::number(find(path)?.1).ok_or(ENOTBLK)
}

/// Removes a device node that nobody has open.
pub(crate) fn remove_device(path: &[u8]) -> Result<(), i32> {
    let (index, vp) = find(path)?;
    if vp.uses() > 1 {
        return Err(EBUSY);
    }
    kernel().vfs.root.nodes.borrow_mut()[index].vnode = Vnode::NULL;
    // SAFETY: the node's reference, which this gives up.
    unsafe { reclaim::vgone(vp) };
    Ok(())
}

unsafe extern "C" fn lookup(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_lookup_args;
    // SAFETY: the arguments of a lookup.
    let (directory, result, name): (Vnode, *mut Vnode, ComponentName) =
        unsafe { (layout.a_dvp.read(arguments), layout.a_vpp.read(arguments), layout.a_cnp.read(arguments)) };
    let index = index_of(directory);
    let found = match name.bytes() {
        b"." => Some(directory),
        b".." => {
            let nodes = kernel().vfs.root.nodes.borrow();
            nodes.get(index).map(|node| nodes[node.parent].vnode)
        }
        bytes => child(index, bytes).map(|(_, vp)| vp),
    };
    let last = name.flags() & ISLASTCN as u32 != 0;
    let (vp, error) = match found {
        Some(_) if last && name.operation() > CREATE as u32 => (Vnode::NULL, EROFS),
        Some(vp) => (vp, 0),
        None if last && name.operation() != LOOKUP as u32 => (Vnode::NULL, EROFS),
        None => (Vnode::NULL, ENOENT),
    };
    // SAFETY: the result is writable; nodes keep their vnodes referenced.
    unsafe {
        result.write(vp);
        if !vp.is_null() {
            vnode::vref(vp);
        }
    }
    error
}

unsafe extern "C" fn getattr(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_getattr_args;
    // SAFETY: the arguments of getattr.
    let (vp, attributes): (Vnode, Vattr) = unsafe { (layout.a_vp.read(arguments), layout.a_vap.read(arguments)) };
    let directory = vp.kind() == VDIR;
    attributes.set_kind(vp.kind());
    attributes.set_mode(if directory { 0o755 } else { 0o600 });
    attributes.set_links(if directory { 2 } else { 1 });
    attributes.set_uid(0);
    attributes.set_gid(0);
    attributes.set_fsid(0);
    attributes.set_fileid(vp.data().addr() as u64);
    attributes.set_file_size(vp.file_size().max(0) as u64);
    attributes.set_block_size(DEV_BSIZE as isize);
    attributes.set_device(spec::number(vp).unwrap_or(VNOVAL as u64));
    attributes.set_bytes(0);
    attributes.set_flags(0);
    attributes.set_generation(0);
    attributes.set_revision(0);
    let fields = &kernel().abi.vattr;
    for field in [fields.va_atime, fields.va_mtime, fields.va_ctime, fields.va_birthtime] {
        // SAFETY: members of the caller's structure.
        unsafe { field.ptr::<u8>(attributes.0).write_bytes(0, field.size()) };
    }
    0
}

unsafe extern "C" fn pathconf(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_pathconf_args;
    // SAFETY: the arguments of pathconf; the result is writable.
    unsafe {
        let value = match layout.a_name.read::<i32>(arguments) {
            _PC_LINK_MAX => i32::MAX,
            _PC_NAME_MAX => NAME_MAX,
            _PC_PATH_MAX => PATH_MAX,
            _PC_NO_TRUNC => 1,
            _ => return EINVAL,
        };
        layout.a_retval.read::<*mut usize>(arguments).write(value as usize);
    }
    0
}

/// Lists a directory: entry numbers are offsets, 0 and 1 being the directory itself and its parent.
unsafe extern "C" fn readdir(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_readdir_args;
    // SAFETY: the arguments of readdir.
    let (vp, io, end): (Vnode, super::object::Uio, *mut i32) =
        unsafe { (layout.a_vp.read(arguments), layout.a_uio.read(arguments), layout.a_eofflag.read(arguments)) };
    let index = index_of(vp);
    let entry = &kernel().abi.dirent;
    let count = kernel().vfs.root.nodes.borrow().len() as i64;
    // SAFETY: the flag is writable, or null.
    let set_end = |value| unsafe {
        if !end.is_null() {
            end.write(value);
        }
    };
    set_end(0);
    let mut buffer = [0u64; 80];
    let record = buffer.as_mut_ptr().cast::<u8>();
    let mut at = io.offset();
    while at >= 0 && at < count + 2 {
        let mut name = [0u8; LONGEST];
        let described = {
            let nodes = kernel().vfs.root.nodes.borrow();
            match at {
                0 => Some((index, 1)),
                1 => nodes.get(index).map(|node| (node.parent, 2)),
                _ => nodes.get(at as usize - 2).and_then(|node| {
                    let listed = at > 2 && !node.vnode.is_null() && node.parent == index;
                    listed.then(|| {
                        name[..node.name.len()].copy_from_slice(&node.name);
                        (at as usize - 2, node.name.len())
                    })
                }),
            }
        };
        at += 1;
        let Some((number, length)) = described else { continue };
        if at <= 2 {
            name[..2].copy_from_slice(b"..");
        }
        let kind = match kernel().vfs.root.nodes.borrow()[number].vnode.kind() {
            VBLK => DT_BLK,
            VCHR => DT_CHR,
            _ => DT_DIR,
        };
        let size = (entry.d_name.offset() + length + 1).next_multiple_of(8);
        if size > io.resid() {
            return if io.offset() == at - 1 && io.resid() > 0 { EINVAL } else { 0 };
        }
        // SAFETY: the record has room for the longest entry.
        let error = unsafe {
            record.write_bytes(0, size_of_val(&buffer));
            entry.d_fileno.write(record, number as u64 + 1);
            entry.d_reclen.write(record, size as u16);
            entry.d_namlen.write(record, length as u16);
            entry.d_type.write(record, kind as u8);
            entry.d_name.ptr::<u8>(record).copy_from_nonoverlapping(name.as_ptr(), length);
            uiomove(record, size, io.0)
        };
        if error != 0 {
            return error;
        }
        io.set_offset(at);
    }
    io.set_offset(at.max(0));
    set_end(1);
    0
}

/// Nothing to be done for a vnode that nobody uses: it stays.
pub(crate) unsafe extern "C" fn inactive(arguments: *mut u8) -> i32 {
    let layout = &kernel().abi.vop_inactive_args;
    // SAFETY: the arguments of inactive; the flag is writable, the vnode locked.
    unsafe {
        layout.a_recycle.read::<*mut bool>(arguments).write(false);
        genfs::unlock(arguments)
    }
}
