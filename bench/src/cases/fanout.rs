//! One publisher, many subscribers of one channel; every subscriber must hear the same bytes.

use crate::client::Client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use std::time::Instant;

static COLUMNS: &[Column] = &[
    Column { name: "thousand messages/s", decimals: 0, is_compared: true },
    Column { name: "CPU us a message", decimals: 3, is_compared: true },
];

const CORES: &str = "0,1";
const SUBSCRIBERS: u64 = 1000;
const PAYLOAD_BYTES: usize = 64;
/// Messages that are published at once, before the subscribers are listened to.
const BATCHES: [u64; 2] = [1, 50];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let subscribers = options.connections.unwrap_or(SUBSCRIBERS);
    let mut servers = vec![
        Server::pinion(options, "pinion", 1, CORES, &[])?,
        Server::pinion(options, "pinion, 2 shards", 2, CORES, &[])?,
        Server::pinion(options, "pinion, 4 shards", 4, CORES, &[])?,
    ];
    servers.extend(Server::peers(options, CORES, &[1])?);
    let mut report = Report::new("fanout", COLUMNS);
    for _ in 0..options.rounds {
        for batch in BATCHES {
            for server in &servers {
                measure(batch, subscribers, options, server, &mut report)?;
            }
        }
    }
    report.finish()
}

fn measure(
    batch: u64,
    subscribers: u64,
    options: &Options,
    server: &Server,
    report: &mut Report,
) -> Result<(), String> {
    let mut listeners = Vec::new();
    for _ in 0..subscribers {
        let mut listener = Client::connect(server.port)?;
        listener.subscribe("news")?;
        listeners.push(listener);
    }
    let mut publisher = Client::connect(server.port)?;
    // As many messages as there may be requests, each to every subscriber.
    let rounds = (options.requests / subscribers / batch).max(1);
    let (before, start) = (server.cpu_seconds(), Instant::now());
    for round in 0..rounds {
        let (mut requests, mut heard) = (Vec::new(), Vec::new());
        for message in round * batch..(round + 1) * batch {
            let payload = format!("{message:0PAYLOAD_BYTES$}");
            let words = format!("$4\r\nnews\r\n${PAYLOAD_BYTES}\r\n{payload}\r\n");
            requests.extend(format!("*3\r\n$7\r\nPUBLISH\r\n{words}").into_bytes());
            heard.extend(format!("*3\r\n$7\r\nmessage\r\n{words}").into_bytes());
        }
        publisher.publish(&requests, batch, subscribers)?;
        for listener in &mut listeners {
            listener.hear(&heard)?;
        }
    }
    let count = (rounds * batch * subscribers) as f64;
    let rate = count / start.elapsed().as_secs_f64() / 1000.0;
    let cpu = before.zip(server.cpu_seconds()).map_or(f64::NAN, |(before, after)| after - before);
    let test = format!("{subscribers} subscribers, {batch} at once");
    report.add(&test, &server.name, &[rate, cpu * 1e6 / count]);
    Ok(())
}
