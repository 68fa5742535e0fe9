//! Work in a process of its own, forked from this one.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// How a child ended.
pub struct End {
    /// What came on standard error, and what its work said.
    pub text: String,
    /// The signal that killed it.
    pub signal: Option<i32>,
}

/// Runs `work` in a child; it gets the descriptor that its standard error goes to, and what it says goes there as well.
///
/// The calling program must have one thread.
pub fn run(work: impl FnOnce(RawFd) -> String) -> End {
    let mut ends = [0; 2];
    // SAFETY: the array has room for two descriptors.
    assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0, "a pipe");
    // SAFETY: both descriptors were made just now and belong to nobody else.
    let (mut reader, mut writer) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
    // SAFETY: this program has one thread, so the child may do whatever the parent may.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "a child");
    if child == 0 {
        // Messages of panics and of the allocator come the same way.
        // SAFETY: both descriptors are open.
        unsafe { libc::dup2(writer.as_raw_fd(), 2) };
        let text = work(writer.as_raw_fd());
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
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    End { text: String::from_utf8_lossy(&bytes).into_owned(), signal }
}
