//! Moving bytes between buffers and the places a `struct uio` lists, and to and from user space, which here is the same space.

use super::errno::{EFAULT, ENAMETOOLONG};
use super::memory;
use crate::abi::constants::{UIO_READ, UIO_WRITE};
use crate::export::{Export, data, function};
use crate::kernel::{Kernel, kernel};
use core::ptr;

/// The first page is never mapped: an address in it is a null pointer with an offset.
const FIRST: usize = 4096;

/// # Safety
/// Ranges that are not refused must be readable and writable.
unsafe fn copy(from: *const u8, to: *mut u8, length: usize) -> i32 {
    if length == 0 {
        return 0;
    }
    if from.addr() < FIRST || to.addr() < FIRST {
        return EFAULT;
    }
    // SAFETY: as the caller says; overlap is harmless.
    unsafe { ptr::copy(from, to, length) };
    0
}

/// One transfer: moves at most `length` bytes between `buffer` and what `uio` lists, and advances `uio`.
///
/// # Safety
/// `buffer` must have `length` bytes; `uio` must be a `struct uio` whose vectors are writable memory.
pub(crate) unsafe extern "C" fn uiomove(buffer: *mut u8, length: usize, uio: *mut u8) -> i32 {
    let abi = kernel().abi;
    let (fields, vector) = (&abi.uio, &abi.iovec);
    let mut done = 0;
    // SAFETY: as the caller says; the vector pointer stays within the count.
    unsafe {
        let reads = fields.uio_rw.read::<i32>(uio) == UIO_READ;
        while done < length {
            let residue: usize = fields.uio_resid.read(uio);
            let count: i32 = fields.uio_iovcnt.read(uio);
            if residue == 0 || count <= 0 {
                break;
            }
            let entry: *mut u8 = fields.uio_iov.read(uio);
            let base: *mut u8 = vector.iov_base.read(entry);
            let room: usize = vector.iov_len.read(entry);
            if room == 0 {
                fields.uio_iov.write(uio, entry.add(vector.size));
                fields.uio_iovcnt.write(uio, count - 1);
                continue;
            }
            let part = room.min(length - done).min(residue);
            let place = buffer.wrapping_add(done);
            let error = if reads { copy(place, base, part) } else { copy(base, place, part) };
            if error != 0 {
                return error;
            }
            vector.iov_base.write(entry, base.add(part));
            vector.iov_len.write(entry, room - part);
            fields.uio_resid.write(uio, residue - part);
            let offset: i64 = fields.uio_offset.read(uio);
            fields.uio_offset.write(uio, offset.wrapping_add(part as i64));
            done += part;
        }
    }
    0
}

/// As [`uiomove`] from a buffer that stands for a file: the uio's offset says where in it to begin.
unsafe extern "C" fn uiomove_frombuf(buffer: *mut u8, length: usize, uio: *mut u8) -> i32 {
    // SAFETY: module code passes a buffer of this length and a uio.
    unsafe {
        let offset: i64 = kernel().abi.uio.uio_offset.read(uio);
        match usize::try_from(offset) {
            Ok(offset) if offset < length => uiomove(buffer.add(offset), length - offset, uio),
            Ok(_) => 0,
            Err(_) => super::errno::EINVAL,
        }
    }
}

unsafe extern "C" fn ureadc(byte: i32, uio: *mut u8) -> i32 {
    let mut byte = byte as u8;
    // SAFETY: one byte of this frame; module code passes a uio.
    unsafe { uiomove(&raw mut byte, 1, uio) }
}

/// The kernel's `struct vmspace`. Its map's pmap is the one `kernel_pmap_ptr` names.
pub(crate) fn kernel_vmspace() -> *mut u8 {
    // SAFETY: the export is a pointer, filled at boot.
    unsafe { kernel().data("kernel_vmspace").cast::<*mut u8>().read() }
}

unsafe extern "C" fn uio_setup_sysspace(uio: *mut u8) {
    // SAFETY: module code passes a uio.
    unsafe { kernel().abi.uio.uio_vmspace.write(uio, kernel_vmspace()) }
}

