//! Undefined symbols → addresses.
//!
//! Whether an import is a function is known only to its exporter, so imports are resolved before the plan is made. A symbol
//! that the module defines is its own; everything else is asked of the scope, once. All that nobody exports are reported
//! together.

use crate::address::{RunAddr, SymbolIndex};
use crate::arch::Machine;
use crate::error::{LinkError, Missing};
use crate::flavour::Flavour;
use crate::image::{Binding, Definition, Format, Image};
use crate::relocate::{State, Value, is_table_of_contents, local_entry};
use crate::rename::{Name, Namespace};
use alloc::vec::Vec;
use goblin::elf::{section_header as sh, sym};

/// What an exported symbol is, as its exporter knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SymbolKind {
    /// Code: a call out of reach may go through a stub.
    Function,
    /// Data: it has to lie within reach.
    Data,
    /// A number.
    Absolute,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Its address.
    pub value: RunAddr,
    /// What it is.
    pub kind: SymbolKind,
}

/// Where undefined symbols are looked up.
pub trait Scope {
    /// What `name` stands for, if anybody exports it.
    fn lookup(&self, name: Name<'_>) -> Option<Resolved>;
}

/// A scope that exports nothing.
impl Scope for () {
    fn lookup(&self, _: Name<'_>) -> Option<Resolved> {
        None
    }
}

/// The form of nearly all modules: loops over symbols are compiled for it.
const USUAL: Format = Format::new(true, false);

/// An undefined symbol and what it stands for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Import {
    pub(crate) symbol: u32,
    pub(crate) resolved: Resolved,
}

/// Resolves every undefined symbol of `image` into `imports`, in table order. Gives the symbol that stands for the module's own
/// table of contents, if it has one.
pub(crate) fn imports(
    image: &Image<'_>,
    flavour: Flavour,
    namespace: &Namespace,
    scope: &dyn Scope,
    imports: &mut Vec<Import>,
) -> Result<Option<u32>, LinkError> {
    match image.format() {
        USUAL => import(image, USUAL, flavour, namespace, scope, imports),
        format => import(image, format, flavour, namespace, scope, imports),
    }
}

#[inline(always)]
fn import(
    image: &Image<'_>,
    format: Format,
    flavour: Flavour,
    namespace: &Namespace,
    scope: &dyn Scope,
    imports: &mut Vec<Import>,
) -> Result<Option<u32>, LinkError> {
    imports.clear();
    let has_table = image.machine() == Machine::PowerPc64;
    let (mut complete, mut table) = (true, None);
    for (index, symbol) in image.raw_globals(format) {
        if u32::from(symbol.section) != sh::SHN_UNDEF || symbol.name == 0 || sym::st_bind(symbol.info) == sym::STB_LOCAL {
            continue;
        }
        let raw = image.symbol_name(symbol.name);
        if raw.is_empty() {
            continue;
        }
        if has_table && is_table_of_contents(raw, Definition::Undefined) {
            table = Some(index);
            continue;
        }
        match scope.lookup(namespace.name(symbol.is_global(), raw)) {
            Some(resolved) => imports.push(Import { symbol: index, resolved }),
            None if flavour.weak_is_zero() && symbol.is_weak() => {}
            None => complete = false,
        }
    }
    if complete { Ok(table) } else { Err(missing(image, flavour, namespace, imports)) }
}

/// Every undefined symbol that is not among `found`, each with the first place of a loaded section that wants it.
#[cold]
fn missing(image: &Image<'_>, flavour: Flavour, namespace: &Namespace, found: &[Import]) -> LinkError {
    let mut found = found.iter().peekable();
    // By symbol index: position in the list + 1.
    let mut positions = alloc::vec![0usize; image.symbol_count()];
    let mut list = Vec::new();
    for symbol in image.symbols() {
        let undefined = symbol.definition == Definition::Undefined;
        if !undefined || symbol.name.is_empty() || symbol.binding == Binding::Local {
            continue;
        }
        if found.next_if(|import| import.symbol == symbol.index.0).is_some() {
            continue;
        }
        let has_table = image.machine() == Machine::PowerPc64;
        let weak = flavour.weak_is_zero() && symbol.binding == Binding::Weak;
        if weak || has_table && is_table_of_contents(symbol.name, symbol.definition) {
            continue;
        }
        let global = symbol.binding == Binding::Global;
        let name = namespace.full(namespace.name(global, symbol.name));
        list.push(Missing { name, weak: symbol.binding == Binding::Weak, wanted: None });
        positions[symbol.index.0 as usize] = list.len();
    }
    for section in image.sections() {
        let Some(target) = section.relocates().and_then(|index| image.section(index)) else { continue };
        if !target.is_loadable() {
            continue;
        }
        for relocation in section.relocations() {
            let position = positions.get(relocation.symbol.0 as usize).copied().unwrap_or(0);
            if let Some(missing) = position.checked_sub(1).and_then(|position| list.get_mut(position))
                && missing.wanted.is_none()
            {
                missing.wanted = Some(target.place().at(relocation.offset));
            }
        }
    }
    LinkError::Unresolved(list.into_boxed_slice())
}

/// The state of a defined symbol whose section, if it has one, is loaded.
#[inline(always)]
fn state_of(info: u8) -> State {
    match sym::st_type(info) {
        sym::STT_TLS => State::ThreadLocal,
        sym::STT_GNU_IFUNC => State::Indirect,
        _ => State::Known,
    }
}

/// The values of `image`'s own symbols; `bases` has the run address of each section by its index, `None` if it is not loaded.
pub(crate) fn definitions(image: &Image<'_>, flavour: Flavour, values: &mut Vec<Value>, bases: &[Option<u64>]) {
    match image.format() {
        USUAL => define(image, USUAL, flavour, values, bases),
        format => define(image, format, flavour, values, bases),
    }
}

#[inline(always)]
fn define(image: &Image<'_>, format: Format, flavour: Flavour, values: &mut Vec<Value>, bases: &[Option<u64>]) {
    // Every entry is written below, whatever it held.
    values.resize(image.symbol_count(), Value::none(State::Null));
    let has_entries = image.machine() == Machine::PowerPc64;
    let weak_is_zero = flavour.weak_is_zero();
    for (value, record) in values.iter_mut().zip(image.symbol_records().chunks_exact(format.symbol_size())) {
        let symbol = format.symbol(record);
        *value = match u32::from(symbol.section) {
            sh::SHN_UNDEF if weak_is_zero && symbol.is_weak() => Value::known(0),
            sh::SHN_UNDEF => Value::none(State::Undefined),
            sh::SHN_ABS => Value::known(symbol.value),
            sh::SHN_COMMON => Value::none(State::Common),
            index => match bases.get(index as usize) {
                Some(&Some(base)) => Value {
                    address: base.wrapping_add(symbol.value),
                    state: state_of(symbol.info),
                    entry: if has_entries { local_entry(symbol.other) } else { 0 },
                    stub: 0,
                },
                _ => Value::none(State::Unloaded),
            },
        };
    }
    if let Some(null) = values.first_mut() {
        *null = Value::none(State::Null);
    }
}

/// The full name of symbol `index`, or of the section it stands for.
pub(crate) fn described(image: &Image<'_>, namespace: &Namespace, index: SymbolIndex) -> alloc::string::String {
    match image.symbol(index) {
        Some(symbol) if symbol.name.is_empty() => image.described(&symbol).into(),
        Some(symbol) => namespace.full(namespace.name(symbol.binding == Binding::Global, symbol.name)),
        None => alloc::string::String::new(),
    }
}
