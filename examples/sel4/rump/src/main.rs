//! The domain with the library.
#![no_std]
#![no_main]

use rumpload_sel4::syscall::{Info, call, receive, reply_receive};
use sel4_runtime::layout::cap;
use sel4_runtime::{Start, domain};

domain!(main);

fn main(_start: &'static Start) -> ! {
    call(cap::SERVER, Info::new(0, 0, 1), [1, 0, 0, 0]);
    let mut m = receive(cap::SERVICE);
    loop {
        rumpload_sel4::invoke::save_caller(cap::CNODE, cap::REPLY.0).unwrap();
        if m.words[0] == 66 { panic!("aua") }
        rumpload_sel4::syscall::send(cap::REPLY, Info::new(0, 0, 1), [m.words[0] + 1, 0, 0, 0]);
        m = receive(cap::SERVICE);
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the domain: the root task gets a fault.
    unsafe { core::arch::asm!("ud2", options(noreturn)) }
}
