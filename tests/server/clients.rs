//! Connections by the number and by kind, and what one client does to others.

use super::slow::memory_kb;
use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn pong() -> Result<Value, String> {
    Ok(Value::Simple(b"PONG".to_vec()))
}

/// Named clients, spread over the cores.
fn named(server: &Server, count: usize) -> Vec<Client> {
    let connect = |index: usize| {
        let mut client = Client::connect(server.address()).expect("a connection");
        let name = format!("client{index}");
        assert_eq!(
            client.ask(&["CLIENT", "SETNAME", &name]),
            Ok(Value::Simple(b"OK".to_vec())),
            "{name}"
        );
        client
    };
    (0..count).map(connect).collect()
}

fn text(reply: Result<Value, String>) -> String {
    match reply {
        Ok(Value::Bulk(text)) => String::from_utf8(text).expect("text"),
        other => panic!("no text: {other:?}"),
    }
}

fn int(reply: Result<Value, String>) -> i64 {
    match reply {
        Ok(Value::Int(value)) => value,
        other => panic!("no integer: {other:?}"),
    }
}

#[test]
fn the_list_names_the_clients_of_all_cores() {
    let server = Server::start(3, &[]).expect("a server");
    let mut clients = named(&server, 12);
    for client in &mut clients {
        let list = text(client.ask(&["CLIENT", "LIST"]));
        for index in 0..12 {
            let name = format!(" name=client{index} ");
            assert_eq!(list.matches(&name).count(), 1, "{name}in {list}");
        }
    }
}

#[test]
fn a_client_can_be_killed_from_any_core() {
    let server = Server::start(3, &[]).expect("a server");
    let mut clients = named(&server, 12);
    while clients.len() > 1 {
        let mut victim = clients.pop().expect("a client");
        let id = int(victim.ask(&["CLIENT", "ID"])).to_string();
        let killer = clients.len() / 2;
        let killed = clients[killer].ask(&["CLIENT", "KILL", "ID", &id]);
        assert_eq!(killed, Ok(Value::Int(1)));
        assert_eq!(victim.receive(PATIENCE), Ok(Got::Closed));
    }
    // By address, and itself: the reply still comes.
    let mut last = clients.pop().expect("a client");
    let mut other = named(&server, 1).pop().expect("a client");
    let address = other.stream().local_addr().expect("an address").to_string();
    assert_eq!(last.ask(&["CLIENT", "KILL", &address]), Ok(Value::Simple(b"OK".to_vec())));
    assert_eq!(other.receive(PATIENCE), Ok(Got::Closed));
    let id = int(last.ask(&["CLIENT", "ID"])).to_string();
    assert_eq!(last.ask(&["CLIENT", "KILL", "ID", &id, "SKIPME", "no"]), Ok(Value::Int(1)));
    assert_eq!(last.receive(PATIENCE), Ok(Got::Closed));
}

#[test]
fn a_unix_socket_serves_as_well() {
    let path = std::env::temp_dir().join(format!("pinion-test-{}.sock", std::process::id()));
    let flag = format!("--unixsocket={}", path.display());
    let server = Server::start(2, &[&flag]).expect("a server");
    let mut streams: Vec<_> =
        (0..5).map(|_| UnixStream::connect(&path).expect("a connection")).collect();
    for (index, stream) in streams.iter_mut().enumerate() {
        let (key, value) = (format!("k{index}"), vec![b'v'; 1_000_000]);
        stream.write_all(&request(&[b"SET".as_slice(), key.as_bytes(), &value])).expect("sent");
        stream.write_all(&request(&["STRLEN", &key])).expect("sent");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let mut replies = [0; 15];
        stream.read_exact(&mut replies).expect("replies");
        assert_eq!(&replies, b"+OK\r\n:1000000\r\n".first_chunk::<15>().expect("15 bytes"));
    }
    drop(server);
    assert!(!path.exists(), "the socket's file is gone with its server");
}

