//! Property lists: dictionaries as text, in which device drivers and programs exchange them (`prop_copyin_ioctl(9)`).

use super::errno::{EFAULT, EINVAL, EIO, ENOMEM, ENOTSUP};
use super::property::{self, Content, Object};
use super::{memory, uio};
use crate::export::{Export, function};
use alloc::vec::Vec;
use rumpload::properties::Properties;

/// Bits of an ioctl's number: it hands something to the caller, or takes something from it.
const IOC_OUT: usize = 0x4000_0000;
const IOC_IN: usize = 0x8000_0000;
/// A list of this many bytes or more is not taken.
const TOO_LARGE: usize = 65536;
const PAGE: usize = 4096;

const HEADER: &[u8] =
    b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple Computer//DTD PLIST 1.0//EN\" \
    \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\">\n";
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `struct plistref`: where a list's text is, and its length with the NUL.
#[repr(C)]
struct Reference {
    text: *mut u8,
    length: usize,
}

fn escape(out: &mut Vec<u8>, text: &[u8]) {
    for byte in text {
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            byte => out.push(*byte),
        }
    }
}

/// Bytes as base64.
fn encode(out: &mut Vec<u8>, bytes: &[u8]) {
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= group.len() { digit } else { b'=' });
        }
    }
}

/// Writes `text` between the tags of an element.
fn element(out: &mut Vec<u8>, tag: &str, text: impl FnOnce(&mut Vec<u8>)) {
    out.extend(alloc::format!("<{tag}>").bytes());
    text(out);
    out.extend(alloc::format!("</{tag}>\n").bytes());
}

/// Writes an object and what is in it; `None` if something in it has no form as text.
///
/// # Safety
/// `object` must be null or live.
unsafe fn write(out: &mut Vec<u8>, object: *mut Object, depth: usize) -> Option<()> {
    let indent = |out: &mut Vec<u8>, depth| out.resize(out.len() + depth, b'\t');
    indent(out, depth);
    // SAFETY: as the caller says; what a container holds is live.
    unsafe {
        match property::content(object)? {
            Content::Bool(value) => out.extend_from_slice(if value { b"<true/>\n" } else { b"<false/>\n" }),
            Content::Signed(value) => element(out, "integer", |out| out.extend(alloc::format!("{value}").bytes())),
            Content::Unsigned(value) => element(out, "integer", |out| out.extend(alloc::format!("{value:#x}").bytes())),
            Content::String(text) => element(out, "string", |out| escape(out, text)),
            Content::Data(bytes) => element(out, "data", |out| encode(out, bytes)),
            Content::Array(values) => {
                out.extend_from_slice(b"<array>\n");
                for value in values {
                    write(out, value, depth + 1)?;
                }
                indent(out, depth);
                out.extend_from_slice(b"</array>\n");
            }
            Content::Dictionary(entries) => {
                out.extend_from_slice(b"<dict>\n");
                for (key, value) in entries {
                    indent(out, depth + 1);
                    element(out, "key", |out| escape(out, key));
                    write(out, value, depth + 1)?;
                }
                indent(out, depth);
                out.extend_from_slice(b"</dict>\n");
            }
        }
    }
    Some(())
}

/// The text of a dictionary, with a NUL behind it.
///
/// # Safety
/// `dictionary` must be null or live.
unsafe fn text_of(dictionary: *mut Object) -> Option<Vec<u8>> {
    let mut out = HEADER.to_vec();
    // SAFETY: as the caller says.
    unsafe {
        property::content(dictionary).filter(|content| matches!(content, Content::Dictionary(_)))?;
        write(&mut out, dictionary, 0)?;
    }
    out.extend_from_slice(b"</plist>\n\0");
    Some(out)
}

/// Hands a dictionary to who called the ioctl: as text in pages of its own, which become the caller's. In the one space there is
/// it gives them back as it does any memory of the kernel.
unsafe extern "C" fn prop_dictionary_copyout_ioctl(reference: *mut Reference, command: usize, dictionary: *mut Object) -> i32 {
    if command & IOC_OUT == 0 {
        return EFAULT;
    }
    // SAFETY: module code passes a live object and a reference to fill in; the block is as long as the text.
    unsafe {
        let Some(text) = text_of(dictionary) else { return ENOTSUP };
        let pages = memory::alloc(text.len().next_multiple_of(PAGE), true);
        if pages.is_null() {
            return ENOMEM;
        }
        pages.copy_from_nonoverlapping(text.as_ptr(), text.len());
        reference.write(Reference { text: pages, length: text.len() });
    }
    0
}

