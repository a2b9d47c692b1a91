//! A bank: transfers under WATCH between accounts on all shards, and the sum stays as it is.

use super::connection::Connection;
use super::drive::{CONNECTIONS, Run, Session, Turn};
use crate::checkers::bank::check;
use crate::source::Source;

/// Accounts.
pub(crate) const ACCOUNTS: usize = 8;
/// What each holds at first.
pub(crate) const FIRST: i64 = 100;
/// Connections that transfer; the others read.
const TELLERS: usize = 20;
/// One teller in so many goes in the middle of a transfer.
const LEFT_ONCE_IN: usize = 1000;

/// Where a client stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// It begins anew.
    Idle,
    /// It watches two accounts and asks what they hold.
    Watching(usize, usize),
    /// It knows what they hold, and is to write that.
    Knowing([(usize, i64); 2]),
    /// It writes.
    Writing,
    /// It asks what all hold, within a transaction or without.
    Reading(bool),
}

/// One client.
struct Client<'a> {
    run: &'a Run,
    teller: bool,
    source: Source,
    left: usize,
    state: State,
    transfers: usize,
    reads: Vec<Vec<i64>>,
}

impl<'a> Client<'a> {
    fn new(run: &'a Run, number: usize, teller: bool, left: usize) -> Self {
        let (source, state) = (run.source(number), State::Idle);
        Self { run, teller, source, left, state, transfers: 0, reads: Vec::new() }
    }

    fn begin(&mut self, connection: &mut Connection) {
        if !self.teller {
            return self.read(connection);
        }
        let one = self.source.below(ACCOUNTS);
        let other = (one + 1 + self.source.below(ACCOUNTS - 1)) % ACCOUNTS;
        connection.request(3).word("WATCH").key(one).key(other);
        connection.request(2).word("GET").key(one);
        connection.request(2).word("GET").key(other);
        self.state = State::Watching(one, other);
    }

    fn read(&mut self, connection: &mut Connection) {
        let wrapped = self.source.below(3) == 0;
        self.state = State::Reading(wrapped);
        if wrapped {
            connection.request(1).word("MULTI");
            (0..ACCOUNTS).for_each(|account| {
                connection.request(2).word("GET").key(account);
            });
            connection.request(1).word("EXEC");
        } else {
            connection.request(ACCOUNTS + 1).word("MGET");
            (0..ACCOUNTS).for_each(|account| {
                connection.key(account);
            });
        }
    }

    fn write(&mut self, accounts: [(usize, i64); 2], connection: &mut Connection) {
        connection.request(1).word("MULTI");
        for (account, amount) in accounts {
            connection.request(3).word("SET").key(account).word(amount);
        }
        connection.request(1).word("EXEC");
        self.state = State::Writing;
    }
}

impl Session for Client<'_> {
    fn ask(&mut self, connection: &mut Connection) -> Turn {
        match self.state {
            State::Knowing(accounts) => self.write(accounts, connection),
            _ if self.left == 0 || self.run.is_over() => return Turn::Done,
            _ => {
                self.left -= 1;
                self.begin(connection);
            }
        }
        if self.teller && self.source.below(LEFT_ONCE_IN) == 0 {
            self.state = State::Idle;
            return Turn::Left;
        }
        Turn::Asked
    }

    fn take(&mut self, connection: &mut Connection) -> Result<(), String> {
        match self.state {
            State::Watching(one, other) => {
                connection.receive(3)?;
                connection.expect("OK")?;
                let amount = 1 + self.source.below(9) as i64;
                let one = (one, connection.some::<i64>()? - amount);
                let other = (other, connection.some::<i64>()? + amount);
                self.state = State::Knowing([one, other]);
            }
            State::Writing => {
                connection.receive(4)?;
                connection.expect("OK")?;
                connection.expect("QUEUED")?;
                connection.expect("QUEUED")?;
                if connection.array()?.is_some() {
                    connection.expect("OK")?;
                    connection.expect("OK")?;
                    self.transfers += 1;
                }
                self.run.count(1);
                self.state = State::Idle;
            }
            State::Reading(wrapped) => {
                connection.receive(if wrapped { ACCOUNTS + 2 } else { 1 })?;
                if wrapped {
                    connection.expect("OK")?;
                    (0..ACCOUNTS).try_for_each(|_| connection.expect("QUEUED"))?;
                }
                connection.array_of(ACCOUNTS)?;
                let read = (0..ACCOUNTS).map(|_| connection.some());
                self.reads.push(read.collect::<Result<_, _>>()?);
                self.run.count(1);
            }
            State::Idle | State::Knowing(_) => {}
        }
        Ok(())
    }
}

/// Has the tellers transfer and the others read until the run is over; the transfers that came
/// through, and what was read.
pub(crate) fn record(run: &Run) -> Result<(usize, Vec<Vec<i64>>), String> {
    let mut opening = run.connect()?;
    opening.request(2 * ACCOUNTS + 1).word("MSET");
    (0..ACCOUNTS).for_each(|account| {
        opening.key(account).word(FIRST);
    });
    opening.send()?;
    opening.receive(1)?;
    opening.expect("OK")?;
    let left = run.operations / CONNECTIONS;
    let client = |number| Client::new(run, number, number < TELLERS, left);
    let mut clients = run.drive((0..CONNECTIONS).map(client).collect())?;
    let mut closing = Client::new(run, CONNECTIONS, false, 0);
    closing.read(&mut opening);
    opening.send()?;
    closing.take(&mut opening)?;
    clients.push(closing);
    let transfers = clients.iter().map(|client| client.transfers).sum();
    Ok((transfers, clients.into_iter().flat_map(|client| client.reads).collect()))
}

#[test]
fn no_money_comes_or_goes() {
    let run = Run::new("bank");
    run.judge(record(&run), |(transfers, reads)| {
        if *transfers == 0 && !reads.is_empty() {
            return Err("not one transfer came through".into());
        }
        check(ACCOUNTS as i64 * FIRST, reads)
    });
}
