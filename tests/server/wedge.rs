//! The wedge gate: everything at once, and a deadline on every request.
//!
//! Requests that fan out to all shards, deep pipelines of large values, jobs, errands to all cores,
//! and connections that come and go. A reply that does not come in time is a wedge; a wrong one is
//! worse. Ten seconds by default, `PINION_WEDGE_SECONDS` of them where that is set; the seed of
//! every client is printed, and taken from `PINION_WEDGE_SEED`.

use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Longest wait for one reply.
const DEADLINE: Duration = Duration::from_secs(10);
const KEYS: u64 = 500;

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A random source (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

fn value(client: &mut Client, what: &str) -> Value {
    match client.receive(DEADLINE) {
        Ok(Got::Value(Value::Error(text))) => {
            panic!("{what}: error {}", String::from_utf8_lossy(&text))
        }
        Ok(Got::Value(value)) => value,
        other => panic!("{what}: {other:?}"),
    }
}

/// MSET, MGET, DEL, EXISTS over many keys, in pipelines; values tell whose they are.
fn fan_out(address: SocketAddr, random: &mut Random, until: Instant) -> u64 {
    let mut client = Client::connect(address).expect("a connection");
    let mut count = 0;
    while Instant::now() < until {
        let keys: Vec<String> = (0..=random.below(40)).map(|i| format!("fan:{i}")).collect();
        let mut bytes = Vec::new();
        let depth = 1 + random.below(16);
        for _ in 0..depth {
            let mut set = vec!["MSET".to_owned()];
            set.extend(keys.iter().flat_map(|key| [key.clone(), format!("v{key}")]));
            bytes.extend(request(&set));
            for name in ["MGET", "EXISTS", "TOUCH", "DEL"] {
                let mut words = vec![name.to_owned()];
                words.extend(keys.iter().cloned());
                bytes.extend(request(&words));
            }
        }
        client.send_raw(&bytes).expect("sent");
        for _ in 0..depth {
            assert_eq!(value(&mut client, "MSET"), Value::Simple(b"OK".to_vec()));
            let Value::Array(values) = value(&mut client, "MGET") else { panic!("MGET") };
            assert_eq!(values.len(), keys.len());
            for (key, got) in keys.iter().zip(values) {
                let fits = got == Value::NullBulk || got == Value::Bulk(format!("v{key}").into());
                assert!(fits, "{key} holds {got:?}");
            }
            for name in ["EXISTS", "TOUCH", "DEL"] {
                let Value::Int(found) = value(&mut client, name) else { panic!("{name}") };
                assert!(found >= 0 && found as usize <= keys.len(), "{name}: {found}");
            }
        }
        count += depth * 5;
    }
    count
}

/// Deep pipelines of values of 4 to 8 KiB, each read back as it was written.
fn deep_pipelines(address: SocketAddr, name: u64, random: &mut Random, until: Instant) -> u64 {
    let mut client = Client::connect(address).expect("a connection");
    let mut count = 0;
    while Instant::now() < until {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..50 + random.below(200) {
            let key = format!("deep:{name}:{}", random.below(KEYS));
            let content =
                format!("{key}/").repeat(4096 / (key.len() + 1) + random.below(300) as usize);
            bytes.extend(request(&["SET", &key, &content]));
            bytes.extend(request(&["GET", &key]));
            expected.push(content.into_bytes());
        }
        client.send_raw(&bytes).expect("sent");
        count += 2 * expected.len() as u64;
        for content in expected {
            assert_eq!(value(&mut client, "SET"), Value::Simple(b"OK".to_vec()));
            assert!(value(&mut client, "GET") == Value::Bulk(content), "a value changed");
        }
    }
    count
}

/// Connections that come, ask a little of everything, and go, some with replies still due.
fn come_and_go(address: SocketAddr, random: &mut Random, until: Instant) -> u64 {
    let mut count = 0;
    while Instant::now() < until {
        let mut client = Client::connect(address).expect("a connection");
        for _ in 0..random.below(6) {
            let key = format!("fan:{}", random.below(40));
            match random.below(7) {
                0 => client.send(&["DEBUG", "SLEEP", "0.01"]),
                1 => client.send(&["CLIENT", "LIST"]),
                2 => client.send(&["INFO"]),
                3 => client.send(&["DBSIZE"]),
                4 => client.send(&["GET", &key]),
                5 => client.send(&["SCAN", "0", "COUNT", "50"]),
                _ => client.send(&["RANDOMKEY"]),
            }
            .expect("sent");
            count += 1;
            if random.below(4) > 0 {
                value(&mut client, "a request of a passer-by");
            }
        }
    }
    count
}

/// Jobs and errands on one connection, one behind the other.
fn jobs_and_errands(address: SocketAddr, until: Instant) -> u64 {
    let mut client = Client::connect(address).expect("a connection");
    let mut count = 0;
    while Instant::now() < until {
        for words in [
            &["DEBUG", "SLEEP", "0.005"][..],
            &["CLIENT", "LIST"],
            &["INFO", "everything"],
            &["CONFIG", "RESETSTAT"],
            &["DBSIZE"],
            &["KEYS", "fan:1*"],
            &["PING"],
        ] {
            client.send(words).expect("sent");
        }
        for name in ["SLEEP", "LIST", "INFO", "RESETSTAT", "DBSIZE", "KEYS", "PING"] {
            value(&mut client, name);
            count += 1;
        }
    }
    count
}

#[test]
fn everything_at_once() {
    let seconds = number("PINION_WEDGE_SECONDS").unwrap_or(10);
    let seed = number("PINION_WEDGE_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(1, |now| now.as_nanos() as u64) | 1
    });
    eprintln!("PINION_WEDGE_SEED={seed}");
    let server = Server::start(3, &[]).expect("a server");
    let address = server.address();
    let until = Instant::now() + Duration::from_secs(seconds);
    let random = |client: u64| Random(seed.wrapping_mul(client * 2 + 3) | 1);
    let counts = std::thread::scope(|scope| {
        let mut clients = Vec::new();
        for client in 0..3 {
            clients.push(scope.spawn(move || fan_out(address, &mut random(client), until)));
            let name = client;
            clients.push(
                scope.spawn(move || deep_pipelines(address, name, &mut random(9 + client), until)),
            );
            clients
                .push(scope.spawn(move || come_and_go(address, &mut random(99 + client), until)));
            clients.push(scope.spawn(move || jobs_and_errands(address, until)));
        }
        let join = |client: std::thread::ScopedJoinHandle<'_, u64>| client.join();
        clients.into_iter().map(join).collect::<Vec<_>>()
    });
    let failed = counts.iter().filter(|count| count.is_err()).count();
    assert_eq!(failed, 0, "clients failed; the first panic above says how");
    let total: u64 = counts.into_iter().flatten().sum();
    eprintln!("{total} requests in {seconds} seconds, none late");
    let mut client = Client::connect(address).expect("a connection");
    assert_eq!(client.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
}
