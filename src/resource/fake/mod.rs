//! A hostile host for tests: resources in memory, and a wrapper that makes any host fail or lie at a chosen call.
//!
//! [`Faulty`] counts every call that goes through it, keeps account of what is reserved and open, notes calls that break a
//! contract (the core's faults, not the host's), and does what its [`Faults`] plan says. [`host`] wraps a whole [`Host`].
//! [`MemoryStore`], [`MemoryBlock`], [`Recorder`], [`ManualClock`] and [`Sequence`] are resources without anything below them;
//! memory without code is [`Detached`](super::Detached).

mod block;
mod clock;
mod console;
mod entropy;
mod faults;
#[expect(unsafe_code, reason = "implements the unsafe trait Memory")]
mod memory;
mod store;

pub use block::MemoryBlock;
pub use clock::ManualClock;
pub use console::Recorder;
pub use entropy::Sequence;
pub use faults::{Call, Fault, Faults, Live};
pub use store::MemoryStore;

use super::{Block, Clock, Console, Entropy, Host, HostError, Memory, Store};
use alloc::sync::Arc;

/// A resource that counts its calls and fails or lies when its plan says so; otherwise it is the one below.
pub struct Faulty<T: ?Sized> {
    inner: Arc<T>,
    faults: Arc<Faults>,
}

impl<T: ?Sized> Faulty<T> {
    /// Wraps `inner` under the plan of `faults`.
    pub fn new(inner: Arc<T>, faults: &Arc<Faults>) -> Self {
        Self { inner, faults: faults.clone() }
    }

    /// Counts `call`; the planned error if there is one, the planned misbehaviour for the caller to act out.
    fn enter(&self, call: Call) -> Result<Option<Fault>, HostError> {
        match self.faults.enter(call) {
            Some(Fault::Error(kind)) => Err(kind.into()),
            fault => Ok(fault),
        }
    }
}

/// `host` with every resource wrapped under one plan.
#[must_use]
pub fn host(host: &Host, faults: &Arc<Faults>) -> Host {
    Host {
        memory: Arc::new(Faulty::<dyn Memory>::new(host.memory.clone(), faults)),
        store: Arc::new(Faulty::<dyn Store>::new(host.store.clone(), faults)),
        console: Arc::new(Faulty::<dyn Console>::new(host.console.clone(), faults)),
        clock: Arc::new(Faulty::<dyn Clock>::new(host.clock.clone(), faults)),
        entropy: Arc::new(Faulty::<dyn Entropy>::new(host.entropy.clone(), faults)),
    }
}

/// `device` wrapped under the plan of `faults`.
#[must_use]
pub fn block(device: Arc<dyn Block>, faults: &Arc<Faults>) -> Arc<dyn Block> {
    Arc::new(Faulty::<dyn Block>::new(device, faults))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::RunAddr;
    use crate::resource::conformance::{self, FILES, RunsIn};
    use crate::resource::{Detached, HostErrorKind, Placement, Request, Reservation, Silent};
    use core::time::Duration;
    use std::vec::Vec;

    fn files() -> Arc<MemoryStore> {
        let store = MemoryStore::new();
        FILES.iter().for_each(|(path, _)| store.insert(path, conformance::contents(path)));
        Arc::new(store)
    }

    fn host() -> Host {
        Host {
            memory: Arc::new(Detached::new(RunAddr::new(0x10_0000), 4096)),
            store: files(),
            console: Arc::new(Silent),
            clock: Arc::new(ManualClock::new(Duration::from_secs(1_000_000_000))),
            entropy: Arc::new(Sequence::new(1)),
        }
    }

    fn conforms(host: &Host) {
        conformance::memory(&*host.memory, Placement::Within { first: 0x1000, last: 0x7fff_ffff }, RunsIn::Elsewhere);
        conformance::memory(&*host.memory, Placement::Anywhere, RunsIn::Elsewhere);
        conformance::store(&*host.store);
        conformance::clock(&*host.clock);
        conformance::entropy(&*host.entropy);
    }

    #[test]
    fn fakes_conform() {
        conforms(&host());
        let console = Recorder::new();
        conformance::console(&console, Some(&|| console.text()));
        for sector in [512, 2048, 65536] {
            for read_only in [false, true] {
                let disk = MemoryBlock::new(conformance::device(), sector, read_only).expect("a disk");
                conformance::block(&disk);
            }
        }
    }

    #[test]
    fn a_wrapped_host_conforms_and_counts() {
        let faults = Faults::new();
        conforms(&super::host(&host(), &faults));
        assert!(faults.calls(Some(Call::Open)) > 2000);
        assert_eq!(faults.live(), Live::default());
        // The suite breaks contracts on purpose.
        assert!(!faults.misuse().is_empty());
    }

    #[test]
    fn faults_strike_and_nothing_is_left() {
        let faults = Faults::new();
        let host = super::host(&host(), &faults);
        let request = Request { len: 4096, align: 4096, placement: Placement::Within { first: 0x1000, last: 0x7fff_ffff } };
        for (fault, kind) in [(Fault::Error(HostErrorKind::Busy), HostErrorKind::Busy), (Fault::Lie, HostErrorKind::Protocol)] {
            faults.plan(Some(Call::Reserve), 1, fault);
            let answer = Reservation::new(&host.memory, &request).map(|_| ());
            assert_eq!(answer.expect_err("planned").kind(), kind);
            assert_eq!(faults.live(), Live::default());
        }
        let kept = Reservation::new(&host.memory, &request).expect("memory");
        assert_eq!(faults.live(), Live { regions: 1, bytes: 4096, files: 0 });
        drop(kept);
        faults.plan(Some(Call::List), 1, Fault::Error(HostErrorKind::Io));
        let mut seen = Vec::new();
        assert!(host.store.list("", &mut |name, _| seen.push(std::string::String::from(name))).is_err());
        assert_eq!(seen, ["empty"]);
        let file = host.store.open("small").expect("opened");
        assert_eq!(faults.live().files, 1);
        faults.plan(Some(Call::ReadAt), 1, Fault::Short);
        assert_eq!(host.store.read_at(file, 0, &mut [0; 5]), Ok(3));
        faults.plan(Some(Call::ReadAt), 1, Fault::Lie);
        assert_eq!(host.store.read_at(file, 0, &mut [0; 5]), Ok(6));
        faults.plan(Some(Call::ReadAt), 1, Fault::Garbage);
        let mut buffer = [0; 5];
        assert_eq!(host.store.read_at(file, 0, &mut buffer), Ok(5));
        assert!(buffer.iter().zip(conformance::contents("small")).all(|(read, real)| *read != real));
        host.store.close(file);
        assert_eq!(faults.misuse(), Vec::<std::string::String>::new());
        host.store.close(file);
        assert_eq!(faults.misuse().len(), 1);
        assert_eq!((faults.live(), faults.injected()), (Live::default(), 6));
    }
}