/// A `struct uio` and the vector it lists, for the base's own transfers.
#[repr(C, align(16))]
pub(crate) struct Transfer {
    uio: [u8; 64],
    vector: [u8; 16],
}

impl Transfer {
    /// A transfer of `length` bytes at `buffer` from `offset` of a file on; `write` is the direction as the file sees it.
    ///
    /// The result must be started with [`uio`](Self::uio) where it stays.
    pub(crate) fn new(buffer: *mut u8, length: usize, offset: i64, write: bool) -> Self {
        let abi = kernel().abi;
        let mut transfer = Self { uio: [0; 64], vector: [0; 16] };
        debug_assert!(abi.uio.size <= 64 && abi.iovec.size <= 16);
        let uio = transfer.uio.as_mut_ptr();
        // SAFETY: both arrays have room for their structures.
        unsafe {
            abi.iovec.iov_base.write(transfer.vector.as_mut_ptr(), buffer);
            abi.iovec.iov_len.write(transfer.vector.as_mut_ptr(), length);
            abi.uio.uio_iovcnt.write(uio, 1_i32);
            abi.uio.uio_offset.write(uio, offset);
            abi.uio.uio_resid.write(uio, length);
            abi.uio.uio_rw.write(uio, if write { UIO_WRITE } else { UIO_READ });
            abi.uio.uio_vmspace.write(uio, kernel_vmspace());
        }
        transfer
    }

    /// The `struct uio`, which lists the vector at its present place.
    pub(crate) fn uio(&mut self) -> *mut u8 {
        let vector = self.vector.as_mut_ptr();
        // SAFETY: the array has room for the structure.
        unsafe { kernel().abi.uio.uio_iov.write(self.uio.as_mut_ptr(), vector) };
        self.uio.as_mut_ptr()
    }

    /// Bytes not moved yet.
    pub(crate) fn residue(&self) -> usize {
        // SAFETY: the array holds the structure.
        unsafe { kernel().abi.uio.uio_resid.read(self.uio.as_ptr()) }
    }

    /// The file offset reached.
    pub(crate) fn offset(&self) -> i64 {
        // SAFETY: the array holds the structure.
        unsafe { kernel().abi.uio.uio_offset.read(self.uio.as_ptr()) }
    }
}

/// Copies between kernel and user space, which are the same.
///
/// # Safety
/// Ranges outside the first page must be readable and writable.
pub(super) unsafe extern "C" fn copyin(from: *const u8, to: *mut u8, length: usize) -> i32 {
    // SAFETY: module code's ranges.
    unsafe { copy(from, to, length) }
}

unsafe extern "C" fn copyin_of(_space: *mut u8, from: *const u8, to: *mut u8, length: usize) -> i32 {
    // SAFETY: as above; every process has the one space.
    unsafe { copy(from, to, length) }
}

unsafe extern "C" fn copyout_of(_space: *mut u8, from: *const u8, to: *mut u8, length: usize) -> i32 {
    // SAFETY: as above.
    unsafe { copy(from, to, length) }
}

unsafe extern "C" fn ioctl_copy(_flags: i32, from: *const u8, to: *mut u8, length: usize) -> i32 {
    // SAFETY: as above.
    unsafe { copy(from, to, length) }
}

unsafe extern "C" fn kcopy(from: *const u8, to: *mut u8, length: usize) -> i32 {
    // SAFETY: module code's ranges.
    unsafe { copy(from, to, length) }
}

/// Copies a string with its NUL into `room` bytes; `done` gets the bytes copied.
///
/// # Safety
/// `from` must be a C string or at least `room` bytes; `to` must have `room` bytes; `done` must be null or a size.
pub(crate) unsafe extern "C" fn copystr(from: *const u8, to: *mut u8, room: usize, done: *mut usize) -> i32 {
    if room > 0 && (from.addr() < FIRST || to.addr() < FIRST) {
        return EFAULT;
    }
    let mut count = 0;
    let mut error = ENAMETOOLONG;
    // SAFETY: as the caller says: reading stops at the NUL or the end of the room.
    unsafe {
        while count < room {
            let byte = from.add(count).read();
            to.add(count).write(byte);
            count += 1;
            if byte == 0 {
                error = 0;
                break;
            }
        }
        if !done.is_null() {
            done.write(count);
        }
    }
    error
}

