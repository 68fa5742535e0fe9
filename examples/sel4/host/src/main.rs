//! The domain with the devices.
#![no_std]
#![no_main]

use core::fmt::Write;
use rumpload_sel4::Serial;
use rumpload_sel4::syscall::{Info, receive, reply_receive};
use sel4_runtime::layout::cap;
use sel4_runtime::{Start, domain};

domain!(main);

fn main(start: &'static Start) -> ! {
    let _ = writeln!(Serial::new(cap::SERIAL), "host: hello {start:x?}");
    let mut m = receive(cap::SERVICE);
    loop {
        let _ = writeln!(Serial::new(cap::SERIAL), "host: badge {} {:x?}", m.badge, m.words);
        m = reply_receive(cap::SERVICE, Info::new(0, 0, 1), [m.words[0] + 1, 0, 0, 0]);
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let _ = writeln!(Serial::new(cap::SERIAL), "host: {info}");
    // SAFETY: ends the domain: the root task gets a fault.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
