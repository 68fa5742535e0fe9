//! The kernel's address map, of which modules know no more than that they can take memory from it.

use crate::abi::constants::{UVM_KMF_CANFAIL, UVM_KMF_NOWAIT, UVM_KMF_VAONLY, UVM_KMF_ZERO};
use crate::export::{Export, data, function};
use crate::kern::memory;
use crate::kern::panic::panic_message;
use crate::kernel::Kernel;

unsafe extern "C" fn uvm_km_alloc(_map: *mut u8, size: usize, _align: usize, flags: u32) -> *mut u8 {
    let flags = flags as i32;
    if flags & UVM_KMF_VAONLY != 0 {
        panic_message("addresses without memory are not offered");
    }
    // Pages are nothing that modules could see: the alignment of blocks does.
    let memory = memory::alloc(size, flags & UVM_KMF_ZERO != 0);
    if memory.is_null() && flags & (UVM_KMF_NOWAIT | UVM_KMF_CANFAIL) == 0 {
        panic_message("out of memory");
    }
    memory
}

unsafe extern "C" fn uvm_km_free(_map: *mut u8, address: *mut u8, _size: usize, _flags: u32) {
    // SAFETY: module code gives back what `uvm_km_alloc` returned.
    unsafe { memory::free(address) };
}

pub(crate) fn fill(kernel: &Kernel) {
    // SAFETY: the exports are pointers; the kernel's address space was made before.
    unsafe {
        let space = kernel.data("kernel_vmspace").cast::<*mut u8>().read();
        kernel.data("kernel_map").cast::<*mut u8>().write(kernel.abi.vmspace.vm_map.ptr(space));
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("uvm_km_alloc", uvm_km_alloc),
    function!("uvm_km_free", uvm_km_free),
    data!("kernel_map", size_of::<usize>(), align_of::<usize>()),
];
