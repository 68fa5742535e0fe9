//! The driver of the stages: checked image in, finalized bytes out.

use crate::address::RunAddr;
use crate::error::LinkError;
use crate::image::{Binding, Image, Place, Treatment};
use crate::metadata::Location;
use crate::plan::{self, Extras, NOT_LOADED, Plan};
use crate::relocate::{self, Target};
use crate::rename::{Name, Namespace};
use crate::resolve::{self, Reason, Scope, SymbolKind, Value};
use crate::resource::{Memory, Placement, Request, Reservation};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Links modules one after another; keeps its scratch, so that a load allocates nothing once it is warm.
#[derive(Debug, Default)]
pub struct Linker {
    offsets: Vec<usize>,
    values: Vec<Value>,
    far: Vec<u64>,
    got_slots: Vec<u32>,
}

/// A symbol that a linked module defines.
#[derive(Clone, Copy, Debug)]
pub struct Defined<'a> {
    /// Its name after renaming.
    pub name: Name<'a>,
    /// Its address or number.
    pub value: RunAddr,
    /// Its size in bytes, 0 if unknown.
    pub size: u64,
    /// What it is.
    pub kind: SymbolKind,
    /// Who may see it.
    pub binding: Binding,
}

/// A linked and finalized module, as long as the linker is not used again.
pub struct Linked<'l> {
    reservation: Reservation,
    plan: Plan,
    offsets: &'l [usize],
}

impl Linker {
    /// A linker with empty scratch.
    #[must_use]
    pub const fn new() -> Self {
        Self { offsets: Vec::new(), values: Vec::new(), far: Vec::new(), got_slots: Vec::new() }
    }

    /// Links `image`: reserves memory at `placement`, copies, resolves against `scope`, relocates, finalizes. On an error
    /// nothing stays reserved.
    ///
    /// # Errors
    /// [`LinkError`], with the place; all unresolved symbols are reported together.
    pub fn link(
        &mut self,
        image: &Image<'_>,
        namespace: &Namespace,
        scope: &dyn Scope,
        memory: &Arc<dyn Memory>,
        placement: Placement,
    ) -> Result<Linked<'_>, LinkError> {
        let Self { offsets, values, far, got_slots } = self;
        resolve::resolve(image, namespace, scope, values, far)?;
        let slots = count_got(image, got_slots)?;
        let extras = Extras { page_size: memory.page_size(), stubs: far.len(), got_slots: slots };
        let plan = plan::plan(image, extras, offsets)?;
        let mut reservation = Reservation::new(memory, &Request { len: plan.len, align: plan.align, placement })?;
        let run = reservation.run().get();
        let bytes = reservation.bytes_mut();
        copy(image, offsets, bytes);
        let machine = image.machine();
        for (index, &target) in far.iter().enumerate() {
            let at = plan.stubs + index * machine.stub_len();
            machine.write_stub(&mut bytes[at..at + machine.stub_len()], RunAddr::new(run + at as u64), target);
        }
        place_symbols(image, offsets, run, values);
        let mut target = Target { bytes, run, values, stubs: plan.stubs, got_slots, got: plan.got };
        for section in image.sections() {
            let Some(records) = image.relocations(section)? else { continue };
            let offset = offsets[records.target as usize];
            if offset == NOT_LOADED || image.section(records.target).is_nobits() {
                continue;
            }
            relocate::apply(image, records, offset, &mut target)?;
        }
        let (segments, used) = plan.segments();
        reservation.finalize(&segments[..used])?;
        Ok(Linked { reservation, plan, offsets })
    }
}

/// Numbers the symbols that need a slot in the global offset table; leaves `slots` empty if none does.
fn count_got(image: &Image<'_>, slots: &mut Vec<u32>) -> Result<usize, LinkError> {
    slots.clear();
    let mut used = 0;
    for section in image.sections() {
        let Some(records) = image.relocations(section)? else { continue };
        if image.section(records.target).treatment() == Treatment::Skip {
            continue;
        }
        for record in records.iter() {
            if !image.machine().classify(record.kind).is_some_and(|kind| kind.wants_got()) {
                continue;
            }
            if slots.is_empty() {
                slots.resize(image.symbol_count() as usize, u32::MAX);
            }
            if let Some(slot @ &mut u32::MAX) = slots.get_mut(record.symbol as usize) {
                *slot = used;
                used += 1;
            }
        }
    }
    Ok(used as usize)
}

fn copy(image: &Image<'_>, offsets: &[usize], bytes: &mut [u8]) {
    for section in image.sections() {
        let offset = offsets[section.index() as usize];
        if offset != NOT_LOADED && !section.is_nobits() {
            let contents = image.contents(section);
            bytes[offset..offset + contents.len()].copy_from_slice(contents);
        }
    }
}

/// Turns the offsets of the symbols that the image defines into run addresses.
fn place_symbols(image: &Image<'_>, offsets: &[usize], run: u64, values: &mut [Value]) {
    for symbol in image.symbols() {
        if let (Place::Section(section), value @ Value::Is(_)) = (symbol.place, &mut values[symbol.index as usize]) {
            *value = match offsets[section as usize] {
                NOT_LOADED => Value::Not(Reason::Unloaded),
                offset => Value::Is((run + offset as u64).wrapping_add(symbol.value)),
            };
        }
    }
}

impl Linked<'_> {
    /// Where everything lies.
    #[must_use]
    pub fn plan(&self) -> Plan {
        self.plan
    }

    /// Run address of the first byte.
    #[must_use]
    pub fn run(&self) -> RunAddr {
        self.reservation.run()
    }

    /// Address and size in bytes of the text segment, the two numbers that NetBSD reports of a module.
    #[must_use]
    pub fn text(&self) -> (RunAddr, u64) {
        (self.at(self.plan.text.offset), self.plan.text.len as u64)
    }

    /// Run address of a place in the file; `None` if its section was not loaded.
    #[must_use]
    pub fn address(&self, location: Location) -> Option<RunAddr> {
        match *self.offsets.get(location.section as usize)? {
            NOT_LOADED => None,
            offset => self.at(offset).checked_add(location.offset),
        }
    }

    /// Address and size in bytes of the first loaded section called `name`.
    #[must_use]
    pub fn section(&self, image: &Image<'_>, name: &str) -> Option<(RunAddr, u64)> {
        let section = image.section_named(name)?;
        Some((self.address(Location { section: section.index(), offset: 0 })?, section.size()))
    }

    /// The named symbols that the module defines and that were loaded, local ones included.
    pub fn defined<'a>(&self, image: &Image<'a>, namespace: &Namespace) -> impl Iterator<Item = Defined<'a>> {
        let image = *image;
        image.symbols().filter_map(move |symbol| {
            let value = match symbol.place {
                Place::Absolute => RunAddr::new(symbol.value),
                Place::Section(section) => self.address(Location { section, offset: symbol.value })?,
                _ => return None,
            };
            let raw = image.symbol_name(symbol).filter(|raw| !raw.is_empty())?;
            let kind = match symbol.place {
                Place::Absolute => SymbolKind::Absolute,
                _ if symbol.is_function() => SymbolKind::Function,
                _ => SymbolKind::Data,
            };
            Some(Defined { name: namespace.name(symbol.binding, raw), value, size: symbol.size, kind, binding: symbol.binding })
        })
    }

    /// The memory, for whoever keeps the module.
    #[must_use]
    pub fn into_reservation(self) -> Reservation {
        self.reservation
    }

    fn at(&self, offset: usize) -> RunAddr {
        RunAddr::new(self.reservation.run().get() + offset as u64)
    }
}
