//! A server that writes and saves is killed, and comes back with what its last snapshot held.
//!
//! Each writer numbers its writes and waits for each reply, so what is loaded must be all writes of
//! a writer until one of them and none behind; and not fewer than were answered before the last
//! SAVE that was answered was asked for. Some servers are killed while they load.

use super::place::Place;
use crate::source::Source;
use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Kills where no number is said.
const KILLS: u64 = 15;
/// Writers of pairs; one more writes fields of one hash.
const WRITERS: usize = 3;
/// Pairs of each, or fields.
const NAMES: u64 = 500;
/// Keys that only make snapshots longer.
const FILLERS: u64 = 20_000;
/// Fields that only make the hash longer, so that it is saved in many steps.
const FIELDS: u64 = 20_000;
/// Requests sent at once while the server is filled.
const BATCH: u64 = 500;
/// Longest time from the start to a kill, in microseconds.
const LIFE_US_MAX: usize = 250_000;
/// The same for those that are killed while they load.
const LOADING_US_MAX: usize = 60_000;
/// One in so many is killed while it loads.
const LOADING_ONCE_IN: usize = 6;
/// Shards of the servers, in turn.
const SHARDS: [usize; 3] = [4, 4, 2];
const PATIENCE: Duration = Duration::from_secs(20);

/// The numbers of one writer's writes.
#[derive(Debug, Default)]
struct Writer {
    /// That of the last which was sent.
    sent: AtomicU64,
    /// That of the last which was answered.
    answered: AtomicU64,
    /// That which the last SAVE covers at least.
    saved: AtomicU64,
}

/// What all threads know.
#[derive(Debug, Default)]
struct Play {
    writers: [Writer; WRITERS + 1],
    saves: AtomicU64,
    /// The server is about to be killed: errors mean nothing from now on.
    over: AtomicBool,
}

/// The request that makes write `number` of a writer.
fn words(writer: usize, number: u64) -> Vec<String> {
    let (name, number) = (number % NAMES, number.to_string());
    if writer == WRITERS {
        return ["HSET", "hash", &format!("field:{name}"), &number].map(str::to_owned).into();
    }
    // Two keys at once, on any two shards.
    let [one, other] = ["a", "b"].map(|half| format!("{writer}:{name}:{half}"));
    ["MSET", &one, &number, &other, &number].map(str::to_owned).into()
}

/// Writes until the server is gone.
fn write(play: &Play, writer: usize, address: SocketAddr) -> Result<(), String> {
    let mut client = Client::connect(address)?;
    let own = &play.writers[writer];
    loop {
        let number = own.sent.load(Ordering::Relaxed) + 1;
        own.sent.store(number, Ordering::Relaxed);
        match client.ask(&words(writer, number)) {
            Ok(Value::Simple(_) | Value::Int(_)) => own.answered.store(number, Ordering::SeqCst),
            Ok(other) => return Err(format!("a write is answered: {other:?}")),
            Err(error) => return play.excused(error),
        }
    }
}

/// Saves again and again until the server is gone.
fn save(play: &Play, address: SocketAddr) -> Result<(), String> {
    let mut client = Client::connect(address)?;
    loop {
        let answered = play.writers.each_ref().map(|own| own.answered.load(Ordering::SeqCst));
        client.send(&["SAVE"])?;
        match client.receive(PATIENCE) {
            Ok(Got::Value(Value::Simple(_))) => {}
            Ok(Got::Value(other)) => return Err(format!("SAVE is answered: {other:?}")),
            other => return play.excused(format!("SAVE: {other:?}")),
        }
        for (own, answered) in play.writers.iter().zip(answered) {
            own.saved.store(answered, Ordering::Relaxed);
        }
        play.saves.fetch_add(1, Ordering::Relaxed);
    }
}

impl Play {
    /// An error, unless the server was to be killed.
    fn excused(&self, error: String) -> Result<(), String> {
        if self.over.load(Ordering::SeqCst) { Ok(()) } else { Err(error) }
    }
}

/// Sends requests a batch at a time; the replies are only counted.
fn fill(address: SocketAddr, count: u64, words: impl Fn(u64) -> Vec<String>) {
    let mut client = Client::connect(address).expect("a connection");
    for first in (0..count).step_by(BATCH as usize) {
        let numbers = first..count.min(first + BATCH);
        let bytes: Vec<u8> = numbers.clone().flat_map(|number| request(&words(number))).collect();
        client.send_raw(&bytes).expect("sent");
        for _ in numbers {
            let reply = client.receive(PATIENCE);
            assert!(matches!(reply, Ok(Got::Value(Value::Simple(_) | Value::Int(_)))), "{reply:?}");
        }
    }
}

/// The numbers that are found at these names, 0 where there is none.
fn numbers(client: &mut Client, words: &[String]) -> Vec<u64> {
    let Ok(Value::Array(values)) = client.ask(words) else { panic!("{words:?}") };
    let number = |value: &Value| match value {
        Value::Bulk(text) => String::from_utf8_lossy(text).parse().expect("a number"),
        _ => 0,
    };
    values.iter().map(number).collect()
}

