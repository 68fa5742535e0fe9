//! The link pipeline, in order: resolve, plan, reserve, copy, relocate, finalize.
//!
//! The usual module needs one pass. One that goes through a global offset table, or refers to sections that do not ask to be
//! loaded, is noticed while relocations are applied; its relocations are then surveyed once, and it is linked anew with what
//! it needs.

pub use crate::linked::{Linked, LinkedFunction, LinkedSymbol};

use crate::address::{RunAddr, SectionIndex, SymbolIndex};
use crate::arch::Machine;
use crate::error::{Feature, LinkError, OutOfRange, Problem};
use crate::flavour::{Flavour, Purpose};
use crate::image::{Image, Section};
use crate::plan::{Plan, SegmentKind, Slots};
use crate::relocate::{self, Cause, Context, Fault, Refusal, State, Target, Value};
use crate::rename::Namespace;
use crate::resolve::{self, Import, Scope, SymbolKind};
use crate::resource::{HostError, HostErrorKind, Memory, Placement, Request, Reservation, Segment};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Links modules. Owns its scratch: after the largest module was linked once, linking makes no heap allocation.
#[derive(Default)]
pub struct Linker {
    plan: Plan,
    imports: Vec<Import>,
    values: Vec<Value>,
    /// By section index: what the values of its symbols count from.
    bases: Vec<Option<u64>>,
    /// By symbol index: slot in the global offset table + 1, or 0. Empty unless surveyed.
    slots: Vec<u32>,
    /// By section index: load it although it does not ask for it. Empty unless surveyed.
    wanted: Vec<bool>,
    /// Sections still to be surveyed.
    pending: Vec<u32>,
    /// By section index: first relocation section that applies to it, and by relocation section: the next one for its target.
    chains: Vec<(u32, u32)>,
    /// The symbol that stands for the table of contents.
    toc_symbol: Option<u32>,
    /// Distances of upper halves, of machines that split them.
    pairs: Vec<(u64, i64)>,
}

/// How a module is linked.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Whose conventions it follows.
    pub flavour: Flavour,
    /// Where its undefined symbols live.
    pub namespace: &'a Namespace,
    /// Where it has to lie.
    pub placement: Placement,
    /// What per-CPU data of Linux modules is addressed relative to; 0 if plainly.
    pub per_cpu: u64,
}

/// What one link is made of.
struct Job<'a> {
    image: &'a Image<'a>,
    options: Options<'a>,
    memory: &'a Arc<dyn Memory>,
    unread: &'a dyn ReadCode,
}

/// Reads the section that was left in an image's file.
pub(crate) trait ReadCode {
    /// Fills `place`, which is as long as the section.
    ///
    /// # Errors
    /// The host's; [`Io`](HostErrorKind::Io) if the file has become shorter.
    fn read_code(&self, place: &mut [u8]) -> Result<(), HostError>;
}

/// Of an image that was read whole.
struct AllRead;

impl ReadCode for AllRead {
    fn read_code(&self, _place: &mut [u8]) -> Result<(), HostError> {
        Err(HostErrorKind::Protocol.into())
    }
}

/// Where per-CPU data of a Linux module is.
const PER_CPU: &str = ".data..percpu";

/// Why one pass did not finish.
enum Stop {
    /// The module needs a survey first.
    Survey,
    /// It cannot be linked.
    Failed(LinkError),
}

impl From<LinkError> for Stop {
    fn from(error: LinkError) -> Self {
        Self::Failed(error)
    }
}

impl Linker {
    /// A linker without scratch yet.
    pub const fn new() -> Self {
        Self {
            plan: Plan::new(),
            imports: Vec::new(),
            values: Vec::new(),
            bases: Vec::new(),
            slots: Vec::new(),
            wanted: Vec::new(),
            pending: Vec::new(),
            chains: Vec::new(),
            toc_symbol: None,
            pairs: Vec::new(),
        }
    }

