//! How much of what is asked for a cache of a tenth of the keys has, policy by policy.
//!
//! First without any server: caches as their papers describe them, and what Pinion does in cache
//! mode, on the same traces. Then on servers, whose limit is what a tenth of the keys takes there:
//! a key that is not found is set. What comes before the first quarter of a trace is not counted.

mod caches;
mod traces;

use crate::client::Client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;

/// Keys, where the options say nothing else.
const KEYS: u64 = 200_000;
/// Requests asked before their replies are read.
const PIPELINE: usize = 64;

static COLUMNS: &[Column] = &[
    Column { name: "hits %", decimals: 2, is_compared: true },
    Column { name: "keys at the end", decimals: 0, is_compared: false },
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let keys = options.keys.unwrap_or(KEYS) as usize;
    let requests = 4 * options.requests as usize;
    let mut report = Report::new("hits", COLUMNS);
    for (trace, make) in traces::ALL {
        let asked = make(keys, requests);
        for (name, cache) in caches::ALL {
            let mut cache = cache(keys / 10);
            let counted = asked.iter().enumerate().filter(|(at, key)| {
                let hit = cache.ask(**key);
                hit && *at >= requests / 4
            });
            let rate = counted.count() as f64 * 100.0 / (requests - requests / 4) as f64;
            report.add(&format!("{trace}, no server"), name, &[rate, f64::NAN]);
        }
        for (name, words) in [
            ("redis8 allkeys-lru", ["--maxmemory-policy", "allkeys-lru"]),
            ("redis8 allkeys-lfu", ["--maxmemory-policy", "allkeys-lfu"]),
        ] {
            if let Some(server) = Server::peer(options, ("redis8", name), "0", 1, &words)? {
                report.add(trace, name, &replay(&server, &asked, keys as u64 / 10)?);
            }
        }
        for (name, flag) in [
            ("pinion cache mode", "--cache_mode=true"),
            ("pinion allkeys-lru", "--maxmemory_policy=allkeys-lru"),
            ("pinion allkeys-lfu", "--maxmemory_policy=allkeys-lfu"),
        ] {
            let server = Server::pinion(options, name, 1, "0", &[flag])?;
            report.add(trace, name, &replay(&server, &asked, keys as u64 / 10)?);
        }
    }
    report.finish()
}

/// Asks a server for a trace: the share of hits, and how many keys it has in the end.
fn replay(server: &Server, asked: &[u64], cache: u64) -> Result<[f64; 2], String> {
    let mut client = Client::connect(server.port)?;
    client.fill(0..cache)?;
    let used = server.figure("memory", "used_memory").ok_or("the server has no used_memory")?;
    client.ask("FLUSHALL")?;
    let limit = client.ask(&format!("CONFIG SET maxmemory {used}"))?;
    if limit != "OK" {
        return Err(format!("CONFIG SET maxmemory: {limit}"));
    }
    let (mut hits, mut at, mut missed) = (0, 0, Vec::new());
    for keys in asked.chunks(PIPELINE) {
        missed.clear();
        client.find(keys, &mut missed)?;
        if at >= asked.len() / 4 {
            hits += keys.len() - missed.len();
        }
        at += keys.len();
        client.set(&missed)?;
    }
    let left: f64 = client.ask("DBSIZE")?.parse().unwrap_or(f64::NAN);
    Ok([hits as f64 * 100.0 / (asked.len() - asked.len() / 4) as f64, left])
}
