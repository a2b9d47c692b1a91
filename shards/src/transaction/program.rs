//! The commands of a transaction, laid over their owners in stages.
//!
//! Every owner runs what concerns it in the order of the commands. What a command does at an owner
//! stands in the first stage in which all that it needs from other owners has come.

use super::command::{Command, Phase, Shape, Share, Wait};
use super::locks::{Mode, Wanted};
use super::part::{Part, Piece, Watcher};
use crate::commands::{Flags, Move, Plan, Row, Spread, Words};
use crate::error::Error;
use crate::fold::Fold;
use crate::keyspace::Cursor;
use crate::limits::MERGED_BYTES_MAX;
use crate::route::Route;
use crate::shard::{Ran, Task};
use crate::table::Hasher;
use crate::tracking::Speaker;
use pinion_io::resp::{Protocol, Reply};
use std::collections::VecDeque;

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
    /// The client, if it caches what it reads.
    pub(super) speaker: Option<Speaker>,
    /// By stage, and within one by command.
    steps: Vec<Step>,
    /// Commands that run at home, each with the stage before which it does, and all before it.
    halts: VecDeque<(u32, usize)>,
    /// What comes runs in this stage or later.
    floor: u32,
    /// Stages so far.
    stages: u32,
    /// What the client speaks.
    protocol: Protocol,
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
    part: u32,
    phase: Phase,
}

impl Program {
    /// That of a client, still without commands.
    pub(super) fn of(protocol: Protocol) -> Self {
        Self { protocol, ..Self::default() }
    }

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

    /// Adds a command that runs at home; if it `halts`, between what comes before it and what
    /// comes after, under all locks.
    pub(super) fn add_home(&mut self, halts: bool) {
        if halts {
            // Locks are taken and watches looked at before anything runs.
            let stage = self.stages.max(1);
            if self.floor == stage {
                // Nothing of a shard has come since the last.
                self.halts.pop_back();
            }
            self.floor = stage;
            self.halts.push_back((stage, self.commands.len()));
        }
        self.push(None, 0, Words::default(), Shape::Nothing, None);
    }

    /// Adds a script, which halts, and has its keys to itself.
    pub(super) fn add_script(&mut self, keys: Option<&Words>, reads: bool, ground: &Ground) {
        let mode = Mode::of(!reads);
        if let Some(keys) = keys {
            for key in keys.args().from(0) {
                let owner = self.owner(ground.route.owner(key));
                self.want(owner, Wanted::Keys(vec![(ground.hasher.hash(key), mode)]));
            }
        } else {
            for index in 0..ground.route.shards() {
                let owner = self.owner(index);
                self.want(owner, Wanted::All(mode));
            }
        }
        self.add_home(true);
    }

    /// A program for the same owners, whose locks it leaves alone.
    pub(super) fn for_call(&self, protocol: Protocol) -> Self {
        let owner = |owner: &Owner| Owner {
            index: owner.index,
            wanted: Wanted::Keys(Vec::new()),
            watched: false,
            last: 0,
            released: true,
        };
        let owners = self.owners.iter().map(owner).collect();
        Self { owners, speaker: self.speaker, ..Self::of(protocol) }
    }

    /// The command for which the stage waits: what runs at home runs up to it.
    pub(super) fn take_halt(&mut self, stage: u32) -> Option<usize> {
        let &(_, index) = self.halts.front().filter(|halt| halt.0 == stage)?;
        self.halts.pop_front();
        Some(index)
    }

