//! seL4 16.0, x86_64, without the mixed-criticality scheduler.

pub const KERNEL: &str = "seL4 16.0";

// Invocations.
pub const UNTYPED_RETYPE: u64 = 1;
pub const TCB_READ_REGISTERS: u64 = 2;
pub const TCB_WRITE_REGISTERS: u64 = 3;
pub const TCB_CONFIGURE: u64 = 5;
pub const TCB_SET_PRIORITY: u64 = 6;
pub const TCB_SUSPEND: u64 = 11;
pub const TCB_RESUME: u64 = 12;
pub const CNODE_REVOKE: u64 = 17;
pub const CNODE_DELETE: u64 = 18;
pub const CNODE_COPY: u64 = 20;
pub const CNODE_MINT: u64 = 21;
pub const CNODE_MOVE: u64 = 22;
pub const CNODE_SAVE_CALLER: u64 = 25;
pub const PDPT_MAP: u64 = 33;
pub const PAGE_DIRECTORY_MAP: u64 = 35;
pub const PAGE_TABLE_MAP: u64 = 37;
pub const PAGE_MAP: u64 = 39;
pub const PAGE_UNMAP: u64 = 40;
pub const PAGE_GET_ADDRESS: u64 = 41;
pub const ASID_POOL_ASSIGN: u64 = 43;
pub const IO_PORT_IN8: u64 = 45;
pub const IO_PORT_OUT8: u64 = 48;
pub const IO_PORT_OUT32: u64 = 50;
/// A capability to a range of ports is issued by the port control capability.
pub const IO_PORT_CONTROL_ISSUE: Option<u64> = Some(44);

/// `TCBConfigure` leaves the priorities to their own invocation.
pub const CONFIGURE_SETS_PRIORITY: bool = false;
/// Bits that the size of a CNode's guard is shifted by in its capability data.
pub const GUARD_SHIFT: u32 = 0;
/// Words of `TCBWriteRegisters` and `TCBReadRegisters`.
pub const REGISTERS: usize = 20;
/// Rights with which a `Call` may be made on an endpoint: write, grant (for fault messages and capabilities) and grant reply.
pub const RIGHTS_CALL: u64 = 0b1101;

// Boot information: byte offsets.
pub const BOOTINFO_UNTYPED: usize = 152;
pub const BOOTINFO_UNTYPED_LIST: usize = 168;
pub const UNTYPED_ENTRY: usize = 16;
pub const UNTYPED_ENTRY_SIZE_BITS: usize = 8;
pub const UNTYPED_ENTRY_IS_DEVICE: usize = 9;
/// The time-stamp counter's MHz are in an extra chunk behind the structure.
pub const BOOTINFO_TSC_MHZ: Option<usize> = None;
