//! A connection to another server, on a thread of its own: requests go out, each is answered by
//! one line.
//!
//! For what is rare and may be slow, down to looking up a name. Whoever asks never waits: requests
//! are handed over, their bytes are seen to go down, and the doorbell rings when there is room
//! again, when all is answered, and when the connection fails.

use crate::limits::{OUTGOING_BYTES_MAX, OUTGOING_LINE_BYTES_MAX, OUTGOING_UNANSWERED_MAX};
use crate::mesh::Doorbell;
use crate::runtime::unpin;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where to connect to, and what to say there.
#[derive(Clone, Debug)]
pub struct Target {
    /// A name or an address.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// Patience with the connection, and with each write and read.
    pub timeout: Duration,
    /// Requests that must all be answered well before any other goes out.
    pub greeting: Vec<Vec<u8>>,
}

/// Why a connection is of no use any more.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Failure {
    /// The host is not known, or did not answer in time.
    Connect,
    /// It took no more.
    Write,
    /// It did not answer, or not in one line.
    Read,
    /// It answered the greeting with this error, which begins with its `-`.
    Refused(Vec<u8>),
}

/// What came back since somebody last looked.
#[derive(Debug, Default)]
pub struct Answers {
    /// A line for each request, in their order, without its end.
    pub lines: Vec<Vec<u8>>,
    /// Nothing more comes.
    pub failure: Option<Failure>,
}

/// The end of a connection that its owner holds; the connection closes when that is dropped.
#[derive(Debug)]
pub struct Outgoing {
    orders: Sender<Order>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Order {
    Send(Vec<u8>),
    Settle,
}

#[derive(Debug)]
struct Shared {
    /// Bytes handed over and not yet written.
    waiting: AtomicUsize,
    answers: Mutex<Answers>,
    doorbell: Arc<Doorbell>,
}

impl Outgoing {
    /// Begins to connect, on a thread that may run on any of these processors.
    ///
    /// # Errors
    /// There is no thread left.
    pub fn open(
        target: Target,
        processors: Arc<[usize]>,
        doorbell: Arc<Doorbell>,
    ) -> io::Result<Self> {
        let (orders, received) = channel();
        let (waiting, answers) = (AtomicUsize::new(0), Mutex::default());
        let shared = Arc::new(Shared { waiting, answers, doorbell });
        let theirs = Arc::clone(&shared);
        std::thread::Builder::new().name("pinion-outgoing".into()).spawn(move || {
            // Where it may not run elsewhere it runs beside the core that has asked.
            let _ = unpin(&processors);
            if let Err(failure) = talk(&target, &received, &theirs) {
                theirs.answers().failure = Some(failure);
                theirs.doorbell.ring();
            }
        })?;
        Ok(Self { orders, shared })
    }

    /// Hands over a request.
    pub fn send(&self, request: Vec<u8>) {
        self.shared.waiting.fetch_add(request.len(), Ordering::AcqRel);
        // Where the thread has ended, the answers say why.
        let _ = self.orders.send(Order::Send(request));
    }

    /// Wants all answers to what was sent so far.
    pub fn settle(&self) {
        let _ = self.orders.send(Order::Settle);
    }

    /// True if more may be handed over; where not, the doorbell rings once it may.
    pub fn has_room(&self) -> bool {
        self.shared.waiting.load(Ordering::Acquire) < OUTGOING_BYTES_MAX
    }

    /// What came back since the last call. Lines come when all were wanted, or many were missing.
    pub fn take_answers(&self) -> Answers {
        std::mem::take(&mut self.shared.answers())
    }
}

impl Shared {
    fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that so many bytes are written.
    fn wrote(&self, bytes: usize) {
        let before = self.waiting.fetch_sub(bytes, Ordering::AcqRel);
        if before >= OUTGOING_BYTES_MAX && before - bytes < OUTGOING_BYTES_MAX {
            self.doorbell.ring();
        }
    }
}

/// Does what it is told until nobody is left to tell it.
fn talk(target: &Target, orders: &Receiver<Order>, shared: &Shared) -> Result<(), Failure> {
    let stream = connect(target)?;
    let mut lines = BufReader::new(&stream);
    let write = |bytes: &[u8]| (&stream).write_all(bytes).map_err(|_| Failure::Write);
    for request in &target.greeting {
        write(request)?;
    }
    for _ in &target.greeting {
        let line = read(&mut lines)?;
        if line.first() == Some(&b'-') {
            return Err(Failure::Refused(line));
        }
    }
    let mut unanswered = 0;
    while let Ok(order) = orders.recv() {
        let least = match order {
            Order::Send(request) => {
                write(&request)?;
                shared.wrote(request.len());
                unanswered += 1;
                OUTGOING_UNANSWERED_MAX
            }
            Order::Settle => 0,
        };
        while unanswered > least {
            let line = read(&mut lines)?;
            unanswered -= 1;
            shared.answers().lines.push(line);
        }
        if least == 0 {
            shared.doorbell.ring();
        }
    }
    Ok(())
}

/// Tries the addresses of the host in turn. Who turns us away is told as one who does not listen.
fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let mut last = Failure::Connect;
    let found = (target.host.as_str(), target.port).to_socket_addrs();
    for address in found.map_err(|_| Failure::Connect)? {
        match TcpStream::connect_timeout(&address, target.timeout) {
            Ok(stream) => return prepare(&stream, target).map(|()| stream),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => last = Failure::Write,
            Err(_) => last = Failure::Connect,
        }
    }
    Err(last)
}

