//! Queues on all shards: values put in by some, awaited by others, moved between, each taken once.
//!
//! Consumers wait in every way there is, for moments or for ever; those that wait for ever also
//! wait for a queue of their own, into which the end of the run puts a last value. Some queues
//! have one consumer only, which must find the order of who put. In one run every request is
//! answered, so that nothing may be missing; in the other, some consumers go while they wait. What
//! is left in the end is taken out by one client.

use super::connection::Connection;
use super::drive::{CONNECTIONS, Run, Session, Turn};
use crate::checkers::Span;
use crate::checkers::queue::{History, check};
use crate::source::Source;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Queues that everybody takes from.
const SHARED: usize = 8;
/// Consumers that have queues to themselves, and how many each.
const LONERS: usize = 4;
const OWN: usize = 3;
/// All queues of values; behind them come those that end a wait.
const QUEUES: usize = SHARED + LONERS * OWN;
/// Consumers, each on a thread of its own, since it waits.
const CONSUMERS: usize = 20;
/// Values of one request at most.
const VALUES_MAX: usize = 3;
/// Length of a queue at which a producer rests.
const LEN_MAX: i64 = 8;
/// How long it does.
const REST: Duration = Duration::from_micros(200);
/// One consumer in so many goes while it waits, where any does.
const LEFT_ONCE_IN: usize = 100;
/// Longest time that it waits before.
const LEFT_AFTER_US: usize = 3_000;
/// Values taken at once in the end.
const DRAINED: usize = 100;
/// Time for the server to hear that a client is gone.
const SETTLE: Duration = Duration::from_millis(100);

/// One producer.
struct Producer<'a> {
    run: &'a Run,
    number: u64,
    source: Source,
    left: usize,
    made: u64,
    /// Values asked to be put, and replies that are to come.
    asked: Vec<u64>,
    wrapped: bool,
    sent: u64,
    rests: bool,
    puts: Vec<(u64, Span)>,
}

impl Producer<'_> {
    fn push(&mut self, name: &str, queue: usize, count: usize, connection: &mut Connection) {
        connection.request(count + 2).word(name).key(queue);
        for _ in 0..count {
            self.made += 1;
            let value = self.made * CONNECTIONS as u64 + self.number;
            connection.word(value);
            self.asked.push(value);
        }
    }
}

impl Session for Producer<'_> {
    fn ask(&mut self, connection: &mut Connection) -> Turn {
        if self.left == 0 || self.run.is_over() {
            return Turn::Done;
        }
        if std::mem::take(&mut self.rests) {
            std::thread::sleep(REST);
        }
        self.asked.clear();
        self.sent = self.run.now();
        let queue = self.source.below(QUEUES);
        let count = 1 + self.source.below(VALUES_MAX);
        self.wrapped = self.source.below(4) == 0;
        if queue >= SHARED {
            // Who waits alone is to find the order.
            self.wrapped = false;
            self.push("RPUSH", queue, 1, connection);
        } else if self.wrapped {
            let other = self.source.below(SHARED);
            connection.request(1).word("MULTI");
            self.push("RPUSH", queue, count, connection);
            self.push("LPUSH", other, 1, connection);
            connection.request(1).word("EXEC");
        } else {
            let name = *self.source.one_of(&["RPUSH", "LPUSH"]);
            self.push(name, queue, count, connection);
        }
        self.left = self.left.saturating_sub(self.asked.len());
        Turn::Asked
    }

    fn take(&mut self, connection: &mut Connection) -> Result<(), String> {
        connection.receive(if self.wrapped { 4 } else { 1 })?;
        let span = Span { sent: self.sent, done: Some(self.run.now()) };
        if self.wrapped {
            connection.expect("OK")?;
            connection.expect("QUEUED")?;
            connection.expect("QUEUED")?;
            connection.array_of(2)?;
            self.rests = connection.int()? > LEN_MAX;
        }
        self.rests |= connection.int()? > LEN_MAX;
        self.run.count(self.asked.len() as u64);
        self.puts.extend(self.asked.iter().map(|value| (*value, span)));
        Ok(())
    }
}

/// How a consumer asks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// BLPOP or BRPOP.
    Pop(&'static str),
    /// BLMPOP.
    PopSome,
    /// BLMOVE, between queues that all take from.
    Move,
    /// LPOP of two queues within MULTI and EXEC, with a BLPOP that does not wait there.
    Wrapped,
}

