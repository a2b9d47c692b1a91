//! The cases, and what two of them have in common: closed loops, round after round.

pub(crate) mod deletion;
pub(crate) mod fanout;
pub(crate) mod hits;
pub(crate) mod idle;
pub(crate) mod keys;
pub(crate) mod large;
pub(crate) mod memory;
pub(crate) mod one;
pub(crate) mod rate;
pub(crate) mod snapshot;
pub(crate) mod stall;
pub(crate) mod suite;
pub(crate) mod transactions;
pub(crate) mod two;

use crate::client::Client;
use crate::load::{Load, Test};
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;

/// Connections of a load that says nothing else.
const CONNECTIONS: u64 = 50;
/// Keys of a load that says nothing else.
const KEYS: u64 = 1_000_000;

static COLUMNS: &[Column] = &[
    Column { name: "ops/s", decimals: 0, is_compared: true },
    Column { name: "p50 ms", decimals: 3, is_compared: true },
    Column { name: "p99 ms", decimals: 3, is_compared: true },
    Column { name: "CPU us", decimals: 2, is_compared: true },
];

/// SET and GET, with a pipeline of 16 and without.
fn tests(options: &Options) -> Vec<Test> {
    let connections = options.connections.unwrap_or(CONNECTIONS);
    let keys = options.keys.unwrap_or(KEYS);
    let test =
        |command, pipeline, requests| Test { command, pipeline, connections, requests, keys };
    let (plain, deep) = (options.requests, 4 * options.requests);
    vec![test("SET", 1, plain), test("GET", 1, plain), test("SET", 16, deep), test("GET", 16, deep)]
}

/// Fills every server, then runs every test on every server, in another order each round.
fn rounds(
    case: &'static str,
    options: &Options,
    servers: &[Server],
    tests: &[Test],
    cores: &str,
) -> Result<(), String> {
    let load = Load::find(options)?;
    fill(options, servers)?;
    let mut report = Report::new(case, COLUMNS);
    for round in 0..options.rounds as usize {
        for test in tests {
            for index in 0..servers.len() {
                let server = &servers[(index + round) % servers.len()];
                let figures = load.run(test, server, cores)?;
                let figures = [figures.rate, figures.p50_ms, figures.p99_ms, figures.cpu_us];
                report.add(&test.name(), &server.name, &figures);
            }
        }
    }
    report.finish()
}

fn fill(options: &Options, servers: &[Server]) -> Result<(), String> {
    for server in servers {
        Client::connect(server.port)?.fill(0..options.keys.unwrap_or(KEYS))?;
    }
    Ok(())
}
