//! Scripts: sent to the shard of their keys, or run here, as a transaction that stands still while
//! they do, and runs what they call.

mod calls;

use super::Work;
use super::inbox::Request;
use super::transact::Client;
use crate::acl::User;
use crate::commands::Found;
use crate::dispatch::{NO_MEMORY, UNSAVED};
use crate::hop::Ticket;
use crate::scripts::new_script;
use pinion_io::resp::{Protocol, Reply};
use pinion_io::ring::SocketId;
use pinion_lua::{Answer, Called, Run};
use pinion_shards::batch::Outcome as Ended;
use pinion_shards::commands::{Args, Flags, Row, Words, parse_int};
use pinion_shards::scripts::{Script, Stray, Tempo, digest};
use pinion_shards::transaction::{self, Asked, TransactionId};
use pinion_shards::{Call, Ran, Sender, Task};
use slab::Slab;
use std::sync::Arc;

/// Scripts that run here.
pub(super) type Scripts = Slab<Running>;

/// What is known of scripts that take long.
#[derive(Debug, Default)]
pub(super) struct SlowScripts {
    /// Others know of one here.
    told: bool,
    /// How often some were to end, as far as that was seen.
    kills: [u64; 2],
}

/// What is said where there is no such script, in Redis's words, which its clients know.
const MISSING: &str = "NOSCRIPT No matching script. Please use EVAL.";

/// Whose a script is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    /// A client's one command, and the place of its reply.
    Client { socket: SocketId, sequence: u32 },
    /// An EXEC's, by its place in `Execs`.
    Exec { exec: usize, socket: SocketId },
}

/// A script that runs here, or is about to.
#[derive(Debug)]
pub(super) struct Running {
    script: Arc<Script>,
    row: &'static Row,
    words: Words,
    whose: Whose,
    protocol: Protocol,
    /// Who asks, unless that one may do all.
    user: Option<Arc<User>>,
    db: u16,
    reads: bool,
    wrote: bool,
    /// Its keys, by hash.
    keys: Vec<u64>,
    /// It has locked all there are, not only these.
    all: bool,
    /// The shards of its keys.
    owners: Vec<usize>,
    /// It did more than its keys say.
    stray: Option<Stray>,
    /// It is to run again, under the locks of all.
    again: bool,
    run: Option<Run>,
    began: u64,
    tempo: Option<Tempo>,
    /// What it has called, and waits for.
    called: Option<Called>,
    /// It is to end.
    stop: bool,
    reply: Vec<u8>,
    /// Where its transaction stands still.
    halted: Option<(TransactionId, usize)>,
}

impl Work {
    /// Runs a script; false if a lane is full.
    pub(super) fn run_script(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
    ) -> bool {
        let script = match self.script_of(row, args) {
            Ok(script) => script,
            Err(text) => {
                self.count(request, row);
                let line = [b"-", &*text, b"\r\n"].concat();
                self.stats.error(Some(row), &line, false);
                self.answer(request, |reply| reply.raw(&line));
                return true;
            }
        };
        let limited = self
            .connection(request.socket)
            .is_some_and(|connection| connection.session.login.is_limited());
        let owner = match row.first_key(args) {
            Some(_) => usize::from(request.owner),
            None => self.index,
        };
        let whole = self.keeps_to_shard(row, args, &script) && !limited;
        if whole && self.is_alone(row, args) {
            return self.send_script(request, args, row, owner);
        }
        if self.stalls(request) {
            return false;
        }
        let Some(place) = self.reserve(request, row) else { return true };
        self.stats.goes_on();
        let whose = Whose::Client { socket: request.socket, sequence: place.sequence };
        let all = !(script.reads(row) && script.keeps_to_keys());
        self.begin_script(whose, (row, script), (Words::of(args), place.db), all);
        self.pump();
        true
    }

    /// True if a script may run on the one shard of its keys. What it was seen to do is a promise
    /// only where it could be run again after all, since it writes nothing, or where its keys say
    /// with which others they belong: a worker's script that finds no work keeps to its keys, and
    /// then comes one that finds some.
    fn keeps_to_shard(&self, row: &Row, args: &Args<'_>, script: &Script) -> bool {
        let reads = script.reads(row);
        let tied = row.first_key(args).is_some()
            && row.key_indexes(args).all(|index| self.route.is_tied(args.at(index)));
        let shards = self.route.shards();
        (shards == 1 || reads || tied) && script.keeps_to_shard(shards)
    }

