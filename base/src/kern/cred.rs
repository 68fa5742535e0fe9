//! Credentials. Modules know them as opaque pointers.

use super::errno::EINVAL;
use super::{memory, panic, process};
use crate::abi::constants::NGROUPS;
use crate::export::{Export, function};
use core::ptr;

const LIVE: u32 = 0x6372_6564;
const GROUPS: usize = NGROUPS as usize;

/// A credential's address: `kauth_cred_t`.
pub(crate) type Cred = *mut u8;

/// No credential: the kernel itself asks.
pub(crate) const NOCRED: usize = usize::MAX;
/// A file system asks for itself.
pub(crate) const FSCRED: usize = usize::MAX - 1;

#[derive(Clone, Copy)]
#[repr(C)]
struct Identity {
    mark: u32,
    references: u32,
    /// Real, effective, saved.
    uid: [u32; 3],
    gid: [u32; 3],
    group_count: u32,
    groups: [u32; GROUPS],
}

const REAL: usize = 0;
const EFFECTIVE: usize = 1;
const SAVED: usize = 2;

impl Identity {
    const SUPERUSER: Self = Self { mark: LIVE, references: 1, uid: [0; 3], gid: [0; 3], group_count: 0, groups: [0; GROUPS] };

    fn groups(&self) -> &[u32] {
        self.groups.get(..self.group_count as usize).unwrap_or(&[])
    }
}

/// Whether `cred` stands for the kernel.
pub(crate) fn is_kernel(cred: Cred) -> bool {
    matches!(cred.addr(), NOCRED | FSCRED)
}

/// The identity behind a credential; the kernel's own are the superuser's.
fn identity(cred: Cred) -> Identity {
    if is_kernel(cred) { Identity::SUPERUSER } else { *change("use", cred) }
}

fn change<'a>(what: &str, cred: Cred) -> &'a mut Identity {
    let identity = cred.cast::<Identity>();
    // SAFETY: credentials are made here and handed out as opaque pointers; a wrong one is noticed if it is readable.
    if cred.is_null() || is_kernel(cred) || unsafe { (*identity).mark } != LIVE {
        panic::panic_format(format_args!("{what} of credential {cred:p}: there is no such credential"));
    }
    // SAFETY: checked above; one thread is inside, and no caller keeps two borrows.
    unsafe { &mut *identity }
}

fn make(identity: Identity) -> Cred {
    let cred = memory::alloc_or_end(size_of::<Identity>(), false);
    // SAFETY: fresh memory of the structure's size.
    unsafe { cred.cast::<Identity>().write(Identity { references: 1, ..identity }) };
    cred
}

/// A fresh credential of the superuser.
pub(crate) fn superuser() -> Cred {
    make(Identity::SUPERUSER)
}

/// A fresh credential of a user: real, effective and saved ids alike.
#[cfg(test)]
pub(crate) fn user(uid: u32, gid: u32) -> Cred {
    make(Identity { uid: [uid; 3], gid: [gid; 3], ..Identity::SUPERUSER })
}

/// Takes a reference. The kernel's own credentials are not counted.
pub(crate) fn hold(cred: Cred) {
    if !is_kernel(cred) {
        change("hold", cred).references += 1;
    }
}

/// Drops a reference; the last one frees.
pub(crate) fn release(cred: Cred) {
    if is_kernel(cred) {
        return;
    }
    let identity = change("free", cred);
    identity.references -= 1;
    if identity.references == 0 {
        identity.mark = 0;
        // SAFETY: the last reference is gone.
        unsafe { memory::free(cred) };
    }
}

/// Effective user id.
pub(crate) fn effective_uid(cred: Cred) -> u32 {
    identity(cred).uid[EFFECTIVE]
}

/// Effective group id.
pub(crate) fn effective_gid(cred: Cred) -> u32 {
    identity(cred).gid[EFFECTIVE]
}

/// Whether the credential's effective group or one of its groups is `gid`.
pub(crate) fn is_member(cred: Cred, gid: u32) -> bool {
    let identity = identity(cred);
    identity.gid[EFFECTIVE] == gid || identity.groups().contains(&gid)
}

/// The current thread's credential, without a new reference.
pub(crate) extern "C" fn current() -> Cred {
    // SAFETY: `process::fill` set the member.
    unsafe { crate::kernel::kernel().abi.lwp.l_cred.read(process::curlwp()) }
}

unsafe extern "C" fn cred_alloc() -> Cred {
    superuser()
}

unsafe extern "C" fn cred_hold(cred: Cred) -> Cred {
    hold(cred);
    cred
}

unsafe extern "C" fn cred_free(cred: Cred) {
    release(cred);
}

unsafe extern "C" fn cred_dup(cred: Cred) -> Cred {
    make(identity(cred))
}

/// A credential that the caller may change: the one passed if nobody else has it, else a copy.
unsafe extern "C" fn cred_copy(cred: Cred) -> Cred {
    if !is_kernel(cred) && change("copy", cred).references == 1 {
        return cred;
    }
    let copy = make(identity(cred));
    release(cred);
    copy
}

unsafe extern "C" fn cred_clone(from: Cred, to: Cred) {
    let source = identity(from);
    let target = change("clone", to);
    *target = Identity { references: target.references, ..source };
}

macro_rules! ids {
    ($($get:ident $set:ident: $member:ident[$index:ident];)*) => {
        $(unsafe extern "C" fn $get(cred: Cred) -> u32 {
            identity(cred).$member[$index]
        }
        unsafe extern "C" fn $set(cred: Cred, id: u32) {
            change("change", cred).$member[$index] = id;
        })*
    };
}

ids! {
    getuid setuid: uid[REAL];
    geteuid seteuid: uid[EFFECTIVE];
    getsvuid setsvuid: uid[SAVED];
    getgid setgid: gid[REAL];
    getegid setegid: gid[EFFECTIVE];
    getsvgid setsvgid: gid[SAVED];
}

