//! One process per call.

use crate::forked;

/// Seconds of processor time that a call may take.
const PATIENCE: u64 = 5;

/// What comes between standard error and what a child says.
const SAID: char = '\0';

/// Runs `work` in a child and returns what it says. If it does not come to that, what came on standard error, after
/// `killed by SIGNAL: ` if it was.
pub fn run(work: impl FnOnce() -> String) -> String {
    let end = forked::run(|_| {
        let limit = libc::rlimit { rlim_cur: PATIENCE, rlim_max: PATIENCE };
        // SAFETY: the limit concerns only this process.
        unsafe { libc::setrlimit(libc::RLIMIT_CPU, &raw const limit) };
        format!("{SAID}{}", work())
    });
    match (end.text.split_once(SAID), end.signal) {
        (Some((_, said)), _) => said.into(),
        (None, Some(signal)) => format!("killed by {signal}: {}", end.text),
        (None, None) => end.text,
    }
}
