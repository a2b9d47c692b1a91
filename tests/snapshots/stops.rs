//! The end of a server, asked for while it is busy with that, or with a reload.

use super::place::Place;
use crate::support::client::{Client, Got};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::fs;
use std::time::Duration;

/// Keys of a server, so that a reload takes a while.
const KEYS: usize = 60_000;
const SHARDS: usize = 3;
const PATIENCE: Duration = Duration::from_secs(20);

fn hear(client: &mut Client) -> String {
    match client.receive(PATIENCE).expect("an answer") {
        Got::Value(Value::Simple(text)) => String::from_utf8_lossy(&text).into_owned(),
        Got::Value(Value::Error(text)) => format!("-{}", String::from_utf8_lossy(&text)),
        Got::Value(Value::Int(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn ask(client: &mut Client, words: &[&str]) -> String {
    client.send(words).expect("sent");
    hear(client)
}

/// A client on each core, or nearly so.
fn clients(server: &Server) -> Vec<Client> {
    (0..SHARDS).map(|_| Client::connect(server.address()).expect("a connection")).collect()
}

fn fill(client: &mut Client) {
    for from in (0..KEYS).step_by(1000) {
        let keys = (from..from + 1000).map(|key| format!("key:{key}"));
        let words: Vec<String> =
            std::iter::once("MSET".into()).chain(keys.flat_map(|key| [key, "v".into()])).collect();
        assert_eq!(ask(client, &words.iter().map(String::as_str).collect::<Vec<_>>()), "OK");
    }
}

#[test]
fn a_signal_during_a_reload_is_heeded_after_it() {
    let place = Place::new();
    for core in 0..SHARDS {
        let mut server = place.start_with(SHARDS, &["--save=3600 1"]).expect("a server");
        let mut clients = clients(&server);
        if core == 0 {
            fill(&mut clients[0]);
        }
        assert_eq!(ask(&mut clients[core], &["INCR", "runs"]), (core + 1).to_string());
        // Several at once come one after the other, as everything else does.
        for client in &mut clients {
            client.send(&["DEBUG", "RELOAD"]).expect("sent");
        }
        std::thread::sleep(Duration::from_millis(core as u64 * 5));
        let status = server.stop(PATIENCE).expect("it ends");
        assert!(status.success(), "{status}");
    }
    let server = place.start_with(SHARDS, &["--save=3600 1"]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    assert_eq!(ask(&mut client, &["DBSIZE"]), (KEYS + 1).to_string());
}

#[test]
fn reloads_at_once_are_all_answered() {
    let place = Place::new();
    let server = place.start(SHARDS).expect("a server");
    let mut clients = clients(&server);
    fill(&mut clients[0]);
    for client in &mut clients {
        for _ in 0..2 {
            client.send(&["DEBUG", "RELOAD"]).expect("sent");
        }
        client.send(&["DBSIZE"]).expect("sent");
    }
    for client in &mut clients {
        let said = [hear(client), hear(client), hear(client)];
        assert_eq!(said, ["OK", "OK", &KEYS.to_string()]);
    }
}

#[test]
fn who_asks_while_a_stop_fails_hears_that_too() {
    let place = Place::new();
    let mut server = place.start(SHARDS).expect("a server");
    let mut clients = clients(&server);
    fill(&mut clients[0]);
    fs::rename(place.folder(), place.elsewhere()).expect("moved");
    for client in &mut clients {
        client.send(&["SHUTDOWN", "SAVE"]).expect("sent");
    }
    for client in &mut clients {
        assert_eq!(hear(client), "-ERR Errors trying to SHUTDOWN. Check logs.");
        assert_eq!(ask(client, &["DBSIZE"]), KEYS.to_string());
    }
    fs::rename(place.elsewhere(), place.folder()).expect("moved");
    for client in &mut clients {
        client.send(&["SHUTDOWN", "SAVE"]).expect("sent");
    }
    for client in &mut clients {
        assert_eq!(client.receive(PATIENCE), Ok(Got::Closed));
    }
    assert!(server.stop(PATIENCE).expect("it has ended").success());
    assert_eq!(place.names(), ["dump.rdb"]);
}
