//! A script that runs where its keys live, and calls what it needs at once.

use super::{Callee, Library, Script, Stray};
use crate::commands::{Args, Flags, Plan, Row, Words};
use crate::error::Error;
use crate::fold::{Parts, fold};
use crate::late::{Cost, Late};
use crate::shard::{Call, Millis, Ran, Sender, Shard, Task};
use crate::tracking::Speaker;
use crate::transaction::UnitId;
use pinion_io::resp::{Protocol, Reply};
use pinion_lua::{Answer, Called, Run, Wish};
use sha1::{Digest as _, Sha1};
use std::sync::Arc;

/// What a script hears that needs another shard after it has written.
const STRAYED: &str = "ERR the script needs what is not on the shard of its keys, which it has not \
    declared; from now on it is run for all shards";

/// A run.
#[derive(Debug)]
struct Local {
    run: Run,
    script: Arc<Script>,
    library: Arc<dyn Library>,
    /// It may not write.
    reads: bool,
    wrote: bool,
    db: u16,
    sender: Sender,
    speaker: Option<Speaker>,
    /// It needs another shard, and was ended.
    strayed: bool,
    /// It takes long, and has all keys to itself.
    unit: Option<UnitId>,
    /// The time at which it began, which is its time to the end.
    now: Millis,
}

/// A run that takes long, and stands still now and then.
#[derive(Debug)]
pub(crate) struct Slow {
    local: Local,
    unit: UnitId,
    number: u64,
    words: Arc<Words>,
    cost: Cost,
    /// It is to end.
    stop: bool,
}

/// How far a script that takes long has come.
#[derive(Clone, Debug)]
pub struct Tempo {
    /// When it began.
    pub began: Millis,
    /// It has changed something.
    pub wrote: bool,
    /// Which it is.
    pub script: Arc<Script>,
    /// The words of its request.
    pub words: Arc<Words>,
    /// It keeps the keys of all shards.
    pub is_for_all: bool,
}

/// How a part of a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Driven {
    /// It is done.
    Done,
    /// It goes on later.
    Paused,
}

impl Shard {
    /// Has its scripts share what those of all shards do.
    pub fn set_library(&mut self, library: Arc<dyn Library>) {
        self.scripts.set_library(library);
    }

    /// A script that the shards know, by its digest, or a function by its name.
    pub fn script(&mut self, name: &[u8], is_function: bool) -> Option<Arc<Script>> {
        self.scripts.script(name, is_function)
    }

    /// The script that the words of a request name.
    fn script_of(&mut self, row: &Row, args: &Args<'_>) -> Option<Arc<Script>> {
        match row.name {
            "eval" | "eval_ro" => self.script(&digest(args.at(1)), false),
            "evalsha" | "evalsha_ro" => self.script(&args.at(1).to_ascii_lowercase(), false),
            _ => self.script(args.at(1), true),
        }
    }

    /// Compiles a script of this digest: what it says of itself.
    ///
    /// # Errors
    /// The text of the error, without its mark.
    pub fn compile(&mut self, name: &[u8], source: &[u8]) -> Result<pinion_lua::Flags, Vec<u8>> {
        self.scripts.compile(name, source)
    }

    /// Begins a run for home: what it calls is home's to answer.
    ///
    /// # Errors
    /// The text of the error, without its mark.
    pub fn begin_script(
        &mut self,
        script: &Script,
        args: &Args<'_>,
        protocol: Protocol,
    ) -> Result<Run, Vec<u8>> {
        let meter = self.meter();
        self.scripts.begin(script, args, (protocol, meter))
    }

    /// Takes back what a run that was begun for home and is done has used: its reply.
    pub fn end_script(&mut self, run: Run) -> Vec<u8> {
        self.scripts.end(run)
    }