#[test]
fn ipv6_serves_as_well() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("no IPv6 loopback here");
    }
    let server = Server::start(2, &["--bind=127.0.0.1 ::1"]).expect("a server");
    let address = SocketAddr::new("::1".parse().expect("an address"), server.address().port());
    for address in [address, server.address()] {
        let mut client = Client::connect(address).expect("a connection");
        assert_eq!(client.ask(&["PING"]), pong());
        let local = client.stream().local_addr().expect("an address");
        let list = text(client.ask(&["CLIENT", "LIST"]));
        assert!(list.contains(&format!(" addr={local} ")), "{local} is not in {list}");
    }
}

/// How many connections this process may hold, up to `wanted`.
fn affordable(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("this process's limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    let soft = line.split_whitespace().nth(3).and_then(|number| number.parse().ok());
    wanted.min(soft.unwrap_or(usize::MAX).saturating_sub(300))
}

/// Ten thousand connections: what each costs while idle, and what happens when all send at once.
#[test]
fn ten_thousand_connections() {
    let server = Server::start(2, &[]).expect("a server");
    let count = affordable(10_000);
    let mut first = Client::connect(server.address()).expect("a connection");
    assert_eq!(first.ask(&["PING"]), pong());
    let before = memory_kb(server.process());
    let mut clients: Vec<_> =
        (0..count).map(|_| Client::connect(server.address()).expect("a connection")).collect();
    let deadline = Instant::now() + PATIENCE;
    let all = format!("connected_clients:{}\r\n", count + 1);
    while !text(first.ask(&["INFO", "clients"])).contains(&all) {
        assert!(Instant::now() < deadline, "not all connections are accepted");
        std::thread::sleep(Duration::from_millis(20));
    }
    let bytes = (memory_kb(server.process()) - before) * 1024 / count as u64;
    eprintln!("{count} idle connections: {bytes} bytes of resident memory each");
    assert!(bytes < 4096, "{bytes} bytes for an idle connection");

    let get = request(&["MGET", "a", "b", "c", "d"]);
    for round in 0..3 {
        for client in &mut clients {
            client.send_raw(&get).expect("sent");
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let reply = client.receive(PATIENCE);
            let fits = matches!(&reply, Ok(Got::Value(Value::Array(all))) if all.len() == 4);
            assert!(fits, "round {round}, connection {index}: {reply:?}");
        }
    }
    drop(clients);
    let deadline = Instant::now() + PATIENCE;
    while !text(first.ask(&["INFO", "clients"])).contains("connected_clients:1\r\n") {
        assert!(Instant::now() < deadline, "connections stay behind");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn who_is_closed_hears_what_it_was_owed() {
    for threads in [1, 3] {
        let server = Server::start(threads, &[]).expect("a server");
        let mut closes = Client::connect(server.address()).expect("a connection");
        for _ in 0..20 {
            // The owner of a channel may hear a little later than its client that this is gone.
            let none = Value::Array(vec![Value::Bulk(b"news".to_vec()), Value::Int(0)]);
            while closes.ask(&["PUBSUB", "NUMSUB", "news"]).expect("a count") != none {
                std::thread::sleep(Duration::from_millis(1));
            }
            let mut hears = Client::connect(server.address()).expect("a connection");
            let id = int(hears.ask(&["CLIENT", "ID"])).to_string();
            hears.ask(&["SUBSCRIBE", "news"]).expect("a reply");
            let last = [
                request(&["PUBLISH", "news", "last"]),
                request(&["CLIENT", "KILL", "ID", &id]),
                request(&["CLIENT", "LIST"]),
            ];
            closes.send_raw(&last.concat()).expect("sent");
            for _ in 0..2 {
                assert_eq!(closes.receive(PATIENCE), Ok(Got::Value(Value::Int(1))));
            }
            // Meanwhile it is on no list any more.
            let Ok(Got::Value(list)) = closes.receive(PATIENCE) else { panic!("no list") };
            assert_eq!(text(Ok(list)).lines().count(), 1);
            assert!(matches!(hears.receive(PATIENCE), Ok(Got::Value(_))));
            assert_eq!(hears.receive(PATIENCE), Ok(Got::Closed));
        }
    }
}
