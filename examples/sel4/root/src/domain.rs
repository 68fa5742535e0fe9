//! Makes a protection domain: an address space, a capability space with what it may use and nothing else, a thread.

use crate::elf;
use rumpload_sel4::invoke::{self, Access, LARGE_PAGE, Object, PAGE, Rights, ThreadSpace};
use rumpload_sel4::syscall::Cap;
use rumpload_sel4::{KernelError, Objects, slot};
use sel4_runtime::layout::{self, Start};

/// Where the root task maps a page while it fills it.
const SCRATCH: u64 = 0x1_0000_0000;

/// Memory that several domains see: pages of one untyped object, so contiguous.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    first: u64,
    count: u64,
}

impl Shared {
    /// Makes `bytes` of memory (a power of two of pages).
    pub fn new(objects: &mut Objects, bytes: usize) -> Result<Self, KernelError> {
        let block = objects.make(Object::Untyped, bytes.trailing_zeros() as u8)?;
        let count = (bytes / PAGE) as u64;
        let mut source = Objects::new(slot::CNODE, objects.slot()?, 0);
        for _ in 1..count {
            objects.slot()?;
        }
        let first = source.mark();
        source = Objects::new(slot::CNODE, first, first + count);
        source.add(block);
        Ok(Self { first: source.make_many(Object::Page, 0, count)?, count })
    }

    /// Physical address of the first page.
    pub fn address(&self) -> Result<u64, KernelError> {
        invoke::page_address(Cap(self.first))
    }

    /// Maps all of it into `vspace` at `address`, through copies of the capabilities.
    pub fn map(&self, objects: &mut Objects, vspace: Cap, address: u64, access: Access) -> Result<(), KernelError> {
        for index in 0..self.count {
            let copy = objects.copy(Cap(self.first + index))?;
            // SAFETY: a domain that does not run yet, or an address of the root task's that is for this memory alone.
            unsafe { objects.map(copy, vspace, address + index * PAGE as u64, access) }?;
        }
        Ok(())
    }
}

/// What a domain is made of.
pub struct Plan<'a> {
    /// Its image.
    pub image: &'static [u8],
    /// Its capability space has 2 to this power slots.
    pub radix: u8,
    /// Bytes of heap, a multiple of a large page.
    pub heap: usize,
    /// Its priority.
    pub priority: u8,
    /// Capabilities besides the basic ones: slot, capability of the root task, rights, badge (0: as it is).
    pub caps: &'a [(Cap, Cap, Rights, u64)],
    /// Ports: slot, first, last.
    pub ports: &'a [(Cap, u16, u16)],
    /// Shared memory: what, where, how.
    pub shared: &'a [(Shared, u64, Access)],
    /// It has a page for direct memory access.
    pub dma: bool,
    /// It makes objects itself: from this much memory (a power of two), in its own capability and address space.
    pub memory_bits: Option<u8>,
    /// What it is told.
    pub start: Start,
}

/// A domain.
#[derive(Clone, Copy, Debug)]
pub struct Domain {
    /// Its thread.
    pub thread: Cap,
    /// Its capability space.
    pub cnode: Cap,
}

/// Maps `page` for the root task, fills it, and unmaps it.
fn fill(objects: &mut Objects, page: Cap, data: &[u8], offset: usize) -> Result<(), KernelError> {
    // SAFETY: the address is used by this function alone.
    unsafe { objects.map(page, slot::VSPACE, SCRATCH, Access::ReadWrite) }?;
    // SAFETY: a fresh page, just mapped; the caller's data fit in it, and are checked to.
    unsafe {
        let target = core::slice::from_raw_parts_mut(core::ptr::with_exposed_provenance_mut::<u8>(SCRATCH as usize), PAGE);
        target[offset..offset + data.len()].copy_from_slice(data);
        invoke::unmap_page(page)
    }
}

