//! How long things take, by the time-stamp counter: instructions, where the machine counts those.

use crate::script::Error;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use rumpload::resource::Store;
use rumpload_l4::{Connection, Mount, RemoteFiles, RemoteStore};
use rumpload_sel4::time_stamp;

/// Repetitions of what is short.
const MANY: u64 = 1000;
/// Where the file system is mounted, and the file that is read on it.
const DIRECTORY: &[u8] = b"/bench";
const FILE: &[u8] = b"/bench/first";
/// A device that does not exist: a mount of it brings the module in and then fails.
const NO_DEVICE: u32 = 9;

/// Ticks that `work` takes.
fn ticks(work: impl FnOnce() -> Result<(), Error>) -> Result<u64, Error> {
    let start = time_stamp();
    work()?;
    Ok(time_stamp() - start)
}

/// Measures with a file system of type `kind` on device 0, whose module is not loaded yet.
pub fn bench(
    rump: &Arc<Connection>,
    services: &Arc<Connection>,
    files: &RemoteFiles,
    kind: &str,
    say: &mut dyn FnMut(&str),
) -> Result<(), Error> {
    let mut report = |name: &str, ticks: u64| say(&format!("bench {name} {ticks}"));
    for (name, connection) in [("call_host", services), ("call_rump", rump)] {
        connection.ping()?;
        let all = ticks(|| (0..MANY).try_for_each(|_| Ok(connection.ping()?)))?;
        report(name, all / MANY);
    }

    let store = RemoteStore::new(services)?;
    let file = store.open("bench")?;
    let mut buffer = alloc::vec![0; 1 << 16];
    store.read_at(file, 0, &mut buffer)?;
    let all = ticks(|| {
        (0..16).try_for_each(|_| match store.read_at(file, 0, &mut buffer)? {
            len if len == buffer.len() => Ok(()),
            len => Err(Error::Wrong(format!("{len} bytes of the file"))),
        })
    })?;
    report("store_read_64k", all / 16);
    store.close(file);

    let mount = |device| files.mount(&Mount { kind, path: DIRECTORY, device, read_only: true, options: "" });
    let cold = ticks(|| match mount(NO_DEVICE) {
        Err(_) => Ok(()),
        Ok(()) => Err(Error::Wrong("a mount without a device".to_string())),
    })?;
    let warm = ticks(|| match mount(NO_DEVICE) {
        Err(_) => Ok(()),
        Ok(()) => Err(Error::Wrong("a mount without a device".to_string())),
    })?;
    report("autoload_cold", cold.saturating_sub(warm));
    if files.status()?.modules == 0 {
        return Err(Error::Wrong("the module did not come".to_string()));
    }
    let first = ticks(|| {
        mount(0)?;
        let file = files.open(FILE)?;
        let read = files.read(file, 0, &mut [0; 1])?;
        files.close(file)?;
        if read == 1 { Ok(()) } else { Err(Error::Wrong("no first byte".to_string())) }
    })?;
    report("mount_to_first_byte", first);
    files.unmount(DIRECTORY, false)?;
    Ok(())
}
