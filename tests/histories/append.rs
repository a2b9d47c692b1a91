//! Transactions that append to lists and read them, over one to four lists on any shard.
//!
//! A client sends up to three at once, which are to be done in this order where they meet.
//! A list that has grown is left for a new one, so that reading stays cheap. In the end each is
//! read once more, which shows the order of all appends, and each append told the length it made.

use super::connection::Connection;
use super::drive::{CONNECTIONS, Run, Session, Turn};
use crate::checkers::Span;
use crate::checkers::append::{Step, Transaction, check};
use crate::source::Source;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

/// Lists in use at a time.
const LISTS: usize = 24;
/// Length of a list that is left for a new one.
const LEN_MAX: i64 = 20;
/// Steps of a transaction at most.
const STEPS_MAX: usize = 4;
/// Transactions that a client sends at once, at most.
const ASKED_MAX: usize = 3;
/// One client in so many goes without waiting for its reply.
const LEFT_ONCE_IN: usize = 1000;

/// The lists in use.
struct Lists {
    current: Vec<AtomicU32>,
    /// The number of the next list.
    next: AtomicU32,
}

/// One client: its random transactions, or its share of the last reads.
struct Client<'a> {
    run: &'a Run,
    lists: &'a Lists,
    number: u64,
    source: Source,
    left: usize,
    appended: u64,
    /// The number of its connection among all there were.
    session: usize,
    /// The transactions under way, without what they read, and whether they stand in MULTI.
    asked: Vec<(Transaction, bool)>,
    history: Vec<Transaction>,
    /// Of each append, the length it made.
    lens: Vec<(u32, u64, i64)>,
    /// The next list to be read for the last time, if it has come to that.
    last: Option<&'a AtomicU32>,
}

/// What was seen.
pub(crate) type History = (Vec<Transaction>, Vec<(u32, u64, i64)>);

