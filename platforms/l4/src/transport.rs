use crate::{Message, Window};
use rumpload::resource::HostError;

/// Who sent a message, as the kernel says: a badge, a gate's label, a port. 0 where the kernel tells nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sender(pub u64);

/// One end of a connection between two domains: synchronous messages, and memory that both see.
///
/// This trait is all that a kernel has to provide. One message is one variable of the caller, as it is one buffer of the
/// kernel: what comes back replaces what was sent. A transport carries labels, words and at most one capability unchanged,
/// looks at none of them, and answers [`Protocol`](rumpload::resource::HostErrorKind::Protocol) for what does not fit into a
/// [`Message`]. After an error the message's contents mean nothing.
///
/// A client's end only calls, a server's end only receives; the other methods fail there, as the kernel refuses them for want
/// of rights.
pub trait Transport: Send + Sync {
    /// Sends `message` and blocks until the answer has replaced it.
    ///
    /// # Errors
    /// The kernel's error: no right to send, no server.
    fn call(&self, message: &mut Message) -> Result<(), HostError>;

    /// Blocks until somebody calls.
    ///
    /// # Errors
    /// The kernel's error; [`Protocol`](rumpload::resource::HostErrorKind::Protocol) for a message that does not fit, whose
    /// sender is then still waiting for its answer.
    fn receive(&self, message: &mut Message) -> Result<Sender, HostError>;

    /// Answers the last message received with `message`, then does what [`receive`](Transport::receive) does. A caller that is
    /// gone is no error.
    ///
    /// # Errors
    /// As [`receive`](Transport::receive).
    fn reply_and_receive(&self, message: &mut Message) -> Result<Sender, HostError>;

    /// The memory that both ends see; as long as the transport lives.
    fn window(&self) -> &Window;
}
