//! A mesh that is short of memory: what is evicted, and what is not.

use super::mesh::{Ask, Heard, Planted};
use super::source::Source;
use super::stage::{Script, Stage, one, values, words};
use crate::checkers::Span;
use pinion_shards::keyspace::{Choice, Policy};
use pinion_shards::{Bank, Offer};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keys that are always set together.
const GROUP: usize = 4;
/// Bytes that all shards may use together.
const LIMIT: i64 = 60_000;
/// By how much at most they use more, for a moment.
const EXCESS_MAX: i64 = 60_000;

/// What the shards of a mesh share.
#[derive(Debug)]
struct Purse {
    free: i64,
    offers: Vec<Offer>,
    least: i64,
}

#[derive(Clone, Debug)]
struct Shared(Arc<Mutex<Purse>>);

impl Shared {
    fn purse(&self) -> MutexGuard<'_, Purse> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bank for Shared {
    fn free(&self) -> i64 {
        self.purse().free
    }

    fn draw(&self, bytes: u64, must: bool) -> bool {
        let mut purse = self.purse();
        let draws = must || purse.free >= bytes as i64;
        purse.free -= if draws { bytes as i64 } else { 0 };
        purse.least = purse.least.min(purse.free);
        draws
    }

    fn give(&self, bytes: u64) {
        self.purse().free += bytes as i64;
    }

    fn adopt(&self, more: i64) {
        self.purse().free -= more;
    }

    fn offer(&self, shard: usize, offer: Offer) {
        self.purse().offers[shard] = offer;
    }

    fn has_colder(&self, shard: usize, score: u64) -> bool {
        let purse = self.purse();
        let mut others = purse.offers.iter().enumerate().filter(|(index, _)| *index != shard);
        purse.free > -EXCESS_MAX / 4 && others.any(|(_, offer)| offer.coldest > score)
    }
}

/// Groups of keys that are set and read together, among others that only take room.
#[derive(Default)]
struct Groups {
    left: usize,
    value: u64,
    /// By client, what it is about to hear: the value that it has just set, if it has.
    reads: HashMap<usize, Option<Option<u64>>>,
    wrong: Option<String>,
}

impl Script for Groups {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        self.value += 1;
        let value = self.value;
        let all = |source: &mut Source, each: &dyn Fn(usize) -> String| {
            let first = source.below(3) * GROUP;
            (first..first + GROUP).map(each).collect::<Vec<_>>().join(" ")
        };
        let (reads, ask) = match source.below(10) {
            0 => {
                let keys = all(source, &|key| format!("g{key}"));
                (Some(None), one(&format!("MGET {keys}")))
            }
            1 => {
                let pairs = all(source, &|key| format!("g{key} {value}"));
                let keys: Vec<_> = pairs.split(' ').step_by(2).collect();
                let read = words(&format!("MGET {}", keys.join(" ")));
                (Some(Some(value)), Ask::Exec(vec![words(&format!("MSET {pairs}")), read]))
            }
            2 => (None, one(&format!("MSET {}", all(source, &|key| format!("g{key} {value}"))))),
            3 => (None, one(&format!("RENAME f{} f{}", source.below(200), source.below(200)))),
            _ => {
                let filler = "x".repeat(source.below(3_000));
                (None, one(&format!("SET f{} y{filler}", source.below(200))))
            }
        };
        self.reads.insert(client, reads);
        Some(ask)
    }

    fn hear(&mut self, client: usize, heard: Heard, _: Span) {
        let Some(set) = self.reads[&client] else { return };
        let replies = heard.replies();
        let mut found = values(replies.last().expect("a reply"));
        let count = found.len();
        // What was evicted is a null, which has no value.
        found.retain(|value| !value.is_empty());
        found.dedup();
        let right = match set {
            Some(value) => count == GROUP && found == [value.to_string()],
            None => found.len() <= 1,
        };
        if !right {
            self.wrong = Some(format!("set {set:?}, read {found:?} of {count}"));
        }
    }
}

/// Whatever is evicted, no key goes while a transaction holds it; and what is counted agrees.
pub(super) fn run_limits(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let offers = vec![Offer::default(); stage.mesh.shards()];
    let shared = Shared(Arc::new(Mutex::new(Purse { free: LIMIT, offers, least: LIMIT })));
    let choices = [Choice::Lru, Choice::Lfu, Choice::Random, Choice::Lrm];
    let choice = choices[stage.source.below(choices.len())];
    stage.mesh.limit(&shared, Policy { choice, ..Policy::default() });
    let mut script = Groups { left: 250, ..Groups::default() };
    stage.play(&mut script)?;
    if let Some(wrong) = script.wrong {
        return Err(wrong);
    }
    let (held, used, evicted) = stage.mesh.memory();
    let purse = shared.purse();
    if purse.free + held as i64 != LIMIT || used > held {
        return Err(format!("{} free, {held} held, {used} used of {LIMIT}", purse.free));
    }
    if purse.least < -EXCESS_MAX {
        return Err(format!("{} bytes too much were out", -purse.least));
    }
    drop(purse);
    if evicted == 0 {
        return Err("nothing was evicted".to_owned());
    }
    stage.mesh.is_clean()
}
