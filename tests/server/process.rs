//! The server's start and end, as an operator sees them, and its clients at that moment.

use crate::support::client::{Client, Got};
use crate::support::server::{Server, free_address};
use pinion_io::resp::Value;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[test]
fn sleep_delays_only_its_own_client() {
    let server = Server::start(2, &[]).expect("a server");
    let mut sleepers: Vec<_> =
        (0..6).map(|_| Client::connect(server.address()).expect("a connection")).collect();
    let mut awake: Vec<_> =
        (0..6).map(|_| Client::connect(server.address()).expect("a connection")).collect();
    let started = Instant::now();
    for client in &mut sleepers {
        client.send(&["DEBUG", "SLEEP", "1.5"]).expect("sent");
        client.send(&["INCR", "slept"]).expect("sent");
    }
    let mut worst = Duration::ZERO;
    let mut count = 0;
    while started.elapsed() < Duration::from_millis(1200) {
        for client in &mut awake {
            let asked = Instant::now();
            count += 1;
            assert_eq!(client.ask(&["INCR", "awake"]), Ok(Value::Int(count)));
            worst = worst.max(asked.elapsed());
        }
    }
    eprintln!("{count} commands beside sleepers, the slowest took {worst:?}");
    assert!(worst < Duration::from_secs(1), "a command took {worst:?}");
    for client in &mut sleepers {
        let reply = client.receive(Duration::from_secs(20));
        assert_eq!(reply, Ok(Got::Value(Value::Simple(b"OK".to_vec()))));
        assert!(started.elapsed() >= Duration::from_millis(1500), "it slept too little");
        let reply = client.receive(Duration::from_secs(20));
        assert!(matches!(reply, Ok(Got::Value(Value::Int(1..=6)))), "{reply:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "it slept too long");
}

#[test]
fn quit_closes_at_once() {
    let server = Server::start(2, &[]).expect("a server");
    let mut times = Vec::new();
    for round in 0..21 {
        let mut client = Client::connect(server.address()).expect("a connection");
        // At different moments between two heartbeats of the server.
        std::thread::sleep(Duration::from_millis(5 * round));
        client.send_raw(b"SET k v\r\nQUIT\r\n").expect("sent");
        for _ in 0..2 {
            let reply = client.receive(Duration::from_secs(20));
            assert_eq!(reply, Ok(Got::Value(Value::Simple(b"OK".to_vec()))));
        }
        let answered = Instant::now();
        assert_eq!(client.receive(Duration::from_secs(20)), Ok(Got::Closed));
        times.push(answered.elapsed());
    }
    // The middle one: this machine may be busy with other things.
    times.sort_unstable();
    eprintln!("after its reply to QUIT the server closes within {:?}", times[10]);
    assert!(times[10] < Duration::from_millis(15), "it closes within {times:?}");
}

/// Sends until the server ends; every reply that comes is whole and in order.
fn load_until_the_end(server: &Server, name: &str, answered: &AtomicUsize) {
    let mut client = Client::connect(server.address()).expect("a connection");
    let mut count = 0;
    loop {
        let sent = (0..8).all(|_| client.send(&["INCR", name]).is_ok());
        for _ in 0..8 {
            match client.receive(Duration::from_secs(10)) {
                Ok(Got::Value(value)) => {
                    count += 1;
                    assert_eq!(value, Value::Int(count));
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Got::Closed) => return,
                // A reset, where something was sent to a socket already closed.
                Err(_) if !sent => return,
                other => panic!("after {count} replies: {other:?}"),
            }
        }
    }
}

#[test]
fn sigterm_under_load_ends_within_a_second() {
    let mut server = Server::start(3, &[]).expect("a server");
    let address = server.address();
    let answered = AtomicUsize::new(0);
    let answered = &answered;
    let took = std::thread::scope(|scope| {
        let process = server.process();
        for index in 0..12 {
            let server = &server;
            scope.spawn(move || load_until_the_end(server, &format!("k{index}"), answered));
        }
        while answered.load(Ordering::Relaxed) < 5000 {
            std::thread::sleep(Duration::from_millis(1));
        }
        let asked = Instant::now();
        let signal = Command::new("kill").arg("-TERM").arg(process.to_string()).status();
        assert!(signal.expect("kill").success());
        while TcpListener::bind(address).is_err() && asked.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(1));
        }
        asked.elapsed()
    });
    let ended = server.stop(Duration::from_secs(5)).expect("the server ends");
    assert!(ended.success(), "{ended}");
    eprintln!("stopped under load after {took:?}");
    assert!(took < Duration::from_millis(1500), "it took {took:?}");
}

/// Runs the server with arguments that must not work; returns the one sentence it says.
fn refusal(arguments: &[&str]) -> String {
    let child = Command::new(env!("CARGO_BIN_EXE_pinion"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("the server's binary");
    let text = String::from_utf8(child.stderr).expect("text");
    assert_eq!(child.status.code(), Some(1), "{arguments:?}: {text}");
    let sentence = text.strip_suffix('\n').unwrap_or(&text);
    assert!(!sentence.is_empty() && !sentence.contains('\n'), "{arguments:?}: {text}");
    sentence.to_owned()
}

#[test]
fn what_does_not_work_is_said_in_one_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = format!("--port={}", taken.local_addr().expect("an address").port());
    let sentence = refusal(&[&port, "--bind=127.0.0.1", "--threads=1"]);
    assert!(sentence.contains(&port[7..]) && sentence.contains("in use"), "{sentence}");
    let free = format!("--port={}", free_address().expect("a port").port());
    for (arguments, words) in [
        (&["--nosuch=1"][..], &["nosuch"][..]),
        (&["--port=abc"], &["port", "abc"]),
        (&["--port=70000"], &["port", "70000"]),
        (&["--timeout=-1"], &["timeout", "-1"]),
        (&["--proactor_threads=many"], &["proactor_threads", "many"]),
        (&["--flagfile=/nosuch/file"], &["/nosuch/file"]),
        (&[&free, "--unixsocket=/nosuch/directory/socket"], &["/nosuch/directory/socket"]),
        (&[&free, "--bind=203.0.113.1"], &["203.0.113.1"]),
        (&["stray"], &["stray"]),
    ] {
        let sentence = refusal(arguments);
        for word in words {
            assert!(sentence.contains(word), "{arguments:?}: {sentence}");
        }
    }
}
