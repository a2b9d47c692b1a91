//! The commands of a transaction, laid over their owners in stages.
//!
//! Every owner runs what concerns it in the order of the commands. What a command does at an owner
//! stands in the first stage in which all that it needs from other owners has come.

use super::locks::{Mode, Wanted};
use super::part::{Part, Piece, Watcher};
use crate::carried::{Carried, first_there};
use crate::commands::{Flags, Move, Plan, Row, Run, Spread, Words, parse_int};
use crate::error::Error;
use crate::fold::{Fold, Parts, fold};
use crate::keyspace::Cursor;
use crate::route::Route;
use crate::shard::{Millis, Ran, Task};
use crate::table::Hasher;
use crate::waiting::{Null, Waiter};
use pinion_io::resp::{Protocol, Reply};

/// What it takes to find the owner and the hash of a key.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) route: Route,
    pub(super) hasher: Hasher,
    pub(super) home: u16,
}

/// The commands of a transaction.
#[derive(Debug, Default)]
pub(super) struct Program {
    pub(super) commands: Vec<Command>,
    pub(super) owners: Vec<Owner>,
    /// The client, to those who know what it watches.
    pub(super) watcher: Watcher,
    /// By stage, and within one by command.
    steps: Vec<Step>,
}

/// A shard that a transaction works on.
#[derive(Debug)]
pub(super) struct Owner {
    pub(super) index: u16,
    pub(super) wanted: Wanted,
    /// It has something of the client's watch.
    pub(super) watched: bool,
    /// The last stage in which it has something to do.
    pub(super) last: u32,
    /// Its locks are gone, or go with what was sent.
    pub(super) released: bool,
}

/// Something that one owner does for one command.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) stage: u32,
    /// Index in `Program::owners`.
    pub(super) owner: u16,
    command: u32,
    part: u16,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Run it, or the owner's part of it.
    Run,
    /// Look whether it may run.
    Check,
    /// Take values out, or copy them.
    Take,
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
}

/// One command.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) row: Option<&'static Row>,
    db: u16,
    words: Words,
    shape: Shape,
    /// Its reply, once that is known.
    pub(super) reply: Vec<u8>,
    wait: Option<Wait>,
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
enum Shape {
    /// Not at all: its reply is known, or is somebody else's to give.
    Nothing,
    /// On one.
    Whole { task: Task, owner: u16 },
    /// A part to each.
    Parts { task: Task, check: Option<Run>, fold: Fold, shares: Vec<Share>, places: Vec<u16> },
    /// On one, with values from the others.
    Moved { plan: Move, to: u16, shares: Vec<Share>, carried: Vec<Carried> },
    /// On the owner of the first key that is there.
    First { task: Task, shares: Vec<Share>, found: Option<u32> },
}

/// The keys of one owner, by the indexes of their words; none where it gets all words.
#[derive(Debug)]
struct Share {
    /// Index in `Program::owners`.
    owner: u16,
    indexes: Vec<u32>,
    reply: Vec<u8>,
}

impl Share {
    fn new(owner: u16, indexes: Vec<u32>) -> Self {
        Self { owner, indexes, reply: Vec::new() }
    }
}

impl Program {
    /// The place of a shard among the owners.
    fn owner(&mut self, index: usize) -> u16 {
        let known = self.owners.iter().position(|owner| usize::from(owner.index) == index);
        known.unwrap_or_else(|| {
            let wanted = Wanted::Keys(Vec::new());
            let index = index as u16;
            self.owners.push(Owner { index, wanted, watched: false, last: 0, released: false });
            self.owners.len() - 1
        }) as u16
    }

    fn want(&mut self, owner: u16, wanted: Wanted) {
        self.owners[usize::from(owner)].wanted.and(wanted);
    }

    /// Adds an owner at which the client watches keys.
    pub(super) fn watch(&mut self, index: u16) {
        let owner = self.owner(usize::from(index));
        self.owners[usize::from(owner)].watched = true;
    }

    /// Adds a command that runs elsewhere.
    pub(super) fn add_nothing(&mut self) {
        self.push(None, 0, Words::default(), Shape::Nothing, None);
    }

    fn fail(&mut self, row: &'static Row, error: Error) {
        self.push(Some(row), 0, Words::default(), Shape::Nothing, None);
        let reply = &mut self.commands.last_mut().expect("it was just added").reply;
        Reply::new(reply, Protocol::default()).error(error.text().as_bytes());
    }

