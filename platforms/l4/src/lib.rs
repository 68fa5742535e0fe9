//! The resources of `rumpload` as a protocol over synchronous L4-style IPC.
//!
//! Nothing here knows one kernel. A port implements [`Transport`] and gets both sides:
//!
//! * clients that are resource traits: [`Connection`], then [`RemoteStore`], [`RemoteBlock`], ..., or all of them by [`host`];
//! * servers that serve them from any implementation: [`Server`] over [`Resources`], in a loop that is [`serve`];
//! * on the same messages, the files of a domain with file systems for others: [`FileServer`] and [`RemoteFiles`].
//!
//! The other side is not trusted: every field of every message is checked on arrival, bytes are copied out of the shared
//! [`Window`] once and checked afterwards, and what a client may hold is bounded. A lying peer causes an error, never a bad
//! access. The one exception is a memory server, which is its client's pager anyway: see [`RemoteMemory`].
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod client;
#[cfg(feature = "std")]
#[expect(unsafe_code, reason = "the window's memory on the heap")]
pub mod in_process;
mod inject;
mod message;
mod server;
mod transport;
#[expect(unsafe_code, reason = "memory that another domain writes to")]
mod window;
mod wire;

pub use client::{
    Arena, Connection, RemoteBlock, RemoteClock, RemoteConsole, RemoteEntropy, RemoteFiles, RemoteMemory, RemoteStore, host,
};
pub use inject::{Action, Injector};
pub use message::{Capability, FAST_WORDS, LABEL_BITS, Label, MAX_WORDS, Message};
pub use server::{EntryKind, FileServer, FileService, FileStat, Mount, Resources, Server, Service, Status, WindowRead, serve};
pub use transport::{Sender, Transport};
pub use window::Window;
pub use wire::failure::Failure;
pub use wire::{Interface, MAX_LIST, MAX_NAME, MAX_OPEN, MAX_REGIONS, MAX_SEGMENTS, MAX_SLEEP, VERSION};
