//! Stage 4, plan: sections get offsets in one region, grouped by protection. Pure and printable.

use crate::address::align_up;
use crate::error::LinkError;
use crate::image::{Image, Treatment};
use crate::resource::{Protection, Segment};
use alloc::vec::Vec;
use core::fmt;

/// Offset of a section that is not loaded.
pub(crate) const NOT_LOADED: usize = usize::MAX;

/// A group of sections with one protection, in offsets from the start of the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Group {
    /// First byte, a multiple of the page size.
    pub offset: usize,
    /// Bytes, without the padding of the last page.
    pub len: usize,
}

/// Where everything of a module lies in its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Code, followed by the stubs of far functions.
    pub text: Group,
    /// Read-only data, followed by the global offset table.
    pub rodata: Group,
    /// Writable data.
    pub data: Group,
    /// Bytes of the region, a multiple of the page size.
    pub len: usize,
    /// Alignment of the region in bytes.
    pub align: usize,
    /// Offset of the first far-call stub.
    pub stubs: usize,
    /// Offset of the first slot of the global offset table.
    pub got: usize,
}

/// What a plan needs beside the sections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extras {
    pub page_size: usize,
    pub stubs: usize,
    pub got_slots: usize,
}

/// Plans `image`; `offsets` gets one entry per section, [`NOT_LOADED`] for those that stay behind.
pub(crate) fn plan(image: &Image<'_>, extras: Extras, offsets: &mut Vec<usize>) -> Result<Plan, LinkError> {
    offsets.clear();
    offsets.resize(image.section_count() as usize, NOT_LOADED);
    let machine = image.machine();
    let too_large = LinkError::Malformed { why: "the sections do not fit the address space", section: 0, entry: 0 };
    let mut cursor = Cursor { next: 0, align: extras.page_size, page_size: extras.page_size };

    let mut place = |image: &Image<'_>, treatment, cursor: &mut Cursor| -> Option<usize> {
        let start = cursor.next;
        for section in image.sections().filter(|section| section.treatment() == treatment) {
            offsets[section.index() as usize] =
                cursor.take(usize::try_from(section.size()).ok()?, usize::try_from(section.align()).ok()?)?;
        }
        Some(start)
    };

    let mut groups = || -> Option<Plan> {
        let text = place(image, Treatment::Text, &mut cursor)?;
        let stubs = cursor.take(extras.stubs.checked_mul(machine.stub_len())?, machine.stub_len())?;
        let text = cursor.close(text)?;
        let rodata = place(image, Treatment::Rodata, &mut cursor)?;
        let got = cursor.take(extras.got_slots.checked_mul(machine.pointer_len())?, machine.pointer_len())?;
        let rodata = cursor.close(rodata)?;
        let data = place(image, Treatment::Data, &mut cursor)?;
        let data = cursor.close(data)?;
        Some(Plan { text, rodata, data, len: cursor.next, align: cursor.align, stubs, got })
    };
    let plan = groups().filter(|plan| isize::try_from(plan.len).is_ok()).ok_or(too_large)?;
    if plan.text.len == 0 {
        return Err(LinkError::NotAnObject { why: "no executable section", found: 0 });
    }
    if let Some(section) = image.sections().find(|section| section.is_tls() && section.treatment() != Treatment::Skip) {
        let why = "thread-local storage of kind";
        let section_name = image.section_name(section).into();
        return Err(LinkError::Unsupported { why, section: section_name, offset: 0, value: section.kind().into() });
    }
    Ok(plan)
}

struct Cursor {
    next: usize,
    align: usize,
    page_size: usize,
}

impl Cursor {
    fn take(&mut self, len: usize, align: usize) -> Option<usize> {
        let start = align_up(self.next, align)?;
        self.next = start.checked_add(len)?;
        self.align = self.align.max(align);
        Some(start)
    }

    /// Ends the group that began at `start` and moves on to a new page.
    fn close(&mut self, start: usize) -> Option<Group> {
        let len = self.next - start;
        self.next = align_up(self.next, self.page_size)?;
        Some(Group { offset: start, len })
    }
}

impl Plan {
    /// The protections of the three groups, whole pages each, and how many of the three are not empty.
    pub(crate) fn segments(&self) -> ([Segment; 3], usize) {
        let next = [self.rodata.offset, self.data.offset, self.len];
        let mut segments = [Segment { offset: 0, len: 0, protection: Protection::None }; 3];
        let mut used = 0;
        let protections = [Protection::ReadExecute, Protection::Read, Protection::ReadWrite];
        for ((group, end), protection) in [self.text, self.rodata, self.data].into_iter().zip(next).zip(protections) {
            if group.len != 0 {
                segments[used] = Segment { offset: group.offset, len: end - group.offset, protection };
                used += 1;
            }
        }
        (segments, used)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, group, access) in [("text", self.text, "r-x"), ("rodata", self.rodata, "r--"), ("data", self.data, "rw-")] {
            writeln!(f, "{name:<7} {access} offset {:#8x} size {:#8x}", group.offset, group.len)?;
        }
        write!(f, "region      size   {:#8x} align {:#6x}", self.len, self.align)
    }
}
