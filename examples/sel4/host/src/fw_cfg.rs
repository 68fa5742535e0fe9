//! QEMU's firmware configuration device, by direct memory access: files of the machine that runs QEMU, read in part.
//!
//! Facts: QEMU's specification of the device. All numbers are big-endian.

use alloc::string::String;
use alloc::vec::Vec;
use core::ptr::NonNull;
use rumpload::resource::{HostError, HostErrorKind};
use rumpload_sel4::invoke::port_write32;
use rumpload_sel4::syscall::Cap;
use spin::Mutex;

/// Ports that take the address of a descriptor; writing the second starts the transfer.
const ADDRESS_HIGH: u16 = 0x514;
const ADDRESS_LOW: u16 = 0x518;
// Bits of a descriptor's control word.
const ERROR: u32 = 1;
const READ: u32 = 2;
const SKIP: u32 = 4;
const SELECT: u32 = 8;
/// Item with the list of files.
const DIRECTORY: u16 = 0x19;
const ENTRY: usize = 64;
const ENTRY_NAME: usize = 8;
/// Where in the page data are put, behind the descriptor, and how many at once.
const DATA: usize = 2048;
const DATA_BYTES: usize = 2048;

/// A file of the device.
#[derive(Clone, Copy, Debug)]
pub struct Item {
    selector: u16,
    /// Bytes.
    pub size: u32,
}

/// The device.
pub struct FwCfg {
    ports: Cap,
    /// A page for descriptors and data, in our memory and physically. Locked while a transfer uses it.
    page: Mutex<Page>,
}

struct Page {
    memory: NonNull<u8>,
    physical: u64,
}

// SAFETY: the page belongs to this device alone and may be used from any thread.
unsafe impl Send for Page {}

impl FwCfg {
    /// The device, through its ports.
    ///
    /// # Safety
    /// `memory` must be a page mapped read-write for good, at the physical address `physical`, that nothing else uses.
    pub unsafe fn new(ports: Cap, memory: NonNull<u8>, physical: u64) -> Self {
        Self { ports, page: Mutex::new(Page { memory, physical }) }
    }

    /// Reads bytes of `item` at `offset` to the physical address `to`: contiguous memory that may be written. Beyond the end of
    /// the item come zeroes.
    pub fn read_to(&self, item: Item, offset: u64, to: u64, len: usize) -> Result<(), HostError> {
        self.transfer(&self.page.lock(), item, offset, to, len)
    }

    fn transfer(&self, page: &Page, item: Item, offset: u64, to: u64, len: usize) -> Result<(), HostError> {
        if len == 0 {
            return Ok(());
        }
        let too_large = |_| HostErrorKind::InvalidInput;
        let (offset, len) = (u32::try_from(offset).map_err(too_large)?, u32::try_from(len).map_err(too_large)?);
        self.run(page, u32::from(item.selector) << 16 | SELECT | SKIP, 0, offset)?;
        self.run(page, READ, to, len)
    }

    /// Has the device carry out one descriptor.
    fn run(&self, page: &Page, control: u32, address: u64, len: u32) -> Result<(), HostError> {
        let descriptor = page.memory.as_ptr();
        // SAFETY: the page is ours, its start is aligned for all three fields, and the device reads it only below.
        unsafe {
            descriptor.cast::<u32>().write_volatile(control.to_be());
            descriptor.cast::<u32>().add(1).write_volatile(len.to_be());
            descriptor.cast::<u64>().add(1).write_volatile(address.to_be());
        }
        port_write32(self.ports, ADDRESS_HIGH, ((page.physical >> 32) as u32).to_be())?;
        port_write32(self.ports, ADDRESS_LOW, (page.physical as u32).to_be())?;
        loop {
            // SAFETY: as above; the device writes the field when it is done.
            let state = u32::from_be(unsafe { descriptor.cast::<u32>().read_volatile() });
            if state & !ERROR == 0 {
                return if state == 0 { Ok(()) } else { Err(HostErrorKind::Io.into()) };
            }
        }
    }

    /// Reads bytes of `item` at `offset` into `buffer`; beyond the end of the item come zeroes.
    pub fn read(&self, item: Item, offset: u64, buffer: &mut [u8]) -> Result<(), HostError> {
        let page = self.page.lock();
        for (index, piece) in buffer.chunks_mut(DATA_BYTES).enumerate() {
            let at = offset + (index * DATA_BYTES) as u64;
            self.transfer(&page, item, at, page.physical + DATA as u64, piece.len())?;
            // SAFETY: the second half of our page, which the device has finished writing; the piece is at most as long.
            unsafe { core::ptr::copy_nonoverlapping(page.memory.as_ptr().add(DATA), piece.as_mut_ptr(), piece.len()) };
        }
        Ok(())
    }

    /// All of a small item as text.
    pub fn text(&self, item: Item) -> Result<String, HostError> {
        let mut bytes = alloc::vec![0; item.size as usize];
        self.read(item, 0, &mut bytes)?;
        String::from_utf8(bytes).map_err(|_| HostErrorKind::Protocol.into())
    }

    /// Name and item of every file.
    pub fn directory(&self) -> Result<Vec<(String, Item)>, HostError> {
        let directory = Item { selector: DIRECTORY, size: u32::MAX };
        let mut count = [0; 4];
        self.read(directory, 0, &mut count)?;
        let mut items = Vec::new();
        for index in 0..u32::from_be_bytes(count) {
            let mut entry = [0; ENTRY];
            self.read(directory, 4 + u64::from(index) * ENTRY as u64, &mut entry)?;
            let [a, b, c, d, e, f, ..] = entry;
            let name = &entry[ENTRY_NAME..];
            let name = &name[..name.iter().position(|byte| *byte == 0).unwrap_or(name.len())];
            let item = Item { selector: u16::from_be_bytes([e, f]), size: u32::from_be_bytes([a, b, c, d]) };
            items.push((String::from_utf8_lossy(name).into_owned(), item));
        }
        Ok(items)
    }
}
