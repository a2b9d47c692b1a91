//! INFO: what every core tells, summed and laid out in Redis's sections under Redis's names.

use super::{Context, Job, Outcome, SessionRow, info_memory, info_persistence, info_stats};
use crate::errand::{CoreFigures, Errand};
use crate::histogram::Histogram;
use crate::process::{Cpu, kernel};
use crate::server::REDIS_VERSION;
use crate::stats::Calls;
use pinion_io::resp::Reply;
use pinion_shards::DatabaseStats;
use pinion_shards::commands::{Args, DANGEROUS, Flags, Group, Plan, Row};
use pinion_shards::error::Error;
use pinion_shards::limits::TICKS_PER_SECOND;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

/// A set of sections.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Sections(u32);

/// Writes the lines of a section.
type WriteSection = fn(&mut Lines, &Report<'_>);

const SECTIONS_COUNT: usize = 16;

/// The sections, in order: name, title, whether INFO alone shows it, and its lines.
static SECTIONS: [(&str, &str, bool, WriteSection); SECTIONS_COUNT] = [
    ("server", "Server", true, server),
    ("clients", "Clients", true, clients),
    ("memory", "Memory", true, info_memory::memory),
    ("persistence", "Persistence", true, info_persistence::persistence),
    ("threads", "Threads", true, threads),
    ("stats", "Stats", true, info_stats::stats),
    ("replication", "Replication", true, replication),
    ("cpu", "CPU", true, cpu),
    ("modules", "Modules", true, |_, _| ()),
    ("commandstats", "Commandstats", false, command_stats),
    ("errorstats", "Errorstats", true, error_stats),
    ("latencystats", "Latencystats", false, latency_stats),
    ("cluster", "Cluster", true, |lines, _| lines.add("cluster_enabled", 0)),
    ("keyspace", "Keyspace", true, keyspace),
    ("pinion", "Pinion", false, pinion),
    ("debug", "Debug", false, info_stats::debug),
];

impl Sections {
    /// Every section but the last, which is told only by name.
    pub const ALL: Self = Self((1 << (SECTIONS_COUNT - 1)) - 1);

    /// Those that the words name; words that name none are passed over.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Self {
        words.into_iter().fold(Self(0), |chosen, word| {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            if is("all") || is("everything") {
                Self(chosen.0 | Self::ALL.0)
            } else if is("default") {
                Self(chosen.0 | Self::usual().0)
            } else {
                let at = SECTIONS.iter().position(|section| is(section.0));
                Self(chosen.0 | at.map_or(0, |at| 1 << at))
            }
        })
    }

    /// True if what they show comes from histograms.
    pub(crate) fn want_histograms(self) -> bool {
        let at = SECTIONS.iter().position(|section| section.0 == "latencystats");
        at.is_some_and(|at| self.0 & 1 << at != 0)
    }

    /// Those that INFO alone shows.
    fn usual() -> Self {
        let bits = SECTIONS.iter().enumerate().map(|(at, section)| u32::from(section.2) << at);
        Self(bits.sum())
    }
}

/// INFO [section ...]
fn info(_: &mut Context<'_>, args: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    let sections = if args.len() == 1 { Sections::usual() } else { Sections::parse(args.from(1)) };
    if sections == Sections(0) {
        reply.verbatim(b"txt", b"");
        return Ok(Outcome::Done);
    }
    Ok(Outcome::Start(Job::Errand(Errand::Info(sections))))
}

/// The text of INFO, from the figures of every core.
pub(crate) fn report(sections: Sections, cores: &[CoreFigures], at_home: &Context<'_>) -> String {
    let report = Report { cores, at: at_home };
    let mut lines = Lines(String::with_capacity(8192));
    for (at, (_, title, _, write)) in SECTIONS.iter().enumerate() {
        if sections.0 & 1 << at == 0 {
            continue;
        }
        if !lines.0.is_empty() {
            lines.0.push_str("\r\n");
        }
        lines.0.push_str("# ");
        lines.0.push_str(title);
        lines.0.push_str("\r\n");
        write(&mut lines, &report);
    }
    lines.0
}

