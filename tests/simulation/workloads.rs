//! What clients do in a simulated mesh, and what must come of it.

use super::limits::run_limits;
use super::mesh::{Ask, Heard, Planted};
use super::readers::{run_long, run_streams};
use super::source::Source;
use super::stage::{Script, Stage, numbers, one, values, words};
use crate::checkers::append::{self, Step, Transaction};
use crate::checkers::register::{self, Access};
use crate::checkers::{Span, bank, causal, queue};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// One workload: a name, and a run under a seed.
pub(crate) type Workload = (&'static str, Run);

/// Runs a workload under a seed, perhaps with a planted fault.
pub(crate) type Run = fn(u64, Option<Planted>) -> Result<(), String>;

/// All of them.
pub(crate) const ALL: &[Workload] = &[
    ("append", run_append),
    ("registers", run_registers),
    ("causal", run_causal),
    ("bank", run_bank),
    ("queues", run_queues),
    ("wakes", run_wakes),
    ("stores", run_stores),
    ("whole", run_whole),
    ("streams", run_streams),
    ("long", run_long),
    ("limits", run_limits),
];

/// Lists that are appended to and read, alone and in transactions.
#[derive(Default)]
struct Appends {
    left: usize,
    keys: usize,
    value: u64,
    depth: usize,
    under_way: HashMap<usize, VecDeque<Vec<Step>>>,
    history: Vec<Transaction>,
}

impl Script for Appends {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        let count = if source.below(3) == 0 { 1 } else { 1 + source.below(4) };
        let (mut steps, mut requests) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let key = source.below(self.keys) as u32;
            if source.below(2) == 0 {
                self.value += 1;
                steps.push(Step::Append(key, self.value));
                requests.push(words(&format!("RPUSH k{key} {}", self.value)));
            } else {
                steps.push(Step::Read(key, Vec::new()));
                requests.push(words(&format!("LRANGE k{key} 0 -1")));
            }
        }
        self.under_way.entry(client).or_default().push_back(steps);
        if requests.len() == 1 && source.below(2) == 0 {
            return requests.pop().map(Ask::One);
        }
        Some(Ask::Exec(requests))
    }

    fn hear(&mut self, client: usize, heard: Heard, span: Span) {
        let asked = self.under_way.get_mut(&client).and_then(VecDeque::pop_front);
        let mut steps = asked.expect("it has asked");
        let replies = heard.replies();
        assert_eq!(replies.len(), steps.len(), "a reply to each command");
        for (step, reply) in steps.iter_mut().zip(replies) {
            if let Step::Read(_, found) = step {
                *found = numbers(&reply);
            }
        }
        self.history.push(Transaction { session: client, span, steps });
    }

    fn depth(&self) -> usize {
        self.depth
    }
}

fn run_append(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let keys = 2 + stage.source.below(6);
    let depth = 1 + stage.source.below(3);
    let mut script = Appends { left: 60, keys, depth, ..Appends::default() };
    stage.play(&mut script)?;
    // In the end everything is read.
    let reads = (0..keys).map(|key| words(&format!("LRANGE k{key} 0 -1"))).collect();
    let steps = (0..keys as u32).map(|key| Step::Read(key, Vec::new())).collect();
    script.under_way.insert(0, VecDeque::from([steps]));
    finish(&mut stage, &mut script, Ask::Exec(reads))?;
    append::check(&script.history)?;
    stage.mesh.is_clean()
}

/// Has one client ask one thing more.
pub(super) fn finish(stage: &mut Stage, script: &mut dyn Script, ask: Ask) -> Result<(), String> {
    struct Last<'a>(&'a mut dyn Script, Option<Ask>);
    impl Script for Last<'_> {
        fn next(&mut self, client: usize, _: &mut Source) -> Option<Ask> {
            if client == 0 { self.1.take() } else { None }
        }
        fn hear(&mut self, client: usize, heard: Heard, span: Span) {
            self.0.hear(client, heard, span);
        }
    }
    stage.play(&mut Last(script, Some(ask)))
}

