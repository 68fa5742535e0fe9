//! What a module says of itself, by flavour; read from the file, nothing is run.

#[cfg(feature = "linux")]
pub mod linux;
pub mod netbsd;

pub use netbsd::Modinfo;
