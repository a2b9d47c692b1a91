//! Every row's function, with arguments that are nearly right: no panic, one whole reply, memory
//! counted as recounted, and nothing changed by what is refused.

use super::source::Source;
use pinion_io::resp::{Protocol, Range, Reply, Value, decode};
use pinion_shards::commands::{Args, Plan, Row, rows};
use pinion_shards::{Call, LateCall, Millis, Ran, Retire, Sender, Shard, Task, Waiter};

/// Commands between recounts, which walk everything.
const RECOUNT_EVERY: usize = 500;
/// Commands between flushes, so that values do not grow for ever.
const FLUSH_EVERY: usize = 3000;

/// Words that commands look for among their arguments.
const OPTIONS: &[&str] = &[
    "EX",
    "PX",
    "EXAT",
    "PXAT",
    "NX",
    "XX",
    "GT",
    "LT",
    "GET",
    "KEEPTTL",
    "PERSIST",
    "MATCH",
    "COUNT",
    "TYPE",
    "string",
    "LEN",
    "IDX",
    "MINMATCHLEN",
    "WITHMATCHLEN",
    "DB",
    "REPLACE",
    "ASYNC",
    "SYNC",
    "ENCODING",
    "HELP",
    "CH",
    "INCR",
    "BYSCORE",
    "BYLEX",
    "REV",
    "LIMIT",
    "WITHSCORE",
    "WITHSCORES",
    "WEIGHTS",
    "AGGREGATE",
    "MIN",
    "MAX",
    "SUM",
    "-",
    "+",
    "-inf",
    "[k1",
    "(k2",
    "(1",
    "FROMMEMBER",
    "FROMLONLAT",
    "BYRADIUS",
    "BYBOX",
    "WITHCOORD",
    "WITHDIST",
    "WITHHASH",
    "ASC",
    "DESC",
    "ANY",
    "STORE",
    "STOREDIST",
    "FIELDS",
    "FNX",
    "FXX",
    "WITHVALUES",
    "NOVALUES",
    "m",
    "km",
    "13.361389",
    "38.115556",
    "*",
    "k[1-3]",
    "?*\\",
];

/// Numbers at the edges of what is allowed, and texts that are nearly numbers.
const NUMBERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "15",
    "16",
    "100",
    "4000",
    "-4000",
    "536870912",
    "2147483647",
    "2147483648",
    "-2147483649",
    "1700000000",
    "1700000000500",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "9223372036854775",
    "01",
    "+1",
    " 1",
    "1.5",
    "-0",
    "1e3",
    "1e400",
    "inf",
    "nan",
    "0x10",
    "3.0e-5",
    "",
    "12345678901234567890123",
];

/// A row with a function of its own.
pub(super) struct Target {
    pub(super) row: &'static Row,
    task: Task,
}

pub(super) fn targets() -> Vec<Target> {
    let mut all: Vec<&'static Row> = Vec::new();
    for row in rows() {
        match row.plan {
            Plan::Container(inner) => all.extend(inner),
            _ => all.push(row),
        }
    }
    let run = |row: &'static Row| {
        let task = match row.plan {
            Plan::One(run) | Plan::First(run) | Plan::Scan(run) | Plan::Channel(run) => {
                Task::Run(row, run)
            }
            Plan::Each { run, .. } | Plan::Every { run, .. } => Task::Run(row, run),
            Plan::Move(plan) => Task::Run(row, plan.put),
            Plan::Wait(try_run, _) => Task::Try(row, try_run, Waiter { home: 0, id: 0 }),
            Plan::Watch => Task::Watch(row, 1),
            Plan::Script | Plan::Container(_) | Plan::Session => return None,
        };
        Some(Target { row, task })
    };
    all.into_iter().filter_map(run).collect()
}

fn word(source: &mut Source, index: usize) -> Vec<u8> {
    let key = |source: &mut Source| format!("k{}", source.below(8)).into_bytes();
    if index == 1 && !source.once_in(6) {
        return key(source);
    }
    match source.below(7) {
        0 | 1 => key(source),
        2 | 3 => source.one_of(NUMBERS).as_bytes().to_vec(),
        4 => source.one_of(OPTIONS).as_bytes().to_vec(),
        5 => source.one_of(OPTIONS).to_lowercase().into_bytes(),
        _ => {
            let len = *source.one_of(&[&3, &60, &300]);
            source.bytes(len)
        }
    }
}