/// Strings that are set and read, one by one and all of a group at once.
#[derive(Default)]
struct Registers {
    left: usize,
    value: u64,
    under_way: HashMap<usize, (bool, Option<u64>, Vec<usize>)>,
    /// Keys that are only written one by one.
    single: BTreeMap<usize, Vec<Access>>,
    /// Keys that are only written all at once: one register.
    group: Vec<Access>,
    torn: Option<Vec<u64>>,
}

/// Keys of the group, after as many that stand alone.
const GROUP: usize = 4;

impl Script for Registers {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        let write = source.below(2) == 0;
        let group = source.below(2) == 0;
        let keys: Vec<usize> =
            if group { (GROUP..2 * GROUP).collect() } else { vec![source.below(GROUP)] };
        let value = write.then(|| {
            self.value += 1;
            self.value
        });
        let mut request = String::from(match (write, group) {
            (true, true) => "MSET",
            (false, true) => "MGET",
            (true, false) => "SET",
            (false, false) => "GET",
        });
        for key in &keys {
            request += &format!(" r{key}");
            if let Some(value) = value {
                request += &format!(" {value}");
            }
        }
        self.under_way.insert(client, (group, value, keys));
        Some(one(&request))
    }

    fn hear(&mut self, client: usize, heard: Heard, span: Span) {
        let Heard::Said(reply) = heard else { panic!("one command, one reply") };
        let (group, value, keys) = self.under_way.remove(&client).expect("it asked");
        let write = value.is_some();
        let value = value.unwrap_or_else(|| {
            let seen = numbers(&reply);
            if seen.iter().any(|value| *value != seen[0]) {
                self.torn = Some(seen.clone());
            }
            seen[0]
        });
        let access = Access { span, value, write };
        if group {
            self.group.push(access);
        } else {
            self.single.entry(keys[0]).or_default().push(access);
        }
    }
}

fn run_registers(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let mut script = Registers { left: 100, ..Registers::default() };
    stage.play(&mut script)?;
    if let Some(torn) = script.torn {
        return Err(format!("MGET is torn: {torn:?}"));
    }
    register::check(&script.group)?;
    script.single.values().try_for_each(|accesses| register::check(accesses))?;
    stage.mesh.is_clean()
}

/// A writer that writes on and on, and readers of all that it writes.
#[derive(Default)]
struct Causal {
    left: usize,
    keys: u64,
    written: u64,
    seen: Vec<causal::Seen>,
}

impl Script for Causal {
    fn next(&mut self, client: usize, _: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        if client == 0 {
            self.written += 1;
            return Some(one(&format!("SET c{} {}", self.written % self.keys, self.written)));
        }
        let keys: Vec<String> = (0..self.keys).map(|key| format!("c{key}")).collect();
        Some(one(&format!("MGET {}", keys.join(" "))))
    }

    fn hear(&mut self, client: usize, heard: Heard, _: Span) {
        let Heard::Said(reply) = heard else { panic!("one command, one reply") };
        if client != 0 {
            self.seen.push(numbers(&reply));
        }
    }
}

fn run_causal(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let keys = 2 + stage.source.below(5) as u64;
    let mut script = Causal { left: 120, keys, ..Causal::default() };
    stage.play(&mut script)?;
    causal::check(&script.seen)?;
    stage.mesh.is_clean()
}

/// Transfers between accounts that are watched meanwhile.
struct Bank {
    left: usize,
    tellers: HashMap<usize, Teller>,
    seen: Vec<Vec<i64>>,
    done: usize,
    stopped: usize,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug)]
enum Teller {
    Watch(usize, usize),
    Read(usize, usize),
    Move(usize, usize, i64, i64),
    Look,
    Moved,
}

const ACCOUNTS: usize = 5;
const MONEY: i64 = 100;

