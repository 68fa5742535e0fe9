//! Each side lies, at random from fixed seeds: the other gives errors, keeps to its contracts and goes on.

use rumpload::address::RunAddr;
use rumpload::resource::fake::{self, Faults, Live, ManualClock, MemoryBlock, MemoryStore, Sequence};
use rumpload::resource::{
    Block, Clock, Console, Detached, Entropy, FileHandle, Host, HostErrorKind, Memory, Placement, Request, Silent, Store,
};
use rumpload_l4::in_process::Local;
use rumpload_l4::{
    Arena, Capability, Connection, Label, MAX_OPEN, Message, RemoteBlock, RemoteClock, RemoteConsole, RemoteEntropy, RemoteFiles,
    RemoteMemory, RemoteStore, Resources, Sender, Server, Service, Transport, VERSION, Window,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const WINDOW: usize = 16 << 10;

fn server(faults: &Arc<Faults>) -> Server {
    let store = MemoryStore::new();
    store.insert("file", vec![7; 5000]);
    store.insert("directory/other", *b"other");
    let host = Host {
        memory: Arc::new(Detached::new(RunAddr::new(0x10_0000), 4096)),
        store: Arc::new(store),
        console: Arc::new(Silent),
        clock: Arc::new(ManualClock::new(Duration::from_secs(1))),
        entropy: Arc::new(Sequence::new(1)),
    };
    let host = fake::host(&host, faults);
    let disk = |read_only| Arc::new(MemoryBlock::new(vec![3; 40 << 10], 2048, read_only).expect("a disk"));
    Server::new(Resources {
        memory: Some(host.memory),
        store: Some(host.store),
        blocks: vec![fake::block(disk(false), faults), fake::block(disk(true), faults)],
        console: Some(host.console),
        clock: Some(host.clock),
        entropy: Some(host.entropy),
        direct: None,
    })
}

/// Numbers at which things change. None is a length that the memory below could give and would spend seconds on.
fn word(random: &Sequence) -> u64 {
    const EDGES: [u64; 24] = [
        0,
        1,
        2,
        3,
        4,
        5,
        9,
        24,
        255,
        511,
        2048,
        4095,
        4096,
        4097,
        8192,
        WINDOW as u64 - 1,
        WINDOW as u64,
        WINDOW as u64 + 1,
        40 << 10,
        (1 << 31) + 1,
        (1 << 32) - 1,
        1 << 63,
        u64::MAX - 4095,
        u64::MAX,
    ];
    match random.below(8) {
        0 => random.next(),
        1 => random.below(WINDOW as u64),
        _ => EDGES[random.below(EDGES.len() as u64) as usize],
    }
}

/// Words of every operation, by interface.
const COUNTS: [&[u64]; 9] =
    [&[1, 0], &[0, 5, 3, 1], &[2, 3, 1, 4, 1, 3], &[1, 4, 4, 1], &[2], &[0, 0, 2], &[2], &[4, 3, 2, 3, 4, 1, 3, 0], &[4]];

/// Any message; most are of an operation that exists and have as many words as it wants.
fn message(random: &Sequence, message: &mut Message) {
    let (mut label, mut count) = (random.below(1 << 20), random.below(64));
    if random.below(16) != 0 {
        // The greeting, which takes everything back, comes from elsewhere.
        let interface = 1 + random.below(8);
        let counts = COUNTS[interface as usize];
        let operation = random.below(counts.len() as u64);
        label = u64::from(VERSION) << 16 | interface << 8 | operation;
        count = if random.below(8) == 0 { random.below(8) } else { counts[operation as usize] };
    }
    let words: Vec<u64> = (0..count).map(|_| word(random)).collect();
    message.set(Label::new(label).expect("20 bits"), &words).expect("at most 63 words");
    if random.below(64) == 0 {
        message.capability = Some(Capability(random.next()));
    }
}

/// Puts something into the window that a message may name: nothing readable, paths, or segments.
fn scribble(random: &Sequence, window: &Window) {
    let at = [0, 1, 3, 9][random.below(4) as usize];
    match random.below(4) {
        0 => {
            let mut bytes = [0; 64];
            random.fill(&mut bytes).expect("random bytes");
            window.write(word(random) % (WINDOW as u64 - 64), &bytes).expect("inside");
        }
        1 => window.write(at, b"file").expect("inside"),
        2 => window.write(at, b"directory/other/../..\0\xff").expect("inside"),
        _ => {
            for offset in (0..24 * 4).step_by(8) {
                window.write(offset, &word(random).to_le_bytes()).expect("inside");
            }
        }
    }
}

#[test]
fn a_lying_client_gets_errors() {
    for seed in 0..4 {
        let (random, faults) = (Sequence::new(seed), Faults::new());
        let transport = Local::new(server(&faults), WINDOW);
        let mut request = Message::new(Label::new(0).expect("a label"));
        let mut done = 0;
        for _ in 0..10_000 {
            if random.below(4) == 0 {
                scribble(&random, transport.window());
            }
            if random.below(100) == 0 {
                let hello = Label::new(u64::from(VERSION) << 16).expect("a label");
                request.set(hello, &[WINDOW as u64]).expect("one word");
            } else {
                message(&random, &mut request);
            }
            let label = request.label;
            transport.call(&mut request).expect("answered");
            assert_eq!(request.label, label, "an answer has the label of its request");
            assert_eq!(request.capability, None);
            match request.words() {
                [0, results @ ..] => {
                    assert!(results.len() <= 7);
                    done += 1;
                }
                [status, _] => assert!((1..=12).contains(status), "status {status}"),
                words => panic!("an answer of {words:?}"),
            }
            let live = faults.live();
            assert!(live.files <= MAX_OPEN, "{live:?}");
        }
        assert!(done > 1000, "some requests were right: {done}");
        assert_eq!(faults.misuse(), Vec::<String>::new(), "the server's host is never asked for what it must refuse");
        // The next client is served as if nothing had been.
        let connection = Connection::new(Arc::new(transport)).expect("greeted");
        assert_eq!(faults.live(), Live::default());
        let store = RemoteStore::new(&connection).expect("a store");
        let file = store.open("file").expect("opened");
        let mut buffer = [0; 5000];
        assert_eq!(store.read_at(file, 0, &mut buffer), Ok(5000));
        assert!(buffer.iter().all(|&byte| byte == 7));
        store.close(file);
        assert_eq!(faults.live(), Live::default());
    }
}

/// A host that misbehaves below an honest server.
#[test]
fn a_lying_host_below_the_server_gives_errors() {
    for fault in [fake::Fault::Lie, fake::Fault::Garbage, fake::Fault::Short, fake::Fault::Error(HostErrorKind::Io)] {
        let (random, faults) = (Sequence::new(5), Faults::new());
        let connection = Connection::new(Arc::new(Local::new(server(&faults), WINDOW))).expect("greeted");
        faults.plan_from(None, 1, fault);
        for _ in 0..2000 {
            use_everything(&connection, &random);
        }
        faults.clear();
        connection.greet().expect("greeted");
        assert_eq!(faults.live(), Live::default());
    }
}

/// A transport whose server changes its answers at random, and the window too.
struct Liar {
    server: Local<Server>,
    random: Mutex<Sequence>,
    /// One answer of so many is a lie.
    rarity: u64,
}

impl Transport for Liar {
    fn call(&self, request: &mut Message) -> Result<(), rumpload::resource::HostError> {
        let label = request.label;
        self.server.call(request)?;
        let random = self.random.lock().expect("not poisoned");
        if random.below(self.rarity) != 0 {
            return Ok(());
        }
        let mut words = request.words().to_vec();
        match random.below(8) {
            0 => message(&random, request),
            1 => scribble(&random, self.window()),
            2 => drop(words.pop()),
            3 => words.push(word(&random)),
            4 => request.capability = Some(Capability(1)),
            5 if words.len() > 1 => words[1] = word(&random),
            _ if !words.is_empty() => {
                let index = random.below(words.len() as u64) as usize;
                words[index] = word(&random);
            }
            _ => words = vec![0; 63],
        }
        if request.label == label && request.capability.is_none() {
            request.set(label, &words).ok();
        }
        Ok(())
    }

    fn receive(&self, message: &mut Message) -> Result<Sender, rumpload::resource::HostError> {
        self.server.receive(message)
    }

    fn reply_and_receive(&self, message: &mut Message) -> Result<Sender, rumpload::resource::HostError> {
        self.server.reply_and_receive(message)
    }

    fn window(&self) -> &Window {
        self.server.window()
    }
}

/// One call of some resource; whatever it answers keeps the promises that need no honest server.
fn use_everything(connection: &Arc<Connection>, random: &Sequence) {
    let size = random.below(40_000) as usize;
    let mut buffer = vec![0xee; size];
    match random.below(12) {
        0 => {
            if let Ok(store) = RemoteStore::new(connection) {
                let _ = store.metadata("file").map(|found| found.size);
                let _ = store.open("directory").map(|file| store.close(file));
                store.close(FileHandle(random.next()));
            }
        }
        1..=3 => {
            if let Ok(store) = RemoteStore::new(connection)
                && let Ok(file) = store.open("file")
            {
                let _ = store.size(file);
                if let Ok(count) = store.read_at(file, word(random), &mut buffer) {
                    assert!(count <= size, "a read gives at most what was asked");
                }
                store.close(file);
            }
        }
        4..=5 => {
            if let Ok(store) = RemoteStore::new(connection) {
                let _ = store.list("directory", &mut |name, _| {
                    assert!(!matches!(name, "" | "." | ".."), "a name of {name:?}");
                    assert!(!name.contains(['/', '\0']), "a name of {name:?}");
                });
            }
        }
        6..=7 => {
            if let Ok(disk) = RemoteBlock::new(connection, random.below(3) as u32) {
                let sector = disk.sector_size() as usize;
                assert!(sector.is_power_of_two() && disk.size().is_multiple_of(sector as u64));
                let whole = size / sector * sector;
                if let Ok(count) = disk.read(word(random) / sector as u64 * sector as u64, &mut buffer[..whole]) {
                    assert!(count <= whole && count.is_multiple_of(sector));
                }
                let _ = (disk.write(0, &buffer[..whole]), disk.flush());
            }
        }
        8 => {
            if let Ok(clock) = RemoteClock::new(connection) {
                let mut last = Duration::ZERO;
                for _ in 0..4 {
                    if let Ok(now) = clock.monotonic() {
                        assert!(now >= last, "monotonic time went from {last:?} back to {now:?}");
                        last = now;
                    }
                }
                let _ = (clock.wall(), clock.sleep(Duration::from_millis(2500)));
            }
        }
        9 => {
            if let Ok(entropy) = RemoteEntropy::new(connection) {
                let _ = entropy.fill(&mut buffer);
            }
            if let Ok(console) = RemoteConsole::new(connection) {
                console.write(&"öl\n".repeat(size / 16));
            }
            // Not served, unless the server lies.
            if let Ok(files) = RemoteFiles::new(connection) {
                let _ = (files.status(), files.stat(b"/"), files.unmount(b"/", true), files.list(b"/", &mut |_, _| {}));
            }
        }
        _ => {
            let arena = Arena { first: 0x1000, last: u64::MAX >> 1 };
            // SAFETY: the memory is looked at as numbers only, never accessed.
            let Ok(memory) = (unsafe { RemoteMemory::new(connection, arena) }) else { return };
            let placement = Placement::Within { first: 0x10_0000, last: 0x7fff_ffff };
            let request = Request { len: 4096 * (1 + size / 4096), align: memory.page_size().min(1 << 20), placement };
            let mut regions = Vec::new();
            for _ in 0..3 {
                let Ok(region) = memory.reserve(&request) else { continue };
                let (run, working) = (region.run.get(), region.working.as_ptr() as u64);
                assert!(run >= 0x10_0000 && run + region.len as u64 <= 1 << 31, "a region at {run:#x}");
                assert!(working >= arena.first && working + region.len as u64 <= arena.last, "working memory at {working:#x}");
                let _ = memory.finalize(&region, &[]);
                regions.push(region);
            }
            for (index, one) in regions.iter().enumerate() {
                let len = one.len as u64;
                let apart = |a: u64, b: u64| a + len <= b || b + len <= a;
                assert!(regions[index + 1..].iter().all(|other| apart(one.run.get(), other.run.get())));
            }
            regions.into_iter().for_each(|region| memory.release(region));
        }
    }
}

#[test]
fn a_lying_server_causes_errors() {
    for (seed, rarity) in [(1, 1), (2, 2), (3, 3), (4, 5), (5, 10), (6, 30)] {
        let faults = Faults::new();
        let liar = Liar { server: Local::new(server(&faults), WINDOW), random: Mutex::new(Sequence::new(seed)), rarity };
        let transport: Arc<dyn Transport> = Arc::new(liar);
        let random = Sequence::new(seed + 100);
        let mut connections = 0;
        for _ in 0..2000 {
            let Ok(connection) = Connection::new(transport.clone()) else { continue };
            connections += 1;
            for _ in 0..10 {
                use_everything(&connection, &random);
            }
        }
        assert!(connections > 0, "no greeting ever went through");
        assert_eq!(faults.misuse(), Vec::<String>::new());
    }
}

#[test]
fn nothing_is_served_before_a_greeting() {
    let transport = Local::new(server(&Faults::new()), WINDOW);
    for interface in 1..=8 {
        let label = Label::new(u64::from(VERSION) << 16 | interface << 8).expect("a label");
        let mut request = Message::new(label);
        transport.call(&mut request).expect("answered");
        assert_ne!(request.words()[0], 0);
    }
    // Another version, and another window.
    for (label, words) in [(2 << 16, [WINDOW as u64]), (u64::from(VERSION) << 16, [4096])] {
        let mut request = Message::new(Label::new(label).expect("a label"));
        request.set(request.label, &words).expect("one word");
        transport.call(&mut request).expect("answered");
        assert_ne!(request.words()[0], 0);
    }
}

#[test]
fn a_service_is_asked_by_one_method() {
    // The window of another connection: everything outside it is refused, whatever the length of the own one.
    let mut server = server(&Faults::new());
    let small = Local::new(Server::new(Resources::default()), 64);
    let mut request = Message::new(Label::new(u64::from(VERSION) << 16).expect("a label"));
    request.set(request.label, &[64]).expect("one word");
    server.handle(Sender(3), &mut request, small.window());
    assert_eq!(request.words()[0], 0);
    let metadata = Label::new(u64::from(VERSION) << 16 | 2 << 8).expect("a label");
    request.set(metadata, &[60, 5]).expect("two words");
    server.handle(Sender(3), &mut request, small.window());
    assert_eq!(request.words()[0], 5);
}
