//! Sample modules for tests and examples: C sources in the form that stock NetBSD modules have, compiled when asked for.
//!
//! [`build`] writes `DIR/NAME/NAME.kmod` for each module of [`NAMES`], compiled with the system's C compiler and the flags that
//! stock modules are built with, from headers generated from the tables that the base kernel's layouts come from. Results are
//! kept under `target/`, by a hash of everything they depend on. [`image::ustar`] makes images for `tarfs`, [`slotfs`] makes and
//! checks those of `slotfs`, the two file systems among the modules. [`elf`] writes objects byte by byte, for what no compiler
//! would produce.

mod catalog;
mod compile;
pub mod elf;
mod error;
mod header;
pub mod image;
pub mod slotfs;

pub use catalog::{CALLED, NAMES};
pub use compile::{Built, build, build_some, module};
pub use error::Error;

/// The kernel and machine that modules are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// `netbsd-7.99.34-amd64`, say.
    pub name: &'static str,
    /// `__NetBSD_Version__`.
    pub version: u32,
    /// Bytes of a pointer.
    pub pointer: usize,
    /// The base kernel's table of structures.
    layouts: &'static str,
}

impl Target {
    /// NetBSD 7.99.34 on amd64.
    pub const NETBSD_7_99_34_AMD64: Self = Self {
        name: "netbsd-7.99.34-amd64",
        version: 799_003_400,
        pointer: 8,
        layouts: include_str!("../../../base/abi/netbsd-7.99.34-amd64.tsv"),
    };
    /// NetBSD 7.99.34 on i386.
    pub const NETBSD_7_99_34_I386: Self = Self {
        name: "netbsd-7.99.34-i386",
        version: 799_003_400,
        pointer: 4,
        layouts: include_str!("../../../base/abi/netbsd-7.99.34-i386.tsv"),
    };
    /// NetBSD 10 on amd64.
    pub const NETBSD_10_AMD64: Self = Self {
        name: "netbsd-10-amd64",
        version: 1_000_000_000,
        pointer: 8,
        layouts: include_str!("../../../base/abi/netbsd-10-amd64.tsv"),
    };
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NETBSD_7_99_34_AMD64, Self::NETBSD_7_99_34_I386, Self::NETBSD_10_AMD64];

    /// The 7.99.34 target whose modules run on the machine that this program runs on, if there is one.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::NETBSD_7_99_34_AMD64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::NETBSD_7_99_34_I386)
        } else {
            None
        }
    }
}
