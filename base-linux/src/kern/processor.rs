//! What module code sees of the processor: per-CPU data, time, features.

use crate::Error;
use crate::abi::{Abi, put};
use crate::arch::zero;
use crate::export::{Export, ExportValue, data};
use crate::kernel::Kernel;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The one processor's per-CPU block; no C code can ask for the name.
const BLOCK: &str = "per-CPU block";
const BLOCK_SIZE: usize = 256;
/// Where compilers have the stack protector's canary.
const CANARY: usize = 0x28;
/// The block's own variables, by their distance from its start.
const PREEMPT_COUNT: usize = 0x40;
const THIS_CPU_OFFSET: usize = 0x48;
const CPU_NUMBER: usize = 0x50;
/// A preemption count of 0, with the inverted mark that nobody wants the processor.
const PREEMPT_NONE: u32 = 0x8000_0000;
/// Seconds before the clock tick counter's low half overflows when a kernel starts.
const BEFORE_OVERFLOW: u64 = 300;
/// Features that every processor of the machine has, as bits of the first capability word: FPU, CX8, CMOV, MMX, FXSR, XMM, XMM2.
const BASELINE: u32 = 1 | 1 << 8 | 1 << 15 | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26;

/// Addresses of exported data, for those who may not wait for a lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    block: AtomicUsize,
    jiffies: AtomicUsize,
}

/// Adds the data.
pub(super) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    let number = |name, offset: usize| Export { name, value: ExportValue::Absolute(offset as u64) };
    let function = |name| Export { name, value: ExportValue::Function(zero as *const ()) };
    out.extend([
        Export { name: BLOCK, value: ExportValue::Data { size: BLOCK_SIZE, align: 64 } },
        number("__preempt_count", PREEMPT_COUNT),
        number("this_cpu_off", THIS_CPU_OFFSET),
        number("cpu_number", CPU_NUMBER),
        data!("jiffies", 8, 64),
        data!("boot_cpu_data", abi.boot_cpu_data.0, 64),
        data!("fips_enabled", 4, 4),
        // Registers of floating point and vectors are the caller's to lose, as anywhere in user space.
        function("kernel_fpu_begin_mask"),
        function("kernel_fpu_end"),
        function("__cond_resched"),
    ]);
}

/// Fills the data.
pub(super) fn fill(kernel: &Kernel) -> Result<(), Error> {
    let (block, jiffies) = (kernel.data(BLOCK), kernel.data("jiffies"));
    let mut canary = [0_u8; 8];
    let entropy = &kernel.instance().host().entropy;
    entropy.fill(&mut canary).map_err(|error| Error::Host { what: "random bytes for the stack canary", error })?;
    // A zero byte stops what copies strings.
    canary[0] = 0;
    // SAFETY: the exports are of these sizes, and nothing runs in the instance yet.
    unsafe {
        put(block, CANARY, canary);
        put(block, PREEMPT_COUNT, PREEMPT_NONE);
        // Per-CPU variables are addressed relative to the block.
        put(block, THIS_CPU_OFFSET, block);
        put(kernel.data("boot_cpu_data"), kernel.abi.boot_cpu_data.1, BASELINE);
    }
    kernel.kern.processor.jiffies.store(jiffies, Ordering::Release);
    kernel.kern.processor.block.store(block, Ordering::Release);
    tick(kernel);
    Ok(())
}

/// Address of the per-CPU block.
pub(crate) fn block(kernel: &Kernel) -> usize {
    kernel.kern.processor.block.load(Ordering::Acquire)
}

/// Brings `jiffies` up to date.
pub(crate) fn tick(kernel: &Kernel) {
    let at = kernel.kern.processor.jiffies.load(Ordering::Acquire);
    let Ok(now) = kernel.instance().host().clock.monotonic() else { return };
    if at == 0 {
        return;
    }
    let hz = kernel.abi.hz;
    let first = u64::from(0_u32.wrapping_sub((BEFORE_OVERFLOW * hz) as u32));
    let ticks = now.as_secs().wrapping_mul(hz).wrapping_add(u64::from(now.subsec_nanos()) * hz / 1_000_000_000);
    // SAFETY: the export has 8 bytes, aligned, as long as the kernel lives; module code only reads it.
    let jiffies = unsafe { AtomicU64::from_ptr(core::ptr::with_exposed_provenance_mut(at)) };
    // Threads that tick at the same time must not turn it back.
    jiffies.fetch_max(first.wrapping_add(ticks), Ordering::Relaxed);
}
