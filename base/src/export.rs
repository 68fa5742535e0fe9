//! The one table of what module code may call or read.

use crate::abi::Abi;
use crate::{kern, trap, vfs};
use alloc::vec::Vec;
pub(crate) use rumpload::{Export, ExportValue};

/// `function!("vput", vput)`: an exported function.
macro_rules! function {
    ($name:literal, $function:path) => {
        $crate::export::Export { name: $name, value: $crate::export::ExportValue::Function($function as *const ()) }
    };
}

/// `data!("hz", 4, 4)`: exported bytes, zero until filled; size and alignment in bytes.
macro_rules! data {
    ($name:literal, $size:expr, $align:expr) => {
        $crate::export::Export { name: $name, value: $crate::export::ExportValue::Data { size: $size, align: $align } }
    };
}

pub(crate) use {data, function};

/// Everything a kernel with `abi`'s layouts offers, declared traps included.
pub(crate) fn all(abi: &'static Abi) -> Vec<Export> {
    let mut exports = Vec::new();
    kern::exports(abi, &mut exports);
    vfs::exports(abi, &mut exports);
    trap::exports(&mut exports);
    exports
}
