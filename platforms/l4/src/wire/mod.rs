//! The messages, as both sides know them.
//!
//! A label is version (bits 16 to 19), interface (8 to 15) and operation (0 to 7). An answer has the label of its request; its
//! first word is 0 and followed by the words listed here, or it is the number of an error's kind followed by the host's own
//! code ([`failure`]). *Span* is two words: offset and length in bytes of a part of the window, chosen by the client. A name is a
//! path in UTF-8 without a NUL at its end. A message with more or fewer words, another capability than none, or a field outside
//! its range is refused; nothing has happened then.
//!
//! | interface | operation | request | answer |
//! |---|---|---|---|
//! | session | hello | window's length | window's length, served interfaces (bit n: interface n) |
//! | | ping | | |
//! | memory | info | | page size |
//! | | reserve | length, alignment, first, last address, region | run address, working address |
//! | | finalize | region, span of segments: offset, length, protection as 64-bit words | |
//! | | release | region | |
//! | store | metadata | span of a name | kind, size |
//! | | open | span of a name, handle | |
//! | | size | handle | bytes |
//! | | read | handle, offset, span to fill | bytes read |
//! | | close | handle | |
//! | | list | span of a name, handle | bytes of the encoded entries, which are read like a file |
//! | block | info | device | sector size, size, 1 if read-only |
//! | | read | device, offset, span to fill | bytes read |
//! | | write | device, offset, span of data | |
//! | | flush | device | |
//! | console | write | span of text | |
//! | clock | monotonic | | seconds, nanoseconds |
//! | | wall | | seconds, nanoseconds |
//! | | sleep | seconds, nanoseconds; at most [`MAX_SLEEP`] | |
//! | entropy | fill | span to fill | |
//! | files | mount | span of three encoded names (type, directory, options), device, 1 if read-only | |
//! | | unmount | span of a name, 1 to force | |
//! | | stat | span of a name | kind, mode, inode, size, links, modified: seconds, nanoseconds |
//! | | open | span of a name, handle | |
//! | | read | handle, offset, span to fill | bytes read |
//! | | close | handle | |
//! | | list | span of a name, handle | bytes of the encoded entries, which are read like a file |
//! | | status | | modules, mounts, files open, bytes of heap, most bytes of heap |
//! | control | plan | nth answer from now, action, its argument | |
//!
//! Handles and regions are numbers that the client chooses and does not use again: what it asked for can be given back even if
//! the answer to the request never arrived whole.
//!
//! `hello` comes first: until then everything else is refused, and it takes back whatever an earlier client left open or reserved.

pub(crate) mod entries;
pub(crate) mod failure;
mod handles;

pub(crate) use handles::Handles;

use crate::{Label, Message, Window};
use alloc::vec::Vec;
use core::time::Duration;
use rumpload::resource::{HostError, HostErrorKind};

/// The version of these messages; a label carries its lowest four bits.
pub const VERSION: u8 = 1;
/// Longest name in bytes.
pub const MAX_NAME: usize = 4096;
/// Longest time that one message sleeps; clients send several.
pub const MAX_SLEEP: Duration = Duration::from_secs(1);
/// Files and lists that one client may have open.
pub const MAX_OPEN: usize = 256;
/// Most bytes of an encoded list.
pub const MAX_LIST: usize = 4 << 20;
/// Regions that one client may have.
pub const MAX_REGIONS: usize = 4096;
/// Segments of one region.
pub const MAX_SEGMENTS: usize = 256;
/// Bytes of an encoded segment.
pub(crate) const SEGMENT: usize = 24;

/// What a message belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Interface {
    /// Agreement on version and window.
    Session = 0,
    /// `Memory`.
    Memory = 1,
    /// `Store`.
    Store = 2,
    /// `Block`.
    Block = 3,
    /// `Console`.
    Console = 4,
    /// `Clock`.
    Clock = 5,
    /// `Entropy`.
    Entropy = 6,
    /// What a domain with file systems offers: [`FileService`](crate::FileService).
    Files = 7,
    /// Planned faults, for tests: [`Injector`](crate::Injector).
    Control = 8,
}

