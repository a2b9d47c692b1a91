//! A snapshot that cannot be written: what clients hear then, and after.

use crate::support::client::Client;
use crate::support::server::{Server, free_address};
use pinion_io::resp::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

fn ask(client: &mut Client, words: &[&str]) -> String {
    match client.ask(words).expect("an answer") {
        Value::Simple(text) => String::from_utf8_lossy(&text).into_owned(),
        Value::Error(text) => format!("-{}", String::from_utf8_lossy(&text)),
        Value::Bulk(text) => String::from_utf8_lossy(&text).into_owned(),
        other => format!("{other:?}"),
    }
}

/// A line of INFO persistence.
fn figure(client: &mut Client, name: &str) -> String {
    let text = ask(client, &["INFO", "persistence"]);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().to_owned()
}

/// A client of memcached's protocol.
struct Lines(BufReader<TcpStream>);

impl Lines {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        Self(BufReader::new(stream))
    }

    /// The first line of the answer.
    fn ask(&mut self, request: &str) -> String {
        self.0.get_ref().write_all(format!("{request}\r\n").as_bytes()).expect("sent");
        let mut line = String::new();
        self.0.read_line(&mut line).expect("an answer");
        line.trim_end().to_owned()
    }
}

fn wait_for_status(client: &mut Client, status: &str) {
    let deadline = Instant::now() + PATIENCE;
    while figure(client, "rdb_last_bgsave_status") != status {
        assert!(Instant::now() < deadline, "{}", ask(client, &["INFO", "persistence"]));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_is_written_while_it_could_not_be_saved() {
    let room = std::env::temp_dir().join(format!("pinion-unsaved-{}", std::process::id()));
    std::fs::create_dir_all(&room).expect("a directory");
    let directory = format!("--dir={}", room.display());
    let port = free_address().expect("a port").port();
    let memcached = format!("--memcached_port={port}");
    let server = Server::start(2, &["--save=3600 1", &directory, &memcached]).expect("a server");
    let mut lines = Lines::connect(port);
    let mut client = Client::connect(server.address()).expect("a connection");
    let mut other = Client::connect(server.address()).expect("another");
    assert_eq!(ask(&mut client, &["SET", "a", "1"]), "OK");
    assert_eq!(ask(&mut other, &["MULTI"]), "OK");
    assert_eq!(ask(&mut other, &["SET", "a", "2"]), "QUEUED");
    std::fs::remove_dir_all(&room).expect("it goes");
    // It is refused at once, or fails behind.
    let begun = ask(&mut client, &["BGSAVE"]);
    assert!(begun.contains("started") || begun.starts_with("-ERR"), "{begun}");
    wait_for_status(&mut client, "err");
    for words in [&["SET", "a", "3"][..], &["DEL", "a"], &["FLUSHALL"], &["PING"]] {
        let refused = ask(&mut client, words);
        assert!(refused.starts_with("-MISCONF Redis is configured to save"), "{words:?} {refused}");
    }
    for request in ["set a 0 0 1\r\n3", "delete a", "incr a 1", "touch a 0", "flush_all"] {
        let refused = lines.ask(request);
        assert!(refused.starts_with("SERVER_ERROR the last snapshot has failed"), "{refused}");
    }
    assert_eq!(
        lines.ask("set a 0 0 1 noreply\r\n3\r\nincr nosuch 1 noreply\r\nget a"),
        "VALUE a 0 1"
    );
    assert_eq!(ask(&mut client, &["GET", "a"]), "1");
    let aborted = ask(&mut other, &["EXEC"]);
    assert!(aborted.starts_with("-EXECABORT Transaction discarded because of: MISC"), "{aborted}");
    assert_ne!(figure(&mut client, "rdb_last_bgsave_error"), "");
    // As Redis does, it follows the settings at once.
    assert_eq!(ask(&mut client, &["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]), "OK");
    assert_eq!(ask(&mut client, &["SET", "a", "4"]), "OK");
    assert_eq!(ask(&mut client, &["CONFIG", "SET", "stop-writes-on-bgsave-error", "yes"]), "OK");
    assert!(ask(&mut client, &["SET", "a", "5"]).starts_with("-MISCONF"));
    assert_eq!(ask(&mut client, &["CONFIG", "SET", "save", ""]), "OK");
    assert_eq!(ask(&mut client, &["SET", "a", "6"]), "OK");
}
