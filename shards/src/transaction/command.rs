//! One command of a transaction: what its steps run at each owner, and what comes of that.

use super::coordinator::Replied;
use crate::carried::{Carried, TOLD, first_there};
use crate::commands::{Move, Plan, Row, Run, Words, parse_int};
use crate::fold::{Fold, Parts, fold};
use crate::shard::{Millis, Ran, Task};
use crate::tracking::Speaker;
use crate::waiting::{Null, Waiter};
use pinion_io::resp::{Protocol, Reply};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Run it, or the owner's part of it.
    Run,
    /// Look whether it may run.
    Check,
    /// Take values out, or copy them.
    Take,
    /// Say what is known of the keys that the values name.
    Ask,
    /// Run it with the values.
    Put,
    /// Take away what was moved, or give back what was refused.
    Follow,
    /// Look which key is there.
    Look,
    /// Run it with the first that was.
    Pick,
    /// Wait, if that is what it came to.
    Park,
    /// Remember who reads its keys.
    Remember(Speaker),
}

/// One command.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) row: Option<&'static Row>,
    pub(super) db: u16,
    pub(super) words: Words,
    pub(super) shape: Shape,
    /// Its reply, once that is known.
    pub(super) reply: Vec<u8>,
    pub(super) wait: Option<Wait>,
    /// What its client speaks when it runs.
    pub(super) protocol: Protocol,
    /// How long its steps ran, in nanoseconds.
    pub(super) took: u64,
}

/// Of a command that waits if there is nothing for it.
#[derive(Debug)]
pub(super) struct Wait {
    pub(super) waiter: Waiter,
    /// It waits already, and these shards have said that there may be something for it.
    pub(super) offers: Option<Vec<u16>>,
    /// In the end: it waits, until this time if there is one.
    pub(super) parked: Option<Option<Millis>>,
}

/// How a command lies over its owners.
#[derive(Debug)]
pub(super) enum Shape {
    /// Not at all: its reply is known, or is somebody else's to give.
    Nothing,
    /// On one.
    Whole { task: Task, owner: u16 },
    /// A part to each.
    Parts { task: Task, check: Option<Run>, fold: Fold, shares: Vec<Share>, places: Vec<u16> },
    /// On one, with values from the others.
    Moved { plan: Move, to: u16, shares: Vec<Share>, asked: Vec<Share>, carried: Vec<Carried> },
    /// On the owner of the first key that is there.
    First { task: Task, shares: Vec<Share>, found: Option<u32> },
}

/// The keys of one owner, by the indexes of their words; none where it gets all words.
#[derive(Debug)]
pub(super) struct Share {
    /// Index in `Program::owners`.
    pub(super) owner: u16,
    pub(super) indexes: Vec<u32>,
    reply: Vec<u8>,
}

impl Share {
    pub(super) fn new(owner: u16, indexes: Vec<u32>) -> Self {
        Self { owner, indexes, reply: Vec::new() }
    }
}

impl Command {
    /// Writes the words of a step, and says what to do with them and with which values.
    pub(super) fn write(
        &mut self,
        phase: Phase,
        part: usize,
        owner: u16,
        to: &mut Words,
    ) -> Option<(Task, Vec<Carried>)> {
        let row = self.row.expect("what has steps has a row");
        let args = self.words.args();
        let subset = |indexes: &[u32], to: &mut Words| match indexes {
            [] => to.extend(args.from(0)),
            _ => row.keys[0].subset(&args, indexes, to),
        };
        let none = Vec::new();
        if let Phase::Remember(speaker) = phase {
            to.extend(row.key_indexes(&args).map(|index| args.at(index)));
            return Some((Task::Remember(speaker), none));
        }
        if phase == Phase::Park {
            return self.write_park(part, owner, to).map(|task| (task, none));
        }
        if matches!(self.shape, Shape::Moved { .. }) {
            return self.write_moved(row, phase, part, to);
        }
        match (&mut self.shape, phase) {
            (Shape::Whole { task, .. }, _) => {
                to.extend(args.from(0));
                Some((*task, none))
            }
            (Shape::Parts { task, check, shares, .. }, _) => {
                if !self.reply.is_empty() {
                    return None;
                }
                subset(&shares[part].indexes, to);
                match check {
                    Some(check) if phase == Phase::Check => Some((Task::Run(row, *check), none)),
                    _ => Some((*task, none)),
                }
            }
            (Shape::First { shares, .. }, Phase::Look) => {
                let keys = shares[part].indexes.iter().map(|&index| args.at(index as usize));
                to.extend(std::iter::once(args.at(0)).chain(keys));
                Some((Task::Run(row, first_there), none))
            }
            (Shape::First { task, shares, found }, _) => {
                let key = match found {
                    Some(found) => *found,
                    None if part == 0 && self.wait.is_none() => shares[0].indexes[0],
                    None => return None,
                };
                if !shares[part].indexes.contains(&key) {
                    return None;
                }
                subset(&[key], to);
                Some((*task, none))
            }
            (Shape::Nothing | Shape::Moved { .. }, _) => None,
        }
    }

