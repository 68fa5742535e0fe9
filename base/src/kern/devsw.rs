//! Device switches: which driver has which major number.

use super::errno::{EEXIST, EINVAL};
use super::string;
use crate::abi::constants::{POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM};
use crate::export::{Export, function};
use crate::kernel::kernel;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ptr;

/// No major number.
const NONE: i32 = -1;
/// Numbers given to drivers that ask for any: above those that NetBSD gives out for good, below those of the server's devices.
const FIRST: i32 = 0x180;
/// Major numbers have twelve bits.
const LIMIT: i32 = 1 << 12;

struct Driver {
    name: Vec<u8>,
    /// Null while the driver is away: it gets its numbers back when it returns.
    block: *const u8,
    character: *const u8,
    block_major: i32,
    character_major: i32,
}

/// The drivers that were ever attached.
#[derive(Default)]
pub(crate) struct State {
    drivers: RefCell<Vec<Driver>>,
}

/// The major number in a device number.
fn major(device: u64) -> i32 {
    (device >> 8) as i32 & (LIMIT - 1)
}

/// A number nobody has, if any is asked for; the one asked for, if nobody has it.
fn choose(asked: i32, taken: impl Fn(i32) -> bool) -> Result<i32, i32> {
    match asked {
        NONE => (FIRST..LIMIT).find(|major| !taken(*major)).ok_or(EINVAL),
        0..LIMIT if taken(asked) => Err(EEXIST),
        0..LIMIT => Ok(asked),
        _ => Err(EINVAL),
    }
}

impl State {
    /// Enters a driver; the numbers asked for may be `NONE`. Answers the block and character numbers.
    fn attach(&self, name: &[u8], block: *const u8, character: *const u8, asked: (i32, i32)) -> Result<(i32, i32), i32> {
        let mut drivers = self.drivers.borrow_mut();
        if let Some(known) = drivers.iter_mut().find(|driver| driver.name == name) {
            let fits = |asked, known| asked == NONE || asked == known;
            if !known.character.is_null() {
                return Err(EEXIST);
            }
            if !fits(asked.0, known.block_major)
                || !fits(asked.1, known.character_major)
                || (known.block_major != NONE) == block.is_null()
            {
                return Err(EINVAL);
            }
            (known.block, known.character) = (block, character);
            return Ok((known.block_major, known.character_major));
        }
        let block_major = match block.is_null() {
            true => NONE,
            false => choose(asked.0, |major| drivers.iter().any(|driver| driver.block_major == major))?,
        };
        let character_major = choose(asked.1, |major| drivers.iter().any(|driver| driver.character_major == major))?;
        drivers.push(Driver { name: name.to_vec(), block, character, block_major, character_major });
        Ok((block_major, character_major))
    }

    fn detach(&self, block: *const u8, character: *const u8) {
        for driver in self.drivers.borrow_mut().iter_mut() {
            if !character.is_null() && driver.character == character {
                driver.character = ptr::null();
            }
            if !block.is_null() && driver.block == block {
                driver.block = ptr::null();
            }
        }
    }

    fn find<R>(&self, wanted: impl Fn(&Driver) -> bool, give: impl Fn(&Driver) -> R) -> Option<R> {
        self.drivers.borrow().iter().find(|driver| wanted(driver)).map(give)
    }
}

fn state() -> &'static State {
    &kernel().kern.devsw
}

/// The `struct bdevsw` of a driver's device; null without one.
pub(crate) fn block_switch(device: u64) -> *const u8 {
    let wanted = major(device);
    state().find(|driver| driver.block_major == wanted, |driver| driver.block).unwrap_or(ptr::null())
}

/// The `struct cdevsw` of a driver's device; null without one.
pub(crate) fn character_switch(device: u64) -> *const u8 {
    let wanted = major(device);
    state().find(|driver| driver.character_major == wanted, |driver| driver.character).unwrap_or(ptr::null())
}

/// The major number of a driver that is there.
pub(crate) fn character_major(name: &[u8]) -> Option<u32> {
    state().find(|driver| driver.name == name && !driver.character.is_null(), |driver| driver.character_major as u32)
}

