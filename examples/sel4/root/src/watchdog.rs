//! A thread that runs whenever the domain with the library has used its time slice, and looks how long it has been at one
//! request. It has the priority of that domain and reads the time-stamp counter: no timer driver is needed.

use rumpload_sel4::syscall::{Cap, Info, send, yield_now};
use rumpload_sel4::{LoadMap, time_stamp};
use sel4_runtime::layout::report;

/// What the watchdog needs; passed by address.
pub struct Watchdog {
    /// What it watches.
    pub map: LoadMap,
    /// Ticks that one request may take.
    pub limit: u64,
    /// Where it reports.
    pub endpoint: Cap,
}

/// The thread.
pub extern "C" fn run(watchdog: &'static Watchdog) -> ! {
    loop {
        if let Some(working) = watchdog.map.working()
            && time_stamp().saturating_sub(working.since) > watchdog.limit
        {
            send(watchdog.endpoint, Info::new(report::STUCK, 0, 1), [working.number, 0, 0, 0]);
        }
        yield_now();
    }
}
