//! LATENCY: how long commands take, and the spikes of each event.

use super::{Context, Job, Outcome, SessionRow, check_names, write_help};
use crate::errand::Errand;
use crate::histogram::Histogram;
use crate::slow::Spikes;
use pinion_io::resp::Reply;
use pinion_shards::commands::{Args, Flags, Group, Plan, Row};
use pinion_shards::error::Error;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Spikes of each event, of all cores.
pub(crate) type AllSpikes = BTreeMap<&'static str, Spikes>;
/// Histograms of each command, of all cores.
pub(crate) type AllHistograms = BTreeMap<&'static str, Histogram>;

/// A question about spikes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SpikeQuestion {
    /// The last of each event.
    Latest,
    /// All of one event.
    History(String),
    /// The same, drawn.
    Graph(String),
    /// What they mean.
    Doctor,
}

const fn ask(errand: Errand) -> Result<Outcome, Error> {
    Ok(Outcome::Start(Job::Errand(errand)))
}

fn event(args: &Args<'_>) -> String {
    String::from_utf8_lossy(args.at(2)).into_owned()
}

/// LATENCY LATEST
fn latest(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::Spikes(SpikeQuestion::Latest))
}

/// LATENCY HISTORY event
fn history(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::Spikes(SpikeQuestion::History(event(args))))
}

/// LATENCY GRAPH event
fn graph(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::Spikes(SpikeQuestion::Graph(event(args))))
}

/// LATENCY DOCTOR
fn doctor(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    ask(Errand::Spikes(SpikeQuestion::Doctor))
}

/// LATENCY RESET [event ...]
fn reset(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    check_names(args)?;
    let names = args.from(2).map(|word| String::from_utf8_lossy(word).into_owned());
    ask(Errand::SpikesReset(names.collect()))
}

/// LATENCY HISTOGRAM [command ...]
fn histogram(_: &mut Context<'_>, args: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    check_names(args)?;
    let names = args.from(2).map(|word| String::from_utf8_lossy(word).to_ascii_lowercase());
    ask(Errand::Histograms(names.collect()))
}

/// Answers a question about spikes.
pub(crate) fn write_spikes(
    question: &SpikeQuestion,
    spikes: &AllSpikes,
    threshold_ms: u64,
    now: u64,
    reply: &mut Reply<'_>,
) {
    let of = |name: &String| spikes.get_key_value(name.as_str());
    match question {
        SpikeQuestion::Latest => {
            reply.array(spikes.len());
            for (event, spikes) in spikes {
                let (at, ms) = spikes.samples.back().copied().unwrap_or_default();
                reply.array(4);
                reply.bulk(event.as_bytes());
                [at, ms, spikes.longest_ms].into_iter().for_each(|it| reply.int(it as i64));
            }
        }
        SpikeQuestion::History(name) => {
            let samples = of(name).map(|(_, spikes)| &spikes.samples);
            reply.array(samples.map_or(0, |samples| samples.len()));
            for (at, ms) in samples.into_iter().flatten() {
                reply.array(2);
                reply.int(*at as i64);
                reply.int(*ms as i64);
            }
        }
        SpikeQuestion::Graph(name) => match of(name) {
            Some((event, spikes)) => {
                reply.verbatim(b"txt", draw(event, spikes, now).as_bytes());
            }
            None => {
                let text = format!("ERR No samples available for event '{name}'");
                reply.error(text.as_bytes());
            }
        },
        SpikeQuestion::Doctor => {
            reply.verbatim(b"txt", diagnose(spikes, threshold_ms).as_bytes());
        }
    }
}

/// Rows of a drawing.
const ROWS_DRAWN: u64 = 4;

/// The spikes of an event as columns, the newest at the right, each above its age.
fn draw(event: &str, spikes: &Spikes, now: u64) -> String {
    let times = || spikes.samples.iter().map(|(_, ms)| *ms);
    let (high, low) = (times().max().unwrap_or(0), times().min().unwrap_or(0));
    let longest = spikes.longest_ms;
    let mut text = format!("{event} - high {high} ms, low {low} ms (all time high {longest} ms)\n");
    let _ = writeln!(text, "{}", "-".repeat(80));
    let steps = ROWS_DRAWN * 2;
    let heights: Vec<u64> =
        times().map(|ms| (ms - low) * (steps - 1) / (high - low).max(1) + 1).collect();
    for row in (0..ROWS_DRAWN).rev() {
        for height in &heights {
            text.push(match height.saturating_sub(row * 2) {
                0 => ' ',
                1 => '.',
                _ => '|',
            });
        }
        text.push('\n');
    }
    let ages: Vec<String> =
        spikes.samples.iter().map(|(at, _)| age(now.saturating_sub(*at))).collect();
    let lines = ages.iter().map(String::len).max().unwrap_or(0);
    text.push('\n');
    for line in 0..lines {
        for age in &ages {
            text.push(age.as_bytes().get(line).copied().map_or(' ', char::from));
        }
        text.push('\n');
    }
    text
}