    /// Has all from a command on be in another protocol.
    pub(super) fn speak(&mut self, protocol: Protocol, from: usize) {
        self.commands[from..].iter_mut().for_each(|command| command.protocol = protocol);
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
        let (protocol, reply, took) = (self.protocol, Vec::new(), 0);
        self.commands.push(Command { row, db, words, shape, reply, wait, protocol, took });
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
        for index in row.key_indexes(&args) {
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
        if let Some(speaker) = self.speaker.filter(|speaker| speaker.remembers())
            && row.flags.has(Flags::READONLY)
        {
            self.lay_memory(&shape, speaker);
        }
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
            Plan::Channel(run) => {
                let owner = self.owner(ground.route.owner(words.args().at(1)));
                return Ok(Shape::Whole { task: Task::Run(row, run), owner });
            }
            Plan::One(run) | Plan::First(run) | Plan::Each { run, .. } => Task::Run(row, run),
            Plan::Move(plan) => Task::Run(row, plan.put),
            Plan::Wait(try_run, _) => Task::Once(row, try_run),
            Plan::Watch => Task::Watch(row, self.watcher),
            Plan::Container(_) | Plan::Session | Plan::Script => {
                unreachable!("a shard runs it")
            }
        };
        if let Plan::Move(plan) = row.plan
            && ground.route.shards() > 1
            && row.asks_all(&words.args())
        {
            return Ok(self.asked(row, plan, words, shares, ground));
        }
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

    /// Values brought from where they live to where the command runs, with what all shards know of
    /// the keys that they name.
    fn asked(
        &mut self,
        row: &Row,
        plan: Move,
        words: &Words,
        shares: Vec<Share>,
        ground: &Ground,
    ) -> Shape {
        let asked = (0..ground.route.shards()).map(|index| {
            let owner = self.owner(index);
            self.want(owner, Wanted::All(Mode::Shared));
            Share::new(owner, Vec::new())
        });
        let asked = asked.collect();
        let target = target(row, plan, words);
        let to = shares[holder(&shares, target)].owner;
        // The values are brought from all the keys that are read, be it to where they are.
        let read = row.keys.first().into_iter().flat_map(|keys| keys.indexes(&words.args()));
        let read: Vec<_> = read.map(|index| index as u32).collect();
        let shares = shares.into_iter().filter_map(|share| {
            let own = share.indexes.iter().copied().filter(|index| read.contains(index));
            let own: Vec<_> = own.collect();
            (!own.is_empty()).then(|| Share::new(share.owner, own))
        });
        Shape::Moved { plan, to, shares: shares.collect(), asked, carried: Vec::new() }
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
                // A key has a share of its own here, and an owner parks the command once.
                let mut parked = vec![!may_wait; self.owners.len()];
                for (part, share) in shares.iter().enumerate() {
                    if !std::mem::replace(&mut parked[usize::from(share.owner)], true) {
                        self.step(last + 1, share.owner, part, Phase::Park);
                    }
                }
            }
            Shape::Moved { plan, to, shares, asked, .. } => {
                let mut taken = self.round(0, shares, Phase::Take);
                if !asked.is_empty() {
                    taken = self.round(taken + 1, asked, Phase::Ask);
                }
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

    /// Has each owner remember who reads.
    #[cold]
    fn lay_memory(&mut self, shape: &Shape, speaker: Speaker) {
        let shares = match shape {
            Shape::Nothing => return,
            Shape::Whole { owner, .. } => {
                self.step(0, *owner, 0, Phase::Remember(speaker));
                return;
            }
            Shape::Moved { asked, .. } if !asked.is_empty() => asked,
            Shape::Moved { to, shares, .. } => {
                self.step(0, *to, 0, Phase::Remember(speaker));
                shares
            }
            Shape::Parts { shares, .. } | Shape::First { shares, .. } => shares,
        };
        self.round(0, shares, Phase::Remember(speaker));
    }

    /// A step for each share; the last stage of them.
    fn round(&mut self, from: u32, shares: &[Share], phase: Phase) -> u32 {
        let steps = shares.iter().enumerate();
        steps.map(|(part, share)| self.step(from, share.owner, part, phase)).max().unwrap_or(from)
    }

    /// Adds a step in the stage `from`, or later if its owner has come further.
    fn step(&mut self, from: u32, owner: u16, part: usize, phase: Phase) -> u32 {
        let own = &mut self.owners[usize::from(owner)];
        own.last = own.last.max(from).max(self.floor);
        let (stage, command) = (own.last, self.commands.len() as u32);
        self.stages = self.stages.max(stage + 1);
        self.steps.push(Step { stage, owner, command, part: part as u32, phase });
        stage
    }

    /// Puts the steps in order, once all commands are there. Where keys are watched and there are
    /// several owners, a look at these comes first.
    pub(super) fn arrange(&mut self) {
        if self.owners.len() > 1 && self.owners.iter().any(|owner| owner.watched) {
            self.steps.iter_mut().for_each(|step| step.stage += 1);
            self.owners.iter_mut().for_each(|owner| owner.last += 1);
            self.halts.iter_mut().for_each(|halt| halt.0 += 1);
        }
        if let Some(&(last, _)) = self.halts.back() {
            // Nothing is let go before.
            self.owners.iter_mut().for_each(|owner| owner.last = owner.last.max(last));
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
        self.steps.last().is_none_or(|step| step.stage <= stage) && self.halts.is_empty()
    }

    /// Which owner a step is for.
    pub(super) fn owner_of(&self, step: usize) -> usize {
        usize::from(self.steps[step].owner)
    }

    /// Adds what a step has its owner run, unless it came to nothing.
    pub(super) fn write(&mut self, step: usize, hasher: &Hasher, to: &mut Part) {
        let Step { command, part, phase, owner, .. } = self.steps[step];
        let owner = self.owners[usize::from(owner)].index;
        let first = to.words.len() as u32;
        let command = &mut self.commands[command as usize];
        let Some((task, carried)) = command.write(phase, part as usize, owner, &mut to.words)
        else {
            return;
        };
        let words = (first, to.words.len() as u32 - first);
        let args = to.words.some(first as usize..to.words.len());
        let key = command.row.and_then(|row| row.first_key(&args));
        let hash = key.map_or(0, |key| hasher.hash(args.at(key)));
        let (db, protocol, ran) = (command.db, command.protocol, Ran::Done);
        let step = step as u32;
        let (reply_end, took) = (0, 0);
        let piece = Piece { task, db, protocol, hash, words, step, carried, ran, reply_end, took };
        to.pieces.push(piece);
    }

    /// Takes the answer to a step.
    pub(super) fn take(&mut self, piece: &mut Piece, reply: &[u8]) {
        let Step { command, part, phase, .. } = self.steps[piece.step as usize];
        let command = &mut self.commands[command as usize];
        command.took += piece.took;
        let carried = std::mem::take(&mut piece.carried);
        command.take(phase, part as usize, (reply, carried, piece.ran));
    }
}

/// Index of the first key.
fn first_key(shares: &[Share]) -> usize {
    shares.first().and_then(|share| share.indexes.first()).map_or(0, |&index| index as usize)
}

/// Index of the key at whose owner a command runs.
fn target(row: &Row, plan: Move, words: &Words) -> u32 {
    let runs = &row.keys[usize::from(plan.to)..];
    let target = runs.iter().chain(row.keys).find_map(|run| run.indexes(&words.args()).next());
    target.expect("a command of several keys has the one it goes to") as u32
}

/// Which share has a key.
fn holder(shares: &[Share], key: u32) -> usize {
    let holds = |share: &Share| share.indexes.contains(&key);
    shares.iter().position(holds).expect("a key has an owner")
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
            let to = holder(&shares, target(row, plan, words));
            let (to, asked) = (shares.remove(to).owner, Vec::new());
            Ok(Shape::Moved { plan, to, shares, asked, carried: Vec::new() })
        }
        Plan::Wait(_, Spread::Merged { check }) => {
            // What stands before the keys goes along with each.
            let args = words.args();
            let head: usize = args.from(0).take(first_key(&shares)).map(<[u8]>::len).sum();
            if head.saturating_mul(places.len()) > MERGED_BYTES_MAX {
                return Err(Error::Text("ERR too many keys for such long options"));
            }
            let mut each = Vec::new();
            for Share { owner, indexes, .. } in shares {
                each.extend(indexes.into_iter().map(|index| Share::new(owner, vec![index])));
            }
            each.sort_unstable_by_key(|share| share.indexes[0]);
            let (fold, places) = (Fold::Concat, Vec::new());
            Ok(Shape::Parts { task, check, fold, shares: each, places })
        }
        Plan::One(_) | Plan::Every { .. } | Plan::Scan(_) | Plan::Channel(_) => {
            Err(Error::CrossShard)
        }
        Plan::Container(_) | Plan::Session | Plan::Script => unreachable!("a shard runs it"),
    }
}
