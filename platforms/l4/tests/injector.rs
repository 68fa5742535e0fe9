//! Planned faults arrive as errors, once, and leave nothing behind.

use rumpload::address::RunAddr;
use rumpload::resource::fake::{Faults, Live, ManualClock, MemoryStore};
use rumpload::resource::{
    Clock, Detached, HostError, HostErrorKind, Memory, Placement, Protection, Request, Reservation, Segment, Store, fake,
};
use rumpload_l4::in_process::Local;
use rumpload_l4::{Action, Arena, Connection, Injector, RemoteMemory, RemoteStore, Resources, Sender, Server};
use std::sync::Arc;
use std::time::Duration;

fn store(faults: &Arc<Faults>) -> Arc<dyn Store> {
    let files = MemoryStore::new();
    files.insert("file", *b"contents");
    Arc::new(fake::Faulty::<dyn Store>::new(Arc::new(files), faults))
}

#[test]
fn the_nth_answer_goes_wrong_and_no_other() {
    let (faults, clock) = (Faults::new(), Arc::new(ManualClock::new(Duration::ZERO)));
    let server = Server::new(Resources { store: Some(store(&faults)), ..Resources::default() });
    let transport = Arc::new(Local::new(Injector::new(server, Sender::default(), clock.clone()), 4096));
    let connection = Connection::new(transport.clone()).expect("greeted");
    let store = RemoteStore::new(&connection).expect("a store");
    let mut buffer = [0; 8];
    let busy = Action::Fail(HostErrorKind::Busy);
    for (action, kind) in
        [(busy, HostErrorKind::Busy), (Action::Truncate, HostErrorKind::Protocol), (Action::Garble(7), HostErrorKind::Protocol)]
    {
        let file = store.open("file").expect("opened");
        connection.plan_fault(2, action).expect("planned");
        assert_eq!(store.read_at(file, 0, &mut buffer), Ok(8), "the first answer is right");
        let struck = store.read_at(file, 0, &mut buffer).map_err(|error| error.kind());
        assert_eq!(struck, Err(kind), "{action:?}");
        assert_eq!(store.read_at(file, 0, &mut buffer), Ok(8), "the third answer is right");
        assert_eq!(&buffer, b"contents");
        store.close(file);
        assert_eq!(faults.live(), Live::default());
    }
    assert_eq!(connection.plan_fault(0, busy), Ok(3));

    let file = store.open("file").expect("opened");
    connection.plan_fault(1, Action::GarbleWindow(1)).expect("planned");
    assert_eq!(store.read_at(file, 0, &mut buffer), Ok(8));
    assert!(buffer.iter().zip(b"contents").all(|(read, real)| read != real));
    connection.plan_fault(1, Action::Delay(Duration::from_secs(3))).expect("planned");
    assert_eq!(store.read_at(file, 0, &mut buffer), Ok(8));
    assert_eq!(clock.monotonic(), Ok(Duration::from_secs(3)));
    // A greeting that goes wrong can be repeated.
    connection.plan_fault(1, busy).expect("planned");
    assert_eq!(connection.greet().map_err(|error| error.kind()), Err(HostErrorKind::Busy));
    assert!(connection.greet().is_ok());
    assert_eq!(transport.look(Injector::struck), 6);
    assert_eq!(faults.live(), Live::default());
}

/// Every answer of a session goes wrong in turn, in every way; nothing stays open or reserved on the other side.
#[test]
fn nothing_is_left_whichever_answer_goes_wrong() {
    let fail = Action::Fail(HostErrorKind::Busy);
    for action in [fail, Action::Truncate, Action::Garble(1), Action::Garble(2), Action::GarbleWindow(3)] {
        for nth in 1.. {
            let faults = Faults::new();
            let memory: Arc<dyn Memory> = Arc::new(Detached::new(RunAddr::new(0x10_0000), 4096));
            let memory: Arc<dyn Memory> = Arc::new(fake::Faulty::<dyn Memory>::new(memory, &faults));
            let server = Server::new(Resources { store: Some(store(&faults)), memory: Some(memory), ..Resources::default() });
            let clock = Arc::new(ManualClock::new(Duration::ZERO));
            let transport = Arc::new(Local::new(Injector::new(server, Sender::default(), clock), 4096));
            let connection = Connection::new(transport.clone()).expect("greeted");
            connection.plan_fault(nth, action).expect("planned");
            let answer = session(&connection);
            assert_eq!(faults.live(), Live::default(), "{action:?} of answer {nth}: {answer:?}");
            if transport.look(Injector::struck) == 0 {
                assert_eq!(answer, Ok(()));
                assert!(nth > 10, "the session has more answers than that");
                break;
            }
            assert_eq!(session(&connection), Ok(()), "the next session, after {action:?} of answer {nth}");
        }
    }
}

/// Opens, lists and reserves, and gives everything back.
fn session(connection: &Arc<Connection>) -> Result<(), HostError> {
    let store = RemoteStore::new(connection)?;
    let file = store.open("file")?;
    let read = store.size(file).and_then(|_| store.read_at(file, 0, &mut [0; 8]));
    store.close(file);
    read?;
    store.list("", &mut |_, _| {})?;
    // SAFETY: nobody uses the memory.
    let memory: Arc<dyn Memory> = Arc::new(unsafe { RemoteMemory::new(connection, Arena { first: 1, last: u64::MAX }) }?);
    let request = Request { len: 8192, align: 4096, placement: Placement::Anywhere };
    let mut reservation = Reservation::new(&memory, &request)?;
    reservation.finalize(&[Segment { offset: 0, len: 4096, protection: Protection::Read }])
}

#[test]
fn only_the_controller_plans() {
    let server = Server::new(Resources::default());
    let clock = Arc::new(ManualClock::new(Duration::ZERO));
    let connection = Connection::new(Arc::new(Local::new(Injector::new(server, Sender(1), clock), 4096))).expect("greeted");
    assert!(connection.plan_fault(1, Action::Truncate).is_err());
    assert_eq!(connection.ping(), Ok(()));
    let full = Server::new(Resources::default());
    let mut injector = Injector::new(full, Sender(1), Arc::new(ManualClock::new(Duration::ZERO)));
    let plans = (0..100).filter(|_| injector.plan(5, Action::Truncate).is_ok()).count();
    assert_eq!(plans, 64);
}