/// The words of a request for `row`, as many as it accepts.
pub(super) fn words(source: &mut Source, row: &Row) -> Vec<Vec<u8>> {
    let least = usize::from(row.arity.unsigned_abs());
    let count = if row.arity > 0 { least } else { least + source.below(8) };
    assert!(row.accepts(count), "{} accepts {count} words", row.name);
    let mut words: Vec<Vec<u8>> =
        row.name.split('|').map(|name| name.as_bytes().to_vec()).collect();
    while words.len() < count {
        words.push(word(source, words.len()));
    }
    words
}

/// What a refusal must not change.
fn state(shard: &Shard) -> (u64, Vec<u64>) {
    let stats = shard.stats();
    (stats.changes, stats.databases.iter().map(|database| database.keys).collect())
}

pub(super) fn run(
    shard: &mut Shard,
    now: Millis,
    target: &Target,
    words: &[Vec<u8>],
    protocol: Protocol,
) {
    let bytes = words.concat();
    let mut start = 0;
    let range = |word: &Vec<u8>| {
        let range = Range { start, len: word.len() as u32 };
        start += range.len;
        range
    };
    let ranges: Vec<Range> = words.iter().map(range).collect();
    let args = Args::new(&bytes, &ranges);
    let first = target.row.first_key(&args).map(|index| args.at(index));
    let hash = first.map_or(0, |key| shard.hash(key));
    let before = state(shard);
    let expired = shard.stats().expired_keys;
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, protocol);
    // Every wait has a number of its own, and ends at once with a late reply.
    let (sender, waiter) = (Sender(0), Waiter { home: 0, id: before.0 });
    let task = match target.task {
        Task::Try(row, try_run, _) => Task::Try(row, try_run, waiter),
        task => task,
    };
    if let Ran::Parked(_) =
        shard.run(now, &Call { task, sender, db: 0, hash, speaker: None, args }, &mut reply)
    {
        let task = Task::Retire(waiter, Retire::TimedOut);
        let call = Call { task, sender, db: 0, hash: 0, speaker: None, args };
        shard.run(now, &call, &mut reply);
        let late = shard.take_late().pop().expect("a retired wait replies");
        assert_eq!((late.call, shard.stats().waiting), (LateCall::Waited(waiter.id), 0));
        out = late.reply;
    }
    let told = || words.iter().map(|word| word.escape_ascii().to_string()).collect::<Vec<_>>();
    let decoded = decode(&out);
    let Ok(Some((value, len))) = decoded else {
        panic!("{:?} answers {}: {decoded:?}", told(), out.escape_ascii());
    };
    assert_eq!(len, out.len(), "{:?} answers once: {}", told(), out.escape_ascii());
    if matches!(value, Value::Error(_)) && shard.stats().expired_keys == expired {
        assert_eq!(state(shard), before, "{:?} was refused, and changed something", told());
    }
}

#[test]
fn any_arguments() {
    let mut source = Source::new("rows");
    let targets = targets();
    let flush = targets.iter().find(|target| target.row.name == "flushall").expect("FLUSHALL");
    let mut shard = Shard::new(0, 1, 16, 7);
    let mut now = 1_700_000_000_000;
    let mut count = 0;
    while source.goes_on() {
        for _ in 0..100 {
            count += 1;
            now += source.below(40) as Millis;
            let target = &targets[source.below(targets.len())];
            let words = words(&mut source, target.row);
            let protocol = [Protocol::Resp2, Protocol::Resp3][source.below(2)];
            run(&mut shard, now, target, &words, protocol);
            if source.once_in(50) {
                shard.tick(now);
            }
            if count % RECOUNT_EVERY == 0 {
                shard.keyspace().recount();
            }
            if count % FLUSH_EVERY == 0 {
                run(&mut shard, now, flush, &[b"FLUSHALL".to_vec()], protocol);
            }
        }
    }
    eprintln!("{count} commands of {} rows", targets.len());
}
