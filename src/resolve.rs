//! Stage 3, resolve: undefined symbols become addresses.

use crate::address::RunAddr;
use crate::error::{LinkError, Missing};
use crate::image::{Binding, Image, Place, Symbol};
use crate::rename::{Name, Namespace};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// What an exporter knows about its symbol; importers do not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SymbolKind {
    /// Code: a stub may stand in for it.
    Function,
    /// Data: it must be in reach.
    Data,
    /// A number.
    Absolute,
}

/// An export that a name led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Its address or number.
    pub value: RunAddr,
    /// What it is.
    pub kind: SymbolKind,
}

/// What a module's undefined symbols are looked up in.
pub trait Scope {
    /// The export called `name`.
    fn lookup(&self, name: Name<'_>) -> Option<Resolved>;
}

/// A scope in which nothing is exported.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Scope for Empty {
    fn lookup(&self, _name: Name<'_>) -> Option<Resolved> {
        None
    }
}

/// What a relocation against a symbol uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Address or number, once sections are placed.
    Is(u64),
    /// A function out of reach; the stub's number.
    Far(u32),
    /// It has no address.
    Not(Reason),
}

/// Why a symbol has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Common,
    Unloaded,
    Null,
    UndefinedLocal,
    Reserved,
    ThreadLocal,
}

impl Reason {
    pub fn text(self) -> &'static str {
        match self {
            Self::Common => "is a common symbol without space; link the module with -d",
            Self::Unloaded => "is in a section that is not loaded",
            Self::Null => "is the null symbol",
            Self::UndefinedLocal => "is local and undefined",
            Self::Reserved => "has a reserved section index",
            Self::ThreadLocal => "is thread-local",
        }
    }
}

/// Resolves the undefined symbols of `image` into `values`, one entry per symbol, and lists the targets of far functions.
/// Symbols that the image defines get their offset in their section for now.
pub(crate) fn resolve(
    image: &Image<'_>,
    namespace: &Namespace,
    scope: &dyn Scope,
    values: &mut Vec<Value>,
    far: &mut Vec<u64>,
) -> Result<(), LinkError> {
    values.clear();
    far.clear();
    values.reserve(image.symbol_count() as usize);
    values.push(Value::Not(Reason::Null));
    let mut complete = true;
    for symbol in image.symbols() {
        values.push(match symbol.place {
            Place::Section(_) | Place::Absolute => Value::Is(symbol.value),
            Place::Common => Value::Not(Reason::Common),
            Place::Reserved(_) => Value::Not(Reason::Reserved),
            Place::Undefined if symbol.binding == Binding::Local => Value::Not(Reason::UndefinedLocal),
            Place::Undefined => {
                let found = import(image, namespace, symbol).and_then(|name| scope.lookup(name));
                match found {
                    Some(Resolved { value, kind: SymbolKind::Function }) if !image.machine().reaches(value.get()) => {
                        far.push(value.get());
                        Value::Far(far.len() as u32 - 1)
                    }
                    Some(found) => Value::Is(found.value.get()),
                    None => {
                        complete = false;
                        Value::Not(Reason::Null)
                    }
                }
            }
        });
        if symbol.is_tls() {
            values.pop();
            values.push(Value::Not(Reason::ThreadLocal));
        }
    }
    if complete { Ok(()) } else { Err(missing(image, namespace, scope)?) }
}

/// What an undefined symbol asks for. A weak reference asks for the global of that name, so it is renamed like one.
fn import<'a>(image: &Image<'a>, namespace: &Namespace, symbol: Symbol) -> Option<Name<'a>> {
    let raw = image.symbol_name(symbol).filter(|raw| !raw.is_empty())?;
    Some(namespace.name(Binding::Global, raw))
}

/// The error that lists every missing symbol with the first relocation that wants it.
fn missing(image: &Image<'_>, namespace: &Namespace, scope: &dyn Scope) -> Result<LinkError, LinkError> {
    let mut wanted: Vec<Option<(u32, u64)>> = Vec::new();
    wanted.resize(image.symbol_count() as usize, None);
    for table in image.sections() {
        let Some(records) = image.relocations(table)? else { continue };
        for record in records.iter() {
            if let Some(first @ None) = wanted.get_mut(record.symbol as usize) {
                *first = Some((records.target, record.offset));
            }
        }
    }
    let undefined = image.symbols().filter(|symbol| symbol.place == Place::Undefined && symbol.binding != Binding::Local);
    let missing = undefined
        .filter(|&symbol| import(image, namespace, symbol).is_none_or(|name| scope.lookup(name).is_none()))
        .map(|symbol| Missing {
            symbol: match import(image, namespace, symbol) {
                Some(name) => namespace.full(name),
                None => String::from("(no name)"),
            },
            wanted_by: wanted[symbol.index as usize]
                .map(|(section, offset)| (image.section_name(image.section(section)).to_string(), offset)),
        })
        .collect();
    Ok(LinkError::Unresolved { missing })
}
