//! Figures in the text format of Prometheus (version 0.0.4 of its exposition formats).
//!
//! A figure is a line, or one line for each label; before it stand its kind and what it means.

use crate::commands::Context;
use crate::errand::CoreFigures;
use crate::process::{Cpu, Memory};
use crate::server::REDIS_VERSION;
use crate::stats::Calls;
use pinion_shards::channels::Kind as Name;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

/// What becomes of a figure with time.
#[derive(Clone, Copy)]
enum Kind {
    /// It only grows, but for a restart.
    Counter,
    /// It goes up and down.
    Gauge,
}

/// Its name, what it means, and where it comes from.
type Figure<T, V> = (&'static str, &'static str, fn(&T) -> V);

/// The lines so far.
struct Text(String);

impl Text {
    /// Begins a figure.
    fn head(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        writeln!(self.0, "# HELP pinion_{name} {help}.\n# TYPE pinion_{name} {kind}")
            .expect("writing to memory does not fail");
    }

    fn line(&mut self, name: &str, value: impl Display) {
        writeln!(self.0, "pinion_{name} {value}").expect("writing to memory does not fail");
    }

    /// A line with a label, whose value has no character that would have to be escaped.
    fn labelled(&mut self, name: &str, (label, of): (&str, &dyn Display), value: impl Display) {
        writeln!(self.0, "pinion_{name}{{{label}=\"{of}\"}} {value}")
            .expect("writing to memory does not fail");
    }

    fn one(&mut self, name: &str, kind: Kind, help: &str, value: impl Display) {
        self.head(name, kind, help);
        self.line(name, value);
    }

    /// Counters that are those of all cores together.
    fn sums(&mut self, cores: &[CoreFigures], figures: &[Figure<CoreFigures, u64>]) {
        for (name, help, figure) in figures {
            self.one(name, Kind::Counter, help, cores.iter().map(figure).sum::<u64>());
        }
    }

    /// Counters with a line for each of `all`, which its label names.
    fn each<'a, T: 'a, V: Display>(
        &mut self,
        label: &str,
        all: &(impl Iterator<Item = (&'a dyn Display, &'a T)> + Clone),
        figures: &[Figure<T, V>],
    ) {
        for (name, help, figure) in figures {
            self.head(name, Kind::Counter, help);
            for (of, figures) in all.clone() {
                self.labelled(name, (label, of), figure(figures));
            }
        }
    }
}

/// All figures, from those of every core.
pub(super) fn text(cores: &[CoreFigures], at_home: &Context<'_>) -> String {
    let mut text = Text(String::with_capacity(16 * 1024));
    process(&mut text, at_home);
    clients(&mut text, cores, at_home);
    traffic(&mut text, cores);
    keyspace(&mut text, cores);
    commands(&mut text, cores);
    of_cores(&mut text, cores);
    text.0
}

fn process(text: &mut Text, at_home: &Context<'_>) {
    let server = at_home.server;
    text.head("info", Kind::Gauge, "The version, and the Redis whose behaviour it follows");
    let (version, redis) = (env!("CARGO_PKG_VERSION"), REDIS_VERSION);
    text.line(&format!("info{{version=\"{version}\",redis_version=\"{redis}\"}}"), 1);
    let up = at_home.now.saturating_sub(server.started) as f64 / 1000.0;
    text.one("uptime_seconds", Kind::Gauge, "Seconds since the start", up);
    let cpu = Cpu::of_process();
    let name = "cpu_seconds_total";
    text.head(name, Kind::Counter, "Processor time in the program and in the kernel");
    text.labelled(name, ("mode", &"user"), cpu.user);
    text.labelled(name, ("mode", &"system"), cpu.system);
    let memory = Memory::now();
    let peak = server.note_memory(memory.used);
    for (name, help, bytes) in [
        ("memory_used_bytes", "Memory allocated and not freed", memory.used),
        ("memory_peak_bytes", "The most memory that was in use", peak),
        ("memory_resident_bytes", "Memory that the kernel counts for the process", memory.rss),
        ("memory_max_bytes", "The memory limit, 0 for none", at_home.settings.memory_bytes_max),
    ] {
        text.one(name, Kind::Gauge, help, bytes);
    }
}

fn clients(text: &mut Text, cores: &[CoreFigures], at_home: &Context<'_>) {
    let sum = |figure: fn(&CoreFigures) -> u64| cores.iter().map(figure).sum::<u64>();
    let max = at_home.settings.clients_max;
    for (name, help, value) in [
        ("clients", "Clients connected", sum(|core| core.clients)),
        ("clients_max", "Most clients at once", max),
        ("clients_blocked", "Clients whose command waits for a key", sum(|core| core.blocked)),
        ("clients_watching", "Clients that watch keys", sum(|core| core.watching)),
        ("client_buffer_bytes", "Bytes held for clients", sum(|core| core.client_bytes)),
        ("channels", "Channels with subscribers", sum(|core| subscribed(core, Name::Channel))),
        ("sharded_channels", "The same of SSUBSCRIBE", sum(|core| subscribed(core, Name::Sharded))),
        ("tracked_keys", "Keys that clients cache", sum(|core| core.shard.tracked_keys)),
    ] {
        text.one(name, Kind::Gauge, help, value);
    }
    // Every shard knows of them all.
    let patterns = cores.iter().map(|core| subscribed(core, Name::Pattern)).max().unwrap_or(0);
    text.one("patterns", Kind::Gauge, "Patterns with subscribers", patterns);
}

