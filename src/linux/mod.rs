//! What is particular to stock Linux modules beyond the file format: who may use what, and who needs whom.

mod admission;
mod symvers;

pub use admission::{Admission, Provider, Refused, SignaturePolicy};
pub use symvers::{BadLine, Symver, symvers};