/// Seconds in a short form.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What the spikes say, in words.
fn diagnose(spikes: &AllSpikes, threshold_ms: u64) -> String {
    if threshold_ms == 0 {
        return "Nobody watches: latency-monitor-threshold is 0. Set it with CONFIG SET to the \
                milliseconds from which an event is worth a look, and ask again later.\n"
            .to_owned();
    }
    if spikes.is_empty() {
        return format!("All is well: nothing has taken {threshold_ms} ms or more.\n");
    }
    let mut text = format!("What has taken {threshold_ms} ms or more since the last reset:\n\n");
    for (at, (event, own)) in spikes.iter().enumerate() {
        let times: Vec<u64> = own.samples.iter().map(|(_, ms)| *ms).collect();
        let mean = times.iter().sum::<u64>() / (times.len() as u64).max(1);
        let spread =
            times.iter().map(|ms| ms.abs_diff(mean)).sum::<u64>() / (times.len() as u64).max(1);
        let (count, longest) = (times.len(), own.longest_ms);
        let _ = writeln!(
            text,
            "{}. {event}: {count} spikes (mean {mean} ms, mean deviation {spread} ms, longest \
             {longest} ms).",
            at + 1
        );
    }
    text.push_str("\nWhat may help:\n\n");
    for event in spikes.keys() {
        text.push_str(match *event {
            "command" => {
                "- Slow commands: SLOWLOG GET shows which. Large values are read in pieces, but \
                 sorting or combining them is one step.\n"
            }
            "fast-command" => {
                "- Commands that are fast by nature were slow: the machine was busy with \
                 something else. See the run delay of the server's threads, and --cores.\n"
            }
            "expire-cycle" => "- Many keys or large values come due at once: spread their times.\n",
            _ => "- See INFO for what the server did meanwhile.\n",
        });
    }
    text
}

/// The histograms that are asked for by name, or all; a container stands for its subcommands.
pub(crate) fn chosen(names: &[String], all: &AllHistograms) -> Vec<&'static str> {
    if names.is_empty() {
        return all.keys().copied().collect();
    }
    let mut chosen = Vec::new();
    for name in names {
        let inner = format!("{name}|");
        let fits = |known: &&&'static str| **known == name || known.starts_with(&inner);
        for known in all.keys().filter(fits) {
            if !chosen.contains(known) {
                chosen.push(*known);
            }
        }
    }
    chosen
}

/// Answers with histograms in octaves of microseconds.
pub(crate) fn write_histograms(names: &[String], all: &AllHistograms, reply: &mut Reply<'_>) {
    let chosen = chosen(names, all);
    reply.map(chosen.len());
    for name in chosen {
        let histogram = &all[name];
        reply.bulk(name.as_bytes());
        reply.map(2);
        reply.bulk(b"calls");
        reply.int(histogram.total() as i64);
        reply.bulk(b"histogram_usec");
        let octaves = histogram.octaves();
        reply.map(octaves.len());
        for (us, count) in octaves {
            reply.int(us as i64);
            reply.int(count as i64);
        }
    }
}

/// LATENCY HELP
fn help(_: &mut Context<'_>, _: &Args<'_>, reply: &mut Reply<'_>) -> Result<Outcome, Error> {
    write_help(
        reply,
        "LATENCY",
        &[
            "DOCTOR",
            "    Return what the spikes may mean, and what to do.",
            "GRAPH <event>",
            "    Return a drawing of an event's spikes.",
            "HISTORY <event>",
            "    Return when an event had spikes, and of how many milliseconds.",
            "LATEST",
            "    Return the last spike of each event, and its longest.",
            "RESET [<event> ...]",
            "    Forget the spikes of some events, or of all; return of how many.",
            "HISTOGRAM [COMMAND ...]",
            "    Return how long some commands took, or all: calls not longer than so many",
            "    microseconds, by powers of two.",
        ],
    );
    Ok(Outcome::Done)
}

/// The container's name never runs alone: its arity asks for a subcommand.
fn alone(_: &mut Context<'_>, _: &Args<'_>, _: &mut Reply<'_>) -> Result<Outcome, Error> {
    Err(Error::Arity("latency"))
}

const ADMIN: &[Flags] = &[Flags::ADMIN, Flags::NOSCRIPT, Flags::LOADING, Flags::STALE];

const fn row(name: &'static str, arity: i8, flags: &[Flags]) -> Row {
    Row::new(name, arity, Group::Server, Plan::Session).flags(flags)
}

pub(super) static ROWS: &[SessionRow] = &[SessionRow::container(
    row("latency", -2, &[]).about("2.8.13", "A container for commands about latency"),
    alone,
    &[
        SessionRow::new(
            row("latency|doctor", 2, ADMIN).about("2.8.13", "Returns what spikes may mean"),
            doctor,
        ),
        SessionRow::new(
            row("latency|graph", 3, ADMIN).about("2.8.13", "Returns a drawing of spikes"),
            graph,
        ),
        SessionRow::new(
            row("latency|history", 3, ADMIN).about("2.8.13", "Returns the spikes of an event"),
            history,
        ),
        SessionRow::new(
            row("latency|latest", 2, ADMIN).about("2.8.13", "Returns the last spike of each event"),
            latest,
        ),
        SessionRow::new(row("latency|reset", -2, ADMIN).about("2.8.13", "Forgets spikes"), reset),
        SessionRow::new(
            row("latency|histogram", -2, ADMIN)
                .about("7.0.0", "Returns how long commands took, in octaves"),
            histogram,
        ),
        SessionRow::new(
            row("latency|help", 2, &[Flags::LOADING, Flags::STALE])
                .about("2.8.13", "Returns help on the subcommands"),
            help,
        ),
    ],
)];
