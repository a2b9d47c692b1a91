//! Queues that several workers empty at once: every job comes out once.

use crate::support::client::Client;
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::collections::HashSet;

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
