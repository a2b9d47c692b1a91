//! MEMORY, but for USAGE, which runs where the key is: what the server's memory goes to.

use super::info::Report;
use super::{Context, Job, Outcome, SessionRow, write_help};
use crate::errand::{CoreFigures, Errand};
use crate::process::{self, Memory};
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;
use std::fmt::Write as _;

/// What is asked of all cores' figures.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MemoryQuestion {
    /// Every figure.
    Stats,
    /// What is wrong, if anything.
    Doctor,
}

/// MEMORY STATS
fn stats(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Errand(Errand::Memory(MemoryQuestion::Stats))))
}

/// MEMORY DOCTOR
fn doctor(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Errand(Errand::Memory(MemoryQuestion::Doctor))))
}

/// MEMORY PURGE
fn purge(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    process::purge();
    reply.ok();
    Ok(Outcome::Done)
}

/// MEMORY MALLOC-STATS
fn malloc_stats(
    _: &mut Context<'_>,
    _: &Args<'_>,
    reply: &mut Reply<'_>,
) -> Result<Outcome, Error> {
    let memory = Memory::now();
    let mut text = String::from("jemalloc, in bytes:\n");
    for (name, bytes) in [
        ("allocated", memory.allocated),
        ("active", memory.active),
        ("resident", memory.resident),
        ("of the process, as the kernel counts", memory.rss),
    ] {
        let _ = writeln!(text, "{name}: {bytes}");
    }
    reply.verbatim(b"txt", text.as_bytes());
    Ok(Outcome::Done)
}

/// Answers a question about memory.
pub(crate) fn write_memory(
    question: MemoryQuestion,
    cores: &[CoreFigures],
    at_home: &Context<'_>,
    reply: &mut Reply<'_>,
) {
    let report = Report { cores, at: at_home };
    match question {
        MemoryQuestion::Stats => write_stats(&report, reply),
        MemoryQuestion::Doctor => reply.verbatim(b"txt", diagnose(&report).as_bytes()),
    }
}

/// A figure of MEMORY STATS.
enum Figure {
    Int(u64),
    Signed(i64),
    Double(f64),
}

fn ratio(more: u64, less: u64) -> Figure {
    Figure::Double(if less == 0 { 0.0 } else { more as f64 / less as f64 })
}

fn write_stats(report: &Report<'_>, reply: &mut Reply<'_>) {
    let memory = Memory::now();
    let server = report.at.server;
    let (used, start) = (memory.used, server.memory_at_start);
    let peak = server.note_memory(used);
    let dataset = report.sum(|core| core.shard.memory_bytes).min(used);
    let net = used.saturating_sub(start).max(1);
    let keys = |core: &CoreFigures| core.shard.databases.iter().map(|db| db.keys).sum::<u64>();
    let keys = report.sum(keys);
    let nothing = |name| (name, Figure::Int(0));
    let over = |more: u64, less: u64| Figure::Signed(more as i64 - less as i64);
    let percent = |part: u64, whole: u64| Figure::Double(part as f64 * 100.0 / whole.max(1) as f64);
    let figures = [
        ("peak.allocated", Figure::Int(peak)),
        ("total.allocated", Figure::Int(used)),
        ("startup.allocated", Figure::Int(start)),
        nothing("replication.backlog"),
        nothing("replica.fullsync.buffer"),
        nothing("clients.slaves"),
        ("clients.normal", Figure::Int(report.sum(|core| core.client_bytes))),
        nothing("cluster.links"),
        nothing("aof.buffer"),
        nothing("lua.caches"),
        nothing("functions.caches"),
        nothing("script.VMs"),
        nothing("overhead.db.hashtable.lut"),
        nothing("overhead.db.hashtable.rehashing"),
        ("overhead.total", Figure::Int(used - dataset)),
        nothing("db.dict.rehashing.count"),
        ("keys.count", Figure::Int(keys)),
        ("keys.bytes-per-key", Figure::Int(net.checked_div(keys).unwrap_or(0))),
        ("dataset.bytes", Figure::Int(dataset)),
        ("dataset.percentage", percent(dataset.min(net), net)),
        ("peak.percentage", percent(used, peak)),
        ("allocator.allocated", Figure::Int(memory.allocated)),
        ("allocator.active", Figure::Int(memory.active)),
        ("allocator.resident", Figure::Int(memory.resident)),
        nothing("allocator.muzzy"),
        ("allocator-fragmentation.ratio", ratio(memory.active, used)),
        ("allocator-fragmentation.bytes", over(memory.active, used)),
        ("allocator-rss.ratio", ratio(memory.resident, memory.active)),
        ("allocator-rss.bytes", over(memory.resident, memory.active)),
        ("rss-overhead.ratio", ratio(memory.rss, memory.resident)),
        ("rss-overhead.bytes", over(memory.rss, memory.resident)),
        ("fragmentation", ratio(memory.rss, used)),
        ("fragmentation.bytes", over(memory.rss, used)),
    ];
    reply.map(figures.len());
    for (name, figure) in figures {
        reply.bulk(name.as_bytes());
        match figure {
            Figure::Int(value) => reply.int(value as i64),
            Figure::Signed(value) => reply.int(value),
            Figure::Double(value) => reply.double(value),
        }
    }
}

