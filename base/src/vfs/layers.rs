//! Directories that show others below them: the hook by which union file systems lead from one to the next.

use super::object::Vnode;
use super::vn;
use super::vnode::vref;
use crate::abi::constants::FREAD;
use crate::export::{Export, data};
use crate::kern::{cred, memory, process};
use crate::kernel::kernel;

/// Gets the vnode, the `struct file` it was read through, and the thread. To go on, it puts the next directory, open for reading,
/// into both, and closes the vnode.
type Hook = unsafe extern "C" fn(*mut Vnode, *mut u8, *mut u8) -> i32;

/// The directory to go on with when `vp` has no more entries, referenced and open for reading; `None` if `vp` was the last.
///
/// # Errors
/// What opening the directory or the hook gives.
///
/// # Safety
/// The caller holds a reference to `vp`, which stays its own.
pub(crate) unsafe fn below(vp: Vnode) -> Result<Option<Vnode>, i32> {
    let kernel = kernel();
    let (file_layout, data_layout) = (&kernel.abi.file, &kernel.abi.file_data);
    // SAFETY: the export is a pointer to a function, null without a hook; the hook gets a vnode that is referenced and open
    // once more, to be closed, and a structure of the version's size.
    unsafe {
        let Some(hook) = kernel.data("vn_union_readdir_hook").cast::<Option<Hook>>().read() else { return Ok(None) };
        vref(vp);
        crate::file::open_vnode(vp, FREAD)?;
        let file = memory::alloc_or_end(file_layout.size, true);
        let content = file_layout.f_undata.ptr(file);
        data_layout.fd_vp.write(content, vp);
        file_layout.f_cred.write(file, cred::current());
        file_layout.f_flag.write(file, FREAD);
        let mut next = vp;
        let error = hook(&raw mut next, file, process::curlwp());
        let held: Vnode = data_layout.fd_vp.read(content);
        memory::free(file);
        if error == 0 && next != vp {
            return Ok(Some(next));
        }
        vn::vn_close(held, FREAD, cred::current());
        if error == 0 { Ok(None) } else { Err(error) }
    }
}

/// Closes a directory that [`below`] gave.
///
/// # Safety
/// It must not be used afterwards.
pub(crate) unsafe fn close(vp: Vnode) {
    // SAFETY: as the caller says.
    unsafe { vn::vn_close(vp, FREAD, cred::current()) };
}

pub(crate) const EXPORTS: &[Export] = &[data!("vn_union_readdir_hook", size_of::<usize>(), size_of::<usize>())];