/// One consumer; of the first `LONERS`, one with queues of its own.
struct Consumer<'a> {
    run: &'a Run,
    number: usize,
    source: Source,
    /// Some go while they wait.
    may_leave: bool,
    /// The producers have ended.
    over: &'a AtomicBool,
    /// The last value has come.
    stopped: bool,
    taken: Vec<u64>,
    /// What came of each of its own queues.
    alone: Vec<Vec<u64>>,
    unanswered: usize,
}

impl Consumer<'_> {
    fn is_alone(&self) -> bool {
        self.number < LONERS
    }

    /// The queues to wait for, the one that ends the wait among them.
    fn queues(&mut self) -> Vec<usize> {
        let mut queues: Vec<usize> = if self.is_alone() {
            let first = SHARED + self.number * OWN;
            (first..first + OWN).collect()
        } else {
            let count = 1 + self.source.below(3);
            (0..count).map(|_| self.source.below(SHARED)).collect()
        };
        let by = self.source.below(queues.len());
        queues.rotate_left(by);
        queues.push(QUEUES + self.number);
        queues
    }

    /// Seconds to wait: moments, or for ever.
    fn time_out(&mut self) -> f64 {
        match self.source.below(3) {
            0 => 0.0,
            1 => 100.0,
            _ => (1 + self.source.below(20)) as f64 / 1000.0,
        }
    }

    /// Sends a request.
    fn ask(&mut self, connection: &mut Connection) -> Result<Way, String> {
        let way = match self.source.below(8) {
            0..3 => Way::Pop("BLPOP"),
            3..5 if !self.is_alone() => Way::Pop("BRPOP"),
            5 if !self.is_alone() => Way::Move,
            6 if !self.is_alone() => Way::Wrapped,
            7 => Way::PopSome,
            _ => Way::Pop("BLPOP"),
        };
        let queues = self.queues();
        let one = self.source.below(SHARED);
        match way {
            Way::Pop(name) => {
                connection.request(queues.len() + 2).word(name);
                for queue in &queues {
                    connection.key(queue);
                }
                connection.word(self.time_out());
            }
            Way::PopSome => {
                connection.request(queues.len() + 6).word("BLMPOP").word(self.time_out());
                connection.word(queues.len());
                for queue in &queues {
                    connection.key(queue);
                }
                let count = 1 + self.source.below(VALUES_MAX);
                connection.word("LEFT").word("COUNT").word(count);
            }
            Way::Move => {
                let ends = ["LEFT", "RIGHT"];
                connection.request(6).word("BLMOVE").key(queues[0]).key(one);
                connection.word(self.source.one_of(&ends)).word(self.source.one_of(&ends));
                connection.word((1 + self.source.below(100)) as f64 / 1000.0);
            }
            Way::Wrapped => {
                connection.request(1).word("MULTI");
                connection.request(2).word("LPOP").key(queues[0]);
                connection.request(4).word("BLPOP").key(one).key(queues[0]).word("0");
                connection.request(1).word("EXEC");
            }
        }
        connection.send()?;
        Ok(way)
    }

    fn keep(&mut self, queue: usize, value: u64) {
        if queue >= QUEUES {
            self.stopped = true;
            return;
        }
        self.taken.push(value);
        if self.is_alone() {
            self.alone[queue - SHARED - self.number * OWN].push(value);
        }
    }

    /// Reads the reply; of one that has gone, what came before it had.
    fn take(&mut self, way: Way, connection: &mut Connection) -> Result<(), String> {
        match way {
            Way::Pop(_) => self.take_pair(connection)?,
            Way::PopSome => {
                if connection.array()?.is_some() {
                    let queue = self.queue(connection)?;
                    for _ in 0..connection.array()?.ok_or("BLMPOP without values")? {
                        let value = connection.some()?;
                        self.keep(queue, value);
                    }
                }
            }
            Way::Move => {
                connection.string::<u64>()?;
            }
            Way::Wrapped => {
                connection.expect("OK")?;
                connection.expect("QUEUED")?;
                connection.expect("QUEUED")?;
                connection.array_of(2)?;
                self.taken.extend(connection.string::<u64>()?);
                self.take_pair(connection)?;
            }
        }
        Ok(())
    }

    /// Reads a queue and a value, or null.
    fn take_pair(&mut self, connection: &mut Connection) -> Result<(), String> {
        if connection.array()?.is_some() {
            let queue = self.queue(connection)?;
            let value = connection.some()?;
            self.keep(queue, value);
        }
        Ok(())
    }

    /// Reads the name of a queue.
    fn queue(&mut self, connection: &mut Connection) -> Result<usize, String> {
        let name: String = connection.some()?;
        let number = name.rsplit(':').next().and_then(|number| number.parse().ok());
        number.ok_or_else(|| format!("a queue {name}"))
    }

    /// Goes while a request is under way, at once or after hearing what the server still says.
    fn leave(&mut self, way: Way, connection: &mut Connection) -> Result<(), String> {
        let wait = self.source.below(LEFT_AFTER_US) as u64;
        std::thread::sleep(Duration::from_micros(wait));
        if self.source.below(2) == 0 && connection.hang_up()? {
            self.take(way, connection)?;
        } else {
            let values = if way == Way::PopSome { VALUES_MAX } else { 1 };
            self.unanswered += if way == Way::Move { 0 } else { values };
        }
        *connection = self.run.connect()?;
        Ok(())
    }

    fn work(mut self) -> Result<Self, String> {
        let mut connection = self.run.connect()?;
        while !self.stopped && !self.over.load(Ordering::Relaxed) && !self.run.has_failed() {
            let way = self.ask(&mut connection)?;
            let may_leave = self.may_leave && !self.is_alone() && way != Way::Wrapped;
            if may_leave && self.source.below(LEFT_ONCE_IN) == 0 {
                self.leave(way, &mut connection)?;
                continue;
            }
            connection.receive(if way == Way::Wrapped { 4 } else { 1 })?;
            self.take(way, &mut connection)?;
        }
        Ok(self)
    }
}

