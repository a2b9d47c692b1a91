//! TLS as clients meet it: with certificates made for the test, right ones and wrong ones.

use crate::support::client::{Client, Got, request};
use crate::support::server::Server;
use pinion_io::resp::{Value, decode};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A folder of certificates and keys that is gone when the test ends.
struct Papers {
    folder: PathBuf,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Papers {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("pinion-tls-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let papers = Self { folder, authority };
        papers.write("ca.crt", &papers.authority.as_ref().pem());
        papers.issue("server", "localhost");
        papers
    }

    /// A certificate in `name.crt` and its key in `name.key`.
    fn issue(&self, name: &str, host: &str) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![host.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &self.authority).expect("a certificate");
        self.write(&format!("{name}.crt"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.join(name), text).expect("written");
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).to_string_lossy().into_owned()
    }

    /// A server on a plain port and on one that speaks TLS, with its address.
    fn serve(&self, threads: usize, further: &[&str]) -> (Server, SocketAddr) {
        let mut arguments = vec![
            "--tls_port=-1".to_owned(),
            format!("--tls_cert_file={}", self.path("server.crt")),
            format!("--tls_key_file={}", self.path("server.key")),
            format!("--tls_ca_cert_file={}", self.path("ca.crt")),
        ];
        arguments.extend(further.iter().map(|&argument| argument.to_owned()));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let server = Server::start(threads, &arguments).expect("a server");
        let mut plain = Client::connect(server.address()).expect("a connection");
        let answer = plain.ask(&["CONFIG", "GET", "tls-port"]).expect("a reply");
        let Value::Array(pair) = answer else { panic!("{answer:?}") };
        let Value::Bulk(port) = &pair[1] else { panic!("{pair:?}") };
        let port = String::from_utf8_lossy(port).parse().expect("a port");
        let mut address = server.address();
        address.set_port(port);
        (server, address)
    }

    /// How a client speaks that trusts this authority, with a certificate of its own or without.
    fn client(
        &self,
        own: Option<&str>,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(read_certificate(&self.folder.join("ca.crt"))).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("versions")
            .with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let chain = vec![read_certificate(&self.folder.join(format!("{name}.crt")))];
                let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key")));
                builder.with_client_auth_cert(chain, key.expect("a key")).expect("a certificate")
            }
        })
    }
}

impl Drop for Papers {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn read_certificate(path: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path).expect("a certificate")
}

const BOTH: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// A client that speaks through TLS.
struct Secret {
    stream: StreamOwned<ClientConnection, TcpStream>,
    input: Vec<u8>,
}

