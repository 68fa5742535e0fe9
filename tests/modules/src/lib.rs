//! Part of rumpload.
