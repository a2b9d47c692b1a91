//! Bytes in every shape: cut anywhere, huge, in floods, and with the sender's half closed.

use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Longest wait for an answer that is due at once, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);

fn value(client: &mut Client) -> Value {
    match client.receive(PATIENCE).expect("a reply") {
        Got::Value(value) => value,
        other => panic!("no reply: {other:?}"),
    }
}

/// A pipeline of every form of request, with the bytes of its replies.
fn mixed_pipeline(client: &mut Client) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = Vec::new();
    bytes.extend(request(&["MSET", "a", "1", "b", "two", "c", "", "d", "4"]));
    bytes.extend(b"PING\r\n*0\r\n\r\n");
    bytes.extend(request(&["MGET", "a", "b", "c", "d", "nosuch"]));
    bytes.extend(b"SET \"quoted key\" 'a\\'b'\r\nGET \"quoted\\x20key\"\n");
    bytes.extend(request(&["GET", "b"]));
    bytes.extend(request(&["NOSUCH", "x"]));
    bytes.extend(request(&["DEL", "a", "b", "c", "d"]));
    bytes.extend(request(&["ECHO", "the end\r\n"]));
    client.send_raw(&bytes).expect("sent");
    let mut replies = Vec::new();
    client.stream().set_read_timeout(Some(PATIENCE)).expect("a time-out");
    while !replies.ends_with(b"$9\r\nthe end\r\n\r\n") {
        let mut piece = [0; 1024];
        let len = client.stream().read(&mut piece).expect("replies");
        assert!(len > 0, "closed after {:?}", String::from_utf8_lossy(&replies));
        replies.extend_from_slice(&piece[..len]);
    }
    (bytes, replies)
}

fn expect_bytes(client: &Client, expected: &[u8], what: &str) {
    let mut got = vec![0; expected.len()];
    client.stream().set_read_timeout(Some(PATIENCE)).expect("a time-out");
    client.stream().read_exact(&mut got).unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(got == expected, "{what}: {}", String::from_utf8_lossy(&got));
}

#[test]
fn packets_split_and_merged_anywhere() {
    let server = Server::start(3, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    let (bytes, replies) = mixed_pipeline(&mut client);
    for cut in 1..bytes.len() {
        client.send_raw(&bytes[..cut]).expect("sent");
        // Long enough for the first piece to be read by itself, mostly.
        std::thread::sleep(Duration::from_micros(300));
        client.send_raw(&bytes[cut..]).expect("sent");
        expect_bytes(&client, &replies, &format!("cut at {cut}"));
    }
    for byte in &bytes {
        client.send_raw(std::slice::from_ref(byte)).expect("sent");
        std::thread::sleep(Duration::from_micros(100));
    }
    expect_bytes(&client, &replies, "byte by byte");
    let many = 300;
    client.send_raw(&bytes.repeat(many)).expect("sent");
    expect_bytes(&client, &replies.repeat(many), "merged");
}

#[test]
fn huge_arguments_behind_small_ones() {
    let server = Server::start(2, &[]).expect("a server");
    let big: Vec<u8> = (0..5_000_000_u32).map(|index| (index % 251) as u8).collect();
    let mut client = Client::connect(server.address()).expect("a connection");
    let mut other = Client::connect(server.address()).expect("a connection");
    for key in ["h1", "h2", "h3", "h4"] {
        let mut bytes = Vec::new();
        for index in 0..50 {
            bytes.extend(request(&["ECHO", &index.to_string()]));
        }
        bytes.extend(request(&[b"SET".as_slice(), key.as_bytes(), &big]));
        bytes.extend(request(&["STRLEN", key]));
        bytes.extend(request(&["GET", key]));
        bytes.extend(request(&["PING"]));
        std::thread::scope(|scope| {
            // It writes from a thread: the replies may have to be read before all is sent.
            scope.spawn(|| {
                let mut stream = client.stream().try_clone().expect("a second handle");
                stream.write_all(&bytes).expect("sent");
            });
            assert_eq!(other.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
        });
        for index in 0..50 {
            assert_eq!(value(&mut client), Value::Bulk(index.to_string().into_bytes()));
        }
        assert_eq!(value(&mut client), Value::Simple(b"OK".to_vec()));
        assert_eq!(value(&mut client), Value::Int(5_000_000));
        assert!(value(&mut client) == Value::Bulk(big.clone()), "{key} came back changed");
        assert_eq!(value(&mut client), Value::Simple(b"PONG".to_vec()));
    }
    assert_eq!(other.ask(&["EXISTS", "h1", "h2", "h3", "h4"]), Ok(Value::Int(4)));
}

#[test]
fn an_argument_of_64_mb_while_others_are_served() {
    let server = Server::start(2, &[]).expect("a server");
    let big = vec![b'v'; 64 << 20];
    let mut client = Client::connect(server.address()).expect("a connection");
    let ended = AtomicBool::new(false);
    let asked = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut client = Client::connect(server.address()).expect("a connection");
            let mut asked = 0;
            while !ended.load(Ordering::Relaxed) {
                assert_eq!(client.ask(&["INCR", "n"]), Ok(Value::Int(asked + 1)));
                asked += 1;
            }
            asked
        });
        client.send(&[b"SET".as_slice(), b"big", &big]).expect("sent");
        assert_eq!(value(&mut client), Value::Simple(b"OK".to_vec()));
        client.send(&["GET", "big"]).expect("sent");
        assert!(value(&mut client) == Value::Bulk(big), "the value came back changed");
        ended.store(true, Ordering::Relaxed);
        others.join().expect("the others were served")
    });
    assert!(asked > 10, "the others were served {asked} times");
}