    /// Runs a script on the one shard of its keys; false if its lane is full.
    fn send_script(
        &mut self,
        request: &Request,
        args: &Args<'_>,
        row: &'static Row,
        owner: usize,
    ) -> bool {
        if owner != self.index {
            return self.run_at(request, args, row, Task::Script(row), owner);
        }
        self.count(request, row);
        let Some(connection) = self.connection(request.socket) else { return true };
        let (db, speaker) = (connection.session.db, connection.session.speaker());
        let protocol = connection.session.protocol;
        let sender = Sender(self.index as u16);
        let call =
            Call { task: Task::Script(row), sender, db, hash: request.hash, speaker, args: *args };
        let mut text = self.spare.pop().unwrap_or_default();
        let now = self.now;
        let ran = self.owner.value().run(now, &call, &mut Reply::new(&mut text, protocol));
        match ran {
            Ran::Later(number) => {
                let Some(place) = self.place(request.socket) else { return true };
                let (socket, sequence) = (request.socket, place.sequence);
                self.wait_for(owner, number, Ticket::Client { socket, sequence });
            }
            Ran::Strayed => {
                if let Some(place) = self.place(request.socket) {
                    self.restart_script(request.socket, place.sequence, row, args);
                }
            }
            Ran::Done | Ran::Parked(_) => {
                if text.first() == Some(&b'-') {
                    self.stats.error(Some(row), &text, false);
                }
                self.answer(request, |reply| reply.raw(&text));
            }
        }
        text.clear();
        self.keep_buffer(text);
        true
    }

    /// Runs a script here that has strayed on the shard of its keys, where it did nothing.
    pub(super) fn restart_script(
        &mut self,
        socket: SocketId,
        sequence: u32,
        row: &'static Row,
        args: &Args<'_>,
    ) {
        let script = self.script_of(row, args);
        let db = self.connection(socket).map(|connection| connection.session.db);
        match (script, db) {
            (Ok(script), Some(db)) => {
                let whose = Whose::Client { socket, sequence };
                self.begin_script(whose, (row, script), (Words::of(args), db), true);
                self.pump();
            }
            (Err(text), _) => {
                self.fill(socket, sequence, &[b"-", &*text, b"\r\n"].concat());
            }
            (Ok(_), None) => {}
        }
    }

