//! Connections that speak memcached's text protocol: their requests to the shards' rows.

use super::inbox::Request;
use super::{Core, Work};
use crate::commands::{Found, Job, find as find_command};
use crate::dispatch::{Refusal, is_unsaved};
use crate::errand::Errand;
use crate::memcached::{self, Ask, Step};
use crate::session::ReplyMode;
use pinion_io::clock::nanos;
use pinion_io::resp::Range;
use pinion_io::ring::SocketId;
use pinion_shards::Task;
use pinion_shards::commands::memcached::{find as memcached_row, instant};
use pinion_shards::commands::{Args, Flags, Group, Plan, Row, find};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What the figures of commands call `stats`.
static STATS: Row = Row::new("memcached|stats", 1, Group::Server, Plan::Session);

impl Core {
    /// Runs the requests that a connection has gathered, as far as it may; returns how many bytes
    /// the next one is known to miss.
    pub(super) fn serve_memcached(&mut self, socket: SocketId) -> usize {
        let Some(connection) = self.work.connection(socket) else { return 0 };
        let input = std::mem::take(&mut connection.input);
        let (mut at, mut need) = (0, 0);
        self.work.mark_dirty(socket);
        while let Some(connection) = self.work.connection(socket)
            && connection.runs()
        {
            let skipped = connection.memcached.skip.min(input.len() - at);
            connection.memcached.skip -= skipped;
            at += skipped;
            if at == input.len() {
                break;
            }
            let locked_out = connection.session.login.is_locked_out();
            match memcached::read(&input, at, locked_out) {
                Step::More(missing) => {
                    need = missing;
                    break;
                }
                Step::Endless => {
                    connection.session.closing = true;
                    at = input.len();
                }
                Step::Refused { line, quiet, end, loses } => {
                    if let Some(key) = loses
                        && !self.lose(socket, &input, key)
                    {
                        continue;
                    }
                    let arrived = end.min(input.len());
                    if let Some(connection) = self.work.connection(socket) {
                        connection.memcached.skip = end - arrived;
                    }
                    at = arrived;
                    self.tell(socket, quiet, &[line.as_bytes(), b"\r\n"].concat());
                }
                Step::Request { ask, quiet, end } => {
                    if self.run_memcached(socket, &input, &ask, quiet) {
                        at = end;
                    }
                }
            }
        }
        self.work.bring_late();
        if let Some(connection) = self.work.connection(socket) {
            connection.input = input;
            connection.input.drain(..at);
        }
        need
    }

    /// Answers a line, unless the client wants none.
    fn tell(&mut self, socket: SocketId, quiet: bool, line: &[u8]) {
        if !quiet {
            let request = Request::aside(socket, 0);
            self.work.answer(&request, |reply| reply.raw(line));
        }
    }

    /// Runs a request; false if the connection has come to a stand, and it is to be run again.
    fn run_memcached(&mut self, socket: SocketId, input: &[u8], ask: &Ask, quiet: bool) -> bool {
        match ask {
            Ask::Read { row, name, end, keys } => {
                return self.read_keys(socket, input, (row, *name, *end), keys);
            }
            Ask::Change { row, words } => {
                return self.run_row(socket, &Args::new(input, words), row, quiet);
            }
            Ask::Flush(delay) => return self.flush_all(socket, *delay, quiet),
            Ask::Login { words } => self.log_in(socket, words.of(input), quiet),
            Ask::Stats(kind) => self.tell_stats(socket, kind.map(|kind| kind.of(input))),
            Ask::Version => {
                self.tell(socket, quiet, VERSION.as_bytes());
            }
            Ask::Verbosity => self.tell(socket, quiet, b"OK\r\n"),
            Ask::Quit => {
                if let Some(connection) = self.work.connection(socket) {
                    connection.session.closing = true;
                }
            }
        }
        true
    }