/// Makes the domain and starts it. All of it comes from `objects`.
pub fn start(objects: &mut Objects, plan: &Plan<'_>) -> Result<Domain, KernelError> {
    let bad_image = KernelError(1);
    // First, as the largest block: it would not be aligned to its size behind others.
    let untyped = plan.memory_bits.map(|bits| objects.make(Object::Untyped, bits)).transpose()?;
    let vspace = objects.make(Object::Pml4, 0)?;
    invoke::assign_address_space(slot::ASID_POOL, vspace)?;
    let mut start = plan.start;
    for segment in elf::segments(plan.image) {
        let segment = segment.ok_or(bad_image)?;
        start.image[usize::from(segment.writable)] = segment.size;
        load(objects, vspace, &segment)?;
    }
    let stack = layout::STACK_TOP - layout::STACK_BYTES;
    for address in (stack..layout::STACK_TOP).step_by(PAGE) {
        new_page(objects, vspace, address, Access::ReadWrite, &[])?;
    }
    for address in (layout::HEAP..layout::HEAP + plan.heap as u64).step_by(LARGE_PAGE) {
        let page = objects.make(Object::LargePage, 0)?;
        // SAFETY: the domain does not run yet.
        unsafe { objects.map(page, vspace, address, Access::ReadWrite) }?;
    }
    for (shared, address, access) in plan.shared {
        shared.map(objects, vspace, *address, *access)?;
    }
    if plan.dma {
        start.dma = invoke::page_address(new_page(objects, vspace, layout::DMA, Access::ReadWrite, &[])?)?;
    }
    let buffer = new_page(objects, vspace, layout::IPC_BUFFER, Access::ReadWrite, &[])?;
    start.heap = plan.heap as u32;
    start.slots = 1 << plan.radix;
    // SAFETY: the record has no padding: words, and two halves of one.
    let record = unsafe { core::slice::from_raw_parts((&raw const start).cast::<u8>(), size_of::<Start>()) };
    new_page(objects, vspace, layout::START, Access::Read, record)?;

    let bare = objects.make(Object::CNode, plan.radix)?;
    let cnode = Cap(objects.slot()?);
    invoke::mint(slot::CNODE, cnode.0, slot::CNODE, bare, Rights::All, invoke::guard(plan.radix))?;
    for (target, source, rights, badge) in plan.caps {
        match *badge {
            0 => invoke::copy(cnode, target.0, slot::CNODE, *source, *rights)?,
            badge => invoke::mint(cnode, target.0, slot::CNODE, *source, *rights, badge)?,
        }
    }
    for (target, first, last) in plan.ports {
        invoke::narrow_ports(cnode, target.0, slot::CNODE, slot::PORTS, *first, *last)?;
    }
    if let Some(untyped) = untyped {
        invoke::move_cap(cnode, layout::cap::UNTYPED.0, slot::CNODE, untyped)?;
        invoke::copy(cnode, layout::cap::VSPACE.0, slot::CNODE, vspace, Rights::All)?;
        invoke::copy(cnode, layout::cap::CNODE.0, slot::CNODE, cnode, Rights::All)?;
    }
    let thread = objects.make(Object::Thread, 0)?;
    let space = ThreadSpace {
        cspace: cnode,
        cspace_data: 0,
        vspace,
        buffer: layout::IPC_BUFFER,
        buffer_page: buffer,
        fault_slot: layout::cap::FAULT.0,
        priority: plan.priority,
    };
    invoke::configure(thread, &space, slot::THREAD)?;
    let entry = elf::entry(plan.image).ok_or(bad_image)?;
    // A function's entry finds a return address below a multiple of 16.
    // SAFETY: the image's entry, and the top of the stack that was just mapped.
    unsafe { invoke::start(thread, entry, layout::STACK_TOP - 8, layout::START) }?;
    Ok(Domain { thread, cnode })
}

/// Makes a page of `data` and zeroes and maps it.
fn new_page(objects: &mut Objects, vspace: Cap, address: u64, access: Access, data: &[u8]) -> Result<Cap, KernelError> {
    let page = objects.make(Object::Page, 0)?;
    if !data.is_empty() {
        fill(objects, page, data, 0)?;
    }
    // SAFETY: the domain does not run yet.
    unsafe { objects.map(page, vspace, address, access) }?;
    Ok(page)
}

fn load(objects: &mut Objects, vspace: Cap, segment: &elf::Segment) -> Result<(), KernelError> {
    let access = if segment.writable { Access::ReadWrite } else { Access::Read };
    // The linker script starts segments at pages.
    for offset in (0..segment.size as usize).step_by(PAGE) {
        let data = segment.data.get(offset..).unwrap_or_default();
        new_page(objects, vspace, segment.address + offset as u64, access, &data[..data.len().min(PAGE)])?;
    }
    Ok(())
}