    /// What a request hears that a script would keep waiting for too long.
    #[inline]
    pub(super) fn keeps_waiting(&self, request: &Request, found: Found) -> Option<&'static str> {
        let any = self.server.scripts.busy_text(None)?;
        let row = found.row();
        if row.flags.has(Flags::ALLOW_BUSY) {
            return None;
        }
        match found {
            _ if self.route.shards() == 1 => Some(any),
            Found::Session(_) => None,
            Found::Shard(row) if row.keys.is_empty() => Some(any),
            Found::Shard(_) => self.server.scripts.busy_text(Some(request.owner.into())),
        }
    }

    /// The script that a request names, or the text of an error.
    pub(super) fn script_of(
        &mut self,
        row: &'static Row,
        args: &Args<'_>,
    ) -> Result<Arc<Script>, Vec<u8>> {
        let text = |text: &str| text.as_bytes().to_vec();
        let is_function = row.name.starts_with("fcall");
        if is_function {
            let script = self.owner.value().script(args.at(1), true);
            let script = script.ok_or_else(|| text("ERR Function not found"))?;
            check_keys(args, "ERR Bad number of keys provided")?;
            return self.check_flags(row, script);
        }
        if row.name.starts_with("evalsha") && args.at(1).len() != 40 {
            return Err(text(MISSING));
        }
        check_keys(args, "ERR value is not an integer or out of range")?;
        if row.name.starts_with("evalsha") {
            let name = args.at(1).to_ascii_lowercase();
            let script = self.owner.value().script(&name, false);
            return self.check_flags(row, script.ok_or_else(|| text(MISSING))?);
        }
        let name = digest(args.at(1));
        let script = match self.owner.value().script(&name, false) {
            Some(script) => script,
            None => self.learn_script(&name, args.at(1))?,
        };
        self.check_flags(row, script)
    }

    /// Makes a script known to all shards that was not loaded, only run.
    fn learn_script(&mut self, name: &[u8], source: &[u8]) -> Result<Arc<Script>, Vec<u8>> {
        let flags = self.owner.value().compile(name, source)?;
        let script = new_script(name, source.into(), None, flags);
        Ok(self.server.scripts.add(script, false))
    }

    /// Looks whether a script may run now, by what it says of itself.
    fn check_flags(
        &mut self,
        row: &'static Row,
        script: Arc<Script>,
    ) -> Result<Arc<Script>, Vec<u8>> {
        let flags = &script.flags;
        if !flags.declared {
            return Ok(script);
        }
        if row.flags.has(Flags::READONLY) && !flags.no_writes {
            let text = "ERR Can not execute a script with write flag using *_ro command.";
            return Err(text.into());
        }
        if !flags.allow_oom && !flags.no_writes && self.server.ledger.refuses() {
            return Err(NO_MEMORY.into());
        }
        if !flags.no_writes && self.is_unsaved() {
            return Err(UNSAVED.into());
        }
        Ok(script)
    }

    /// Begins a script here, under the locks of its keys, or of `all` there are.
    pub(super) fn begin_script(
        &mut self,
        whose: Whose,
        (row, script): (&'static Row, Arc<Script>),
        (words, db): (Words, u16),
        all: bool,
    ) {
        let (socket, Whose::Client { .. }) = (whose.socket(), whose) else {
            unreachable!("an EXEC begins its scripts itself")
        };
        let key = self.add_script(whose, (row, script), (words, db), all);
        let asked = self.scripts[key].asked();
        let protocol = self.scripts[key].protocol;
        let speaker = self.connection(socket).and_then(|client| client.session.speaker());
        let client = Client::Script(key);
        let request = transaction::Request { client, protocol, watcher: 0, speaker };
        let mut tickets = &self.server.tickets;
        self.coordinator.begin(&request, &[], std::iter::once(asked), &mut tickets);
    }

    /// Keeps what is known of a script that is about to run here.
    pub(super) fn add_script(
        &mut self,
        whose: Whose,
        (row, script): (&'static Row, Arc<Script>),
        (words, db): (Words, u16),
        all: bool,
    ) -> usize {
        let args = words.args();
        let (mut hashes, mut owners) = (Vec::new(), Vec::new());
        for index in row.key_indexes(&args) {
            hashes.push(self.owner.value().hash(args.at(index)));
            owners.push(self.route.owner(args.at(index)));
        }
        let session = self.connection(whose.socket()).map(|connection| &connection.session);
        let protocol = session.map_or(Protocol::default(), |session| session.protocol);
        let limited = session.filter(|session| session.login.is_limited());
        let user = limited.map(|session| Arc::clone(session.login.user()));
        let reads = script.reads(row);
        self.scripts.insert(Running {
            script,
            row,
            words,
            whose,
            protocol,
            user,
            db,
            reads,
            wrote: false,
            keys: hashes,
            all,
            owners,
            stray: None,
            again: false,
            run: None,
            began: self.now,
            tempo: None,
            called: None,
            stop: false,
            reply: Vec::new(),
            halted: None,
        })
    }

    /// Goes on with the scripts that take long; true if there is one.
    pub(super) fn step_scripts(&mut self) -> bool {
        let is_here = self.owner.value().has_slow_script();
        if self.scripts.is_empty() && !is_here && !self.slow_scripts.told {
            return false;
        }
        let kills = self.server.scripts.kills();
        if kills != self.slow_scripts.kills {
            self.stop_scripts(kills);
        }
        if is_here {
            let now = self.now;
            self.owner.value().step_script(now);
            self.bring_late();
        }
        let resting = self.scripts.iter().filter(|(_, running)| running.rests());
        let resting: Vec<usize> = resting.map(|(key, _)| key).collect();
        for &key in &resting {
            let stops = std::mem::take(&mut self.scripts[key].stop);
            let answer = match stops {
                true => Answer::Stop(self.scripts[key].script.killed_text().into()),
                false => Answer::GoOn,
            };
            self.drive_script(key, answer);
            self.pump();
        }
        self.tell_tempo();
        is_here || !resting.is_empty()
    }

    /// Has those scripts end that take long, of the kinds of which that was asked.
    #[cold]
    fn stop_scripts(&mut self, kills: [u64; 2]) {
        let seen = std::mem::replace(&mut self.slow_scripts.kills, kills);
        let stops =
            |is_function: bool| kills[usize::from(is_function)] != seen[usize::from(is_function)];
        if self.owner.value().tempo().is_some_and(|tempo| stops(tempo.script.is_function())) {
            self.owner.value().stop_script();
        }
        for (_, running) in &mut self.scripts {
            let is_slow =
                running.tempo.as_ref().is_some_and(|tempo| stops(tempo.script.is_function()));
            running.stop |= is_slow && !running.wrote;
        }
    }

    /// Says how far the scripts are that take long, for those who wait for them.
    fn tell_tempo(&mut self) {
        let own = self.scripts.iter().filter_map(|(_, running)| {
            running.tempo.clone().map(|tempo| Tempo { wrote: running.wrote, ..tempo })
        });
        let tempo = own.min_by_key(|tempo| tempo.began);
        let tempo = tempo.or_else(|| self.owner.value().tempo());
        let told = std::mem::replace(&mut self.slow_scripts.told, tempo.is_some());
        if tempo.is_some() || told {
            let patience = self.settings.busy_reply_ms;
            self.server.scripts.note_slow(self.index, tempo, self.now, patience);
        }
    }

    /// Has a script's transaction go on, once it is done.
    fn end_script(&mut self, key: usize, reply: Vec<u8>) {
        let running = &mut self.scripts[key];
        running.tempo = None;
        let (id, index) = running.halted.expect("its transaction stands still");
        if running.stray.is_none() {
            running.script.nature.note_orderly();
        }
        match running.whose {
            Whose::Client { .. } => {
                running.reply = reply;
                let protocol = running.protocol;
                let mut tickets = &self.server.tickets;
                self.coordinator.go_on_after((id, index), protocol, &mut tickets);
            }
            Whose::Exec { exec, .. } => {
                self.scripts.remove(key);
                self.hear_script(exec, reply);
            }
        }
    }

    /// Answers the client of a script whose locks are gone, or runs it again.
    pub(super) fn finish_script(&mut self, key: usize) {
        let running = self.scripts.remove(key);
        let Whose::Client { socket, sequence } = running.whose else {
            unreachable!("an EXEC ends as a whole")
        };
        let Running { script, row, words, db, again, reply, began, .. } = running;
        if again {
            let whose = Whose::Client { socket, sequence };
            return self.begin_script(whose, (row, script), (words, db), true);
        }
        let took = self.now.saturating_sub(began) * 1_000_000;
        let (args, ran) = (words.args(), Ran::Done);
        let ended = Ended { reply: &reply, ran, row: Some(row), args, took };
        self.fill_ended(socket, sequence, &ended);
    }
}

impl Whose {
    fn socket(self) -> SocketId {
        match self {
            Self::Client { socket, .. } | Self::Exec { socket, .. } => socket,
        }
    }
}

impl Running {
    /// What its transaction is asked to lock.
    pub(super) fn asked(&self) -> Asked {
        let args = self.words.args();
        let keys = (!self.all).then(|| {
            let mut keys = Words::default();
            keys.extend(self.row.key_indexes(&args).map(|index| args.at(index)));
            keys
        });
        Asked::Script { keys, reads: self.reads }
    }

    /// True if it goes on by itself: it waits for nothing that it has called.
    fn rests(&self) -> bool {
        self.run.is_some() && self.called.is_none()
    }
}

/// Looks at the number of keys that a request says it has.
fn check_keys(args: &Args<'_>, no_number: &'static str) -> Result<(), Vec<u8>> {
    let text = match parse_int(args.at(2)) {
        None => no_number,
        Some(keys) if keys > args.len() as i64 - 3 => {
            "ERR Number of keys can't be greater than number of args"
        }
        Some(..0) => "ERR Number of keys can't be negative",
        Some(_) => return Ok(()),
    };
    Err(text.into())
}
