//! Path names: from a string to a vnode, name by name.

use super::object::{ComponentName, Mount, Vnode, handle};
use super::vnode::{vput, vref, vrele};
use super::{fstype, mount, rootfs, text, vn, vop};
use crate::abi::constants::{
    CREATE, CREATEDIR, DELETE, FOLLOW, ISDOTDOT, ISLASTCN, LK_EXCLUSIVE, LOCKLEAF, LOCKPARENT, LOOKUP, MAKEENTRY, MAXPATHLEN,
    MAXSYMLINKS, NAME_MAX, NOFOLLOW, REQUIREDIR, TRYEMULROOT, VDIR, VLNK, VV_ROOT,
};
use crate::export::{Export, data, function};
use crate::kern::errno::{EEXIST, EFAULT, EINVAL, EISDIR, EJUSTRETURN, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR};
use crate::kern::uio::{Transfer, copystr};
use crate::kern::{cred, memory};
use crate::kernel::{Kernel, kernel};
use core::ptr;

const ROOM: usize = MAXPATHLEN as usize;

handle! {
    /// `struct nameidata`: a path to be looked up and what was found.
    NameData = nameidata {
        start, set_start: ni_atdir -> Vnode;
        path, set_path: ni_pathbuf -> PathBuffer;
        vnode, set_vnode: ni_vp -> Vnode;
        directory, set_directory: ni_dvp -> Vnode;
    }
}

/// `struct pathbuf`, which modules do not look into: the path as given, and behind it what is left of it during a lookup.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct PathBuffer(*mut u8);

impl PathBuffer {
    /// A buffer for `path`.
    pub(crate) fn new(path: &[u8]) -> Result<Self, i32> {
        if path.len() >= ROOM {
            return Err(ENAMETOOLONG);
        }
        let block = memory::alloc_or_end(2 * ROOM, true);
        // SAFETY: the block has room for the path and its NUL.
        unsafe { ptr::copy_nonoverlapping(path.as_ptr(), block, path.len()) };
        Ok(Self(block))
    }

    /// Gives the buffer up, and with it the names that a lookup handed out.
    pub(crate) fn free(self) {
        // SAFETY: the buffer is the caller's.
        unsafe { memory::free(self.0) };
    }

    fn work(self) -> *mut u8 {
        // SAFETY: the second half of the block.
        unsafe { self.0.add(ROOM) }
    }

    /// Starts a lookup: what is left is the whole path.
    fn rewind(self) {
        // SAFETY: both halves have `ROOM` bytes.
        unsafe { ptr::copy_nonoverlapping(self.0, self.work(), ROOM) };
    }

    /// Puts `length` bytes of `link` in front of the rest of the path.
    fn substitute(self, link: *const u8, length: usize, rest: *const u8) -> Result<(), i32> {
        // SAFETY: the rest is a C string in the working half.
        unsafe {
            let rest_length = text::bytes(rest, ROOM).len();
            if length + rest_length >= ROOM {
                return Err(ENAMETOOLONG);
            }
            ptr::copy(rest, self.work().add(length), rest_length + 1);
            ptr::copy_nonoverlapping(link, self.work(), length);
        }
        Ok(())
    }
}

/// A `struct componentname` of the base's own.
#[repr(C, align(16))]
pub(crate) struct Component([usize; 8]);

impl Component {
    /// For `operation` (`LOOKUP`, `CREATE`, ...) with flags such as `FOLLOW` and `LOCKPARENT`.
    pub(crate) fn new(operation: i32, flags: i32) -> Self {
        let mut component = Self([0; 8]);
        let name = component.handle();
        name.set_operation(operation as u32);
        name.set_flags((flags | TRYEMULROOT) as u32);
        name.set_cred(cred::current());
        component
    }

    /// The structure at its present place.
    pub(crate) fn handle(&mut self) -> ComponentName {
        ComponentName(self.0.as_mut_ptr().cast())
    }
}

/// What a lookup found, by the flags it was asked with.
pub(crate) struct Found {
    /// With `LOCKPARENT`: the directory of the last name, referenced and locked. Otherwise null.
    pub(crate) directory: Vnode,
    /// The file, referenced, and locked with `LOCKLEAF`; null if a name to be made is free.
    pub(crate) vnode: Vnode,
}

fn lock(vp: Vnode) -> Result<(), i32> {
    match vn::lock(vp, LK_EXCLUSIVE | kernel().abi.constant.lk_retry as i32) {
        0 => Ok(()),
        error => Err(error),
    }
}

