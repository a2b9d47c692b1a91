//! Tests of shards that share memory.

use super::*;
use crate::commands::{Args, Plan, find};
use crate::shard::{Call, Sender, Task};
use pinion_io::resp::{Protocol, Range, Reply};
use std::sync::Mutex;

/// A bank that one thread asks.
#[derive(Debug, Default)]
struct Purse(Mutex<(i64, Vec<Offer>)>);

impl Purse {
    fn of(free: i64, shards: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new((free, vec![Offer::default(); shards]))))
    }
}

impl Bank for Purse {
    fn free(&self) -> i64 {
        self.0.lock().unwrap().0
    }

    fn draw(&self, bytes: u64, must: bool) -> bool {
        let mut own = self.0.lock().unwrap();
        let draws = must || own.0 >= bytes as i64;
        own.0 -= if draws { bytes as i64 } else { 0 };
        draws
    }

    fn give(&self, bytes: u64) {
        self.0.lock().unwrap().0 += bytes as i64;
    }

    fn adopt(&self, more: i64) {
        self.0.lock().unwrap().0 -= more;
    }

    fn offer(&self, shard: usize, offer: Offer) {
        self.0.lock().unwrap().1[shard] = offer;
    }

    fn has_colder(&self, shard: usize, score: u64) -> bool {
        let own = self.0.lock().unwrap();
        let others = own.1.iter().enumerate().filter(|(index, _)| *index != shard);
        own.0 > -100_000 && { others }.any(|(_, offer)| offer.coldest > score)
    }
}

fn lru() -> Policy {
    Policy { choice: Choice::Lru, ..Policy::default() }
}

fn sharing(purse: &Arc<Purse>, index: usize, policy: &Policy) -> Shard {
    let mut shard = Shard::new(index, 2, 1, 7);
    shard.set_bank(Arc::clone(purse) as _);
    shard.set_memory_policy(policy, true, 10);
    shard
}

fn set(shard: &mut Shard, now: Millis, key: u64, bytes: usize) {
    let words = [b"SET".to_vec(), key.to_string().into_bytes(), vec![b'x'; bytes]];
    let mut ranges = Vec::new();
    let mut text = Vec::new();
    for word in &words {
        ranges.push(Range { start: text.len() as u32, len: word.len() as u32 });
        text.extend_from_slice(word);
    }
    let row = find(b"set").unwrap();
    let Plan::One(run) = row.plan else { panic!("SET is of one shard") };
    let args = Args::new(&text, &ranges);
    let hash = shard.hash(&words[1]);
    let call =
        Call { task: Task::Run(row, run), sender: Sender(0), db: 0, hash, speaker: None, args };
    let mut out = Vec::new();
    shard.run(now, &call, &mut Reply::new(&mut out, Protocol::Resp2));
    assert_eq!(out, b"+OK\r\n");
}

#[test]
fn a_shard_keeps_to_what_there_is() {
    let purse = Purse::of(1 << 20, 2);
    let mut shard = sharing(&purse, 0, &lru());
    for key in 0..20_000 {
        set(&mut shard, 1000 + key, key, (key % 300) as usize);
        assert!(purse.free() >= 0, "{}", purse.free());
        assert!(shard.keyspace.memory_bytes() <= (1 << 20) + 5000);
    }
    assert!(shard.stats().evicted_keys > 10_000);
    assert!(shard.keyspace.memory_bytes() > (1 << 20) - 20_000, "it uses what there is");
    shard.keyspace.recount();
}

#[test]
fn large_values_make_room_by_many_small_ones() {
    let purse = Purse::of(4 << 20, 2);
    let mut shard = sharing(&purse, 0, &lru());
    (0..60_000).for_each(|key| set(&mut shard, 1000, key, 10));
    for key in 0..100 {
        set(&mut shard, 2000, 1_000_000 + key, 20_000);
        while shard.settle_memory(2000) {}
        assert!(purse.free() >= -100_000, "{}", purse.free());
    }
    shard.keyspace.recount();
}

#[test]
fn the_shard_with_colder_keys_gives_way() {
    let purse = Purse::of(2 << 20, 2);
    let (mut hot, mut cold) = (sharing(&purse, 0, &lru()), sharing(&purse, 1, &lru()));
    (0..8000).for_each(|key| set(&mut cold, 1000, key, 100));
    cold.settle_memory(1000);
    let now = 1_000_000;
    for key in 0..20_000 {
        set(&mut hot, now + key, key, 100);
        if key % 20 == 0 {
            cold.settle_memory(now + key);
            hot.settle_memory(now + key);
        }
    }
    assert!(cold.keys() < 200, "{}", cold.keys());
    assert!(hot.keys() > 8000, "{}", hot.keys());
    assert!(purse.free() > -100_000);
}

#[test]
fn what_is_removed_is_given_back() {
    let purse = Purse::of(1 << 20, 2);
    let mut shard = sharing(&purse, 0, &Policy::default());
    (0..1000).for_each(|key| set(&mut shard, 1000, key, 100));
    assert!(purse.free() < 1 << 20);
    shard.keyspace().flush_all();
    while shard.keyspace().free_some() {}
    shard.settle_memory(1000);
    assert!(purse.free() > (1 << 20) - 40_000, "{}", purse.free());
}

#[test]
fn tenacity_grows() {
    assert_eq!((tenacity(0), tenacity(10), tenacity(100)), (0, 250, u32::MAX));
    assert!(tenacity(11) > tenacity(10) && tenacity(99) < u32::MAX);
}
