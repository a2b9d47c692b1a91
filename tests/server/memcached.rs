//! memcached's text protocol on a port of its own, over the keys of database 0.

use crate::support::client::Client;
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A server with both ports.
struct Both {
    server: Server,
    port: u16,
}

impl Both {
    fn start(threads: usize, arguments: &[&str]) -> Self {
        let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = probe.local_addr().expect("an address").port();
        drop(probe);
        let own = format!("--memcached_port={port}");
        let arguments: Vec<&str> = arguments.iter().copied().chain([own.as_str()]).collect();
        Self { server: Server::start(threads, &arguments).expect("a server"), port }
    }

    fn redis(&self) -> Client {
        Client::connect(self.server.address()).expect("a connection")
    }

    fn memcached(&self) -> Memcached {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        stream.set_nodelay(true).expect("no delay");
        Memcached(BufReader::new(stream))
    }
}

/// A connection to that port.
struct Memcached(BufReader<TcpStream>);

impl Memcached {
    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).expect("sent");
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("a line");
        line.trim_end_matches("\r\n").to_owned()
    }

    /// The answer to a request, which is one line.
    fn ask(&mut self, text: &str) -> String {
        self.send(&format!("{text}\r\n"));
        self.line()
    }

    /// The lines up to `END`, that without.
    fn lines(&mut self, text: &str) -> Vec<String> {
        self.send(&format!("{text}\r\n"));
        let mut lines = Vec::new();
        loop {
            match self.line().as_str() {
                "END" => return lines,
                "" => panic!("closed behind {lines:?}"),
                line => lines.push(line.to_owned()),
            }
        }
    }

    fn is_closed(&mut self) -> bool {
        self.0.read(&mut [0]).map_or(true, |read| read == 0)
    }
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

#[test]
fn both_protocols_see_the_same_values() {
    for threads in [1, 4] {
        let both = Both::start(threads, &[]);
        let (mut redis, mut memcached) = (both.redis(), both.memcached());
        for index in 0..50 {
            let set = format!("set key:{index} {index} 0 5\r\nv{index:04}");
            assert_eq!(memcached.ask(&set), "STORED");
            let value = redis.ask(&["GET", &format!("key:{index}")]);
            assert_eq!(value, Ok(bulk(&format!("v{index:04}"))));
        }
        let keys: Vec<String> = (0..60).map(|index| format!("key:{index}")).collect();
        let lines = memcached.lines(&format!("get {}", keys.join(" ")));
        let wanted = (0..50).flat_map(|i| [format!("VALUE key:{i} {i} 5"), format!("v{i:04}")]);
        assert_eq!(lines, wanted.collect::<Vec<_>>(), "in the order of the keys");
        redis.ask(&["SET", "key:1", "other"]).expect("a reply");
        assert_eq!(memcached.lines("get key:1"), ["VALUE key:1 0 5", "other"]);
        assert_eq!(redis.ask(&["DBSIZE"]), Ok(Value::Int(50)));
        assert_eq!(memcached.ask("flush_all"), "OK");
        assert_eq!(redis.ask(&["DBSIZE"]), Ok(Value::Int(0)));
        redis.ask(&["SET", "n", "41"]).expect("a reply");
        assert_eq!(memcached.ask("incr n 1"), "42");
        assert_eq!(redis.ask(&["INCR", "n"]), Ok(Value::Int(43)));
    }
}

#[test]
fn cas_sees_what_redis_clients_do() {
    let both = Both::start(2, &[]);
    let (mut redis, mut memcached) = (both.redis(), both.memcached());
    assert_eq!(memcached.ask("cas k 0 0 1 1\r\nx"), "NOT_FOUND");
    memcached.ask("set k 0 0 1\r\na");
    let token = |lines: Vec<String>| lines[0].rsplit(' ').next().expect("a number").to_owned();
    let first = token(memcached.lines("gets k"));
    redis.ask(&["SET", "k", "a"]).expect("a reply");
    assert_eq!(memcached.ask(&format!("cas k 0 0 1 {first}\r\nb")), "EXISTS");
    let second = token(memcached.lines("gets k"));
    assert_eq!(memcached.ask(&format!("cas k 0 0 1 {second}\r\nb")), "STORED");
    assert_eq!(memcached.ask(&format!("cas k 0 0 1 {second}\r\nc")), "EXISTS");
    assert_eq!(redis.ask(&["GET", "k"]), Ok(bulk("b")));
}