impl Script for Bank {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        let teller = match self.tellers.get(&client) {
            Some(Teller::Watch(from, to)) => Teller::Read(*from, *to),
            Some(&teller @ Teller::Move(..)) => teller,
            _ => {
                self.left = self.left.checked_sub(1)?;
                if source.below(3) == 0 {
                    Teller::Look
                } else {
                    let from = source.below(ACCOUNTS);
                    Teller::Watch(from, (from + 1 + source.below(ACCOUNTS - 1)) % ACCOUNTS)
                }
            }
        };
        self.tellers.insert(client, teller);
        Some(match teller {
            Teller::Watch(from, to) => one(&format!("WATCH a{from} a{to}")),
            Teller::Read(from, to) => one(&format!("MGET a{from} a{to}")),
            Teller::Move(from, to, one, other) => {
                self.tellers.insert(client, Teller::Moved);
                Ask::Exec(vec![
                    words(&format!("SET a{from} {one}")),
                    words(&format!("SET a{to} {other}")),
                ])
            }
            Teller::Look | Teller::Moved => one(&look()),
        })
    }

    fn hear(&mut self, client: usize, heard: Heard, _: Span) {
        let said = |reply: &[u8]| -> Vec<i64> {
            values(reply).iter().map(|value| value.parse().unwrap_or(0)).collect()
        };
        match (self.tellers[&client], heard) {
            (Teller::Look, Heard::Said(reply)) => self.seen.push(said(&reply)),
            (Teller::Read(from, to), Heard::Said(reply)) => {
                let (one, other) = (said(&reply)[0], said(&reply)[1]);
                self.tellers.insert(client, Teller::Move(from, to, one - 7, other + 7));
            }
            (Teller::Moved, Heard::Refused) => self.stopped += 1,
            (Teller::Moved, _) => self.done += 1,
            _ => {}
        }
    }
}

fn look() -> String {
    let names: Vec<String> = (0..ACCOUNTS).map(|account| format!("a{account}")).collect();
    format!("MGET {}", names.join(" "))
}

fn run_bank(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let (tellers, seen) = (HashMap::new(), Vec::new());
    let mut script = Bank { left: 0, tellers, seen, done: 0, stopped: 0 };
    let opened: Vec<_> = (0..ACCOUNTS).map(|at| words(&format!("SET a{at} {MONEY}"))).collect();
    script.tellers.insert(0, Teller::Moved);
    finish(&mut stage, &mut script, Ask::Exec(opened))?;
    script.left = 40;
    stage.play(&mut script)?;
    script.tellers.insert(0, Teller::Look);
    finish(&mut stage, &mut script, one(&look()))?;
    bank::check(MONEY * ACCOUNTS as i64, &script.seen)?;
    stage.mesh.is_clean()
}

/// Producers, and consumers that wait on several queues, move between them, and vanish.
#[derive(Default)]
struct Queues {
    left: usize,
    value: u64,
    under_way: HashMap<usize, Option<u64>>,
    history: queue::History,
    cut: bool,
}

/// Queues, and one that BLMOVE fills.
const QUEUES: usize = 4;

impl Script for Queues {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        if client.is_multiple_of(2) {
            self.value += 1;
            self.under_way.insert(client, Some(self.value));
            let side = *source.one_of(&["LPUSH", "RPUSH"]);
            return Some(one(&format!("{side} q{} {}", source.below(QUEUES), self.value)));
        }
        self.under_way.insert(client, None);
        let (one_queue, other) = (source.below(QUEUES + 1), source.below(QUEUES + 1));
        let timeout = *source.one_of(&["0.05", "0.5", "2"]);
        Some(match source.below(5) {
            0 => one(&format!("BLPOP q{one_queue} {timeout}")),
            1 => one(&format!("BRPOP q{one_queue} q{other} {timeout}")),
            2 => one(&format!("BLPOP q0 q1 q2 q3 q4 {timeout}")),
            3 => one(&format!("BLMPOP {timeout} 2 q{one_queue} q{other} LEFT")),
            _ => {
                // What is moved is not taken.
                one(&format!("BLMOVE q{} q{QUEUES} LEFT RIGHT {timeout}", source.below(QUEUES)))
            }
        })
    }

    fn hear(&mut self, client: usize, heard: Heard, span: Span) {
        let Heard::Said(reply) = heard else { panic!("one command, one reply") };
        match self.under_way.remove(&client) {
            Some(Some(value)) => self.history.puts.push((value, span)),
            // An array is a queue and what was in it; a string was moved.
            _ if reply.starts_with(b"*") => {
                let taken =
                    values(&reply).into_iter().filter_map(|value| value.parse::<u64>().ok());
                self.history.taken.extend(taken);
            }
            _ => {}
        }
    }

    fn lose(&mut self, client: usize, span: Span) {
        match self.under_way.remove(&client) {
            Some(Some(value)) => self.history.puts.push((value, Span { done: None, ..span })),
            _ => self.history.unanswered += 1,
        }
    }

    fn may_cut(&self) -> bool {
        self.cut
    }
}