    /// Reads keys one after the other, each where it lives. Where a lane is full it goes on later
    /// behind those it has read.
    fn read_keys(
        &mut self,
        socket: SocketId,
        input: &[u8],
        (row, name, end): (&'static Row, Range, Option<Range>),
        keys: &[Range],
    ) -> bool {
        let read = self.work.connection(socket).map_or(0, |it| it.memcached.keys_read);
        for (index, key) in keys.iter().enumerate().skip(read) {
            let words: Vec<Range> = [name, *key].into_iter().chain(end).collect();
            let stands = |core: &mut Self| {
                let connection = core.work.connection(socket);
                connection.is_none_or(|connection| !connection.runs())
            };
            // Too many replies may be awaited after any of them.
            if stands(self) || !self.run_row(socket, &Args::new(input, &words), row, false) {
                if let Some(connection) = self.work.connection(socket) {
                    connection.memcached.keys_read = index;
                }
                return false;
            }
        }
        if let Some(connection) = self.work.connection(socket) {
            connection.memcached.keys_read = 0;
        }
        self.tell(socket, false, b"END\r\n");
        true
    }

    /// Runs a row on the shard of its key; false if it has to wait.
    fn run_row(
        &mut self,
        socket: SocketId,
        args: &Args<'_>,
        row: &'static Row,
        quiet: bool,
    ) -> bool {
        let Plan::One(run) = row.plan else { unreachable!("a row of memcached's has one key") };
        if self.denies(socket, row, args, quiet) {
            return true;
        }
        if row.flags.has(Flags::DENYOOM) && self.work.server.ledger.refuses() {
            self.tell(socket, quiet, b"SERVER_ERROR out of memory storing object\r\n");
            return true;
        }
        let key = args.at(1);
        let request = Request::aside(socket, self.work.owner.value().hash(key));
        let paused = self.work.paused.pause.until().is_some();
        if paused && self.work.postpones(&request, Found::Shard(row)) {
            return false;
        }
        let began = nanos();
        let owner = self.work.route.owner(key);
        self.mute(socket, quiet);
        let ran = self.work.run_at(&request, args, row, Task::Run(row, run), owner);
        self.mute(socket, false);
        self.work.ran(&request, args, nanos().saturating_sub(began));
        ran
    }

    /// Refuses a request to a user who may not run the command of Redis that does the same, and
    /// what could not be saved.
    fn denies(
        &mut self,
        socket: SocketId,
        row: &'static Row,
        args: &Args<'_>,
        quiet: bool,
    ) -> bool {
        let Some(connection) = self.work.connection(socket) else { return true };
        let login = &connection.session.login;
        if login.is_limited()
            && let Err(denied) = login.user().check(row, args)
        {
            self.work.note_refusal(socket, args, Refusal::Denied(row, denied));
            self.tell(socket, quiet, b"CLIENT_ERROR permission denied\r\n");
            return true;
        }
        let fails = self.work.server.saves.has_failed();
        let is_unsaved = fails && is_unsaved(row, &self.work.settings.snapshots);
        if is_unsaved {
            self.tell(socket, quiet, UNSAVED);
        }
        is_unsaved
    }

    /// Has the next reply be left out, or not.
    fn mute(&mut self, socket: SocketId, quiet: bool) {
        if let Some(connection) = self.work.connection(socket) {
            let mode = if quiet { ReplyMode::Skip } else { ReplyMode::On };
            connection.session.reply_mode = mode;
        }
    }

    /// Removes a value without a word; false if that has to wait.
    fn lose(&mut self, socket: SocketId, input: &[u8], key: Range) -> bool {
        let row = memcached_row(b"delete").expect("there is such a request");
        self.run_row(socket, &Args::new(input, &[key, key]), row, true)
    }

    /// Removes all keys of the database, and says so once they are gone; or says so at once, and
    /// removes them after `delay` seconds, unless another such request comes before.
    fn flush_all(&mut self, socket: SocketId, delay: u64, quiet: bool) -> bool {
        let (row, words) = (find(FLUSH).expect("there is such a command"), [whole(FLUSH)]);
        let args = Args::new(FLUSH, &words);
        if self.denies(socket, row, &args, quiet) {
            return true;
        }
        let due = if delay > 0 { instant(delay, self.work.now) } else { 0 };
        self.work.server.flush_due.store(due, Ordering::Relaxed);
        if due > self.work.now {
            self.tell(socket, quiet, b"OK\r\n");
            return true;
        }
        let request = Request::aside(socket, 0);
        let paused = self.work.paused.pause.until().is_some();
        if paused && self.work.postpones(&request, Found::Shard(row)) {
            return false;
        }
        // Its own reply is of the other protocol; this one comes behind it.
        self.mute(socket, true);
        let ran = self.work.run_spread(&request, &args, row);
        self.mute(socket, false);
        if ran {
            self.tell(socket, quiet, b"OK\r\n");
        }
        ran
    }

    /// Lets a client in that gives `user password`.
    fn log_in(&mut self, socket: SocketId, words: &[u8], quiet: bool) {
        let space = words.iter().position(|byte| *byte == b' ');
        let password = space.map(|space| &words[space + 1..]);
        let user = {
            // Clients that know only of a password give any name with it.
            let users = self.work.server.acl.users();
            let named = space.and_then(|space| users.find(&words[..space]));
            Arc::clone(named.unwrap_or(users.default_user()))
        };
        let right = password.is_some_and(|given| user.lets_in(given));
        if right && let Some(connection) = self.work.connection(socket) {
            connection.session.login.enter(user);
        }
        if !right {
            self.work.note_wrong_password(socket, "memcached");
        }
        let line: &[u8] =
            if right { b"STORED\r\n" } else { b"CLIENT_ERROR authentication failure\r\n" };
        self.tell(socket, quiet, line);
    }

    /// Tells figures; there are none of the other kinds.
    fn tell_stats(&mut self, socket: SocketId, kind: Option<&[u8]>) {
        match kind {
            None => {
                // It tells what INFO tells.
                let words = [whole(b"info")];
                let args = Args::new(b"info", &words);
                let info = find_command(&args).expect("there is such a command");
                if self.denies(socket, info.row(), &args, false) {
                    return;
                }
                self.work.ask_job(socket, Job::Errand(Errand::MemcachedStats), &STATS);
            }
            Some(b"reset") => self.tell(socket, false, b"RESET\r\n"),
            Some(_) => self.tell(socket, false, b"END\r\n"),
        }
    }
}

impl Work {
    /// Removes all keys of the database if a request has asked for it by now.
    pub(super) fn flush_when_due(&mut self) {
        let due = self.server.flush_due.load(Ordering::Relaxed);
        if due == 0 || self.now < due {
            return;
        }
        // What has been asked for since then counts.
        let own =
            self.server.flush_due.compare_exchange(due, 0, Ordering::Relaxed, Ordering::Relaxed);
        if own.is_ok() {
            let row = find(FLUSH).expect("there is such a command");
            self.run_for_nobody(row, &Args::new(FLUSH, &[whole(FLUSH)]));
        }
    }
}

/// The command that removes all keys of a database.
const FLUSH: &[u8] = b"flushdb";

/// What is answered to those who would change what cannot be saved.
const UNSAVED: &[u8] = b"SERVER_ERROR the last snapshot has failed: nothing is written until one \
    succeeds (stop-writes-on-bgsave-error)\r\n";

/// All of a word.
fn whole(word: &[u8]) -> Range {
    Range { start: 0, len: word.len() as u32 }
}

/// What `version` answers: clients look for the version of memcached whose protocol it is.
const VERSION: &str = concat!("VERSION 1.6.0 pinion-", env!("CARGO_PKG_VERSION"), "\r\n");