    fn push(
        &mut self,
        row: Option<&'static Row>,
        db: u16,
        words: Words,
        shape: Shape,
        wait: Option<Wait>,
    ) {
        self.commands.push(Command { row, db, words, shape, reply: Vec::new(), wait });
    }

    /// Adds a command; with `wait`, it waits if there is nothing for it.
    pub(super) fn add(
        &mut self,
        row: &'static Row,
        db: u16,
        words: Words,
        ground: &Ground,
        wait: Option<Wait>,
    ) {
        let args = words.args();
        if !row.has_whole_steps(&args) {
            return self.fail(row, Error::Arity(row.name));
        }
        let mode = Mode::of(row.flags.has(Flags::WRITE));
        let (mut shares, mut places) = (Vec::<Share>::new(), Vec::new());
        for index in row.keys.iter().flat_map(|keys| keys.indexes(&args)) {
            let bytes = args.at(index);
            let owner = self.owner(ground.route.owner(bytes));
            self.want(owner, Wanted::Keys(vec![(ground.hasher.hash(bytes), mode)]));
            let known = shares.iter().position(|share| share.owner == owner);
            let share = known.unwrap_or_else(|| {
                shares.push(Share::new(owner, Vec::new()));
                shares.len() - 1
            });
            shares[share].indexes.push(index as u32);
            places.push(share as u16);
        }
        let shape = match self.shape(row, &words, ground, (shares, places)) {
            Ok(shape) => shape,
            Err(error) => return self.fail(row, error),
        };
        self.lay(&shape, wait.is_some());
        self.push(Some(row), db, words, shape, wait);
    }

    /// How a command lies over the owners of its keys.
    fn shape(
        &mut self,
        row: &'static Row,
        words: &Words,
        ground: &Ground,
        (shares, places): (Vec<Share>, Vec<u16>),
    ) -> Result<Shape, Error> {
        let task = match row.plan {
            Plan::Every { run, fold } => {
                return Ok(self.every(row, Task::Run(row, run), fold, ground));
            }
            Plan::Scan(run) => {
                let index = Cursor::shard(words.args().at(1), ground.route.shards())?;
                let owner = self.owner(index);
                self.want(owner, Wanted::All(Mode::Shared));
                return Ok(Shape::Whole { task: Task::Run(row, run), owner });
            }
            Plan::One(run) | Plan::First(run) | Plan::Each { run, .. } => Task::Run(row, run),
            Plan::Move(plan) => Task::Run(row, plan.put),
            Plan::Wait(try_run, _) => Task::Once(row, try_run),
            Plan::Watch => Task::Watch(row, self.watcher),
            Plan::Container(_) | Plan::Session => unreachable!("a shard runs it"),
        };
        match &shares[..] {
            [] => Ok(Shape::Whole { task, owner: self.owner(usize::from(ground.home)) }),
            [share] => Ok(Shape::Whole { task, owner: share.owner }),
            _ => spread(row, task, words, shares, places),
        }
    }

    /// A part to every shard, which locks all its keys.
    fn every(&mut self, row: &Row, task: Task, fold: Fold, ground: &Ground) -> Shape {
        let mode = Mode::of(row.flags.has(Flags::WRITE));
        let shares = (0..ground.route.shards()).map(|index| {
            let owner = self.owner(index);
            self.want(owner, Wanted::All(mode));
            Share::new(owner, Vec::new())
        });
        let shares = shares.collect();
        Shape::Parts { task, check: None, fold, shares, places: Vec::new() }
    }

    /// Gives each owner its steps of the command that comes next.
    fn lay(&mut self, shape: &Shape, may_wait: bool) {
        match shape {
            Shape::Nothing => {}
            Shape::Whole { owner, .. } => {
                self.step(0, *owner, 0, Phase::Run);
            }
            Shape::Parts { check, shares, .. } => {
                let from =
                    if check.is_some() { self.round(0, shares, Phase::Check) + 1 } else { 0 };
                let last = self.round(from, shares, Phase::Run);
                // A shard has it wait once, for all its keys.
                let mut waits = vec![!may_wait; self.owners.len()];
                for (part, share) in shares.iter().enumerate() {
                    if !std::mem::replace(&mut waits[usize::from(share.owner)], true) {
                        self.step(last + 1, share.owner, part, Phase::Park);
                    }
                }
            }
            Shape::Moved { plan, to, shares, .. } => {
                let taken = self.round(0, shares, Phase::Take);
                let put = self.step(taken + 1, *to, 0, Phase::Put);
                if plan.settle.is_some() || plan.back.is_some() {
                    self.round(put + 1, shares, Phase::Follow);
                }
                if may_wait {
                    self.round(put + 1, shares, Phase::Park);
                }
            }
            Shape::First { shares, .. } => {
                let looked = self.round(0, shares, Phase::Look);
                self.round(looked + 1, shares, Phase::Pick);
                if may_wait {
                    self.round(looked + 1, shares, Phase::Park);
                }
            }
        }
    }

