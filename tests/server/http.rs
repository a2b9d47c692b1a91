//! HTTP on the main port, as browsers, scrapers and probes speak it.

use crate::support::client::{Client, Got};
use crate::support::server::Server;
use pinion_io::resp::Value;
use std::io::{ErrorKind, Read as _};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// An answer: its head, and its body.
type Answer = (String, String);

fn connect(server: &Server) -> Client {
    Client::connect(server.address()).expect("a connection")
}

/// Reads one answer; `without_body` where the head only announces one.
fn answer(client: &Client, without_body: bool) -> Answer {
    let mut stream = client.stream();
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("a head");
        text.push(byte[0]);
    }
    let head = String::from_utf8(text).expect("text");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let length = length.expect("a length").parse().expect("a number");
    let mut body = vec![0; if without_body { 0 } else { length }];
    stream.read_exact(&mut body).expect("a body");
    (head, String::from_utf8(body).expect("text"))
}

fn get(client: &mut Client, path: &str, header: &str) -> Answer {
    let request = format!("GET {path} HTTP/1.1\r\nHost: pinion\r\n{header}\r\n");
    client.send_raw(request.as_bytes()).expect("sent");
    answer(client, false)
}

fn is_closed(client: &Client) -> bool {
    let mut stream = client.stream();
    stream.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn pages_are_answered_one_after_the_other() {
    let server = Server::start(2, &[]).expect("a server");
    let mut redis = connect(&server);
    for key in 0..40 {
        redis.ask(&["SET", &format!("key:{key}"), "v"]).expect("a reply");
    }
    let mut client = connect(&server);
    let (head, body) = get(&mut client, "/healthz", "");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert_eq!(body, "OK\n");
    let (head, body) = get(&mut client, "/", "");
    assert!(head.contains("Content-Type: text/html"), "{head}");
    assert!(body.starts_with("<!doctype html>") && body.ends_with("</html>\n"), "{body}");
    assert!(body.contains("<td>Keys</td><td>40</td>"), "{body}");
    let (head, body) = get(&mut client, "/metrics", "");
    assert!(head.contains("Content-Type: text/plain; version=0.0.4"), "{head}");
    for line in [
        "pinion_keys{db=\"0\"} 40",
        "pinion_commands_total{command=\"set\"} 40",
        "# TYPE pinion_commands_total counter",
        "pinion_clients_max 64000",
    ] {
        assert!(body.lines().any(|its| its == line), "{line} in {body}");
    }
    let (head, _) = get(&mut client, "/nosuch", "");
    assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n"), "{head}");
    // Several at once, and in pieces.
    let both = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nHEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
    let (one, two) = both.split_at(30);
    client.send_raw(one.as_bytes()).expect("sent");
    std::thread::sleep(Duration::from_millis(20));
    client.send_raw(two.as_bytes()).expect("sent");
    assert_eq!(answer(&client, false).1, "OK\n");
    assert!(answer(&client, true).0.contains("Connection: keep-alive"));
    let (head, _) = get(&mut client, "/healthz", "Connection: close\r\n");
    assert!(head.contains("Connection: close"), "{head}");
    assert!(is_closed(&client));
    // Whoever closes at once is forgotten.
    drop(client);
    assert_eq!(redis.ask(&["GET", "key:1"]), Ok(Value::Bulk(b"v".to_vec())));
}

#[test]
fn what_is_no_request_is_refused_and_closes() {
    let server = Server::start(1, &[]).expect("a server");
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nx: {}", "y".repeat(9000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(100));
    let cases = [
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", "405 Method Not Allowed"),
        ("GET / HTTP/1.1\r\n: :\r\n\r\n", "400 Bad Request"),
        (&long, "431 Request Header Fields Too Large"),
        (&many, "431 Request Header Fields Too Large"),
    ];
    for (request, status) in cases {
        let mut client = connect(&server);
        client.send_raw(request.as_bytes()).expect("sent");
        let (head, _) = answer(&client, false);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{head}");
        assert!(is_closed(&client), "{request}");
    }
    // An inline command is none, however it begins.
    let mut client = connect(&server);
    client.send_raw(b"GET ").expect("sent");
    std::thread::sleep(Duration::from_millis(20));
    client.send_raw(b"key\r\n").expect("sent");
    assert_eq!(client.receive(PATIENCE), Ok(Got::Value(Value::NullBulk)));
    client.send_raw(b"GET / HTTP/1.1\r\n").expect("sent");
    assert!(matches!(client.receive(PATIENCE), Ok(Got::Value(Value::Error(_)))));
}

#[test]
fn a_password_is_asked_for() {
    let server = Server::start(2, &["--requirepass=sesame"]).expect("a server");
    let mut client = connect(&server);
    for path in ["/", "/metrics", "/healthz", "/nosuch"] {
        for header in ["", "Authorization: Basic dXNlcjp3cm9uZw==\r\n"] {
            let (head, body) = get(&mut client, path, header);
            assert!(head.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{head}");
            assert!(head.contains("WWW-Authenticate: Basic"), "{head}");
            assert!(!body.contains("pinion"), "{body}");
        }
    }
    // user:sesame
    let (head, _) = get(&mut client, "/metrics", "Authorization: Basic dXNlcjpzZXNhbWU=\r\n");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
}

#[test]
fn pages_tell_nothing_to_a_user_who_may_not_ask() {
    let server = Server::start(2, &[]).expect("a server");
    let mut admin = connect(&server);
    assert!(admin.ask(&["ACL", "SETUSER", "default", "-info"]).is_ok());
    let mut client = connect(&server);
    for (path, line) in [("/", "401"), ("/metrics", "401"), ("/healthz", "200")] {
        let (head, _) = get(&mut client, path, "");
        assert!(head.starts_with(&format!("HTTP/1.1 {line} ")), "{path}: {head}");
    }
}

#[test]
fn without_http_the_lines_of_a_browser_close() {
    let server = Server::start(1, &["--primary_port_http_enabled=false"]).expect("a server");
    for line in ["POST / HTTP/1.1\r\n", "Host: pinion\r\n"] {
        let mut client = connect(&server);
        let begun = Instant::now();
        client.send_raw(line.as_bytes()).expect("sent");
        client.send_raw(b"SET stolen 1\r\n").expect("sent");
        assert_eq!(client.receive(PATIENCE), Ok(Got::Closed), "{line}");
        assert!(begun.elapsed() < PATIENCE);
    }
    let mut client = connect(&server);
    assert_eq!(client.ask(&["EXISTS", "stolen"]), Ok(Value::Int(0)));
    client.send_raw(b"GET /healthz HTTP/1.1\r\n").expect("sent");
    assert!(matches!(client.receive(PATIENCE), Ok(Got::Value(Value::Error(_)))));
}

#[test]
fn a_stranger_who_does_not_read_is_closed() {
    let server = Server::start(1, &["--requirepass=secret"]).expect("a server");
    let mut stranger = connect(&server);
    let many = "GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(100);
    // What the kernel takes for a peer that does not read is some megabytes.
    let closed = (0..16_384).any(|_| {
        std::thread::sleep(Duration::from_micros(200));
        stranger.send_raw(many.as_bytes()).is_err()
    });
    assert!(closed);
}
