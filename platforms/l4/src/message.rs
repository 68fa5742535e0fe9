use rumpload::resource::{HostError, HostErrorKind};

/// Most words of a message: what the smallest message buffer of the kernels in `docs/porting.md` holds.
pub const MAX_WORDS: usize = 63;
/// Words that travel in registers; messages of more cost several times as much on seL4.
pub const FAST_WORDS: usize = 4;
/// Bits of a label: what every kernel's message tag has room for.
pub const LABEL_BITS: u32 = 20;

/// What a message is about: at most [`LABEL_BITS`] bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(u32);

impl Label {
    /// The label that a kernel's message tag carries.
    ///
    /// # Errors
    /// [`Protocol`](HostErrorKind::Protocol) if it has more than [`LABEL_BITS`] bits.
    pub const fn new(value: u64) -> Result<Self, HostError> {
        if value >> LABEL_BITS == 0 { Ok(Self(value as u32)) } else { Err(HostError::new(HostErrorKind::Protocol)) }
    }

    /// A label of three fields that always fit: version (4 bits), interface and operation (8 bits each).
    pub(crate) const fn of(version: u8, interface: u8, operation: u8) -> Self {
        Self(((version & 0xf) as u32) << 16 | (interface as u32) << 8 | operation as u32)
    }

    /// The label as a number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// A capability that travels with a message: the number by which the receiver's transport knows it.
///
/// It is the receiver's until the next message is received through the same transport, which deletes it unless it was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability(pub u64);

/// One message, in either direction.
///
/// Words are 64 bits wide on every machine; the transport of a 32-bit kernel sends each as two machine words, the low one first.
/// No message of this crate's protocols has more than [`MAX_WORDS`] / 2 of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is about.
    pub label: Label,
    /// At most one capability.
    pub capability: Option<Capability>,
    words: heapless::Vec<u64, MAX_WORDS>,
}

impl Message {
    /// A message without words.
    #[must_use]
    pub const fn new(label: Label) -> Self {
        Self { label, capability: None, words: heapless::Vec::new() }
    }

    /// Makes this a message of `label` and `words` without a capability.
    ///
    /// # Errors
    /// [`Protocol`](HostErrorKind::Protocol) for more than [`MAX_WORDS`] words; the message then has none.
    pub fn set(&mut self, label: Label, words: &[u64]) -> Result<(), HostError> {
        self.label = label;
        self.capability = None;
        self.words.clear();
        self.words.extend_from_slice(words).map_err(|_| HostErrorKind::Protocol.into())
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The words, if there are exactly `N` and no capability comes with them.
    ///
    /// # Errors
    /// [`Protocol`](HostErrorKind::Protocol) otherwise.
    pub fn exactly<const N: usize>(&self) -> Result<[u64; N], HostError> {
        match (<[u64; N]>::try_from(self.words()), self.capability) {
            (Ok(words), None) => Ok(words),
            _ => Err(HostErrorKind::Protocol.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        assert_eq!(Label::new(0xf_ffff).map(Label::get), Ok(0xf_ffff));
        assert_eq!(Label::new(0x10_0000).map_err(|error| error.kind()), Err(HostErrorKind::Protocol));
        assert_eq!(Label::of(0xff, 0xff, 0xff).get(), 0xf_ffff);
        let mut message = Message::new(Label::of(1, 2, 3));
        assert!(message.set(message.label, &[7; MAX_WORDS]).is_ok());
        assert_eq!(message.exactly::<MAX_WORDS>(), Ok([7; MAX_WORDS]));
        assert!(message.exactly::<4>().is_err());
        assert!(message.set(message.label, &[7; MAX_WORDS + 1]).is_err());
        assert_eq!(message.words(), []);
        message.capability = Some(Capability(1));
        assert!(message.exactly::<0>().is_err());
    }
}