#[test]
fn requests_come_in_any_pieces_and_many_at_once() {
    let both = Both::start(3, &[]);
    let mut memcached = both.memcached();
    let text = "set a 0 0 6 noreply\r\nx\r\nyz\n\r\nget a b\r\nappend a 0 0 1\r\n!\r\nnosuch\r\n";
    for byte in text.as_bytes().chunks(1) {
        memcached.0.get_mut().write_all(byte).expect("sent");
    }
    for line in ["VALUE a 0 6", "x", "yz\n", "END", "STORED", "ERROR"] {
        assert_eq!(memcached.line(), line);
        if line == "yz\n" {
            assert_eq!(memcached.line(), "");
        }
    }
    // Many at once, of which the replies come in order.
    let mut many = String::new();
    for index in 0..5000 {
        many += &format!("set k{index} 0 0 1 noreply\r\n1\r\nincr k{index} {index}\r\n");
    }
    let mut writer = memcached.0.get_ref().try_clone().expect("a second handle");
    let sent = std::thread::spawn(move || writer.write_all(many.as_bytes()));
    for index in 0..5000 {
        assert_eq!(memcached.line(), (index + 1).to_string());
    }
    sent.join().expect("no panic").expect("sent");
    // Large values, and one that is too large: what follows it is found again.
    let large = "x".repeat(1024 * 1024);
    assert_eq!(memcached.ask(&format!("set large 0 0 1048576\r\n{large}")), "STORED");
    assert_eq!(memcached.lines("get large"), ["VALUE large 0 1048576", &large]);
    let error = "SERVER_ERROR object too large for cache";
    assert_eq!(memcached.ask("set old 0 0 1\r\nx"), "STORED");
    let large = "x".repeat(1024 * 1024 + 1);
    assert_eq!(memcached.ask(&format!("add old 0 0 {}\r\n{large}", large.len())), error);
    assert_eq!(memcached.lines("get old"), ["VALUE old 0 1", "x"]);
    // What was to be replaced is not told as if it were still so.
    assert_eq!(memcached.ask(&format!("set old 0 0 {}\r\n{large}", large.len())), error);
    assert!(memcached.lines("get old").is_empty());
    assert!(memcached.ask("version").starts_with("VERSION "));
}

#[test]
fn lines_that_do_not_end_and_those_who_go_are_closed() {
    let both = Both::start(2, &[]);
    let mut memcached = both.memcached();
    memcached.send(&"x".repeat(3000));
    assert!(memcached.is_closed());
    let mut memcached = both.memcached();
    assert_eq!(memcached.ask("verbosity 1"), "OK");
    let stats = memcached.lines("stats");
    assert!(stats.iter().any(|line| line == "STAT threads 2"), "{stats:?}");
    assert!(stats.iter().any(|line| line.starts_with("STAT curr_items ")), "{stats:?}");
    assert_eq!(memcached.lines("stats items"), Vec::<String>::new());
    memcached.send("quit\r\nversion\r\n");
    assert!(memcached.is_closed());
}

#[test]
fn a_password_comes_first() {
    let both = Both::start(2, &["--requirepass=sesame"]);
    let mut memcached = both.memcached();
    let unauthenticated = "CLIENT_ERROR unauthenticated";
    for request in ["get a", "version", "stats", "flush_all", "incr a 1"] {
        assert_eq!(memcached.ask(request), unauthenticated, "{request}");
    }
    assert_eq!(memcached.ask(&format!("set a 0 0 2000\r\n{}", "x".repeat(2000))), unauthenticated);
    let failure = "CLIENT_ERROR authentication failure";
    for wrong in ["user wrong", "sesame", "user"] {
        assert_eq!(memcached.ask(&format!("set x 0 0 {}\r\n{wrong}", wrong.len())), failure);
    }
    assert_eq!(memcached.ask("set x 0 0 11\r\nuser sesame"), "STORED");
    assert_eq!(memcached.ask("set x 0 0 1\r\n1"), "STORED");
    assert_eq!(memcached.lines("get x"), ["VALUE x 0 1", "1"]);
}