impl Client<'_> {
    /// Draws the steps of a transaction, and whether it stands in MULTI.
    fn draw(&mut self) -> (Vec<Step>, bool) {
        let mut steps = Vec::new();
        for _ in 0..=self.source.below(STEPS_MAX) {
            let slot = self.source.below(LISTS);
            let list = self.lists.current[slot].load(Ordering::Relaxed);
            let step = if self.source.below(2) == 0 {
                self.appended += 1;
                Step::Append(list, self.appended * CONNECTIONS as u64 + self.number)
            } else {
                Step::Read(list, Vec::new())
            };
            steps.push(step);
        }
        let wrapped = steps.len() > 1 || self.source.below(2) == 0;
        (steps, wrapped)
    }

    /// Draws the last reads.
    fn draw_last(&self, last: &AtomicU32) -> (Vec<Step>, bool) {
        let first = last.fetch_add(STEPS_MAX as u32, Ordering::Relaxed);
        let end = self.lists.next.load(Ordering::Relaxed).min(first + STEPS_MAX as u32);
        ((first..end).map(|list| Step::Read(list, Vec::new())).collect(), true)
    }

    /// Writes the requests of a transaction.
    fn write(&mut self, (steps, wrapped): (Vec<Step>, bool), connection: &mut Connection) {
        if wrapped {
            connection.request(1).word("MULTI");
        }
        for step in &steps {
            match step {
                Step::Append(list, value) => {
                    connection.request(3).word("RPUSH").key(list).word(value);
                }
                Step::Read(list, _) => {
                    connection.request(4).word("LRANGE").key(list).word("0").word("-1");
                }
            }
        }
        if wrapped {
            connection.request(1).word("EXEC");
        }
        let span = Span { sent: self.run.now(), done: None };
        self.asked.push((Transaction { session: self.session, span, steps }, wrapped));
    }

    /// Goes without waiting for what is under way.
    fn leave(&mut self) {
        for (mut transaction, _) in self.asked.drain(..) {
            transaction.steps.retain(|step| matches!(step, Step::Append(..)));
            self.history.push(transaction);
        }
        // What is asked on the next connection may come before.
        self.session += CONNECTIONS;
    }

    /// Reads the replies to a transaction.
    fn read(
        &mut self,
        (transaction, wrapped): &mut (Transaction, bool),
        connection: &mut Connection,
    ) -> Result<(), String> {
        let steps = &mut transaction.steps;
        connection.receive(if *wrapped { steps.len() + 2 } else { 1 })?;
        transaction.span.done = Some(self.run.now());
        if *wrapped {
            connection.expect("OK")?;
            steps.iter().try_for_each(|_| connection.expect("QUEUED"))?;
            connection.array_of(steps.len())?;
        }
        for step in steps {
            match step {
                Step::Append(list, value) => self.take_append(*list, *value, connection.int()?),
                Step::Read(_, values) => {
                    let len = connection.array()?.ok_or("LRANGE answers null")?;
                    *values = (0..len).map(|_| connection.some()).collect::<Result<_, _>>()?;
                }
            }
        }
        Ok(())
    }

    /// Reads the reply to an append, and leaves a list that is long.
    fn take_append(&mut self, list: u32, value: u64, len: i64) {
        self.lens.push((list, value, len));
        let current = &self.lists.current;
        if len >= LEN_MAX
            && let Some(slot) = current.iter().find(|slot| slot.load(Ordering::Relaxed) == list)
        {
            // Of two who come here at once, one wastes a number.
            let next = self.lists.next.fetch_add(1, Ordering::Relaxed);
            let _ = slot.compare_exchange(list, next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Session for Client<'_> {
    fn ask(&mut self, connection: &mut Connection) -> Turn {
        if let Some(last) = self.last {
            let reads = self.draw_last(last);
            if reads.0.is_empty() {
                return Turn::Done;
            }
            self.write(reads, connection);
            return Turn::Asked;
        }
        if self.left == 0 || self.run.is_over() {
            return Turn::Done;
        }
        for _ in 0..=self.source.below(ASKED_MAX).min(self.left - 1) {
            self.left -= 1;
            let drawn = self.draw();
            self.write(drawn, connection);
        }
        if self.source.below(LEFT_ONCE_IN) == 0 {
            self.leave();
            return Turn::Left;
        }
        Turn::Asked
    }

    fn take(&mut self, connection: &mut Connection) -> Result<(), String> {
        for mut asked in std::mem::take(&mut self.asked) {
            self.read(&mut asked, connection)?;
            self.run.count(1);
            self.history.push(asked.0);
        }
        Ok(())
    }
}

/// Drives the clients until the run is over, and reads all lists in the end.
pub(crate) fn record(run: &Run) -> Result<History, String> {
    let lists = Lists {
        current: (0..LISTS as u32).map(AtomicU32::new).collect(),
        next: AtomicU32::new(LISTS as u32),
    };
    let last = AtomicU32::new(0);
    let client = |number: usize| Client {
        run,
        lists: &lists,
        number: number as u64,
        source: run.source(number),
        left: run.operations / CONNECTIONS,
        appended: 0,
        session: number,
        asked: Vec::new(),
        history: Vec::new(),
        lens: Vec::new(),
        last: None,
    };
    let mut clients = run.drive((0..CONNECTIONS).map(client).collect())?;
    clients.iter_mut().for_each(|client| client.last = Some(&last));
    let clients = run.drive(clients)?;
    let (mut history, mut lens) = (Vec::new(), Vec::new());
    for client in clients {
        history.extend(client.history);
        lens.extend(client.lens);
    }
    Ok((history, lens))
}

/// Checks that each append stands where its reply said.
fn check_lens((history, lens): &History) -> Result<(), String> {
    let mut longest: HashMap<u32, &[u64]> = HashMap::new();
    for step in history.iter().flat_map(|transaction| &transaction.steps) {
        if let Step::Read(list, values) = step
            && longest.get(list).is_none_or(|known| known.len() < values.len())
        {
            longest.insert(*list, values);
        }
    }
    for &(list, value, len) in lens {
        let values = longest.get(&list).copied().unwrap_or_default();
        if values.get(len as usize - 1) != Some(&value) {
            return Err(format!("{value} was number {len} of list {list}: {values:?}"));
        }
    }
    Ok(())
}

#[test]
fn list_append_is_strictly_serialisable() {
    let run = Run::new("append");
    run.judge(record(&run), |history| {
        check(&history.0)?;
        check_lens(history)
    });
}
