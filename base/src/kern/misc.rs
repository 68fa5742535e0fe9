//! What fits nowhere else: functions for table slots, names of the host, devices, notes.

use super::errno::{ENODEV, ENOENT, ENXIO, EOPNOTSUPP};
use super::panic::panic_format;
use crate::abi::constants::RB_HALT;
use crate::export::{Export, data, function};
use crate::kernel::Kernel;

/// Size of the exported host and domain names.
const NAME_SIZE: usize = 256;
const HOST_NAME: &[u8] = b"rumpload";
const SYSTEM: &[u8] = b"NetBSD";
/// Size of the exported texts about the system.
const TEXT_SIZE: usize = 64;
const COPYRIGHT: &[u8] = b"rumpload, licensed under MIT or Apache-2.0\n";
/// In `struct loadavg`, behind three averages of 32 bits.
const LOAD_SCALE: usize = 12_usize.next_multiple_of(size_of::<usize>());
/// A load of 1.
const FULL_LOAD: usize = 1 << 11;
const NO_DEVICE: u64 = u64::MAX;

extern "C" fn nullop() -> i32 {
    0
}

extern "C" fn eopnotsupp() -> i32 {
    EOPNOTSUPP
}

extern "C" fn enodev() -> i32 {
    ENODEV
}

extern "C" fn enxio() -> i32 {
    ENXIO
}

/// Notes hang on a list only after `kqfilter`, which the base does not offer: a list with one is a module's mistake.
unsafe extern "C" fn knote(list: *const *const u8, hint: isize) {
    // SAFETY: module code passes a list head.
    if !unsafe { list.read_unaligned() }.is_null() {
        panic_format(format_args!("knote with hint {hint}: event queues are not offered"));
    }
}

unsafe extern "C" fn knote_fdclose(_descriptor: i32) {}

/// Nobody is ever recorded as waiting for an event: `selrecord` is a declared trap.
unsafe extern "C" fn selinit(_info: *mut u8) {}

unsafe extern "C" fn selnotify(_info: *mut u8, _events: i32, _hint: isize) {}

/// Bits that are set.
extern "C" fn popcount32(word: u32) -> u32 {
    word.count_ones()
}

/// Checksum of Ethernet and zip, continuing from `seed`.
unsafe extern "C" fn crc32(seed: u32, bytes: *const u8, length: usize) -> u32 {
    if bytes.is_null() {
        return 0;
    }
    let mut word = !seed;
    for at in 0..length {
        // SAFETY: module code passes as many bytes.
        word ^= u32::from(unsafe { bytes.add(at).read() });
        for _ in 0..8 {
            word = (word >> 1) ^ if word & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    !word
}

/// Writes a version as its release is called: 799003400 is 7.99.34, 1000000000 is 10.0.
fn release(version: u32) -> alloc::string::String {
    let (major, minor, patch) = (version / 100_000_000, version / 1_000_000 % 100, version / 100 % 10_000);
    if patch == 0 { alloc::format!("{major}.{minor}") } else { alloc::format!("{major}.{minor}.{patch}") }
}

/// No firmware images are offered.
unsafe extern "C" fn firmware_open(_driver: *const u8, _image: *const u8, _out: *mut *mut u8) -> i32 {
    ENOENT
}

/// The system halts or starts again: either way this instance ends.
unsafe extern "C" fn cpu_reboot(how: i32, _boot: *const u8) -> ! {
    panic_format(format_args!("module code {} the system", if how & RB_HALT != 0 { "halts" } else { "reboots" }))
}

/// Sets names and numbers of the system.
pub(crate) fn fill(kernel: &Kernel) {
    // SAFETY: the exports have these sizes and are zero so far.
    unsafe {
        kernel.data("hostname").copy_from_nonoverlapping(HOST_NAME.as_ptr(), HOST_NAME.len());
        kernel.data("hostnamelen").cast::<i32>().write(HOST_NAME.len() as i32);
        kernel.data("ostype").copy_from_nonoverlapping(SYSTEM.as_ptr(), SYSTEM.len());
        let release = release(kernel.abi.version());
        let version = alloc::format!("NetBSD {release} (rumpload)\n");
        for (name, text) in [("osrelease", release.as_bytes()), ("version", version.as_bytes()), ("copyright", COPYRIGHT)] {
            kernel.data(name).copy_from_nonoverlapping(text.as_ptr(), text.len().min(TEXT_SIZE - 1));
        }
        kernel.data("averunnable").add(LOAD_SCALE).cast::<usize>().write(FULL_LOAD);
        kernel.data("rootdev").cast::<u64>().write(NO_DEVICE);
        kernel.data("ncpu").cast::<i32>().write(1);
        kernel.data("ncpuonline").cast::<i32>().write(1);
        kernel.data("physmem").cast::<i32>().write(i32::MAX >> 12);
        kernel.data("maxproc").cast::<i32>().write(1);
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("nullop", nullop),
    function!("voidop", nullop),
    function!("eopnotsupp", eopnotsupp),
    function!("enodev", enodev),
    function!("enxio", enxio),
    function!("enosys", enosys),
    function!("knote", knote),
    function!("knote_fdclose", knote_fdclose),
    function!("firmware_open", firmware_open),
    function!("cpu_reboot", cpu_reboot),
    function!("selinit", selinit),
    function!("seldestroy", selinit),
    function!("selnotify", selnotify),
    function!("crc32", crc32),
    function!("popcount", popcount32),
    function!("popcount32", popcount32),
    data!("hostname", NAME_SIZE, 8),
    data!("hostnamelen", 4, 4),
    data!("domainname", NAME_SIZE, 8),
    data!("domainnamelen", 4, 4),
    data!("ostype", 16, 8),
    data!("osrelease", TEXT_SIZE, 8),
    data!("version", TEXT_SIZE, 8),
    data!("copyright", TEXT_SIZE, 8),
    data!("averunnable", LOAD_SCALE + size_of::<usize>(), 8),
    data!("rootdev", 8, 8),
    data!("msgbufenabled", 4, 4),
    data!("msgbufp", size_of::<usize>(), 8),
    data!("cold", 4, 4),
    data!("ncpu", 4, 4),
    data!("ncpuonline", 4, 4),
    data!("physmem", 4, 4),
    data!("maxproc", 4, 4),
];

extern "C" fn enosys() -> i32 {
    super::errno::ENOSYS
}

#[cfg(test)]
mod tests {
    use super::{crc32, release};

    #[test]
    fn versions_have_names() {
        assert_eq!([799_003_400, 1_000_000_000, 1_001_000_000].map(release), ["7.99.34", "10.0", "10.1"]);
    }

    #[test]
    fn checksums_can_be_continued() {
        let text = b"123456789";
        // SAFETY: the ranges lie in the text.
        unsafe {
            assert_eq!(crc32(0, text.as_ptr(), 9), 0xcbf4_3926);
            assert_eq!(crc32(crc32(0, text.as_ptr(), 4), text.as_ptr().add(4), 5), 0xcbf4_3926);
        }
    }
}
