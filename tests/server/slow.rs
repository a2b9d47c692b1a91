//! Peers that ask for much and read nothing: others are served, and memory stays bounded.

use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Replies are held for a reader up to 256 MiB, and somewhat more is on its way.
const MEMORY_KB_MAX: u64 = 600 * 1024;

/// The resident memory of a process, in KiB.
pub(super) fn memory_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

/// Asks for more than the server may hold, reading nothing; ends when it can send no more.
fn ask_without_reading(client: &Client, key: &str, count: usize) {
    client.stream().set_write_timeout(Some(Duration::from_millis(500))).expect("a time-out");
    let bytes = request(&["GET", key]).repeat(count);
    // Refused where the server stops reading, or has closed the connection.
    let _ = client.stream().write_all(&bytes);
}

/// Keys of 1 MB: at least one on every shard.
fn store_large_values(client: &mut Client) {
    let big = vec![b'v'; 1_000_000];
    for index in 0..8 {
        let key = format!("big{index}");
        let words = [b"SET".as_slice(), key.as_bytes(), &big];
        assert_eq!(client.ask(&words), Ok(Value::Simple(b"OK".to_vec())));
    }
}

/// Reads until the connection ends; false if it stays open and silent for `patience`.
fn ends(client: &mut Client, patience: Duration) -> bool {
    loop {
        match client.receive(patience) {
            Ok(Got::Value(_)) => {}
            Ok(Got::Closed) | Err(_) => return true,
            Ok(Got::Late) => return false,
        }
    }
}

