//! What clients may not do, and what they hear then.

use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn receive(client: &mut Client) -> Got {
    client.receive(PATIENCE).expect("a reply")
}

fn error(text: &str) -> Got {
    Got::Value(Value::Error(text.as_bytes().to_vec()))
}

fn ok() -> Value {
    Value::Simple(b"OK".to_vec())
}

#[test]
fn a_breach_of_the_protocol_is_named_and_closes() {
    let server = Server::start(2, &[]).expect("a server");
    let long_line = [b"PING ".as_slice(), &[b'x'; 70_000]].concat();
    let breaches: &[(&[u8], &str)] = &[
        (b"*abc\r\n", "invalid multibulk length"),
        (b"*2147483648\r\n", "invalid multibulk length"),
        (b"*1\r\nPING\r\n", "expected '$', got 'P'"),
        (b"*1\r\n$-1\r\n", "invalid bulk length"),
        (b"*1\r\n$abc\r\n", "invalid bulk length"),
        (b"*1\r\n$536870913\r\n", "invalid bulk length"),
        (b"GET \"open\r\n", "unbalanced quotes in request"),
        (&long_line, "too big inline request"),
    ];
    for (bytes, text) in breaches {
        let mut client = Client::connect(server.address()).expect("a connection");
        // What came before is answered; what comes behind is not.
        client.send(&["SET", "k", "v"]).expect("sent");
        client.send(&["GET", "k"]).expect("sent");
        client.send_raw(bytes).expect("sent");
        assert_eq!(receive(&mut client), Got::Value(ok()));
        assert_eq!(receive(&mut client), Got::Value(Value::Bulk(b"v".to_vec())));
        assert_eq!(receive(&mut client), error(&format!("ERR Protocol error: {text}")));
        assert_eq!(receive(&mut client), Got::Closed, "{text}");
    }
}

#[test]
fn connections_beyond_maxclients_are_turned_away() {
    let server = Server::start(2, &["--maxclients=5"]).expect("a server");
    // The connection that awaited the start may still be counted.
    let connect = || {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut client = Client::connect(server.address()).expect("a connection");
            if client.ask(&["PING"]) == Ok(Value::Simple(b"PONG".to_vec())) {
                return client;
            }
            assert!(Instant::now() < deadline, "five clients do not fit");
        }
    };
    let mut clients: Vec<_> = (0..5).map(|_| connect()).collect();
    for _ in 0..20 {
        let mut beyond = Client::connect(server.address()).expect("a connection");
        assert_eq!(receive(&mut beyond), error("ERR max number of clients reached"));
        assert_eq!(receive(&mut beyond), Got::Closed);
    }
    for client in &mut clients {
        assert_eq!(client.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
    }
    drop(clients.pop());
    clients.push(connect());
}

#[test]
fn before_auth_little_is_allowed() {
    let server = Server::start(2, &["--requirepass=secret"]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    let noauth = error("NOAUTH Authentication required.");
    for words in [&["GET", "k"][..], &["PING"], &["MGET", "a", "b"], &["CLIENT", "LIST"]] {
        client.send(words).expect("sent");
        assert_eq!(receive(&mut client), noauth, "{words:?}");
    }
    client.send(&["AUTH", "wrong"]).expect("sent");
    let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(receive(&mut client), error(wrong));
    assert_eq!(client.ask(&["AUTH", "secret"]), Ok(ok()));
    assert_eq!(client.ask(&["SET", "k", "v"]), Ok(ok()));
    for (bytes, text) in [
        (&b"*11\r\n"[..], "ERR Protocol error: unauthenticated multibulk length"),
        (b"*2\r\n$3\r\nGET\r\n$16385\r\n", "ERR Protocol error: unauthenticated bulk length"),
    ] {
        let mut client = Client::connect(server.address()).expect("a connection");
        client.send_raw(bytes).expect("sent");
        assert_eq!(receive(&mut client), error(text));
        assert_eq!(receive(&mut client), Got::Closed);
    }
}

#[test]
fn auth_lifts_the_limits_of_what_follows_in_its_packet() {
    let server = Server::start(2, &["--requirepass=secret"]).expect("a server");
    let large = vec![b'v'; 20_000];
    let many: Vec<&[u8]> = std::iter::once(&b"DEL"[..]).chain([&b"k"[..]; 30]).collect();
    for pause in [Duration::ZERO, Duration::from_millis(20)] {
        let mut client = Client::connect(server.address()).expect("a connection");
        client.send_raw(&request(&["GET", "k"]).repeat(3)).expect("sent");
        let bytes = [
            request(&["AUTH", "secret"]),
            request(&[b"SET".as_slice(), b"k", &large]),
            request(&["STRLEN", "k"]),
            request(&many),
        ];
        client.send_raw(&bytes.concat()[..200]).expect("sent");
        std::thread::sleep(pause);
        client.send_raw(&bytes.concat()[200..]).expect("sent");
        for _ in 0..3 {
            assert_eq!(receive(&mut client), error("NOAUTH Authentication required."));
        }
        assert_eq!(receive(&mut client), Got::Value(ok()));
        assert_eq!(receive(&mut client), Got::Value(ok()));
        assert_eq!(receive(&mut client), Got::Value(Value::Int(20_000)));
        assert_eq!(receive(&mut client), Got::Value(Value::Int(1)));
    }
}

#[test]
fn idle_clients_are_closed_after_their_time() {
    let server = Server::start(2, &["--timeout=1"]).expect("a server");
    let mut idle: Vec<_> =
        (0..6).map(|_| Client::connect(server.address()).expect("a connection")).collect();
    let mut busy = Client::connect(server.address()).expect("a connection");
    // Who waits or listens may be silent.
    let quiet = [&["SUBSCRIBE", "news"][..], &["BLPOP", "queue", "0"], &["MONITOR"]];
    let mut quiet = quiet.map(|request| {
        let mut client = Client::connect(server.address()).expect("a connection");
        client.send(request).expect("sent");
        client
    });
    for heard in [0, 2] {
        assert!(matches!(receive(&mut quiet[heard]), Got::Value(_)));
    }
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(4) {
        assert_eq!(busy.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
        std::thread::sleep(Duration::from_millis(100));
    }
    for client in &mut idle {
        assert_eq!(client.receive(Duration::from_secs(1)), Ok(Got::Closed));
    }
    assert_eq!(busy.ask(&["PUBLISH", "news", "x"]), Ok(Value::Int(1)));
    assert_eq!(busy.ask(&["RPUSH", "queue", "x"]), Ok(Value::Int(1)));
    for client in &mut quiet {
        assert!(matches!(receive(client), Got::Value(_)));
    }
}

#[test]
fn a_request_beyond_the_query_buffer_closes() {
    let server = Server::start(2, &["--client_query_buffer_limit=1mb"]).expect("a server");
    for (len, fits) in [(500_000, true), (3_000_000, false)] {
        for key in ["a", "b", "c", "d"] {
            let mut client = Client::connect(server.address()).expect("a connection");
            let value = vec![b'v'; len];
            // The server may have closed before all is sent.
            let sent = client.send(&[b"SET".as_slice(), key.as_bytes(), &value]);
            if fits {
                assert_eq!(receive(&mut client), Got::Value(ok()));
            } else {
                assert!(sent.is_err() || receive(&mut client) == Got::Closed);
            }
        }
    }
}
