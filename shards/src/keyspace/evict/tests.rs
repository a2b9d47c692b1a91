//! Tests of what is evicted, by each policy.

use super::*;
use crate::keyspace::Expiry;
use crate::value::Content;

const SECOND: Millis = 1000;

fn of(choice: Choice, volatile: bool) -> Keyspace {
    let mut keyspace = Keyspace::new(4, 7);
    keyspace.set_policy(&Policy { choice, volatile, ..Policy::default() });
    keyspace
}

fn with_key<T>(
    keyspace: &mut Keyspace,
    number: u64,
    run: impl FnOnce(&mut Keyspace, Key<'_>) -> T,
) -> T {
    let name = number.to_string();
    let key = Key {
        db: (number % 2) as u16,
        hash: keyspace.hash(name.as_bytes()),
        bytes: name.as_bytes(),
    };
    run(keyspace, key)
}

fn set(keyspace: &mut Keyspace, number: u64, now: Millis, expiry: Expiry) {
    with_key(keyspace, number, |keyspace, key| {
        keyspace.set(key, now, Content::of(b"value"), expiry);
    });
}

fn is_there(keyspace: &mut Keyspace, number: u64, now: Millis) -> bool {
    with_key(keyspace, number, |keyspace, key| keyspace.contains(key, now))
}

#[test]
fn the_longest_unused_go_first() {
    let mut keyspace = of(Choice::Lru, false);
    (0..4000).for_each(|number| set(&mut keyspace, number, number * SECOND, Expiry::Clear));
    let now = 5000 * SECOND;
    for number in 0..1000 {
        with_key(&mut keyspace, number, |keyspace, key| keyspace.get(key, now).is_some());
    }
    for _ in 0..1500 {
        assert!(keyspace.evict(now, &|_| true));
    }
    let kept = |keyspace: &mut Keyspace, range: std::ops::Range<u64>| {
        range.filter(|number| is_there(keyspace, *number, now)).count()
    };
    let read = kept(&mut keyspace, 0..1000);
    let (old, new) = (kept(&mut keyspace, 1000..2500), kept(&mut keyspace, 2500..4000));
    assert_eq!(read + old + new, 2500);
    assert!(read > 990 && old < 400 && new > 1100, "{read} {old} {new}");
    assert_eq!(keyspace.counters().evicted_keys, 1500);
    keyspace.recount();
}

#[test]
fn reads_do_not_keep_what_is_long_unchanged() {
    let mut keyspace = of(Choice::Lrm, false);
    (0..1000).for_each(|number| set(&mut keyspace, number, number * SECOND, Expiry::Clear));
    let now = 2000 * SECOND;
    for number in 0..500 {
        with_key(&mut keyspace, number, |keyspace, key| keyspace.get(key, now).is_some());
    }
    (0..400).for_each(|_| assert!(keyspace.evict(now, &|_| true)));
    let old = (0..500).filter(|number| is_there(&mut keyspace, *number, now)).count();
    assert!(old < 180, "{old}");
}

#[test]
fn the_least_used_go_first() {
    let mut keyspace = of(Choice::Lfu, false);
    (0..2000).for_each(|number| set(&mut keyspace, number, 0, Expiry::Clear));
    for number in (0..2000).filter(|number| number % 4 == 0) {
        for _ in 0..20 {
            with_key(&mut keyspace, number, |keyspace, key| keyspace.get(key, 0).is_some());
        }
    }
    (0..1400).for_each(|_| assert!(keyspace.evict(0, &|_| true)));
    let used =
        (0..2000).filter(|number| number % 4 == 0 && is_there(&mut keyspace, *number, 0)).count();
    assert!(used > 480, "{used}");
}

#[test]
fn what_expires_soonest_goes_first_and_what_does_not_stays() {
    for (choice, soonest) in
        [(Choice::Ttl, true), (Choice::Random, false), (Choice::Lru, false), (Choice::Lfu, false)]
    {
        let mut keyspace = of(choice, true);
        for number in 0..3000 {
            let at = (number + 10) * SECOND;
            let expiry = if number % 3 == 0 { Expiry::At(at) } else { Expiry::Clear };
            set(&mut keyspace, number, 0, expiry);
        }
        (0..500).for_each(|_| assert!(keyspace.evict(SECOND, &|_| true)));
        let kept: Vec<_> =
            (0..3000).filter(|number| is_there(&mut keyspace, *number, SECOND)).collect();
        assert_eq!(kept.iter().filter(|number| **number % 3 != 0).count(), 2000, "{choice:?}");
        let late = kept.iter().filter(|number| **number % 3 == 0 && **number > 1500).count();
        assert!(!soonest || late > 420, "{late} of 500");
        (0..500).for_each(|_| assert!(keyspace.evict(SECOND, &|_| true)));
        assert!(!keyspace.evict(SECOND, &|_| true), "nothing else may go");
        assert_eq!(keyspace.len(0) + keyspace.len(1), 2000);
        keyspace.recount();
    }
}

#[test]
fn what_may_not_go_stays() {
    let mut keyspace = of(Choice::Random, false);
    (0..200).for_each(|number| set(&mut keyspace, number, 0, Expiry::Clear));
    let held = keyspace.hash(b"7");
    let locked = keyspace.hash(b"8");
    keyspace.lock(locked);
    while keyspace.evict(0, &|hash| hash != held) {}
    assert_eq!(keyspace.len(0) + keyspace.len(1), 2);
    keyspace.unlock(locked);
    assert!(keyspace.evict(0, &|hash| hash != held));
    keyspace.set_policy(&Policy::default());
    assert!(!keyspace.evict(0, &|_| true), "noeviction");
    assert!(is_there(&mut keyspace, 7, 0));
    keyspace.recount();
}

#[test]
fn names_of_policies() {
    assert_eq!(Policy::parse("volatile-ttl"), Some((Choice::Ttl, true)));
    assert_eq!(Policy::parse("allkeys-ttl"), None);
    assert_eq!(Policy::parse("allkeys-lrm"), Some((Choice::Lrm, false)));
    assert_eq!(Policy::parse("noeviction"), Some((Choice::Never, false)));
    assert_eq!(Policy::parse("lru"), None);
}
