//! Property objects: what a module's init is given from its property list, and what modules build of the same kinds.
//!
//! Objects are counted; a container holds a reference to what is in it. `get` functions give no reference. Their form as text is
//! in [`property_list`](super::property_list).

use super::{memory, string};
use crate::export::{Export, function};
use crate::kernel::Kernel;
use alloc::vec::Vec;
use core::ptr;
use rumpload::properties::{Properties, Value};

const LIVE: u32 = 0x7072_6f70;
const BOOL: u32 = u32::from_be_bytes(*b"bool");
pub(super) const NUMBER: u32 = u32::from_be_bytes(*b"nmbr");
const STRING: u32 = u32::from_be_bytes(*b"stng");
const DATA: u32 = u32::from_be_bytes(*b"data");
const ARRAY: u32 = u32::from_be_bytes(*b"aray");
const DICTIONARY: u32 = u32::from_be_bytes(*b"dict");
const KEY: u32 = u32::from_be_bytes(*b"dkey");
const ITERATOR: u32 = u32::from_be_bytes(*b"iter");

/// One object. Which members count depends on the kind.
#[repr(C)]
pub(crate) struct Object {
    mark: u32,
    kind: u32,
    references: u32,
    /// A number given as unsigned.
    unsigned: bool,
    /// A boolean's or number's value; an iterator's position.
    number: u64,
    /// A string, a key or data, with a NUL behind it; a block of its own.
    bytes: *mut u8,
    length: usize,
    /// Elements of a container in a block of their own; the key is null in arrays. An iterator's one is its container.
    elements: *mut Element,
    count: usize,
}

#[derive(Clone, Copy)]
struct Element {
    /// A key object.
    key: *mut Object,
    value: *mut Object,
}

