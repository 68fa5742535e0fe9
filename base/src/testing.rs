//! A kernel for tests of services that need one: this process's memory, a console and a clock of the test's own.

use crate::abi::Abi;
use crate::{Boot, Kernel};
use core::time::Duration;
use rumpload::resource::{Clock, Console, Host, HostError};
use rumpload::{Config, Error, Machine};
use std::string::String;
use std::sync::{Arc, Mutex};

/// 2009-02-13 23:31:30 UTC.
pub(crate) const DATE: u64 = 1_234_567_890;

/// A clock that moves only when somebody sleeps.
#[derive(Default)]
pub(crate) struct Stepping {
    passed: Mutex<Duration>,
}

impl Stepping {
    /// Time that was slept.
    pub(crate) fn passed(&self) -> Duration {
        *self.passed.lock().unwrap()
    }
}

impl Clock for Stepping {
    fn monotonic(&self) -> Result<Duration, HostError> {
        Ok(self.passed())
    }

    fn wall(&self) -> Result<Duration, HostError> {
        Ok(Duration::from_secs(DATE) + self.passed())
    }

    fn sleep(&self, time: Duration) -> Result<(), HostError> {
        *self.passed.lock().unwrap() += time;
        Ok(())
    }
}

/// What was printed.
#[derive(Default)]
struct Paper(Mutex<String>);

impl Console for Paper {
    fn write(&self, text: &str) {
        self.0.lock().unwrap().push_str(text);
    }
}

/// A kernel and what its host's parts show.
pub(crate) struct Bench {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) clock: Arc<Stepping>,
    paper: Arc<Paper>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let abi = Abi::native().expect("tests run on machines with a table");
        let machine = if abi.pointer() == 8 { Machine::X86_64 } else { Machine::X86 };
        let mut host = rumpload_hosted::host(".").unwrap();
        let (clock, paper) = (Arc::new(Stepping::default()), Arc::new(Paper::default()));
        host = Host { clock: clock.clone(), console: paper.clone(), ..host };
        let kernel = Kernel::boot(Boot::new(Config::netbsd(abi.version(), machine), abi), host).unwrap();
        Self { kernel, clock, paper }
    }

    /// Runs `work` inside.
    pub(crate) fn inside<R>(&self, work: impl FnOnce() -> R) -> R {
        self.kernel.instance().enter(work).unwrap()
    }

    /// Runs `work`, which is to end the instance; gives the reason.
    pub(crate) fn ends<R>(&self, work: impl FnOnce() -> R) -> String {
        match self.kernel.instance().enter(work) {
            Err(Error::Ended { reason }) => reason,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("the instance goes on"),
        }
    }

    /// What was printed so far.
    pub(crate) fn printed(&self) -> String {
        self.paper.0.lock().unwrap().clone()
    }
}
