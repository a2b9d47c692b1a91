//! Two shards on two cores, which they share with the load; half the keys are remote.

use super::{rounds, tests};
use crate::load::Test;
use crate::options::Options;
use crate::server::Server;

const CORES: &str = "0,1";

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut servers = vec![
        Server::pinion(options, "pinion", 2, CORES, &[])?,
        Server::pinion(options, "pinion --borrow=false", 2, CORES, &["--borrow=false"])?,
        Server::pinion(options, "pinion, one shard", 1, CORES, &[])?,
    ];
    servers.extend(Server::peers(options, CORES, &[1, 2])?);
    let mut tests = tests(options);
    // One connection: what a hop costs when nothing else goes on.
    let alone = Test { connections: 1, requests: options.requests / 10, ..tests[1] };
    tests.push(alone);
    rounds("two", options, &servers, &tests, CORES)
}
