//! What a kernel holds: for tests and for servers that watch their memory.

use crate::error::FileError;
use crate::kernel::Kernel;
use crate::vfs::pages;

/// Counts at a moment; equal before and after a request that leaves nothing behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// Blocks of memory that modules and the kernel on their behalf hold.
    pub blocks: usize,
    /// Bytes of those blocks.
    pub bytes: usize,
    /// Vnodes, used or kept.
    pub vnodes: usize,
    /// Vnodes that somebody has a reference to, those of the kernel's own root not counted.
    pub used_vnodes: usize,
    /// Buffers of device and metadata blocks.
    pub buffers: usize,
    /// Bytes of those buffers.
    pub buffer_bytes: usize,
    /// Names in the name cache.
    pub names: usize,
    /// Mounts.
    pub mounts: usize,
}

impl Kernel {
    /// Sets how many bytes modules, and the kernel on their behalf, may hold; 512 MiB unless set. A module that was promised
    /// memory and gets none ends the instance.
    ///
    /// # Errors
    /// [`FileError::Ended`].
    pub fn set_memory_limit(&self, bytes: usize) -> Result<(), FileError> {
        self.inside("set memory limit", b"/", || {
            self.kern.memory.set_limit(bytes);
            Ok(())
        })
    }

    /// Sets how many bytes of file contents are kept in memory, at least a few pages; more are given up at once.
    ///
    /// # Errors
    /// [`FileError::Ended`].
    pub fn set_page_cache(&self, bytes: usize) -> Result<(), FileError> {
        self.inside("set page cache", b"/", || {
            pages::set_limit(bytes / pages::SIZE);
            Ok(())
        })
    }

    /// What the kernel holds now.
    ///
    /// # Errors
    /// [`FileError::Ended`].
    pub fn usage(&self) -> Result<Usage, FileError> {
        self.inside("usage", b"/", || {
            let memory = self.kern.memory.usage();
            let (buffers, buffer_bytes) = self.vfs.buffers.usage();
            Ok(Usage {
                blocks: memory.blocks,
                bytes: memory.bytes,
                vnodes: self.vfs.vnodes.count(),
                used_vnodes: self.vfs.vcache.used(),
                buffers,
                buffer_bytes,
                names: self.vfs.names.count(),
                mounts: self.vfs.mounts.all().len(),
            })
        })
    }
}