/// Where the figures come from.
pub(super) struct Report<'a> {
    pub(super) cores: &'a [CoreFigures],
    pub(super) at: &'a Context<'a>,
}

impl Report<'_> {
    pub(super) fn sum(&self, figure: impl Fn(&CoreFigures) -> u64) -> u64 {
        self.cores.iter().map(figure).sum()
    }

    pub(super) fn max(&self, figure: impl Fn(&CoreFigures) -> u64) -> u64 {
        self.cores.iter().map(figure).max().unwrap_or(0)
    }

    fn seconds_up(&self) -> u64 {
        self.at.now.saturating_sub(self.at.server.started) / 1000
    }
}

/// Lines of `name:value`.
pub(super) struct Lines(String);

impl Lines {
    pub(super) fn add(&mut self, name: &str, value: impl std::fmt::Display) {
        write!(self.0, "{name}:{value}\r\n").expect("writing to memory does not fail");
    }
}

fn server(lines: &mut Lines, report: &Report<'_>) {
    let server = report.at.server;
    let up = report.seconds_up();
    lines.add("redis_version", REDIS_VERSION);
    lines.add("pinion_version", env!("CARGO_PKG_VERSION"));
    lines.add("redis_git_sha1", "00000000");
    lines.add("redis_git_dirty", 0);
    lines.add("redis_build_id", "0000000000000000");
    lines.add("redis_mode", "standalone");
    lines.add("os", format!("Linux {} {}", kernel(), std::env::consts::ARCH));
    lines.add("arch_bits", usize::BITS);
    lines.add("monotonic_clock", "POSIX clock_gettime");
    lines.add("multiplexing_api", "io_uring");
    lines.add("atomicvar_api", "rust");
    lines.add("gcc_version", "0.0.0");
    lines.add("process_id", std::process::id());
    lines.add("process_supervised", "no");
    lines.add("run_id", &server.run_id);
    let (port, tls_port) =
        (server.port.load(Ordering::Relaxed), server.tls_port.load(Ordering::Relaxed));
    lines.add("tcp_port", if port > 0 { port } else { tls_port });
    lines.add("server_time_usec", report.at.now * 1000);
    lines.add("uptime_in_seconds", up);
    lines.add("uptime_in_days", up / 86_400);
    lines.add("hz", TICKS_PER_SECOND);
    lines.add("configured_hz", TICKS_PER_SECOND);
    lines.add("lru_clock", (report.at.now / 1000) & 0xff_ffff);
    let path = std::env::current_exe().unwrap_or_default();
    lines.add("executable", path.display());
    lines.add("config_file", &report.at.settings.config_file);
    lines.add("io_threads_active", u8::from(report.cores.len() > 1));
    let bind = report.at.settings.bind.join(",bind=");
    let bind = if bind.is_empty() { "*,bind=-::*" } else { &bind };
    if port > 0 {
        let name = if report.at.settings.tls.on_port { "tls" } else { "tcp" };
        lines.add("listener0", format_args!("name={name},bind={bind},port={port}"));
    }
    if !report.at.settings.unixsocket.is_empty() {
        let path = &report.at.settings.unixsocket;
        lines.add("listener1", format_args!("name=unix,bind={path}"));
    }
    if tls_port > 0 {
        lines.add("listener2", format_args!("name=tls,bind={bind},port={tls_port}"));
    }
}

