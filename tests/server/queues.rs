//! Queues that several workers empty at once: every job comes out once.

use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::collections::HashSet;
use std::time::Duration;

const JOBS: usize = 2000;
const WORKERS: usize = 6;

/// Moves jobs until there are none; the jobs that were moved.
fn work(server: &Server, words: &[&str]) -> Vec<Vec<u8>> {
    let mut client = Client::connect(server.address()).expect("a connection");
    let mut jobs = Vec::new();
    loop {
        match client.ask(words).expect("a reply") {
            Value::Bulk(job) => jobs.push(job),
            Value::NullBulk => return jobs,
            other => panic!("{words:?} answers {other:?}"),
        }
    }
}

#[test]
fn no_job_is_lost_or_doubled_between_cores() {
    let server = Server::start(3, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    for job in 0..JOBS {
        let len = client.ask(&["RPUSH", "jobs", &job.to_string()]);
        assert_eq!(len, Ok(Value::Int(job as i64 + 1)));
    }
    let moved: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let worker = |number: usize| {
            let server = &server;
            scope.spawn(move || {
                let done = format!("done:{number}");
                match number % 2 {
                    0 => work(server, &["LMOVE", "jobs", &done, "LEFT", "RIGHT"]),
                    _ => work(server, &["RPOPLPUSH", "jobs", &done]),
                }
            })
        };
        let workers: Vec<_> = (0..WORKERS).map(worker).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    let distinct: HashSet<&Vec<u8>> = moved.iter().collect();
    assert_eq!((moved.len(), distinct.len()), (JOBS, JOBS));
}

#[test]
fn a_job_that_is_refused_goes_back() {
    let server = Server::start(3, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    for target in ["t1", "t2", "t3", "t4"] {
        assert_eq!(client.ask(&["SET", target, "v"]), Ok(Value::Simple(b"OK".to_vec())));
        assert_eq!(client.ask(&["RPUSH", "jobs", "a", "b"]), Ok(Value::Int(2)));
        let refused = client.ask(&["LMOVE", "jobs", target, "LEFT", "RIGHT"]);
        assert!(matches!(refused, Ok(Value::Error(_))), "{refused:?}");
        let both = Value::Array(vec![Value::Bulk(b"a".to_vec()), Value::Bulk(b"b".to_vec())]);
        assert_eq!(client.ask(&["LRANGE", "jobs", "0", "-1"]), Ok(both));
        assert_eq!(client.ask(&["DEL", "jobs"]), Ok(Value::Int(1)));
    }
}

#[test]
fn who_has_gone_takes_nothing() {
    const LEFT: usize = 30;
    let server = Server::start(3, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    let moment = || std::thread::sleep(Duration::from_millis(30));
    for number in 0..LEFT {
        let key = format!("left:{number}");
        let mut waiter = Client::connect(server.address()).expect("a connection");
        waiter.send(&["BLPOP", &key, "0"]).expect("sent");
        moment();
        drop(waiter);
        moment();
        assert_eq!(client.ask(&["RPUSH", &key, "job"]), Ok(Value::Int(1)));
        assert_eq!(client.ask(&["LLEN", &key]), Ok(Value::Int(1)), "{key}");
    }
}

#[test]
fn a_client_stands_still_until_all_that_exec_began_has_ended() {
    let server = Server::start(3, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    let requests: [&[&str]; 6] = [
        &["MULTI"],
        &["CLIENT", "LIST"],
        &["DEBUG", "SLEEP", "0.1"],
        &["EXEC"],
        &["BLPOP", "jobs", "0"],
        &["SET", "after", "1"],
    ];
    requests.iter().for_each(|words| client.send(words).expect("sent"));
    std::thread::sleep(Duration::from_millis(300));
    let mut other = Client::connect(server.address()).expect("a connection");
    assert_eq!(other.ask(&["EXISTS", "after"]), Ok(Value::Int(0)), "it waits");
    drop(client);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(other.ask(&["RPUSH", "jobs", "job"]), Ok(Value::Int(1)));
    assert_eq!(other.ask(&["LLEN", "jobs"]), Ok(Value::Int(1)), "nobody waits");
}

#[test]
fn more_streams_than_a_small_number_can_say() {
    const STREAMS: usize = 66_000;
    let server = Server::start(3, &[]).expect("a server");
    let mut client = Client::connect(server.address()).expect("a connection");
    let names: Vec<String> = (0..STREAMS).map(|number| format!("s{number}")).collect();
    let mut bytes = Vec::new();
    for name in &names {
        bytes.extend(request(&["XADD", name, "1-1", "f", name]));
    }
    client.send_raw(&bytes).expect("sent");
    let patience = Duration::from_secs(60);
    for _ in &names {
        assert!(matches!(client.receive(patience), Ok(Got::Value(Value::Bulk(_)))));
    }
    let mut words = vec!["XREAD", "STREAMS"];
    words.extend(names.iter().map(String::as_str));
    words.extend(names.iter().map(|_| "0"));
    client.send(&words).expect("sent");
    let Ok(Got::Value(Value::Array(streams))) = client.receive(patience) else {
        panic!("no array");
    };
    assert_eq!(streams.len(), STREAMS);
    assert_eq!(client.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
}