impl Interface {
    const fn operation(self, operation: u8) -> Label {
        Label::of(VERSION, self as u8, operation)
    }

    /// The bit that stands for the interface in the answer to `hello`.
    pub(crate) const fn bit(self) -> u64 {
        1 << self as u8
    }

    /// The interface of a label of this version.
    ///
    /// # Errors
    /// [`Unsupported`](HostErrorKind::Unsupported) for another version or an interface that does not exist.
    pub(crate) fn of(label: Label) -> Result<Self, HostError> {
        const ALL: [Interface; 9] = [
            Interface::Session,
            Interface::Memory,
            Interface::Store,
            Interface::Block,
            Interface::Console,
            Interface::Clock,
            Interface::Entropy,
            Interface::Files,
            Interface::Control,
        ];
        let same = |interface: &&Self| interface.operation(0).get() == label.get() & !0xff;
        ALL.iter().find(same).copied().ok_or_else(|| HostErrorKind::Unsupported.into())
    }
}

pub(crate) mod session {
    use super::{Interface::Session, Label};
    pub const HELLO: Label = Session.operation(0);
    pub const PING: Label = Session.operation(1);
}

pub(crate) mod memory {
    use super::{Interface::Memory, Label};
    pub const INFO: Label = Memory.operation(0);
    pub const RESERVE: Label = Memory.operation(1);
    pub const FINALIZE: Label = Memory.operation(2);
    pub const RELEASE: Label = Memory.operation(3);
}

pub(crate) mod store {
    use super::{Interface::Store, Label};
    pub const METADATA: Label = Store.operation(0);
    pub const OPEN: Label = Store.operation(1);
    pub const SIZE: Label = Store.operation(2);
    pub const READ: Label = Store.operation(3);
    pub const CLOSE: Label = Store.operation(4);
    pub const LIST: Label = Store.operation(5);
}

pub(crate) mod block {
    use super::{Interface::Block, Label};
    pub const INFO: Label = Block.operation(0);
    pub const READ: Label = Block.operation(1);
    pub const WRITE: Label = Block.operation(2);
    pub const FLUSH: Label = Block.operation(3);
}

pub(crate) mod console {
    use super::{Interface::Console, Label};
    pub const WRITE: Label = Console.operation(0);
}

pub(crate) mod clock {
    use super::{Interface::Clock, Label};
    pub const MONOTONIC: Label = Clock.operation(0);
    pub const WALL: Label = Clock.operation(1);
    pub const SLEEP: Label = Clock.operation(2);
}

pub(crate) mod entropy {
    use super::{Interface::Entropy, Label};
    pub const FILL: Label = Entropy.operation(0);
}

pub(crate) mod files {
    use super::{Interface::Files, Label};
    pub const MOUNT: Label = Files.operation(0);
    pub const UNMOUNT: Label = Files.operation(1);
    pub const STAT: Label = Files.operation(2);
    pub const OPEN: Label = Files.operation(3);
    pub const READ: Label = Files.operation(4);
    pub const CLOSE: Label = Files.operation(5);
    pub const LIST: Label = Files.operation(6);
    pub const STATUS: Label = Files.operation(7);
}

pub(crate) mod control {
    use super::{Interface::Control, Label};
    pub const PLAN: Label = Control.operation(0);
}

/// The words of an answer after the status: at most those of `stat`.
pub(crate) type Answer = heapless::Vec<u64, 8>;

/// An answer of `words`.
///
/// # Errors
/// [`Protocol`](HostErrorKind::Protocol) for more words than any answer has.
pub(crate) fn answer(words: &[u64]) -> Result<Answer, HostError> {
    Answer::from_slice(words).map_err(|_| HostErrorKind::Protocol.into())
}

