//! Snapshots: how long one takes and how long its file takes to be loaded; and under a steady
//! load, what becomes of latency and memory while one is taken.
//!
//! One server at a time, each with a directory of its own. A save ends when its file has its name,
//! a load when DBSIZE is right. Memory is what is resident above what was before the save; of a
//! server that forks, with what it says its child had to copy.

use crate::client::{self, Client};
use crate::open_loop::{Latencies, Plan};
use crate::options::Options;
use crate::report::{Column, Report};
use crate::server::Server;
use crate::steady::{self, Sample};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CORES: &str = "0,1";
const KEYS: u64 = 5_000_000;
/// Commands a second.
const RATE: u64 = 30_000;
/// Connections of the load.
const CONNECTIONS: u64 = 50;
/// Connections that fill a server.
const WRITERS: u64 = 2;
/// Longest wait for a save, or a load.
const PATIENCE: Duration = Duration::from_secs(180);
/// The name of the file.
const FILE: &str = "dump.rdb";
/// From one look at the memory to the next.
const MEMORY_EVERY: Duration = Duration::from_millis(10);
/// Bytes of a page, in which the kernel counts memory.
const PAGE_BYTES: f64 = 4096.0;
/// Latencies of the beginning, when memory and connections are new, do not count.
const WARM: Duration = Duration::from_secs(2);

static COLUMNS: &[Column] = &[
    Column { name: "save s", decimals: 2, is_compared: true },
    Column { name: "load s", decimals: 2, is_compared: true },
    Column { name: "save under load s", decimals: 2, is_compared: true },
    Column { name: "p50 before ms", decimals: 3, is_compared: false },
    Column { name: "p50 ms", decimals: 3, is_compared: false },
    Column { name: "p99 before ms", decimals: 3, is_compared: false },
    Column { name: "p99 ms", decimals: 3, is_compared: true },
    Column { name: "p99 over before", decimals: 2, is_compared: false },
    Column { name: "worst before ms", decimals: 1, is_compared: false },
    Column { name: "worst ms", decimals: 1, is_compared: true },
    Column { name: "extra MiB", decimals: 1, is_compared: true },
    Column { name: "file MiB", decimals: 0, is_compared: false },
];

/// What was seen while a save ran under load.
struct Loaded {
    seconds: f64,
    before: Latencies,
    during: Latencies,
    extra_bytes: f64,
}

/// The file of a save, and the directory in which it stands alone; gone when dropped.
struct Room(PathBuf);

pub(crate) fn run(options: &Options) -> Result<(), String> {
    let plan = Plan {
        rate: options.rate.unwrap_or(RATE),
        seconds: options.seconds,
        connections: options.connections.unwrap_or(CONNECTIONS),
        keys: options.keys.unwrap_or(KEYS),
    };
    let mut report = Report::new("snapshot", COLUMNS);
    for _ in 0..options.rounds {
        for name in ["pinion", "redis8", "valkey8"] {
            measure(name, options, &plan, &mut report)?;
        }
    }
    report.finish()
}

/// A server of this name, if there is one, whose files are in this room.
fn start(name: &str, options: &Options, room: &Room) -> Result<Option<Server>, String> {
    let directory = room.0.to_string_lossy();
    if name == "pinion" {
        let flag = format!("--dir={directory}");
        return Server::pinion(options, name, 2, CORES, &[&flag]).map(Some);
    }
    Server::peer(options, (name, name), CORES, 1, &["--dir", &directory])
}

fn measure(name: &str, options: &Options, plan: &Plan, report: &mut Report) -> Result<(), String> {
    let room = Room::new(name)?;
    let Some(server) = start(name, options, &room)? else { return Ok(()) };
    while Client::connect(server.port)?.ask("PING")? != "PONG" {
        std::thread::sleep(Duration::from_millis(5));
    }
    client::fill(server.port, plan.keys, WRITERS)?;
    let quiet = save(&server, &room)?;
    let loaded = save_under_load(&server, &room, plan)?;
    let copied = server.figure("persistence", "rdb_last_cow_size").unwrap_or(0.0);
    drop(server);
    let file = room.file().metadata().map_or(f64::NAN, |file| file.len() as f64);
    let load = load(name, options, &room, plan.keys)?;
    let (before, during) = (&loaded.before, &loaded.during);
    let both = |share| [before.percentile_ms(share), during.percentile_ms(share)];
    let ([p50_before, p50], [p99_before, p99]) = (both(0.5), both(0.99));
    let [worst_before, worst] = both(1.0);
    let extra = (loaded.extra_bytes + copied) / f64::from(1 << 20);
    let mut figures = vec![quiet, load, loaded.seconds];
    figures.extend([p50_before, p50, p99_before, p99, p99 / p99_before]);
    figures.extend([worst_before, worst, extra, file / f64::from(1 << 20)]);
    report.add(&format!("{} keys", plan.keys), name, &figures);
    Ok(())
}

