//! One process per call.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};

/// Seconds of processor time that a call may take.
const PATIENCE: u64 = 5;

/// What comes between standard error and what a child says.
const SAID: char = '\0';

/// Runs `work` in a child and returns what it says. If it does not come to that, what came on standard error, after
/// `killed by SIGNAL: ` if it was.
pub fn run(work: impl FnOnce() -> String) -> String {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0, "a pipe");
    // SAFETY: both descriptors were made just now and belong to nobody else.
    let (mut reader, mut writer) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    // SAFETY: this program has one thread, so the child may do whatever the parent may.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a child");
    if child == 0 {
        let limit = libc::rlimit { rlim_cur: PATIENCE, rlim_max: PATIENCE };
        // SAFETY: the limit concerns only this process, and both descriptors are open.
        unsafe {
            libc::setrlimit(libc::RLIMIT_CPU, &raw const limit);
            libc::dup2(writer.as_raw_fd(), 2);
        }
        let text = work();
        let _ = write!(writer, "{SAID}{text}");
        // SAFETY: always sound; nothing of the parent's is to be cleaned up here.
        unsafe { libc::_exit(0) };
    }
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("read from the child");
    let mut status = 0;
    // SAFETY: the child is ours and not yet waited for.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    if let Some((_, said)) = text.split_once(SAID) {
        return said.into();
    }
    match libc::WIFSIGNALED(status) {
        true => format!("killed by {}: {text}", libc::WTERMSIG(status)),
        false => text,
    }
}