/// Checks what a writer's names hold, and goes on from there.
fn check(play: &Play, writer: usize, found: &[u64]) {
    let own = &play.writers[writer];
    let last = found.iter().copied().max().unwrap_or(0);
    for (name, &number) in found.iter().enumerate() {
        let name = name as u64;
        let expected = (0..=last).rev().take(NAMES as usize).find(|number| number % NAMES == name);
        let expected = expected.unwrap_or(0);
        assert_eq!(number, expected, "writer {writer}, name {name}, the last is {last}");
    }
    let (saved, sent) = (own.saved.load(Ordering::Relaxed), own.sent.load(Ordering::Relaxed));
    assert!(last >= saved, "writer {writer}: {last} is the last, but {saved} was saved");
    assert!(last <= sent, "writer {writer}: {last} is the last, but only {sent} were sent");
    own.sent.store(last, Ordering::Relaxed);
    own.answered.store(last, Ordering::Relaxed);
    own.saved.store(last, Ordering::Relaxed);
}

/// Checks what a server has loaded.
fn check_all(play: &Play, server: &Server) {
    let mut client = Client::connect(server.address()).expect("a connection");
    for writer in 0..WRITERS {
        let [one, other] = ["a", "b"].map(|half| {
            let names = (0..NAMES).map(|name| format!("{writer}:{name}:{half}"));
            let words: Vec<String> = ["MGET".to_owned()].into_iter().chain(names).collect();
            numbers(&mut client, &words)
        });
        assert_eq!(one, other, "half of what was written at once");
        check(play, writer, &one);
    }
    let names = (0..NAMES).map(|name| format!("field:{name}"));
    let words = ["HMGET".to_owned(), "hash".to_owned()].into_iter().chain(names);
    let found = numbers(&mut client, &words.collect::<Vec<_>>());
    check(play, WRITERS, &found);
    assert!(matches!(client.ask(&["HLEN", "hash"]), Ok(Value::Int(len)) if len >= FIELDS as i64));
    let keys = client.ask(&["DBSIZE"]);
    assert!(matches!(keys, Ok(Value::Int(keys)) if keys > FILLERS as i64), "{keys:?}");
}

/// Writes and saves until the server has lived that long, and kills it.
fn live_and_die(play: &Play, server: Server, life: Duration) -> Result<(), String> {
    play.over.store(false, Ordering::SeqCst);
    let address = server.address();
    std::thread::scope(|scope| {
        let writers = (0..=WRITERS).map(|writer| scope.spawn(move || write(play, writer, address)));
        let mut threads: Vec<_> = writers.collect();
        threads.push(scope.spawn(move || save(play, address)));
        std::thread::sleep(life);
        play.over.store(true, Ordering::SeqCst);
        server.kill()?;
        threads.into_iter().try_for_each(|thread| thread.join().expect("no panic"))
    })
}

#[test]
fn a_killed_server_comes_back_with_its_last_snapshot() {
    let variable =
        |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let seed = variable("PINION_SNAPSHOT_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64)
    });
    let kills = variable("PINION_SNAPSHOT_KILLS").unwrap_or(KILLS);
    eprintln!("PINION_SNAPSHOT_SEED={seed}");
    let (place, play, mut source) = (Place::new(), Play::default(), Source(seed));
    let server = place.start(SHARDS[0]).expect("a server");
    fill(server.address(), FILLERS, |number| {
        vec!["SET".into(), format!("filler:{number}"), format!("{number:064}")]
    });
    fill(server.address(), FIELDS, |number| {
        vec!["HSET".into(), "hash".into(), format!("filler:{number}"), number.to_string()]
    });
    let mut client = Client::connect(server.address()).expect("a connection");
    assert!(matches!(client.ask(&["SAVE"]), Ok(Value::Simple(_))));
    let mut server = Some(server);
    for kill in 0..kills {
        let shards = SHARDS[kill as usize % SHARDS.len()];
        let live = server.take().map_or_else(|| place.start(shards), Ok).expect("a server");
        assert_eq!(place.names(), ["dump.rdb"], "kill {kill}: what it left is removed");
        if kill > 0 {
            check_all(&play, &live);
        }
        let life = Duration::from_micros(source.below(LIFE_US_MAX) as u64);
        live_and_die(&play, live, life).expect("a life without errors");
        while source.below(LOADING_ONCE_IN) == 0 {
            let loading = place.launch(shards).expect("a server");
            std::thread::sleep(Duration::from_micros(source.below(LOADING_US_MAX) as u64));
            loading.kill().expect("killed while it loads");
        }
    }
    let saves = play.saves.load(Ordering::Relaxed);
    let last = place.start(SHARDS[0]).expect("a server");
    check_all(&play, &last);
    assert_eq!(place.errors(), Vec::<String>::new());
    eprintln!("killed {kills} times, {saves} saves");
}
