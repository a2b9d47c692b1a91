//! Replies too long for one turn of the loop: whole, in order, and in nobody's way.

use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::time::Duration;

/// Elements of the list: several pieces of a long reply.
const ELEMENTS: usize = 30_000;

fn text(value: &str) -> Value {
    Value::Bulk(value.as_bytes().to_vec())
}

fn elements(from: usize, to: usize) -> Value {
    Value::Array((from..to).map(|index| text(&format!("element:{index}"))).collect())
}

/// Makes a list of `ELEMENTS`.
fn fill(client: &mut Client, key: &str) {
    for start in (0..ELEMENTS).step_by(1000) {
        let mut words = vec!["RPUSH".to_owned(), key.to_owned()];
        words.extend((start..start + 1000).map(|index| format!("element:{index}")));
        let len = Value::Int(start as i64 + 1000);
        assert_eq!(client.ask(&words), Ok(len));
    }
}

fn receive(client: &mut Client) -> Value {
    match client.receive(Duration::from_secs(10)) {
        Ok(Got::Value(value)) => value,
        other => panic!("no reply: {other:?}"),
    }
}

fn connect(server: &Server) -> Client {
    Client::connect(server.address()).expect("a connection")
}

#[test]
fn a_long_reply_shows_the_list_of_one_instant() {
    for shards in [1, 3] {
        let server = Server::start(shards, &[]).expect("a server");
        let (mut reader, mut writer) = (connect(&server), connect(&server));
        fill(&mut reader, "l");
        for round in 0..20 {
            let asked = request(&["LRANGE", "l", "0", "-1"]);
            reader.send_raw(&asked).expect("sent");
            // Others write before, while or after it is read, and then undo it.
            assert_eq!(writer.ask(&["LPUSH", "l", "x"]), Ok(Value::Int(ELEMENTS as i64 + 1)));
            assert_eq!(writer.ask(&["LPOP", "l"]), Ok(text("x")));
            let Value::Array(mut items) = receive(&mut reader) else { panic!("no array") };
            if items.len() > ELEMENTS {
                assert_eq!(items.remove(0), text("x"), "round {round}");
            }
            assert_eq!(Value::Array(items), elements(0, ELEMENTS), "round {round}");
        }
    }
}

#[test]
fn what_a_client_sends_behind_comes_behind() {
    for shards in [1, 3] {
        let server = Server::start(shards, &[]).expect("a server");
        let mut client = connect(&server);
        fill(&mut client, "l");
        let requests = [
            request(&["LRANGE", "l", "5", "-6"]),
            request(&["RPUSH", "l", "last"]),
            request(&["LRANGE", "l", "-2", "-1"]),
            request(&["PING"]),
            request(&["LRANGE", "l", "0", "20000"]),
            request(&["DEL", "l"]),
            request(&["LRANGE", "l", "0", "-1"]),
        ];
        client.send_raw(&requests.concat()).expect("sent");
        assert_eq!(receive(&mut client), elements(5, ELEMENTS - 5));
        assert_eq!(receive(&mut client), Value::Int(ELEMENTS as i64 + 1));
        let ends = vec![text(&format!("element:{}", ELEMENTS - 1)), text("last")];
        assert_eq!(receive(&mut client), Value::Array(ends));
        assert_eq!(receive(&mut client), Value::Simple(b"PONG".to_vec()));
        assert_eq!(receive(&mut client), elements(0, 20_001));
        assert_eq!(receive(&mut client), Value::Int(1));
        assert_eq!(receive(&mut client), Value::Array(Vec::new()));
    }
}

#[test]
fn readers_that_go_leave_nothing_locked() {
    for shards in [1, 3] {
        let server = Server::start(shards, &[]).expect("a server");
        let mut client = connect(&server);
        fill(&mut client, "l");
        for _ in 0..20 {
            let mut gone = connect(&server);
            gone.send_raw(&request(&["LRANGE", "l", "0", "-1"]).repeat(5)).expect("sent");
        }
        assert_eq!(client.ask(&["RPUSH", "l", "x"]), Ok(Value::Int(ELEMENTS as i64 + 1)));
        assert_eq!(client.ask(&["RPOP", "l"]), Ok(text("x")));
        assert_eq!(client.ask(&["FLUSHALL"]), Ok(Value::Simple(b"OK".to_vec())));
        assert_eq!(client.ask(&["EXISTS", "l"]), Ok(Value::Int(0)));
    }
}

#[test]
fn a_long_reply_wakes_nobody_who_waits_behind_it() {
    for shards in [1, 3] {
        let server = Server::start(shards, &[]).expect("a server");
        let (mut client, mut other) = (connect(&server), connect(&server));
        fill(&mut client, "l");
        // On some core or other, the long reply comes from elsewhere.
        let mut readers: Vec<Client> = (0..6).map(|_| connect(&server)).collect();
        for (index, reader) in readers.iter_mut().enumerate() {
            let requests = [
                request(&["LRANGE", "l", "0", "-1"]),
                request(&["BLPOP", &format!("q{index}"), "0"]),
                request(&["RPUSH", "after", "x"]),
            ];
            reader.send_raw(&requests.concat()).expect("sent");
            assert_eq!(receive(reader), elements(0, ELEMENTS));
        }
        assert_eq!(other.ask(&["EXISTS", "after"]), Ok(Value::Int(0)), "{shards} shards");
        for (index, reader) in readers.split_off(3).iter_mut().enumerate() {
            let key = format!("q{}", index + 3);
            assert_eq!(other.ask(&["RPUSH", &key, "x"]), Ok(Value::Int(1)));
            assert_eq!(receive(reader), Value::Array(vec![text(&key), text("x")]));
            assert_eq!(receive(reader), Value::Int(index as i64 + 1));
        }
        // Nothing is given to those that go.
        drop(readers);
        let waiting = |other: &mut Client| match other.ask(&["INFO", "clients"]) {
            Ok(Value::Bulk(info)) => !String::from_utf8_lossy(&info).contains("blocked_clients:0"),
            reply => panic!("no INFO: {reply:?}"),
        };
        let start = std::time::Instant::now();
        while waiting(&mut other) {
            assert!(start.elapsed() < Duration::from_secs(10), "somebody waits for ever");
            std::thread::sleep(Duration::from_millis(5));
        }
        for index in 0..3 {
            let key = format!("q{index}");
            assert_eq!(other.ask(&["RPUSH", &key, "x"]), Ok(Value::Int(1)));
            assert_eq!(other.ask(&["LLEN", &key]), Ok(Value::Int(1)));
        }
    }
}
