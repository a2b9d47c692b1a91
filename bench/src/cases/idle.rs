//! A server nobody asks, and connections that say nothing.

use crate::client::Client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

const CORES: &str = "0,1";
const CONNECTIONS: u64 = 10_000;
/// Descriptors besides those of the connections.
const DESCRIPTORS_MORE: u64 = 256;
/// Time for a server to settle before it is looked at.
const SETTLE: Duration = Duration::from_secs(2);

static COLUMNS: &[Column] = &[
    Column { name: "CPU % of a core", decimals: 2, is_compared: false },
    Column { name: "RSS bytes per connection", decimals: 0, is_compared: true },
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let connections = options.connections.unwrap_or(CONNECTIONS);
    raise_limit(connections + DESCRIPTORS_MORE)?;
    let mut servers = vec![Server::pinion(options, "pinion", 2, CORES, &[])?];
    servers.extend(Server::peers(options, CORES, &[1])?);
    let mut report = Report::new("idle", COLUMNS);
    std::thread::sleep(SETTLE);
    let before: Vec<_> = servers.iter().map(Server::cpu_seconds).collect();
    std::thread::sleep(Duration::from_secs(options.seconds));
    let after: Vec<_> = servers.iter().map(Server::cpu_seconds).collect();
    for (server, (before, after)) in servers.iter().zip(before.into_iter().zip(after)) {
        let share = before
            .zip(after)
            .map_or(f64::NAN, |(before, after)| (after - before) / options.seconds as f64 * 100.0);
        let before = server.resident_bytes();
        let mut clients = Vec::new();
        for _ in 0..connections {
            let mut client = Client::connect(server.port)?;
            client.ask("PING")?;
            clients.push(client);
        }
        std::thread::sleep(SETTLE);
        let bytes = before
            .zip(server.resident_bytes())
            .map_or(f64::NAN, |(before, after)| (after - before) / connections as f64);
        report.add(&format!("{connections} connections"), &server.name, &[share, bytes]);
    }
    report.finish()
}

/// Starts this program again with more descriptors, if it has too few; the shell can ask for them.
fn raise_limit(needed: u64) -> Result<(), String> {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let mut words = line.unwrap_or("").split_whitespace();
    let mut limit = || words.next().map_or(u64::MAX, |word| word.parse().unwrap_or(u64::MAX));
    let (soft, hard) = (limit(), limit());
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(format!("{needed} open files are needed, and {hard} are allowed"));
    }
    let own = std::env::current_exe().map_err(|error| format!("finding myself: {error}"))?;
    let error = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit -n {needed} && exec \"$0\" \"$@\""))
        .arg(own)
        .args(std::env::args_os().skip(1))
        .exec();
    Err(format!("starting again with more open files: {error}"))
}
