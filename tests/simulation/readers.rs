//! Readers that wait for streams, and readers of what is too long for one turn.

use super::mesh::{Ask, Heard, Planted};
use super::source::Source;
use super::stage::{Script, Stage, numbers, one, values, words};
use super::workloads::finish;
use crate::checkers::Span;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Streams, of which several live on one shard.
const STREAMS: usize = 6;
/// What is asked of them.
const REQUESTS: usize = 70;
/// Parts of transactions that each may take on average, or something is tried again for nothing.
const PARTS_MAX: u64 = 10;

/// Writers of streams, readers that wait for several at once from where they are, and consumers of
/// a group.
#[derive(Default)]
struct Streams {
    left: usize,
    value: u64,
    writing: HashMap<usize, (usize, u64)>,
    /// What each reader has seen of each stream, in order.
    seen: HashMap<usize, BTreeMap<usize, Vec<(String, u64)>>>,
    /// What was delivered to the group.
    delivered: Vec<u64>,
    written: Vec<Vec<(String, u64)>>,
}

/// What an entry of a stream that is shown is: its stream, its ID, its value.
fn entries(reply: &[u8]) -> Vec<(usize, String, u64)> {
    let (mut stream, mut id, mut entries) = (0, String::new(), Vec::new());
    for word in values(reply) {
        if let Some(index) = word.strip_prefix('x') {
            stream = index.parse().expect("the name of a stream");
        } else if word.contains('-') {
            id = word;
        } else if let Some(value) = word.strip_prefix('v') {
            entries.extend(value.parse().ok().map(|value| (stream, id.clone(), value)));
        }
    }
    entries
}

fn every_stream() -> String {
    (0..STREAMS).map(|stream| format!("x{stream}")).collect::<Vec<_>>().join(" ")
}

impl Script for Streams {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        let timeout = *source.one_of(&[20, 200, 1_000]);
        match client % 3 {
            0 => {
                self.value += 1;
                let stream = source.below(STREAMS);
                self.writing.insert(client, (stream, self.value));
                Some(one(&format!("XADD x{stream} 1-* f v{}", self.value)))
            }
            1 => {
                let seen = self.seen.entry(client).or_default();
                let ids = (0..STREAMS).map(|stream| {
                    let last = seen.get(&stream).and_then(|seen| seen.last());
                    last.map_or("0-0", |(id, _)| id.as_str())
                });
                let ids: Vec<_> = ids.collect();
                let count = if source.below(2) == 0 { "COUNT 1 " } else { "" };
                let keys = every_stream();
                Some(one(&format!("XREAD {count}BLOCK {timeout} STREAMS {keys} {}", ids.join(" "))))
            }
            _ => {
                let (keys, ids) = (every_stream(), [">"; STREAMS].join(" "));
                let group = format!("GROUP g c{client} COUNT 1 BLOCK {timeout} NOACK");
                Some(one(&format!("XREADGROUP {group} STREAMS {keys} {ids}")))
            }
        }
    }

    fn hear(&mut self, client: usize, heard: Heard, _: Span) {
        let Heard::Said(reply) = heard else { panic!("one command, one reply") };
        match client % 3 {
            0 => {
                let (stream, value) = self.writing.remove(&client).expect("it has asked");
                let id = values(&reply).remove(0);
                self.written[stream].push((id, value));
            }
            1 => {
                let seen = self.seen.entry(client).or_default();
                for (stream, id, value) in entries(&reply) {
                    seen.entry(stream).or_default().push((id, value));
                }
            }
            _ => self.delivered.extend(entries(&reply).into_iter().map(|(.., value)| value)),
        }
    }
}

pub(super) fn run_streams(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let mut script = Streams { written: vec![Vec::new(); STREAMS], ..Streams::default() };
    for stream in 0..STREAMS {
        finish(&mut stage, &mut Ignored, one(&format!("XGROUP CREATE x{stream} g 0 MKSTREAM")))?;
    }
    script.left = REQUESTS;
    stage.play(&mut script)?;
    // What the group has not delivered is delivered in the end.
    let keys = every_stream();
    for rest in 0..2 {
        let ids = [">"; STREAMS].join(" ");
        let request = format!("XREADGROUP GROUP g end STREAMS {keys} {ids}");
        let mut last = Kept::default();
        finish(&mut stage, &mut last, one(&request))?;
        let shown = entries(&last.0).into_iter().map(|(.., value)| value);
        let before = script.delivered.len();
        script.delivered.extend(shown);
        if rest == 1 && script.delivered.len() > before {
            return Err("the group has more after all".to_owned());
        }
    }
    check_streams(&mut script)?;
    if stage.mesh.parts > REQUESTS as u64 * PARTS_MAX {
        return Err(format!("{} parts were sent for {REQUESTS} requests", stage.mesh.parts));
    }
    stage.mesh.is_clean()
}

