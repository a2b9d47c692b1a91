//! A file that holds more than `maxmemory` has room for.

use super::place::Place;
use crate::support::client::Client;
use pinion_io::resp::Value;
use std::time::{Duration, Instant};

const SHARDS: usize = 2;
/// What the file holds: 20 MB of values.
const KEYS: usize = 20_000;
const VALUE_BYTES: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// The `count` lines that the log must have about it by now, or soon: it is written beside.
fn said(place: &Place, count: usize) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let mut lines = place.warnings();
        lines.retain(|line| line.contains("is for more memory than maxmemory"));
        if lines.len() == count {
            return lines;
        }
        assert!(Instant::now() < end, "{count} lines, not {lines:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_for_more_memory_than_there_may_be_says_so() {
    let place = Place::new();
    let server = place.start(SHARDS).expect("a server");
    let mut client = Client::connect(server.address()).expect("a client");
    let value = "v".repeat(VALUE_BYTES);
    for key in 0..KEYS {
        client.send(&["SET", &format!("key:{key}"), &value]).expect("sent");
    }
    for _ in 0..KEYS {
        client.receive(PATIENCE).expect("a reply");
    }
    assert_eq!(client.ask(&["SAVE"]), Ok(Value::Simple(b"OK".to_vec())));
    drop(server);

    let server = place.start_with(SHARDS, &["--maxmemory=100mb"]).expect("a server");
    said(&place, 0);
    drop(server);

    let server = place.start_with(SHARDS, &["--maxmemory=24mb", "--save="]).expect("a server");
    let line = &said(&place, 1)[0];
    assert!(line.contains("25165824 may be; writes that need memory are refused"), "{line}");
    let mut client = Client::connect(server.address()).expect("a client");
    assert_eq!(client.ask(&["DBSIZE"]), Ok(Value::Int(KEYS as i64)), "nothing is lost");
    let refused = client.ask(&["SET", "one", "more"]).expect("a reply");
    assert!(matches!(refused, Value::Error(text) if text.starts_with(b"OOM ")));
    drop(server);

    let arguments = ["--maxmemory=24mb", "--save=", "--maxmemory_policy=allkeys-lru"];
    let server = place.start_with(SHARDS, &arguments).expect("a server");
    let lines = said(&place, 2);
    assert!(lines[1].contains("were evicted while it was loaded"), "{lines:?}");
    let mut client = Client::connect(server.address()).expect("a client");
    assert_eq!(client.ask(&["SET", "one", "more"]), Ok(Value::Simple(b"OK".to_vec())));
    let Ok(Value::Int(keys)) = client.ask(&["DBSIZE"]) else { panic!("a count of keys") };
    assert!((1000..KEYS as i64).contains(&keys), "{keys} keys");
}
