//! FLUSHALL where there are save points: what it has removed does not come back.

use super::place::Place;
use crate::support::client::{Client, Got};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::fs;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn start(place: &Place, shards: usize, save: &str) -> (Server, Client) {
    let server = place.start_with(shards, &[save]).expect("a server");
    let client = Client::connect(server.address()).expect("a connection");
    (server, client)
}

fn hear(client: &mut Client) -> String {
    match client.receive(PATIENCE).expect("an answer") {
        Got::Value(Value::Simple(text)) => String::from_utf8_lossy(&text).into_owned(),
        Got::Value(Value::Error(text)) => format!("-{}", String::from_utf8_lossy(&text)),
        Got::Value(Value::Bulk(text)) => String::from_utf8_lossy(&text).into_owned(),
        Got::Value(Value::Int(number)) => number.to_string(),
        Got::Value(Value::Array(items)) => format!("{} replies", items.len()),
        other => format!("{other:?}"),
    }
}

fn say(client: &mut Client, request: &str) -> String {
    client.send(&request.split(' ').collect::<Vec<_>>()).expect("sent");
    hear(client)
}

/// What is there after the server was killed and started again.
fn after_kill(place: &Place, server: Server) -> String {
    server.kill().expect("killed");
    let (_server, mut client) = start(place, 2, "--save=3600 1");
    say(&mut client, "DBSIZE")
}

#[test]
fn what_is_flushed_does_not_come_back() {
    for request in ["FLUSHALL", "FLUSHALL ASYNC", "FLUSHALL SYNC"] {
        for shards in [1, 3] {
            let place = Place::new();
            let (server, mut client) = start(&place, shards, "--save=3600 1");
            assert_eq!(say(&mut client, "MSET a 1 b 2 c 3"), "OK");
            assert_eq!(say(&mut client, "SAVE"), "OK");
            assert_eq!(say(&mut client, request), "OK");
            assert_eq!(after_kill(&place, server), "0", "{request} {shards}");
            assert_eq!(place.names(), ["dump.rdb"]);
        }
    }
}

#[test]
fn without_save_points_the_file_stays_and_so_it_does_for_one_database() {
    let place = Place::new();
    for (save, request) in [("--save=", "FLUSHALL"), ("--save=3600 1", "FLUSHDB")] {
        let (server, mut client) = start(&place, 2, save);
        assert_eq!(say(&mut client, "MSET a 1 b 2 c 3"), "OK");
        assert_eq!(say(&mut client, "SAVE"), "OK");
        assert_eq!(say(&mut client, request), "OK");
        assert_eq!(after_kill(&place, server), "3", "{request} {save}");
    }
}

#[test]
fn exec_has_it_saved_soon_after() {
    let place = Place::new();
    let (server, mut client) = start(&place, 3, "--save=3600 1");
    assert_eq!(say(&mut client, "MSET a 1 b 2 c 3"), "OK");
    assert_eq!(say(&mut client, "SAVE"), "OK");
    let old = fs::read(place.file()).expect("a snapshot");
    for (request, reply) in [("MULTI", "OK"), ("FLUSHALL", "QUEUED"), ("EXEC", "1 replies")] {
        assert_eq!(say(&mut client, request), reply);
    }
    let began = Instant::now();
    while fs::read(place.file()).expect("a snapshot") == old {
        assert!(began.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(after_kill(&place, server), "0");
}

#[test]
fn a_snapshot_under_way_gives_way_without_a_failure() {
    let place = Place::new();
    let (server, mut client) = start(&place, 2, "--save=3600 100000000");
    for from in (0..200_000).step_by(1000) {
        let keys = (from..from + 1000).map(|key| format!("key:{key} {}", "v".repeat(90)));
        let words = keys.collect::<Vec<_>>().join(" ");
        assert_eq!(say(&mut client, &format!("MSET {words}")), "OK");
    }
    let mut other = Client::connect(server.address()).expect("a connection");
    for round in 0..3 {
        assert_eq!(say(&mut client, "BGSAVE"), "Background saving started");
        // One client waits for it, all others are served.
        other.send(&["PING"]).expect("sent");
        client.send_raw(b"FLUSHALL\r\nSET b 1\r\nFLUSHALL\r\nSAVE\r\nSET c 1\r\n").expect("sent");
        for _ in 0..5 {
            assert_eq!(hear(&mut client), "OK", "round {round}");
        }
        assert_eq!(hear(&mut other), "PONG");
        let text = say(&mut client, "INFO persistence");
        assert!(text.contains("rdb_last_bgsave_status:ok"), "{text}");
    }
    assert_eq!(say(&mut client, "SAVE"), "OK");
    assert_eq!(after_kill(&place, server), "1");
}

#[test]
fn it_is_answered_though_nothing_can_be_saved() {
    let place = Place::new();
    let (_server, mut client) = start(&place, 2, "--save=3600 1");
    assert_eq!(say(&mut client, "SET a 1"), "OK");
    fs::rename(place.folder(), place.elsewhere()).expect("moved");
    assert_eq!(say(&mut client, "FLUSHALL"), "OK");
    assert_eq!(say(&mut client, "DBSIZE"), "0");
    assert!(say(&mut client, "SET a 1").starts_with("-MISCONF"));
    fs::rename(place.elsewhere(), place.folder()).expect("moved");
    assert_eq!(say(&mut client, "SAVE"), "OK");
    assert_eq!(say(&mut client, "SET a 1"), "OK");
}
