//! The one table of what module code may call or read.

use crate::abi::Abi;
use crate::{arch, crypto, kern, nls};
use alloc::vec::Vec;
pub(crate) use rumpload::{Export, ExportValue};

/// `function!("kfree", kfree)`: an exported function of up to six arguments.
macro_rules! function {
    ($name:literal, $function:path) => {
        $crate::export::Export { name: $name, value: $crate::export::ExportValue::Function($crate::arch::aligned!($function)) }
    };
}

/// `data!("jiffies", 8, 8)`: exported bytes, zero until filled; size and alignment in bytes.
macro_rules! data {
    ($name:literal, $size:expr, $align:expr) => {
        $crate::export::Export { name: $name, value: $crate::export::ExportValue::Data { size: $size, align: $align } }
    };
}

pub(crate) use {data, function};

/// Everything a kernel with `abi`'s layouts offers.
pub(crate) fn all(abi: &'static Abi) -> Vec<Export> {
    let mut exports = Vec::new();
    arch::exports(&mut exports);
    kern::exports(abi, &mut exports);
    crypto::exports(&mut exports);
    nls::exports(&mut exports);
    exports
}
