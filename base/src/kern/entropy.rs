//! Sources of entropy that drivers offer (`rnd(9)`). Random numbers are the host's and need none: samples are noted in their source,
//! as drivers and statistics expect, and credited with nothing.

use super::{panic, string, time};
use crate::export::{Export, function};
use crate::kernel::kernel;
use core::cell::Cell;
use core::ptr;

const TYPE_NET: u32 = 2;
const TYPE_RNG: u32 = 5;
const TYPE_VM: u32 = 8;
const NO_ESTIMATE: u32 = 0x100;
const NO_COLLECT: u32 = 0x200;
const FAST: u32 = 0x400;
/// Values and times are taken, times are judged.
const DEFAULT: u32 = 0x7000;

/// The sources, linked through themselves.
pub(crate) struct State {
    first: Cell<*mut u8>,
}

impl Default for State {
    fn default() -> Self {
        Self { first: Cell::new(ptr::null_mut()) }
    }
}

/// A number that changes with time.
fn counter() -> u32 {
    time::monotonic().as_nanos() as u32
}

unsafe extern "C" fn rnd_attach_source(source: *mut u8, name: *const u8, kind: u32, flags: u32) {
    let state = &kernel().kern.entropy;
    let (layout, estimator) = (&kernel().abi.krndsource, &kernel().abi.rnd_delta_estimator);
    let flags = if flags == 0 { DEFAULT } else { flags };
    let more = match kind {
        // Nothing is taken from networks unless somebody asks for it.
        TYPE_NET => NO_COLLECT | NO_ESTIMATE,
        TYPE_RNG | TYPE_VM => FAST,
        _ => 0,
    };
    // SAFETY: module code passes a `struct krndsource` that lives until it is detached, and a name. Callbacks that it may have
    // set are kept.
    unsafe {
        let place: *mut u8 = layout.name.ptr(source);
        let name = string::bytes(name);
        let length = name.len().min(layout.name.size() - 1);
        place.write_bytes(0, layout.name.size());
        place.copy_from_nonoverlapping(name.as_ptr(), length);
        for delta in [layout.time_delta, layout.value_delta] {
            delta.ptr::<u8>(source).write_bytes(0, delta.size());
        }
        estimator.x.write(layout.time_delta.ptr(source), u64::from(counter()));
        layout.total.write(source, 0_u32);
        layout.type_.write(source, kind);
        layout.flags.write(source, flags | more);
        layout.state.write(source, ptr::null_mut::<u8>());
        layout.test.write(source, ptr::null_mut::<u8>());
        layout.test_cnt.write(source, -1_isize);
        layout.refcnt.write(source, 1_u32);
        layout.list_le_next.write(source, state.first.replace(source));
    }
}

unsafe extern "C" fn rnd_detach_source(source: *mut u8) {
    let (state, link) = (&kernel().kern.entropy, kernel().abi.krndsource.list_le_next);
    // SAFETY: sources on the list are live, `source` among them unless the module errs, which is told.
    unsafe {
        if state.first.get() == source {
            return state.first.set(link.read(source));
        }
        let mut at = state.first.get();
        while !at.is_null() {
            let next: *mut u8 = link.read(at);
            if next == source {
                return link.write(at, link.read::<*mut u8>(source));
            }
            at = next;
        }
    }
    panic::panic_message("rnd_detach_source: the source is not attached");
}

/// Notes a sample: its value, how far it is from the last one, and how much that has changed.
///
/// # Safety
/// `delta` must be a `struct rnd_delta_estimator`.
unsafe fn note(delta: *mut u8, value: u32) {
    let layout = &kernel().abi.rnd_delta_estimator;
    // SAFETY: as the caller says.
    unsafe {
        let (last, last_change): (u64, u64) = (layout.x.read(delta), layout.dx.read(delta));
        let change = u64::from((last as u32).wrapping_sub(value).cast_signed().unsigned_abs());
        layout.insamples.write(delta, layout.insamples.read::<u64>(delta) + 1);
        layout.x.write(delta, u64::from(value));
        layout.dx.write(delta, change);
        layout.d2x.write(delta, last_change.abs_diff(change));
    }
}

unsafe extern "C" fn rnd_add_uint32(source: *mut u8, value: u32) {
    let layout = &kernel().abi.krndsource;
    // SAFETY: module code passes an attached source.
    unsafe {
        if layout.flags.read::<u32>(source) & NO_COLLECT == 0 {
            note(layout.time_delta.ptr(source), counter());
            note(layout.value_delta.ptr(source), value);
        }
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("rnd_attach_source", rnd_attach_source),
    function!("rnd_detach_source", rnd_detach_source),
    function!("_rnd_add_uint32", rnd_add_uint32),
];
