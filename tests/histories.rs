//! Histories over real sockets: many clients at once, and what they saw must have been possible.
//!
//! A server of four shards, 32 connections, one clock that never goes back. Each test writes down
//! what was asked and answered, and when; then a checker says whether it could have happened with
//! one request after the other, in an order that real time allows.
//!
//! By default each takes about two seconds. `PINION_HISTORY_OPERATIONS` makes each as long as that
//! many requests take, `PINION_HISTORY_SERVER=127.0.0.1:6379` drives a server that runs already,
//! and `PINION_HISTORY_SEED` draws the same requests again, though not the same races; `cargo x
//! check-histories` sets them. A history that fails is written into a file.
//!
//! `PINION_SNAPSHOTS` says how many snapshots are taken while others ask, `cargo x check-snapshots`
//! takes more.

mod support;

#[path = "simulation/checkers/mod.rs"]
mod checkers;
#[path = "simulation/source.rs"]
mod source;

mod histories {
    mod append;
    mod bank;
    mod causal;
    mod connection;
    mod drive;
    mod pairs;
    mod queues;
    mod snapshots;
}
