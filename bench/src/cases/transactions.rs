//! Transactions: MULTI of five, and ten keys at once, on one shard and over two.

use crate::client::Client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use std::time::Instant;

static COLUMNS: &[Column] = &[
    Column { name: "thousand/s", decimals: 1, is_compared: true },
    Column { name: "CPU us", decimals: 2, is_compared: true },
];

/// Connections, each of which sends pipelines of 64 requests.
const CONNECTIONS: u64 = 4;
/// Keys: many, so that few are wanted by two at a time.
const KEYS: u64 = 1_000_000;

/// One kind of transaction: its name, and its requests for a number.
struct Kind {
    name: &'static str,
    requests: fn(u64, &mut Vec<u8>),
}

static KINDS: &[Kind] = &[
    Kind { name: "MULTI of 5, one tag", requests: |n, out| multi(n, "{t}", out) },
    Kind { name: "MULTI of 5, any keys", requests: |n, out| multi(n, "", out) },
    Kind { name: "MSET of 10", requests: |n, out| many("MSET", n, " value", out) },
    Kind { name: "MGET of 10", requests: |n, out| many("MGET", n, "", out) },
];

/// MULTI, four SET and a GET, EXEC.
fn multi(number: u64, tag: &str, out: &mut Vec<u8>) {
    let mut text = String::from("MULTI\r\n");
    for at in 0..4 {
        let key = (number * 7 + at * 13) % KEYS;
        text += &format!("SET key{tag}:{key} value:{number:08}\r\n");
    }
    text += &format!("GET key{tag}:{}\r\nEXEC\r\n", number % KEYS);
    out.extend_from_slice(text.as_bytes());
}

fn many(name: &str, number: u64, value: &str, out: &mut Vec<u8>) {
    let mut text = name.to_owned();
    for at in 0..10 {
        text += &format!(" key:{}{value}", (number * 7 + at * 13) % KEYS);
    }
    text += "\r\n";
    out.extend_from_slice(text.as_bytes());
}

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut report = Report::new("transactions", COLUMNS);
    let mut servers = vec![
        Server::pinion(options, "pinion", 1, "0", &[])?,
        Server::pinion(options, "pinion, 2 shards", 2, "0,1", &[])?,
    ];
    servers.extend(Server::peers(options, "0", &[1])?);
    for _ in 0..options.rounds {
        for kind in KINDS {
            for server in &servers {
                measure(kind, options, server, &mut report)?;
            }
        }
    }
    report.finish()
}

fn measure(
    kind: &Kind,
    options: &Options,
    server: &Server,
    report: &mut Report,
) -> Result<(), String> {
    let (before, start) = (server.cpu_seconds(), Instant::now());
    let each = options.requests / CONNECTIONS;
    let mut first = Vec::new();
    (kind.requests)(0, &mut first);
    let requests = first.windows(2).filter(|pair| pair == b"\r\n").count() as u64;
    std::thread::scope(|scope| {
        let load = |connection: u64| {
            let number = move |n: u64| connection * each + n;
            move || {
                Client::connect(server.port)?.repeat_groups(each, requests, |n, out| {
                    (kind.requests)(number(n), out);
                })
            }
        };
        let loads: Vec<_> = (0..CONNECTIONS).map(|at| scope.spawn(load(at))).collect();
        loads.into_iter().try_for_each(|load| load.join().expect("a load does not panic"))
    })?;
    let count = (each * CONNECTIONS) as f64;
    let rate = count / start.elapsed().as_secs_f64() / 1000.0;
    let cpu = before.zip(server.cpu_seconds()).map_or(f64::NAN, |(before, after)| after - before);
    report.add(kind.name, &server.name, &[rate, cpu * 1e6 / count]);
    Ok(())
}
