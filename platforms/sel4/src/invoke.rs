//! Invocations of kernel objects, one function each. Facts: the interface descriptions in the kernel's libsel4.

use crate::abi;
use crate::error::KernelError;
use crate::syscall::{Cap, FAST_WORDS, buffer_word, invoke};

/// Depth with which slots are addressed: every CNode that this library makes has a guard that fills the word.
const DEPTH: u64 = 64;

/// Bits of a page.
pub const PAGE_BITS: u8 = 12;
/// Bytes of a page.
pub const PAGE: usize = 1 << PAGE_BITS;
/// Bytes of a large page.
pub const LARGE_PAGE: usize = 1 << 21;

/// A kind of kernel object, by its number in `UntypedRetype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Object {
    /// Memory that becomes objects.
    Untyped = 0,
    /// A thread.
    Thread = 1,
    /// A rendezvous of senders and receivers.
    Endpoint = 2,
    /// A table of capabilities.
    CNode = 4,
    /// Second level of page tables.
    Pdpt = 5,
    /// First level of page tables: an address space.
    Pml4 = 6,
    /// Four KiB of memory.
    Page = 7,
    /// Two MiB of memory.
    LargePage = 8,
    /// Fourth level of page tables.
    PageTable = 9,
    /// Third level of page tables.
    PageDirectory = 10,
}

/// What a mapping allows. There is no way to refuse execution: this kernel sets no such bit on x86.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Access {
    /// Read (and execute).
    Read = 0b10,
    /// Read and write (and execute).
    ReadWrite = 0b11,
}

/// Rights of a capability to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Receive only.
    Receive,
    /// Send and call.
    Call,
    /// Whatever the original allows.
    All,
}

impl Rights {
    fn bits(self) -> u64 {
        match self {
            Self::Receive => 0b10,
            Self::Call => abi::RIGHTS_CALL,
            Self::All => 0b1111,
        }
    }
}

/// The rights word of frames and other objects that go with all rights.
const ALL: u64 = 0b1111;

/// Makes `count` objects from `untyped` in the slots `first..` of `cnode`. `bits` is the size of untyped objects and CNodes
/// (slots, for the latter), 0 for others.
///
/// # Errors
/// [`KernelError::NOT_ENOUGH_MEMORY`] and others.
pub fn retype(untyped: Cap, object: Object, bits: u8, cnode: Cap, first: u64, count: u64) -> Result<(), KernelError> {
    invoke(untyped, abi::UNTYPED_RETYPE, &[cnode], &[object as u64, u64::from(bits), 0, 0, first, count]).map(drop)
}

/// Copies the capability in `source` of `from` to `slot` of `cnode`.
///
/// # Errors
/// Any [`KernelError`].
pub fn copy(cnode: Cap, slot: u64, from: Cap, source: Cap, rights: Rights) -> Result<(), KernelError> {
    invoke(cnode, abi::CNODE_COPY, &[from], &[slot, DEPTH, source.0, DEPTH, rights.bits()]).map(drop)
}

/// As [`copy`], with a badge (of an endpoint) or other data of the capability.
///
/// # Errors
/// Any [`KernelError`].
pub fn mint(cnode: Cap, slot: u64, from: Cap, source: Cap, rights: Rights, data: u64) -> Result<(), KernelError> {
    invoke(cnode, abi::CNODE_MINT, &[from], &[slot, DEPTH, source.0, DEPTH, rights.bits(), data]).map(drop)
}

/// Moves a capability.
///
/// # Errors
/// Any [`KernelError`]; [`KernelError::FAILED_LOOKUP`] if `source` is empty.
pub fn move_cap(cnode: Cap, slot: u64, from: Cap, source: Cap) -> Result<(), KernelError> {
    invoke(cnode, abi::CNODE_MOVE, &[from], &[slot, DEPTH, source.0, DEPTH]).map(drop)
}

/// Empties a slot.
///
/// # Safety
/// If it was the last capability to an object, the object goes: nothing may use its memory any more.
///
/// # Errors
/// Any [`KernelError`].
pub unsafe fn delete(cnode: Cap, slot: u64) -> Result<(), KernelError> {
    invoke(cnode, abi::CNODE_DELETE, &[], &[slot, DEPTH]).map(drop)
}

