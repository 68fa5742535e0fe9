//! A device of the embedding program that does wrong while module code reads it.

use crate::child::run;
use crate::kernel::Server;
use rumpload::resource::{Block, HostError};
use rumpload_base::Device;
use rumpload_hosted::catch_faults;
use std::sync::Arc;

struct Broken(fn());

impl Block for Broken {
    fn sector_size(&self) -> u32 {
        512
    }

    fn size(&self) -> u64 {
        1 << 20
    }

    fn read_only(&self) -> bool {
        true
    }

    fn read(&self, _offset: u64, _buffer: &mut [u8]) -> Result<usize, HostError> {
        (self.0)();
        Ok(0)
    }

    fn write(&self, _offset: u64, _data: &[u8]) -> Result<(), HostError> {
        Ok(())
    }

    fn flush(&self) -> Result<(), HostError> {
        Ok(())
    }
}

fn mount(broken: fn()) -> String {
    run(|| {
        let server = Server::new();
        let _guard = catch_faults(server.kernel.clone(), |kernel| kernel.instance()).expect("caught");
        server.kernel.add_device("/dev/broken", Device::new(Arc::new(Broken(broken)))).expect("a device");
        format!("lived: {:?}", server.mount("/dev/broken", "/mnt"))
    })
}

/// What went wrong if the process outlives a fault of the device.
pub fn faults() -> Option<String> {
    // SAFETY: it is not; the process is to die of it.
    let end = mount(|| unsafe { core::ptr::without_provenance_mut::<u8>(16).write_volatile(1) });
    (!end.starts_with("killed by 11:")).then_some(end)
}

/// What went wrong if it outlives a panic.
pub fn panics() -> Option<String> {
    let end = mount(|| panic!("the device is broken"));
    (!(end.starts_with("killed by 6:") && end.contains("the device is broken"))).then_some(end)
}
