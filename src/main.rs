//! The Pinion server.
fn main() {}