    /// A step for each share; the last stage of them.
    fn round(&mut self, from: u32, shares: &[Share], phase: Phase) -> u32 {
        let steps = shares.iter().enumerate();
        steps.map(|(part, share)| self.step(from, share.owner, part, phase)).max().unwrap_or(from)
    }

    /// Adds a step in the stage `from`, or later if its owner has come further.
    fn step(&mut self, from: u32, owner: u16, part: usize, phase: Phase) -> u32 {
        let own = &mut self.owners[usize::from(owner)];
        own.last = own.last.max(from);
        let (stage, command) = (own.last, self.commands.len() as u32);
        self.steps.push(Step { stage, owner, command, part: part as u16, phase });
        stage
    }

    /// Puts the steps in order, once all commands are there. Where keys are watched and there are
    /// several owners, a look at these comes first.
    pub(super) fn arrange(&mut self) {
        if self.owners.len() > 1 && self.owners.iter().any(|owner| owner.watched) {
            self.steps.iter_mut().for_each(|step| step.stage += 1);
            self.owners.iter_mut().for_each(|owner| owner.last += 1);
        }
        if !self.steps.is_sorted_by_key(|step| step.stage) {
            self.steps.sort_by_key(|step| step.stage);
        }
    }

    /// The steps of a stage, by index.
    pub(super) fn stage(&self, stage: u32) -> std::ops::Range<usize> {
        let from = self.steps.partition_point(|step| step.stage < stage);
        from..self.steps.partition_point(|step| step.stage <= stage)
    }

    /// True if no stage comes after this.
    pub(super) fn is_last(&self, stage: u32) -> bool {
        self.steps.last().is_none_or(|step| step.stage <= stage)
    }

    /// Which owner a step is for.
    pub(super) fn owner_of(&self, step: usize) -> usize {
        usize::from(self.steps[step].owner)
    }

    /// Adds what a step has its owner run, unless it came to nothing.
    pub(super) fn write(
        &mut self,
        step: usize,
        protocol: Protocol,
        hasher: &Hasher,
        to: &mut Part,
    ) {
        let Step { command, part, phase, owner, .. } = self.steps[step];
        let owner = self.owners[usize::from(owner)].index;
        let first = to.words.len() as u32;
        let command = &mut self.commands[command as usize];
        let Some((task, carried)) = command.write(phase, usize::from(part), owner, &mut to.words)
        else {
            return;
        };
        let words = (first, to.words.len() as u32 - first);
        let args = to.words.some(first as usize..to.words.len());
        let key = command.row.and_then(|row| row.first_key(&args));
        let hash = key.map_or(0, |key| hasher.hash(args.at(key)));
        let (db, ran) = (command.db, Ran::Done);
        let step = step as u32;
        to.pieces.push(Piece { task, db, protocol, hash, words, step, carried, ran, reply_end: 0 });
    }

    /// Takes the answer to a step.
    pub(super) fn take(&mut self, step: usize, reply: &[u8], carried: Vec<Carried>, ran: Ran) {
        let Step { command, part, phase, .. } = self.steps[step];
        self.commands[command as usize].take(phase, usize::from(part), (reply, carried, ran));
    }
}