/// Declares `ufetch`, `ustore` and the older calls of one width.
macro_rules! fetches {
    ($($fetch:ident $store:ident: $ty:ty;)*) => {
        $(unsafe extern "C" fn $fetch(from: *const u8, to: *mut $ty) -> i32 {
            // SAFETY: module code's ranges.
            unsafe { copy(from, to.cast(), size_of::<$ty>()) }
        }
        unsafe extern "C" fn $store(to: *mut u8, value: $ty) -> i32 {
            // SAFETY: module code's range.
            unsafe { copy((&raw const value).cast(), to, size_of::<$ty>()) }
        })*
    };
}

fetches! {
    ufetch_8 ustore_8: u8;
    ufetch_16 ustore_16: u16;
    ufetch_32 ustore_32: u32;
    ufetch_64 ustore_64: u64;
    ufetch_word ustore_word: usize;
}

/// Makes the kernel's address space: a vmspace whose pmap is a block of its own.
pub(crate) fn fill(kernel: &Kernel) {
    let space = memory::alloc_or_end(kernel.abi.vmspace.size, true);
    let pmap = memory::alloc_or_end(kernel.abi.pmap.size.max(64), true);
    // SAFETY: fresh blocks of the structures' sizes; the exports are pointers.
    unsafe {
        let map: *mut u8 = kernel.abi.vmspace.vm_map.ptr(space);
        kernel.abi.vm_map.pmap.write(map, pmap);
        kernel.data("kernel_pmap_ptr").cast::<*mut u8>().write(pmap);
        kernel.data("kernel_vmspace").cast::<*mut u8>().write(space);
    }
}