/// Memory below which ratios say nothing.
const SMALL_BYTES: u64 = 5 * 1024 * 1024;
/// Ratios and bytes from which something is worth saying.
const FRAGMENTED: f64 = 1.4;
const FRAGMENTED_BYTES_MIN: u64 = 10 * 1024 * 1024;
const PEAK_OVER_USED: f64 = 1.5;
const CLIENT_BYTES_MEAN_MAX: u64 = 200 * 1024;

fn diagnose(report: &Report<'_>) -> String {
    let memory = Memory::now();
    let used = memory.used;
    if used < SMALL_BYTES {
        return "There is too little in memory to say anything about it.\n".to_owned();
    }
    let mut text = String::new();
    let peak = report.at.server.note_memory(used);
    if peak as f64 > used as f64 * PEAK_OVER_USED {
        let _ = writeln!(
            text,
            "- The peak was {peak} bytes, and {used} are in use: the process may hold what it \
             does not need. MEMORY PURGE gives it back."
        );
    }
    let spare = memory.active.saturating_sub(used);
    if memory.active as f64 > used as f64 * FRAGMENTED && spare > FRAGMENTED_BYTES_MIN {
        let _ = writeln!(text, "- {spare} bytes lie between what is in use: it is fragmented.");
    }
    let clients = report.sum(|core| core.clients).max(1);
    let mean = report.sum(|core| core.client_bytes) / clients;
    if mean > CLIENT_BYTES_MEAN_MAX {
        let _ = writeln!(
            text,
            "- A client takes {mean} bytes in the mean: some read slowly, or send much at once. \
             CLIENT LIST shows which (tot-mem)."
        );
    }
    if text.is_empty() { "Nothing is wrong with the memory.\n".to_owned() } else { text }
}

/// MEMORY HELP; MEMORY USAGE runs on the key's shard.
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "MEMORY",
        &[
            "DOCTOR",
            "    Return what is wrong with the memory, if anything.",
            "MALLOC-STATS",
            "    Return what the allocator tells.",
            "PURGE",
            "    Give memory that is not in use back to the system.",
            "STATS",
            "    Return what the memory goes to.",
            "USAGE <key> [SAMPLES <count>]",
            "    Return the bytes that <key> and its value take; <count> is accepted, and nothing",
            "    is estimated.",
        ],
    );
    Ok(Outcome::Done)
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("memory"))
}

const fn row(name: &'static str, flags: &[Flags]) -> Row {
    Row::new(name, 2, Group::Server, Plan::Session).flags(flags)
}

pub(super) static ROWS: &[SessionRow] = &[SessionRow::container(
    Row::new("memory", -2, Group::Server, Plan::Session)
        .about("4.0.0", "A container for commands about memory"),
    alone,
    &[
        SessionRow::new(
            row("memory|doctor", &[]).about("4.0.0", "Returns what is wrong with the memory"),
            doctor,
        ),
        SessionRow::new(
            row("memory|malloc-stats", &[]).about("4.0.0", "Returns what the allocator tells"),
            malloc_stats,
        ),
        SessionRow::new(
            row("memory|purge", &[]).about("4.0.0", "Gives unused memory back to the system"),
            purge,
        ),
        SessionRow::new(
            row("memory|stats", &[]).about("4.0.0", "Returns what the memory goes to"),
            stats,
        ),
        SessionRow::new(
            row("memory|help", &[Flags::LOADING, Flags::STALE])
                .about("4.0.0", "Returns help on the subcommands"),
            help,
        ),
    ],
)];