impl Secret {
    fn connect(address: SocketAddr, config: &Arc<ClientConfig>) -> Self {
        let socket = TcpStream::connect(address).expect("a connection");
        socket.set_nodelay(true).expect("no delay");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::clone(config), name).expect("a client");
        Self { stream: StreamOwned::new(connection, socket), input: Vec::new() }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|error| error.to_string())
    }

    fn receive(&mut self) -> Result<Value, String> {
        loop {
            if let Some((value, len)) = decode(&self.input).expect("a reply") {
                self.input.drain(..len);
                return Ok(value);
            }
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece) {
                Ok(0) => return Err("closed".into()),
                Ok(len) => self.input.extend_from_slice(&piece[..len]),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Value, String> {
        self.send(&request(words))?;
        self.receive()
    }
}

fn ok() -> Result<Value, String> {
    Ok(Value::Simple(b"OK".to_vec()))
}

fn bulk(bytes: &[u8]) -> Result<Value, String> {
    Ok(Value::Bulk(bytes.to_vec()))
}

#[test]
fn pipelines_large_values_and_messages_in_both_versions() {
    let papers = Papers::new();
    let (_server, address) = papers.serve(3, &["--tls_auth_clients=no"]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = papers.client(None, &[version]);
        let mut client = Secret::connect(address, &config);
        assert_eq!(client.ask(&["FLUSHALL"]), ok());
        let got = client.stream.conn.protocol_version();
        assert_eq!(got, Some(version.version));
        // More than the socket's buffers hold, so both sides wait.
        let mut pipeline = Vec::new();
        for number in 0..10_000 {
            pipeline.extend(request(&[
                "SET".to_owned(),
                format!("k:{number}"),
                number.to_string(),
            ]));
            pipeline.extend(request(&["GET".to_owned(), format!("k:{number}")]));
        }
        client.send(&pipeline).expect("sent");
        for number in 0..10_000 {
            assert_eq!(client.receive(), ok(), "{number}");
            assert_eq!(client.receive(), bulk(number.to_string().as_bytes()));
        }
        let large: Vec<u8> = (0..5_000_000_u32).map(|n| (n ^ (n >> 8)) as u8).collect();
        assert_eq!(client.ask(&[b"SET", &b"large"[..], &large]), ok());
        assert!(client.ask(&["GET", "large"]) == bulk(&large), "five megabytes come back");
        // Many of them at once, more than is sealed at a time.
        for _ in 0..4 {
            client.send(&request(&["GET", "large"])).expect("sent");
        }
        for _ in 0..4 {
            assert!(client.receive() == bulk(&large), "each comes back whole");
        }
        // Messages, which nobody asked for.
        let mut listener = Secret::connect(address, &config);
        listener.send(&request(&["HELLO", "3"])).expect("sent");
        assert!(matches!(listener.receive(), Ok(Value::Map(_))));
        let joined = listener.ask(&["SUBSCRIBE", "news"]).expect("a reply");
        assert!(matches!(joined, Value::Push(_)), "{joined:?}");
        assert_eq!(client.ask(&["PUBLISH", "news", "hello"]), Ok(Value::Int(1)));
        let words = [b"message".to_vec(), b"news".to_vec(), b"hello".to_vec()];
        let words = words.into_iter().map(Value::Bulk).collect();
        assert_eq!(listener.receive(), Ok(Value::Push(words)));
        assert_eq!(client.ask(&["QUIT"]), ok());
        // The end is said, not only come to: otherwise this is an error.
        assert_eq!(client.receive(), Err("closed".into()));
    }
}

#[test]
fn bytes_cut_anywhere() {
    let papers = Papers::new();
    let (_server, address) = papers.serve(2, &["--tls_auth_clients=no"]);
    let config = papers.client(None, BOTH);
    let name = ServerName::try_from("localhost").expect("a name");
    let mut connection = ClientConnection::new(config, name).expect("a client");
    let mut socket = TcpStream::connect(address).expect("a connection");
    socket.set_nodelay(true).expect("no delay");
    socket.set_read_timeout(Some(PATIENCE)).expect("a time-out");
    let mut replies = Vec::new();
    for round in 0..60 {
        connection.writer().write_all(&request(&["ECHO", &round.to_string()])).expect("room");
        let expected = format!("${}\r\n{round}\r\n", round.to_string().len());
        while !replies.ends_with(expected.as_bytes()) {
            let mut sealed = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut sealed).expect("room");
            }
            // Every length of piece, so that each part of a record is cut somewhere.
            for piece in sealed.chunks(1 + round % 37) {
                socket.write_all(piece).expect("sent");
                std::thread::sleep(Duration::from_micros(100));
            }
            if !connection.wants_write() {
                connection.read_tls(&mut socket).expect("an answer");
                connection.process_new_packets().expect("records");
                let mut piece = [0; 4096];
                match connection.reader().read(&mut piece) {
                    Ok(len) => replies.extend_from_slice(&piece[..len]),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
        }
    }
}

#[test]
fn the_main_port_speaks_it_when_asked() {
    let papers = Papers::new();
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = free.local_addr().expect("an address");
    drop(free);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_pinion"))
        .args(["--tls", "--bind=127.0.0.1", "--threads=1", "--tls_auth_clients=no"])
        .args(["--tls_cert_file", &papers.path("server.crt")])
        .args(["--tls_key_file", &papers.path("server.key")])
        .arg(format!("--port={}", address.port()))
        // There may be a snapshot where tests are run.
        .args(["--dbfilename=", "--save="])
        .spawn()
        .expect("a server");
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut client = Secret::connect(address, &papers.client(None, BOTH));
    let mut pong = client.ask(&["PING"]);
    while matches!(&pong, Ok(Value::Error(text)) if text.starts_with(b"LOADING")) {
        pong = client.ask(&["PING"]);
    }
    // HTTP as well, below the same TLS.
    let mut browser = Secret::connect(address, &papers.client(None, BOTH));
    browser.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("sent");
    let mut page = String::new();
    let read = browser.stream.read_to_string(&mut page);
    child.kill().expect("killed");
    child.wait().expect("ended");
    assert_eq!(pong, Ok(Value::Simple(b"PONG".to_vec())));
    assert!(read.is_ok() && page.ends_with("OK\n"), "{page}");
}

#[test]
fn whom_the_server_trusts() {
    let (papers, strangers) = (Papers::new(), Papers::new());
    papers.issue("client", "client");
    strangers.issue("client", "client");
    let pong = Ok(Value::Simple(b"PONG".to_vec()));
    let ask = |address, config: &Arc<ClientConfig>| Secret::connect(address, config).ask(&["PING"]);
    // Required where nothing else is said.
    let (server, address) = papers.serve(2, &[]);
    for versions in [&[&rustls::version::TLS12][..], &[&rustls::version::TLS13]] {
        assert_eq!(ask(address, &papers.client(Some("client"), versions)), pong);
        let refused = ask(address, &papers.client(None, versions)).expect_err("no certificate");
        assert!(refused.contains("CertificateRequired") || refused.contains("HandshakeFailure"));
    }
    // One of somebody else's authority, shown to a server that the client trusts.
    let mut roots = RootCertStore::empty();
    roots.add(read_certificate(&papers.folder.join("ca.crt"))).expect("a root");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::from_pem_file(strangers.path("client.key")).expect("a key");
    let chain = vec![read_certificate(&strangers.folder.join("client.crt"))];
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(BOTH)
        .expect("versions")
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .expect("a certificate");
    assert!(ask(address, &Arc::new(config)).is_err());
    // Whoever trusts another authority does not speak to the server.
    let refused = ask(address, &strangers.client(Some("client"), BOTH)).expect_err("unknown");
    assert!(refused.contains("invalid peer certificate"), "{refused}");
    // Optional and not asked for, from the next connection on.
    let mut plain = Client::connect(server.address()).expect("a connection");
    for word in ["optional", "no"] {
        assert_eq!(plain.ask(&["CONFIG", "SET", "tls-auth-clients", word]), ok());
        assert_eq!(ask(address, &papers.client(None, BOTH)), pong, "{word}");
        assert_eq!(ask(address, &papers.client(Some("client"), BOTH)), pong, "{word}");
    }
}

#[test]
fn what_is_not_tls_is_closed() {
    let papers = Papers::new();
    let (server, address) = papers.serve(1, &["--tls_auth_clients=no"]);
    let mut good = Secret::connect(address, &papers.client(None, BOTH));
    assert!(good.ask(&["PING"]).is_ok());
    let mut long = vec![22, 3, 1, 0x40, 0];
    long.extend([1, 0, 0xff, 0xff]);
    long.resize(100_000, 7);
    let bad: [&[u8]; 5] = [
        b"PING\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        &[22, 3, 1, 0, 5, 1, 0, 0, 1, 0],
        &[22, 3, 1, 0xff, 0xff, 1, 0],
        &long,
    ];
    for bytes in bad {
        let mut client = Client::connect(address).expect("a connection");
        // The server may have closed it before all of it is out.
        let _ = client.send_raw(bytes);
        client.stream().set_read_timeout(Some(PATIENCE)).expect("a time-out");
        // What it is told first is a line of TLS, or nothing.
        let mut told = Vec::new();
        match client.stream().read_to_end(&mut told) {
            Ok(_) => assert!(told.len() < 100, "{told:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    // Records that cannot be opened, on a connection that was good.
    let _ = good.stream.sock.write_all(&[23, 3, 3, 0, 40]);
    let _ = good.stream.sock.write_all(&[9; 40]);
    assert!(good.receive().is_err());
    let mut plain = Client::connect(server.address()).expect("a connection");
    assert_eq!(plain.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
}

#[test]
fn half_a_handshake_is_closed_in_time() {
    let papers = Papers::new();
    let (server, address) = papers.serve(1, &["--tls_auth_clients=no"]);
    let silent = Client::connect(address).expect("a connection");
    let mut half = Client::connect(address).expect("a connection");
    half.send_raw(&[22, 3, 1, 2, 0, 1, 0, 1]).expect("sent");
    let mut good = Secret::connect(address, &papers.client(None, BOTH));
    assert!(good.ask(&["PING"]).is_ok());
    let begun = Instant::now();
    assert_eq!(half.receive(PATIENCE), Ok(Got::Closed));
    let mut silent = silent;
    assert_eq!(silent.receive(PATIENCE), Ok(Got::Closed));
    let took = begun.elapsed();
    assert!(took > Duration::from_secs(8) && took < Duration::from_secs(15), "{took:?}");
    assert!(good.ask(&["PING"]).is_ok());
    let mut plain = Client::connect(server.address()).expect("a connection");
    assert_eq!(plain.ask(&["PING"]), Ok(Value::Simple(b"PONG".to_vec())));
}

#[test]
fn certificates_are_read_again_all_or_none() {
    let papers = Papers::new();
    let (server, address) = papers.serve(2, &["--tls_auth_clients=no"]);
    let config = papers.client(None, BOTH);
    let shown = || {
        let mut client = Secret::connect(address, &config);
        client.ask(&["PING"]).expect("a reply");
        let chain = client.stream.conn.peer_certificates().expect("a certificate");
        chain[0].clone().into_owned()
    };
    let first = shown();
    assert_eq!(first, read_certificate(&papers.folder.join("server.crt")));
    papers.issue("next", "localhost");
    let (cert, key) = (papers.path("next.crt"), papers.path("next.key"));
    let mut plain = Client::connect(server.address()).expect("a connection");
    for words in [
        &["CONFIG", "SET", "tls-cert-file", "/no/such"][..],
        &["CONFIG", "SET", "tls-cert-file", &cert],
        &["CONFIG", "SET", "tls-key-file", &cert],
        &["CONFIG", "SET", "tls-protocols", "SSLv3"],
        &["CONFIG", "SET", "tls-ciphers", "NULL"],
        &["CONFIG", "SET", "timeout", "7", "tls-ca-cert-file", &key, "tls-auth-clients", "yes"],
    ] {
        let reply = plain.ask(words).expect("a reply");
        let Value::Error(text) = reply else { panic!("{words:?}: {reply:?}") };
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("Unable to update TLS configuration. Check server logs."), "{text}");
        assert_eq!(shown(), first, "{words:?}");
    }
    let timeout = plain.ask(&["CONFIG", "GET", "timeout"]).expect("a reply");
    assert!(format!("{timeout:?}").contains("[48]"), "{timeout:?}");
    let mut old = Secret::connect(address, &config);
    assert!(old.ask(&["PING"]).is_ok());
    assert_eq!(plain.ask(&["CONFIG", "SET", "tls-cert-file", &cert, "tls-key-file", &key]), ok());
    assert_eq!(shown(), read_certificate(&papers.folder.join("next.crt")));
    assert!(old.ask(&["PING"]).is_ok(), "who is in stays in");
    // The same names again: the files are others.
    papers.issue("next", "localhost");
    assert_eq!(plain.ask(&["CONFIG", "SET", "tls-cert-file", &cert, "tls-key-file", &key]), ok());
    assert_eq!(shown(), read_certificate(&papers.folder.join("next.crt")));
}

#[test]
fn a_bad_start_is_one_sentence() {
    let papers = Papers::new();
    papers.issue("other", "localhost");
    let lines = ["BEGIN", "END"].map(|word| format!("-----{word} ENCRYPTED PRIVATE KEY-----\n"));
    papers.write("encrypted.key", &lines.join("MAA=\n"));
    let (cert, key, other) =
        (papers.path("server.crt"), papers.path("server.key"), papers.path("other.key"));
    let encrypted = papers.path("encrypted.key");
    for (arguments, sentence) in [
        (&[][..], "TLS needs a certificate"),
        (&["--tls_cert_file", &cert][..], "TLS needs the key of its certificate"),
        (&["--tls_cert_file", "/no/such", "--tls_key_file", &key], "cannot read the certificate"),
        (&["--tls_cert_file", &cert, "--tls_key_file", &cert], "cannot read the key"),
        (&["--tls_cert_file", &cert, "--tls_key_file", &other], "is not that of the certificate"),
        (&["--tls_cert_file", &cert, "--tls_key_file", &encrypted], "it is encrypted"),
        (&["--tls_cert_file", &cert, "--tls_key_file", &key], "tls_auth_clients=no"),
    ] {
        let mut all = vec!["--tls", "--port=-1", "--bind=127.0.0.1", "--threads=1"];
        if !sentence.contains("auth_clients") {
            all.push("--tls_auth_clients=no");
        }
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_pinion"))
            .args(all.iter().chain(arguments))
            .output()
            .expect("an end");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(sentence), "{arguments:?}: {text}");
    }
}