impl Command {
    /// Writes the words of a step, and says what to do with them and with which values.
    fn write(
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
        if phase == Phase::Park {
            return self.write_park(part, owner, to).map(|task| (task, none));
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
            (Shape::Moved { plan, shares, carried, .. }, _) => {
                let all = plan.settle.is_some() || plan.back.is_some();
                let (run, carried) = match phase {
                    Phase::Take => (plan.take, none),
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
            (Shape::Nothing, _) => None,
        }
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
        match &self.shape {
            Shape::First { shares, .. } | Shape::Parts { shares, .. } => {
                row.keys[0].subset(&args, &keys_beside(shares, part), to);
            }
            _ => to.extend(args.from(0)),
        }
        Some(Task::Park(row, try_run, wait.waiter))
    }

    fn take(&mut self, phase: Phase, part: usize, answer: (&[u8], Vec<Carried>, Ran)) {
        let (reply, mut values, ran) = answer;
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

    /// Takes the words with which a part waits for those of the request: what goes with its keys
    /// are the last of them.
    fn resolve(&mut self, part: usize, reply: &[u8]) {
        let Shape::Parts { shares, .. } = &self.shape else { return };
        let (words, own) = (strings(reply), shares[part].owner);
        let keys = shares.iter().filter(|share| share.owner == own).count();
        let Some(first) = words.len().checked_sub(keys) else { return };
        // A share has one key, and what goes with it stands as far behind it as there are keys.
        let begin = shares[0].indexes[0] as usize + shares.len();
        let is_own = |index: usize| {
            let share = index.checked_sub(begin).and_then(|at| shares.get(at));
            share.is_some_and(|share| share.owner == own)
        };
        let mut taken = words[first..].iter().copied();
        let mut resolved = Words::default();
        let old = self.words.args();
        resolved.extend(old.from(0).enumerate().map(|(index, old)| match is_own(index) {
            true => taken.next().unwrap_or(old),
            false => old,
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
    pub(super) fn finish(&mut self, protocol: Protocol, random: u64) {
        let Shape::Parts { task, fold: how, shares, places, .. } = &mut self.shape else { return };
        if !self.reply.is_empty() {
            return;
        }
        let replies: Vec<_> = shares.iter_mut().map(|it| std::mem::take(&mut it.reply)).collect();
        let mut reply = Reply::new(&mut self.reply, protocol);
        if matches!(task, Task::Once(..)) && replies.iter().all(Vec::is_empty) {
            return Null::Array.write(&mut reply);
        }
        fold(*how, &Parts { replies: &replies, places, random }, &mut reply);
    }

    /// Gives the words away.
    pub(super) fn into_words(self) -> Words {
        self.words
    }
}

/// How a command lies over several owners.
fn spread(
    row: &'static Row,
    task: Task,
    words: &Words,
    mut shares: Vec<Share>,
    places: Vec<u16>,
) -> Result<Shape, Error> {
    match row.plan {
        Plan::Each { fold, check, .. } => Ok(Shape::Parts { task, check, fold, shares, places }),
        Plan::Watch => Ok(Shape::Parts { task, check: None, fold: Fold::Ok, shares, places }),
        Plan::First(_) | Plan::Wait(_, Spread::First) => {
            Ok(Shape::First { task, shares, found: None })
        }
        Plan::Move(plan) | Plan::Wait(_, Spread::Move(plan)) => {
            let runs = &row.keys[usize::from(plan.to)..];
            let target = runs.iter().find_map(|run| run.indexes(&words.args()).next());
            let target = target.expect("a command of several keys has the one it goes to");
            let is_to = |share: &Share| share.indexes.contains(&(target as u32));
            let to = shares.iter().position(is_to).expect("a key has an owner");
            let to = shares.remove(to).owner;
            Ok(Shape::Moved { plan, to, shares, carried: Vec::new() })
        }
        Plan::Wait(_, Spread::Merged { check }) => {
            let mut each = Vec::new();
            for Share { owner, indexes, .. } in shares {
                each.extend(indexes.into_iter().map(|index| Share::new(owner, vec![index])));
            }
            each.sort_unstable_by_key(|share| share.indexes[0]);
            let (fold, places) = (Fold::Concat, Vec::new());
            Ok(Shape::Parts { task, check, fold, shares: each, places })
        }
        Plan::One(_) | Plan::Every { .. } | Plan::Scan(_) | Plan::Container(_) | Plan::Session => {
            Err(Error::CrossShard)
        }
    }
}

/// The keys, by the indexes of their words, of all shares of the owner that has share `part`.
fn keys_beside(shares: &[Share], part: usize) -> Vec<u32> {
    let own = shares.iter().filter(|share| share.owner == shares[part].owner);
    own.flat_map(|share| share.indexes.iter().copied()).collect()
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