fn run_queues(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let cut = stage.source.below(2) == 0;
    let mut script = Queues { left: 80, cut, ..Queues::default() };
    stage.play(&mut script)?;
    script.cut = false;
    // A client that waits for ever is served by what comes then.
    for queue in 0..=QUEUES {
        script.under_way.insert(0, None);
        finish(&mut stage, &mut script, one(&format!("LMPOP 1 q{queue} LEFT COUNT 1000")))?;
    }
    queue::check(&script.history)?;
    stage.mesh.is_clean()
}

/// As many elements as requests for one, each of which waits for ever for any queue.
#[derive(Default)]
struct Wakes {
    puts: usize,
    takes: usize,
    taken: Vec<String>,
}

impl Script for Wakes {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        if client.is_multiple_of(2) {
            self.puts = self.puts.checked_sub(1)?;
            return Some(one(&format!("RPUSH w{} {}", source.below(3), self.puts)));
        }
        self.takes = self.takes.checked_sub(1)?;
        let order = source.one_of(&["w0 w1 w2", "w2 w0 w1", "w1 w2 w0"]);
        Some(one(&format!("BLPOP {order} 0")))
    }

    fn hear(&mut self, client: usize, heard: Heard, _: Span) {
        if let Heard::Said(reply) = heard
            && client % 2 == 1
        {
            self.taken.extend(values(&reply).pop());
        }
    }
}

fn run_wakes(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    const COUNT: usize = 40;
    let mut stage = Stage::new(seed, planted);
    let mut script = Wakes { puts: COUNT, takes: COUNT, taken: Vec::new() };
    stage.play(&mut script)?;
    script.taken.sort_unstable();
    script.taken.dedup();
    if script.taken.len() != COUNT {
        return Err(format!("{COUNT} were put, these taken: {:?}", script.taken));
    }
    stage.mesh.is_clean()
}

/// Values that move between keys: what there is stays the same in sum.
#[derive(Default)]
struct Stores {
    left: usize,
    looks: HashMap<usize, Look>,
    wrong: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Look {
    Nothing,
    /// One token stands under one of the names.
    Token,
    /// The members of all sets together.
    Members,
    /// The elements of all lists together, after so many commands of another kind.
    Elements(usize),
}

const NAMES: usize = 5;
const MEMBERS: usize = 6;

fn names(kind: &str) -> String {
    (0..NAMES).map(|name| format!("{kind}{name}")).collect::<Vec<_>>().join(" ")
}

impl Script for Stores {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        let (from, to) = (source.below(NAMES), source.below(NAMES));
        let (look, ask) = match source.below(11) {
            0 => (Look::Nothing, one(&format!("RENAME t{from} t{to}"))),
            1 => (Look::Nothing, one(&format!("RENAMENX t{from} t{to}"))),
            2 => {
                let member = source.below(MEMBERS);
                (Look::Nothing, one(&format!("SMOVE s{from} s{to} m{member}")))
            }
            3 => (Look::Nothing, one(&format!("LMOVE l{from} l{to} LEFT RIGHT"))),
            4 => (Look::Nothing, one(&format!("RPOPLPUSH l{from} l{to}"))),
            5 => (Look::Token, one(&format!("EXISTS {}", names("t")))),
            6 => (Look::Members, one(&format!("SUNION {}", names("s")))),
            7 => (Look::Members, one(&format!("SUNIONSTORE u {}", names("s")))),
            choice => {
                // Perhaps some of them move between the looks.
                let reads = (0..NAMES).map(|name| words(&format!("LLEN l{name}")));
                let mut all: Vec<_> = reads.collect();
                let moves = [
                    format!("LMOVE l{from} l{to} RIGHT LEFT"),
                    format!("RENAMENX t{from} t{to}"),
                    format!("SMOVE s{from} s{to} m{}", source.below(MEMBERS)),
                ];
                let mut before = 0;
                for request in moves.iter().filter(|_| choice > 8) {
                    if source.below(2) == 0 {
                        all.insert(0, words(request));
                        before += 1;
                    } else {
                        all.push(words(request));
                    }
                }
                (Look::Elements(before), Ask::Exec(all))
            }
        };
        self.looks.insert(client, look);
        Some(ask)
    }

