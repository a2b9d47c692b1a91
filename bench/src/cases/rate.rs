//! Latency at a fixed rate, with server and load on the same two cores.

use super::{CONNECTIONS, KEYS, fill};
use crate::open_loop::{self, Plan};
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;

const CORES: &str = "0,1";
/// Commands a second.
const RATE: u64 = 40_000;

static COLUMNS: &[Column] = &[
    Column { name: "p50 ms", decimals: 3, is_compared: true },
    Column { name: "p99 ms", decimals: 3, is_compared: true },
    Column { name: "p99.9 ms", decimals: 3, is_compared: true },
    Column { name: "worst ms", decimals: 1, is_compared: false },
    Column { name: "CPU us", decimals: 2, is_compared: true },
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut servers = vec![Server::pinion(options, "pinion", 2, CORES, &[])?];
    servers.extend(Server::peers(options, CORES, &[1])?);
    fill(options, &servers)?;
    let plan = Plan {
        rate: options.rate.unwrap_or(RATE),
        seconds: options.seconds,
        connections: options.connections.unwrap_or(CONNECTIONS),
        keys: options.keys.unwrap_or(KEYS),
    };
    let name = format!("{} a second", plan.rate);
    let mut report = Report::new("rate", COLUMNS);
    for round in 0..options.rounds as usize {
        for index in 0..servers.len() {
            let server = &servers[(index + round) % servers.len()];
            let before = server.cost();
            let latencies = open_loop::run(&plan, server.port)?;
            let cpu_us = server.cost().cpu_us_per_command(before, latencies.len() as u64);
            let [p50, p99, p999, worst] =
                [0.5, 0.99, 0.999, 1.0].map(|share| latencies.percentile_ms(share));
            report.add(&name, &server.name, &[p50, p99, p999, worst, cpu_us]);
        }
    }
    report.finish()
}
