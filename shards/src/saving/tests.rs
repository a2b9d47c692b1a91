//! Snapshots of a shard that changes meanwhile: each is the state at its cut.

use super::*;
use crate::commands::{Words, find};
use crate::digest::Digest;
use crate::random::Random;
use crate::shard::{Ran, Sender, Task};
use crate::snapshot::Loader;
use pinion_io::resp::Protocol;
use pinion_rdb::{Item, Origin, Parser, Version};
use std::collections::BTreeMap;

const NOW: Millis = 1_700_000_000_000;
const DATABASES: u16 = 7;

/// All that is there: by database and key, the digest of the value and its expiry.
type State = BTreeMap<(u16, Vec<u8>), (String, Option<Millis>)>;

fn state(shard: &mut Shard) -> State {
    let mut state = State::new();
    for db in 0..DATABASES {
        shard.keyspace.each(db, NOW, |record| {
            let told = (Digest::of_value(record, NOW).to_string(), record.expiry());
            state.insert((db, record.key().to_vec()), told);
        });
    }
    state
}

/// Runs a command; true if it has run, and does not wait.
fn run(shard: &mut Shard, db: u16, request: &str) -> bool {
    let mut words = Words::default();
    words.extend(request.split(' ').map(str::as_bytes));
    let args = words.args();
    let row = find(args.at(0)).expect("a known command");
    let hash = row.first_key(&args).map_or(0, |index| shard.hash(args.at(index)));
    let run = match row.plan {
        Plan::One(run) | Plan::First(run) | Plan::Each { run, .. } | Plan::Every { run, .. } => run,
        Plan::Move(plan) => plan.put,
        _ => unreachable!("the test has none of these"),
    };
    let (task, sender) = (Task::Run(row, run), Sender(0));
    let call = Call { task, sender, db, hash, speaker: None, args };
    let mut reply = Vec::new();
    let ran = shard.run(NOW, &call, &mut Reply::new(&mut reply, Protocol::Resp2));
    assert!(!reply.starts_with(b"-ERR wrong number"), "{request}");
    ran == Ran::Done
}

fn begin(shard: &mut Shard, compress: &str) {
    let mut words = Words::default();
    words.extend(["|cut", compress].map(str::as_bytes));
    let Plan::Every { run, .. } = CUT.plan else { unreachable!("it cuts every shard") };
    let (task, args) = (Task::Run(&CUT, run), words.args());
    let call = Call { task, sender: Sender(0), db: 0, hash: 0, speaker: None, args };
    let mut reply = Vec::new();
    shard.run(NOW, &call, &mut Reply::new(&mut reply, Protocol::Resp2));
    assert_eq!(reply, b"+OK\r\n");
}

/// Loads pieces into a shard of their own.
fn load(pieces: &[Piece]) -> Shard {
    let mut shard = Shard::new(0, 1, DATABASES, 3);
    let mut chunks: Vec<Vec<u8>> = Vec::new();
    let mut promised = 0;
    for piece in pieces {
        match piece {
            Piece::Chunk(bytes) => chunks.push(bytes.clone()),
            Piece::Run(bytes) => {
                promised = *bytes;
                chunks.push(Vec::new());
            }
            Piece::Part(bytes) => {
                chunks.last_mut().expect("a run has begun").extend_from_slice(bytes);
                promised -= bytes.len() as u64;
            }
        }
    }
    assert_eq!(promised, 0, "runs are as long as they said");
    for chunk in chunks {
        let mut loader = Loader::new(Origin::Redis);
        let version = Version::of_number(12).expect("a known version");
        let mut parser = Parser::inside(version, 0, chunk.len() as u64).unchecked();
        parser.feed(&chunk);
        let mut db = None;
        while !parser.is_between() {
            match parser.next().expect("a sound chunk").expect("a chunk is whole records") {
                Item::Database(number) => db = Some(number as u16),
                Item::Record(record) => {
                    let db = db.expect("a chunk says of which database its records are");
                    loader.load(&mut shard, db, &record, NOW).expect("a key comes once");
                }
                _ => unreachable!("a chunk has nothing else"),
            }
        }
    }
    shard
}

