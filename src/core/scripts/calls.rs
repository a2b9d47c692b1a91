//! What a script calls that runs here: for shards as one more step of its transaction, for the
//! session at once.

use super::super::Work;
use crate::commands::{Found, Outcome, find};
use crate::dispatch::{Refusal, UNSAVED};
use pinion_io::resp::{Protocol, Reply};
use pinion_lua::{Answer, Called, Wish};
use pinion_shards::commands::{Args, Flags, Plan, Row, Words};
use pinion_shards::scripts::{Callee, Library as _, Stray, Tempo};
use pinion_shards::transaction::{Replied, TransactionId};
use std::sync::Arc;

/// What a script hears that has written before it touched what it has not declared.
const STRAYED: &str = "ERR the script needs a key that it has not declared; from now on it is run \
    for all shards";

impl Work {
    /// Runs a script whose transaction holds its locks and stands still.
    pub(in crate::core) fn start_script(&mut self, key: usize, halted: (TransactionId, usize)) {
        let running = &mut self.scripts[key];
        (running.halted, running.began) = (Some(halted), self.now);
        let (script, protocol) = (Arc::clone(&running.script), running.protocol);
        let args = running.words.args();
        match self.owner.value().begin_script(&script, &args, protocol) {
            Ok(run) => {
                self.scripts[key].run = Some(run);
                self.drive_script(key, Answer::Begin);
            }
            Err(text) => self.end_script(key, [b"-", &*text, b"\r\n"].concat()),
        }
    }

    /// Has a script go on, up to the next command of shards, its end, or a rest.
    pub(super) fn drive_script(&mut self, key: usize, mut answer: Answer) {
        let mut run = self.scripts[key].run.take().expect("it has begun");
        loop {
            match run.go_on(answer) {
                Wish::Call(mut called) => {
                    if self.call_for_script(key, &mut called) {
                        self.scripts[key].called = Some(called);
                        self.scripts[key].run = Some(run);
                        return;
                    }
                    answer = match self.scripts[key].again {
                        true => Answer::Stop(Vec::new()),
                        false => Answer::Called(called),
                    };
                }
                Wish::MayRun(called) => {
                    let args = Args::new(&called.bytes, &called.ranges);
                    let may = find(&args)
                        .ok()
                        .map(|found| self.denied_to_script(key, found.row(), &args).is_none());
                    answer = Answer::May(called, may);
                }
                Wish::Pause => {
                    let running = &mut self.scripts[key];
                    running.run = Some(run);
                    if running.tempo.is_some() {
                        return;
                    }
                    running.tempo = Some(Tempo {
                        began: running.began,
                        wrote: running.wrote,
                        script: Arc::clone(&running.script),
                        words: Arc::new(running.words.clone()),
                        is_for_all: running.all,
                    });
                    return;
                }
                Wish::Done => {
                    let reply = self.owner.value().end_script(run);
                    return self.end_script(key, reply);
                }
            }
        }
    }

    /// Runs what a script calls: true if its reply comes later.
    fn call_for_script(&mut self, key: usize, called: &mut Called) -> bool {
        let args = Args::new(&called.bytes, &called.ranges);
        let scripts = Arc::clone(&self.server.scripts);
        let callee = match scripts.find(&args, self.scripts[key].reads) {
            Ok(callee) => callee,
            Err(line) => {
                called.reply.extend_from_slice(&line);
                return false;
            }
        };
        let Ok(found) = find(&args) else { return false };
        if let Some(line) = self.denied_to_script(key, found.row(), &args) {
            called.reply.extend_from_slice(&line);
            return false;
        }
        let row = match callee {
            Callee::Shard(row) => row,
            Callee::Home => {
                self.call_home(key, called);
                return false;
            }
        };
        if row.flags.has(Flags::WRITE) && self.is_unsaved() {
            called.reply = format!("-{UNSAVED}\r\n").into_bytes();
            return false;
        }
        if !self.look_at_call(key, row, &args) {
            let running = &mut self.scripts[key];
            running.again = !running.wrote;
            if !running.again {
                Reply::new(&mut called.reply, called.protocol).error(STRAYED.as_bytes());
            }
            return false;
        }
        let running = &mut self.scripts[key];
        running.wrote |= row.flags.has(Flags::WRITE);
        let (id, _) = running.halted.expect("its transaction stands still");
        let command = (row, running.db, Words::of(&args));
        self.stats.command_late(row);
        self.coordinator.call(id, command, called.protocol);
        true
    }

