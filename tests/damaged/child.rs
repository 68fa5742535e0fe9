//! One process per mutant.

use crate::mutant::{Clean, Disk};
use crate::runaway;
use crate::subject::{Server, Subject};
use crate::walk::{Depth, walk_device};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::sync::Arc;

/// How a child ended: what it said, and the signal that killed it.
pub struct End {
    pub text: String,
    pub signal: Option<i32>,
}

/// Runs `work` in a child and returns what it says, and what else came on standard error.
pub fn run(server: &Server, work: impl FnOnce() -> String) -> End {
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
        runaway::watch(&server.kernel, writer.as_raw_fd());
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
    let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
    End { text: String::from_utf8_lossy(&bytes).into_owned(), signal }
}

/// Walks the sound image; it must be sound.
pub fn learn(subject: &Subject, server: &Server) -> Clean {
    let ranges = |depth: Depth| {
        let end = run(server, || {
            let disk = Arc::new(Disk::sound(&subject.image, subject.sector));
            let outcome = walk_device(subject, server, disk.clone(), depth);
            let ranges = disk.ranges.lock().expect("no panic holds it");
            let ranges: Vec<String> = ranges.iter().map(|(start, len)| format!("{start} {len}")).collect();
            format!("{outcome}\n{}", ranges.join("\n"))
        });
        let (outcome, ranges) = end.text.split_once('\n').unwrap_or((&end.text, ""));
        assert!(outcome == "ok" && end.signal.is_none(), "{}: the sound image: {}", subject.name, end.text);
        let range = |line: &str| {
            let (start, len) = line.split_once(' ').expect("two numbers");
            (start.parse().expect("a number"), len.parse().expect("a number"))
        };
        ranges.lines().map(range).filter(|(_, len)| *len > 0).collect::<Vec<(usize, usize)>>()
    };
    let mut metadata = ranges(Depth::Names);
    let reads = ranges(Depth::Contents).len() as u64;
    metadata.sort_unstable();
    metadata.dedup();
    Clean { metadata, reads }
}
