//! The promises of the resource traits, checked through messages between two threads.

use rumpload::resource::conformance::{self, RunsIn};
use rumpload::resource::fake::{Call, Faults, Live, MemoryBlock, MemoryStore, Recorder};
use rumpload::resource::{Block, Host, Memory, Placement, Store, fake};
use rumpload_hosted::{SystemClock, SystemEntropy};
use rumpload_l4::in_process::pair;
use rumpload_l4::{Arena, Connection, RemoteBlock, RemoteConsole, RemoteMemory, Resources, Server, host, serve};
use std::sync::Arc;
use std::thread::JoinHandle;

/// Windows as small as a page, of an odd length, and larger than any file.
const WINDOWS: [usize; 4] = [4096, 70_001, 64 << 10, 1 << 20];
/// Everything that a process of this machine may use.
const ARENA: Arena = Arena { first: 0x1000, last: usize::MAX as u64 >> 1 };

struct System {
    connection: Arc<Connection>,
    server: JoinHandle<()>,
    faults: Arc<Faults>,
    recorder: Arc<Recorder>,
    memory: Arc<rumpload_hosted::Memory>,
}

fn system(window: usize, blocks: Vec<Arc<dyn Block>>) -> System {
    let store = MemoryStore::new();
    conformance::FILES.iter().for_each(|(path, _)| store.insert(path, conformance::contents(path)));
    let (faults, recorder, memory) = (Faults::new(), Arc::new(Recorder::new()), Arc::new(rumpload_hosted::Memory::new()));
    let below = Host {
        memory: memory.clone(),
        store: Arc::new(store),
        console: recorder.clone(),
        clock: Arc::new(SystemClock::new()),
        entropy: Arc::new(SystemEntropy),
    };
    let below = fake::host(&below, &faults);
    let mut server = Server::new(Resources {
        memory: Some(below.memory),
        store: Some(below.store),
        blocks: blocks.into_iter().map(|device| fake::block(device, &faults)).collect(),
        console: Some(below.console),
        clock: Some(below.clock),
        entropy: Some(below.entropy),
        direct: None,
    });
    let (client, end) = pair(window);
    let server = std::thread::spawn(move || {
        serve(&end, &mut server);
    });
    let connection = Connection::new(Arc::new(client)).expect("greeted");
    System { connection, server, faults, recorder, memory }
}

fn remote_memory(connection: &Arc<Connection>) -> Arc<dyn Memory> {
    // SAFETY: the server is in this process and serves memory of this process that nobody else uses.
    Arc::new(unsafe { RemoteMemory::new(connection, ARENA) }.expect("memory"))
}

#[test]
fn everything_but_devices() {
    for window in WINDOWS {
        let system = system(window, Vec::new());
        let host = host(&system.connection, remote_memory(&system.connection)).expect("a host");
        let below_2_gib = Placement::Within { first: 0x1_0000, last: 0x7fff_ffff };
        conformance::memory(&*host.memory, below_2_gib, RunsIn::ThisProgram);
        conformance::memory(&*host.memory, Placement::Anywhere, RunsIn::ThisProgram);
        conformance::store(&*host.store);
        conformance::console(&*host.console, Some(&|| system.recorder.text()));
        conformance::clock(&*host.clock);
        conformance::entropy(&*host.entropy);
        assert_eq!(system.faults.live(), Live::default(), "nothing is left with a window of {window} bytes");
        assert_eq!(system.faults.misuse(), Vec::<String>::new(), "the server refuses before it asks its host");
        assert_eq!(system.memory.in_use(), 0);
        drop((host, system.connection));
        system.server.join().expect("the server ends without a panic");
    }
}

#[test]
fn devices() {
    for (sector, window) in [(512, 4096), (2048, 5000), (4096, 1 << 20), (65536, 70_001), (65536, 1 << 20)] {
        let disk = |read_only| MemoryBlock::new(conformance::device(), sector, read_only).expect("a disk");
        let system = system(window, vec![Arc::new(disk(false)), Arc::new(disk(true))]);
        for device in [0, 1] {
            conformance::block(&RemoteBlock::new(&system.connection, device).expect("a device"));
        }
        assert!(RemoteBlock::new(&system.connection, 2).is_err());
    }
}

#[test]
fn what_is_not_served_is_unsupported() {
    let (client, end) = pair(4096);
    std::thread::spawn(move || serve(&end, &mut Server::new(Resources::default())));
    let connection = Connection::new(Arc::new(client)).expect("greeted");
    assert!(RemoteConsole::new(&connection).is_err() && RemoteBlock::new(&connection, 0).is_err());
    assert!(host(&connection, Arc::new(rumpload_hosted::Memory::new())).is_err());
    assert_eq!(connection.ping(), Ok(()));
}

#[test]
fn a_client_that_comes_again_finds_nothing_open() {
    let system = system(4096, Vec::new());
    let memory = remote_memory(&system.connection);
    let host = host(&system.connection, memory.clone()).expect("a host");
    let page = memory.page_size();
    let request = rumpload::resource::Request { len: page, align: page, placement: Placement::Anywhere };
    let file = host.store.open("small").expect("opened");
    let _forgotten = memory.reserve(&request).expect("memory");
    assert_eq!(system.faults.live(), Live { regions: 1, bytes: page, files: 1 });
    system.connection.greet().expect("greeted");
    assert_eq!(system.faults.live(), Live::default());
    assert!(host.store.size(file).is_err());
    host.store.close(host.store.open("small").expect("opened"));
}

#[test]
fn a_server_that_is_gone_is_an_error() {
    let (client, end) = pair(4096);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let server = std::thread::spawn(move || {
        let mut server = Server::new(Resources { store: Some(store), ..Resources::default() });
        let mut message = rumpload_l4::Message::new(rumpload_l4::Label::new(0).expect("a label"));
        use rumpload_l4::{Service, Transport};
        let sender = end.receive(&mut message).expect("greeted");
        server.handle(sender, &mut message, end.window());
        // Answers the greeting, takes the next request, and ends.
        let _ = end.reply_and_receive(&mut message);
    });
    let connection = Connection::new(Arc::new(client)).expect("greeted");
    let store = rumpload_l4::RemoteStore::new(&connection).expect("a store");
    assert!(store.metadata("small").is_err());
    assert!(store.metadata("small").is_err());
    server.join().expect("no panic");
}

#[test]
fn bulk_goes_in_few_messages() {
    let system = system(64 << 10, Vec::new());
    let host = host(&system.connection, Arc::new(rumpload_hosted::Memory::new())).expect("a host");
    let file = host.store.open("sub/large").expect("opened");
    let mut buffer = vec![0; 64 << 10];
    let before = system.faults.calls(Some(Call::ReadAt));
    assert_eq!(host.store.read_at(file, 0, &mut buffer), Ok(64 << 10));
    assert!(buffer[..] == conformance::contents("sub/large")[..64 << 10]);
    // One message; the server fills the window in four pieces.
    assert_eq!(system.faults.calls(Some(Call::ReadAt)) - before, 4);
    host.store.close(file);
}
