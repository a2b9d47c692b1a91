//! The server: sockets, sessions and configuration around the shards.

pub mod commands;
pub mod config;
pub mod errand;
pub mod log;
mod process;
pub mod server;
pub mod session;
pub mod stats;
