//! Many keys: their memory, and the longest pause while they came.

use crate::client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use std::time::Instant;

const CORES: &str = "0,1";
const KEYS: u64 = 10_000_000;
/// Connections that insert at once.
const WRITERS: u64 = 4;

static COLUMNS: &[Column] = &[
    Column { name: "RSS bytes per key", decimals: 1, is_compared: true },
    Column { name: "used_memory bytes per key", decimals: 1, is_compared: true },
    Column { name: "inserts/s", decimals: 0, is_compared: true },
    Column { name: "worst run us", decimals: 0, is_compared: false },
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let keys = options.keys.unwrap_or(KEYS);
    let mut report = Report::new("keys", COLUMNS);
    for shards in [1, 2] {
        let name = format!("pinion, {shards} shards");
        measure(&Server::pinion(options, &name, shards, CORES, &[])?, keys, &mut report)?;
    }
    for server in Server::peers(options, CORES, &[1])? {
        measure(&server, keys, &mut report)?;
    }
    report.finish()
}

fn measure(server: &Server, keys: u64, report: &mut Report) -> Result<(), String> {
    let memory = || [server.resident_bytes(), server.figure("memory", "used_memory")];
    let before = memory();
    let start = Instant::now();
    client::fill(server.port, keys, WRITERS)?;
    let seconds = start.elapsed().as_secs_f64();
    let after = memory();
    let per_key = |index: usize| {
        let both = after[index].zip(before[index]);
        both.map_or(f64::NAN, |(after, before)| (after - before) / keys as f64)
    };
    let worst = server.figure("pinion", "run_us_worst").unwrap_or(f64::NAN);
    let figures = [per_key(0), per_key(1), keys as f64 / seconds, worst];
    report.add(&format!("{keys} keys"), &server.name, &figures);
    Ok(())
}
