use crate::address::RunAddr;
use crate::resource::{FileHandle, HostErrorKind, Region};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use spin::Mutex;

/// A method of the host that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// `Memory::reserve`.
    Reserve,
    /// `Memory::finalize`.
    Finalize,
    /// `Store::metadata`.
    Metadata,
    /// `Store::open`.
    Open,
    /// `Store::size`.
    Size,
    /// `Store::read_at`.
    ReadAt,
    /// `Store::list`.
    List,
    /// `Block::read`.
    BlockRead,
    /// `Block::write`.
    BlockWrite,
    /// `Block::flush`.
    Flush,
    /// `Console::write`; a fault loses the text.
    Print,
    /// `Clock::monotonic`.
    Monotonic,
    /// `Clock::wall`.
    Wall,
    /// `Clock::sleep`.
    Sleep,
    /// `Entropy::fill`.
    Fill,
}

impl Call {
    /// Every kind of call; those that give something back cannot fail and are not among them.
    pub const ALL: [Self; 15] = [
        Self::Reserve,
        Self::Finalize,
        Self::Metadata,
        Self::Open,
        Self::Size,
        Self::ReadAt,
        Self::List,
        Self::BlockRead,
        Self::BlockWrite,
        Self::Flush,
        Self::Print,
        Self::Monotonic,
        Self::Wall,
        Self::Sleep,
        Self::Fill,
    ];
}

/// What a call does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails and has no effect. A list fails after its first entry.
    Error(HostErrorKind),
    /// It does half: reads give fewer bytes. Other calls do their work.
    Short,
    /// It answers with bytes that are not those of the file or device, or that are no name. Other calls do their work.
    Garbage,
    /// It answers what its contract excludes: more bytes than were asked for, a region elsewhere, sizes nothing can have, time
    /// that goes back.
    Lie,
}

/// What is given out now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Regions reserved.
    pub regions: usize,
    /// Bytes in them.
    pub bytes: usize,
    /// Files open.
    pub files: usize,
}

struct Planned {
    call: Option<Call>,
    /// Calls until it strikes; 1: the next.
    remaining: u64,
    fault: Fault,
    repeats: bool,
}

#[derive(Default)]
struct State {
    counts: [u64; Call::ALL.len()],
    plan: Vec<Planned>,
    injected: u64,
    regions: Vec<Reserved>,
    files: Vec<FileHandle>,
    misuse: Vec<String>,
}

/// A region that is reserved.
struct Reserved {
    /// Where its bytes are written.
    working: usize,
    /// Where it runs; its taker may have been told otherwise.
    run: RunAddr,
    len: usize,
}

/// When which call fails, and the account of everything that went through.
#[derive(Default)]
pub struct Faults {
    state: Mutex<State>,
}

impl Faults {
    /// Nothing planned, nothing counted.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Plans `fault` for the `nth` call from now (1: the next) of kind `call`, or of any kind. It strikes once.
    pub fn plan(&self, call: Option<Call>, nth: u64, fault: Fault) {
        self.state.lock().plan.push(Planned { call, remaining: nth.max(1), fault, repeats: false });
    }

    /// As [`plan`](Self::plan), for the `nth` call and all after it.
    pub fn plan_from(&self, call: Option<Call>, nth: u64, fault: Fault) {
        self.state.lock().plan.push(Planned { call, remaining: nth.max(1), fault, repeats: true });
    }

    /// Forgets what is planned and how often it struck.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.plan.clear();
        state.injected = 0;
    }

    /// Calls so far, of kind `call` or of all kinds.
    #[must_use]
    pub fn calls(&self, call: Option<Call>) -> u64 {
        let state = self.state.lock();
        match call {
            Some(call) => state.counts[call as usize],
            None => state.counts.iter().sum(),
        }
    }

    /// How often a planned fault struck since the last [`clear`](Self::clear).
    #[must_use]
    pub fn injected(&self) -> u64 {
        self.state.lock().injected
    }

    /// What is given out now.
    #[must_use]
    pub fn live(&self) -> Live {
        let state = self.state.lock();
        let bytes = state.regions.iter().map(|reserved| reserved.len).sum();
        Live { regions: state.regions.len(), bytes, files: state.files.len() }
    }

    /// Calls that broke the contract of the resource: unknown handles and regions, unfit arguments. Empty for a correct caller.
    #[must_use]
    pub fn misuse(&self) -> Vec<String> {
        self.state.lock().misuse.clone()
    }

    /// Counts `call` and says what it is to do instead, if anything.
    pub(super) fn enter(&self, call: Call) -> Option<Fault> {
        let mut state = self.state.lock();
        state.counts[call as usize] += 1;
        let mut strikes = None;
        state.plan.retain_mut(|planned| {
            if planned.call.is_some_and(|wanted| wanted != call) {
                return true;
            }
            planned.remaining = planned.remaining.saturating_sub(1);
            if planned.remaining > 0 {
                return true;
            }
            strikes = strikes.or(Some(planned.fault));
            planned.repeats
        });
        state.injected += u64::from(strikes.is_some());
        strikes
    }

    pub(super) fn note(&self, misuse: String) {
        self.state.lock().misuse.push(misuse);
    }

    pub(super) fn reserved(&self, region: &Region) {
        let working = region.working.as_ptr() as usize;
        self.state.lock().regions.push(Reserved { working, run: region.run, len: region.len });
    }

    /// Where the region really runs; `None` if it is not reserved.
    pub(super) fn run(&self, region: &Region) -> Option<RunAddr> {
        let working = region.working.as_ptr() as usize;
        self.state.lock().regions.iter().find(|reserved| reserved.working == working).map(|reserved| reserved.run)
    }

    pub(super) fn released(&self, region: &Region) {
        let working = region.working.as_ptr() as usize;
        self.state.lock().regions.retain(|reserved| reserved.working != working);
    }

    pub(super) fn opened(&self, file: FileHandle) {
        self.state.lock().files.push(file);
    }

    pub(super) fn is_open(&self, file: FileHandle) -> bool {
        self.state.lock().files.contains(&file)
    }

    pub(super) fn closed(&self, file: FileHandle) {
        self.state.lock().files.retain(|open| *open != file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_planned_call_is_struck_and_no_other() {
        let faults = Faults::new();
        let fault = Fault::Error(HostErrorKind::Io);
        faults.plan(Some(Call::Open), 2, fault);
        let calls = [Call::Open, Call::Size, Call::Open, Call::Open];
        assert_eq!(calls.map(|call| faults.enter(call)), [None, None, Some(fault), None]);
        assert_eq!((faults.calls(None), faults.calls(Some(Call::Open)), faults.injected()), (4, 3, 1));
        faults.plan_from(None, 2, Fault::Lie);
        assert_eq!(calls.map(|call| faults.enter(call)), [None, Some(Fault::Lie), Some(Fault::Lie), Some(Fault::Lie)]);
        faults.clear();
        assert_eq!((faults.enter(Call::Size), faults.injected()), (None, 0));
    }

    #[test]
    fn the_list_of_calls_is_in_the_order_of_their_numbers() {
        assert!(Call::ALL.iter().enumerate().all(|(index, call)| *call as usize == index));
    }
}