/// A change of some kind.
fn change(random: &mut Random, elements: usize) -> String {
    let (key, other) = (random.below(80), random.below(80));
    let value = random.below(1_000_000);
    let many = |random: &mut Random, pair: bool| {
        let word = |random: &mut Random| {
            let word = random.below(elements * 4);
            if pair { format!(" {word} v{word}") } else { format!(" {word}x") }
        };
        (0..1 + random.below(elements)).map(|_| word(random)).collect::<String>()
    };
    match random.below(18) {
        0..3 => format!("SET s{key} {value}"),
        3 => format!("SET s{key} text{value} PX 100000"),
        4 => format!("INCR n{key}"),
        5 => format!("APPEND a{key} {value}"),
        6 => format!("DEL s{key} h{other} l{key}"),
        7 => format!("RENAME h{key} h{other}").replace("RENAME h", "PERSIST s"),
        8 => format!("HSET h{key}{}", many(random, true)),
        9 => format!("RPUSH l{key}{}", many(random, false)),
        10 => format!("SADD m{key}{}", many(random, false)),
        11 => format!("ZADD z{key}{}", many(random, false).replace('x', " member")),
        12 => format!("LPOP l{key} 3"),
        13 => format!("HDEL h{key}{}", many(random, false).replace('x', "")),
        14 => format!("PEXPIRE s{key} 1000000"),
        15 => format!("COPY h{key} h{other} REPLACE"),
        16 => format!("SETRANGE a{key} 10 {value}"),
        _ => format!("COPY z{key} z{other} DB 2 REPLACE"),
    }
}

fn play(seed: u64, elements: usize) {
    let mut random = Random(seed);
    let mut shard = Shard::new(0, 1, DATABASES, seed);
    let any_db = |random: &mut Random| random.below(DATABASES.into()) as u16;
    for _ in 0..2 {
        for _ in 0..200 {
            let (db, request) = (any_db(&mut random), change(&mut random, elements));
            run(&mut shard, db, &request);
        }
        let cut = state(&mut shard);
        begin(&mut shard, if random.below(2) == 0 { "yes" } else { "no" });
        let mut pieces = Vec::new();
        let give_up = random.below(8) == 0;
        while !shard.is_saved() {
            for _ in 0..random.below(4) {
                let (db, request) = (any_db(&mut random), change(&mut random, elements));
                run(&mut shard, db, &request);
            }
            match random.below(60) {
                0 => drop(run(&mut shard, any_db(&mut random), "FLUSHDB")),
                1 if shard.is_free() => shard.keyspace.swap(0, any_db(&mut random), NOW),
                2 if give_up => shard.give_up_saving(),
                _ => {}
            }
            shard.save_on(NOW);
            shard.take_late();
            while let Some(piece) = shard.take_piece() {
                pieces.push(piece);
            }
        }
        let given_up = shard.has_given_up_saving();
        let saved = shard.end_saving();
        assert!(shard.is_free(), "seed {seed}: nothing is locked any more");
        while shard.tick(NOW) {}
        shard.keyspace.recount();
        if !given_up {
            let mut loaded = load(&pieces);
            assert!(state(&mut loaded) == cut, "seed {seed}: the state at the cut");
            assert_eq!(saved.keys as usize, cut.len());
            loaded.keyspace.recount();
        }
    }
}

#[test]
fn a_snapshot_is_the_state_at_its_cut() {
    (0..300).for_each(|seed| play(seed, 4));
    (0..10).for_each(|seed| play(seed, 9_000));
}

#[test]
fn what_is_longer_than_memory_holds_comes_in_parts() {
    let mut shard = Shard::new(0, 1, DATABASES, 5);
    for from in (0..300_000).step_by(1_000) {
        let fields: String = (from..from + 1_000).map(|n| format!(" f{n} value-{n}-{n}")).collect();
        assert!(run(&mut shard, 1, &format!("HSET h{fields}")));
    }
    run(&mut shard, 1, "SET s text");
    let cut = state(&mut shard);
    begin(&mut shard, "yes");
    let (mut pieces, mut waits) = (Vec::new(), 0);
    let mut steps = 0;
    while !shard.is_saved() {
        if steps % 100 == 50 {
            // The first waits until all is written, and others behind it.
            waits += u32::from(!run(&mut shard, 1, &format!("HSET h f{steps} new")));
        }
        steps += 1;
        shard.save_on(NOW);
        shard.take_late();
        pieces.extend(std::iter::from_fn(|| shard.take_piece()));
    }
    shard.end_saving();
    assert!(steps > 300 && waits > 0, "{steps} steps, {waits} commands waited");
    assert!(matches!(pieces[..], [.., Piece::Part(_)] | [.., Piece::Part(_), Piece::Chunk(_)]));
    assert_eq!(run(&mut shard, 1, "HSET h f1 x"), shard.is_free());
    assert!(state(&mut load(&pieces)) == cut);
}
