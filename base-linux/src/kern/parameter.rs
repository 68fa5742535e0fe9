//! Module parameters: the kernel's types, and setting them at load.

use super::errno::{EINVAL, ENOENT, ENOMEM, ERANGE};
use super::memory;
use crate::abi::{Abi, get, put};
use crate::arch;
use crate::export::{Export, ExportValue, function};
use crate::kernel::{Kernel, kernel};
use alloc::vec::Vec;
use core::ffi::CStr;

/// The kernel's parameter types whose values can be set: name of the operations, name of the function that sets.
const TYPES: &[(&str, &str)] = &[
    ("param_ops_byte", "param_set_byte"),
    ("param_ops_short", "param_set_short"),
    ("param_ops_ushort", "param_set_ushort"),
    ("param_ops_int", "param_set_int"),
    ("param_ops_uint", "param_set_uint"),
    ("param_ops_long", "param_set_long"),
    ("param_ops_ulong", "param_set_ulong"),
    ("param_ops_ullong", "param_set_ullong"),
    ("param_ops_charp", "param_set_charp"),
    ("param_ops_bool", "param_set_bool"),
];

/// A number as C programmers write it: decimal, 0x or 0, with a sign.
fn number(text: &str) -> Result<i128, i32> {
    let text = text.trim_end_matches('\n');
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(rest) => (16, rest),
        None if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        None => (10, digits),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_alphanumeric()) {
        return Err(EINVAL);
    }
    let value = i128::from(u64::from_str_radix(digits, base).map_err(|error| match error.kind() {
        core::num::IntErrorKind::PosOverflow => ERANGE,
        _ => EINVAL,
    })?);
    Ok(if negative { -value } else { value })
}

/// `setter!(param_set_int, i32)`: sets a number of that type.
macro_rules! setter {
    ($name:ident, $type:ty) => {
        unsafe extern "C" fn $name(value: *const u8, parameter: usize) -> i32 {
            // SAFETY: the value is a C string, the parameter a `struct kernel_param` of this type.
            unsafe {
                store(value, parameter, |text, at| {
                    put(at, 0, <$type>::try_from(number(text)?).map_err(|_| ERANGE)?);
                    Ok(())
                })
            }
        }
    };
}

setter!(param_set_byte, u8);
setter!(param_set_short, i16);
setter!(param_set_ushort, u16);
setter!(param_set_int, i32);
setter!(param_set_uint, u32);
setter!(param_set_long, i64);
setter!(param_set_ulong, u64);

/// Hands a value and the address of a parameter's variable to `write`; answers as C functions do.
///
/// # Safety
/// `value` must be null or a C string, `parameter` a `struct kernel_param`.
unsafe fn store(value: *const u8, parameter: usize, write: impl FnOnce(&str, usize) -> Result<(), i32>) -> i32 {
    if value.is_null() {
        return -EINVAL;
    }
    // SAFETY: as the caller says.
    let (text, at) = unsafe { (CStr::from_ptr(value.cast()).to_str(), get(parameter, kernel().abi.kernel_param.argument)) };
    let written = text.map_err(|_| EINVAL).and_then(|text| write(text, at));
    written.err().map_or(0, |errno| -errno)
}

unsafe extern "C" fn param_set_bool(value: *const u8, parameter: usize) -> i32 {
    let value = if value.is_null() { c"1".as_ptr().cast() } else { value };
    // SAFETY: the parameter is a `struct kernel_param` of a bool.
    unsafe {
        store(value, parameter, |text, at| {
            let on = match text.as_bytes() {
                [b'y' | b'Y' | b't' | b'T' | b'1', ..] | [b'o' | b'O', b'n' | b'N', ..] => true,
                [b'n' | b'N' | b'f' | b'F' | b'0', ..] | [b'o' | b'O', b'f' | b'F', ..] => false,
                _ => return Err(EINVAL),
            };
            put(at, 0, on);
            Ok(())
        })
    }
}

unsafe extern "C" fn param_set_charp(value: *const u8, parameter: usize) -> i32 {
    // SAFETY: the parameter is a `struct kernel_param` of a pointer.
    unsafe {
        store(value, parameter, |text, at| {
            let copy = memory::allocate(text.len() + 1);
            if copy == 0 {
                return Err(ENOMEM);
            }
            // The NUL is there: memory is zeroed.
            core::ptr::copy_nonoverlapping(text.as_ptr(), core::ptr::with_exposed_provenance_mut(copy), text.len());
            put(at, 0, copy);
            Ok(())
        })
    }
}

/// Adds the services.
pub(super) fn exports(abi: &'static Abi, out: &mut Vec<Export>) {
    let size = abi.kernel_param_ops.0;
    out.extend(TYPES.iter().map(|&(name, _)| Export { name, value: ExportValue::Data { size, align: 8 } }));
    out.extend([
        function!("param_set_byte", param_set_byte),
        function!("param_set_short", param_set_short),
        function!("param_set_ushort", param_set_ushort),
        function!("param_set_int", param_set_int),
        function!("param_set_uint", param_set_uint),
        function!("param_set_long", param_set_long),
        function!("param_set_ulong", param_set_ulong),
        function!("param_set_ullong", param_set_ulong),
        function!("param_set_charp", param_set_charp),
        function!("param_set_bool", param_set_bool),
    ]);
}

/// Fills the operations.
pub(super) fn fill(kernel: &Kernel) {
    for (operations, set) in TYPES {
        let (operations, set) = (kernel.data(operations), kernel.data(set));
        // SAFETY: the export has the size of the structure, and nothing runs in the instance yet.
        unsafe { put(operations, kernel.abi.kernel_param_ops.1, set) };
    }
}

/// Sets parameters of a module whose `__param` section is `count` structures at `table`. Runs inside.
///
/// # Errors
/// The parameter that is not there or refused its value, and Linux's error number.
///
/// # Safety
/// `table` must be the section of a linked module, which may be called.
pub(crate) unsafe fn set_all<'v>(table: usize, bytes: usize, values: &[(&'v str, &'v CStr)]) -> Result<(), (&'v str, i32)> {
    let layout = &kernel().abi.kernel_param;
    for &(name, value) in values {
        let all = (0..bytes / layout.size).map(|index| table + index * layout.size);
        // SAFETY: the section holds such structures, and their names are C strings.
        let named = |&parameter: &usize| unsafe {
            let own: *const core::ffi::c_char = core::ptr::with_exposed_provenance(get(parameter, layout.name));
            !own.is_null() && CStr::from_ptr(own).to_bytes() == name.as_bytes()
        };
        let Some(parameter) = all.into_iter().find(named) else { return Err((name, ENOENT)) };
        // SAFETY: as above; operations lead to functions of the module or of this base.
        let answer = unsafe {
            let operations: usize = get(parameter, layout.ops);
            let set: usize = get(operations, kernel().abi.kernel_param_ops.1);
            if set == 0 {
                return Err((name, EINVAL));
            }
            arch::call(set, &[value.as_ptr().expose_provenance() as u64, parameter as u64]) as i32
        };
        if answer < 0 {
            return Err((name, -answer));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_the_kernel_reads_them() {
        assert_eq!(number("12"), Ok(12));
        assert_eq!(number("-0x1F\n"), Ok(-31));
        assert_eq!(number("017"), Ok(15));
        assert_eq!(number("0"), Ok(0));
        assert_eq!(number("18446744073709551616"), Err(ERANGE));
        for bad in ["", "-", "0x", "1 ", "--1", "0x+1", "+-1", "ten"] {
            assert_eq!(number(bad), Err(EINVAL), "{bad}");
        }
    }
}
