//! Declared traps: imports that modules link against and that the base cannot honour.
//!
//! Calling one ends the instance with the symbol's name. A symbol that is neither exported nor listed here stays unresolved,
//! and loading a module that wants it fails with its name.

use crate::arch::trap_entry;
use crate::export::{Export, ExportValue};
use crate::kern::panic::panic_from;
use crate::kern::printf::Line;
use alloc::vec::Vec;
use core::fmt::Write;

/// A trap and why it is one.
#[derive(Clone, Copy, Debug)]
pub struct Trap {
    /// The symbol, without the namespace's prefix.
    pub name: &'static str,
    /// What is missing.
    pub reason: &'static str,
}

impl Trap {
    /// The trap whose call ended an instance, from the reason that [`Error::Ended`](rumpload::Error::Ended) gives.
    #[must_use]
    pub fn of_reason(reason: &str) -> Option<&'static Self> {
        let (name, _) = reason.strip_prefix(CALLED)?.split_once(' ')?;
        TRAPS.iter().find(|trap| trap.name == name)
    }
}

/// What the reason of an instance that a trap ended begins with.
const CALLED: &str = "declared trap ";

const POLLING: &str = "polling files is not offered";
const SOCKETS: &str = "sockets are not offered";
const CLOCK: &str = "the clock is the host's";
const BUS: &str = "there is no hardware";
const FIRMWARE: &str = "no firmware image is ever opened";
const ATTRIBUTES: &str = "extended attributes are not offered";

const fn trap(name: &'static str, reason: &'static str) -> Trap {
    Trap { name, reason }
}

/// Every declared trap.
pub static TRAPS: &[Trap] = &[
    trap("extattr_check_cred", ATTRIBUTES),
    trap("selrecord", POLLING),
    trap("soisconnected", SOCKETS),
    trap("settimeofday1", CLOCK),
    trap("clock_settime1", CLOCK),
    trap("adjtime1", CLOCK),
    trap("ntp_adjtime1", CLOCK),
    trap("ntp_timestatus", CLOCK),
    trap("bus_space_map", BUS),
    trap("bus_space_unmap", BUS),
    trap("bus_space_subregion", BUS),
    trap("bus_space_read_1", BUS),
    trap("bus_space_read_2", BUS),
    trap("bus_space_read_4", BUS),
    trap("bus_space_write_1", BUS),
    trap("bus_space_write_2", BUS),
    trap("bus_space_write_4", BUS),
    trap("firmware_close", FIRMWARE),
    trap("firmware_read", FIRMWARE),
    trap("firmware_get_size", FIRMWARE),
    trap("firmware_malloc", FIRMWARE),
    trap("firmware_free", FIRMWARE),
];

/// Adds one export per trap.
pub(crate) fn exports(out: &mut Vec<Export>) {
    for (index, trap) in (0..).zip(TRAPS) {
        let value = ExportValue::IndexedFunction { target: trap_entry as *const (), index };
        out.push(Export { name: trap.name, value });
    }
}

/// Where every trap's entry arrives.
pub(crate) extern "C" fn called(index: u32, frame: usize) -> ! {
    let mut line = Line::new();
    // A line that is too long is cut.
    let _ = match TRAPS.get(index as usize) {
        Some(trap) => write!(line, "{CALLED}{} was called: {}", trap.name, trap.reason),
        None => line.write_str("an unknown declared trap was called"),
    };
    panic_from(line.as_str(), Some(frame))
}
