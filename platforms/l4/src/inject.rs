//! Planned faults of a server, to see what its clients make of them.

use crate::wire::{self, Interface, answer, failure, failure::Failure, respond, time};
use crate::{Message, Sender, Service, Window};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;
use rumpload::resource::{Clock, HostError, HostErrorKind};

/// Faults that may be planned at a time.
const MAX_PLANS: usize = 64;

/// What happens to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The request is not carried out and the answer is this error.
    Fail(HostErrorKind),
    /// The answer comes after this time.
    Delay(Duration),
    /// The answer loses its last word, or its label if it has no words.
    Truncate,
    /// The words of the answer are changed, in a way that depends on the number.
    Garble(u64),
    /// Bytes of the window are changed, in a way that depends on the number.
    GarbleWindow(u64),
}

impl Action {
    pub(crate) fn words(self) -> [u64; 3] {
        match self {
            Self::Fail(kind) => [0, failure::number(kind), 0],
            Self::Delay(time) => [1, time.as_secs(), time.subsec_nanos().into()],
            Self::Truncate => [2, 0, 0],
            Self::Garble(seed) => [3, seed, 0],
            Self::GarbleWindow(seed) => [4, seed, 0],
        }
    }

    fn of(words: [u64; 3]) -> Result<Self, HostError> {
        Ok(match words {
            [0, number, 0] => Self::Fail(failure::kind(number).ok_or(HostErrorKind::InvalidInput)?),
            [1, seconds, nanoseconds] => Self::Delay(time(seconds, nanoseconds)?),
            [2, 0, 0] => Self::Truncate,
            [3, seed, 0] => Self::Garble(seed),
            [4, seed, 0] => Self::GarbleWindow(seed),
            _ => return Err(HostErrorKind::InvalidInput.into()),
        })
    }
}

/// A service whose answers go wrong as planned: by [`plan`](Injector::plan), or by a message of its controller.
///
/// Every answer counts except those to the controller's plans.
pub struct Injector<S> {
    inner: S,
    controller: Sender,
    clock: Arc<dyn Clock>,
    plans: Vec<(u64, Action)>,
    struck: u64,
}

impl<S: Service> Injector<S> {
    /// `inner`, with nothing planned. Plans are taken from `controller`; delays are slept on `clock`.
    pub const fn new(inner: S, controller: Sender, clock: Arc<dyn Clock>) -> Self {
        Self { inner, controller, clock, plans: Vec::new(), struck: 0 }
    }

    /// The service.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// Plans `action` for the `nth` answer from now (1: the next).
    ///
    /// # Errors
    /// [`OutOfMemory`](HostErrorKind::OutOfMemory) if too much is planned.
    pub fn plan(&mut self, nth: u64, action: Action) -> Result<(), HostError> {
        if self.plans.len() >= MAX_PLANS || self.plans.try_reserve(1).is_err() {
            return Err(HostErrorKind::OutOfMemory.into());
        }
        self.plans.push((nth.max(1), action));
        Ok(())
    }

    /// How many planned faults have happened.
    pub const fn struck(&self) -> u64 {
        self.struck
    }

    fn control(&mut self, message: &Message) -> Result<wire::Answer, HostError> {
        if message.label != wire::control::PLAN {
            return Err(HostErrorKind::Unsupported.into());
        }
        let [nth, number, first, second] = message.exactly()?;
        // Nothing planned: the question how much has happened.
        if nth > 0 {
            self.plan(nth, Action::of([number, first, second])?)?;
        }
        answer(&[self.struck])
    }

    /// What happens to the answer that is due.
    fn due(&mut self) -> Option<Action> {
        let mut due = None;
        self.plans.retain_mut(|(nth, action)| {
            *nth -= 1;
            if *nth == 0 {
                due = due.or(Some(*action));
            }
            *nth > 0
        });
        self.struck += u64::from(due.is_some());
        due
    }
}

impl<S: Service> Service for Injector<S> {
    fn handle(&mut self, sender: Sender, message: &mut Message, window: &Window) {
        if sender == self.controller && Interface::of(message.label) == Ok(Interface::Control) {
            let answer = self.control(message).map_err(Failure::from);
            return respond(message, answer);
        }
        let due = self.due();
        if let Some(Action::Fail(kind)) = due {
            return respond(message, Err(kind.into()));
        }
        self.inner.handle(sender, message, window);
        match due {
            Some(Action::Delay(time)) => {
                // A clock that fails makes the answer come earlier.
                let _ = self.clock.sleep(time);
            }
            Some(Action::Truncate) => message.truncate(),
            Some(Action::Garble(seed)) => message.garble(seed),
            Some(Action::GarbleWindow(seed)) => garble(window, seed),
            Some(Action::Fail(_)) | None => {}
        }
    }
}

/// Changes every byte of `window`.
fn garble(window: &Window, seed: u64) {
    let mut step = mix(seed);
    let mut buffer = [0; 256];
    let mut at = 0;
    while at < window.len() {
        let piece = &mut buffer[..256.min(window.len() - at)];
        // Within the window, so neither copy fails.
        let _ = window.read(at as u64, piece);
        for byte in piece.iter_mut() {
            step = mix(step);
            *byte ^= step as u8 | 1;
        }
        let _ = window.write(at as u64, piece);
        at += piece.len();
    }
}

/// A number that looks unrelated to `value` (splitmix64).
pub(crate) const fn mix(value: u64) -> u64 {
    let mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