#[test]
fn requests_at_a_stand_before_a_huge_one() {
    let server = Server::start(2, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    let big = vec![b'v'; 2_000_000];
    let mut bytes = Vec::new();
    for index in 0..5 {
        bytes.extend(request(&["DEBUG", "SLEEP", "0.05"]));
        bytes.extend(request(&["INCR", &format!("counter{index}")]));
        bytes.extend(request(&["ECHO", &index.to_string()]));
    }
    bytes.extend(request(&[b"SET".as_slice(), b"big", &big]));
    bytes.extend(request(&["STRLEN", "big"]));
    client.send_raw(&bytes).expect("sent");
    for index in 0..5 {
        assert_eq!(value(&mut client), Value::Simple(b"OK".to_vec()));
        assert_eq!(value(&mut client), Value::Int(1));
        assert_eq!(value(&mut client), Value::Bulk(index.to_string().into_bytes()));
    }
    assert_eq!(value(&mut client), Value::Simple(b"OK".to_vec()));
    assert_eq!(value(&mut client), Value::Int(2_000_000));
}

#[test]
fn a_flood_from_one_socket_does_not_starve_others() {
    let server = Server::start(1, &[]).expect("a server");
    let flood = request(&[b"SET".as_slice(), b"flood", &[b'v'; 12_000]]).repeat(100);
    let flooder = Client::connect(server.address()).expect("a connection");
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                flooder.stream().write_all(&flood).expect("sent");
            }
            flooder.stream().shutdown(Shutdown::Write).expect("half closed");
        });
        let read = scope.spawn(|| {
            let mut count = 0;
            let mut piece = [0; 64 * 1024];
            loop {
                match flooder.stream().read(&mut piece).expect("replies") {
                    0 => return count,
                    len => count += len,
                }
            }
        });
        let started = Instant::now();
        let mut worst = Duration::ZERO;
        let mut clients: Vec<_> =
            (0..20).map(|_| Client::connect(server.address()).expect("a connection")).collect();
        while started.elapsed() < Duration::from_secs(2) {
            for client in &mut clients {
                let asked = Instant::now();
                assert_eq!(client.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
                worst = worst.max(asked.elapsed());
            }
        }
        ended.store(true, Ordering::Relaxed);
        let replies = read.join().expect("the flood's replies");
        eprintln!("beside a flood of {} SETs the worst PING took {worst:?}", replies / 5);
        assert_eq!(replies % (5 * 100), 0, "every SET is answered");
        assert!(worst < Duration::from_secs(3));
    });
}