    /// Links `image`, a NetBSD module, into memory reserved from `memory` at `placement`; undefined symbols are looked up in `scope` under
    /// their names in `namespace`. Nothing of the module is run. If it fails, nothing is left reserved.
    ///
    /// # Errors
    /// [`Unresolved`](LinkError::Unresolved) with all symbols that `scope` does not know; [`OutOfRange`](LinkError::OutOfRange),
    /// [`Malformed`](LinkError::Malformed) or [`Unsupported`](LinkError::Unsupported) with the place of the relocation;
    /// [`Host`](LinkError::Host) if memory refuses.
    pub fn link(
        &mut self,
        image: &Image<'_>,
        namespace: &Namespace,
        scope: &dyn Scope,
        memory: &Arc<dyn Memory>,
        placement: Placement,
    ) -> Result<Linked, LinkError> {
        self.link_as(image, Options { flavour: Flavour::NetBsd, namespace, placement, per_cpu: 0 }, scope, memory)
    }

    /// Links `image` as `options` say; otherwise as [`link`](Self::link).
    ///
    /// # Errors
    /// As [`link`](Self::link).
    pub fn link_as(
        &mut self,
        image: &Image<'_>,
        options: Options<'_>,
        scope: &dyn Scope,
        memory: &Arc<dyn Memory>,
    ) -> Result<Linked, LinkError> {
        self.link_reading(image, options, scope, memory, &AllRead)
    }