    /// The same where values are brought together.
    fn write_moved(
        &mut self,
        row: &'static Row,
        phase: Phase,
        part: usize,
        to: &mut Words,
    ) -> Option<(Task, Vec<Carried>)> {
        let args = self.words.args();
        let Shape::Moved { plan, shares, carried, .. } = &mut self.shape else { return None };
        let all = plan.settle.is_some() || plan.back.is_some();
        let none = Vec::new();
        let (run, carried) = match phase {
            Phase::Take => (plan.take, none),
            Phase::Ask => {
                let sent = carried.iter().filter(|value| value.index < TOLD).map(Carried::copy);
                (row.ask(&args)?, sent.collect())
            }
            Phase::Put if self.reply.is_empty() => (plan.put, std::mem::take(carried)),
            // The values come back in the order of their keys: there is one such key.
            Phase::Follow if !carried.is_empty() => (plan.back?, std::mem::take(carried)),
            Phase::Follow if has_moved(&self.reply) => (plan.settle?, none),
            _ => return None,
        };
        if phase == Phase::Take && !all {
            let keys = shares[part].indexes.iter().map(|&index| args.at(index as usize));
            to.extend(std::iter::once(args.at(0)).chain(keys));
        } else {
            to.extend(args.from(0));
        }
        Some((Task::Run(row, run), carried))
    }

    /// Has a command wait that found nothing, or go on waiting.
    fn write_park(&mut self, part: usize, owner: u16, to: &mut Words) -> Option<Task> {
        let wait = self.wait.as_ref()?;
        let row = self.row?;
        let Plan::Wait(try_run, _) = row.plan else { return None };
        if !self.found_nothing() {
            return None;
        }
        if let Some(offers) = &wait.offers {
            return offers.contains(&owner).then_some(Task::Stay(wait.waiter));
        }
        let args = self.words.args();
        match self.indexes_of_owner(part) {
            Some(indexes) => row.keys[0].subset(&args, &indexes, to),
            None => to.extend(args.from(0)),
        }
        Some(Task::Park(row, try_run, wait.waiter))
    }

    pub(super) fn take(&mut self, phase: Phase, part: usize, answer: (&[u8], Vec<Carried>, Ran)) {
        let (reply, mut values, ran) = answer;
        if matches!(phase, Phase::Remember(_)) {
            return;
        }
        if phase == Phase::Park {
            match (ran, &mut self.wait) {
                (Ran::Parked(until), Some(wait)) => {
                    wait.parked = Some(until);
                    self.resolve(part, reply);
                }
                // Its words are wrong, which it says wherever it is tried.
                _ if !reply.is_empty() => self.reply = reply.to_vec(),
                _ => {}
            }
            return;
        }
        match (&mut self.shape, phase) {
            (Shape::Parts { .. }, Phase::Check) => {
                if reply.first() == Some(&b'-') {
                    self.reply = reply.to_vec();
                } else if reply != b":0\r\n" && self.reply.is_empty() {
                    self.reply = b":0\r\n".to_vec();
                }
            }
            (Shape::Parts { shares, task, .. }, _) => {
                let nothing = matches!(task, Task::Once(..)) && is_null(reply);
                if ran == Ran::Done && !nothing {
                    shares[part].reply.extend_from_slice(reply);
                }
            }
            (Shape::Moved { .. }, Phase::Take) if reply.first() == Some(&b'-') => {
                self.reply = reply.to_vec();
            }
            (Shape::Moved { shares, carried, .. }, Phase::Take) => {
                let indexes = &shares[part].indexes;
                debug_assert_eq!(indexes.len(), values.len(), "a value for each key");
                for (value, &index) in values.iter_mut().zip(indexes) {
                    value.index = index;
                }
                carried.append(&mut values);
                carried.sort_unstable_by_key(|value| value.index);
            }
            (Shape::Moved { carried, .. }, Phase::Ask) => {
                debug_assert_eq!(values.len(), 1, "every shard says what it knows");
                values.iter_mut().for_each(|value| value.index = TOLD + part as u32);
                carried.append(&mut values);
                carried.sort_unstable_by_key(|value| value.index);
            }
            (Shape::Moved { shares, carried, .. }, Phase::Put) => {
                self.reply = reply.to_vec();
                let index = shares.first().and_then(|share| share.indexes.first());
                values.iter_mut().for_each(|value| value.index = *index.unwrap_or(&0));
                *carried = values;
            }
            (Shape::Moved { .. }, _) => {}
            (Shape::First { shares, found, .. }, Phase::Look) => {
                let place = reply.get(1..reply.len().saturating_sub(2)).and_then(parse_int);
                if let Some(place) = place.and_then(|place| usize::try_from(place - 1).ok()) {
                    let key = shares[part].indexes[place];
                    *found = Some(found.map_or(key, |found| found.min(key)));
                }
            }
            _ => self.reply = reply.to_vec(),
        }
    }