/// The root of what is mounted on `vp`, as long as something is; takes the reference to `vp` and gives one to the result.
fn cross(mut vp: Vnode) -> Result<Vnode, i32> {
    while vp.kind() == VDIR && !vp.mounted_here().is_null() {
        let mp = vp.mounted_here();
        // SAFETY: a referenced vnode; it is the caller's to give up.
        unsafe { vrele(vp) };
        vp = root_of(mp)?;
    }
    Ok(vp)
}

/// The root vnode of a mount, referenced and unlocked.
pub(crate) fn root_of(mp: Mount) -> Result<Vnode, i32> {
    mount::busy(mp)?;
    let mut vp = Vnode::NULL;
    // SAFETY: a busy mount; its root comes referenced and locked.
    let error = unsafe { fstype::root(mp, &raw mut vp) };
    mount::unbusy(mp, false);
    if error != 0 {
        return Err(error);
    }
    // SAFETY: locked by the file system.
    unsafe { vop::unlock(vp) };
    Ok(vp)
}

/// Looks a path up. `start`, null for the root, is where a relative path begins.
///
/// # Errors
/// An error number; nothing is locked or referenced then.
pub(crate) fn resolve(path: PathBuffer, start: Vnode, name: ComponentName) -> Result<Found, i32> {
    path.rewind();
    let mut at = path.work();
    let mut links = 0;
    // SAFETY: the working copy ends with a NUL, which no step passes; vnodes are referenced as `directory` says.
    unsafe {
        let mut directory = if start.is_null() || at.read() == b'/' { rootfs::root() } else { start };
        vref(directory);
        loop {
            if at.read() == b'/' {
                vrele(directory);
                directory = rootfs::root();
                vref(directory);
            }
            while at.read() == b'/' {
                at = at.add(1);
            }
            if at.read() == 0 {
                return whole_path(directory, name);
            }
            let length = text::bytes(at, ROOM).iter().take_while(|byte| **byte != b'/').count();
            let rest = at.add(length);
            let slashes = text::bytes(rest, ROOM).iter().take_while(|byte| **byte == b'/').count();
            let last = rest.add(slashes).read() == 0;
            if length > NAME_MAX as usize {
                vrele(directory);
                return Err(ENAMETOOLONG);
            }
            describe(name, at, length, last, slashes > 0);
            let step = one_name(&mut directory, name);
            let mut vp = match step {
                Ok(vp) => vp,
                Err(error) => {
                    vrele(directory);
                    return Err(error);
                }
            };
            // From here on `directory` is locked.
            if vp.is_null() {
                if last && (slashes == 0 || name.flags() & CREATEDIR as u32 != 0) {
                    return finish(directory, vp, name);
                }
                vput(directory);
                return Err(ENOENT);
            }
            let crossing = i64::from(name.flags()) & kernel().abi.constant.nocrossmount == 0;
            if crossing && vp.kind() == VDIR && !vp.mounted_here().is_null() {
                vp = match cross(vp) {
                    Ok(vp) => vp,
                    Err(error) => {
                        vput(directory);
                        return Err(error);
                    }
                };
            }
            let follow = !last || slashes > 0 || name.flags() & FOLLOW as u32 != 0;
            if vp.kind() == VLNK && follow {
                vop::unlock(directory);
                let outcome = if links == MAXSYMLINKS { Err(ELOOP) } else { expand(path, vp, rest) };
                links += 1;
                vrele(vp);
                if let Err(error) = outcome {
                    vrele(directory);
                    return Err(error);
                }
                at = path.work();
                continue;
            }
            if last {
                if slashes > 0 && vp.kind() != VDIR {
                    vrele(vp);
                    vput(directory);
                    return Err(ENOTDIR);
                }
                return finish(directory, vp, name);
            }
            vput(directory);
            directory = vp;
            at = rest.add(slashes);
        }
    }
}

/// The path has no names: it is the directory itself.
///
/// # Safety
/// `directory` must be referenced; the reference is taken over.
unsafe fn whole_path(directory: Vnode, name: ComponentName) -> Result<Found, i32> {
    let wants_parent = name.flags() & LOCKPARENT as u32 != 0;
    // SAFETY: as the caller says.
    unsafe {
        if name.operation() != LOOKUP as u32 || wants_parent {
            vrele(directory);
            return Err(if name.operation() == CREATE as u32 { EEXIST } else { EISDIR });
        }
        let vp = cross(directory)?;
        lock_leaf(vp, name)?;
        Ok(Found { directory: Vnode::NULL, vnode: vp })
    }
}

