//! The first thread, the one process that module code sees, and the processor it runs on.

use super::{cred, lock, memory, uio};
use crate::abi::Abi;
use crate::export::{Export, ExportValue, data, function};
use crate::kernel::{Kernel, kernel};
use crate::vfs::object::Vnode;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ptr;

/// Bytes of a processor structure whose layout is not known; modules read single members.
const CPU_SIZE: usize = 4096;
const NAME: &[u8] = b"rumpload";
/// Permissions that new files do not get.
const FILE_MASK: u16 = 0o022;

/// Addresses of the structures.
pub(crate) struct State {
    lwp: Cell<*mut u8>,
    cpu: Cell<*mut u8>,
    ipl: Cell<i32>,
}

impl Default for State {
    fn default() -> Self {
        Self { lwp: Cell::new(ptr::null_mut()), cpu: Cell::new(ptr::null_mut()), ipl: Cell::new(0) }
    }
}

impl State {
    /// Makes another thread current: its `lwp` and its interrupt level. Answers those of the thread before.
    pub(crate) fn switch(&self, (lwp, level): (*mut u8, i32)) -> (*mut u8, i32) {
        (self.lwp.replace(lwp), self.ipl.replace(level))
    }
}

/// The current thread: `lwp0`, or that of the [kernel thread](super::thread) that runs.
pub(crate) extern "C" fn curlwp() -> *mut u8 {
    kernel().kern.process.lwp.get()
}

/// The one processor's `struct cpu_info`.
pub(crate) extern "C" fn curcpu() -> *mut u8 {
    kernel().kern.process.cpu.get()
}

extern "C" fn cpu_number() -> u32 {
    0
}

/// Interrupts do not come in: the level only has to be remembered.
unsafe extern "C" fn splraise(level: i32) -> i32 {
    let ipl = &kernel().kern.process.ipl;
    ipl.replace(level.max(ipl.get()))
}

unsafe extern "C" fn spllower(level: i32) {
    let ipl = &kernel().kern.process.ipl;
    ipl.set(level.min(ipl.get()));
}

unsafe extern "C" fn spl0() {
    kernel().kern.process.ipl.set(0);
}

/// Never on an interrupt's stack.
extern "C" fn cpu_intr_p() -> bool {
    false
}

/// Nobody sends signals.
unsafe extern "C" fn sigispending(_lwp: *mut u8, _signal: i32) -> i32 {
    0
}

/// Exports whose size depends on the version.
pub(crate) fn sized_exports(abi: &'static Abi, out: &mut Vec<Export>) {
    for (name, size) in [("lwp0", abi.lwp.size), ("proc0", abi.proc.size)] {
        out.push(Export { name, value: ExportValue::Data { size, align: 64 } });
    }
}

/// Fills thread, process and processor. Everything not set here is zero.
pub(crate) fn fill(kernel: &Kernel) {
    let abi = kernel.abi;
    let (lwp, proc) = (kernel.data("lwp0"), kernel.data("proc0"));
    let cpu = memory::alloc_or_end(abi.cpu_info.size.max(CPU_SIZE), true);
    let cred = cred::superuser();
    // SAFETY: the exports have the sizes of their structures; the statistics and processor blocks are fresh.
    unsafe {
        abi.lwp.l_proc.write(lwp, proc);
        abi.lwp.l_cred.write(lwp, cred);
        abi.lwp.l_cpu.write(lwp, cpu);
        abi.lwp.l_lid.write(lwp, 1_i32);
        abi.proc.p_cred.write(proc, cred);
        abi.proc.p_stats.write(proc, memory::alloc_or_end(abi.pstats.size, true));
        abi.proc.p_cwdi.write(proc, directories(abi));
        abi.proc.p_vmspace.write(proc, uio::kernel_vmspace());
        abi.proc.p_pid.write(proc, 0_i32);
        ptr::copy_nonoverlapping(NAME.as_ptr(), abi.proc.p_comm.ptr(proc), NAME.len());
    }
    // The structure's reference and the process's one.
    cred::hold(cred);
    let state = &kernel.kern.process;
    state.lwp.set(lwp);
    state.cpu.set(cpu);
    // SAFETY: the exports are pointers.
    unsafe {
        kernel.data("initproc").cast::<*mut u8>().write(proc);
        kernel.data("cpu_info_list").cast::<*mut u8>().write(cpu);
    }
}

/// A new `struct cwdinfo`. Paths start at the root, and there is no other root.
fn directories(abi: &Abi) -> *mut u8 {
    let info = memory::alloc_or_end(abi.cwdinfo.size, true);
    // SAFETY: a fresh block of the structure's size; the mask's upper half, where there is one, is zero.
    unsafe {
        abi.cwdinfo.cwdi_cmask.write(info, FILE_MASK);
        abi.cwdinfo.cwdi_refcnt.write(info, 1_u32);
        lock::rw_init(abi.cwdinfo.cwdi_lock.ptr(info));
    }
    info
}

/// Enters the root as the process's working directory; the reference is the root's own.
pub(crate) fn set_directory(kernel: &Kernel, root: Vnode) {
    let abi = kernel.abi;
    // SAFETY: filled above.
    unsafe { abi.cwdinfo.cwdi_cdir.write(abi.proc.p_cwdi.read(kernel.data("proc0")), root) };
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("x86_curlwp", curlwp),
    function!("x86_curcpu", curcpu),
    function!("cpu_number", cpu_number),
    function!("splraise", splraise),
    function!("spllower", spllower),
    function!("spl0", spl0),
    function!("cpu_intr_p", cpu_intr_p),
    function!("sigispending", sigispending),
    data!("cpu_info_list", size_of::<usize>(), size_of::<usize>()),
    data!("initproc", size_of::<usize>(), size_of::<usize>()),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn the_thread_leads_to_its_process_and_credential() {
        let bench = Bench::new();
        bench.inside(|| {
            let abi = kernel().abi;
            // SAFETY: filled at boot.
            unsafe {
                let proc: *mut u8 = abi.lwp.l_proc.read(curlwp());
                let cred: *mut u8 = abi.proc.p_cred.read(proc);
                assert_eq!(cred, cred::current());
                assert_eq!(cred::effective_uid(cred), 0);
                let name: [u8; 9] = abi.proc.p_comm.ptr::<[u8; 9]>(proc).read();
                assert_eq!(&name, b"rumpload\0");
                let directories: *mut u8 = abi.proc.p_cwdi.read(proc);
                assert_eq!(abi.cwdinfo.cwdi_cdir.read::<Vnode>(directories), crate::vfs::rootfs::root());
                assert_eq!(abi.cwdinfo.cwdi_cmask.read::<u16>(directories), 0o022);
                assert!(!abi.proc.p_stats.read::<*mut u8>(proc).is_null());
                assert!((0..128).all(|at| curcpu().add(at).read() == 0));
                assert_eq!((splraise(6), splraise(4)), (0, 6));
                spllower(0);
                assert_eq!(splraise(0), 0);
            }
        });
    }
}
