//! `VOP_*`: one function per vnode operation, which modules call and the base calls itself.

use super::object::{Buf, ComponentName, Mount, Uio, Vattr, Vnode};
use super::operation::{Arguments, Op};
use crate::export::{Export, function};
use crate::kernel::kernel;

type Cred = *mut u8;

macro_rules! calls {
    ($($symbol:literal $call:ident $op:ident $layout:ident ($vp:ident $($parameter:ident: $ty:ty),*);)*) => {
        $(
            pub(crate) unsafe extern "C" fn $call($vp: Vnode, $($parameter: $ty),*) -> i32 {
                let mut arguments = Arguments::new(Op::$op);
                let layout = &kernel().abi.$layout;
                // SAFETY: the members lie inside the argument structure.
                unsafe {
                    layout.$vp.write(arguments.base(), $vp);
                    $(layout.$parameter.write(arguments.base(), $parameter);)*
                }
                arguments.call($vp)
            }
        )*

        pub(crate) const EXPORTS: &[Export] = &[$(function!($symbol, $call),)*];
    };
}

calls! {
    "VOP_BWRITE" bwrite Bwrite vop_bwrite_args (a_vp a_bp: Buf);
    "VOP_LOOKUP" lookup Lookup vop_lookup_args (a_dvp a_vpp: *mut Vnode, a_cnp: ComponentName);
    "VOP_CREATE" create Create vop_create_args (a_dvp a_vpp: *mut Vnode, a_cnp: ComponentName, a_vap: Vattr);
    "VOP_MKNOD" mknod Mknod vop_mknod_args (a_dvp a_vpp: *mut Vnode, a_cnp: ComponentName, a_vap: Vattr);
    "VOP_OPEN" open Open vop_open_args (a_vp a_mode: i32, a_cred: Cred);
    "VOP_CLOSE" close Close vop_close_args (a_vp a_fflag: i32, a_cred: Cred);
    "VOP_ACCESS" access Access vop_access_args (a_vp a_mode: i32, a_cred: Cred);
    "VOP_GETATTR" getattr Getattr vop_getattr_args (a_vp a_vap: Vattr, a_cred: Cred);
    "VOP_SETATTR" setattr Setattr vop_setattr_args (a_vp a_vap: Vattr, a_cred: Cred);
    "VOP_READ" read Read vop_read_args (a_vp a_uio: Uio, a_ioflag: i32, a_cred: Cred);
    "VOP_WRITE" write Write vop_write_args (a_vp a_uio: Uio, a_ioflag: i32, a_cred: Cred);
    "VOP_FALLOCATE" fallocate Fallocate vop_fallocate_args (a_vp a_pos: i64, a_len: i64);
    "VOP_FDISCARD" fdiscard Fdiscard vop_fdiscard_args (a_vp a_pos: i64, a_len: i64);
    "VOP_IOCTL" ioctl Ioctl vop_ioctl_args (a_vp a_command: usize, a_data: *mut u8, a_fflag: i32, a_cred: Cred);
    "VOP_FCNTL" fcntl Fcntl vop_fcntl_args (a_vp a_command: u32, a_data: *mut u8, a_fflag: i32, a_cred: Cred);
    "VOP_POLL" poll Poll vop_poll_args (a_vp a_events: i32);
    "VOP_KQFILTER" kqfilter Kqfilter vop_kqfilter_args (a_vp a_kn: *mut u8);
    "VOP_REVOKE" revoke Revoke vop_revoke_args (a_vp a_flags: i32);
    "VOP_MMAP" mmap Mmap vop_mmap_args (a_vp a_prot: i32, a_cred: Cred);
    "VOP_FSYNC" fsync Fsync vop_fsync_args (a_vp a_cred: Cred, a_flags: i32, a_offlo: i64, a_offhi: i64);
    "VOP_SEEK" seek Seek vop_seek_args (a_vp a_oldoff: i64, a_newoff: i64, a_cred: Cred);
    "VOP_REMOVE" remove Remove vop_remove_args (a_dvp a_vp: Vnode, a_cnp: ComponentName);
    "VOP_LINK" link Link vop_link_args (a_dvp a_vp: Vnode, a_cnp: ComponentName);
    "VOP_RENAME" rename Rename vop_rename_args
        (a_fdvp a_fvp: Vnode, a_fcnp: ComponentName, a_tdvp: Vnode, a_tvp: Vnode, a_tcnp: ComponentName);
    "VOP_MKDIR" mkdir Mkdir vop_mkdir_args (a_dvp a_vpp: *mut Vnode, a_cnp: ComponentName, a_vap: Vattr);
    "VOP_RMDIR" rmdir Rmdir vop_rmdir_args (a_dvp a_vp: Vnode, a_cnp: ComponentName);
    "VOP_SYMLINK" symlink Symlink vop_symlink_args
        (a_dvp a_vpp: *mut Vnode, a_cnp: ComponentName, a_vap: Vattr, a_target: *mut u8);
    "VOP_READDIR" readdir Readdir vop_readdir_args
        (a_vp a_uio: Uio, a_cred: Cred, a_eofflag: *mut i32, a_cookies: *mut *mut i64, a_ncookies: *mut i32);
    "VOP_READLINK" readlink Readlink vop_readlink_args (a_vp a_uio: Uio, a_cred: Cred);
    "VOP_ABORTOP" abortop Abortop vop_abortop_args (a_dvp a_cnp: ComponentName);
    "VOP_INACTIVE" inactive Inactive vop_inactive_args (a_vp a_recycle: *mut bool);
    "VOP_RECLAIM" reclaim Reclaim vop_reclaim_args (a_vp);
    "VOP_LOCK" lock Lock vop_lock_args (a_vp a_flags: i32);
    "VOP_UNLOCK" unlock Unlock vop_unlock_args (a_vp);
    "VOP_BMAP" bmap Bmap vop_bmap_args (a_vp a_bn: i64, a_vpp: *mut Vnode, a_bnp: *mut i64, a_runp: *mut i32);
    "VOP_STRATEGY" strategy Strategy vop_strategy_args (a_vp a_bp: Buf);
    "VOP_PRINT" print Print vop_print_args (a_vp);
    "VOP_ISLOCKED" islocked Islocked vop_islocked_args (a_vp);
    "VOP_PATHCONF" pathconf Pathconf vop_pathconf_args (a_vp a_name: i32, a_retval: *mut usize);
    "VOP_ADVLOCK" advlock Advlock vop_advlock_args (a_vp a_id: *mut u8, a_op: i32, a_fl: *mut u8, a_flags: i32);
    "VOP_WHITEOUT" whiteout Whiteout vop_whiteout_args (a_dvp a_cnp: ComponentName, a_flags: i32);
    "VOP_GETPAGES" getpages Getpages vop_getpages_args
        (a_vp a_offset: i64, a_m: *mut *mut u8, a_count: *mut i32, a_centeridx: i32, a_access_type: i32, a_advice: i32,
        a_flags: i32);
    "VOP_PUTPAGES" putpages Putpages vop_putpages_args (a_vp a_offlo: i64, a_offhi: i64, a_flags: i32);
    "VOP_CLOSEEXTATTR" closeextattr Closeextattr vop_closeextattr_args (a_vp a_commit: i32, a_cred: Cred);
    "VOP_GETEXTATTR" getextattr Getextattr vop_getextattr_args
        (a_vp a_attrnamespace: i32, a_name: *const u8, a_uio: Uio, a_size: *mut usize, a_cred: Cred);
    "VOP_LISTEXTATTR" listextattr Listextattr vop_listextattr_args
        (a_vp a_attrnamespace: i32, a_uio: Uio, a_size: *mut usize, a_flag: i32, a_cred: Cred);
    "VOP_OPENEXTATTR" openextattr Openextattr vop_openextattr_args (a_vp a_cred: Cred);
    "VOP_DELETEEXTATTR" deleteextattr Deleteextattr vop_deleteextattr_args
        (a_vp a_attrnamespace: i32, a_name: *const u8, a_cred: Cred);
    "VOP_SETEXTATTR" setextattr Setextattr vop_setextattr_args
        (a_vp a_attrnamespace: i32, a_name: *const u8, a_uio: Uio, a_cred: Cred);
}

/// The file system whose statistics an operation on `vp` counts for: for a device, the one mounted from it.
pub(crate) fn charged_mount(vp: Vnode) -> Mount {
    if vp.kind() == crate::abi::constants::VBLK { super::spec::mounted_from(vp) } else { vp.mount() }
}
