//! Runs the library's conformance suite with the rights of the domain with the library: on this domain's own memory, and on the
//! files, disk, console, clock and random numbers that the domain with the devices serves. Then answers calls, which is how
//! the client learns that all checks passed: one that does not ends the domain.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;
use core::ptr::NonNull;
use rumpload::resource::conformance::{self, RunsIn};
use rumpload::resource::{HostError, HostErrorKind, Memory, Placement};
use rumpload_l4::{
    Connection, EntryKind, Failure, FileServer, FileService, FileStat, Mount, RemoteBlock, Sender, Status, host, serve,
};
use rumpload_sel4::{Caller, DomainMemory, LAST_WORDS, LoadMap, Objects, ProcessorEntropy, Receiver, Reply, TscClock};
use sel4_runtime::layout::{self, badge, cap};
use sel4_runtime::{Start, Text, die, domain, window};

domain!(main);

fn main(start: &'static Start) -> ! {
    match run(start) {
        Ok(error) | Err(error) => panic!("{error}"),
    }
}

fn run(start: &'static Start) -> Result<HostError, HostError> {
    let mut objects = Objects::new(cap::CNODE, cap::FREE, start.slots);
    assert!(objects.add(cap::UNTYPED), "room for the first untyped object");
    // SAFETY: the addresses are for module memory alone.
    let memory = Arc::new(unsafe { DomainMemory::new(cap::VSPACE, objects, layout::MODULES, layout::MODULES_END) });
    let connection = Connection::new(Arc::new(Caller::new(cap::SERVER, window(layout::WINDOW_UP))))?;
    let host = host(&connection, memory.clone())?;
    let block = RemoteBlock::new(&connection, 0)?;
    let passed = |what: &str| host.console.write(Text::<64>::new(format_args!("conformance: {what} passed\n")).as_str());

    let near = Placement::Within { first: layout::MODULES, last: layout::MODULES_END - 1 };
    for placement in [Placement::Anywhere, near] {
        conformance::memory(&*memory, placement, RunsIn::ThisProgram);
    }
    assert_eq!(memory.usage().0, 0, "all memory came back");
    passed("memory");
    conformance::store(&*host.store);
    passed("store");
    conformance::block(&block);
    passed("block");
    conformance::console(&*host.console, None);
    host.console.write("\n");
    passed("console");
    conformance::clock(&*host.clock);
    conformance::clock(&TscClock::new(start.tsc_mhz, host.clock.wall().ok()));
    passed("clock");
    conformance::entropy(&*host.entropy);
    conformance::entropy(&ProcessorEntropy::new());
    passed("entropy");
    refuses(&memory);
    passed("exhaustion");

    let mut down = Receiver::new(cap::SERVICE, Reply::Slot { cnode: cap::CNODE, slot: cap::REPLY.0 });
    assert!(down.with_client(Sender(badge::CLIENT), window(layout::WINDOW_DOWN)), "room for a client");
    Ok(serve(&down, &mut FileServer::new(NoFiles)))
}

/// The client asks for files; here are none.
struct NoFiles;

const NONE: Failure = Failure::Host(HostError::new(HostErrorKind::Unsupported));

impl FileService for NoFiles {
    type File = ();

    fn mount(&mut self, _mount: &Mount<'_>) -> Result<(), Failure> {
        Err(NONE)
    }

    fn unmount(&mut self, _path: &[u8], _force: bool) -> Result<(), Failure> {
        Err(NONE)
    }

    fn stat(&mut self, _path: &[u8]) -> Result<FileStat, Failure> {
        Err(NONE)
    }

    fn open(&mut self, _path: &[u8]) -> Result<(), Failure> {
        Err(NONE)
    }

    fn read(&mut self, _file: &(), _offset: u64, _buffer: &mut [u8]) -> Result<usize, Failure> {
        Err(NONE)
    }

    fn close(&mut self, _file: ()) {}

    fn list(&mut self, _path: &[u8], _each: &mut dyn FnMut(&[u8], EntryKind)) -> Result<(), Failure> {
        Err(NONE)
    }

    fn status(&mut self) -> Status {
        Status::default()
    }
}

/// What the domain's memory does not suffice for is an error, after which everything is as before.
fn refuses(memory: &DomainMemory) {
    let request = rumpload::resource::Request { len: 64 << 20, align: memory.page_size(), placement: Placement::Anywhere };
    let kind = memory.reserve(&request).map(|_| ()).map_err(|error| error.kind());
    assert_eq!(kind, Err(HostErrorKind::OutOfMemory), "more memory than there is");
    assert_eq!(memory.usage().0, 0, "a failed request keeps nothing");
    conformance::memory(memory, Placement::Anywhere, RunsIn::ThisProgram);
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let base = core::ptr::with_exposed_provenance_mut(layout::LOAD_MAP as usize);
    if let Some(base) = NonNull::new(base) {
        // SAFETY: the root task mapped it read-write, for good, for this alone.
        unsafe { LoadMap::new(base) }.last_words(Text::<LAST_WORDS>::new(format_args!("{info}")).as_str());
    }
    die()
}