    /// As [`link_as`](Self::link_as); `unread` reads the image's unread section.
    pub(crate) fn link_reading(
        &mut self,
        image: &Image<'_>,
        options: Options<'_>,
        scope: &dyn Scope,
        memory: &Arc<dyn Memory>,
        unread: &dyn ReadCode,
    ) -> Result<Linked, LinkError> {
        let job = Job { image, options, memory, unread };
        self.toc_symbol = resolve::imports(image, options.flavour, options.namespace, scope, &mut self.imports)?;
        self.slots.clear();
        self.wanted.clear();
        match self.pass(&job, 0, false) {
            Ok(linked) => return Ok(linked),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Survey) => {}
        }
        let table = self.survey(image, options.flavour);
        match self.pass(&job, table, true) {
            Ok(linked) => Ok(linked),
            Err(Stop::Failed(error)) => Err(error),
            Err(Stop::Survey) => unreachable!("a surveyed module is not surveyed again"),
        }
    }

    /// One pass; `table` is the number of slots of the global offset table.
    fn pass(&mut self, job: &Job<'_>, table: usize, surveyed: bool) -> Result<Linked, Stop> {
        let image = job.image;
        let slots = Slots {
            stubs: self.far_imports(job),
            stub_len: stub_len(image),
            table,
            entry_len: image.format().pointer_size() as usize,
        };
        self.plan.fill(image, job.options.flavour, job.memory.page_size(), slots, &self.wanted)?;
        let request = Request { len: self.plan.region_len(), align: self.plan.region_align(), placement: job.options.placement };
        let host = |wanted| move |error| LinkError::Host { wanted, error };
        let mut reservation = Reservation::uncleared(job.memory, &request).map_err(host("memory for the module"))?;
        let run = reservation.run();
        if !image.format().wide && run.get().saturating_add(request.len as u64) > 1 << 32 {
            let error = HostErrorKind::Protocol.into();
            return Err(LinkError::Host { wanted: "memory below 4 GiB for the module", error }.into());
        }

        self.evaluate(job, run);
        let bytes = reservation.bytes_mut();
        self.copy(job, bytes)?;
        self.bind_imports(job, bytes, run)?;
        let mut pairs = core::mem::take(&mut self.pairs);
        let relocated = self.relocate(job, bytes, run, surveyed, &mut pairs);
        self.pairs = pairs;
        relocated?;
        self.fill_table(image, bytes);

        let mut segments = heapless::Vec::<Segment, 5>::new();
        segments.extend(self.plan.protections());
        reservation.finalize(&segments).map_err(host("protection of the module"))?;
        Ok(Linked::new(reservation, &self.plan, image))
    }

    /// How many imports may need a stub: functions that are not in reach of every address the placement allows.
    fn far_imports(&self, job: &Job<'_>) -> usize {
        let machine = job.image.machine();
        if stub_len(job.image) == 0 {
            return 0;
        }
        let always = stubs_always(job.image);
        let reach = machine.reach();
        let far = |import: &&Import| {
            import.resolved.kind == SymbolKind::Function
                && match job.options.placement {
                    _ if always => true,
                    Placement::Anywhere => reach.call != i64::MAX,
                    Placement::Within { first, last } => !reach.covers(first, last, import.resolved.value.get()),
                }
        };
        self.imports.iter().filter(far).count()
    }

    /// Gives the module's own symbols their addresses.
    fn evaluate(&mut self, job: &Job<'_>, run: RunAddr) {
        let plan = &self.plan;
        let per_cpu = match job.options.per_cpu {
            0 => None,
            _ => job.image.section_by_name(PER_CPU).map(|section| section.index().0),
        };
        self.bases.clear();
        self.bases.resize(job.image.section_count(), None);
        for (index, planned) in plan.sections() {
            let base = run.get() + planned.offset as u64;
            let biased = per_cpu == Some(index.0);
            self.bases[index.0 as usize] = Some(if biased { base.wrapping_sub(job.options.per_cpu) } else { base });
        }
        resolve::definitions(job.image, job.options.flavour, &mut self.values, &self.bases);
        if let Some(value) = self.toc_symbol.and_then(|index| self.values.get_mut(index as usize)) {
            *value = Value::known(toc(job.image, plan, run));
        }
    }

    /// Gives imports their addresses, through a stub where a function is out of reach.
    fn bind_imports(&mut self, job: &Job<'_>, bytes: &mut [u8], run: RunAddr) -> Result<(), LinkError> {
        let (machine, wide) = (job.image.machine(), job.image.format().wide);
        let (reach, always) = (machine.reach(), stubs_always(job.image));
        let last = run.get() + (self.plan.region_len() as u64 - 1);
        let slots = self.plan.slots();
        let mut stubs = 0;
        for import in &self.imports {
            let Some(value) = self.values.get_mut(import.symbol as usize) else { continue };
            let target = import.resolved.value.get();
            let fits = wide || target <= u64::from(u32::MAX);
            *value = if fits { Value::known(target) } else { Value::none(State::TooWide) };
            let near = !always && reach.covers(run.get(), last, target);
            if import.resolved.kind != SymbolKind::Function || !fits || near {
                continue;
            }
            if stubs == slots.stubs {
                // The machine has no stubs: its relocations will say whether they reach.
                continue;
            }
            let offset = self.plan.stubs() + stubs * slots.stub_len;
            let at = RunAddr::new(run.get() + offset as u64);
            let Some(slot) = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..slots.stub_len)) else { continue };
            machine.write_stub(slot, at, target);
            stubs += 1;
            if always {
                // Only calls go through it: whoever takes the address means the function itself.
                value.stub = stubs as u32;
            } else {
                value.address = at.get();
            }
        }
        Ok(())
    }

    /// Copies or reads what the file holds of each loaded section, and clears the rest of each segment unless the region is
    /// zeroed already.
    fn copy(&self, job: &Job<'_>, bytes: &mut [u8]) -> Result<(), LinkError> {
        let (image, zeroed) = (job.image, job.memory.zeroed());
        let unread = image.unread().map(|unread| unread.section);
        // By segment: where what has been written ends. Sections of a segment lie in the order of their headers.
        let mut ends = SegmentKind::ALL.map(|kind| self.plan.segment(kind).offset);
        for (index, planned) in self.plan.sections() {
            let Some(section) = image.section(index) else { continue };
            let len = section.file_size() as usize;
            if let Some(place) = bytes.get_mut(planned.offset..).and_then(|rest| rest.get_mut(..len)) {
                if unread == Some(index) {
                    job.unread.read_code(place).map_err(|error| LinkError::Host { wanted: "the code of the module", error })?;
                } else {
                    place.copy_from_slice(section.data());
                }
            }
            let end = &mut ends[planned.segment as usize];
            if !zeroed && let Some(gap) = bytes.get_mut(*end..planned.offset) {
                gap.fill(0);
            }
            *end = planned.offset + len;
        }
        if zeroed {
            return Ok(());
        }
        for (kind, end) in SegmentKind::ALL.into_iter().zip(ends) {
            let segment = self.plan.segment(kind);
            if let Some(gap) = bytes.get_mut(end..segment.offset + segment.len) {
                gap.fill(0);
            }
        }
        Ok(())
    }

    fn relocate(
        &self,
        job: &Job<'_>,
        bytes: &mut [u8],
        run: RunAddr,
        surveyed: bool,
        pairs: &mut Vec<(u64, i64)>,
    ) -> Result<(), Stop> {
        let image = job.image;
        let at = |offset: usize| run.get().wrapping_add(offset as u64);
        let context = Context {
            image,
            values: &self.values,
            slots: &self.slots,
            slot_base: at(self.plan.table()),
            stub_base: at(self.plan.stubs()),
            toc: if image.machine() == Machine::PowerPc64 { toc(image, &self.plan, run) } else { 0 },
            pairs: &[],
        };
        for section in image.sections() {
            let Some(target) = self.applies(image, &section) else { continue };
            let Some(planned) = self.plan.section(target.index()) else { continue };
            let Some(place) = bytes.get_mut(planned.offset..).and_then(|rest| rest.get_mut(..planned.size)) else { continue };
            let place = Target { bytes: place, run: at(planned.offset) };
            let mut context = context;
            if image.machine() == Machine::Riscv64 {
                relocate::pairs(&context, &section, place.run, pairs);
                context.pairs = pairs;
            }
            if let Err(fault) = relocate::section(&context, section.data(), section.is_explicit(), place) {
                let again = matches!(fault.cause, Cause::Slot | Cause::Symbol(State::Unloaded));
                return Err(if again && !surveyed { Stop::Survey } else { Stop::Failed(explain(job, &section, &target, fault)) });
            }
        }
        Ok(())
    }

    /// The section that `section` relocates, if it is one of loaded bytes.
    fn applies<'a>(&self, image: &Image<'a>, section: &Section<'a>) -> Option<Section<'a>> {
        let target = section.relocates()?;
        self.plan.section(target)?;
        image.section(target).filter(|target| target.file_size() != 0 || target.size() == 0)
    }

    /// Writes the addresses of the symbols that have a slot.
    fn fill_table(&self, image: &Image<'_>, bytes: &mut [u8]) {
        let size = image.format().pointer_size() as usize;
        let big = image.format().order.big;
        for (value, slot) in self.values.iter().zip(&self.slots) {
            let Some(slot) = slot.checked_sub(1) else { continue };
            let offset = self.plan.table() + slot as usize * size;
            let Some(place) = bytes.get_mut(offset..).and_then(|rest| rest.get_mut(..size)) else { continue };
            let (little, bigger) = (value.address.to_le_bytes(), value.address.to_be_bytes());
            place.copy_from_slice(if big { &bigger[8 - size..] } else { &little[..size] });
        }
    }

    /// Finds which sections loaded ones refer to and which symbols need a slot; gives the number of slots.
    fn survey(&mut self, image: &Image<'_>, flavour: Flavour) -> usize {
        let machine = image.machine();
        let mut table = 0u32;
        self.slots.resize(image.symbol_count(), 0);
        self.wanted.resize(image.section_count(), false);
        self.chain(image);
        self.pending.clear();
        self.pending.extend(image.sections().filter(|section| asks(section, flavour)).map(|section| section.index().0));
        while let Some(index) = self.pending.pop() {
            let mut next = self.chains[index as usize].0;
            while next != 0 {
                let relocations = image.section(SectionIndex(next));
                next = self.chains[next as usize].1;
                for relocation in relocations.iter().flat_map(Section::relocations) {
                    let Some(symbol) = image.raw_symbol(relocation.symbol) else { continue };
                    if machine.kind(relocation.kind).needs_slot()
                        && let Some(slot @ 0) = self.slots.get_mut(relocation.symbol.0 as usize)
                    {
                        table += 1;
                        *slot = table;
                    }
                    let crate::image::Definition::Section(home) = symbol.definition() else { continue };
                    let waits = image.section(home).is_some_and(|home| home.is_bits() && !asks(&home, flavour));
                    if waits && let Some(wanted @ false) = self.wanted.get_mut(home.0 as usize) {
                        *wanted = true;
                        self.pending.push(home.0);
                    }
                }
            }
        }
        table as usize
    }

    /// Links the relocation sections of each section into a list.
    fn chain(&mut self, image: &Image<'_>) {
        self.chains.clear();
        self.chains.resize(image.section_count(), (0, 0));
        for section in image.sections() {
            let Some(target) = section.relocates() else { continue };
            let index = section.index().0;
            if let Some(&(first, _)) = self.chains.get(target.0 as usize) {
                self.chains[target.0 as usize].0 = index;
                self.chains[index as usize].1 = first;
            }
        }
    }
}