pub(crate) const EXPORTS: &[Export] = &[
    function!("uiomove", uiomove),
    function!("uiomove_frombuf", uiomove_frombuf),
    function!("ureadc", ureadc),
    function!("uio_setup_sysspace", uio_setup_sysspace),
    function!("copyin", copyin),
    function!("copyout", copyin),
    function!("copyin_vmspace", copyin_of),
    function!("copyout_vmspace", copyout_of),
    function!("copyin_proc", copyin_of),
    function!("copyout_proc", copyout_of),
    function!("ioctl_copyin", ioctl_copy),
    function!("ioctl_copyout", ioctl_copy),
    function!("kcopy", kcopy),
    function!("copystr", copystr),
    function!("copyinstr", copystr),
    function!("copyoutstr", copystr),
    function!("_ufetch_8", ufetch_8),
    function!("_ufetch_16", ufetch_16),
    function!("_ufetch_32", ufetch_32),
    function!("_ufetch_64", ufetch_64),
    function!("_ustore_8", ustore_8),
    function!("_ustore_16", ustore_16),
    function!("_ustore_32", ustore_32),
    function!("_ustore_64", ustore_64),
    function!("suword", ustore_word),
    function!("ufetch_long", ufetch_word),
    function!("ustore_long", ustore_word),
    data!("kernel_pmap_ptr", size_of::<usize>(), size_of::<usize>()),
    data!("kernel_vmspace", size_of::<usize>(), size_of::<usize>()),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kern::errno::EINVAL;
    use crate::testing::Bench;

    /// A uio over two pieces of memory.
    struct Two {
        uio: [u8; 64],
        vectors: [[usize; 2]; 3],
    }

    impl Two {
        fn new(one: &mut [u8], two: &mut [u8], rw: i32) -> Self {
            let (first, second) = ([one.as_mut_ptr().addr(), one.len()], [two.as_mut_ptr().addr(), two.len()]);
            let mut made = Self { uio: [0; 64], vectors: [first, [0, 0], second] };
            let fields = &kernel().abi.uio;
            // SAFETY: the array has room for the structure.
            unsafe {
                fields.uio_iovcnt.write(made.uio.as_mut_ptr(), 3_i32);
                fields.uio_resid.write(made.uio.as_mut_ptr(), one.len() + two.len());
                fields.uio_offset.write(made.uio.as_mut_ptr(), 10_i64);
                fields.uio_rw.write(made.uio.as_mut_ptr(), rw);
            }
            made
        }

        fn at(&mut self) -> *mut u8 {
            let vectors = self.vectors.as_mut_ptr();
            // SAFETY: as above.
            unsafe { kernel().abi.uio.uio_iov.write(self.uio.as_mut_ptr(), vectors) };
            self.uio.as_mut_ptr()
        }
    }

    #[test]
    fn bytes_go_through_all_vectors() {
        Bench::new().inside(|| {
            let (mut one, mut two, mut data) = ([0_u8; 3], [0_u8; 4], *b"abcdefghij");
            let fields = &kernel().abi.uio;
            // SAFETY: the vectors and the buffer are arrays of this frame.
            unsafe {
                let mut uio = Two::new(&mut one, &mut two, UIO_READ);
                let at = uio.at();
                assert_eq!(uiomove(data.as_mut_ptr(), 2, at), 0);
                assert_eq!(uiomove(data.as_mut_ptr().add(2), 8, at), 0);
                assert_eq!(fields.uio_resid.read::<usize>(at), 0);
                assert_eq!(fields.uio_offset.read::<i64>(at), 17);
                assert_eq!((&one, &two), (b"abc", b"defg"));
                let mut uio = Two::new(&mut two, &mut one, UIO_WRITE);
                let at = uio.at();
                assert_eq!(uiomove(data.as_mut_ptr(), 6, at), 0);
                assert_eq!(&data, b"defgabghij");
                assert_eq!(fields.uio_resid.read::<usize>(at), 1);
            }
        });
    }

    #[test]
    fn a_null_page_is_a_fault() {
        Bench::new().inside(|| {
            let mut byte = 0_u8;
            // SAFETY: nothing is copied.
            unsafe {
                assert_eq!(copyin(8 as *const u8, &raw mut byte, 1), EFAULT);
                assert_eq!(copyin(ptr::null(), &raw mut byte, 0), 0);
                let mut transfer = Transfer::new(ptr::null_mut(), 4, 0, false);
                assert_eq!(uiomove(&raw mut byte, 1, transfer.uio()), EFAULT);
                assert_eq!(transfer.residue(), 4);
            }
        });
    }

    #[test]
    fn a_transfer_is_counted() {
        Bench::new().inside(|| {
            let (mut data, mut out) = (*b"0123456789", [0_u8; 8]);
            let mut transfer = Transfer::new(out.as_mut_ptr(), out.len(), 4, false);
            // SAFETY: arrays of this frame.
            unsafe {
                assert_eq!(uiomove_frombuf(data.as_mut_ptr(), data.len(), transfer.uio()), 0);
                assert_eq!((transfer.residue(), transfer.offset()), (2, 10));
                assert_eq!(uiomove_frombuf(data.as_mut_ptr(), data.len(), transfer.uio()), 0);
                assert_eq!(ureadc(i32::from(b'x'), transfer.uio()), 0);
                assert_eq!(&out, b"456789x\0");
                let mut before = Transfer::new(out.as_mut_ptr(), 1, -1, false);
                assert_eq!(uiomove_frombuf(data.as_mut_ptr(), data.len(), before.uio()), EINVAL);
                let map: *mut u8 = kernel().abi.vmspace.vm_map.ptr(kernel_vmspace());
                let pmap: usize = kernel().abi.vm_map.pmap.read(map);
                assert_eq!(pmap, kernel().data("kernel_pmap_ptr").cast::<usize>().read());
            }
        });
    }

    #[test]
    fn strings_are_cut_with_an_error() {
        let (mut out, mut done) = ([9_u8; 8], 0);
        let text = c"name".as_ptr().cast();
        // SAFETY: the room is the array's, or less.
        unsafe {
            assert_eq!(copystr(text, out.as_mut_ptr(), 5, &raw mut done), 0);
            assert_eq!((&out[..6], done), (b"name\0\x09".as_slice(), 5));
            assert_eq!(copystr(text, out.as_mut_ptr(), 4, &raw mut done), ENAMETOOLONG);
            assert_eq!(done, 4);
            assert_eq!(copystr(ptr::null(), out.as_mut_ptr(), 4, ptr::null_mut()), EFAULT);
        }
    }
}