unsafe extern "C" fn getrefcnt(cred: Cred) -> u32 {
    identity(cred).references
}

unsafe extern "C" fn ismember_gid(cred: Cred, gid: u32, result: *mut i32) -> i32 {
    // SAFETY: module code passes an int.
    unsafe { result.write(i32::from(identity(cred).groups().contains(&gid))) };
    0
}

unsafe extern "C" fn ngroups(cred: Cred) -> u32 {
    identity(cred).group_count
}

unsafe extern "C" fn group(cred: Cred, index: u32) -> u32 {
    identity(cred).groups().get(index as usize).copied().unwrap_or(u32::MAX)
}

/// Sets the groups. User memory and the kernel's are the same here.
unsafe extern "C" fn setgroups(cred: Cred, groups: *const u32, count: usize, _uid: u32, _segment: i32) -> i32 {
    if count > GROUPS {
        return EINVAL;
    }
    let identity = change("setgroups", cred);
    identity.groups = [0; GROUPS];
    if count > 0 {
        // SAFETY: module code passes as many ids, and the array has room for them.
        unsafe { ptr::copy_nonoverlapping(groups, identity.groups.as_mut_ptr(), count) };
    }
    identity.group_count = count as u32;
    0
}

unsafe extern "C" fn getgroups(cred: Cred, groups: *mut u32, count: usize, _segment: i32) -> i32 {
    let identity = identity(cred);
    if count > identity.groups().len() {
        return EINVAL;
    }
    // SAFETY: module code passes room for as many ids.
    unsafe { ptr::copy_nonoverlapping(identity.groups.as_ptr(), groups, count) };
    0
}

/// Whether one of the user ids of one credential is one of the other's.
unsafe extern "C" fn uidmatch(one: Cred, two: Cred) -> i32 {
    let (one, two) = (identity(one).uid, identity(two).uid);
    i32::from(one[..2].iter().any(|uid| two[..2].contains(uid)))
}

/// Gives a new process the credential of its parent.
unsafe extern "C" fn proc_fork(parent: *mut u8, child: *mut u8) {
    let field = crate::kernel::kernel().abi.proc.p_cred;
    // SAFETY: module code passes two processes.
    unsafe {
        let cred: Cred = field.read(parent);
        hold(cred);
        field.write(child, cred);
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("kauth_cred_alloc", cred_alloc),
    function!("kauth_cred_hold", cred_hold),
    function!("kauth_cred_free", cred_free),
    function!("kauth_cred_dup", cred_dup),
    function!("kauth_cred_copy", cred_copy),
    function!("kauth_cred_clone", cred_clone),
    function!("kauth_cred_get", current),
    function!("kauth_cred_getuid", getuid),
    function!("kauth_cred_geteuid", geteuid),
    function!("kauth_cred_getsvuid", getsvuid),
    function!("kauth_cred_getgid", getgid),
    function!("kauth_cred_getegid", getegid),
    function!("kauth_cred_getsvgid", getsvgid),
    function!("kauth_cred_setuid", setuid),
    function!("kauth_cred_seteuid", seteuid),
    function!("kauth_cred_setsvuid", setsvuid),
    function!("kauth_cred_setgid", setgid),
    function!("kauth_cred_setegid", setegid),
    function!("kauth_cred_setsvgid", setsvgid),
    function!("kauth_cred_getrefcnt", getrefcnt),
    function!("kauth_cred_ismember_gid", ismember_gid),
    function!("kauth_cred_ngroups", ngroups),
    function!("kauth_cred_group", group),
    function!("kauth_cred_setgroups", setgroups),
    function!("kauth_cred_getgroups", getgroups),
    function!("kauth_cred_uidmatch", uidmatch),
    function!("kauth_proc_fork", proc_fork),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kernel;
    use crate::testing::Bench;

    #[test]
    fn a_shared_credential_is_copied_before_a_change() {
        let bench = Bench::new();
        bench.inside(|| {
            let blocks = kernel().kern.memory.usage().blocks;
            let mine = user(100, 20);
            hold(mine);
            // SAFETY: credentials made here; the group list is as long as said.
            unsafe {
                let copy = cred_copy(mine);
                assert_ne!(copy, mine);
                assert_eq!(cred_copy(copy), copy);
                seteuid(copy, 5);
                assert_eq!((geteuid(copy), getuid(copy), geteuid(mine)), (5, 100, 100));
                assert_eq!(uidmatch(copy, mine), 1);
                assert_eq!(setgroups(copy, [7, 8].as_ptr(), 2, 0, 0), 0);
                assert_eq!(setgroups(copy, [0; GROUPS + 1].as_ptr(), GROUPS + 1, 0, 0), EINVAL);
                assert_eq!((ngroups(copy), group(copy, 1), group(copy, 2)), (2, 8, u32::MAX));
                assert!(is_member(copy, 7) && is_member(copy, 20) && !is_member(mine, 7));
                let mut found = [0; 2];
                assert_eq!(getgroups(copy, found.as_mut_ptr(), 2, 0), 0);
                assert_eq!(found, [7, 8]);
                cred_clone(copy, mine);
                assert_eq!((geteuid(mine), getrefcnt(mine)), (5, 1));
                release(copy);
            }
            release(mine);
            assert_eq!(kernel().kern.memory.usage().blocks, blocks);
            let kernel_cred = NOCRED as Cred;
            hold(kernel_cred);
            release(kernel_cred);
            assert_eq!(effective_uid(kernel_cred), 0);
        });
        let reason = bench.ends(|| hold(ptr::null_mut()));
        assert!(reason.contains("no such credential"), "{reason}");
    }
}
