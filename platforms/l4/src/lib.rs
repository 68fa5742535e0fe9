//! The resources of `rumpload` as a protocol over synchronous L4-style IPC.
//!
//! Nothing here knows one kernel. A port implements [`Transport`] and gets both sides: clients that are resource traits, and
//! servers that serve them from any implementation of those traits.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(any(test, feature = "std"))]
extern crate std;

mod message;
mod transport;
#[expect(unsafe_code, reason = "memory that another domain writes to")]
mod window;

pub use message::{Capability, FAST_WORDS, LABEL_BITS, Label, MAX_WORDS, Message};
pub use transport::{Sender, Transport};
pub use window::Window;
