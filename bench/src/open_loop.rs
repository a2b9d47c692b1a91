//! Load at a fixed rate, whatever the server does: latency counts from when a command was due.
//!
//! One thread sends each command when its time has come, over all connections in turn; a thread a
//! connection blocks for the replies. So a server that stalls is charged for every command that
//! became due meanwhile, and a client that waits for replies does not hide it.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is asked: SET and GET in turn, of random keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Commands a second.
    pub(crate) rate: u64,
    /// How long.
    pub(crate) seconds: u64,
    /// Connections.
    pub(crate) connections: u64,
    /// Keys.
    pub(crate) keys: u64,
}

/// Latencies of one run, in microseconds, sorted.
#[derive(Debug)]
pub(crate) struct Latencies(Vec<u32>);

impl Latencies {
    /// Of these, in any order.
    pub(crate) fn new(mut all: Vec<u32>) -> Self {
        all.sort_unstable();
        Self(all)
    }

    /// Milliseconds that this share of the commands needed at most; `share` is 0 to 1.
    pub(crate) fn percentile_ms(&self, share: f64) -> f64 {
        let Some(last) = self.0.len().checked_sub(1) else { return f64::NAN };
        let at = (share * self.0.len() as f64).ceil() as usize;
        f64::from(self.0[at.saturating_sub(1).min(last)]) / 1000.0
    }

    /// Commands answered.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Runs the plan against a port of 127.0.0.1; the threads run where this one may.
pub(crate) fn run(plan: &Plan, port: u16) -> Result<Latencies, String> {
    // Sleeps end on time instead of up to 50 us later; without it figures are only coarser.
    drop(std::fs::write("/proc/self/timerslack_ns", "1"));
    let failed = |error| format!("at a fixed rate: {error}");
    let mut ways = Vec::new();
    for _ in 0..plan.connections {
        ways.push(open(port).map_err(failed)?);
    }
    let interval = Duration::from_secs(1) / u32::try_from(plan.rate).unwrap_or(u32::MAX);
    let count = plan.rate * plan.seconds;
    let start = Instant::now() + Duration::from_millis(20);
    let mut request = Vec::new();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for index in 0..count {
        let due = start + interval * u32::try_from(index).unwrap_or(u32::MAX);
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            std::thread::sleep(early);
        }
        // xorshift: random enough to touch every key, and the same in every run.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        request.clear();
        write_request(&mut request, index.is_multiple_of(2), random % plan.keys);
        let way = &mut ways[(index % plan.connections) as usize];
        way.due.send(due).map_err(|_| "the server closed a connection".to_owned())?;
        way.stream.write_all(&request).map_err(failed)?;
    }
    let mut all = Vec::new();
    for way in ways {
        // The reader ends when nothing more is due.
        drop(way.due);
        let latencies = way.reader.join().map_err(|_| "a reader broke".to_owned())?;
        all.extend(latencies.map_err(failed)?);
    }
    Ok(Latencies::new(all))
}

/// A connection, and the thread that reads from it.
struct Way {
    stream: TcpStream,
    due: Sender<Instant>,
    reader: JoinHandle<std::io::Result<Vec<u32>>>,
}

fn open(port: u16) -> std::io::Result<Way> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let (due, dues) = channel();
    let replies = BufReader::new(stream.try_clone()?);
    let reader =
        std::thread::Builder::new().stack_size(128 * 1024).spawn(move || read(replies, &dues))?;
    Ok(Way { stream, due, reader })
}

/// Reads a reply for each command that was due, and returns how late each came.
fn read(mut replies: BufReader<TcpStream>, dues: &Receiver<Instant>) -> std::io::Result<Vec<u32>> {
    let mut latencies = Vec::new();
    while let Ok(due) = dues.recv() {
        skip_reply(&mut replies)?;
        let us = Instant::now().saturating_duration_since(due).as_micros();
        latencies.push(u32::try_from(us).unwrap_or(u32::MAX));
    }
    Ok(latencies)
}

/// Passes over one reply: a line, or a bulk string.
fn skip_reply(replies: &mut BufReader<TcpStream>) -> std::io::Result<()> {
    let mut line = Vec::new();
    if replies.read_until(b'\n', &mut line)? == 0 {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    let text = String::from_utf8_lossy(&line);
    if text.starts_with('-') {
        return Err(std::io::Error::other(text.trim_end().to_owned()));
    }
    let len = text.strip_prefix('$').and_then(|len| len.trim_end().parse::<u64>().ok());
    if let Some(len) = len {
        std::io::copy(&mut replies.take(len + 2), &mut std::io::sink())?;
    }
    Ok(())
}

/// Appends one of the requests.
pub(crate) fn write_request(out: &mut Vec<u8>, is_set: bool, key: u64) {
    let text = if is_set {
        format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n$32\r\n{key:032}\r\n")
    } else {
        format!("*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n")
    };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles() {
        let latencies = Latencies((1..=1000).collect());
        assert_eq!(latencies.percentile_ms(0.5), 0.5);
        assert_eq!(latencies.percentile_ms(0.999), 0.999);
        assert_eq!(latencies.percentile_ms(1.0), 1.0);
        assert!(Latencies(Vec::new()).percentile_ms(0.5).is_nan());
    }
}