#[test]
fn users_do_there_what_they_may_do_here() {
    let both = Both::start(2, &["--requirepass=sesame"]);
    let mut redis = both.redis();
    assert!(redis.ask(&["AUTH", "sesame"]).is_ok());
    let rules = ["ACL", "SETUSER", "reader", "on", ">pass", "~open:*", "+get", "+incrby"];
    assert_eq!(redis.ask(&rules), Ok(Value::Simple(b"OK".to_vec())));
    redis.ask(&["MSET", "open:a", "1", "shut:a", "1"]).expect("a reply");
    let mut memcached = both.memcached();
    assert_eq!(memcached.ask("set x 0 0 11\r\nreader pass"), "STORED");
    assert_eq!(memcached.lines("get open:a"), ["VALUE open:a 0 1", "1"]);
    assert_eq!(memcached.ask("incr open:a 1"), "2");
    let denied = "CLIENT_ERROR permission denied";
    for request in [
        "get shut:a",
        "set open:a 0 0 1\r\nx",
        "delete open:a",
        "touch open:a 1",
        "gat 1 open:a",
        "decr open:a 1",
        "flush_all",
        "stats",
    ] {
        assert_eq!(memcached.ask(request), denied, "{request}");
        if request.starts_with('g') {
            assert_eq!(memcached.line(), "END");
        }
    }
    assert_eq!(
        redis.ask(&["MGET", "open:a", "shut:a"]),
        Ok(Value::Array(vec![bulk("2"), bulk("1")]))
    );
    // Who is gone is closed.
    redis.ask(&["ACL", "DELUSER", "reader"]).expect("a reply");
    assert!(memcached.is_closed());
}

#[test]
fn what_the_default_user_may_not_do_is_refused() {
    let both = Both::start(4, &[]);
    let (mut redis, mut memcached) = (both.redis(), both.memcached());
    assert_eq!(memcached.ask("set a 0 0 1\r\n1"), "STORED");
    assert_eq!(memcached.ask("set b 0 0 1\r\n1"), "STORED");
    let rules = ["resetkeys", "~a", "%R~b", "-incrby", "-flushdb", "-info"];
    let words = [&["ACL", "SETUSER", "default"][..], &rules].concat();
    assert_eq!(redis.ask(&words), Ok(Value::Simple(b"OK".to_vec())));
    assert_eq!(memcached.lines("get a b"), ["VALUE a 0 1", "1", "VALUE b 0 1", "1"]);
    let denied = "CLIENT_ERROR permission denied";
    assert_eq!(memcached.lines("get a c"), ["VALUE a 0 1", "1", denied]);
    assert_eq!(memcached.ask("set a 0 0 1\r\n2"), "STORED");
    for request in [
        "set b 0 0 1\r\n2",
        "add c 0 0 1\r\n2",
        "append b 0 0 1\r\n2",
        "delete b",
        "touch b 1",
        "incr a 1",
        "flush_all",
        "stats",
    ] {
        assert_eq!(memcached.ask(request), denied, "{request}");
    }
    assert_eq!(memcached.lines("gat 0 b"), [denied]);
    assert_eq!(memcached.ask("delete a"), "DELETED");
}

#[test]
fn a_stranger_who_does_not_read_is_closed() {
    let both = Both::start(1, &["--requirepass=secret"]);
    for request in ["set a 0 0 1\r\nx\r\n", "get a\r\n"] {
        let mut stranger = both.memcached();
        let many = request.repeat(4096 / request.len());
        // What the kernel takes for a peer that does not read is some megabytes.
        let closed = (0..16_384).any(|_| {
            std::thread::sleep(Duration::from_micros(200));
            stranger.0.get_mut().write_all(many.as_bytes()).is_err()
        });
        assert!(closed, "{request}");
    }
}

#[test]
fn a_flush_may_wait() {
    let both = Both::start(3, &[]);
    let mut memcached = both.memcached();
    let store = |memcached: &mut Memcached| {
        for key in 0..20 {
            assert_eq!(memcached.ask(&format!("set k{key} 0 0 1\r\nx")), "STORED");
        }
    };
    store(&mut memcached);
    assert_eq!(memcached.ask("flush_all 1"), "OK");
    assert_eq!(memcached.lines("get k1"), ["VALUE k1 0 1", "x"]);
    let begun = Instant::now();
    while !memcached.lines("get k1 k2 k3 k4 k5 k6 k7 k8").is_empty() {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(begun.elapsed() > Duration::from_millis(800));
    // The last one counts.
    store(&mut memcached);
    assert_eq!(memcached.ask("flush_all 1"), "OK");
    assert_eq!(memcached.ask("flush_all 3600"), "OK");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(memcached.lines("get k1"), ["VALUE k1 0 1", "x"]);
    assert_eq!(memcached.ask("flush_all -1"), "OK");
    assert!(memcached.lines("get k1").is_empty());
}