/// Base of the table of contents of a powerpc64 module.
fn toc(image: &Image<'_>, plan: &Plan, run: RunAddr) -> u64 {
    let start = |section: &Section<'_>| Some(run.get().wrapping_add(plan.section(section.index())?.offset as u64));
    relocate::table_of_contents(image, run.get(), start)
}

/// True if the section is loaded whether or not anything refers to it.
fn asks(section: &Section<'_>, flavour: Flavour) -> bool {
    section.is_loadable() && flavour.purpose(section.name()) != Purpose::Kernel
}

/// Bytes of a stub in `image`; 0 if none can be written for its form.
fn stub_len(image: &Image<'_>) -> usize {
    let machine = image.machine();
    if image.format().order.big && machine != Machine::S390x { 0 } else { machine.far_stub_len() }
}

/// True if every call out of the module changes the table of contents, which takes a stub however near the function is.
fn stubs_always(image: &Image<'_>) -> bool {
    image.machine() == Machine::PowerPc64 && stub_len(image) != 0
}

/// The typed error of a relocation that could not be applied.
#[cold]
fn explain(job: &Job<'_>, section: &Section<'_>, target: &Section<'_>, fault: Fault) -> LinkError {
    let image = job.image;
    let Some(relocation) = section.relocations().nth(fault.entry as usize) else {
        return LinkError::malformed(section.place(), Problem::TooLarge);
    };
    let record = section.place().entry(fault.entry);
    let place = target.place().at(relocation.offset);
    let name = || resolve::described(image, job.options.namespace, relocation.symbol);
    let boxed = || name().into_boxed_str();
    match fault.cause {
        Cause::SymbolIndex => LinkError::malformed(record, Problem::RelocationSymbol(relocation.symbol.0)),
        Cause::Slot => LinkError::unsupported(place, Feature::Relocation(relocation.kind)),
        Cause::Symbol(state) => match state {
            State::Null | State::Known => LinkError::malformed(record, Problem::NoSymbol),
            State::Undefined => LinkError::malformed(place, Problem::UndefinedLocal(SymbolIndex(relocation.symbol.0))),
            State::Common => LinkError::unsupported(place, Feature::Common(boxed())),
            State::ThreadLocal => LinkError::unsupported(place, Feature::ThreadLocal(boxed())),
            State::Indirect => LinkError::unsupported(place, Feature::IndirectFunction(boxed())),
            State::Unloaded => LinkError::unsupported(place, Feature::Unloaded(boxed())),
            State::TooWide => LinkError::unsupported(place, Feature::AddressWidth(boxed())),
        },
        Cause::Refused(refusal) => match refusal {
            Refusal::Place => {
                LinkError::malformed(record, Problem::RelocationPlace { offset: relocation.offset, size: target.size() })
            }
            Refusal::Unknown => LinkError::unsupported(record.at(relocation.offset), Feature::Relocation(relocation.kind)),
            Refusal::Pair => LinkError::malformed(record, Problem::Pair),
            Refusal::Instruction(word) => LinkError::malformed(place, Problem::Instruction(word)),
            Refusal::Range(value) => {
                LinkError::OutOfRange(Box::new(OutOfRange { place, symbol: name(), relocation: relocation.kind, value }))
            }
        },
    }
}
