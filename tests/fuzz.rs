//! Random input: to the parsers of both sides, and to the function of every row.
//!
//! Each target is a test of its own, so that it runs in CI and with stable Rust. It runs for
//! `PINION_FUZZ_SECONDS` (3 where that is not set) from the seed `PINION_FUZZ_SEED` (a fresh one
//! where that is not set), which it prints; `cargo x fuzz TARGET [SECONDS]` runs one for longer.

mod fuzz {
    mod lua;
    mod others;
    mod packed;
    mod reply;
    mod request;
    mod rows;
    mod snapshot;
    mod source;
    pub(crate) mod values;
}