    /// Runs a script whose keys are all here.
    pub(crate) fn run_script(
        &mut self,
        now: Millis,
        call: &Call<'_>,
        reply: &mut Reply<'_>,
    ) -> Result<Ran, Error> {
        let row = call.task.row().expect("a script has a row");
        let library = self.scripts.library.clone().expect("shards with scripts share a library");
        let Some(script) = self.script_of(row, &call.args) else {
            return Err(Error::Text(missing(row)));
        };
        let meter = self.meter();
        let run = match self.scripts.begin(&script, &call.args, (reply.protocol(), meter)) {
            Ok(run) => run,
            Err(text) => {
                reply.error(&text);
                return Ok(Ran::Done);
            }
        };
        let reads = script.reads(row);
        let (db, sender, speaker) = (call.db, call.sender, call.speaker);
        let (wrote, strayed, unit) = (false, false, None);
        let mut local =
            Local { run, script, library, reads, wrote, db, sender, speaker, strayed, unit, now };
        match self.drive(&mut local, Answer::Begin) {
            Driven::Done => Ok(self.end_local(local, reply)),
            Driven::Paused => {
                let (unit, number) = (self.turns.locks.seize(), self.next_number());
                local.unit = Some(unit);
                let words = Words::of(&call.args);
                let cost = Cost { row: Some(row), words: words.clone(), took: 0 };
                let (words, stop) = (Arc::new(words), false);
                self.scripts.slow = Some(Box::new(Slow { local, unit, number, words, cost, stop }));
                Ok(Ran::Later(number))
            }
        }
    }

    /// Ends a run that is done: writes its reply, unless it has strayed.
    fn end_local(&mut self, local: Local, reply: &mut Reply<'_>) -> Ran {
        let text = self.scripts.end(local.run);
        if local.strayed {
            return Ran::Strayed;
        }
        reply.raw(&text);
        Ran::Done
    }

    /// Runs a script until it is done, or has taken so long that others should have their turn.
    fn drive(&mut self, local: &mut Local, mut answer: Answer) -> Driven {
        let was_in_part = std::mem::replace(&mut self.in_part, true);
        let driven = loop {
            match local.run.go_on(answer) {
                Wish::Done => break Driven::Done,
                Wish::Pause => break Driven::Paused,
                Wish::Call(mut called) => {
                    answer = match self.call_here(local, &mut called) {
                        Ok(()) => Answer::Called(called),
                        Err(how) => {
                            local.script.nature.note_stray(how);
                            local.strayed = !local.wrote;
                            if local.strayed {
                                Answer::Stop(Vec::new())
                            } else {
                                called.reply.clear();
                                Reply::new(&mut called.reply, called.protocol)
                                    .error(STRAYED.as_bytes());
                                Answer::Called(called)
                            }
                        }
                    };
                }
                Wish::MayRun(called) => {
                    let args = Args::new(&called.bytes, &called.ranges);
                    let may = local.library.knows(&args).then_some(true);
                    answer = Answer::May(called, may);
                }
            }
        };
        self.in_part = was_in_part;
        driven
    }

    /// Runs what a script calls, if that is this shard's affair.
    fn call_here(&mut self, local: &mut Local, called: &mut Called) -> Result<(), Stray> {
        let args = Args::new(&called.bytes, &called.ranges);
        let row = match local.library.find(&args, local.reads) {
            Ok(Callee::Shard(row)) => row,
            Ok(Callee::Home) => {
                let at = (local.now, &mut local.db);
                let mut reply = Reply::new(&mut called.reply, called.protocol);
                let known = local.library.run_own(&args, at, &mut reply);
                return if known { Ok(()) } else { Err(Stray::Shards) };
            }
            Err(line) => {
                called.reply.extend_from_slice(&line);
                return Ok(());
            }
        };
        let task = self.task_here(row, &args)?;
        let writes = row.flags.has(Flags::WRITE);
        if writes && self.keyspace.is_saving() && !self.save_before_script(local.db, row, &args) {
            return Err(Stray::Keys);
        }
        let is_held = match local.unit {
            _ if self.turns.is_empty() => false,
            Some(unit) => self.are_held_by_others(unit, row, &args),
            None => self.are_held(row, &args),
        };
        if is_held {
            return Err(Stray::Keys);
        }
        self.make_room_for(Some(row), local.now);
        local.wrote |= writes;
        let hash = row.first_key(&args).map_or(0, |index| self.hash(args.at(index)));
        let (db, sender, speaker) = (local.db, local.sender, local.speaker);
        let call = Call { task, sender, db, hash, speaker, args };
        let mut reply = Reply::new(&mut called.reply, called.protocol);
        let ran = self.run_one(local.now, &call, &mut Vec::new(), &mut reply);
        debug_assert!(!matches!(ran, Ran::Later(_)), "a part replies at once");
        if let Plan::Every { fold: how, .. } = row.plan {
            let replies = [std::mem::take(&mut called.reply)];
            let parts = Parts { replies: &replies, places: &[], random: local.now };
            fold(how, &parts, &mut Reply::new(&mut called.reply, called.protocol));
        }
        Ok(())
    }