#[test]
fn all_replies_reach_a_half_closed_peer() {
    for shards in [1, 3] {
        let server = Server::start(shards, &[]).expect("a server");
        let mut setter = Client::connect(server.address()).expect("a connection");
        for index in 0..20 {
            let value = format!("{index}").repeat(400);
            setter.ask(&["SET", &format!("k{index}"), &value]).expect("set");
        }
        for sleeps in [false, true] {
            let mut client = Client::connect(server.address()).expect("a connection");
            let mut bytes = Vec::new();
            for index in 0..4000 {
                bytes.extend(request(&["GET", &format!("k{}", index % 20)]));
                bytes.extend(request(&["MGET", "k1", "k2", "k3", "k4"]));
                if sleeps && index % 2000 == 1000 {
                    bytes.extend(request(&["DEBUG", "SLEEP", "0.05"]));
                }
            }
            let mut writer = client.stream().try_clone().expect("a second handle");
            let sent = std::thread::spawn(move || {
                writer.write_all(&bytes).expect("sent");
                writer.shutdown(Shutdown::Write).expect("half closed");
            });
            for index in 0..4000 {
                let expected = format!("{}", index % 20).repeat(400).into_bytes();
                assert_eq!(value(&mut client), Value::Bulk(expected));
                assert!(matches!(value(&mut client), Value::Array(values) if values.len() == 4));
                if sleeps && index % 2000 == 1000 {
                    assert_eq!(value(&mut client), Value::Simple(b"OK".to_vec()));
                }
            }
            assert_eq!(client.receive(PATIENCE), Ok(Got::Closed));
            sent.join().expect("all was sent");
        }
    }
}

#[test]
fn ten_thousand_commands_before_a_read() {
    let server = Server::start(3, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    let mut bytes = Vec::new();
    for index in 0..10_000 {
        let (key, value) = (format!("k{}", index % 100), index.to_string());
        bytes.extend(match index % 4 {
            0 => request(&["SET", &key, &value]),
            1 => request(&["ECHO", &value]),
            2 => request(&["INCR", "n"]),
            _ => request(&["MGET", "n", "nosuch"]),
        });
    }
    client.send_raw(&bytes).expect("sent without a read");
    for index in 0..10_000_i64 {
        let incremented = index / 4 + 1;
        let expected = match index % 4 {
            0 => Value::Simple(b"OK".to_vec()),
            1 => Value::Bulk(index.to_string().into_bytes()),
            2 => Value::Int(incremented),
            _ => Value::Array(vec![
                Value::Bulk(incremented.to_string().into_bytes()),
                Value::NullBulk,
            ]),
        };
        assert_eq!(value(&mut client), expected, "reply {index}");
    }
}

#[test]
fn peers_that_leave_in_the_middle_of_a_request() {
    let server = Server::start(2, &[]).expect("a server");
    let whole = [
        request(&["MSET", "a", "1", "b", "2", "c", "3"]),
        request(&[b"SET".as_slice(), b"big", &vec![b'v'; 300_000]]),
    ]
    .concat();
    for round in 0..200_usize {
        let client = Client::connect(server.address()).expect("a connection");
        let cut = (round * 7919) % whole.len();
        client.stream().write_all(&whole[..cut]).expect("sent");
        if round % 3 == 0 {
            client.stream().write_all(&whole[cut..]).expect("sent");
        }
    }
    let mut client = Client::connect(server.address()).expect("a connection");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let clients = client.ask(&["INFO", "clients"]).expect("INFO");
        let Value::Bulk(text) = clients else { panic!("INFO answers {clients:?}") };
        let text = String::from_utf8_lossy(&text).into_owned();
        if text.contains("connected_clients:1\r\n") {
            break;
        }
        assert!(Instant::now() < deadline, "connections stay behind: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
}

#[test]
fn values_from_several_cores_need_no_heartbeat() {
    let server = Server::start(4, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    for key in ["a", "b", "c", "d", "e"] {
        let added = client.ask(&["SADD", key, "1", "2"]);
        assert_eq!(added, Ok(Value::Int(2)));
    }
    let start = Instant::now();
    for _ in 0..100 {
        let stored = client.ask(&["SINTERSTORE", "d", "a", "b", "c", "e"]);
        assert_eq!(stored, Ok(Value::Int(2)));
    }
    // A round that waited for a heartbeat would take 100 ms each time, 10 s in all.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}
