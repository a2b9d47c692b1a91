//! The server: sockets, sessions and configuration around the shards.

pub mod acl;
pub mod calendar;
pub mod census;
pub mod check;
pub mod commands;
pub mod config;
pub mod connection;
pub mod core;
pub mod dispatch;
pub mod errand;
pub mod histogram;
pub mod hop;
pub mod http;
pub mod ledger;
pub mod log;
pub mod memcached;
pub mod pause;
pub mod pipeline;
mod process;
pub mod server;
pub mod session;
pub mod slow;
pub mod snapshot;
pub mod start;
pub mod stats;
mod tickets;
pub mod tls;