/// Deletes all that was derived from the capability in `slot`: for an untyped object, everything made from it.
///
/// # Safety
/// Nothing may use the memory of the objects that go.
///
/// # Errors
/// Any [`KernelError`].
pub unsafe fn revoke(cnode: Cap, slot: u64) -> Result<(), KernelError> {
    invoke(cnode, abi::CNODE_REVOKE, &[], &[slot, DEPTH]).map(drop)
}

/// Puts the right to answer the caller received last into an empty slot.
///
/// # Errors
/// Any [`KernelError`].
pub fn save_caller(cnode: Cap, slot: u64) -> Result<(), KernelError> {
    invoke(cnode, abi::CNODE_SAVE_CALLER, &[], &[slot, DEPTH]).map(drop)
}

/// The data of a CNode capability with which slot numbers of `radix` bits are addressed in full depth.
#[must_use]
pub fn guard(radix: u8) -> u64 {
    (64 - u64::from(radix)) << abi::GUARD_SHIFT
}

/// Where a thread lives.
#[derive(Clone, Copy, Debug)]
pub struct ThreadSpace {
    /// Its capabilities.
    pub cspace: Cap,
    /// Data of `cspace` as the thread sees it: [`guard`], or 0 if the capability has its guard already.
    pub cspace_data: u64,
    /// Its address space.
    pub vspace: Cap,
    /// Address of its IPC buffer in it.
    pub buffer: u64,
    /// The page of the buffer.
    pub buffer_page: Cap,
    /// Slot in the thread's own space of the endpoint that gets its faults; 0: none.
    pub fault_slot: u64,
    /// Priority.
    pub priority: u8,
}

/// Says where a thread lives. `authority` is a thread whose highest controlled priority is at least that of `space`.
///
/// # Errors
/// Any [`KernelError`].
pub fn configure(thread: Cap, space: &ThreadSpace, authority: Cap) -> Result<(), KernelError> {
    let caps = [space.cspace, space.vspace, space.buffer_page];
    let (fault, data, buffer, priority) = (space.fault_slot, space.cspace_data, space.buffer, u64::from(space.priority));
    if abi::CONFIGURE_SETS_PRIORITY {
        invoke(thread, abi::TCB_CONFIGURE, &caps, &[fault, priority, data, 0, buffer]).map(drop)
    } else {
        invoke(thread, abi::TCB_CONFIGURE, &caps, &[fault, data, 0, buffer])?;
        set_priority(thread, authority, space.priority)
    }
}

/// Sets a thread's priority.
///
/// # Errors
/// Any [`KernelError`].
pub fn set_priority(thread: Cap, authority: Cap, priority: u8) -> Result<(), KernelError> {
    invoke(thread, abi::TCB_SET_PRIORITY, &[authority], &[u64::from(priority)]).map(drop)
}

/// Starts a thread at `ip` with stack pointer `sp` and `argument` in rdi.
///
/// # Safety
/// In the thread's address space `ip` must be code that may run there, with `sp` a stack for it.
///
/// # Errors
/// Any [`KernelError`].
pub unsafe fn start(thread: Cap, ip: u64, sp: u64, argument: u64) -> Result<(), KernelError> {
    // Resume, then rip, rsp, rflags, rax, rbx, rcx, rdx, rsi, rdi: a shorter list leaves the other registers alone.
    let words = [1, 9, ip, sp, 0x202, 0, 0, 0, 0, 0, argument];
    invoke(thread, abi::TCB_WRITE_REGISTERS, &[], &words).map(drop)
}

/// Stops a thread.
///
/// # Errors
/// Any [`KernelError`].
pub fn suspend(thread: Cap) -> Result<(), KernelError> {
    invoke(thread, abi::TCB_SUSPEND, &[], &[]).map(drop)
}

/// Lets a thread go on.
///
/// # Errors
/// Any [`KernelError`].
pub fn resume(thread: Cap) -> Result<(), KernelError> {
    invoke(thread, abi::TCB_RESUME, &[], &[]).map(drop)
}

/// Instruction and stack pointer of another, stopped thread.
///
/// # Errors
/// Any [`KernelError`].
pub fn read_pointers(thread: Cap) -> Result<(u64, u64), KernelError> {
    let words = invoke(thread, abi::TCB_READ_REGISTERS, &[], &[0, abi::REGISTERS as u64])?;
    Ok((words[0], words[1]))
}

