//! What is particular to stock Linux modules beyond the file format: who may use what, who needs whom, who serves which alias.

mod admission;
mod index;
#[cfg(test)]
mod index_tests;
mod pattern;
mod policy;
mod saved;
mod symvers;

pub use admission::{Admission, Provider, Refused, SignaturePolicy};
pub use index::{IndexBuilder, IndexError, Indexed, ModuleIndex, Stamp};
pub use policy::AliasPolicy;
pub use saved::DamagedIndex;
pub use symvers::{BadLine, Symver, symvers};