/// Takes a dictionary from who called the ioctl.
unsafe extern "C" fn prop_dictionary_copyin_ioctl(reference: *const Reference, command: usize, out: *mut *mut Object) -> i32 {
    if command & IOC_IN == 0 {
        return EFAULT;
    }
    // SAFETY: module code passes a reference that the ioctl's caller filled in, and a place for the object.
    unsafe {
        let Reference { text, length } = reference.read();
        if length >= TOO_LARGE {
            return EINVAL;
        }
        // A copy: the caller may change its own while it is read.
        let copy = memory::alloc_or_end(length + 1, true);
        let mut error = uio::copyin(text, copy, length);
        if error == 0 {
            match Properties::parse(core::slice::from_raw_parts(copy, length)) {
                Ok(properties) => out.write(property::dictionary_of(&properties)),
                Err(_) => error = EIO,
            }
        }
        memory::free(copy);
        error
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("prop_dictionary_copyout_ioctl", prop_dictionary_copyout_ioctl),
    function!("prop_dictionary_copyin_ioctl", prop_dictionary_copyin_ioctl),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::kernel;
    use crate::testing::Bench;
    use core::ptr;
    use rumpload::properties::Value;
    use std::string::String;

    #[test]
    fn what_is_handed_out_is_taken_back() {
        let mut inner = Properties::new();
        inner.set("off", Value::Bool(false));
        let mut properties = Properties::new();
        properties.set("a<&>b", Value::String("<&>".into()));
        properties.set("inner", Value::Dictionary(inner));
        properties.set("large", Value::Integer(u64::MAX.into()));
        properties.set("less", Value::Integer(-5));
        let list = ["", "YQ==", "YWI=", "YWJj", "YWJj/w=="].map(|text| Value::Data(text.into()));
        properties.set("list", Value::Array(list.to_vec()));
        Bench::new().inside(|| {
            let blocks = kernel().kern.memory.usage().blocks;
            // SAFETY: objects and references made here.
            unsafe {
                let dictionary = property::dictionary_of(&properties);
                let mut reference = Reference { text: ptr::null_mut(), length: 0 };
                assert_eq!(prop_dictionary_copyout_ioctl(&raw mut reference, IOC_IN, dictionary), EFAULT);
                assert_eq!(prop_dictionary_copyout_ioctl(&raw mut reference, IOC_OUT, ptr::null_mut()), ENOTSUP);
                assert_eq!(prop_dictionary_copyout_ioctl(&raw mut reference, IOC_OUT, dictionary), 0);
                let text = core::slice::from_raw_parts(reference.text, reference.length);
                assert_eq!(text.last(), Some(&0));
                assert_eq!(Properties::parse(&text[..text.len() - 1]), Ok(properties), "{}", String::from_utf8_lossy(text));
                let mut taken = ptr::null_mut();
                assert_eq!(prop_dictionary_copyin_ioctl(&raw const reference, IOC_OUT, &raw mut taken), EFAULT);
                assert_eq!(prop_dictionary_copyin_ioctl(&raw const reference, IOC_IN, &raw mut taken), 0);
                assert_eq!(text_of(taken), text_of(dictionary));
                property::release(taken);
                for (text, length, error) in [
                    (reference.text, reference.length - 20, EIO),
                    (reference.text, TOO_LARGE, EINVAL),
                    (ptr::null_mut(), 9, EFAULT),
                ] {
                    let reference = Reference { text, length };
                    assert_eq!(prop_dictionary_copyin_ioctl(&raw const reference, IOC_IN, &raw mut taken), error);
                }
                memory::free(reference.text);
                property::release(dictionary);
            }
            assert_eq!(kernel().kern.memory.usage().blocks, blocks);
        });
    }
}