fn clients(lines: &mut Lines, report: &Report<'_>) {
    lines.add("connected_clients", report.sum(|core| core.clients));
    lines.add("cluster_connections", 0);
    lines.add("maxclients", report.at.settings.clients_max);
    lines.add("client_recent_max_input_buffer", report.max(|core| core.input_bytes_max));
    lines.add("client_recent_max_output_buffer", report.max(|core| core.output_bytes_max));
    lines.add("blocked_clients", report.sum(|core| core.blocked));
    lines.add("total_blocking_keys", report.sum(|core| core.shard.awaited_keys));
    lines.add("tracking_clients", report.sum(|core| core.caching));
    lines.add("pubsub_clients", report.sum(|core| core.subscribers));
    lines.add("watching_clients", report.sum(|core| core.watching));
    lines.add("clients_in_timeout_table", 0);
    lines.add("total_watched_keys", report.sum(|core| core.shard.watched_keys));
    lines.add("total_blocking_keys_on_nokey", report.sum(|core| core.shard.needed_keys));
    let pause = report.cores.first().map(|core| core.pause).unwrap_or_default();
    let left = pause.until().map_or(0, |until| until.saturating_sub(report.at.now));
    lines.add("paused_reason", if pause.until().is_some() { "client_pause" } else { "none" });
    lines.add("paused_actions", pause.actions());
    lines.add("paused_timeout_milliseconds", left);
}

fn threads(lines: &mut Lines, report: &Report<'_>) {
    for figures in report.cores {
        let (clients, stats) = (figures.clients, &figures.stats);
        let name = format!("io_thread_{}", figures.core);
        lines.add(&name, format!("clients={clients},commands={}", stats.commands));
    }
}

fn replication(lines: &mut Lines, report: &Report<'_>) {
    lines.add("role", "master");
    lines.add("connected_slaves", 0);
    lines.add("master_failover_state", "no-failover");
    lines.add("master_replid", &report.at.server.run_id);
    lines.add("master_replid2", "0".repeat(40));
    lines.add("master_repl_offset", 0);
    lines.add("second_repl_offset", -1);
    lines.add("repl_backlog_active", 0);
    lines.add("repl_backlog_size", 0);
    lines.add("repl_backlog_first_byte_offset", 0);
    lines.add("repl_backlog_histlen", 0);
}

fn cpu(lines: &mut Lines, _: &Report<'_>) {
    let cpu = Cpu::of_process();
    lines.add("used_cpu_sys", format!("{:.6}", cpu.system));
    lines.add("used_cpu_user", format!("{:.6}", cpu.user));
    lines.add("used_cpu_sys_children", "0.000000");
    lines.add("used_cpu_user_children", "0.000000");
    let first = Cpu::of_first_thread();
    lines.add("used_cpu_sys_main_thread", format!("{:.6}", first.system));
    lines.add("used_cpu_user_main_thread", format!("{:.6}", first.user));
}

fn command_stats(lines: &mut Lines, report: &Report<'_>) {
    let mut commands: BTreeMap<&str, Calls> = BTreeMap::new();
    for (row, calls) in report
        .cores
        .iter()
        .flat_map(|core| core.stats.calls.iter())
        .filter_map(|calls| Some((calls.row?, calls)))
    {
        let sum = commands.entry(row.name).or_default();
        sum.calls += calls.calls;
        sum.time_ns += calls.time_ns;
        sum.rejected += calls.rejected;
        sum.failed += calls.failed;
    }
    for (name, sum) in commands {
        let us = sum.time_ns / 1000;
        let mean =
            if sum.calls == 0 { 0.0 } else { sum.time_ns as f64 / 1000.0 / sum.calls as f64 };
        lines.add(
            &format!("cmdstat_{name}"),
            format_args!(
                "calls={},usec={us},usec_per_call={mean:.2},rejected_calls={},failed_calls={}",
                sum.calls, sum.rejected, sum.failed
            ),
        );
    }
}