    /// The keys at the owner of a part, by the indexes of their words; none where it gets all.
    fn indexes_of_owner(&self, part: usize) -> Option<Vec<u32>> {
        let (Shape::First { shares, .. } | Shape::Parts { shares, .. }) = &self.shape else {
            return None;
        };
        let own = shares.iter().filter(|share| share.owner == shares[part].owner);
        Some(own.flat_map(|share| &share.indexes).copied().collect())
    }

    /// Takes the words with which an owner waits for those of the request: what goes with its keys
    /// is the last of them.
    fn resolve(&mut self, part: usize, reply: &[u8]) {
        let (Shape::Parts { shares, .. }, Some(indexes)) =
            (&self.shape, self.indexes_of_owner(part))
        else {
            return;
        };
        let words = strings(reply);
        let Some(first) = words.len().checked_sub(indexes.len()) else { return };
        let keys = shares.len();
        let at = |index: usize| {
            let key = index.checked_sub(keys)?;
            indexes.binary_search(&(key as u32)).ok()
        };
        let mut resolved = Words::default();
        let old = self.words.args();
        resolved.extend(old.from(0).enumerate().map(|(index, word)| match at(index) {
            Some(own) => words[first + own],
            None => word,
        }));
        self.words = resolved;
    }

    /// True if it waits now.
    pub(super) fn parked(&self) -> Option<Option<Millis>> {
        self.wait.as_ref().and_then(|wait| wait.parked)
    }

    /// True if there was nothing for a command that waits, and so it goes on.
    pub(super) fn found_nothing(&self) -> bool {
        match &self.shape {
            Shape::First { found, .. } => found.is_none(),
            Shape::Parts { shares, .. } => {
                self.reply.is_empty() && shares.iter().all(|share| share.reply.is_empty())
            }
            Shape::Moved { .. } => is_null(&self.reply),
            Shape::Nothing | Shape::Whole { .. } => false,
        }
    }

    /// Puts the replies of its parts together.
    pub(super) fn finish(&mut self, random: u64) {
        let Shape::Parts { task, fold: how, shares, places, .. } = &mut self.shape else { return };
        if !self.reply.is_empty() {
            return;
        }
        let replies: Vec<_> = shares.iter_mut().map(|it| std::mem::take(&mut it.reply)).collect();
        let mut reply = Reply::new(&mut self.reply, self.protocol);
        if matches!(task, Task::Once(..)) && replies.iter().all(Vec::is_empty) {
            return Null::Array.write(&mut reply);
        }
        fold(*how, &Parts { replies: &replies, places, random }, &mut reply);
    }

    /// Gives the words away.
    pub(super) fn into_words(self) -> Words {
        self.words
    }

    /// Gives away what became of it.
    pub(super) fn into_replied(self) -> Replied {
        Replied { row: self.row, reply: self.reply, words: self.words, took: self.took }
    }
}

/// The strings of an array.
fn strings(reply: &[u8]) -> Vec<&[u8]> {
    let mut rest = reply.get(memchr::memchr(b'\n', reply).map_or(0, |end| end + 1)..);
    let mut strings = Vec::new();
    while let Some(text) = rest
        && let Some(end) = memchr::memchr(b'\r', text)
        && let Some(len) = text.get(1..end).and_then(parse_int)
        && let Some(string) = text.get(end + 2..end + 2 + len as usize)
    {
        strings.push(string);
        rest = text.get(end + 4 + len as usize..);
    }
    strings
}

fn is_null(reply: &[u8]) -> bool {
    matches!(reply, b"$-1\r\n" | b"*-1\r\n" | b"_\r\n")
}

/// True unless a reply says that nothing was moved.
fn has_moved(reply: &[u8]) -> bool {
    reply.first() != Some(&b'-') && reply != b":0\r\n" && !is_null(reply)
}