/// Gives an address space its number; before anything is mapped in it and before its capability is copied.
///
/// # Errors
/// Any [`KernelError`].
pub fn assign_address_space(pool: Cap, vspace: Cap) -> Result<(), KernelError> {
    invoke(pool, abi::ASID_POOL_ASSIGN, &[vspace], &[]).map(drop)
}

/// Puts a page table of kind `object` into `vspace` for `address`.
///
/// # Errors
/// [`KernelError::FAILED_LOOKUP`] if the level above is missing, [`KernelError::DELETE_FIRST`] if there is one already.
pub fn map_table(table: Cap, object: Object, vspace: Cap, address: u64) -> Result<(), KernelError> {
    let label = match object {
        Object::Pdpt => abi::PDPT_MAP,
        Object::PageDirectory => abi::PAGE_DIRECTORY_MAP,
        _ => abi::PAGE_TABLE_MAP,
    };
    invoke(table, label, &[vspace], &[address, 0]).map(drop)
}

/// Maps a page, which must not be mapped by this capability yet.
///
/// # Safety
/// If `vspace` is the caller's own, nothing of the program may rely on what is at `address`, and Rust's rules on shared memory
/// bind whatever else the page is mapped as.
///
/// # Errors
/// [`KernelError::FAILED_LOOKUP`] if a page table is missing.
pub unsafe fn map_page(page: Cap, vspace: Cap, address: u64, access: Access) -> Result<(), KernelError> {
    invoke(page, abi::PAGE_MAP, &[vspace], &[address, access as u64, 0]).map(drop)
}

/// Takes a page out of the address space it is mapped in.
///
/// # Safety
/// If that is the caller's own, nothing may use the memory at its address any more.
///
/// # Errors
/// Any [`KernelError`].
pub unsafe fn unmap_page(page: Cap) -> Result<(), KernelError> {
    invoke(page, abi::PAGE_UNMAP, &[], &[]).map(drop)
}

/// The physical address of a page.
///
/// # Errors
/// Any [`KernelError`].
pub fn page_address(page: Cap) -> Result<u64, KernelError> {
    invoke(page, abi::PAGE_GET_ADDRESS, &[], &[]).map(|words| words[0])
}

/// Makes a capability to the ports `first..=last` in `slot` of `cnode` from the kernel's initial port capability in `from`.
///
/// # Errors
/// Any [`KernelError`].
pub fn narrow_ports(cnode: Cap, slot: u64, from: Cap, source: Cap, first: u16, last: u16) -> Result<(), KernelError> {
    let (first, last) = (u64::from(first), u64::from(last));
    match abi::IO_PORT_CONTROL_ISSUE {
        Some(label) => invoke(source, label, &[cnode], &[first, last, slot, DEPTH]).map(drop),
        None => invoke(cnode, abi::CNODE_MINT, &[from], &[slot, DEPTH, source.0, DEPTH, ALL, first << 16 | last]).map(drop),
    }
}

/// Writes a byte to a port.
///
/// # Errors
/// Any [`KernelError`].
pub fn port_write8(ports: Cap, port: u16, value: u8) -> Result<(), KernelError> {
    invoke(ports, abi::IO_PORT_OUT8, &[], &[u64::from(port), u64::from(value)]).map(drop)
}

/// Writes 32 bits to a port.
///
/// # Errors
/// Any [`KernelError`].
pub fn port_write32(ports: Cap, port: u16, value: u32) -> Result<(), KernelError> {
    invoke(ports, abi::IO_PORT_OUT32, &[], &[u64::from(port), u64::from(value)]).map(drop)
}

/// Reads a byte from a port.
///
/// # Errors
/// Any [`KernelError`].
pub fn port_read8(ports: Cap, port: u16) -> Result<u8, KernelError> {
    invoke(ports, abi::IO_PORT_IN8, &[], &[u64::from(port)]).map(|words| words[0] as u8)
}

/// The message of a fault, of which the first words are in `words` and the others in the IPC buffer.
#[must_use]
pub fn message_word(words: &[u64; FAST_WORDS], index: usize) -> u64 {
    words.get(index).copied().unwrap_or_else(|| buffer_word(index))
}
