//! Groups of keys that are always written together, so that each group is one register.

use super::connection::Connection;
use super::drive::{CONNECTIONS, Run, Session, Turn};
use crate::checkers::Span;
use crate::checkers::register::{Access, check};
use crate::source::Source;

/// Groups of two to six keys.
const GROUPS: usize = 10;
/// Keys of a group at most.
const KEYS_MAX: usize = 6;
/// One client in so many goes without waiting for its reply.
const LEFT_ONCE_IN: usize = 1000;

/// How a group is written or read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    /// By one command: MSET, MGET.
    Together,
    /// By a command for each key, within MULTI and EXEC.
    Wrapped,
    /// One key of it alone, which can only be read.
    Alone,
}

/// One client.
struct Client<'a> {
    run: &'a Run,
    number: usize,
    source: Source,
    left: usize,
    written: u64,
    way: Way,
    /// The group that is asked for, and how.
    asked: (usize, Access),
    history: Vec<(usize, Access)>,
}

/// How many keys a group has.
fn len(group: usize) -> usize {
    2 + group % (KEYS_MAX - 1)
}

impl Client<'_> {
    fn write(&mut self, group: usize, first: usize, connection: &mut Connection) {
        let value = self.asked.1.value;
        let key = |at: usize| group * KEYS_MAX + (first + at) % len(group);
        if self.way == Way::Together {
            connection.request(2 * len(group) + 1).word("MSET");
            (0..len(group)).for_each(|at| {
                connection.key(key(at)).word(value);
            });
        } else {
            self.way = Way::Wrapped;
            connection.request(1).word("MULTI");
            (0..len(group)).for_each(|at| {
                connection.request(3).word("SET").key(key(at)).word(value);
            });
            connection.request(1).word("EXEC");
        }
    }

    fn read(&mut self, group: usize, first: usize, connection: &mut Connection) {
        let key = |at: usize| group * KEYS_MAX + (first + at) % len(group);
        match self.way {
            Way::Together => {
                connection.request(len(group) + 1).word("MGET");
                (0..len(group)).for_each(|at| {
                    connection.key(key(at));
                });
            }
            Way::Wrapped => {
                connection.request(1).word("MULTI");
                (0..len(group)).for_each(|at| {
                    connection.request(2).word("GET").key(key(at));
                });
                connection.request(1).word("EXEC");
            }
            Way::Alone => {
                connection.request(2).word("GET").key(key(0));
            }
        }
    }
}

impl Session for Client<'_> {
    fn ask(&mut self, connection: &mut Connection) -> Turn {
        if self.left == 0 || self.run.is_over() {
            return Turn::Done;
        }
        self.left -= 1;
        let group = self.source.below(GROUPS);
        let first = self.source.below(len(group));
        self.way = *self.source.one_of(&[Way::Together, Way::Wrapped, Way::Alone]);
        let write = self.source.below(3) == 0;
        self.written += u64::from(write);
        let value = self.written * CONNECTIONS as u64 + self.number as u64;
        let span = Span { sent: self.run.now(), done: None };
        self.asked = (group, Access { span, value, write });
        if write {
            self.write(group, first, connection);
        } else {
            self.read(group, first, connection);
        }
        if self.source.below(LEFT_ONCE_IN) == 0 {
            self.history.extend(write.then_some(self.asked));
            return Turn::Left;
        }
        Turn::Asked
    }

    fn take(&mut self, connection: &mut Connection) -> Result<(), String> {
        let (group, mut access) = self.asked;
        let len = len(group);
        connection.receive(if self.way == Way::Wrapped { len + 2 } else { 1 })?;
        access.span.done = Some(self.run.now());
        if self.way == Way::Wrapped {
            connection.expect("OK")?;
            (0..len).try_for_each(|_| connection.expect("QUEUED"))?;
            connection.array_of(len)?;
        } else if self.way == Way::Together && !access.write {
            connection.array_of(len)?;
        }
        if access.write {
            let replies = if self.way == Way::Wrapped { len } else { 1 };
            (0..replies).try_for_each(|_| connection.expect("OK"))?;
        } else {
            let replies = if self.way == Way::Alone { 1 } else { len };
            let seen = (0..replies).map(|_| Ok(connection.string()?.unwrap_or(0)));
            let seen: Vec<u64> = seen.collect::<Result<_, String>>()?;
            if seen.iter().any(|value| *value != seen[0]) {
                return Err(format!("group {group} is torn: {seen:?}, read {:?}", self.way));
            }
            access.value = seen[0];
        }
        self.run.count(1);
        self.history.push((group, access));
        Ok(())
    }
}

fn record(run: &Run) -> Result<Vec<Vec<Access>>, String> {
    let access = Access { span: Span { sent: 0, done: None }, value: 0, write: false };
    let client = |number| Client {
        run,
        number,
        source: run.source(number),
        left: run.operations / CONNECTIONS,
        written: 0,
        way: Way::Alone,
        asked: (0, access),
        history: Vec::new(),
    };
    let clients = run.drive((0..CONNECTIONS).map(client).collect())?;
    let mut groups = vec![Vec::new(); GROUPS];
    for (group, access) in clients.into_iter().flat_map(|client| client.history) {
        groups[group].push(access);
    }
    Ok(groups)
}

#[test]
fn what_is_written_together_is_read_together() {
    let run = Run::new("pairs");
    run.judge(record(&run), |groups| {
        for (group, accesses) in groups.iter().enumerate() {
            check(accesses).map_err(|error| format!("group {group}: {error}"))?;
        }
        Ok(())
    });
}
