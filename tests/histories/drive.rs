//! Drives connections against one server, several on a thread, until each has done its part.

use super::connection::Connection;
use crate::source::Source;
use crate::support::server::Server;
use std::fmt::Debug;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Shards of a server that is started here.
const SHARDS: usize = 4;
/// Connections of a history.
pub(crate) const CONNECTIONS: usize = 32;
/// Threads that share them.
const THREADS: usize = 4;
/// Longest run where no number of operations is asked for.
const BRIEF: Duration = Duration::from_secs(2);
/// Operations where none are asked for, if they do not take longer than that.
const OPERATIONS: usize = 40_000;

/// One run of one workload.
#[derive(Debug)]
pub(crate) struct Run {
    name: &'static str,
    /// Stopped when dropped; none if the server is not ours.
    server: Option<Server>,
    address: SocketAddr,
    prefix: String,
    seed: u64,
    /// How many operations are wanted, together.
    pub(crate) operations: usize,
    until: Option<Instant>,
    began: Instant,
    ended: AtomicBool,
    failed: AtomicBool,
    done: AtomicU64,
}

/// What became of a turn to ask.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Turn {
    /// Requests are written, and their replies wanted.
    Asked,
    /// Requests are written, but their client goes without waiting, and comes back as a new one.
    Left,
    /// Nothing more is to be asked.
    Done,
}

/// What one client does, turn after turn.
pub(crate) trait Session: Send {
    /// Writes requests.
    fn ask(&mut self, connection: &mut Connection) -> Turn;
    /// Awaits and reads their replies.
    fn take(&mut self, connection: &mut Connection) -> Result<(), String>;
}

/// A number of the environment.
pub(crate) fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

impl Run {
    /// A run against the server of the environment, or a new one.
    pub(crate) fn new(name: &'static str) -> Self {
        let address = std::env::var("PINION_HISTORY_SERVER").ok();
        let address = address.map(|text| text.parse().expect("an address and a port"));
        let mut run = Self::against(name, address);
        let operations = number("PINION_HISTORY_OPERATIONS").map(|number| number as usize);
        run.operations = operations.unwrap_or(OPERATIONS);
        run.until = operations.is_none().then(|| run.began + BRIEF);
        run
    }

    /// A run against a new server, which lasts until `end`.
    pub(crate) fn endless(name: &'static str) -> Self {
        Self::against(name, None)
    }

    fn against(name: &'static str, address: Option<SocketAddr>) -> Self {
        let seed = number("PINION_HISTORY_SEED").unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.map_or(1, |now| now.as_nanos() as u64)
        });
        let server = address.is_none().then(|| Server::start(SHARDS, &[]).expect("a server"));
        Self {
            name,
            address: address.or(server.as_ref().map(Server::address)).expect("a server"),
            server,
            // The time too, so that a seed finds no keys of the run before.
            prefix: format!("{name}:{seed:x}:{:x}", std::process::id()),
            seed,
            operations: usize::MAX,
            until: None,
            began: Instant::now(),
            ended: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            done: AtomicU64::new(0),
        }
    }

    /// The server, if it is ours.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.server.as_ref()
    }

    /// Has no new operations begin.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Nanoseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        self.began.elapsed().as_nanos() as u64
    }

    /// True when no new operations are to begin.
    pub(crate) fn is_over(&self) -> bool {
        let told = self.has_failed() || self.ended.load(Ordering::Relaxed);
        told || self.until.is_some_and(|at| at < Instant::now())
    }

    /// True when a client has failed, and the others need not go on.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The random source of one client.
    pub(crate) fn source(&self, client: usize) -> Source {
        Source(self.seed.wrapping_mul(2 * client as u64 + 3))
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Result<Connection, String> {
        self.connect_to(self.address)
    }

    /// A connection to another server that has the same keys.
    pub(crate) fn connect_to(&self, address: SocketAddr) -> Result<Connection, String> {
        Connection::connect(address, &self.prefix)
    }

    /// Notes that so many operations were done.
    pub(crate) fn count(&self, operations: u64) {
        self.done.fetch_add(operations, Ordering::Relaxed);
    }

    /// What `result` holds; a failure is noted, so that the others end.
    pub(crate) fn noted<T>(&self, result: Result<T, String>) -> Result<T, String> {
        if result.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        result
    }

    /// Runs these sessions, each on a connection of its own, and gives them back.
    pub(crate) fn drive<S: Session>(&self, mut sessions: Vec<S>) -> Result<Vec<S>, String> {
        let len = sessions.len().div_ceil(THREADS);
        std::thread::scope(|scope| {
            let threads: Vec<_> = sessions
                .chunks_mut(len)
                .map(|some| scope.spawn(|| self.noted(self.drive_some(some))))
                .collect();
            threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
        })?;
        Ok(sessions)
    }

    /// Asks on each connection and then reads on each, so that all are under way at once.
    fn drive_some<S: Session>(&self, sessions: &mut [S]) -> Result<(), String> {
        let mut lines = Vec::new();
        for session in sessions {
            lines.push((session, self.connect()?, Turn::Left));
        }
        while !lines.is_empty() && !self.has_failed() {
            for (session, connection, turn) in &mut lines {
                if *turn == Turn::Asked {
                    session.take(connection)?;
                }
                *turn = session.ask(connection);
                connection.send()?;
                if *turn == Turn::Left {
                    *connection = self.connect()?;
                }
            }
            lines.retain(|(_, _, turn)| *turn != Turn::Done);
        }
        Ok(())
    }

    /// Checks what was seen, and says how it went.
    ///
    /// # Panics
    /// The history was impossible, or a client failed; the text names the seed.
    pub(crate) fn judge<H: Debug>(
        &self,
        history: Result<H, String>,
        check: impl FnOnce(&H) -> Result<(), String>,
    ) {
        let (name, seed) = (self.name, self.seed);
        let seconds = self.began.elapsed().as_secs_f64();
        let done = self.done.load(Ordering::Relaxed);
        let checking = Instant::now();
        let result = history.and_then(|history| {
            check(&history).map_err(|error| match self.keep(&history) {
                Ok(path) => format!("{error}\nthe history is in {path}"),
                Err(unkept) => format!("{error}\nthe history is lost: {unkept}"),
            })
        });
        let checked = checking.elapsed().as_secs_f64();
        let whole = match &self.server {
            Some(_) => format!("{SHARDS} shards"),
            None => self.address.to_string(),
        };
        let verdict = if result.is_ok() { "holds" } else { "FAILS" };
        eprintln!(
            "{name}: {done} operations in {seconds:.1} s, checked in {checked:.1} s, {whole}, \
             PINION_HISTORY_SEED={seed}: {verdict}"
        );
        if let Err(error) = result {
            panic!("{name}, PINION_HISTORY_SEED={seed}: {error}");
        }
    }

    /// Writes a history down, for who wants to know why it failed.
    fn keep<H: Debug>(&self, history: &H) -> Result<String, String> {
        let path = format!("{}/history-{}.txt", env!("CARGO_TARGET_TMPDIR"), self.name);
        let file = fs::File::create(&path).map_err(|error| format!("creating {path}: {error}"))?;
        let mut file = std::io::BufWriter::new(file);
        write!(file, "{history:#?}")
            .and_then(|()| file.flush())
            .map_err(|error| format!("writing {path}: {error}"))?;
        Ok(path)
    }
}
