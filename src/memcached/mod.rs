//! The text protocol of memcached: what is asked, and what is told of the server.
//!
//! Requests become rows of `pinion_shards::commands::memcached`, whose replies are the protocol's
//! lines. Where a password is asked for, it comes as in memcached's own text authentication: the
//! first request is a `set` of any key, whose data is `user password`.

mod request;
mod stats;

pub use request::{Ask, Progress, Step, read};
pub use stats::stats;
