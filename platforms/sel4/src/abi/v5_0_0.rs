//! seL4 5.0.0, x86_64.

pub const KERNEL: &str = "seL4 5.0.0";

// Invocations.
pub const UNTYPED_RETYPE: u64 = 1;
pub const TCB_READ_REGISTERS: u64 = 2;
pub const TCB_WRITE_REGISTERS: u64 = 3;
pub const TCB_CONFIGURE: u64 = 5;
pub const TCB_SET_PRIORITY: u64 = 6;
pub const TCB_SUSPEND: u64 = 10;
pub const TCB_RESUME: u64 = 11;
pub const CNODE_REVOKE: u64 = 14;
pub const CNODE_DELETE: u64 = 15;
pub const CNODE_COPY: u64 = 17;
pub const CNODE_MINT: u64 = 18;
pub const CNODE_MOVE: u64 = 19;
pub const CNODE_SAVE_CALLER: u64 = 22;
pub const PDPT_MAP: u64 = 28;
pub const PAGE_DIRECTORY_MAP: u64 = 30;
pub const PAGE_TABLE_MAP: u64 = 33;
pub const PAGE_MAP: u64 = 37;
pub const PAGE_UNMAP: u64 = 39;
pub const PAGE_GET_ADDRESS: u64 = 41;
pub const ASID_POOL_ASSIGN: u64 = 43;
pub const IO_PORT_IN8: u64 = 44;
pub const IO_PORT_OUT8: u64 = 47;
pub const IO_PORT_OUT32: u64 = 49;
/// This kernel hands out one capability to all ports, which is narrowed by minting.
pub const IO_PORT_CONTROL_ISSUE: Option<u64> = None;

/// `TCBConfigure` takes the priorities too.
pub const CONFIGURE_SETS_PRIORITY: bool = true;
/// Bits that the size of a CNode's guard is shifted by in its capability data.
pub const GUARD_SHIFT: u32 = 2;
/// Words of `TCBWriteRegisters` and `TCBReadRegisters`.
pub const REGISTERS: usize = 18;
/// Rights with which a `Call` may be made on an endpoint: write and grant.
pub const RIGHTS_CALL: u64 = 0b101;

// Boot information: byte offsets. The structure is packed.
pub const BOOTINFO_UNTYPED: usize = 153;
pub const BOOTINFO_UNTYPED_LIST: usize = 169;
pub const UNTYPED_ENTRY: usize = 12;
pub const UNTYPED_ENTRY_SIZE_BITS: usize = 10;
pub const UNTYPED_ENTRY_IS_DEVICE: usize = 11;
/// Where the time-stamp counter's MHz are in the structure itself.
pub const BOOTINFO_TSC_MHZ: Option<usize> = Some(145);
