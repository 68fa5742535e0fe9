//! The domain that asks.
#![no_std]
#![no_main]

use rumpload_sel4::syscall::{Info, call};
use sel4_runtime::layout::{cap, report};
use sel4_runtime::{Start, domain};

domain!(main);

fn main(_start: &'static Start) -> ! {
    let m = call(cap::SERVER, Info::new(0, 0, 1), [5, 0, 0, 0]);
    call(cap::CONSOLE, Info::new(0, 0, 1), m.words);
    let m = call(cap::SERVER, Info::new(0, 0, 1), [66, 0, 0, 0]);
    call(cap::CONSOLE, Info::new(0, 0, 1), m.words);
    let m = call(cap::SERVER, Info::new(0, 0, 1), [7, 0, 0, 0]);
    call(cap::CONSOLE, Info::new(0, 0, 1), m.words);
    call(cap::ROOT, Info::new(report::FINISHED, 0, 1), [0; 4]);
    loop {}
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the domain: the root task gets a fault.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
