//! One shard on core 0, the load on core 1.

use super::{rounds, tests};
use crate::options::Options;
use crate::server::Server;

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut servers = vec![Server::pinion(options, "pinion", 1, "0", &[])?];
    servers.extend(Server::peers(options, "0", &[1])?);
    rounds("one", options, &servers, &tests(options), "1")
}