fn subscribed(core: &CoreFigures, kind: Name) -> u64 {
    core.shard.subscribed[kind as usize]
}

fn traffic(text: &mut Text, cores: &[CoreFigures]) {
    let figures: &[Figure<CoreFigures, u64>] = &[
        ("connections_total", "Connections accepted", |core| core.stats.connections_received),
        ("connections_rejected_total", "Connections turned away", |core| {
            core.stats.connections_rejected
        }),
        ("input_bytes_total", "Bytes read from clients", |core| core.stats.input_bytes),
        ("output_bytes_total", "Bytes written to clients", |core| core.stats.output_bytes),
        ("protocol_errors_total", "Connections closed for bytes that are no request", |core| {
            core.stats.protocol_errors
        }),
        ("query_limit_closed_total", "Clients closed for requests too large to hold", |core| {
            core.stats.query_limit_closed
        }),
        ("output_limit_closed_total", "Clients closed for replies too large to hold", |core| {
            core.stats.output_limit_closed
        }),
        ("error_replies_total", "Error replies", |core| core.stats.error_replies),
        ("changes_total", "Changes to keys", |core| core.shard.changes),
    ];
    text.sums(cores, figures);
}

fn keyspace(text: &mut Text, cores: &[CoreFigures]) {
    let figures: &[Figure<CoreFigures, u64>] = &[
        ("keyspace_hits_total", "Reads that found their key", |core| core.shard.keyspace_hits),
        ("keyspace_misses_total", "Reads that did not", |core| core.shard.keyspace_misses),
        ("expired_keys_total", "Keys removed because their time had come", |core| {
            core.shard.expired_keys
        }),
        ("evicted_keys_total", "Keys removed for want of memory", |core| core.shard.evicted_keys),
        ("expired_fields_total", "Fields of hashes removed for that", |core| {
            core.shard.expired_fields
        }),
    ];
    text.sums(cores, figures);
    let databases = cores.iter().map(|core| core.shard.databases.len()).max().unwrap_or(0);
    let figure = |db: usize, of: fn(&pinion_shards::DatabaseStats) -> u64| {
        let parts = cores.iter().filter_map(|core| core.shard.databases.get(db));
        parts.map(of).sum::<u64>()
    };
    let used: Vec<_> = (0..databases).filter(|&db| figure(db, |part| part.keys) > 0).collect();
    text.head("keys", Kind::Gauge, "Keys, by database");
    for &db in &used {
        text.labelled("keys", ("db", &db), figure(db, |part| part.keys));
    }
    text.head("keys_expiring", Kind::Gauge, "Keys with an expiry, by database");
    for &db in &used {
        text.labelled("keys_expiring", ("db", &db), figure(db, |part| part.expires));
    }
}

fn commands(text: &mut Text, cores: &[CoreFigures]) {
    let mut commands: BTreeMap<&str, Calls> = BTreeMap::new();
    let calls = cores.iter().flat_map(|core| core.stats.calls.iter());
    for (row, calls) in calls.filter_map(|calls| Some((calls.row?, calls))) {
        let sum = commands.entry(row.name).or_default();
        sum.calls += calls.calls;
        sum.time_ns += calls.time_ns;
        sum.rejected += calls.rejected;
        sum.failed += calls.failed;
    }
    let figures: &[Figure<Calls, f64>] = &[
        ("commands_total", "Commands run, by name", |sum| sum.calls as f64),
        ("commands_seconds_total", "Time they took", |sum| sum.time_ns as f64 / 1e9),
        ("commands_rejected_total", "Commands refused before they ran", |sum| sum.rejected as f64),
        ("commands_failed_total", "Commands that answered an error", |sum| sum.failed as f64),
    ];
    let all = commands.iter().map(|(name, sum)| (name as &dyn Display, sum));
    text.each("command", &all, figures);
}

fn of_cores(text: &mut Text, cores: &[CoreFigures]) {
    let figures: &[Figure<CoreFigures, u64>] = &[
        ("core_commands_total", "Commands run, by core", |core| core.stats.commands),
        ("core_ticks_total", "Turns of the loop", |core| core.stats.ticks),
        ("core_parks_total", "Times the core slept", |core| core.stats.parks),
        ("core_batches_out_total", "Batches sent to other cores", |core| core.stats.batches_out),
        ("core_batches_borrowed_total", "Batches run against a sleeping core's shard", |core| {
            core.stats.batches_borrowed
        }),
        ("core_lane_waits_total", "Times a full lane held a client back", |core| {
            core.stats.lane_waits
        }),
    ];
    let all = cores.iter().map(|core| (&core.core as &dyn Display, core));
    text.each("core", &all, figures);
    text.head("core_clients", Kind::Gauge, "Clients, by core");
    for core in cores {
        text.labelled("core_clients", ("core", &core.core), core.clients);
    }
}
