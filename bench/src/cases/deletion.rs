//! Three in four of many keys are deleted at random: what memory is left to the server in the end,
//! and what others notice meanwhile.

use crate::client::Client;
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const KEYS: u64 = 5_000_000;
/// From one question of the client that watches to the next.
const PAUSE: Duration = Duration::from_micros(500);
/// Keys of one DEL.
const GROUP: u64 = 16;
/// How long the steady load is watched before, and how long the server has afterwards.
const BEFORE: Duration = Duration::from_secs(5);
const AFTER: Duration = Duration::from_secs(30);

/// What goes on while the steady load is watched.
static PHASES: [&str; 3] = ["before", "deleting", "30 s after"];

static COLUMNS: &[Column] = &[
    Column { name: "p50 ms", decimals: 3, is_compared: true },
    Column { name: "p99 ms", decimals: 3, is_compared: true },
    Column { name: "p99 over before", decimals: 2, is_compared: false },
    Column { name: "seconds", decimals: 1, is_compared: false },
    Column { name: "used bytes a key", decimals: 1, is_compared: true },
    Column { name: "RSS bytes a key", decimals: 1, is_compared: true },
];

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let mut report = Report::new("deletion", COLUMNS);
    let keys = options.keys.unwrap_or(KEYS);
    for name in ["pinion", "redis8", "valkey8"] {
        let server = match name {
            "pinion" => Some(Server::pinion(options, name, 1, "0", &[])?),
            _ => Server::peer(options, (name, name), "0", 1, &[])?,
        };
        if let Some(server) = server {
            measure(&server, keys, &mut report)?;
        }
    }
    report.finish()
}

/// True for three keys in four (splitmix64, Vigna).
fn goes(key: u64) -> bool {
    let mut bits = key.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (bits ^ (bits >> 27)) >> 62 != 0
}

fn measure(server: &Server, keys: u64, report: &mut Report) -> Result<(), String> {
    let memory = || {
        let figures = [server.figure("memory", "used_memory"), server.resident_bytes()];
        figures.map(|figure| figure.unwrap_or(f64::NAN))
    };
    let empty = memory();
    let mut client = Client::connect(server.port)?;
    client.fill(0..keys)?;
    let phase = AtomicUsize::new(0);
    let (waits, ends) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| watch(server.port, keys, &phase));
        let worked = work(&mut client, keys, &phase, memory);
        phase.store(PHASES.len(), Ordering::Relaxed);
        let waits = watcher.join().unwrap_or_else(|_| Err("the watcher broke".into()));
        Ok::<_, String>((waits?, worked?))
    })?;
    let mut first = f64::NAN;
    for (index, (mut waits, (seconds, memory, left))) in waits.into_iter().zip(ends).enumerate() {
        waits.sort_unstable();
        let part = |part: usize| {
            let wait = waits.get(waits.len().saturating_sub(1) * part / 100);
            wait.map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
        };
        if index == 0 {
            first = part(99);
        }
        let each = |index: usize| (memory[index] - empty[index]) / left as f64;
        let figures = [part(50), part(99), part(99) / first, seconds, each(0), each(1)];
        report.add(PHASES[index], &server.name, &figures);
    }
    Ok(())
}

/// What a phase took, memory at its end, and the keys left then.
type End = (f64, [f64; 2], u64);

/// Goes through the phases.
fn work(
    client: &mut Client,
    keys: u64,
    phase: &AtomicUsize,
    memory: impl Fn() -> [f64; 2],
) -> Result<Vec<End>, String> {
    let mut ends = Vec::new();
    for index in 0..PHASES.len() {
        phase.store(index, Ordering::Relaxed);
        let start = Instant::now();
        match index {
            0 => std::thread::sleep(BEFORE),
            1 => client.repeat(keys.div_ceil(GROUP), |group, out| {
                out.extend_from_slice(b"DEL none");
                for key in (group * GROUP..keys.min((group + 1) * GROUP)).filter(|key| goes(*key)) {
                    out.extend_from_slice(format!(" key:{key:012}").as_bytes());
                }
                out.extend_from_slice(b"\r\n");
            })?,
            _ => std::thread::sleep(AFTER),
        }
        let left = client.ask("DBSIZE")?.parse().unwrap_or(0);
        ends.push((start.elapsed().as_secs_f64(), memory(), left));
    }
    Ok(ends)
}

/// Asks for a key again and again; how long the answers took, phase by phase.
fn watch(port: u16, keys: u64, phase: &AtomicUsize) -> Result<Vec<Vec<Duration>>, String> {
    let mut client = Client::connect(port)?;
    let mut waits = vec![Vec::new(); PHASES.len()];
    let mut key = 1;
    while let Some(waits) = waits.get_mut(phase.load(Ordering::Relaxed)) {
        key = key * 48_271 % 2_147_483_647;
        let asked = Instant::now();
        client.ask(&format!("GET key:{:012}", key % keys))?;
        waits.push(asked.elapsed());
        std::thread::sleep(PAUSE);
    }
    Ok(waits)
}