/// Locks what was found if that was asked for.
///
/// # Safety
/// `vp` must be referenced; the reference is given up on failure.
unsafe fn lock_leaf(vp: Vnode, name: ComponentName) -> Result<(), i32> {
    if name.flags() & LOCKLEAF as u32 != 0
        && let Err(error) = lock(vp)
    {
        // SAFETY: as the caller says.
        unsafe { vrele(vp) };
        return Err(error);
    }
    Ok(())
}

/// Hands a result over.
///
/// # Safety
/// `directory` must be locked and referenced, `vp` referenced or null.
unsafe fn finish(directory: Vnode, vp: Vnode, name: ComponentName) -> Result<Found, i32> {
    // SAFETY: as the caller says.
    unsafe {
        if name.flags() & LOCKPARENT as u32 == 0 {
            vput(directory);
            if !vp.is_null() {
                lock_leaf(vp, name)?;
            }
            return Ok(Found { directory: Vnode::NULL, vnode: vp });
        }
        if !vp.is_null()
            && vp != directory
            && let Err(error) = lock_leaf(vp, name)
        {
            vput(directory);
            return Err(error);
        }
    }
    Ok(Found { directory, vnode: vp })
}

/// Writes the next name into the component.
fn describe(name: ComponentName, at: *const u8, length: usize, last: bool, directory: bool) {
    let mut flags = name.flags() as i32 & !(ISLASTCN | ISDOTDOT | MAKEENTRY | REQUIREDIR);
    let operation = name.operation() as i32;
    let keep = operation != DELETE && (flags & LOCKPARENT == 0 || matches!(operation, LOOKUP | CREATE));
    if !last || keep {
        flags |= MAKEENTRY;
    }
    if last {
        flags |= ISLASTCN;
    }
    if directory {
        flags |= REQUIREDIR;
    }
    name.set_name(at);
    name.set_length(length);
    if name.bytes() == b".." {
        flags |= ISDOTDOT;
    }
    name.set_flags(flags as u32);
    let consume = kernel().abi.componentname.cn_consume;
    if consume.is_present() {
        // SAFETY: a member of the caller's structure.
        unsafe { consume.write(name.0, 0usize) };
    }
}

/// Looks one name up in `directory`, which may change for `..` at the root of a mount. On success it is locked, and the result
/// referenced or, for a free name, null.
fn one_name(directory: &mut Vnode, name: ComponentName) -> Result<Vnode, i32> {
    // SAFETY: `directory` is referenced.
    unsafe {
        while name.flags() & ISDOTDOT as u32 != 0 && directory.vflag() & VV_ROOT != 0 && *directory != rootfs::root() {
            let covered = directory.mount().covered();
            if covered.is_null() {
                return Err(ENOENT);
            }
            vref(covered);
            vrele(*directory);
            *directory = covered;
        }
        if directory.kind() != VDIR {
            return Err(ENOTDIR);
        }
        lock(*directory)?;
        let mut vp = Vnode::NULL;
        match vop::lookup(*directory, &raw mut vp, name) {
            0 => Ok(vp),
            EJUSTRETURN => Ok(Vnode::NULL),
            error => {
                vop::unlock(*directory);
                Err(error)
            }
        }
    }
}

/// Replaces the path by what a symbolic link says and the rest.
fn expand(path: PathBuffer, link: Vnode, rest: *const u8) -> Result<(), i32> {
    let buffer = memory::alloc_or_end(ROOM, true);
    let outcome = read_link(link, buffer, ROOM).and_then(|length| match length {
        0 => Err(ENOENT),
        _ => path.substitute(buffer, length, rest),
    });
    // SAFETY: allocated above.
    unsafe { memory::free(buffer) };
    outcome
}

/// Reads a symbolic link into a buffer; returns its length.
pub(crate) fn read_link(link: Vnode, buffer: *mut u8, room: usize) -> Result<usize, i32> {
    lock(link)?;
    let mut transfer = Transfer::new(buffer, room, 0, false);
    // SAFETY: the vnode is locked, the buffer has the room.
    unsafe {
        let error = vop::readlink(link, super::object::Uio(transfer.uio()), cred::current());
        vop::unlock(link);
        if error == 0 { Ok(room - transfer.residue()) } else { Err(error) }
    }
}

/// The file at an absolute path, referenced and unlocked.
pub(crate) fn find(path: &[u8], follow: bool) -> Result<Vnode, i32> {
    if path.first() != Some(&b'/') || path.contains(&0) {
        return Err(if path.is_empty() { ENOENT } else { EINVAL });
    }
    let buffer = PathBuffer::new(path)?;
    let mut component = Component::new(LOOKUP, if follow { FOLLOW } else { NOFOLLOW });
    let found = resolve(buffer, Vnode::NULL, component.handle());
    buffer.free();
    found.map(|found| found.vnode)
}

