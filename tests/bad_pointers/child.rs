//! One process per call.

use crate::kernel::Server;
use rumpload::Error;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};

/// Seconds of processor time that a call may take.
const PATIENCE: u64 = 5;

/// Runs `work` in a child and returns what it says. The word `crash` comes first if it was killed or said nothing; then follows
/// what came on standard error.
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
        let _ = writer.write_all(text.as_bytes());
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
    match libc::WIFSIGNALED(status) {
        true => format!("crash by signal {}: {text}", libc::WTERMSIG(status)),
        false => text,
    }
}

/// Lets module code call the export `name` with `argument` for each argument.
pub fn call(server: &Server, name: &str, argument: usize) -> String {
    let instance = server.kernel.instance();
    let address = |name: &str| instance.symbol(name).map_or(0, |address| address.get() as usize);
    let (caller, target) = (address("caller_call"), address(name));
    assert!(caller != 0 && target != 0, "{name} is offered");
    type Caller = unsafe extern "C" fn(usize, usize) -> i32;
    // SAFETY: the module's function has this type.
    let caller: Caller = unsafe { core::mem::transmute(caller) };
    // SAFETY: it is not, but for the catching of faults, which is what this is about.
    match instance.enter(|| unsafe { caller(target, argument) }) {
        Ok(_) => "ok".into(),
        Err(Error::Ended { reason }) => format!("ended: {reason}"),
        Err(other) => format!("crash: {other}"),
    }
}