/// Seconds that a save takes while nobody else asks for anything.
fn save(server: &Server, room: &Room) -> Result<f64, String> {
    room.clear()?;
    let mut client = Client::connect(server.port)?;
    let start = Instant::now();
    begin(&mut client)?;
    room.wait(start)?;
    let seconds = start.elapsed().as_secs_f64();
    rest(server)?;
    Ok(seconds)
}

fn begin(client: &mut Client) -> Result<(), String> {
    let reply = client.ask("BGSAVE")?;
    if reply.contains("started") { Ok(()) } else { Err(format!("BGSAVE: {reply}")) }
}

/// Waits until a server says that no save is under way; the file has its name a little earlier.
fn rest(server: &Server) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    while server.figure("persistence", "rdb_bgsave_in_progress").is_some_and(|runs| runs > 0.0) {
        if Instant::now() > until {
            return Err(format!("{} does not end its save", server.name));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    // What it has freed goes back to the system, and its load settles.
    std::thread::sleep(Duration::from_secs(2));
    Ok(())
}

fn save_under_load(server: &Server, room: &Room, plan: &Plan) -> Result<Loaded, String> {
    room.clear()?;
    let mut client = Client::connect(server.port)?;
    let begun_at = Instant::now() + WARM + Duration::from_secs(plan.seconds);
    let (mut begun, mut ended): (Option<Instant>, Option<Instant>) = (None, None);
    let (mut looked, mut first_bytes, mut most_bytes) = (Instant::now(), 0.0, 0.0f64);
    let memory = server.memory_file();
    let resident = || resident_bytes(memory.as_deref());
    let samples = steady::run(plan, server.port, |now| {
        let Some(start) = begun else {
            if now >= begun_at {
                (first_bytes, begun) = (resident(), Some(now));
                client.tell("BGSAVE")?;
            }
            return Ok(false);
        };
        if now >= looked {
            most_bytes = most_bytes.max(resident());
            looked = now + MEMORY_EVERY;
        }
        if room.file().is_file() {
            ended = Some(now);
        } else if now.duration_since(start) > PATIENCE {
            return Err(format!("{} does not end its save", server.name));
        }
        Ok(ended.is_some())
    })?;
    let (begun, ended) = begun.zip(ended).ok_or("no save under load")?;
    let late = samples.iter().filter(|sample| (begun..ended).contains(&sample.due));
    if let Some(worst) = late.max_by_key(|sample| sample.us) {
        let (at, us) = (worst.due.duration_since(begun), worst.us);
        eprintln!("the latest reply, {us} us, was to what was due {at:.1?} after BGSAVE");
    }
    let warm = begun - Duration::from_secs(plan.seconds);
    rest(server)?;
    Ok(Loaded {
        seconds: ended.duration_since(begun).as_secs_f64(),
        before: latencies(&samples, warm, begun),
        during: latencies(&samples, begun, ended),
        extra_bytes: (most_bytes - first_bytes).max(0.0),
    })
}

/// Latencies of what was due between two instants.
fn latencies(samples: &[Sample], from: Instant, until: Instant) -> Latencies {
    let between = samples.iter().filter(|sample| (from..until).contains(&sample.due));
    Latencies::new(between.map(|sample| sample.us).collect())
}

/// Resident memory by a file of /proc; nothing where there is none.
fn resident_bytes(file: Option<&str>) -> f64 {
    let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<f64>().ok());
    pages.unwrap_or(0.0) * PAGE_BYTES
}

/// Seconds from the start of a server until all that is in the file can be asked for.
fn load(name: &str, options: &Options, room: &Room, keys: u64) -> Result<f64, String> {
    let begun = Instant::now();
    let server = start(name, options, room)?.ok_or("a server that is gone")?;
    let mut client = Client::connect(server.port)?;
    loop {
        let size = client.ask("DBSIZE")?;
        if size == keys.to_string() {
            return Ok(begun.elapsed().as_secs_f64());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("{name} has loaded {size} of {keys} keys"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Room {
    fn new(name: &str) -> Result<Self, String> {
        let own = format!("pinion-bench-{}-{name}", std::process::id());
        let path = std::env::temp_dir().join(own);
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("creating {}: {error}", path.display()))?;
        Ok(Self(path))
    }

    fn file(&self) -> PathBuf {
        self.0.join(FILE)
    }

    /// Removes the file, if it is there.
    fn clear(&self) -> Result<(), String> {
        match std::fs::remove_file(self.file()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(format!("removing {}: {error}", self.file().display()))
            }
            _ => Ok(()),
        }
    }

    /// Waits for the file.
    fn wait(&self, start: Instant) -> Result<(), String> {
        while !self.file().is_file() {
            if start.elapsed() > PATIENCE {
                return Err(format!("{} does not come", self.file().display()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        // What is left in the system's own directory of such things harms nobody.
        drop(std::fs::remove_dir_all(&self.0));
    }
}
