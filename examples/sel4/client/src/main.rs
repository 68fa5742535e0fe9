//! The domain that asks: it carries out the instructions that were handed over at the start of the machine, over the domain with
//! the library, and tells the root task how that went.
#![no_std]
#![no_main]

extern crate alloc;

mod bench;
mod script;
mod walk;

use alloc::sync::Arc;
use rumpload::resource::{Console, HostError, HostErrorKind, Store};
use rumpload_l4::{Connection, RemoteConsole, RemoteStore};
use rumpload_sel4::Caller;
use rumpload_sel4::syscall::{Info, call};
use script::Session;
use sel4_runtime::layout::{self, cap, report};
use sel4_runtime::{Start, Text, die, domain, window};

domain!(main);

/// Longest file of instructions.
const MOST: u64 = 1 << 16;

fn main(_start: &'static Start) -> ! {
    let failed = match run() {
        Ok(success) => !success,
        Err(error) => panic!("{error}"),
    };
    call(cap::ROOT, Info::new(report::FINISHED, 0, 1), [failed.into(), 0, 0, 0]);
    unreachable!("the root task ends the machine");
}

fn run() -> Result<bool, HostError> {
    let services = Connection::new(Arc::new(Caller::new(cap::CONSOLE, window(layout::WINDOW_CONSOLE))))?;
    let console = RemoteConsole::new(&services)?;
    let store = RemoteStore::new(&services)?;
    let file = store.open("command")?;
    let len = store.size(file)?.min(MOST) as usize;
    let mut bytes = alloc::vec![0; len];
    let mut done = 0;
    while done < len {
        match store.read_at(file, done as u64, &mut bytes[done..])? {
            0 => return Err(HostErrorKind::Protocol.into()),
            count => done += count,
        }
    }
    store.close(file);
    let text = core::str::from_utf8(&bytes).map_err(|_| HostErrorKind::InvalidInput)?;
    let rump = Arc::new(Caller::new(cap::SERVER, window(layout::WINDOW_UP)));
    let session = Session::new(Connection::new(rump)?, services)?;
    for line in text.lines().filter(|line| !line.is_empty()) {
        if let Err(failure) = session.line(line) {
            console.write(Text::<256>::new(format_args!("failed: {line}: {failure}\n")).as_str());
            return Ok(false);
        }
    }
    Ok(true)
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    // The console may be in the middle of a message, so it gets a connection of its own.
    if let Ok(services) = Connection::new(Arc::new(Caller::new(cap::CONSOLE, window(layout::WINDOW_CONSOLE))))
        && let Ok(console) = RemoteConsole::new(&services)
    {
        console.write(Text::<256>::new(format_args!("panic: {info}\n")).as_str());
    }
    die()
}
