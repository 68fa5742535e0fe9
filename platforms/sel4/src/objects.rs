use crate::error::KernelError;
use crate::invoke::{self, Object, PAGE_BITS, Rights};
use crate::syscall::Cap;

/// Untyped objects an allocator can draw from.
const SOURCES: usize = 32;
/// Page tables from the lowest level up.
const LEVELS: [Object; 3] = [Object::PageTable, Object::PageDirectory, Object::Pdpt];
/// Objects that one retype may make (`CONFIG_RETYPE_FAN_OUT_LIMIT`).
const FAN_OUT: u64 = 256;

/// Makes kernel objects: from untyped memory, into empty slots of a CNode.
///
/// Neither memory nor slots come back one by one; [`rewind`](Self::rewind) forgets all slots behind a mark after their objects
/// were revoked.
pub struct Objects {
    cnode: Cap,
    next: u64,
    end: u64,
    sources: heapless::Vec<Cap, SOURCES>,
    /// Page tables that were made and not needed, by level.
    spare: [Option<Cap>; LEVELS.len()],
}

impl Objects {
    /// An allocator for the slots `first..end` of `cnode`, which are empty. It has no memory yet.
    #[must_use]
    pub fn new(cnode: Cap, first: u64, end: u64) -> Self {
        Self { cnode, next: first, end, sources: heapless::Vec::new(), spare: [None; LEVELS.len()] }
    }

    /// Adds untyped memory; it is used after what was added before. Says whether there was room in the list.
    pub fn add(&mut self, untyped: Cap) -> bool {
        self.sources.push(untyped).is_ok()
    }

    /// The CNode.
    #[must_use]
    pub fn cnode(&self) -> Cap {
        self.cnode
    }

    /// The next slot to be used.
    #[must_use]
    pub fn mark(&self) -> u64 {
        self.next
    }

    /// Uses the slots from `mark` on again; they must be empty by now.
    pub fn rewind(&mut self, mark: u64) {
        self.next = self.next.min(mark);
        for spare in &mut self.spare {
            spare.take_if(|table| table.0 >= mark);
        }
    }

    /// An empty slot.
    ///
    /// # Errors
    /// [`KernelError::NOT_ENOUGH_MEMORY`] if there is none left.
    pub fn slot(&mut self) -> Result<u64, KernelError> {
        self.slots(1)
    }

    fn slots(&mut self, count: u64) -> Result<u64, KernelError> {
        let first = self.next;
        if self.end - first < count {
            return Err(KernelError::NOT_ENOUGH_MEMORY);
        }
        self.next += count;
        Ok(first)
    }

    /// Makes one object. `bits` as for [`invoke::retype`].
    ///
    /// # Errors
    /// [`KernelError::NOT_ENOUGH_MEMORY`] and others.
    pub fn make(&mut self, object: Object, bits: u8) -> Result<Cap, KernelError> {
        self.make_many(object, bits, 1).map(Cap)
    }

    /// Makes `count` objects in successive slots and says the first.
    ///
    /// # Errors
    /// [`KernelError::NOT_ENOUGH_MEMORY`] and others; objects made before the error stay unused.
    pub fn make_many(&mut self, object: Object, bits: u8, count: u64) -> Result<u64, KernelError> {
        let first = self.slots(count)?;
        let mut done = 0;
        while done < count {
            let some = (count - done).min(FAN_OUT);
            self.retype(object, bits, first + done, some)?;
            done += some;
        }
        Ok(first)
    }

    fn retype(&mut self, object: Object, bits: u8, first: u64, count: u64) -> Result<(), KernelError> {
        let mut index = 0;
        while let Some(&source) = self.sources.get(index) {
            match invoke::retype(source, object, bits, self.cnode, first, count) {
                // Too little for a single page or less is as good as nothing.
                Err(KernelError::NOT_ENOUGH_MEMORY) if bits == 0 && count == 1 && object != Object::LargePage => {
                    self.sources.remove(index);
                }
                Err(KernelError::NOT_ENOUGH_MEMORY) => index += 1,
                result => return result,
            }
        }
        Err(KernelError::NOT_ENOUGH_MEMORY)
    }

    /// Copies a capability of the same CNode to a fresh slot.
    ///
    /// # Errors
    /// Any [`KernelError`].
    pub fn copy(&mut self, source: Cap) -> Result<Cap, KernelError> {
        let slot = self.slot()?;
        invoke::copy(self.cnode, slot, self.cnode, source, Rights::All)?;
        Ok(Cap(slot))
    }

    /// Maps a page and whatever page tables are missing on the way to it.
    ///
    /// # Safety
    /// As [`invoke::map_page`].
    ///
    /// # Errors
    /// Any [`KernelError`]; page tables made before the error stay.
    pub unsafe fn map(&mut self, page: Cap, vspace: Cap, address: u64, access: invoke::Access) -> Result<(), KernelError> {
        for _ in 0..=LEVELS.len() {
            // SAFETY: the caller keeps the contract.
            match unsafe { invoke::map_page(page, vspace, address, access) } {
                Err(KernelError::FAILED_LOOKUP) => self.add_table(vspace, address)?,
                result => return result,
            }
        }
        Err(KernelError::FAILED_LOOKUP)
    }

    /// Adds the lowest page table for `address` whose upper level is there.
    fn add_table(&mut self, vspace: Cap, address: u64) -> Result<(), KernelError> {
        for (level, object) in LEVELS.into_iter().enumerate() {
            let table = match self.spare[level].take() {
                Some(table) => table,
                None => self.make(object, 0)?,
            };
            match invoke::map_table(table, object, vspace, address) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.spare[level] = Some(table);
                    if error != KernelError::FAILED_LOOKUP {
                        return Err(error);
                    }
                }
            }
        }
        Err(KernelError::FAILED_LOOKUP)
    }
}

/// Pages that `len` bytes need.
#[must_use]
pub const fn pages(len: usize) -> usize {
    len.div_ceil(1 << PAGE_BITS)
}