/// Makes `message` the answer to what it is.
pub(crate) fn respond(message: &mut Message, answer: Result<Answer, failure::Failure>) {
    let label = message.label;
    let set = match answer {
        Ok(words) => {
            let mut all = [failure::DONE; 9];
            all[1..=words.len()].copy_from_slice(&words);
            message.set(label, &all[..=words.len()])
        }
        Err(failure) => message.set(label, &failure.words()),
    };
    debug_assert!(set.is_ok(), "answers are shorter than messages");
}

/// The bytes of a span, copied out of the window once.
///
/// # Errors
/// [`InvalidInput`](HostErrorKind::InvalidInput) if it is longer than `limit` or not within the window.
pub(crate) fn bytes(window: &Window, offset: u64, len: u64, limit: usize) -> Result<Vec<u8>, HostError> {
    window.address(offset, len)?;
    if len > limit as u64 {
        return Err(HostErrorKind::InvalidInput.into());
    }
    let mut bytes = zeroed(len as usize)?;
    window.read(offset, &mut bytes)?;
    Ok(bytes)
}

/// `len` zero bytes on the heap.
///
/// # Errors
/// [`OutOfMemory`](HostErrorKind::OutOfMemory) if there are none.
pub(crate) fn zeroed(len: usize) -> Result<Vec<u8>, HostError> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len).map_err(|_| HostErrorKind::OutOfMemory)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

/// The path of a store in `bytes`.
///
/// # Errors
/// [`InvalidInput`](HostErrorKind::InvalidInput) if it is not UTF-8 or has a component that a store refuses.
pub(crate) fn path(bytes: &[u8]) -> Result<&str, HostError> {
    let path = core::str::from_utf8(bytes).map_err(|_| HostErrorKind::InvalidInput)?;
    let refused = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    if !path.is_empty() && path.split('/').any(refused) { Err(HostErrorKind::InvalidInput.into()) } else { Ok(path) }
}

/// The time of two words.
///
/// # Errors
/// [`Protocol`](HostErrorKind::Protocol) for a second of nanoseconds or more.
pub(crate) fn time(seconds: u64, nanoseconds: u64) -> Result<Duration, HostError> {
    match u32::try_from(nanoseconds) {
        Ok(nanoseconds) if nanoseconds < 1_000_000_000 => Ok(Duration::new(seconds, nanoseconds)),
        _ => Err(HostErrorKind::Protocol.into()),
    }
}

/// A word that is 0 or 1.
///
/// # Errors
/// [`Protocol`](HostErrorKind::Protocol) for any other.
pub(crate) fn flag(word: u64) -> Result<bool, HostError> {
    match word {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(HostErrorKind::Protocol.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_name_their_interface() {
        for label in [session::HELLO, memory::RELEASE, store::LIST, block::FLUSH, files::STATUS, control::PLAN] {
            let interface = Interface::of(label).expect("an interface");
            assert_eq!(u32::from(interface as u8), label.get() >> 8 & 0xff);
        }
        for value in [0, 1 << 16 | 9 << 8, 2 << 16, 0xf_ffff] {
            let label = Label::new(value).expect("a label");
            assert_eq!(Interface::of(label).map_err(|error| error.kind()), Err(HostErrorKind::Unsupported));
        }
    }

    #[test]
    fn fields_outside_their_range() {
        assert_eq!(time(1, 999_999_999), Ok(Duration::new(1, 999_999_999)));
        assert!(time(0, 1_000_000_000).is_err() && time(0, u64::MAX).is_err());
        assert!(flag(2).is_err());
        assert_eq!(path(b"a/b"), Ok("a/b"));
        for bad in [&b"a//b"[..], b"/", b"..", b"a/..", b"a\0", b"\xff", b"a/"] {
            assert!(path(bad).is_err());
        }
    }
}
