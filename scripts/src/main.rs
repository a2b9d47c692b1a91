//! The one door to the project tasks.
fn main() {}
