//! Large values: what one operation costs on millions of elements, in pipelines of 64.

use crate::client::Client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use std::time::Instant;

static COLUMNS: &[Column] = &[
    Column { name: "us", decimals: 3, is_compared: true },
    Column { name: "CPU us", decimals: 3, is_compared: true },
];

/// Elements of the list; the other values have `ELEMENTS`.
const ITEMS: u64 = 5_000_000;
const ELEMENTS: u64 = 2_000_000;

/// One kind of operation: its name, how often it is run, and its request for a number.
struct Operation {
    name: &'static str,
    count: Option<u64>,
    request: fn(u64) -> String,
}

/// A number below `below`, the same for every server (splitmix64, Vigna).
fn drawn(number: u64, below: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) % below
}

/// Values are built by the operations without a count of their own, and then used.
static OPERATIONS: &[Operation] = &[
    Operation {
        name: "ZADD, building",
        count: Some(ELEMENTS),
        request: |n| format!("ZADD z {} member:{n:08}", drawn(n, ELEMENTS)),
    },
    Operation {
        name: "ZADD",
        count: None,
        request: |n| format!("ZADD z {} member:{:08}", drawn(n + 7, ELEMENTS), drawn(n, ELEMENTS)),
    },
    Operation {
        name: "ZRANK",
        count: None,
        request: |n| format!("ZRANK z member:{:08}", drawn(n, ELEMENTS)),
    },
    Operation {
        name: "ZRANGE of 10",
        count: None,
        request: |n| {
            let start = drawn(n, ELEMENTS - 10);
            format!("ZRANGE z {start} {}", start + 9)
        },
    },
    Operation {
        name: "ZRANGE BYSCORE of 10",
        count: None,
        request: |n| format!("ZRANGE z {} +inf BYSCORE LIMIT 0 10", drawn(n, ELEMENTS)),
    },
    Operation {
        name: "HSET, building",
        count: Some(ELEMENTS),
        request: |n| format!("HSET h field:{n:08} value:{n:08}"),
    },
    Operation {
        name: "HSET",
        count: None,
        request: |n| format!("HSET h field:{:08} value:{n:08}", drawn(n, ELEMENTS)),
    },
    Operation {
        name: "HGET",
        count: None,
        request: |n| format!("HGET h field:{:08}", drawn(n, ELEMENTS)),
    },
    Operation {
        name: "LPUSH, building",
        count: Some(ITEMS),
        request: |n| format!("LPUSH l item:{n:08}"),
    },
    Operation { name: "LINDEX", count: None, request: |n| format!("LINDEX l {}", drawn(n, ITEMS)) },
    Operation {
        name: "LRANGE of 10",
        count: None,
        request: |n| {
            let start = drawn(n, ITEMS - 10);
            format!("LRANGE l {start} {}", start + 9)
        },
    },
    Operation {
        name: "XADD, building",
        count: Some(ELEMENTS),
        request: |n| format!("XADD s {}-0 field value:{n:08}", n + 1),
    },
    Operation {
        name: "XRANGE of 10",
        count: None,
        request: |n| format!("XRANGE s {}-0 + COUNT 10", drawn(n, ELEMENTS) + 1),
    },
    Operation {
        name: "SADD, building",
        count: Some(ELEMENTS),
        request: |n| format!("SADD m member:{n:08}"),
    },
    Operation {
        name: "SISMEMBER",
        count: None,
        request: |n| format!("SISMEMBER m member:{:08}", drawn(n, ELEMENTS)),
    },
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut report = Report::new("large", COLUMNS);
    let mut servers = vec![Server::pinion(options, "pinion", 1, "0", &[])?];
    servers.extend(Server::peers(options, "0", &[1])?);
    for round in 0..options.rounds {
        for operation in OPERATIONS {
            // What builds a value is run once: it takes long, and every round would add nothing.
            if round > 0 && operation.count.is_some() {
                continue;
            }
            for server in &servers {
                measure(operation, round, options, server, &mut report)?;
            }
        }
    }
    report.finish()
}

fn measure(
    operation: &Operation,
    round: u64,
    options: &Options,
    server: &Server,
    report: &mut Report,
) -> Result<(), String> {
    let mut client = Client::connect(server.port)?;
    let count = operation.count.unwrap_or(options.requests);
    let (before, start) = (server.cpu_seconds(), Instant::now());
    client.repeat(count, |n, out| {
        let n = if operation.count.is_some() { n } else { n + round * count };
        out.extend_from_slice((operation.request)(n).as_bytes());
        out.extend_from_slice(b"\r\n");
    })?;
    let us = start.elapsed().as_secs_f64() * 1e6 / count as f64;
    let cpu = before.zip(server.cpu_seconds()).map_or(f64::NAN, |(before, after)| after - before);
    report.add(operation.name, &server.name, &[us, cpu * 1e6 / count as f64]);
    Ok(())
}
