//! Snapshots where things go wrong: a server killed at any moment, and disks that refuse.
//!
//! `PINION_SNAPSHOT_KILLS` says how often the server is killed, `PINION_SNAPSHOT_SEED` draws the
//! same moments again; `cargo x check-snapshots` kills it more often. What snapshots hold while
//! the server is busy is the affair of `tests/histories/snapshots.rs`.

mod support;

#[allow(dead_code, reason = "other tests draw in more ways")]
#[path = "simulation/source.rs"]
mod source;

mod snapshots {
    mod emptied;
    mod faults;
    mod kills;
    mod place;
    mod room;
    mod stops;
}
