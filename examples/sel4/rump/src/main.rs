//! The domain that runs the library and the base kernel: it has memory, a server to call and an endpoint to serve, and no right
//! to any device.
#![no_std]
#![no_main]

extern crate alloc;

mod files;
mod options;
mod sectors;
mod supervised;

use alloc::sync::Arc;
use core::ptr::NonNull;
use files::{KernelFiles, Start as Kernels};
use rumpload::resource::{Console, HostError};
use rumpload_l4::{Connection, FileServer, RemoteConsole, Sender, host, serve};
use rumpload_sel4::{Caller, DomainMemory, LAST_WORDS, LoadMap, Objects, Receiver, Reply, TscClock};
use sel4_runtime::layout::{self, badge, cap};
use sel4_runtime::{Start, Text, die, domain, window};
use supervised::Supervised;

domain!(main);

static LOAD_MAP: spin::Once<LoadMap> = spin::Once::new();

/// What this domain leaves for the root task.
pub(crate) fn load_map() -> &'static LoadMap {
    LOAD_MAP.call_once(|| {
        let base = core::ptr::with_exposed_provenance_mut(layout::LOAD_MAP as usize);
        let base = NonNull::new(base).expect("the layout has no memory at 0");
        // SAFETY: the root task mapped it read-write, for good, for this alone.
        unsafe { LoadMap::new(base) }
    })
}

fn main(start: &'static Start) -> ! {
    match run(start) {
        Ok(error) | Err(error) => panic!("{error}"),
    }
}

/// Serves until receiving fails; the error.
fn run(start: &'static Start) -> Result<HostError, HostError> {
    let mut objects = Objects::new(cap::CNODE, cap::FREE, start.slots);
    assert!(objects.add(cap::UNTYPED), "room for the first untyped object");
    // SAFETY: the addresses are for module memory alone.
    let memory = Arc::new(unsafe { DomainMemory::new(cap::VSPACE, objects, layout::MODULES, layout::MODULES_END) });
    let up = Arc::new(Caller::new(cap::SERVER, window(layout::WINDOW_UP)));
    let connection = Connection::new(up)?;
    let console = RemoteConsole::new(&connection)?;
    let mut host = host(&connection, memory.clone())?;
    // Each request looks at the clock. The time-stamp counter needs no right and no call; what day it is the server knows.
    host.clock = Arc::new(TscClock::new(start.tsc_mhz, host.clock.wall().ok()));
    let kernels = Kernels { host, connection, memory };
    let mut down = Receiver::new(cap::SERVICE, Reply::Slot { cnode: cap::CNODE, slot: cap::REPLY.0 });
    assert!(down.with_client(Sender(badge::CLIENT), window(layout::WINDOW_DOWN)), "room for a client");
    if start.restarts == 0 {
        let [text, data] = start.image;
        let line = Text::<LAST_WORDS>::new(format_args!("text {text} data {data} bytes\n"));
        console.write(line.as_str());
    }
    let service = FileServer::new(KernelFiles::new(kernels));
    Ok(serve(&down, &mut Supervised::new(service, load_map())))
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    load_map().last_words(Text::<LAST_WORDS>::new(format_args!("{info}")).as_str());
    die()
}