#[test]
fn memory_is_bounded_and_others_are_served() {
    for shards in [1, 2] {
        let server = Server::start(shards, &[]).expect("a server");
        let mut other = Client::connect(server.address()).expect("a connection");
        store_large_values(&mut other);
        let mut slow = Client::connect(server.address()).expect("a connection");
        ask_without_reading(&slow, "big0", 3000);
        let started = Instant::now();
        let mut most = 0;
        while started.elapsed() < Duration::from_secs(1) {
            assert_eq!(other.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
            assert_eq!(other.ask(&["EXISTS", "big0", "big1", "big2"]), Ok(Value::Int(3)));
            most = most.max(memory_kb(server.process()));
        }
        eprintln!("{shards} shards, 3 GB of replies not read: {most} KiB resident at most");
        assert!(most < MEMORY_KB_MAX, "{most} KiB resident");
        // Whoever reads in the end is answered in full, as far as it could ask.
        for _ in 0..1500 {
            match slow.receive(Duration::from_secs(20)) {
                Ok(Got::Value(Value::Bulk(value))) => assert_eq!(value.len(), 1_000_000),
                other => panic!("no reply: {other:?}"),
            }
        }
    }
}

#[test]
fn the_hard_output_limit_closes_at_once() {
    let limit = "--client_output_buffer_limit=normal 8mb 0 0";
    let server = Server::start(2, &[limit]).expect("a server");
    let mut other = Client::connect(server.address()).expect("a connection");
    store_large_values(&mut other);
    for key in ["big0", "big1", "big2", "big3"] {
        let mut slow = Client::connect(server.address()).expect("a connection");
        ask_without_reading(&slow, key, 200);
        assert!(ends(&mut slow, Duration::from_secs(10)), "the slow reader stays");
    }
    assert_eq!(other.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
}

/// As in Redis, 16 KiB are free, and what is more counts as so much at least.
#[test]
fn a_small_output_limit_is_meant() {
    let limit = "--client_output_buffer_limit=normal 4kb 0 0 pubsub 0 0 0";
    let server = Server::start(2, &[limit]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    for (bytes, fits) in [(1000, true), (16_000, true), (18_000, false), (500_000, false)] {
        let set = client.ask(&["SET", "k", &"x".repeat(bytes)]);
        assert_eq!(set, Ok(Value::Simple(b"OK".to_vec())));
        let mut other = Client::connect(server.address()).expect("a connection");
        other.send(&["GET", "k"]).expect("sent");
        if fits {
            let got = other.receive(Duration::from_secs(10));
            assert!(matches!(got, Ok(Got::Value(Value::Bulk(_)))), "{bytes}");
        } else {
            assert!(ends(&mut other, Duration::from_secs(10)), "{bytes}");
        }
    }
}

#[test]
fn the_soft_output_limit_closes_after_its_time() {
    let limit = "--client_output_buffer_limit=normal 0 4mb 1";
    let server = Server::start(2, &[limit]).expect("a server");
    let mut other = Client::connect(server.address()).expect("a connection");
    store_large_values(&mut other);
    let mut slow = Client::connect(server.address()).expect("a connection");
    // Far more than sockets hold by themselves, and a reader that takes nothing for three seconds.
    ask_without_reading(&slow, "big0", 60);
    std::thread::sleep(Duration::from_secs(4));
    assert!(ends(&mut slow, Duration::from_secs(10)), "the slow reader stays");
    // A client that reads what it asks for is not closed, however much that is.
    for _ in 0..60 {
        let reply = other.ask(&["GET", "big0"]);
        assert!(matches!(reply, Ok(Value::Bulk(value)) if value.len() == 1_000_000));
    }
}

#[test]
fn a_peer_that_ends_beside_a_flood_is_answered_all_the_same() {
    let server = Server::start(1, &[]).expect("a server");
    let flooding = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..3 {
            let mut flood = TcpStream::connect(server.address()).expect("a connection");
            let mut replies = flood.try_clone().expect("a second handle");
            scope.spawn(move || std::io::copy(&mut replies, &mut std::io::sink()));
            let flooding = &flooding;
            scope.spawn(move || {
                let requests = b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n".repeat(20_000);
                while flooding.load(Ordering::Relaxed) && flood.write_all(&requests).is_ok() {}
                let _ = flood.shutdown(Shutdown::Both);
            });
        }
        thread::sleep(Duration::from_millis(200));
        let answers = (0..20).map(|_| {
            let mut peer = TcpStream::connect(server.address()).expect("a connection");
            peer.write_all(b"*2\r\n$4\r\nINCR\r\n$1\r\nb\r\n").expect("a request");
            peer.shutdown(Shutdown::Write).expect("half a close");
            let mut reply = Vec::new();
            let read = peer.read_to_end(&mut reply);
            read.map(|_| reply)
        });
        let answers: Vec<_> = answers.collect();
        flooding.store(false, Ordering::Relaxed);
        for (index, reply) in answers.into_iter().enumerate() {
            assert_eq!(reply.expect("a reply"), format!(":{}\r\n", index + 1).into_bytes());
        }
    });
}

#[test]
fn a_slow_command_among_cheap_ones_is_logged() {
    let server = Server::start(1, &["--slowlog_log_slower_than=2000"]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    for round in 0..300 {
        let members = (0..1000).map(|index| format!("{round}:{index}"));
        let words = ["SADD".to_owned(), "s".into()].into_iter().chain(members);
        assert_eq!(client.ask(&words.collect::<Vec<_>>()), Ok(Value::Int(1000)));
    }
    client.ask(&["SLOWLOG", "RESET"]).expect("a reply");
    let cheap = request(&["GET", "a"]).repeat(8);
    let slow = request(&["SPOP", "s", "290000"]);
    client.send_raw(&[&cheap[..], &slow, &cheap].concat()).expect("sent");
    for _ in 0..17 {
        assert!(matches!(client.receive(Duration::from_secs(20)), Ok(Got::Value(_))));
    }
    let Ok(Value::Array(entries)) = client.ask(&["SLOWLOG", "GET"]) else { panic!("no log") };
    let is_it = |entry: &Value| match entry {
        Value::Array(parts) => match &parts[3] {
            Value::Array(words) => words[0] == Value::Bulk(b"SPOP".to_vec()),
            _ => false,
        },
        _ => false,
    };
    assert!(entries.iter().any(is_it), "{entries:?}");
}
