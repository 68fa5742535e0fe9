use crate::invoke::message_word;
use crate::syscall::Received;
use core::fmt;

/// Why the kernel stopped a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A capability it used does not exist.
    Capability {
        /// Where the thread is.
        ip: u64,
        /// The capability's slot.
        slot: u64,
    },
    /// A system call that does not exist.
    Syscall {
        /// Where the thread is.
        ip: u64,
    },
    /// A processor exception: 0 division, 6 undefined instruction, 13 protection, ...
    Exception {
        /// Where the thread is.
        ip: u64,
        /// Its stack pointer.
        sp: u64,
        /// Number.
        number: u64,
    },
    /// An access to memory that is not mapped or not allowed.
    Memory {
        /// Where the thread is.
        ip: u64,
        /// What it accessed.
        address: u64,
        /// It was fetching an instruction.
        fetch: bool,
        /// It was writing.
        write: bool,
    },
    /// Something else.
    Other {
        /// The kernel's label.
        label: u64,
    },
}

impl Fault {
    /// Reads a fault message as the fault endpoint gave it.
    #[must_use]
    pub fn decode(message: &Received) -> Self {
        let word = |index| message_word(&message.words, index);
        match message.info.label() {
            1 => Self::Capability { ip: word(0), slot: word(1) },
            // rax to r15 except rsp come first.
            2 => Self::Syscall { ip: word(15) },
            3 => Self::Exception { ip: word(0), sp: word(1), number: word(3) },
            // Where no page is marked as not executable, the processor does not tell fetches from reads.
            5 => {
                let (ip, address) = (word(0), word(1));
                Self::Memory { ip, address, fetch: word(2) != 0 || ip == address, write: word(3) & 2 != 0 }
            }
            label => Self::Other { label },
        }
    }

    /// Where the thread was, if the kernel says.
    #[must_use]
    pub fn ip(&self) -> Option<u64> {
        match *self {
            Self::Capability { ip, .. } | Self::Syscall { ip } | Self::Exception { ip, .. } | Self::Memory { ip, .. } => Some(ip),
            Self::Other { .. } => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capability { slot, .. } => write!(f, "invocation of the missing capability {slot}"),
            Self::Syscall { .. } => f.write_str("unknown system call"),
            Self::Exception { number: 0, .. } => f.write_str("division by zero"),
            Self::Exception { number: 6, .. } => f.write_str("undefined instruction"),
            Self::Exception { number, .. } => write!(f, "processor exception {number}"),
            Self::Memory { address, fetch: true, .. } => write!(f, "jump to {address:#x}"),
            Self::Memory { address, write: true, .. } => write!(f, "write to {address:#x}"),
            Self::Memory { address, .. } => write!(f, "read of {address:#x}"),
            Self::Other { label } => write!(f, "fault {label}"),
        }
    }
}