    /// What runs a command whole on this shard, if all that it needs is here.
    fn task_here(&self, row: &'static Row, args: &Args<'_>) -> Result<Task, Stray> {
        let is_alone = self.shards() == 1;
        let owner = |name: &[u8]| self.route().owner(name);
        let mut keys = row.key_indexes(args).map(|index| owner(args.at(index)));
        if !is_alone && keys.any(|owner| owner != self.index()) {
            return Err(Stray::Shards);
        }
        let whole = |run| if is_alone { Ok(Task::Run(row, run)) } else { Err(Stray::Shards) };
        match row.plan {
            Plan::One(run) | Plan::First(run) | Plan::Each { run, .. } => Ok(Task::Run(row, run)),
            Plan::Move(plan) if row.asks_all(args) => whole(plan.put),
            Plan::Move(plan) => Ok(Task::Run(row, plan.put)),
            Plan::Wait(try_run, _) => Ok(Task::Once(row, try_run)),
            Plan::Channel(run) if owner(args.at(1)) == self.index() => Ok(Task::Run(row, run)),
            Plan::Every { run, .. } | Plan::Scan(run) | Plan::Channel(run) => whole(run),
            Plan::Watch | Plan::Container(_) | Plan::Session | Plan::Script => Err(Stray::Shards),
        }
    }

    /// True if a script here takes long and is to go on (`step_script`): no other core may borrow
    /// the shard.
    #[inline]
    pub fn has_slow_script(&self) -> bool {
        self.scripts.slow.is_some()
    }

    /// Has home know the script that takes long by another number; false if there is none of this.
    pub(crate) fn rename_script(&mut self, number: u64, to: u64) -> bool {
        let slow = self.scripts.slow.as_mut().filter(|slow| slow.number == number);
        slow.map(|slow| slow.number = to).is_some()
    }

    /// How far the script is that takes long, if there is one.
    pub fn tempo(&self) -> Option<Tempo> {
        let slow = self.scripts.slow.as_ref()?;
        let Local { now, wrote, ref script, .. } = slow.local;
        let (script, words) = (Arc::clone(script), Arc::clone(&slow.words));
        Some(Tempo { began: now, wrote, script, words, is_for_all: false })
    }

    /// Has the script that takes long end, if it has written nothing.
    pub fn stop_script(&mut self) {
        if let Some(slow) = self.scripts.slow.as_mut().filter(|slow| !slow.local.wrote) {
            slow.stop = true;
        }
    }

    /// Goes on with a script that takes long, for about a millisecond. Its reply, in the end, is
    /// among `take_late`.
    pub fn step_script(&mut self, now: Millis) {
        let Some(mut slow) = self.scripts.slow.take() else { return };
        let answer = if slow.stop {
            Answer::Stop(slow.local.script.killed_text().into())
        } else {
            Answer::GoOn
        };
        let began = self.instant();
        let driven = self.drive(&mut slow.local, answer);
        slow.cost.took += self.instant().saturating_sub(began);
        if driven == Driven::Paused {
            self.scripts.slow = Some(slow);
            return;
        }
        let Slow { local, unit, number, cost, .. } = *slow;
        let mut late = Late::later(local.sender, self.index(), number);
        let mut text = Vec::new();
        late.ran = self.end_local(local, &mut Reply::new(&mut text, Protocol::default()));
        (late.reply, late.cost) = (text, cost);
        self.waits.say(late);
        self.turns.locks.leave(unit);
        self.go_on(now);
    }
}

/// What is said where there is no such script.
fn missing(row: &Row) -> &'static str {
    if row.name.starts_with("fcall") {
        "ERR Function not found"
    } else {
        "NOSCRIPT No matching script. Please use EVAL."
    }
}

/// The SHA-1 of a script, in hexadecimal digits.
pub fn digest(source: &[u8]) -> [u8; 40] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(Sha1::digest(source)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}
