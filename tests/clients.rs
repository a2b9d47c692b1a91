//! The clients people use, in their own languages, against a server of four shards.
//!
//! The programs under `tests/clients` each print what they show, named by the numbers that the
//! project gives to what real clients do, and fail with what went wrong. They need the clients that
//! `tests/clients/install.sh` installs, so `cargo x clients` and CI run them, and a plain `cargo
//! test` does not. `PINION_CLIENTS_SERVER` names another server to hold to the same.

mod support;

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::server::Server;

/// Longest that one program may take.
const PROGRAM_MAX: Duration = Duration::from_secs(60);
/// Where the programs are.
const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// Where their clients are.
const CLIENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients");

/// Runs a program; its output is the test's.
fn run(program: &str) {
    let server = match std::env::var("PINION_CLIENTS_SERVER") {
        Ok(address) => Err(address.parse::<SocketAddr>().expect("an address and a port")),
        Err(_) => Ok(Server::start(4, &[]).expect("a server")),
    };
    let address = server.as_ref().map_or_else(|&address| address, Server::address);
    let interpreter = if program.ends_with(".py") { "python3" } else { "node" };
    let mut child = Command::new(interpreter)
        .arg(format!("{PROGRAMS}/{program}"))
        .arg(address.ip().to_string())
        .arg(address.port().to_string())
        .env("PYTHONPATH", format!("{CLIENTS}/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NODE_PATH", format!("{CLIENTS}/node/node_modules"))
        .stdin(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("starting {interpreter}: {error}"));
    let deadline = Instant::now() + PROGRAM_MAX;
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().expect("a child to end");
            panic!("{program} took longer than {PROGRAM_MAX:?}");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(status.success(), "{program} says what is wrong");
}

#[test]
#[ignore = "`cargo x clients` installs what it needs and runs it"]
fn handshake() {
    run("handshake.py");
}

#[test]
#[ignore = "`cargo x clients` installs what it needs and runs it"]
fn protocol() {
    run("protocol.py");
}

#[test]
#[ignore = "`cargo x clients` installs what it needs and runs it"]
fn sessions() {
    run("sessions.py");
}

#[test]
#[ignore = "`cargo x clients` installs what it needs and runs it"]
fn rueidis() {
    run("rueidis.py");
}

#[test]
#[ignore = "`cargo x clients` installs what it needs and runs it"]
fn bullmq() {
    run("bullmq.js");
}

#[test]
#[ignore = "`cargo x clients` installs what it needs and runs it"]
fn redis_py() {
    run("redis_py.py");
}

#[test]
#[ignore = "`cargo x clients` installs what it needs and runs it"]
fn ioredis() {
    run("ioredis.js");
}

#[test]
#[ignore = "`cargo x clients` installs what it needs and runs it"]
fn node_redis() {
    run("node_redis.js");
}
