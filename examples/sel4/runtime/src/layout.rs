//! How a protection domain is laid out: addresses and slots.

use rumpload_sel4::syscall::Cap;

/// End of the stack.
pub const STACK_TOP: u64 = 0x1000_0000;
/// Bytes of the stack; below it nothing is mapped.
pub const STACK_BYTES: u64 = 0x2_0000;
/// The page of the IPC buffer.
pub const IPC_BUFFER: u64 = 0x1100_0000;
/// The page with the [`Start`] record.
pub const START: u64 = 0x1101_0000;
/// The load map: writable in the domain it is about, read in the root task at another address.
pub const LOAD_MAP: u64 = 0x1102_0000;
/// A page for descriptors of direct memory access.
pub const DMA: u64 = 0x1110_0000;
/// The window shared with the domain that serves this one.
pub const WINDOW_UP: u64 = 0x1200_0000;
/// Windows shared with the domains that this one serves, in the order of their badges, every [`WINDOW_STEP`] bytes.
pub const WINDOW_DOWN: u64 = 0x1300_0000;
/// Distance of windows.
pub const WINDOW_STEP: u64 = 0x10_0000;
/// Bytes of each window.
pub const WINDOW_BYTES: usize = 0x1_0000;
/// The window shared with the domain that has the console.
pub const WINDOW_CONSOLE: u64 = 0x1400_0000;
/// The heap, of large pages.
pub const HEAP: u64 = 0x1800_0000;
/// First address of module memory.
pub const MODULES: u64 = 0x4000_0000;
/// End of module memory: the kernel code model reaches no further.
pub const MODULES_END: u64 = 0x7fff_f000;

/// Slots of a domain's capability space.
pub mod cap {
    use super::Cap;
    /// The capability space itself, where the domain makes objects.
    pub const CNODE: Cap = Cap(1);
    /// Its address space.
    pub const VSPACE: Cap = Cap(2);
    /// Where it calls the domain that serves it.
    pub const SERVER: Cap = Cap(3);
    /// Where it receives calls.
    pub const SERVICE: Cap = Cap(4);
    /// Where the kernel reports its faults.
    pub const FAULT: Cap = Cap(5);
    /// Where it keeps the right to answer the caller it works for: out of its thread, so that the root task can answer if it dies.
    pub const REPLY: Cap = Cap(6);
    /// Untyped memory of its own.
    pub const UNTYPED: Cap = Cap(7);
    /// The serial line's ports.
    pub const SERIAL: Cap = Cap(8);
    /// The firmware configuration's ports.
    pub const FW_CFG: Cap = Cap(9);
    /// Where it reaches the console and its instructions.
    pub const CONSOLE: Cap = Cap(11);
    /// Where it reports to the root task.
    pub const ROOT: Cap = Cap(10);
    /// First slot of the domain's own.
    pub const FREE: u64 = 16;
}

/// Labels of messages to the root task, beyond those of faults.
pub mod report {
    /// The client has finished; the word is 0 for success.
    pub const FINISHED: u64 = 0x100;
    /// The watchdog: the request in the word takes too long.
    pub const STUCK: u64 = 0x101;
}

/// Badges by which the root task and servers know who sent.
pub mod badge {
    /// The domain with the devices.
    pub const HOST: u64 = 1;
    /// The domain with the library.
    pub const RUMP: u64 = 2;
    /// The domain that asks.
    pub const CLIENT: u64 = 3;
    /// The root task's watchdog.
    pub const WATCHDOG: u64 = 4;
}

/// What a domain is told at its start.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// MHz of the time-stamp counter.
    pub tsc_mhz: u32,
    /// Bytes of the heap.
    pub heap: u32,
    /// Slots of the capability space.
    pub slots: u64,
    /// Physical address of the page at [`DMA`]; 0 without.
    pub dma: u64,
    /// Physical addresses of the windows at [`WINDOW_DOWN`], which are contiguous; given to the domain with devices only.
    pub windows: [u64; 2],
    /// How often this domain was started before.
    pub restarts: u64,
    /// Bytes of the image's text and of its data.
    pub image: [u64; 2],
}
