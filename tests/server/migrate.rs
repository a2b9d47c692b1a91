//! MIGRATE between two servers, and to what is none.

use crate::support::client::{Client, Got, request};
use crate::support::server::{Server, free_address};
use pinion_io::resp::Value;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::time::{Duration, Instant};

fn shown(value: &Value) -> String {
    match value {
        Value::Simple(text) | Value::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
        Value::Error(text) => format!("-{}", String::from_utf8_lossy(text)),
        Value::Int(number) => number.to_string(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(" "),
        Value::NullBulk => "nothing".into(),
        other => format!("{other:?}"),
    }
}

fn hear(client: &mut Client) -> String {
    match client.receive(Duration::from_secs(10)).expect("an answer") {
        Got::Value(value) => shown(&value),
        other => format!("{other:?}"),
    }
}

fn ask<W: AsRef<[u8]>>(client: &mut Client, words: &[W]) -> String {
    client.send(words).expect("sent");
    hear(client)
}

/// Words in one text.
fn say(client: &mut Client, request: &str) -> String {
    ask(client, &request.split(' ').collect::<Vec<_>>())
}

/// A server with a client of it.
fn serve(threads: usize, arguments: &[&str]) -> (Server, Client) {
    let server = Server::start(threads, arguments).expect("a server");
    let client = Client::connect(server.address()).expect("a connection");
    (server, client)
}

/// The words of a MIGRATE of these keys.
fn migrate<'a>(port: &'a str, db: &'a str, options: &[&'a str], keys: &[&'a str]) -> Vec<&'a str> {
    let head = ["MIGRATE", "127.0.0.1", port, "", db, "5000"];
    [&head, options, &["KEYS"], keys].concat()
}

#[test]
fn keys_move_with_their_time_to_the_database_that_is_named() {
    let (_here, mut client) = serve(3, &[]);
    let (there, mut other) = serve(2, &["--requirepass=secret"]);
    let port = there.address().port().to_string();
    assert_eq!(say(&mut other, "AUTH secret"), "OK");
    for line in [
        "SET a 1",
        "SET b 2 PX 60000",
        "RPUSH c x y",
        "HSET d f v",
        "SADD e m",
        "ZADD f 1 m",
        "XADD g 1-1 f v",
    ] {
        assert!(!say(&mut client, line).starts_with('-'), "{line}");
    }
    let digest = say(&mut client, "DEBUG DIGEST");
    let keys = ["a", "b", "nosuch", "c", "d", "e", "f", "g"];
    let auth = &["AUTH", "secret"];
    assert_eq!(ask(&mut client, &migrate(&port, "0", &["COPY", "AUTH", "secret"], &keys)), "OK");
    assert_eq!(say(&mut other, "DEBUG DIGEST"), digest);
    assert_eq!(say(&mut client, "DEBUG DIGEST"), digest);
    // They are there already.
    let busy = "-ERR Target instance replied with error: BUSYKEY Target key name already exists.";
    assert_eq!(ask(&mut client, &migrate(&port, "0", auth, &keys)), busy);
    assert_eq!(say(&mut client, "DBSIZE"), "7");
    // What is taken goes, and the first error is told.
    assert_eq!(say(&mut other, "DEL b c"), "2");
    assert_eq!(ask(&mut client, &migrate(&port, "0", auth, &keys)), busy);
    assert_eq!(say(&mut client, "EXISTS b c"), "0");
    assert_eq!(say(&mut client, "DBSIZE"), "5");
    let options = ["REPLACE", "AUTH2", "default", "secret"];
    assert_eq!(ask(&mut client, &migrate(&port, "0", &options, &keys)), "OK");
    assert_eq!(say(&mut client, "DBSIZE"), "0");
    assert_eq!(say(&mut other, "DEBUG DIGEST"), digest);
    let left: i64 = say(&mut other, "PTTL b").parse().expect("a number");
    assert!((1..=60_000).contains(&left), "{left}");
    // One key, into another database, and from another.
    assert_eq!(say(&mut client, "SELECT 3"), "OK");
    assert_eq!(say(&mut client, "SET k v"), "OK");
    let one = format!("MIGRATE localhost {port} k 9 5000 AUTH secret");
    assert_eq!(say(&mut client, &one), "OK");
    assert_eq!(say(&mut client, &one), "NOKEY");
    assert_eq!(say(&mut other, "SELECT 9"), "OK");
    assert_eq!(say(&mut other, "GET k"), "v");
}

#[test]
fn who_is_refused_loses_nothing() {
    let (_here, mut client) = serve(2, &[]);
    let (there, mut other) = serve(1, &["--requirepass=secret"]);
    let port = there.address().port().to_string();
    assert_eq!(say(&mut other, "AUTH secret"), "OK");
    assert_eq!(say(&mut client, "MSET a 1 b 2"), "OK");
    for (db, options, error) in [
        ("0", &[][..], "NOAUTH Authentication required."),
        ("0", &["AUTH", "x"], "WRONGPASS invalid username-password pair or user is disabled."),
        ("99", &["AUTH", "secret"], "ERR DB index is out of range"),
    ] {
        let error = format!("-ERR Target instance replied with error: {error}");
        assert_eq!(ask(&mut client, &migrate(&port, db, options, &["a", "b"])), error);
    }
    // In EXEC its keys may be locked already.
    assert_eq!(say(&mut client, "MULTI"), "OK");
    assert_eq!(ask(&mut client, &migrate(&port, "0", &[], &["a"])), "QUEUED");
    let refused = "-ERR MIGRATE inside MULTI is not supported by this server";
    assert_eq!(say(&mut client, "EXEC"), refused);
    assert_eq!(say(&mut client, "MGET a b"), "1 2");
    assert_eq!(say(&mut other, "DBSIZE"), "0");
    let errors = say(&mut client, "INFO errorstats");
    assert!(errors.contains("errorstat_ERR:count=4"), "{errors}");
}

#[test]
fn many_keys_and_large_ones_move_while_others_are_served() {
    let (_here, mut client) = serve(3, &["--save="]);
    let (there, mut other) = serve(2, &[]);
    let port = there.address().port().to_string();
    let names: Vec<String> = (0..3000).map(|number| format!("key:{number}")).collect();
    for name in &names {
        client.send(&["SET", name, &"x".repeat(100)]).expect("sent");
    }
    for _ in &names {
        client.receive(Duration::from_secs(5)).expect("set");
    }
    let large = "y".repeat(8 << 20);
    assert_eq!(ask(&mut client, &["SET", "large", &large]), "OK");
    let digest = say(&mut client, "DEBUG DIGEST");
    let keys: Vec<&str> = names.iter().map(String::as_str).chain(["large"]).collect();
    assert_eq!(ask(&mut client, &migrate(&port, "0", &[], &keys)), "OK");
    assert_eq!(say(&mut client, "DBSIZE"), "0");
    assert_eq!(say(&mut other, "DBSIZE"), "3001");
    assert_eq!(say(&mut other, "DEBUG DIGEST"), digest);
}

#[test]
fn a_server_that_says_nothing_is_given_up_and_others_are_served_meanwhile() {
    let (here, mut client) = serve(2, &[]);
    let mut writer = Client::connect(here.address()).expect("another");
    let mut reader = Client::connect(here.address()).expect("a third");
    assert_eq!(say(&mut client, "MSET a 1 b 2"), "OK");
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = silent.local_addr().expect("its own").port().to_string();
    let began = Instant::now();
    client.send(&["MIGRATE", "127.0.0.1", &port, "a", "0", "500"]).expect("sent");
    let (mut stream, _) = silent.accept().expect("it connects");
    let mut greeting = [0; 23];
    stream.read_exact(&mut greeting).expect("it selects");
    assert_eq!(&greeting, b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n");
    stream.write_all(b"+OK\r\n").expect("it listens");
    let mut restore = [0; 16];
    stream.read_exact(&mut restore).expect("it sends the key");
    assert_eq!(&restore, b"*4\r\n$7\r\nRESTORE\r");
    // Other keys are served; this one waits, and what is written is not lost.
    writer.send(&["APPEND", "a", "+"]).expect("sent");
    assert_eq!(say(&mut reader, "GET b"), "2");
    assert!(began.elapsed() < Duration::from_millis(400), "nobody waited for it");
    assert_eq!(hear(&mut client), "-IOERR error or timeout reading to target instance");
    assert!(began.elapsed() >= Duration::from_millis(500), "it was patient");
    assert_eq!(hear(&mut writer), "2");
    assert_eq!(say(&mut reader, "GET a"), "1+");
}

#[test]
fn who_stops_the_server_waits_for_no_other() {
    let (mut here, mut client) = serve(2, &["--save=3600 1"]);
    assert_eq!(say(&mut client, "MSET a 1 b 2"), "OK");
    let silent = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = silent.local_addr().expect("its own").port().to_string();
    client.send(&["MIGRATE", "127.0.0.1", &port, "a", "0", "600000"]).expect("sent");
    let (_stream, _) = silent.accept().expect("it connects");
    assert!(here.stop(Duration::from_secs(10)).expect("it ends").success());
}

#[test]
fn what_was_taken_before_it_broke_is_gone_and_all_else_stays() {
    let (_here, mut client) = serve(2, &[]);
    assert_eq!(say(&mut client, "MSET a 1 b 2 c 3"), "OK");
    let broken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = broken.local_addr().expect("its own").port().to_string();
    client.send_raw(&request(&migrate(&port, "0", &[], &["a", "b", "c"]))).expect("sent");
    let (mut stream, _) = broken.accept().expect("it connects");
    stream.write_all(b"+OK\r\n+OK\r\n-ERR not this\r\n").expect("it listens");
    let mut sent = Vec::new();
    while sent.windows(9).filter(|word| word == b"\r\nRESTORE").count() < 3 {
        let mut piece = [0; 4096];
        let len = stream.read(&mut piece).expect("more");
        assert!(len > 0, "{sent:?}");
        sent.extend_from_slice(&piece[..len]);
    }
    stream.shutdown(Shutdown::Write).expect("it breaks");
    let refused = "-ERR Target instance replied with error: ERR not this";
    assert_eq!(hear(&mut client), refused);
    let left = "nothing 2 3";
    assert_eq!(say(&mut client, "MGET a b c"), left);
    // Nobody is there at all.
    let nowhere = free_address().expect("a port").port().to_string();
    let error = "-IOERR error or timeout writing to target instance";
    assert_eq!(ask(&mut client, &migrate(&nowhere, "0", &[], &["a", "b", "c"])), error);
    assert_eq!(say(&mut client, "MGET a b c"), left);
}

#[test]
fn as_many_as_like_migrate_at_once() {
    let (here, _) = serve(3, &[]);
    let (there, mut other) = serve(2, &[]);
    let port = there.address().port().to_string();
    let mut clients: Vec<Client> =
        (0..40).map(|_| Client::connect(here.address()).expect("a connection")).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let name = format!("key:{number}");
        client.send(&["SET", &name, "v"]).expect("sent");
        client.send(&["MIGRATE", "127.0.0.1", &port, &name, "0", "5000"]).expect("sent");
        client.send(&["EXISTS", &name]).expect("sent");
    }
    for client in &mut clients {
        assert_eq!([hear(client), hear(client), hear(client)], ["OK", "OK", "0"]);
    }
    assert_eq!(say(&mut other, "DBSIZE"), "40");
}
