//! Handles for the C structures that file systems share with the base.
//!
//! A handle is a pointer with names for its members. Handles come from the base's own tables or as arguments of module code,
//! which promises that the structure is alive, as it does to any kernel; so the accessors themselves are not `unsafe`.

use crate::kernel::kernel;

/// Declares a handle and accessors of members: `getter, setter: member -> type`.
macro_rules! handle {
    ($(#[$doc:meta])* $Handle:ident = $layout:ident { $($get:ident, $set:ident: $field:ident -> $ty:ty;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(transparent)]
        pub(crate) struct $Handle(pub(crate) *mut u8);

        #[allow(dead_code, reason = "members come in pairs of accessors")]
        impl $Handle {
            pub(crate) const NULL: Self = Self(core::ptr::null_mut());

            pub(crate) fn is_null(self) -> bool {
                self.0.is_null()
            }

            /// Bytes of the structure.
            pub(crate) fn size_of() -> usize {
                $crate::kernel::kernel().abi.$layout.size
            }

            $(
                pub(crate) fn $get(self) -> $ty {
                    // SAFETY: a handle points to a live structure of the kernel's table.
                    unsafe { $crate::kernel::kernel().abi.$layout.$field.read(self.0) }
                }

                pub(crate) fn $set(self, value: $ty) {
                    // SAFETY: as for reading.
                    unsafe { $crate::kernel::kernel().abi.$layout.$field.write(self.0, value) }
                }
            )*
        }
    };
}
pub(crate) use handle;

handle! {
    /// `struct vnode`: a file in use.
    Vnode = vnode {
        file_size, set_file_size: v_size -> i64;
        write_size, set_write_size: v_writesize -> i64;
        iflag, set_iflag: v_iflag -> i32;
        vflag, set_vflag: v_vflag -> i32;
        numoutput, set_numoutput: v_numoutput -> i32;
        writecount, set_writecount: v_writecount -> i32;
        holdcnt, set_holdcnt: v_holdcnt -> i32;
        mount, set_mount: v_mount -> Mount;
        vector, set_vector: v_op -> *const *const ();
        kind, set_kind: v_type -> i32;
        tag, set_tag: v_tag -> i32;
        data, set_data: v_data -> *mut u8;
        mounted_here, set_mounted_here: v_un_vu_mountedhere -> Mount;
        specnode, set_specnode: v_un_vu_specnode -> SpecNode;
    }
}

impl Vnode {
    /// The vnode's `uvm_object`.
    pub(crate) fn object(self) -> UvmObject {
        // SAFETY: the object is a member of the vnode.
        UvmObject(unsafe { kernel().abi.vnode.v_uobj.ptr(self.0) })
    }

    /// The mutex that is the vnode's interlock.
    pub(crate) fn interlock(self) -> *mut u8 {
        let field = kernel().abi.vnode.v_interlock;
        if field.is_present() {
            // SAFETY: a pointer member of a live vnode.
            unsafe { field.read(self.0) }
        } else {
            self.object().lock()
        }
    }

    /// References held.
    pub(crate) fn uses(self) -> u32 {
        // SAFETY: a member of a live vnode.
        unsafe { self.use_count().read_unaligned() }
    }

    pub(crate) fn set_uses(self, uses: u32) {
        // SAFETY: a member of a live vnode.
        unsafe { self.use_count().write_unaligned(uses) }
    }

    fn use_count(self) -> *mut u32 {
        let field = kernel().abi.vnode.v_usecount;
        // SAFETY: a member of a live vnode.
        unsafe { if field.is_present() { field.ptr(self.0) } else { kernel().abi.uvm_object.uo_refs.ptr(self.object().0) } }
    }

    /// Whether the vnode is a block or character device.
    pub(crate) fn is_device(self) -> bool {
        matches!(self.kind(), crate::abi::constants::VBLK | crate::abi::constants::VCHR)
    }
}

handle! {
    /// `struct uvm_object`: something with pages.
    UvmObject = uvm_object {
        lock, set_lock: vmobjlock -> *mut u8;
        pager, set_pager: pgops -> *const u8;
        references, set_references: uo_refs -> u32;
    }
}

handle! {
    /// `struct mount`: a mounted file system.
    Mount = mount {
        operations, set_operations: mnt_op -> FsOperations;
        covered, set_covered: mnt_vnodecovered -> Vnode;
        data, set_data: mnt_data -> *mut u8;
        references, set_references: mnt_refcnt -> i32;
        flag, set_flag: mnt_flag -> i32;
        fs_shift, set_fs_shift: mnt_fs_bshift -> i32;
        device_shift, set_device_shift: mnt_dev_bshift -> i32;
    }
}

impl Mount {
    /// The mount's own `struct statvfs`.
    pub(crate) fn statvfs(self) -> Statvfs {
        // SAFETY: a member of a live mount.
        Statvfs(unsafe { kernel().abi.mount.mnt_stat.ptr(self.0) })
    }
}

handle! {
    /// `struct statvfs`: what a file system says about its space.
    Statvfs = statvfs {
        flag, set_flag: f_flag -> usize;
        block_size, set_block_size: f_bsize -> usize;
        fragment_size, set_fragment_size: f_frsize -> usize;
        io_size, set_io_size: f_iosize -> usize;
        blocks, set_blocks: f_blocks -> u64;
        free_blocks, set_free_blocks: f_bfree -> u64;
        available_blocks, set_available_blocks: f_bavail -> u64;
        files, set_files: f_files -> u64;
        free_files, set_free_files: f_ffree -> u64;
        fsid, set_fsid: f_fsid -> usize;
        name_max, set_name_max: f_namemax -> usize;
        owner, set_owner: f_owner -> u32;
    }
}

handle! {
    /// `struct vfsops`: what a file-system type can do.
    FsOperations = vfsops {
        name, set_name: vfs_name -> *const u8;
        minimum_data, set_minimum_data: vfs_min_mount_data -> usize;
        uses, set_uses: vfs_refcount -> i32;
        vector_descriptions, set_vector_descriptions: vfs_opv_descs -> *const *const u8;
    }
}

handle! {
    /// `struct specnode`: a vnode's share in a device.
    SpecNode = specnode {
        device, set_device: sn_dev -> SpecDevice;
        opens, set_opens: sn_opencnt -> u32;
        number, set_number: sn_rdev -> u64;
    }
}

handle! {
    /// `struct specdev`: a device, shared by all vnodes that name it.
    SpecDevice = specdev {
        mountpoint, set_mountpoint: sd_mountpoint -> Mount;
        block_vnode, set_block_vnode: sd_bdevvp -> Vnode;
        opens, set_opens: sd_opencnt -> u32;
        references, set_references: sd_refcnt -> u32;
    }
}

handle! {
    /// `struct buf`: a block in memory, or one transfer.
    Buf = buf {
        done, set_done: b_iodone -> *const ();
        error, set_error: b_error -> i32;
        resid, set_resid: b_resid -> i32;
        flags, set_flags: b_flags -> i32;
        capacity, set_capacity: b_bufsize -> i32;
        count, set_count: b_bcount -> i32;
        device, set_device: b_dev -> u64;
        data, set_data: b_data -> *mut u8;
        block, set_block: b_blkno -> i64;
        raw_block, set_raw_block: b_rawblkno -> i64;
        logical, set_logical: b_lblkno -> i64;
        private, set_private: b_private -> *mut u8;
        cflags, set_cflags: b_cflags -> i32;
        oflags, set_oflags: b_oflags -> i32;
        vnode, set_vnode: b_vp -> Vnode;
        object_lock, set_object_lock: b_objlock -> *mut u8;
        priority, set_priority: b_prio -> i32;
        next_of_vnode, set_next_of_vnode: b_vnbufs_le_next -> Buf;
    }
}

handle! {
    /// `struct uio`: where bytes of a file go to or come from.
    Uio = uio {
        vectors, set_vectors: uio_iov -> *mut u8;
        vector_count, set_vector_count: uio_iovcnt -> i32;
        offset, set_offset: uio_offset -> i64;
        resid, set_resid: uio_resid -> usize;
        direction, set_direction: uio_rw -> i32;
    }
}

handle! {
    /// `struct componentname`: one name of a path and what is to be done with it.
    ComponentName = componentname {
        operation, set_operation: cn_nameiop -> u32;
        flags, set_flags: cn_flags -> u32;
        cred, set_cred: cn_cred -> *mut u8;
        name, set_name: cn_nameptr -> *const u8;
        length, set_length: cn_namelen -> usize;
    }
}

impl ComponentName {
    /// The name's bytes.
    pub(crate) fn bytes<'a>(self) -> &'a [u8] {
        // SAFETY: name and length belong together and live as long as the caller's component name.
        unsafe { core::slice::from_raw_parts(self.name(), self.length()) }
    }
}

handle! {
    /// `struct vattr`: attributes of a file.
    Vattr = vattr {
        kind, set_kind: va_type -> i32;
        mode, set_mode: va_mode -> u32;
        links, set_links: va_nlink -> u32;
        uid, set_uid: va_uid -> u32;
        gid, set_gid: va_gid -> u32;
        fsid, set_fsid: va_fsid -> u64;
        fileid, set_fileid: va_fileid -> u64;
        file_size, set_file_size: va_size -> u64;
        block_size, set_block_size: va_blocksize -> isize;
        generation, set_generation: va_gen -> usize;
        flags, set_flags: va_flags -> usize;
        device, set_device: va_rdev -> u64;
        bytes, set_bytes: va_bytes -> u64;
        revision, set_revision: va_filerev -> u64;
        vaflags, set_vaflags: va_vaflags -> u32;
    }
}
