//! Command-line tool of rumpload.
fn main() {}
