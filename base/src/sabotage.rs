//! Exports that make no sense, to prove that tests notice: see [`Boot::sabotaged`](crate::Boot::sabotaged).

use crate::export::{Export, ExportValue};
use crate::kernel::Kernel;
use alloc::vec::Vec;

extern "C" fn nothing() -> usize {
    0
}

/// `exports`, where the function `name` does nothing.
pub(crate) fn functions(mut exports: Vec<Export>, name: Option<&str>) -> Vec<Export> {
    for export in exports.iter_mut().filter(|export| Some(export.name) == name) {
        if matches!(export.value, ExportValue::Function(_)) {
            export.value = ExportValue::Function(nothing as *const ());
        }
    }
    exports
}

/// Clears the variable `name`. Runs inside, at each entry and whenever the clocks were read, since those are written then.
pub(crate) fn data(kernel: &Kernel, name: Option<&str>) {
    if name.is_none() {
        return;
    }
    for export in crate::export::all(kernel.abi).iter().filter(|export| Some(export.name) == name) {
        if let ExportValue::Data { size, .. } = export.value {
            // SAFETY: the export has this size.
            unsafe { kernel.data(export.name).write_bytes(0, size) };
        }
    }
}
