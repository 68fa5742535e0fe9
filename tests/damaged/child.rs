//! One process per mutant.

pub use crate::forked::End;

use crate::forked;
use crate::mutant::{Clean, Disk};
use crate::runaway;
use crate::subject::{Server, Subject};
use crate::walk::{Depth, walk_device};
use std::sync::Arc;

/// Runs `work`, watched for endless loops, in a child and returns what it says, and what else came on standard error.
pub fn run(server: &Server, work: impl FnOnce() -> String) -> End {
    forked::run(|report| {
        runaway::watch(&server.kernel, report);
        work()
    })
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