    fn hear(&mut self, client: usize, heard: Heard, _: Span) {
        let replies = heard.replies();
        let shown = match self.looks[&client] {
            Look::Elements(before) => &replies[before..before + NAMES],
            _ => &replies[..],
        };
        let all: Vec<String> = shown.iter().flat_map(|reply| values(reply)).collect();
        let sum = || all.iter().filter_map(|value| value.parse::<usize>().ok()).sum::<usize>();
        let right = match self.looks[&client] {
            Look::Nothing => true,
            Look::Token => sum() == 1,
            // The members themselves, or how many were stored.
            Look::Members => all.len() == MEMBERS || all.len() == 1 && sum() == MEMBERS,
            Look::Elements(_) => sum() == MEMBERS,
        };
        if !right && self.wrong.is_none() {
            self.wrong = Some(format!("{:?} shows {all:?}", self.looks[&client]));
        }
    }
}

fn run_stores(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let mut script = Stores::default();
    for request in ["SET t0 token", "SADD s0 m0 m1 m2 m3 m4 m5", "RPUSH l0 0 1 2 3 4 5"] {
        script.looks.insert(0, Look::Nothing);
        finish(&mut stage, &mut script, one(request))?;
    }
    script.left = 90;
    stage.play(&mut script)?;
    match script.wrong {
        Some(wrong) => Err(wrong),
        None => stage.mesh.is_clean(),
    }
}

/// Commands on all keys, beside some that set or delete a group at once.
#[derive(Default)]
struct Whole {
    left: usize,
    counting: HashMap<usize, bool>,
    wrong: Option<String>,
}

impl Script for Whole {
    fn next(&mut self, client: usize, source: &mut Source) -> Option<Ask> {
        self.left = self.left.checked_sub(1)?;
        let keys: Vec<String> = (0..GROUP).map(|key| format!("g{key}")).collect();
        let pairs: Vec<String> = keys.iter().map(|key| format!("{key} 1")).collect();
        let (counting, ask) = match source.below(7) {
            0 => (false, one(&format!("MSET {}", pairs.join(" ")))),
            1 => (false, one(&format!("MSETNX {}", pairs.join(" ")))),
            2 => (false, one("FLUSHALL")),
            3 => (false, one(&format!("DEL {}", keys.join(" ")))),
            4 => (true, one("DBSIZE")),
            5 => (true, one(&format!("EXISTS {}", keys.join(" ")))),
            _ => (true, Ask::Exec(vec![words("DBSIZE"), words("DBSIZE")])),
        };
        self.counting.insert(client, counting);
        Some(ask)
    }

    fn hear(&mut self, client: usize, heard: Heard, _: Span) {
        let replies = heard.replies();
        let counts: Vec<u64> = replies.iter().flat_map(|reply| numbers(reply)).collect();
        let right = |count: &u64| counts[0] == *count && (*count == 0 || *count == GROUP as u64);
        if self.counting[&client] && !counts.iter().all(right) {
            self.wrong = Some(format!("{counts:?} keys of {GROUP}"));
        }
    }
}

fn run_whole(seed: u64, planted: Option<Planted>) -> Result<(), String> {
    let mut stage = Stage::new(seed, planted);
    let mut script = Whole { left: 60, ..Whole::default() };
    stage.play(&mut script)?;
    match script.wrong {
        Some(wrong) => Err(wrong),
        None => stage.mesh.is_clean(),
    }
}