fn error_stats(lines: &mut Lines, report: &Report<'_>) {
    let mut errors: BTreeMap<&str, u64> = BTreeMap::new();
    for (word, count) in report.cores.iter().flat_map(|core| &core.stats.errors) {
        *errors.entry(word).or_default() += count;
    }
    for (word, count) in errors {
        lines.add(&format!("errorstat_{word}"), format_args!("count={count}"));
    }
    let other = report.sum(|core| core.stats.errors_other);
    if other > 0 {
        lines.add("errorstat_ERRORSTATS_OVERFLOW", format_args!("count={other}"));
    }
}

fn latency_stats(lines: &mut Lines, report: &Report<'_>) {
    let mut commands: BTreeMap<&str, Histogram> = BTreeMap::new();
    for (row, own) in report.cores.iter().flat_map(|core| core.stats.histograms()) {
        commands.entry(row.name).or_default().merge(own);
    }
    for (name, histogram) in commands {
        let percentiles = report.at.settings.latency_percentiles.iter().map(|&percent| {
            let us = histogram.percentile(percent) as f64 / 1000.0;
            format!("p{percent}={us:.3}")
        });
        let percentiles: Vec<_> = percentiles.collect();
        lines.add(&format!("latency_percentiles_usec_{name}"), percentiles.join(","));
    }
}

fn keyspace(lines: &mut Lines, report: &Report<'_>) {
    let databases = report.cores.iter().map(|core| core.shard.databases.len()).max().unwrap_or(0);
    for db in 0..databases {
        let parts = || report.cores.iter().filter_map(|core| core.shard.databases.get(db));
        let sum = |figure: fn(&DatabaseStats) -> u64| parts().map(figure).sum::<u64>();
        let (keys, expires) = (sum(|part| part.keys), sum(|part| part.expires));
        if keys == 0 {
            continue;
        }
        let weighed = parts().map(|part| u128::from(part.expires) * u128::from(part.ttl_ms_mean));
        let ttl = weighed.sum::<u128>().checked_div(u128::from(expires)).unwrap_or(0);
        let fields = sum(|part| part.field_expires);
        let line = format_args!("keys={keys},expires={expires},avg_ttl={ttl},subexpiry={fields}");
        lines.add(&format!("db{db}"), line);
    }
}

fn pinion(lines: &mut Lines, report: &Report<'_>) {
    lines.add("cores", report.cores.len());
    for figures in report.cores {
        let stats = &figures.stats;
        lines.add(
            &format!("core{}", figures.core),
            format_args!(
                "ticks={},parks={},batches_out={},batches_borrowed={},lane_waits={}",
                stats.ticks,
                stats.parks,
                stats.batches_out,
                stats.batches_borrowed,
                stats.lane_waits
            ),
        );
    }
    lines.add("protocol_errors", report.sum(|core| core.stats.protocol_errors));
    lines.add("run_us_worst", report.max(|core| core.stats.run_us_worst));
    let buckets = (0..32).filter_map(|bucket| {
        let count = report.sum(|core| core.stats.run_us[bucket]);
        (count > 0).then(|| format!("{}={count}", 1_u64 << bucket))
    });
    // Runs of at most 16 commands that took less than so many microseconds.
    lines.add("run_us_below", buckets.collect::<Vec<_>>().join(","));
}

pub(super) static ROWS: &[SessionRow] = &[SessionRow::new(
    Row::new("info", -1, Group::Server, Plan::Session)
        .flags(&[Flags::LOADING, Flags::STALE])
        .categories(DANGEROUS)
        .about("1.0.0", "Returns figures about the server"),
    info,
)];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_chosen_by_name() {
        let parse = |words: &[&str]| Sections::parse(words.iter().map(|word| word.as_bytes()));
        assert_eq!(parse(&["nosuch"]), Sections(0));
        assert_eq!(parse(&["SERVER", "clients", "nosuch"]), Sections(3));
        assert_eq!(parse(&["everything"]), Sections::ALL);
        assert_eq!(parse(&["default"]), Sections::usual());
        assert_ne!(parse(&["default", "commandstats"]), Sections::usual());
    }
}
