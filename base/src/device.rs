//! Block devices that a server gives to a kernel.

use crate::error::FileError;
use crate::kernel::Kernel;
use crate::vfs::{rootfs, spec};
use alloc::sync::Arc;
use rumpload::resource::Block;

/// What the disk label of a device says besides its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Label {
    /// A plain disk with one partition.
    #[default]
    Plain,
    /// A floppy disk: Amiga file systems take their geometry from it.
    Floppy,
}

/// A block device of the host and how it presents itself.
#[derive(Clone)]
pub struct Device {
    /// The device.
    pub block: Arc<dyn Block>,
    /// Its disk label.
    pub label: Label,
}

impl Device {
    /// `block` with a plain label.
    #[must_use]
    pub fn new(block: Arc<dyn Block>) -> Self {
        Self { block, label: Label::Plain }
    }
}

impl Kernel {
    /// Makes `device` appear as the block device `path`, `/dev/image` say; missing directories are made.
    ///
    /// # Errors
    /// `EEXIST` if the path is taken, `ENOTDIR` if a file is on its way, `EINVAL` if it is no absolute path or the device's
    /// sectors are no power of two from 512 to 65536.
    pub fn add_device(&self, path: &str, device: Device) -> Result<(), FileError> {
        self.inside("add device", path.as_bytes(), || {
            let block = self.outside.block(device.block);
            let number = spec::add(Device { block, ..device })?;
            rootfs::make_device(path.as_bytes(), number).inspect_err(|_| spec::remove(number))
        })
    }

    /// Takes the device `path` away, be it a block or a character device.
    ///
    /// # Errors
    /// `ENOENT` if it is not there, `ENOTBLK` if it is something else, `EBUSY` while it is open or mounted.
    pub fn remove_device(&self, path: &str) -> Result<(), FileError> {
        self.inside("remove device", path.as_bytes(), || {
            let number = rootfs::device_number(path.as_bytes())?;
            if spec::is_open(number) {
                return Err(crate::kern::errno::EBUSY);
            }
            rootfs::remove_device(path.as_bytes())?;
            spec::remove(number);
            Ok(())
        })
    }
}
