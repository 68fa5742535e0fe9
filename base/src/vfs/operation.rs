//! Vnode operations: their descriptors, the vectors built from what modules describe, and calls through them.

use super::object::{FsOperations, Vnode};
use crate::abi::Abi;
use crate::export::{Export, ExportValue};
use crate::kern::memory;
use crate::kern::panic::panic_format;
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;
use core::cell::Cell;
use core::ptr;

/// Words of the largest argument structure, with room to spare.
const ARGUMENT_WORDS: usize = 16;

macro_rules! operations {
    ($($name:ident = $symbol:literal,)*) => {
        /// A vnode operation; not every version has each.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[allow(dead_code, reason = "some are only called by modules")]
        pub(crate) enum Op { $($name,)* }

        /// Names in the order of [`Op`], and the symbols of their descriptors.
        const NAMES: &[(&str, &str)] = &[$(($symbol, concat!($symbol, "_desc")),)*];
    };
}

operations! {
    Default = "vop_default", Bwrite = "vop_bwrite", Lookup = "vop_lookup", Create = "vop_create", Mknod = "vop_mknod",
    Open = "vop_open", Close = "vop_close", Access = "vop_access", Getattr = "vop_getattr", Setattr = "vop_setattr",
    Read = "vop_read", Write = "vop_write", Fallocate = "vop_fallocate", Fdiscard = "vop_fdiscard", Ioctl = "vop_ioctl",
    Fcntl = "vop_fcntl", Poll = "vop_poll", Kqfilter = "vop_kqfilter", Revoke = "vop_revoke", Mmap = "vop_mmap",
    Fsync = "vop_fsync", Seek = "vop_seek", Remove = "vop_remove", Link = "vop_link", Rename = "vop_rename",
    Mkdir = "vop_mkdir", Rmdir = "vop_rmdir", Symlink = "vop_symlink", Readdir = "vop_readdir", Readlink = "vop_readlink",
    Abortop = "vop_abortop", Inactive = "vop_inactive", Reclaim = "vop_reclaim", Lock = "vop_lock", Unlock = "vop_unlock",
    Bmap = "vop_bmap", Strategy = "vop_strategy", Print = "vop_print", Islocked = "vop_islocked", Pathconf = "vop_pathconf",
    Advlock = "vop_advlock", Whiteout = "vop_whiteout", Getpages = "vop_getpages", Putpages = "vop_putpages",
    Closeextattr = "vop_closeextattr", Getextattr = "vop_getextattr", Listextattr = "vop_listextattr",
    Openextattr = "vop_openextattr", Deleteextattr = "vop_deleteextattr", Setextattr = "vop_setextattr",
    Parsepath = "vop_parsepath", Accessx = "vop_accessx", Getacl = "vop_getacl", Setacl = "vop_setacl",
    Aclcheck = "vop_aclcheck",
}

/// Where each operation's slot and descriptor are.
pub(crate) struct State {
    slots: Vec<Cell<Slot>>,
}

#[derive(Clone, Copy)]
struct Slot {
    /// Byte offset in a vector.
    offset: usize,
    present: bool,
    descriptor: *const u8,
}

impl State {
    pub(crate) fn new(abi: &'static Abi) -> Self {
        let slots = NAMES.iter().map(|(name, _)| {
            let operation = abi.operations.iter().find(|operation| operation.name == *name);
            let offset = operation.map_or(0, |operation| operation.slot as usize * size_of::<usize>());
            Cell::new(Slot { offset, present: operation.is_some(), descriptor: ptr::null() })
        });
        Self { slots: slots.collect() }
    }

    fn slot(&self, op: Op) -> Slot {
        self.slots[op as usize].get()
    }
}

/// Exports one descriptor per operation the version has.
pub(crate) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    for (name, symbol) in NAMES {
        if abi.operations.iter().any(|operation| operation.name == *name) {
            let value = ExportValue::Data { size: abi.vnodeop_desc.size, align: align_of::<usize>() };
            out.push(Export { name: symbol, value });
        }
    }
}

/// Fills the descriptors.
pub(crate) fn fill(kernel: &Kernel) {
    let abi = kernel.abi;
    let layout = &abi.vnodeop_desc;
    for (index, (name, symbol)) in NAMES.iter().enumerate() {
        let Some(operation) = abi.operations.iter().find(|operation| operation.name == *name) else { continue };
        let descriptor = kernel.data(symbol);
        let text = super::text::own(name.as_bytes());
        let offsets = memory::alloc_or_end((operation.vnodes.len() + 1) * size_of::<i32>(), true).cast::<i32>();
        // SAFETY: the array has room for the offsets and the end mark; the descriptor has its structure's size.
        unsafe {
            ptr::copy_nonoverlapping(operation.vnodes.as_ptr(), offsets, operation.vnodes.len());
            offsets.add(operation.vnodes.len()).write(crate::abi::constants::VDESC_NO_OFFSET);
            layout.vdesc_offset.write(descriptor, operation.slot as i32);
            layout.vdesc_name.write(descriptor, text);
            layout.vdesc_flags.write(descriptor, operation.flags as i32);
            layout.vdesc_vp_offsets.write(descriptor, offsets);
            layout.vdesc_vpp_offset.write(descriptor, operation.vpp);
            layout.vdesc_cred_offset.write(descriptor, operation.cred);
            layout.vdesc_componentname_offset.write(descriptor, operation.name_at);
        }
        let slot = &kernel.vfs.operations.slots[index];
        slot.set(Slot { descriptor, ..slot.get() });
    }
}