/// Produces and consumes until enough values are put.
fn record(run: &Run, may_leave: bool) -> Result<History, String> {
    let over = AtomicBool::new(false);
    let producers = CONNECTIONS - CONSUMERS;
    let producer = |number: usize| Producer {
        run,
        number: number as u64,
        source: run.source(number),
        left: run.operations / producers,
        made: 0,
        asked: Vec::new(),
        wrapped: false,
        sent: 0,
        rests: false,
        puts: Vec::new(),
    };
    let consumer = |number: usize| Consumer {
        run,
        number,
        source: run.source(CONNECTIONS + number),
        may_leave,
        over: &over,
        stopped: false,
        taken: Vec::new(),
        alone: vec![Vec::new(); OWN],
        unanswered: 0,
    };
    std::thread::scope(|scope| {
        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|number| scope.spawn(move || run.noted(consumer(number).work())))
            .collect();
        let puts = run.drive((0..producers).map(producer).collect());
        over.store(true, Ordering::Relaxed);
        let stopped = run.noted(stop(run));
        let consumers: Result<Vec<_>, String> =
            consumers.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        stopped?;
        let mut history = History::default();
        history.puts.extend(puts?.into_iter().flat_map(|producer| producer.puts));
        for consumer in consumers? {
            history.unanswered += consumer.unanswered;
            if consumer.is_alone() {
                history.alone.extend(consumer.alone);
            }
            history.taken.extend(consumer.taken);
        }
        drain(run, &mut history)?;
        Ok(history)
    })
}

/// Ends all waits.
fn stop(run: &Run) -> Result<(), String> {
    let mut connection = run.connect()?;
    for consumer in 0..CONSUMERS {
        connection.request(3).word("RPUSH").key(QUEUES + consumer).word("0");
    }
    connection.send()?;
    connection.receive(CONSUMERS)?;
    (0..CONSUMERS).try_for_each(|_| connection.int().map(drop))
}

/// Takes out what is left.
fn drain(run: &Run, history: &mut History) -> Result<(), String> {
    let mut connection = run.connect()?;
    let mut was_empty = false;
    loop {
        let mut is_empty = true;
        for queue in 0..QUEUES + CONSUMERS {
            connection.request(3).word("LPOP").key(queue).word(DRAINED);
            connection.send()?;
            connection.receive(1)?;
            let len = connection.array()?.unwrap_or(0);
            for _ in 0..len {
                let value = connection.some()?;
                if queue < QUEUES {
                    history.taken.push(value);
                    if let Some(own) = history.alone.get_mut(queue.wrapping_sub(SHARED)) {
                        own.push(value);
                    }
                }
            }
            is_empty &= len == 0;
        }
        if is_empty && was_empty {
            return Ok(());
        }
        if is_empty {
            std::thread::sleep(SETTLE);
        }
        was_empty = is_empty;
    }
}

#[test]
fn each_value_is_taken_once() {
    let run = Run::new("queues");
    run.judge(record(&run, false), check);
}

#[test]
fn who_goes_takes_no_more_than_was_asked() {
    let run = Run::new("leaving");
    run.judge(record(&run, true), check);
}