fn prepare(stream: &TcpStream, target: &Target) -> Result<(), Failure> {
    stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(target.timeout)))
        .and_then(|()| stream.set_write_timeout(Some(target.timeout)))
        .map_err(|_| Failure::Connect)
}

/// The next answer: a line that begins as a simple string or an error does.
fn read(lines: &mut BufReader<&TcpStream>) -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    let most = OUTGOING_LINE_BYTES_MAX as u64;
    let read = lines.by_ref().take(most).read_until(b'\n', &mut line);
    match read {
        Ok(_) if line.ends_with(b"\r\n") && matches!(line[0], b'+' | b'-') => {
            line.truncate(line.len() - 2);
            Ok(line)
        }
        _ => Err(Failure::Read),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{SocketAddr, TcpListener};
    use std::time::Instant;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn open(address: SocketAddr, timeout: Duration, greeting: &[&str]) -> Outgoing {
        let greeting = greeting.iter().map(|text| text.as_bytes().to_vec()).collect();
        let (host, port) = (address.ip().to_string(), address.port());
        let target = Target { host, port, timeout, greeting };
        let doorbell = Arc::new(Doorbell::new().expect("an eventfd"));
        Outgoing::open(target, Arc::new([]), doorbell).expect("a thread")
    }

    /// Waits for so many lines, or a failure.
    fn hear(outgoing: &Outgoing, lines: usize) -> Answers {
        let (mut all, began) = (Answers::default(), Instant::now());
        while all.lines.len() < lines && all.failure.is_none() {
            assert!(began.elapsed() < PATIENCE, "{all:?}");
            let Answers { lines, failure } = outgoing.take_answers();
            all.lines.extend(lines);
            all.failure = failure;
            std::thread::sleep(Duration::from_millis(1));
        }
        all
    }

    /// A server that answers each request, a line, with the next of these.
    fn serve(answers: Vec<&'static str>) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its own");
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a client");
            let mut requests = BufReader::new(&stream);
            for answer in answers {
                requests.read_until(b'\n', &mut Vec::new()).expect("a request");
                (&stream).write_all(answer.as_bytes()).expect("it is read");
            }
            // Until the client goes.
            let _ = requests.read_until(b'\n', &mut Vec::new());
        });
        address
    }

    #[test]
    fn requests_are_answered_in_order_after_the_greeting() {
        let address = serve(vec!["+OK\r\n", "+OK\r\n", "-ERR no\r\n", "+OK\r\n"]);
        let outgoing = open(address, PATIENCE, &["HELLO\n"]);
        for _ in 0..3 {
            outgoing.send(b"DO\n".to_vec());
        }
        outgoing.settle();
        assert_eq!(hear(&outgoing, 3).lines, [&b"+OK"[..], b"-ERR no", b"+OK"]);
        assert!(outgoing.has_room());
    }

    #[test]
    fn a_refused_greeting_ends_it() {
        let address = serve(vec!["+OK\r\n", "-ERR who are you?\r\n"]);
        let outgoing = open(address, PATIENCE, &["HELLO\n", "SELECT\n"]);
        outgoing.send(b"DO\n".to_vec());
        let refused = Failure::Refused(b"-ERR who are you?".to_vec());
        assert_eq!(hear(&outgoing, 1).failure, Some(refused));
    }

    #[test]
    fn who_does_not_answer_or_not_in_lines_has_failed() {
        for answer in ["", "HTTP/1.1 400 Bad Request\r\n", "$1\r\n", "+"] {
            let outgoing = open(serve(vec![answer]), Duration::from_millis(50), &[]);
            outgoing.send(b"DO\n".to_vec());
            outgoing.settle();
            assert_eq!(hear(&outgoing, 1).failure, Some(Failure::Read), "{answer}");
        }
        let long = "+".repeat(OUTGOING_LINE_BYTES_MAX + 1);
        let outgoing = open(serve(vec![long.leak()]), PATIENCE, &[]);
        outgoing.send(b"DO\n".to_vec());
        outgoing.settle();
        assert_eq!(hear(&outgoing, 1).failure, Some(Failure::Read));
    }

    #[test]
    fn where_nobody_listens_nothing_is_written() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its own");
        drop(listener);
        let outgoing = open(address, PATIENCE, &["HELLO\n"]);
        assert_eq!(hear(&outgoing, 1).failure, Some(Failure::Write));
    }

    #[test]
    fn there_is_room_until_much_waits() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("its own");
        let outgoing = open(address, Duration::from_millis(200), &[]);
        // More than the kernel takes where nobody reads.
        for _ in 0..64 {
            outgoing.send(vec![b'x'; 1 << 20]);
        }
        assert!(!outgoing.has_room());
        assert_eq!(hear(&outgoing, 1).failure, Some(Failure::Write));
    }
}