    /// True if nothing may be written, since the last snapshot has failed.
    pub(super) fn is_unsaved(&self) -> bool {
        self.server.saves.has_failed() && self.settings.snapshots.refuse_unsaved()
    }

    /// Notes what a command needs beside the script's keys; false if it may not run under the
    /// locks that there are.
    fn look_at_call(&mut self, key: usize, row: &'static Row, args: &Args<'_>) -> bool {
        let shards = self.route.shards();
        let own = |stray: Option<Stray>, other: Stray| match (stray, other) {
            (Some(Stray::Shards), _) | (_, Stray::Shards) => Some(Stray::Shards),
            _ => Some(Stray::Keys),
        };
        let mut stray = None;
        for index in row.key_indexes(args) {
            let name = args.at(index);
            let hash = self.owner.value().hash(name);
            let running = &self.scripts[key];
            if !running.keys.contains(&hash) {
                stray = own(stray, Stray::Keys);
            }
            let owner = self.route.owner(name);
            let is_own = match &running.owners[..] {
                [] => owner == self.index,
                owners => owners.contains(&owner),
            };
            if !is_own {
                stray = own(stray, Stray::Shards);
            }
        }
        let needs_all = match row.plan {
            Plan::Every { .. } | Plan::Scan(_) => true,
            Plan::Channel(_) => {
                let owner = self.route.owner(args.at(1));
                !self.scripts[key].owners.contains(&owner)
            }
            Plan::Move(_) => row.asks_all(args),
            _ => row.key_indexes(args).next().is_none(),
        };
        if needs_all && shards > 1 {
            stray = own(stray, Stray::Shards);
        }
        let running = &mut self.scripts[key];
        if let Some(how) = stray {
            running.script.nature.note_stray(how);
            running.stray = own(running.stray, how);
        }
        stray.is_none() || running.all
    }

    /// Runs a command of the session for a script.
    fn call_home(&mut self, key: usize, called: &mut Called) {
        let args = Args::new(&called.bytes, &called.ranges);
        let scripts = Arc::clone(&self.server.scripts);
        let running = &mut self.scripts[key];
        let at = (running.began, &mut running.db);
        let mut reply = Reply::new(&mut called.reply, called.protocol);
        if scripts.run_own(&args, at, &mut reply) {
            return;
        }
        running.script.nature.note_stray(Stray::Shards);
        running.stray = Some(Stray::Shards);
        let socket = running.whose.socket();
        let Ok(Found::Session(row)) = find(&args) else { return };
        let before = self.connection(socket).map(|connection| connection.session.protocol);
        if let Some(connection) = self.connection(socket) {
            connection.session.protocol = called.protocol;
        }
        let asked = self.ask_session(socket, &args, row);
        if let (Some(connection), Some(before)) = (self.connection(socket), before) {
            connection.session.protocol = before;
        }
        match asked {
            Some((Outcome::Done, text)) => called.reply.extend_from_slice(&text),
            _ => {
                let text = "ERR This Redis command is not allowed from script";
                Reply::new(&mut called.reply, called.protocol).error(text.as_bytes());
            }
        }
    }

    /// The error that a script hears whose user may not do what it calls.
    fn denied_to_script(
        &mut self,
        key: usize,
        row: &'static Row,
        args: &Args<'_>,
    ) -> Option<Vec<u8>> {
        let running = &self.scripts[key];
        let (socket, user) = (running.whose.socket(), Arc::clone(running.user.as_ref()?));
        let denied = user.check(row, args).err()?;
        let mut line = Vec::new();
        let mut reply = Reply::new(&mut line, Protocol::default());
        Refusal::Denied(row, denied).write(args, user.name(), &mut reply);
        self.log_denied(socket, "lua", (row, args), denied);
        let text = line.strip_prefix(b"-NOPERM ").unwrap_or(&line[1..]);
        Some([b"-ERR ACL failure in script: ", text].concat())
    }

    /// Takes the reply of what a script has called.
    pub(in crate::core) fn take_called(&mut self, key: usize, replied: Replied) {
        let running = &mut self.scripts[key];
        let mut called = running.called.take().expect("it has called something");
        if replied.reply.first() == Some(&b'-') {
            self.stats.error(replied.row, &replied.reply, false);
        }
        called.reply = replied.reply;
        self.drive_script(key, Answer::Called(called));
    }
}
