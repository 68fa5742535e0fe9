//! Stage 2, metadata: what a module says about itself, read without running anything.

mod netbsd;

pub use netbsd::{Location, Modinfo};
