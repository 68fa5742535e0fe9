//! Named pipes: they can be looked at, named and removed, but not opened.

use super::genfs;
use super::operation::{Op, own_vector};
use crate::export::{Export, data, function};
use crate::kern::errno::ENXIO;
use crate::kern::panic::panic_format;
use crate::kernel::{Kernel, kernel};

pub(crate) fn fill(kernel: &Kernel) {
    let entries = &[
        (Op::Lock, genfs::lock as *const ()),
        (Op::Unlock, genfs::unlock as *const ()),
        (Op::Islocked, genfs::islocked as *const ()),
        (Op::Open, open as *const ()),
        (Op::Close, genfs::nullop as *const ()),
        (Op::Fsync, genfs::nullop as *const ()),
        (Op::Inactive, genfs::inactive as *const ()),
        (Op::Reclaim, genfs::nullop as *const ()),
        (Op::Print, genfs::nullop as *const ()),
        (Op::Putpages, genfs::null_putpages as *const ()),
    ];
    let vector = own_vector(genfs::eopnotsupp as *const (), entries);
    // SAFETY: the export is a pointer.
    unsafe { kernel.data("fifo_vnodeop_p").cast::<*const *const ()>().write(vector) };
}

unsafe extern "C" fn open(_arguments: *mut u8) -> i32 {
    ENXIO
}

/// An operation of a file system's own vector that is left to the fifo vector.
unsafe extern "C" fn vn_fifo_bypass(arguments: *mut u8) -> i32 {
    // SAFETY: every argument structure starts with its descriptor, which holds the slot; the vector has all slots.
    unsafe {
        let abi = kernel().abi;
        let descriptor: *const u8 = abi.vop_generic_args.a_desc.read(arguments);
        let slot: i32 = abi.vnodeop_desc.vdesc_offset.read(descriptor);
        let vector = kernel().data("fifo_vnodeop_p").cast::<*const *const ()>().read();
        let Ok(slot) = usize::try_from(slot) else { panic_format(format_args!("operation slot {slot}")) };
        let function: unsafe extern "C" fn(*mut u8) -> i32 = core::mem::transmute(vector.add(slot).read());
        function(arguments)
    }
}

pub(crate) const EXPORTS: &[Export] =
    &[function!("vn_fifo_bypass", vn_fifo_bypass), data!("fifo_vnodeop_p", size_of::<usize>(), align_of::<usize>())];
