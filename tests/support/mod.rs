//! What tests need to talk to a server: a client, and the server's process.

pub(crate) mod client;
pub(crate) mod server;
