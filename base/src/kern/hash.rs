//! Hash tables: arrays of list heads that modules index themselves.

use super::{memory, panic};
use crate::abi::constants::{HASH_PSLIST, HASH_SLIST, HASH_TAILQ};
use crate::export::{Export, function};
use core::ptr;

/// Heads of a table for `elements`: the power of two that is not smaller.
fn heads(elements: u32) -> usize {
    elements.max(1).next_power_of_two() as usize
}

/// Words of a head: lists have the first element, tail queues also the last link.
fn words(kind: i32) -> usize {
    match kind {
        HASH_TAILQ => 2,
        kind if (0..=HASH_PSLIST.max(HASH_SLIST)).contains(&kind) => 1,
        _ => panic::panic_format(format_args!("a hash table of unknown kind {kind}")),
    }
}

/// A table for about `elements` of them; `mask` gets its size less one. Null only if the caller does not wait for memory.
///
/// # Safety
/// `mask` must point to an unsigned long.
pub(crate) unsafe extern "C" fn hashinit(elements: u32, kind: i32, wait: bool, mask: *mut usize) -> *mut u8 {
    if elements == 0 || elements > 1 << 30 {
        panic::panic_format(format_args!("a hash table for {elements} elements"));
    }
    let (heads, words) = (heads(elements), words(kind));
    let size = heads * words * size_of::<usize>();
    let table = if wait { memory::alloc_or_end(size, true) } else { memory::alloc(size, true) };
    if table.is_null() {
        return table;
    }
    if kind == HASH_TAILQ {
        for head in 0..heads {
            // SAFETY: the table has two words for each head; an empty queue's last link is its first word.
            unsafe {
                let first = table.cast::<*mut u8>().add(head * 2);
                first.add(1).write(first.cast());
            }
        }
    }
    // SAFETY: as the caller says.
    unsafe { ptr::write(mask, heads - 1) };
    table
}

/// Frees a table.
///
/// # Safety
/// `table` must come from [`hashinit`].
pub(crate) unsafe extern "C" fn hashdone(table: *mut u8, _kind: i32, _mask: usize) {
    // SAFETY: as the caller says.
    unsafe { memory::free(table) }
}

pub(crate) const EXPORTS: &[Export] = &[function!("hashinit", hashinit), function!("hashdone", hashdone)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn sizes_are_powers_of_two() {
        assert_eq!([1, 2, 3, 64, 65].map(heads), [1, 2, 4, 64, 128]);
        assert_eq!(words(HASH_TAILQ), 2);
        assert_eq!(words(HASH_SLIST), 1);
    }

    #[test]
    fn a_tail_queue_table_has_empty_queues() {
        let bench = Bench::new();
        bench.inside(|| {
            let mut mask = 0;
            // SAFETY: the mask is a word; the table has two words for each head.
            unsafe {
                let table = hashinit(5, HASH_TAILQ, true, &raw mut mask).cast::<usize>();
                assert_eq!(mask, 7);
                for head in 0..8 {
                    assert_eq!(table.add(2 * head).read(), 0);
                    assert_eq!(table.add(2 * head + 1).read(), table.add(2 * head).addr());
                }
                hashdone(table.cast(), HASH_TAILQ, mask);
                let table = hashinit(4, HASH_SLIST, false, &raw mut mask).cast::<usize>();
                assert!(mask == 3 && (0..4).all(|head| table.add(head).read() == 0));
                hashdone(table.cast(), HASH_SLIST, mask);
            }
        });
        let mut mask = 0;
        // SAFETY: as above.
        assert!(bench.ends(|| unsafe { hashinit(0, 0, true, &raw mut mask) }).contains("0 elements"));
    }
}
