//! Runs Pinion and whatever peers are found beside it, interleaved in one run, and prints ratios.
//!
//! An absolute number from one run on a shared machine proves nothing: every round runs every
//! server once, figures are medians over the rounds, and what counts is Pinion's beside a peer's.
//! The load comes from redis-benchmark or memtier_benchmark, except at a fixed rate, where it is
//! our own. Server CPU is what the kernel charged the process, over the commands it counted.

mod cases;
mod client;
mod load;
mod open_loop;
mod options;
mod report;
mod server;
mod steady;

use options::Options;
use std::process::ExitCode;

/// Runs a case; the error is a sentence.
type Run = fn(&Options) -> Result<(), String>;

/// The cases: name, meaning, function.
static CASES: &[(&str, &str, Run)] = &[
    ("one", "one shard on core 0, the load on core 1: SET and GET", cases::one::run),
    (
        "two",
        "two shards and the load on cores 0 and 1, with borrowing and without",
        cases::two::run,
    ),
    ("rate", "latency at a fixed rate, everything on cores 0 and 1", cases::rate::run),
    (
        "idle",
        "CPU of a server nobody asks, memory of connections that say nothing",
        cases::idle::run,
    ),
    ("keys", "memory of many keys, and the longest pause while they came", cases::keys::run),
    ("suite", "the default commands of redis-benchmark, one by one", cases::suite::run),
    ("large", "what an operation costs on millions of elements", cases::large::run),
    ("transactions", "MULTI, MSET and MGET on one shard and on two", cases::transactions::run),
    ("fanout", "one publisher, a thousand subscribers", cases::fanout::run),
    (
        "stall",
        "the longest pause while a huge hash is read, deleted and expires",
        cases::stall::run,
    ),
    ("hits", "what a cache of a tenth of the keys has, policy by policy", cases::hits::run),
    ("memory", "bytes of each kind of element, and of a key by its value", cases::memory::run),
    ("deletion", "memory and latency when three keys in four are deleted", cases::deletion::run),
    ("snapshot", "BGSAVE and load: time, latency meanwhile, memory", cases::snapshot::run),
];

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("pinion-bench: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut words = std::env::args().skip(1);
    let name = words.next().unwrap_or_default();
    let Some((_, _, case)) = CASES.iter().find(|case| case.0 == name) else {
        for (name, meaning, _) in CASES {
            eprintln!("{name:5} {meaning}");
        }
        eprint!("{}", options::HELP);
        return Err(if name.is_empty() { "no case".into() } else { format!("no case {name}") });
    };
    case(&Options::parse(words)?)
}
