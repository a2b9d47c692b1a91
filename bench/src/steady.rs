//! Load at a fixed rate from one thread, which does something else now and then: for what shares
//! its cores with the load.
//!
//! The thread wakes ten thousand times a second, sends what has become due and takes what has come,
//! so latencies are up to 100 us longer than a thread would see that only waits. As in `open_loop`,
//! they count from when the command was due.

use crate::open_loop::{Plan, write_request};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

/// Bytes received at once.
const PIECE: usize = 16 * 1024;
/// From one look at the sockets to the next.
const TICK: Duration = Duration::from_micros(100);
/// How often something else is done.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Longest wait for what is still to be answered in the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// When a command was due, and how many microseconds later its reply was there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was due.
    pub(crate) due: Instant,
    /// Until its reply came.
    pub(crate) us: u32,
}

/// A connection, and what it is still to answer.
#[derive(Debug)]
struct Way {
    stream: TcpStream,
    dues: VecDeque<Instant>,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Runs the load until `look`, which is asked every millisecond, says that it is over; the
/// plan's `seconds` do not count.
pub(crate) fn run(
    plan: &Plan,
    port: u16,
    mut look: impl FnMut(Instant) -> Result<bool, String>,
) -> Result<Vec<Sample>, String> {
    // Sleeps end on time instead of up to 50 us later; without it figures are only coarser.
    drop(std::fs::write("/proc/self/timerslack_ns", "1"));
    let mut ways = Vec::new();
    for _ in 0..plan.connections {
        ways.push(Way::open(port).map_err(|error| format!("connecting: {error}"))?);
    }
    let interval = Duration::from_secs(1) / u32::try_from(plan.rate).unwrap_or(u32::MAX);
    let mut samples = Vec::with_capacity(usize::try_from(plan.rate * 60).unwrap_or(0));
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut count, mut way) = (0u64, 0);
    let mut due = Instant::now() + Duration::from_millis(20);
    let mut looked = due;
    let mut until = None;
    loop {
        let now = Instant::now();
        while until.is_none() && due <= now {
            // xorshift: random enough to touch every key, and the same in every run.
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let own = &mut ways[way];
            write_request(&mut own.output, count.is_multiple_of(2), random % plan.keys);
            own.dues.push_back(due);
            (count, way) = (count + 1, (way + 1) % plan.connections as usize);
            due += interval;
        }
        for way in &mut ways {
            way.send()?;
        }
        if until.is_none() && now >= looked {
            looked = now + LOOK_EVERY;
            if look(now)? {
                until = Some(now + PATIENCE);
            }
        }
        match until {
            Some(_) if ways.iter().all(|way| way.dues.is_empty()) => return Ok(samples),
            Some(until) if until < now => return Err("replies stay away".into()),
            _ => wait_and_read(&mut ways, now + TICK, &mut samples)?,
        }
    }
}

/// Waits for the next tick, and reads what has come until then.
fn wait_and_read(ways: &mut [Way], tick: Instant, samples: &mut Vec<Sample>) -> Result<(), String> {
    std::thread::sleep(tick.saturating_duration_since(Instant::now()));
    let mut waits: Vec<PollFd<'_>> =
        ways.iter().map(|way| PollFd::new(way.stream.as_fd(), PollFlags::POLLIN)).collect();
    let ready = poll(&mut waits, PollTimeout::ZERO);
    if ready.map_err(|error| format!("waiting: {error}"))? == 0 {
        return Ok(());
    }
    let ready: Vec<bool> = waits.iter().map(|wait| wait.any().unwrap_or(true)).collect();
    for (way, _) in ways.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
        way.read(samples)?;
    }
    Ok(())
}

impl Way {
    fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, dues: VecDeque::new(), input: Vec::new(), output: Vec::new() })
    }

    /// Sends what the kernel takes.
    fn send(&mut self) -> Result<(), String> {
        if self.output.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.output) {
            Ok(len) => drop(self.output.drain(..len)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(format!("sending: {error}")),
        }
        Ok(())
    }

    fn read(&mut self, samples: &mut Vec<Sample>) -> Result<(), String> {
        let mut piece = [0; PIECE];
        match self.stream.read(&mut piece) {
            Ok(0) => return Err("the server closed a connection".into()),
            Ok(len) => self.input.extend_from_slice(&piece[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(format!("receiving: {error}")),
        }
        let now = Instant::now();
        let mut at = 0;
        while let Some(len) = reply_len(&self.input[at..])? {
            at += len;
            let due = self.dues.pop_front().ok_or("a reply that nobody asked for")?;
            let us = now.saturating_duration_since(due).as_micros();
            samples.push(Sample { due, us: u32::try_from(us).unwrap_or(u32::MAX) });
        }
        self.input.drain(..at);
        Ok(())
    }
}

/// Bytes of the first reply, a line or a bulk string, if it is whole.
fn reply_len(input: &[u8]) -> Result<Option<usize>, String> {
    let Some(line) = input.iter().position(|&byte| byte == b'\n') else { return Ok(None) };
    let text = String::from_utf8_lossy(&input[..line]);
    if text.starts_with('-') {
        return Err(text.trim_end().to_owned());
    }
    let bulk = text.strip_prefix('$').and_then(|len| len.trim_end().parse::<usize>().ok());
    let len = line + 1 + bulk.map_or(0, |len| len + 2);
    Ok((len <= input.len()).then_some(len))
}

#[cfg(test)]
mod tests {
    use super::reply_len;

    #[test]
    fn replies_are_told_apart() {
        assert_eq!(reply_len(b"+OK\r\n+OK\r\n"), Ok(Some(5)));
        assert_eq!(reply_len(b"$3\r\nabc\r\n$-1\r\n"), Ok(Some(9)));
        assert_eq!(reply_len(b"$-1\r\n"), Ok(Some(5)));
        assert_eq!(reply_len(b"$3\r\nab"), Ok(None));
        assert_eq!(reply_len(b"+O"), Ok(None));
        assert!(reply_len(b"-ERR no\r\n").is_err());
    }
}