/// Slots of a vector.
fn vector_length() -> usize {
    let count = kernel().abi.constant.vnode_ops_count;
    let highest = kernel().abi.operations.iter().map(|operation| operation.slot as usize + 1).max().unwrap_or(1);
    usize::try_from(count).unwrap_or(0).max(highest)
}

/// Builds the operation vectors that a file-system type describes and stores them in the module's variables.
pub(crate) fn build_vectors(operations: FsOperations) {
    for_each_description(operations, |variable, entries| {
        let vector = build(entries);
        // SAFETY: the description holds the address of a pointer variable of the module.
        unsafe { variable.write_unaligned(vector) };
    });
}

/// Frees the vectors of a file-system type.
pub(crate) fn free_vectors(operations: FsOperations) {
    for_each_description(operations, |variable, _| {
        // SAFETY: the variable holds what `build_vectors` stored.
        unsafe {
            memory::free(variable.read_unaligned().cast_mut().cast());
            variable.write_unaligned(ptr::null());
        }
    });
}

fn for_each_description(operations: FsOperations, mut each: impl FnMut(*mut *const *const (), *const u8)) {
    let mut list = operations.vector_descriptions();
    if list.is_null() {
        return;
    }
    let layout = &kernel().abi.vnodeopv_desc;
    // SAFETY: the module's list ends with a null pointer; each description is a live structure.
    unsafe {
        while !list.read_unaligned().is_null() {
            let description = list.read_unaligned();
            each(layout.opv_desc_vector_p.read(description), layout.opv_desc_ops.read(description));
            list = list.add(1);
        }
    }
}

/// Builds one vector from an entry list: (descriptor, function) pairs up to a null descriptor.
fn build(entries: *const u8) -> *const *const () {
    let length = vector_length();
    let vector = memory::alloc_or_end(length * size_of::<usize>(), true).cast::<*const ()>();
    let abi = kernel().abi;
    let mut entry = entries;
    let mut default = ptr::null::<()>();
    // SAFETY: the entry list is the module's own and ends with a null descriptor; slots are checked against the length.
    unsafe {
        loop {
            let descriptor: *const u8 = abi.vnodeopv_entry_desc.opve_op.read(entry);
            if descriptor.is_null() {
                break;
            }
            let function: *const () = abi.vnodeopv_entry_desc.opve_impl.read(entry);
            let slot: i32 = abi.vnodeop_desc.vdesc_offset.read(descriptor);
            match usize::try_from(slot) {
                Ok(0) => default = function,
                Ok(slot) if slot < length => vector.add(slot).write(function),
                _ => panic_format(format_args!("operation vector names slot {slot} of {length}")),
            }
            entry = entry.add(abi.vnodeopv_entry_desc.size);
        }
        if default.is_null() {
            panic_format(format_args!("an operation vector has no default operation"));
        }
        for slot in 0..length {
            if vector.add(slot).read().is_null() {
                vector.add(slot).write(default);
            }
        }
    }
    vector
}

/// Builds a vector of the base's own: every operation not listed is `default`.
pub(crate) fn own_vector(default: *const (), entries: &[(Op, *const ())]) -> *const *const () {
    let length = vector_length();
    let vector = memory::alloc_or_end(length * size_of::<usize>(), true).cast::<*const ()>();
    // SAFETY: the slots of the table lie inside the vector.
    unsafe {
        for slot in 0..length {
            vector.add(slot).write(default);
        }
        for (op, function) in entries {
            let slot = kernel().vfs.operations.slot(*op);
            if slot.present {
                vector.byte_add(slot.offset).write(*function);
            }
        }
    }
    vector
}

/// The function a vnode has for `op`.
pub(crate) fn function_of(vp: Vnode, op: Op) -> *const () {
    let slot = kernel().vfs.operations.slot(op);
    // SAFETY: a live vnode's vector has all slots.
    unsafe { vp.vector().byte_add(slot.offset).read() }
}

/// An argument structure under construction.
#[repr(C, align(16))]
pub(crate) struct Arguments {
    words: [usize; ARGUMENT_WORDS],
    op: Op,
}

impl Arguments {
    pub(crate) fn new(op: Op) -> Self {
        let mut words = [0; ARGUMENT_WORDS];
        words[0] = kernel().vfs.operations.slot(op).descriptor as usize;
        Self { words, op }
    }

    /// Where the structure lies.
    pub(crate) fn base(&mut self) -> *mut u8 {
        self.words.as_mut_ptr().cast()
    }

    /// Calls the operation on `vp`.
    pub(crate) fn call(&mut self, vp: Vnode) -> i32 {
        let function = function_of(vp, self.op);
        // SAFETY: every slot of a vector holds a function that takes the argument structure.
        unsafe {
            let function: unsafe extern "C" fn(*mut u8) -> i32 = core::mem::transmute(function);
            function(self.base())
        }
    }
}