unsafe extern "C" fn devsw_attach(
    name: *const u8,
    block: *const u8,
    block_major: *mut i32,
    character: *const u8,
    character_major: *mut i32,
) -> i32 {
    if name.is_null() || character.is_null() {
        return EINVAL;
    }
    // SAFETY: module code passes a C string and two numbers.
    unsafe {
        match state().attach(string::bytes(name), block, character, (*block_major, *character_major)) {
            Ok((block, character)) => {
                *block_major = block;
                *character_major = character;
                0
            }
            Err(error) => error,
        }
    }
}

unsafe extern "C" fn devsw_detach(block: *const u8, character: *const u8) -> i32 {
    state().detach(block, character);
    0
}

unsafe extern "C" fn cdevsw_lookup(device: u64) -> *const u8 {
    character_switch(device)
}

unsafe extern "C" fn cdevsw_lookup_major(switch: *const u8) -> i32 {
    state().find(|driver| !switch.is_null() && driver.character == switch, |driver| driver.character_major).unwrap_or(NONE)
}

unsafe extern "C" fn bdevsw_lookup_major(switch: *const u8) -> i32 {
    state().find(|driver| !switch.is_null() && driver.block == switch, |driver| driver.block_major).unwrap_or(NONE)
}

/// The number that `major` gives of the driver whose device `name` is, and the driver's name.
///
/// # Safety
/// `name` must be a C string; `out` null or room for as many bytes.
unsafe fn by_name(name: *const u8, out: *mut u8, room: usize, major: impl Fn(&Driver) -> i32) -> i32 {
    // SAFETY: as the caller says.
    unsafe {
        let name = string::bytes(name);
        let wanted = |driver: &Driver| {
            let unit = name.strip_prefix(driver.name.as_slice());
            major(driver) != NONE && unit.is_some_and(|unit| unit.iter().all(|byte| !byte.is_ascii_lowercase()))
        };
        let found = state().find(wanted, |driver| {
            if !out.is_null() && room > 0 {
                let length = driver.name.len().min(room - 1);
                ptr::copy_nonoverlapping(driver.name.as_ptr(), out, length);
                out.add(length).write(0);
            }
            major(driver)
        });
        found.unwrap_or(NONE)
    }
}

unsafe extern "C" fn devsw_name2blk(name: *const u8, out: *mut u8, room: usize) -> i32 {
    // SAFETY: module code passes a C string and a buffer of this length.
    unsafe { by_name(name, out, room, |driver| driver.block_major) }
}

/// As above for character devices; of drivers that are there.
unsafe extern "C" fn devsw_name2chr(name: *const u8, out: *mut u8, room: usize) -> i32 {
    if name.is_null() {
        return NONE;
    }
    // SAFETY: as above.
    unsafe { by_name(name, out, room, |driver| if driver.character.is_null() { NONE } else { driver.character_major }) }
}

/// The same device with another kind of number; -1 if its driver has none.
fn convert(device: u64, from: impl Fn(&Driver) -> i32, to: impl Fn(&Driver) -> i32) -> u64 {
    let wanted = major(device);
    match state().find(|driver| from(driver) == wanted, to) {
        Some(NONE) | None => u64::MAX,
        Some(major) => device & !0xf_ff00 | (major as u64) << 8,
    }
}

unsafe extern "C" fn devsw_blk2chr(device: u64) -> u64 {
    convert(device, |driver| driver.block_major, |driver| driver.character_major)
}

unsafe extern "C" fn devsw_chr2blk(device: u64) -> u64 {
    convert(device, |driver| driver.character_major, |driver| driver.block_major)
}

/// Poll function of devices that are always ready.
unsafe extern "C" fn seltrue(_device: u64, events: i32, _lwp: *mut u8) -> i32 {
    events & (POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)
}

/// Event queues are not offered: no note is ever attached.
unsafe extern "C" fn seltrue_kqfilter(_device: u64, _note: *mut u8) -> i32 {
    EINVAL
}

