//! The default commands of redis-benchmark, one by one: one shard on core 0, the load on core 1.

use super::COLUMNS;
use crate::client::Client;
use crate::load::{Line, Load};
use crate::options::Options;
use crate::report::Report;
use crate::server::Server;

/// Elements of the list that LRANGE reads, each of three bytes as the load's own.
const LIST_LEN: u64 = 100_000;

/// What is run, in redis-benchmark's own order; those with a space are whole requests.
static LINES: &[&str] = &[
    "ping_inline",
    "ping_mbulk",
    "set",
    "get",
    "incr",
    "lpush",
    "rpush",
    "lpop",
    "rpop",
    "sadd",
    "hset",
    "spop",
    "zadd",
    "zpopmin",
    "lrange list 0 99",
    "lrange list 0 299",
    "lrange list 0 499",
    "lrange list 0 599",
    "mset",
];

/// Those whose keys or members are drawn at random where keys are asked for.
static DRAWN: &[&str] = &["set", "get", "incr", "sadd", "hset", "spop", "zadd", "zpopmin", "mset"];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut servers = vec![Server::pinion(options, "pinion", 1, "0", &[])?];
    servers.extend(Server::peers(options, "0", &[1])?);
    let load = Load::find(options)?;
    let mut report = Report::new("suite", COLUMNS);
    for server in &servers {
        Client::connect(server.port)?.repeat(LIST_LEN, |_, out| {
            out.extend_from_slice(b"*3\r\n$5\r\nRPUSH\r\n$4\r\nlist\r\n$3\r\nxxx\r\n");
        })?;
    }
    let lines = if options.keys.is_some() { DRAWN } else { LINES };
    for round in 0..options.rounds as usize {
        for pipeline in [1, 16] {
            for text in lines {
                let requests = if pipeline == 1 { options.requests } else { 4 * options.requests };
                // Replies of hundreds of elements take as long as many commands.
                let requests = if text.contains(' ') { requests / 4 } else { requests };
                let line = Line { text, pipeline, requests, keys: options.keys };
                for index in 0..servers.len() {
                    let server = &servers[(index + round) % servers.len()];
                    let figures = load.run_line(&line, server, "1")?;
                    let figures = [figures.rate, figures.p50_ms, figures.p99_ms, figures.cpu_us];
                    report.add(&line.name(), &server.name, &figures);
                }
            }
        }
    }
    report.finish()?;
    for pipeline in [1, 16] {
        let tests = lines.iter().map(|text| Line::named(text, pipeline));
        report.print_mean(&format!("-P {pipeline}"), &tests.collect::<Vec<_>>(), "CPU us");
    }
    Ok(())
}
