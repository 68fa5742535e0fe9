//! The domain that owns the devices: the serial line and QEMU's firmware configuration. It serves files, disk, console, clock and
//! random numbers to the domain with the library, and console and instructions to the client.
#![no_std]
#![no_main]

extern crate alloc;

mod files;
mod fw_cfg;
mod lines;
mod service;

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write;
use core::ptr::NonNull;
use core::time::Duration;
use files::{Direct, Disk, FwCfgStore, Handed};
use fw_cfg::FwCfg;
use lines::Lines;
use rumpload::resource::{Block, HostError};
use rumpload_l4::{Resources, Sender, serve};
use rumpload_sel4::{ProcessorEntropy, Receiver, Reply, Serial, TscClock};
use sel4_runtime::layout::{self, WINDOW_DOWN, WINDOW_STEP, badge, cap};
use sel4_runtime::{Start, die, domain, window};
use service::Clients;

domain!(main);

const SERIAL: Serial = Serial::new(cap::SERIAL);

fn main(start: &'static Start) -> ! {
    match run(start) {
        Ok(error) | Err(error) => panic!("{error}"),
    }
}

/// Serves until receiving fails; the error.
fn run(start: &'static Start) -> Result<HostError, HostError> {
    let page = NonNull::new(core::ptr::with_exposed_provenance_mut(layout::DMA as usize)).expect("the layout has no page at 0");
    // SAFETY: the root task mapped this page for this purpose and said its physical address.
    let device = Arc::new(unsafe { FwCfg::new(cap::FW_CFG, page, start.dma) });
    let handed = Handed::look(&device)?;
    let clock = Arc::new(TscClock::new(start.tsc_mhz, handed.seconds.map(Duration::from_secs)));
    let store = Arc::new(FwCfgStore::new(device.clone(), handed.files));
    let disk = handed.image.map(|item| Arc::new(Disk::new(device.clone(), item)));
    let blocks: Vec<Arc<dyn Block>> = disk.iter().map(|disk| disk.clone() as Arc<dyn Block>).collect();
    let [rump_window, client_window] = start.windows;
    let direct = Direct { device: device.clone(), store: store.clone(), disk, window: (WINDOW_DOWN, rump_window) };
    let rump = Resources {
        memory: None,
        store: Some(store),
        blocks,
        console: Some(Arc::new(Lines::new(SERIAL, "rump"))),
        clock: Some(clock.clone()),
        entropy: Some(Arc::new(ProcessorEntropy::new())),
        direct: Some(Arc::new(direct)),
    };
    let store = Arc::new(FwCfgStore::new(device.clone(), handed.client));
    let window_down = (WINDOW_DOWN + WINDOW_STEP, client_window);
    let direct = Direct { device, store: store.clone(), disk: None, window: window_down };
    let client = Resources {
        store: Some(store),
        console: Some(Arc::new(Lines::new(SERIAL, "client"))),
        direct: Some(Arc::new(direct)),
        ..Resources::default()
    };
    let mut transport = Receiver::new(cap::SERVICE, Reply::Thread);
    let both = transport.with_client(Sender(badge::RUMP), window(WINDOW_DOWN))
        && transport.with_client(Sender(badge::CLIENT), window(WINDOW_DOWN + WINDOW_STEP));
    assert!(both, "room for two clients");
    Ok(serve(&transport, &mut Clients::new(rump, client, clock)))
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    // If this fails there is nobody left to tell; the root task reports the fault.
    let _ = writeln!(Serial::new(cap::SERIAL), "host: panic: {info}");
    die()
}
