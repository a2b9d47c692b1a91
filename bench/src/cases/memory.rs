//! Bytes that an element takes, by kind of value, and a key by the length of its value.
//!
//! Every row is measured on a server of its own, started for it: what its memory has grown by, as
//! it counts it and as the kernel does, over the elements put in. The payload is what of that the
//! client sent: keys, fields, members, values, and 8 bytes for a score or a time.

mod plot;
mod rows;

use crate::client::Client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use rows::{ROWS, Row};
use std::time::Duration;

const CORES: &str = "0,1";
/// What `--keys` says the rows are to be scaled to.
const KEYS: u64 = 1_000_000;
/// Time for a server to settle before it is looked at.
const SETTLE: Duration = Duration::from_millis(500);
/// Keys for each length of the plot, of as many as there are for a row.
const PLOT_PART: u64 = 5;
/// Bytes of a key of the plot.
const PLOT_KEY_BYTES: usize = 16;

static COLUMNS: &[Column] = &[
    Column { name: "used_memory bytes", decimals: 1, is_compared: true },
    Column { name: "RSS bytes", decimals: 1, is_compared: true },
    Column { name: "payload bytes", decimals: 1, is_compared: false },
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut report = Report::new("memory", COLUMNS);
    for row in ROWS {
        for name in NAMES {
            let Some(server) = start(options, name)? else { continue };
            let [used, resident] = measure(row, options, &server)?;
            report.add(row.name, name, &[used, resident, row.payload]);
        }
    }
    report.finish()?;
    plot::save("memory", &lengths(options)?)
}

/// What is measured, Pinion first.
const NAMES: &[&str] = &["pinion", "redis8", "valkey8"];

/// A server of this name, if it is found.
fn start(options: &Options, name: &str) -> Result<Option<Server>, String> {
    match name {
        "pinion" => Server::pinion(options, name, 1, CORES, &[]).map(Some),
        _ => Server::peer(options, (name, name), CORES, 1, &[]),
    }
}

/// Memory as the server counts it, and as the kernel does.
fn memory(server: &Server) -> [f64; 2] {
    std::thread::sleep(SETTLE);
    let figures = [server.figure("memory", "used_memory"), server.resident_bytes()];
    figures.map(|figure| figure.unwrap_or(f64::NAN))
}

/// Fills a server; what an element has taken, the mean over the stops.
fn measure(row: &Row, options: &Options, server: &Server) -> Result<[f64; 2], String> {
    let mut client = Client::connect(server.port)?;
    let before = memory(server);
    let (mut sums, mut done) = ([0.0; 2], 0);
    for stop in row.stops {
        let groups = (stop * options.keys.unwrap_or(KEYS) / KEYS).max(1);
        client.repeat_groups(groups - done, row.requests, |group, out| {
            (row.write)(done + group, groups, out);
        })?;
        done = groups;
        let elements = (groups * row.elements) as f64;
        for (sum, (after, before)) in sums.iter_mut().zip(memory(server).into_iter().zip(before)) {
            *sum += (after - before) / elements / row.stops.len() as f64;
        }
    }
    Ok(sums)
}

/// Bytes of used memory that a key takes with values of 1 to 1024 bytes, a line for each server.
fn lengths(options: &Options) -> Result<Vec<plot::Line>, String> {
    let keys = options.keys.unwrap_or(KEYS) / PLOT_PART;
    let mut lines = Vec::new();
    for name in NAMES {
        let mut points = Vec::new();
        // Four steps in each doubling, as far as they are whole numbers.
        let steps = (0..10).flat_map(|power| (4..8).map(move |quarters| (quarters << power) / 4));
        let mut lens: Vec<usize> = steps.chain([1024]).collect();
        lens.dedup();
        for len in lens {
            let Some(server) = start(options, name)? else { continue };
            let mut client = Client::connect(server.port)?;
            let value = "v".repeat(len);
            let before = memory(&server)[0];
            client.repeat(keys, |number, out| {
                let line = format!("SET k{number:0width$} {value}\r\n", width = PLOT_KEY_BYTES - 1);
                out.extend_from_slice(line.as_bytes());
            })?;
            let bytes = (memory(&server)[0] - before) / keys as f64;
            eprintln!("{name:24} {len:5} bytes of value: {bytes:.1} a key");
            points.push((len as f64, bytes));
        }
        if !points.is_empty() {
            lines.push(plot::Line { name: (*name).to_owned(), points });
        }
    }
    let payload = |len: f64| (len, len + PLOT_KEY_BYTES as f64);
    let points = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
    lines.push(plot::Line { name: "key and value".into(), points: points.map(payload).to_vec() });
    Ok(lines)
}