pub(crate) unsafe extern "C" fn namei(data: NameData) -> i32 {
    // SAFETY: a member of the caller's structure.
    let name = ComponentName(unsafe { kernel().abi.nameidata.ni_cnd.ptr(data.0) });
    if name.cred().is_null() {
        name.set_cred(cred::current());
    }
    match resolve(data.path(), data.start(), name) {
        Ok(found) => {
            data.set_vnode(found.vnode);
            data.set_directory(found.directory);
            0
        }
        Err(error) => {
            data.set_vnode(Vnode::NULL);
            data.set_directory(Vnode::NULL);
            error
        }
    }
}

/// A path of the caller's, copied.
///
/// # Safety
/// `path` must be a C string or an address that is refused.
unsafe fn copy_path(path: *const u8) -> Result<PathBuffer, i32> {
    if path.is_null() {
        return Err(EFAULT);
    }
    let buffer = PathBuffer::new(b"")?;
    // SAFETY: as the caller says; the buffer has the room.
    let error = unsafe { copystr(path, buffer.0, ROOM, ptr::null_mut()) };
    if error != 0 {
        buffer.free();
        return Err(error);
    }
    Ok(buffer)
}

unsafe extern "C" fn namei_simple(path: *const u8, flags: usize, result: *mut Vnode) -> i32 {
    let follow =
        flags == kernel().data("NSM_FOLLOW_NOEMULROOT").addr() || flags == kernel().data("NSM_FOLLOW_TRYEMULROOT").addr();
    // SAFETY: the caller's path and result are valid.
    unsafe {
        let buffer = match copy_path(path) {
            Ok(buffer) => buffer,
            Err(error) => return error,
        };
        let mut component = Component::new(LOOKUP, if follow { FOLLOW } else { NOFOLLOW });
        let found = resolve(buffer, Vnode::NULL, component.handle());
        buffer.free();
        match found {
            Ok(found) => {
                result.write(found.vnode);
                0
            }
            Err(error) => error,
        }
    }
}

unsafe extern "C" fn relookup(directory: Vnode, result: *mut Vnode, name: ComponentName, _unused: i32) -> i32 {
    // SAFETY: the caller's directory is locked, its result writable.
    unsafe {
        let error = vop::lookup(directory, result, name);
        if error != 0 && error != EJUSTRETURN {
            result.write(Vnode::NULL);
            return error;
        }
        let vp = if error == 0 { result.read() } else { Vnode::NULL };
        result.write(vp);
        if !vp.is_null()
            && vp != directory
            && let Err(error) = lock(vp)
        {
            vrele(vp);
            result.write(Vnode::NULL);
            return error;
        }
    }
    0
}

unsafe extern "C" fn pathbuf_create(path: *const u8) -> PathBuffer {
    // SAFETY: the caller's string.
    unsafe { copy_path(path) }.unwrap_or(PathBuffer(ptr::null_mut()))
}

unsafe extern "C" fn pathbuf_copyin(path: *const u8, result: *mut PathBuffer) -> i32 {
    // SAFETY: the caller's string and result.
    unsafe {
        match copy_path(path) {
            Ok(buffer) => {
                result.write(buffer);
                0
            }
            Err(error) => error,
        }
    }
}

unsafe extern "C" fn pathbuf_destroy(buffer: PathBuffer) {
    buffer.free();
}

/// Makes the flag objects: their values are their own addresses.
pub(crate) fn fill(kernel: &Kernel) {
    for name in ["NSM_FOLLOW_NOEMULROOT", "NSM_NOFOLLOW_NOEMULROOT", "NSM_FOLLOW_TRYEMULROOT", "NSM_NOFOLLOW_TRYEMULROOT"] {
        let object = kernel.data(name);
        // SAFETY: the exports are pointers.
        unsafe { object.cast::<*mut u8>().write(object) };
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("namei", namei),
    function!("namei_simple_user", namei_simple),
    function!("namei_simple_kernel", namei_simple),
    function!("relookup", relookup),
    function!("pathbuf_create", pathbuf_create),
    function!("pathbuf_copyin", pathbuf_copyin),
    function!("pathbuf_destroy", pathbuf_destroy),
    data!("NSM_FOLLOW_NOEMULROOT", size_of::<usize>(), align_of::<usize>()),
    data!("NSM_NOFOLLOW_NOEMULROOT", size_of::<usize>(), align_of::<usize>()),
    data!("NSM_FOLLOW_TRYEMULROOT", size_of::<usize>(), align_of::<usize>()),
    data!("NSM_NOFOLLOW_TRYEMULROOT", size_of::<usize>(), align_of::<usize>()),
];