/// What an object holds, for those who write it down.
pub(super) enum Content<'a> {
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    String(&'a [u8]),
    Data(&'a [u8]),
    Array(Vec<*mut Object>),
    /// Keys, each with its value.
    Dictionary(Vec<(&'a [u8], *mut Object)>),
}

/// An object's content; `None` for null and for keys and iterators, which hold no value.
///
/// # Safety
/// `object` must be null or live, and unchanged as long as the content is used.
pub(super) unsafe fn content<'a>(object: *mut Object) -> Option<Content<'a>> {
    // SAFETY: as the caller says; keys are live as long as their dictionary.
    unsafe {
        let object = object.as_ref().filter(|object| object.mark == LIVE)?;
        let elements = || object.elements().iter();
        Some(match object.kind {
            BOOL => Content::Bool(object.number != 0),
            NUMBER if object.unsigned => Content::Unsigned(object.number),
            NUMBER => Content::Signed(object.number.cast_signed()),
            STRING => Content::String(object.bytes()),
            DATA => Content::Data(object.bytes()),
            ARRAY => Content::Array(elements().map(|element| element.value).collect()),
            DICTIONARY => Content::Dictionary(elements().map(|element| ((*element.key).bytes(), element.value)).collect()),
            _ => return None,
        })
    }
}

fn make(kind: u32) -> *mut Object {
    let object = memory::alloc_or_end(size_of::<Object>(), true).cast::<Object>();
    // SAFETY: fresh, zeroed memory of the structure's size.
    unsafe {
        (*object).mark = LIVE;
        (*object).kind = kind;
        (*object).references = 1;
    }
    object
}

fn with_bytes(kind: u32, bytes: &[u8]) -> *mut Object {
    let object = make(kind);
    let copy = memory::alloc_or_end(bytes.len() + 1, true);
    // SAFETY: fresh memory with room for the bytes and a NUL.
    unsafe {
        ptr::copy_nonoverlapping(bytes.as_ptr(), copy, bytes.len());
        (*object).bytes = copy;
        (*object).length = bytes.len();
    }
    object
}

fn with_number(kind: u32, number: u64, unsigned: bool) -> *mut Object {
    let object = make(kind);
    // SAFETY: made just now.
    unsafe {
        (*object).number = number;
        (*object).unsigned = unsigned;
    }
    object
}

/// The object if it is of a kind.
unsafe fn of_kind<'a>(object: *mut Object, kind: u32) -> Option<&'a mut Object> {
    // SAFETY: module code passes null or an object.
    unsafe { object.as_mut() }.filter(|object| object.mark == LIVE && object.kind == kind)
}

impl Object {
    fn elements(&self) -> &[Element] {
        if self.elements.is_null() {
            return &[];
        }
        // SAFETY: the block holds as many.
        unsafe { core::slice::from_raw_parts(self.elements, self.count) }
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: the block holds as many.
        unsafe { core::slice::from_raw_parts(if self.bytes.is_null() { ptr::dangling() } else { self.bytes }, self.length) }
    }

    fn find(&self, key: &[u8]) -> Option<usize> {
        // SAFETY: an element's key is a live object.
        self.elements().iter().position(|element| !element.key.is_null() && unsafe { (*element.key).bytes() } == key)
    }

    /// Appends an element, whose references become the container's.
    fn push(&mut self, element: Element) -> bool {
        // SAFETY: the block is this container's own; it grows by one.
        unsafe {
            let grown = memory::realloc(self.elements.cast(), (self.count + 1) * size_of::<Element>(), false).cast::<Element>();
            if grown.is_null() {
                return false;
            }
            grown.add(self.count).write(element);
            self.elements = grown;
        }
        self.count += 1;
        true
    }
}

/// Bytes of base64 text; what is no digit is skipped.
fn decode(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut out, mut word, mut bits) = (Vec::new(), 0_u32, 0);
    for value in text.bytes().filter_map(digit) {
        word = word << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((word >> bits) as u8);
        }
    }
    out
}

fn object_of(value: &Value) -> *mut Object {
    match value {
        Value::Bool(value) => with_number(BOOL, u64::from(*value), true),
        Value::Integer(value) => with_number(NUMBER, *value as u64, *value >= 0),
        Value::String(text) => with_bytes(STRING, text.as_bytes()),
        Value::Data(text) => with_bytes(DATA, &decode(text)),
        Value::Dictionary(properties) => dictionary_of(properties),
        Value::Array(values) => {
            let array = make(ARRAY);
            for value in values {
                let element = Element { key: ptr::null_mut(), value: object_of(value) };
                // SAFETY: made just now.
                unsafe { (*array).push(element) };
            }
            array
        }
    }
}

/// A dictionary with one reference.
pub(crate) fn dictionary_of(properties: &Properties) -> *mut Object {
    let dictionary = make(DICTIONARY);
    for (key, value) in properties.iter() {
        let element = Element { key: with_bytes(KEY, key.as_bytes()), value: object_of(value) };
        // SAFETY: made just now.
        unsafe { (*dictionary).push(element) };
    }
    dictionary
}

/// Makes the argument of a module's init; 0 without properties. Runs inside the instance.
pub(crate) fn argument(_kernel: &Kernel, properties: Option<&Properties>) -> usize {
    properties.map_or(0, |properties| dictionary_of(properties).expose_provenance())
}

/// Drops what [`argument`] made.
pub(crate) fn release_argument(_kernel: &Kernel, argument: usize) {
    // SAFETY: null or the dictionary made for the module that started; the module may have kept a reference of its own.
    unsafe { release(ptr::with_exposed_provenance_mut(argument)) }
}

unsafe extern "C" fn retain(object: *mut Object) {
    // SAFETY: module code passes a live object.
    unsafe { (*object).references += 1 }
}

/// Drops a reference; null is nothing.
///
/// # Safety
/// The caller must have a reference.
pub(crate) unsafe extern "C" fn release(object: *mut Object) {
    // SAFETY: module code passes null or an object it has a reference to; the last one frees, contents first.
    unsafe {
        let Some(found) = object.as_mut() else { return };
        if found.mark != LIVE || found.references == 0 {
            super::panic::panic_format(format_args!("release of property object {object:p}: there is no such object"));
        }
        found.references -= 1;
        if found.references > 0 {
            return;
        }
        for element in found.elements() {
            release(element.key);
            release(element.value);
        }
        found.mark = 0;
        memory::free(found.elements.cast());
        memory::free(found.bytes);
        memory::free(object.cast());
    }
}

pub(super) unsafe extern "C" fn object_type(object: *mut Object) -> u32 {
    // SAFETY: module code passes null or a live object.
    unsafe { object.as_ref() }.map_or(0, |object| object.kind)
}

pub(super) unsafe extern "C" fn string_text(object: *mut Object) -> *const u8 {
    // SAFETY: module code passes null or a live object.
    unsafe { of_kind(object, STRING) }.map_or(ptr::null(), |found| found.bytes)
}

pub(super) unsafe extern "C" fn string_size(object: *mut Object) -> usize {
    // SAFETY: as above.
    unsafe { of_kind(object, STRING) }.map_or(0, |found| found.length)
}

unsafe extern "C" fn string_equals(object: *mut Object, text: *const u8) -> bool {
    // SAFETY: as above; the text is a C string.
    unsafe { of_kind(object, STRING).is_some_and(|found| found.bytes() == string::bytes(text)) }
}

pub(super) unsafe extern "C" fn string_create(text: *const u8) -> *mut Object {
    // SAFETY: module code passes a C string.
    with_bytes(STRING, unsafe { string::bytes(text) })
}

pub(super) unsafe extern "C" fn number_create(value: u64) -> *mut Object {
    with_number(NUMBER, value, false)
}

pub(super) unsafe extern "C" fn number_create_unsigned(value: u64) -> *mut Object {
    with_number(NUMBER, value, true)
}

pub(super) unsafe extern "C" fn number_value(object: *mut Object) -> u64 {
    // SAFETY: module code passes null or a live object.
    unsafe { of_kind(object, NUMBER) }.map_or(0, |found| found.number)
}

pub(super) unsafe extern "C" fn number_unsigned(object: *mut Object) -> bool {
    // SAFETY: as above.
    unsafe { of_kind(object, NUMBER) }.is_some_and(|found| found.unsigned)
}

unsafe extern "C" fn bool_create(value: bool) -> *mut Object {
    with_number(BOOL, u64::from(value), true)
}

unsafe extern "C" fn bool_true(object: *mut Object) -> bool {
    // SAFETY: as above.
    unsafe { of_kind(object, BOOL) }.is_some_and(|found| found.number != 0)
}

unsafe extern "C" fn data_bytes(object: *mut Object) -> *const u8 {
    // SAFETY: as above.
    unsafe { of_kind(object, DATA) }.map_or(ptr::null(), |found| found.bytes)
}

unsafe extern "C" fn data_size(object: *mut Object) -> usize {
    // SAFETY: as above.
    unsafe { of_kind(object, DATA) }.map_or(0, |found| found.length)
}

unsafe extern "C" fn array_create() -> *mut Object {
    make(ARRAY)
}

unsafe extern "C" fn array_count(object: *mut Object) -> u32 {
    // SAFETY: as above.
    unsafe { of_kind(object, ARRAY) }.map_or(0, |found| found.count as u32)
}

unsafe extern "C" fn array_get(object: *mut Object, index: u32) -> *mut Object {
    // SAFETY: as above.
    let found = unsafe { of_kind(object, ARRAY) };
    found.and_then(|found| found.elements().get(index as usize)).map_or(ptr::null_mut(), |element| element.value)
}

unsafe extern "C" fn array_add(object: *mut Object, value: *mut Object) -> bool {
    // SAFETY: as above; the array takes a reference of its own.
    unsafe {
        let Some(found) = of_kind(object, ARRAY).filter(|_| !value.is_null()) else { return false };
        let added = found.push(Element { key: ptr::null_mut(), value });
        if added {
            retain(value);
        }
        added
    }
}

unsafe extern "C" fn dictionary_create() -> *mut Object {
    make(DICTIONARY)
}

unsafe extern "C" fn dictionary_count(object: *mut Object) -> u32 {
    // SAFETY: as above.
    unsafe { of_kind(object, DICTIONARY) }.map_or(0, |found| found.count as u32)
}

unsafe extern "C" fn dictionary_get(object: *mut Object, key: *const u8) -> *mut Object {
    // SAFETY: as above; the key is a C string.
    unsafe {
        let Some(found) = of_kind(object, DICTIONARY) else { return ptr::null_mut() };
        found.find(string::bytes(key)).map_or(ptr::null_mut(), |at| found.elements()[at].value)
    }
}

unsafe extern "C" fn dictionary_set(object: *mut Object, key: *const u8, value: *mut Object) -> bool {
    // SAFETY: as above; the dictionary takes a reference of its own before it drops the one to the old value.
    unsafe {
        let Some(found) = of_kind(object, DICTIONARY).filter(|_| !value.is_null()) else { return false };
        let key = string::bytes(key);
        retain(value);
        if let Some(at) = found.find(key) {
            let slot = found.elements.add(at);
            release((*slot).value);
            (*slot).value = value;
            return true;
        }
        let key = with_bytes(KEY, key);
        let added = found.push(Element { key, value });
        if !added {
            release(key);
            release(value);
        }
        added
    }
}

unsafe extern "C" fn dictionary_remove(object: *mut Object, key: *const u8) {
    // SAFETY: as above.
    unsafe {
        let Some(found) = of_kind(object, DICTIONARY) else { return };
        let Some(at) = found.find(string::bytes(key)) else { return };
        let Element { key, value } = found.elements()[at];
        ptr::copy(found.elements.add(at + 1), found.elements.add(at), found.count - at - 1);
        found.count -= 1;
        release(key);
        release(value);
    }
}

unsafe extern "C" fn dictionary_get_text(object: *mut Object, key: *const u8, out: *mut *const u8) -> bool {
    // SAFETY: as above; the result is a pointer's place.
    unsafe {
        let text = string_text(dictionary_get(object, key));
        if !text.is_null() {
            out.write(text);
        }
        !text.is_null()
    }
}

unsafe extern "C" fn dictionary_get_bool(object: *mut Object, key: *const u8, out: *mut bool) -> bool {
    // SAFETY: as above.
    unsafe {
        let value = of_kind(dictionary_get(object, key), BOOL);
        value.inspect(|value| out.write(value.number != 0)).is_some()
    }
}

unsafe extern "C" fn dictionary_set_text(object: *mut Object, key: *const u8, text: *const u8) -> bool {
    // SAFETY: as above.
    unsafe { set_new(object, key, string_create(text)) }
}

unsafe extern "C" fn dictionary_set_bool(object: *mut Object, key: *const u8, value: bool) -> bool {
    // SAFETY: as above.
    unsafe { set_new(object, key, bool_create(value)) }
}

/// Enters a value whose only reference is ours.
unsafe fn set_new(object: *mut Object, key: *const u8, value: *mut Object) -> bool {
    // SAFETY: as above.
    unsafe {
        let done = dictionary_set(object, key, value);
        release(value);
        done
    }
}

/// Declares the getter and setter of one width; a number that does not fit is not given.
macro_rules! widths {
    ($($get:ident $set:ident: $ty:ty, $wide:ty, $unsigned:literal;)*) => {
        $(unsafe extern "C" fn $get(object: *mut Object, key: *const u8, out: *mut $ty) -> bool {
            // SAFETY: as above.
            unsafe {
                let Some(value) = of_kind(dictionary_get(object, key), NUMBER) else { return false };
                let wide: i128 = if value.unsigned { value.number.into() } else { value.number.cast_signed().into() };
                <$ty>::try_from(wide).map(|value| out.write(value)).is_ok()
            }
        }
        unsafe extern "C" fn $set(object: *mut Object, key: *const u8, value: $ty) -> bool {
            // SAFETY: as above.
            unsafe { set_new(object, key, with_number(NUMBER, <$wide>::from(value) as u64, $unsigned)) }
        })*
    };
}

widths! {
    get_int8 set_int8: i8, i64, false;
    get_int16 set_int16: i16, i64, false;
    get_int32 set_int32: i32, i64, false;
    get_int64 set_int64: i64, i64, false;
    get_uint8 set_uint8: u8, u64, true;
    get_uint16 set_uint16: u16, u64, true;
    get_uint32 set_uint32: u32, u64, true;
    get_uint64 set_uint64: u64, u64, true;
}

/// Goes through a container: an array's values, a dictionary's keys.
unsafe extern "C" fn iterator_create(container: *mut Object) -> *mut Object {
    // SAFETY: as above; the iterator takes a reference to the container.
    unsafe {
        if of_kind(container, ARRAY).is_none() && of_kind(container, DICTIONARY).is_none() {
            return ptr::null_mut();
        }
        retain(container);
        let iterator = make(ITERATOR);
        (*iterator).push(Element { key: ptr::null_mut(), value: container });
        iterator
    }
}

unsafe extern "C" fn iterator_next(iterator: *mut Object) -> *mut Object {
    // SAFETY: module code passes an iterator.
    unsafe {
        let Some(found) = of_kind(iterator, ITERATOR) else { return ptr::null_mut() };
        let container = &*found.elements()[0].value;
        let next = container.elements().get(found.number as usize).copied();
        found.number += u64::from(next.is_some());
        next.map_or(ptr::null_mut(), |next| if container.kind == DICTIONARY { next.key } else { next.value })
    }
}

/// Starts over, after the container has changed say.
unsafe extern "C" fn iterator_reset(iterator: *mut Object) {
    // SAFETY: module code passes an iterator.
    if let Some(found) = unsafe { of_kind(iterator, ITERATOR) } {
        found.number = 0;
    }
}

unsafe extern "C" fn key_text(key: *mut Object) -> *const u8 {
    // SAFETY: module code passes null or a live object.
    unsafe { of_kind(key, KEY) }.map_or(ptr::null(), |found| found.bytes)
}

unsafe extern "C" fn dictionary_get_key(object: *mut Object, key: *mut Object) -> *mut Object {
    // SAFETY: as above.
    unsafe {
        let text = key_text(key);
        if text.is_null() { ptr::null_mut() } else { dictionary_get(object, text) }
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("prop_object_retain", retain),
    function!("prop_object_release", release),
    function!("prop_object_type", object_type),
    function!("prop_object_iterator_next", iterator_next),
    function!("prop_object_iterator_release", release),
    function!("prop_object_iterator_reset", iterator_reset),
    function!("prop_string_create_cstring", string_create),
    function!("prop_string_create_cstring_nocopy", string_create),
    function!("prop_string_cstring_nocopy", string_text),
    function!("prop_string_size", string_size),
    function!("prop_string_equals_cstring", string_equals),
    function!("prop_number_create_integer", number_create),
    function!("prop_number_create_unsigned_integer", number_create_unsigned),
    function!("prop_number_integer_value", number_value),
    function!("prop_number_unsigned_integer_value", number_value),
    function!("prop_number_unsigned", number_unsigned),
    function!("prop_bool_create", bool_create),
    function!("prop_bool_true", bool_true),
    function!("prop_data_data_nocopy", data_bytes),
    function!("prop_data_size", data_size),
    function!("prop_array_create", array_create),
    function!("prop_array_count", array_count),
    function!("prop_array_get", array_get),
    function!("prop_array_add", array_add),
    function!("prop_array_iterator", iterator_create),
    function!("prop_dictionary_create", dictionary_create),
    function!("prop_dictionary_count", dictionary_count),
    function!("prop_dictionary_get", dictionary_get),
    function!("prop_dictionary_set", dictionary_set),
    function!("prop_dictionary_remove", dictionary_remove),
    function!("prop_dictionary_iterator", iterator_create),
    function!("prop_dictionary_get_keysym", dictionary_get_key),
    function!("prop_dictionary_keysym_cstring_nocopy", key_text),
    function!("prop_dictionary_get_cstring_nocopy", dictionary_get_text),
    function!("prop_dictionary_set_cstring", dictionary_set_text),
    function!("prop_dictionary_set_cstring_nocopy", dictionary_set_text),
    function!("prop_dictionary_get_bool", dictionary_get_bool),
    function!("prop_dictionary_set_bool", dictionary_set_bool),
    function!("prop_dictionary_get_int8", get_int8),
    function!("prop_dictionary_get_int16", get_int16),
    function!("prop_dictionary_get_int32", get_int32),
    function!("prop_dictionary_get_int64", get_int64),
    function!("prop_dictionary_get_uint8", get_uint8),
    function!("prop_dictionary_get_uint16", get_uint16),
    function!("prop_dictionary_get_uint32", get_uint32),
    function!("prop_dictionary_get_uint64", get_uint64),
    function!("prop_dictionary_set_int8", set_int8),
    function!("prop_dictionary_set_int16", set_int16),
    function!("prop_dictionary_set_int32", set_int32),
    function!("prop_dictionary_set_int64", set_int64),
    function!("prop_dictionary_set_uint8", set_uint8),
    function!("prop_dictionary_set_uint16", set_uint16),
    function!("prop_dictionary_set_uint32", set_uint32),
    function!("prop_dictionary_set_uint64", set_uint64),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kernel;
    use crate::testing::Bench;

    fn name(name: &'static core::ffi::CStr) -> *const u8 {
        name.as_ptr().cast()
    }

    #[test]
    fn an_init_argument_holds_the_property_list() {
        Bench::new().inside(|| {
            let blocks = kernel().kern.memory.usage().blocks;
            let mut inner = Properties::new();
            inner.set("on", Value::Bool(true));
            let mut properties = Properties::new();
            properties.set("count", Value::Integer(-5));
            properties.set("inner", Value::Dictionary(inner));
            properties.set("list", Value::Array(std::vec![Value::String("one".into()), Value::Data("aGk=".into())]));
            let dictionary = argument(kernel(), Some(&properties)) as *mut Object;
            // SAFETY: the dictionary lives until its argument is released; names are strings.
            unsafe {
                let (mut narrow, mut wide, mut on) = (0_i8, 7_u32, false);
                assert!(get_int8(dictionary, name(c"count"), &raw mut narrow) && narrow == -5);
                assert!(!get_uint32(dictionary, name(c"count"), &raw mut wide) && wide == 7);
                assert!(dictionary_get_bool(dictionary_get(dictionary, name(c"inner")), name(c"on"), &raw mut on) && on);
                let list = dictionary_get(dictionary, name(c"list"));
                assert_eq!((object_type(list), array_count(list)), (ARRAY, 2));
                assert!(string_equals(array_get(list, 0), name(c"one")) && array_get(list, 2).is_null());
                let data = array_get(list, 1);
                assert_eq!(core::slice::from_raw_parts(data_bytes(data), data_size(data)), b"hi");
                let iterator = iterator_create(dictionary);
                let keys: Vec<_> = core::iter::repeat_with(|| iterator_next(iterator)).take_while(|key| !key.is_null()).collect();
                assert_eq!(keys.len(), 3);
                assert_eq!(dictionary_get_key(dictionary, keys[2]), list);
                assert_eq!(string::bytes(key_text(keys[0])), b"count");
                release(iterator);
                retain(list);
                release_argument(kernel(), dictionary.addr());
                assert_eq!(array_count(list), 2);
                release(list);
            }
            assert_eq!(kernel().kern.memory.usage().blocks, blocks);
            assert_eq!(argument(kernel(), None), 0);
        });
    }

    #[test]
    fn dictionaries_replace_and_remove() {
        Bench::new().inside(|| {
            let blocks = kernel().kern.memory.usage().blocks;
            // SAFETY: objects made here; names are strings.
            unsafe {
                let dictionary = dictionary_create();
                assert!(set_uint64(dictionary, name(c"a"), u64::MAX) && dictionary_set_text(dictionary, name(c"b"), name(c"x")));
                assert!(dictionary_set_text(dictionary, name(c"a"), name(c"y")));
                let mut text = ptr::null();
                assert!(dictionary_get_text(dictionary, name(c"a"), &raw mut text));
                assert_eq!(string::bytes(text), b"y");
                dictionary_remove(dictionary, name(c"a"));
                assert_eq!((dictionary_count(dictionary), dictionary_get(dictionary, name(c"a"))), (1, ptr::null_mut()));
                let array = array_create();
                assert!(array_add(array, dictionary) && !array_add(dictionary, array));
                release(dictionary);
                assert!(string_equals(dictionary_get(array_get(array, 0), name(c"b")), name(c"x")));
                release(array);
            }
            assert_eq!(kernel().kern.memory.usage().blocks, blocks);
        });
    }
}