fn check_streams(script: &mut Streams) -> Result<(), String> {
    for written in &mut script.written {
        written.sort_by_key(|(id, _)| id[2..].parse::<u64>().unwrap_or(0));
    }
    for (reader, seen) in &script.seen {
        for (stream, seen) in seen {
            if !script.written[*stream].starts_with(seen) {
                let written = &script.written[*stream];
                return Err(format!("reader {reader} saw {seen:?} of {written:?} in x{stream}"));
            }
        }
    }
    let once: HashSet<u64> = script.delivered.iter().copied().collect();
    let put: usize = script.written.iter().map(Vec::len).sum();
    if once.len() != script.delivered.len() || once.len() != put {
        let (all, one) = (script.delivered.len(), once.len());
        return Err(format!("{put} entries, {all} delivered, {one} different"));
    }
    Ok(())
}

/// Hears nothing.
struct Ignored;

impl Script for Ignored {
    fn next(&mut self, _: usize, _: &mut Source) -> Option<Ask> {
        None
    }

    fn hear(&mut self, _: usize, _: Heard, _: Span) {}
}

/// Keeps what it hears last.
#[derive(Default)]
struct Kept(Vec<u8>);

impl Script for Kept {
    fn next(&mut self, _: usize, _: &mut Source) -> Option<Ask> {
        None
    }

    fn hear(&mut self, _: usize, heard: Heard, _: Span) {
        self.0 = heard.replies().concat();
    }
}

/// Elements of the list that is too long for one piece.
const LONG: u64 = 9_000;
/// One seed of so many reads it: it takes a thousand times as long as others.
const LONG_SEEDS: u64 = 16;

/// A list of successive numbers whose head one client takes while it adds the next to the tail;
/// another key tells the next, and the others read.
#[derive(Default)]
struct Long {
    left: usize,
    next: u64,
    asked: HashMap<usize, VecDeque<bool>>,
    latest: HashMap<usize, u64>,
    wrong: Option<String>,
}

impl Script for Long {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        let reads = client != 0 && source.below(3) > 0;
        self.asked.entry(client).or_default().push_back(reads);
        Some(match (client, reads) {
            (0, _) => {
                self.next += 1;
                Ask::Exec(vec![
                    words("LPOP long"),
                    words(&format!("SET next {}", self.next)),
                    words(&format!("RPUSH long {}", self.next)),
                ])
            }
            (_, true) => one("LRANGE long 0 -1"),
            _ => one("STRLEN next"),
        })
    }

    fn hear(&mut self, client: usize, heard: Heard, _: Span) {
        let read = self.asked.get_mut(&client).and_then(VecDeque::pop_front);
        if read != Some(true) {
            return;
        }
        let shown = numbers(&heard.replies().concat());
        let whole = shown.len() as u64 == LONG && shown.windows(2).all(|two| two[0] + 1 == two[1]);
        let first = shown.first().copied().unwrap_or(0);
        let latest = self.latest.entry(client).or_default();
        if !whole || first < *latest {
            self.wrong = Some(format!("{} elements from {first}, after {latest}", shown.len()));
        }
        *latest = first;
    }
}

pub(super) fn run_long(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    if !seed.is_multiple_of(LONG_SEEDS) {
        return Ok(());
    }
    let mut stage = Stage::new(seed, planted);
    let all: Vec<String> = (1..=LONG).map(|number| number.to_string()).collect();
    finish(&mut stage, &mut Ignored, one(&format!("RPUSH long {}", all.join(" "))))?;
    let mut script = Long { left: 30, next: LONG, ..Long::default() };
    stage.play(&mut script)?;
    match script.wrong {
        Some(wrong) => Err(wrong),
        None => stage.mesh.is_clean(),
    }
}