/// Filter of devices that are always ready: how much there is nobody knows.
pub(super) unsafe extern "C" fn filt_seltrue(note: *mut u8, _hint: isize) -> i32 {
    let abi = kernel().abi;
    // SAFETY: module code passes a `struct knote`.
    unsafe { abi.kevent.data.write(abi.knote.kn_kevent.ptr(note), 0_i64) };
    1
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("devsw_attach", devsw_attach),
    function!("devsw_detach", devsw_detach),
    function!("cdevsw_lookup", cdevsw_lookup),
    function!("cdevsw_lookup_major", cdevsw_lookup_major),
    function!("bdevsw_lookup_major", bdevsw_lookup_major),
    function!("devsw_name2blk", devsw_name2blk),
    function!("devsw_name2chr", devsw_name2chr),
    function!("devsw_blk2chr", devsw_blk2chr),
    function!("devsw_chr2blk", devsw_chr2blk),
    function!("seltrue", seltrue),
    function!("seltrue_kqfilter", seltrue_kqfilter),
    function!("filt_seltrue", filt_seltrue),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[test]
    fn drivers_get_numbers_and_keep_them() {
        let (one, two) = (0_u8, 0_u8);
        let (one, two) = (&raw const one, &raw const two);
        let name = |name: &'static core::ffi::CStr| name.as_ptr().cast::<u8>();
        Bench::new().inside(|| {
            let attach = |name: *const u8, block, character, asked: (i32, i32)| {
                let (mut block_major, mut character_major) = asked;
                // SAFETY: the name is a string, the numbers this frame's.
                let error = unsafe { devsw_attach(name, block, &raw mut block_major, character, &raw mut character_major) };
                (error, block_major, character_major)
            };
            let none = ptr::null();
            assert_eq!(attach(name(c"disk"), one, one, (7, NONE)), (0, 7, FIRST));
            assert_eq!(attach(name(c"disk"), one, one, (NONE, NONE)).0, EEXIST);
            assert_eq!(attach(name(c"more"), none, two, (NONE, FIRST)).0, EEXIST);
            assert_eq!(attach(name(c"more"), none, two, (NONE, LIMIT)).0, EINVAL);
            assert_eq!(attach(name(c"more"), none, none, (NONE, NONE)).0, EINVAL);
            assert_eq!(attach(name(c"more"), none, two, (NONE, NONE)), (0, NONE, FIRST + 1));
            let device = 0x10_0703;
            // SAFETY: numbers and the addresses above.
            unsafe {
                assert_eq!(block_switch(device), one);
                assert_eq!(devsw_blk2chr(device), 0x11_8003 & !0xf_ff00 | (FIRST as u64) << 8);
                assert_eq!(devsw_chr2blk(devsw_blk2chr(device)), device);
                assert_eq!(devsw_chr2blk((FIRST as u64 + 1) << 8), u64::MAX);
                assert_eq!(cdevsw_lookup((FIRST as u64 + 1) << 8), two);
                assert_eq!((cdevsw_lookup_major(two), bdevsw_lookup_major(one), cdevsw_lookup_major(none)), (FIRST + 1, 7, NONE));
                let mut found = [0_u8; 3];
                assert_eq!(devsw_name2blk(name(c"disk12"), found.as_mut_ptr(), found.len()), 7);
                assert_eq!((&found, devsw_name2blk(name(c"diskette"), ptr::null_mut(), 0)), (b"di\0", NONE));
                let character = |name: &'static core::ffi::CStr| devsw_name2chr(name.as_ptr().cast(), ptr::null_mut(), 0);
                assert_eq!((character(c"more3"), character(c"disk"), character(c"mor")), (FIRST + 1, FIRST, NONE));
                devsw_detach(one, one);
                assert_eq!(character(c"disk"), NONE);
                assert!(block_switch(device).is_null());
                assert_eq!(attach(name(c"disk"), one, one, (NONE, NONE)), (0, 7, FIRST));
                assert_eq!(seltrue(0, 0xff, ptr::null_mut()), POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM);
            }
        });
    }
}
