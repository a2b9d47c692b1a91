//! The longest pause that others notice while a huge hash is read whole, deleted, and expires.

use crate::client::Client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const FIELDS: u64 = 5_000_000;
/// From one question of the client that watches to the next.
const PAUSE: Duration = Duration::from_micros(100);

static COLUMNS: &[Column] = &[
    Column { name: "worst ms", decimals: 2, is_compared: true },
    Column { name: "p99.9 ms", decimals: 2, is_compared: true },
    Column { name: "seconds", decimals: 2, is_compared: true },
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut report = Report::new("stall", COLUMNS);
    let fields = options.keys.unwrap_or(FIELDS);
    let mut servers = vec![Server::pinion(options, "pinion", 1, "0", &[])?];
    servers.extend(Server::peers(options, "0", &[1])?);
    for _ in 0..options.rounds {
        for server in &servers {
            round(server, fields, &mut report)?;
        }
    }
    report.finish()
}

fn round(server: &Server, fields: u64, report: &mut Report) -> Result<(), String> {
    let mut add = |name: &str, figures: [f64; 3]| report.add(name, &server.name, &figures);
    let mut client = Client::connect(server.port)?;
    let fill = |client: &mut Client| {
        client.repeat(fields, |n, out| {
            out.extend_from_slice(format!("HSET h field:{n:08} value:{n:08}\r\n").as_bytes());
        })
    };
    let idle = || {
        std::thread::sleep(Duration::from_secs(2));
        Ok(())
    };
    add("nothing, for 2 s", watched(server, idle)?);
    add("HSET, building", watched(server, || fill(&mut client))?);
    add("HGETALL", watched(server, || client.repeat(1, |_, out| out.extend(b"HGETALL h\r\n")))?);
    add("DEL, and 2 s after", watched(server, || ask_and_rest(&mut client, "DEL h"))?);
    fill(&mut client)?;
    add("PEXPIRE, and 2 s after", watched(server, || ask_and_rest(&mut client, "PEXPIRE h 1"))?);
    fill(&mut client)?;
    add("FLUSHALL, and 2 s after", watched(server, || ask_and_rest(&mut client, "FLUSHALL"))?);
    Ok(())
}

fn ask_and_rest(client: &mut Client, line: &str) -> Result<(), String> {
    client.ask(line)?;
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}

/// Does something while another client asks for a key again and again: the longest that client
/// waited, what 999 of 1000 answers took at most, and how long all of it took.
fn watched(
    server: &Server,
    something: impl FnOnce() -> Result<(), String>,
) -> Result<[f64; 3], String> {
    let (done, start) = (AtomicBool::new(false), Instant::now());
    let mut waits = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut client = Client::connect(server.port)?;
            let mut waits = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let asked = Instant::now();
                client.ask("GET watched")?;
                waits.push(asked.elapsed());
                std::thread::sleep(PAUSE);
            }
            Ok(waits)
        });
        let result = something();
        done.store(true, Ordering::Relaxed);
        let waits: Result<Vec<Duration>, String> =
            watcher.join().unwrap_or_else(|_| Err("the watcher broke".into()));
        result.and(waits)
    })?;
    waits.sort_unstable();
    let ms = |wait: Option<&Duration>| wait.map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3);
    let high = ms(waits.get(waits.len().saturating_sub(1) * 999 / 1000));
    Ok([ms(waits.last()), high, start.elapsed().as_secs_f64()])
}
