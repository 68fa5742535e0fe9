//! Comparing property objects with each other and with plain values.

use super::property::{Object, number_unsigned, number_value, object_type, string_size, string_text};
use super::string;
use crate::export::{Export, function};

/// Whether two objects are strings of the same text.
unsafe extern "C" fn string_equals(one: *mut Object, two: *mut Object) -> bool {
    // SAFETY: module code passes null or live objects.
    unsafe {
        let (text, other) = (string_text(one), string_text(two));
        !text.is_null() && !other.is_null() && string_size(one) == string_size(two) && string::bytes(text) == string::bytes(other)
    }
}

/// A number's value, which may be any of 64 bits with or without a sign; nothing for other objects.
///
/// # Safety
/// `object` must be null or live.
unsafe fn value_of(object: *mut Object) -> Option<i128> {
    // SAFETY: as the caller says.
    unsafe {
        let value = number_value(object);
        let signed = if number_unsigned(object) { i128::from(value) } else { value.cast_signed().into() };
        (object_type(object) == super::property::NUMBER).then_some(signed)
    }
}

unsafe extern "C" fn number_equals(object: *mut Object, value: i64) -> bool {
    // SAFETY: module code passes null or a live object.
    unsafe { value_of(object) == Some(value.into()) }
}

unsafe extern "C" fn number_equals_unsigned(object: *mut Object, value: u64) -> bool {
    // SAFETY: as above.
    unsafe { value_of(object) == Some(value.into()) }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("prop_string_equals", string_equals),
    function!("prop_number_equals_integer", number_equals),
    function!("prop_number_equals_unsigned_integer", number_equals_unsigned),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kern::property::{number_create, number_create_unsigned, release, string_create};
    use crate::testing::Bench;
    use core::ptr;

    #[test]
    fn equal_is_what_has_the_same_value() {
        Bench::new().inside(|| {
            // SAFETY: objects made here, released at the end; texts are C strings.
            unsafe {
                let text = |text: &core::ffi::CStr| string_create(text.as_ptr().cast());
                let (one, same, longer) = (text(c"fan0"), text(c"fan0"), text(c"fan01"));
                let (minus, large) = (number_create((-1_i64).cast_unsigned()), number_create_unsigned(u64::MAX));
                assert!(string_equals(one, same) && !string_equals(one, longer));
                assert!(!string_equals(minus, minus) && !string_equals(ptr::null_mut(), ptr::null_mut()));
                assert!(number_equals(minus, -1) && !number_equals(large, -1) && !number_equals(one, 0));
                assert!(number_equals_unsigned(large, u64::MAX) && !number_equals_unsigned(minus, u64::MAX));
                [one, same, longer, minus, large].into_iter().for_each(|object| release(object));
            }
        });
    }
}
