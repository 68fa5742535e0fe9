//! The first thread: makes three protection domains with the least rights, then watches them.
#![no_std]
#![no_main]

mod domain;
mod elf;
mod entry;
mod supervisor;
mod watchdog;

use core::fmt::Write;
use rumpload_sel4::{BootInfo, KERNEL, KernelError, Objects, slot};
use supervisor::Supervisor;

/// Port of QEMU's device that ends the machine.
const EXIT_PORT: u16 = 0xf4;
/// What the machine exits with: QEMU makes it 2n + 1.
const EXIT_SUCCESS: u8 = 0x10;
const EXIT_FAILURE: u8 = 0x11;

/// Ends the machine.
fn exit(success: bool) -> ! {
    let value = if success { EXIT_SUCCESS } else { EXIT_FAILURE };
    // If this fails, whoever runs the machine has a time limit.
    let _ = rumpload_sel4::invoke::port_write8(supervisor::exit_port(), EXIT_PORT, value);
    loop {
        rumpload_sel4::syscall::yield_now();
    }
}

fn run(boot: &BootInfo) -> Result<bool, KernelError> {
    let (first, end) = boot.empty();
    let mut objects = Objects::new(slot::CNODE, first, end);
    // The largest first: domains take big blocks.
    let mut bytes = 0_u64;
    for bits in (12..48).rev() {
        for untyped in boot.untyped().filter(|untyped| !untyped.device && untyped.bits == bits) {
            if objects.add(untyped.cap) {
                bytes += 1 << bits;
            }
        }
    }
    let mhz = boot.tsc_mhz().unwrap_or(1000);
    let mut supervisor = Supervisor::new(objects, mhz)?;
    let _ = writeln!(supervisor::serial(), "root: {KERNEL}, {} MiB, {mhz} MHz", bytes >> 20);
    supervisor.start_all()?;
    supervisor.watch()
}

/// Comes from the entry, once.
extern "C" fn begin(boot: *const u8) -> ! {
    // SAFETY: the kernel passed the address to the entry.
    let boot = unsafe { BootInfo::new(boot) };
    // SAFETY: mapped by the kernel for the first thread; the watchdog sends short messages only.
    unsafe { rumpload_sel4::syscall::set_buffer(boot.buffer()) };
    let success = run(&boot).unwrap_or_else(|error| panic!("{error}"));
    let _ = writeln!(supervisor::serial(), "root: {}", if success { "RUMPLOAD-SEL4-OK" } else { "failed" });
    exit(success)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(supervisor::serial(), "root: panic: {info}");
    exit(false)
}
