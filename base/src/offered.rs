//! What the base offers, by name: for tools that show modules and tests that want to know what they miss.

use crate::abi::Abi;
use crate::export::{self, ExportValue};
use crate::kernel::Kernel;
use crate::trap::TRAPS;
use alloc::vec::Vec;
use rumpload::address::RunAddr;

/// What kind of symbol is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SymbolKind {
    /// A function that does what it says.
    Function,
    /// A variable.
    Data,
    /// A declared trap: see [`TRAPS`].
    Trap,
}

/// A symbol that modules can import from the base kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Symbol {
    /// Its name, without the namespace's prefix.
    pub name: &'static str,
    /// What it is.
    pub kind: SymbolKind,
}

/// Every symbol that a kernel with `abi`'s layouts offers, sorted by name.
#[must_use]
pub fn symbols(abi: &'static Abi) -> Vec<Symbol> {
    let kind = |name, value| match value {
        ExportValue::IndexedFunction { .. } if TRAPS.iter().any(|trap| trap.name == name) => SymbolKind::Trap,
        ExportValue::Function(_) | ExportValue::IndexedFunction { .. } => SymbolKind::Function,
        ExportValue::Data { .. } | ExportValue::Absolute(_) => SymbolKind::Data,
    };
    let mut symbols: Vec<Symbol> =
        export::all(abi).iter().map(|export| Symbol { name: export.name, kind: kind(export.name, export.value) }).collect();
    symbols.sort();
    symbols
}

/// The function that modules call at `address`: a hook of the core, for messages.
pub(crate) fn function_at(context: usize, address: RunAddr) -> Option<&'static str> {
    // SAFETY: the context is the address that `boot` handed over; whoever is inside holds the kernel.
    let kernel = unsafe { &*(context as *const Kernel) };
    export::all(kernel.abi).iter().map(|export| export.name).find(|name| kernel.instance().symbol(name) == Some(address))
}

#[cfg(test)]
mod tests {
    use super::{SymbolKind, symbols};
    use crate::abi::Abi;
    use crate::trap::TRAPS;

    #[test]
    fn each_symbol_is_offered_once() {
        for abi in [Abi::netbsd_7_99_34_amd64(), Abi::netbsd_7_99_34_i386(), Abi::netbsd_10_amd64()] {
            let symbols = symbols(abi);
            for pair in symbols.windows(2) {
                assert_ne!(pair[0].name, pair[1].name);
            }
            let traps = symbols.iter().filter(|symbol| symbol.kind == SymbolKind::Trap).count();
            assert_eq!(traps, TRAPS.len());
            let kind = |name| symbols.iter().find(|symbol| symbol.name == name).map(|symbol| symbol.kind);
            assert_eq!((kind("vput"), kind("hz")), (Some(SymbolKind::Function), Some(SymbolKind::Data)));
            assert_eq!((kind("soisconnected"), kind("no_such_symbol")), (Some(SymbolKind::Trap), None));
        }
    }
}
