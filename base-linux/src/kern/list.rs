//! Checks of doubly linked lists: next at 0, previous at 8.

use super::panic::panic_format;
use crate::abi::get;
use crate::export::{Export, function};
use alloc::vec::Vec;

/// What a removed entry's links are set to.
const POISON_NEXT: usize = 0xdead_0000_0000_0100;
const POISON_PREVIOUS: usize = 0xdead_0000_0000_0122;

/// An insertion into a damaged list ends the instance: whatever follows would write somewhere.
unsafe extern "C" fn list_add_valid(new: usize, previous: usize, next: usize) -> bool {
    // SAFETY: module code passes entries of a list.
    let (back, forth) = unsafe { (get::<usize>(next, 8), get::<usize>(previous, 0)) };
    if back != previous || forth != next || new == previous || new == next {
        panic_format(format_args!("a list is damaged between {previous:#x} and {next:#x}"));
    }
    true
}

unsafe extern "C" fn list_del_entry_valid(entry: usize) -> bool {
    // SAFETY: module code passes an entry of a list.
    let (next, previous) = unsafe { (get::<usize>(entry, 0), get::<usize>(entry, 8)) };
    if next == POISON_NEXT || previous == POISON_PREVIOUS {
        panic_format(format_args!("the list entry {entry:#x} was removed before"));
    }
    // SAFETY: the entry's links lead to entries.
    let (forth, back) = unsafe { (get::<usize>(previous, 0), get::<usize>(next, 8)) };
    if forth != entry || back != entry {
        panic_format(format_args!("a list is damaged around {entry:#x}"));
    }
    true
}

/// Adds the services.
pub(super) fn exports(out: &mut Vec<Export>) {
    out.push(function!("__list_add_valid", list_add_valid));
    out.push(function!("__list_del_entry_valid", list_del_entry_valid));
}
