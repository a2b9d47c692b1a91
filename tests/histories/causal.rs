//! Causal order in reverse: who sees a write sees all that was written before it.
//!
//! A writer sets one of its keys after another, each when the one before is answered; readers ask
//! for all keys of a writer at once, in any order of the keys.

use super::connection::Connection;
use super::drive::{CONNECTIONS, Run, Session, Turn};
use crate::checkers::causal::{Seen, check};
use crate::source::Source;
use std::sync::atomic::{AtomicU64, Ordering};

/// Connections that write.
const WRITERS: usize = 8;
/// Keys of a writer.
const KEYS: usize = 8;

/// One client: of the first `WRITERS`, a writer.
struct Client<'a> {
    run: &'a Run,
    number: usize,
    source: Source,
    left: usize,
    /// What each writer knows to be written.
    written: &'a [AtomicU64],
    /// The writer whose keys are asked for, and the first of them.
    asked: (usize, usize),
    /// What its writer knew then.
    known: u64,
    seen: Vec<Seen>,
}

impl Client<'_> {
    fn writes(&self) -> bool {
        self.number < WRITERS
    }
}

impl Session for Client<'_> {
    fn ask(&mut self, connection: &mut Connection) -> Turn {
        if self.left == 0 || self.run.is_over() {
            return Turn::Done;
        }
        self.left -= 1;
        if self.writes() {
            self.known += 1;
            let key = self.number * KEYS + self.known as usize % KEYS;
            connection.request(3).word("SET").key(key).word(self.known);
        } else {
            let (writer, first) = (self.source.below(WRITERS), self.source.below(KEYS));
            self.asked = (writer, first);
            self.known = self.written[writer].load(Ordering::Acquire);
            connection.request(KEYS + 1).word("MGET");
            for at in 0..KEYS {
                connection.key(writer * KEYS + (first + at) % KEYS);
            }
        }
        Turn::Asked
    }

    fn take(&mut self, connection: &mut Connection) -> Result<(), String> {
        connection.receive(1)?;
        self.run.count(1);
        if self.writes() {
            self.written[self.number].store(self.known, Ordering::Release);
            return connection.expect("OK");
        }
        connection.array_of(KEYS)?;
        let mut seen: Seen = vec![0; KEYS];
        for at in 0..KEYS {
            seen[(self.asked.1 + at) % KEYS] = connection.string()?.unwrap_or(0);
        }
        if seen.iter().all(|value| *value < self.known) {
            return Err(format!("{} was written, and then this was read: {seen:?}", self.known));
        }
        self.seen.push(seen);
        Ok(())
    }
}

#[test]
fn who_sees_a_write_sees_those_before_it() {
    let run = Run::new("causal");
    let written: Vec<AtomicU64> = (0..WRITERS).map(|_| AtomicU64::new(0)).collect();
    let client = |number| Client {
        run: &run,
        number,
        source: run.source(number),
        left: run.operations / CONNECTIONS,
        written: &written,
        asked: (0, 0),
        known: 0,
        seen: Vec::new(),
    };
    let clients = run.drive((0..CONNECTIONS).map(client).collect());
    let seen = clients.map(|clients| clients.into_iter().flat_map(|client| client.seen).collect());
    run.judge(seen, |seen: &Vec<Seen>| check(seen));
}
