//! A blocking client: one question at a time, or many keys at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests sent before their replies are read.
const PIPELINE: u64 = 64;

/// Puts so many keys into the server at a port, over so many connections.
pub(crate) fn fill(port: u16, keys: u64, writers: u64) -> Result<(), String> {
    std::thread::scope(|scope| {
        let insert = |part| {
            let range = keys * part / writers..keys * (part + 1) / writers;
            scope.spawn(|| Client::connect(port)?.fill(range))
        };
        let threads: Vec<_> = (0..writers).map(insert).collect();
        threads
            .into_iter()
            .try_for_each(|writer| writer.join().unwrap_or_else(|_| Err("a writer broke".into())))
    })
}

/// One connection to a server on this machine.
#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    pub(crate) fn connect(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .and_then(|stream| {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                Ok(stream)
            })
            .map_err(|error| format!("connecting to port {port}: {error}"))?;
        Ok(Self { stream: BufReader::with_capacity(64 * 1024, stream) })
    }

    /// Asks one line, words with spaces between; answers the text of the reply.
    pub(crate) fn ask(&mut self, line: &str) -> Result<String, String> {
        self.send(format!("{line}\r\n").as_bytes())?;
        self.read()
    }

    /// Sends a line whose reply is not waited for.
    pub(crate) fn tell(&mut self, line: &str) -> Result<(), String> {
        self.send(format!("{line}\r\n").as_bytes())
    }

    /// Sets the keys `key:` and twelve digits, from `range`, to 32 bytes.
    pub(crate) fn fill(&mut self, range: std::ops::Range<u64>) -> Result<(), String> {
        let mut next = range.start;
        while next < range.end {
            let end = range.end.min(next + PIPELINE);
            self.set(&(next..end).collect::<Vec<_>>())?;
            next = end;
        }
        Ok(())
    }

    /// Sets some such keys at once.
    pub(crate) fn set(&mut self, keys: &[u64]) -> Result<(), String> {
        let mut out = Vec::new();
        for key in keys {
            out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:");
            out.extend_from_slice(format!("{key:012}\r\n$32\r\n{key:032}\r\n").as_bytes());
        }
        self.send(&out)?;
        for _ in keys {
            let reply = self.read()?;
            if reply != "OK" {
                return Err(format!("SET: {reply}"));
            }
        }
        Ok(())
    }

    /// Gets some such keys at once, and adds those that are not there to `missed`.
    pub(crate) fn find(&mut self, keys: &[u64], missed: &mut Vec<u64>) -> Result<(), String> {
        let mut out = Vec::new();
        for key in keys {
            let request = format!("*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n");
            out.extend_from_slice(request.as_bytes());
        }
        self.send(&out)?;
        for key in keys {
            if self.read()?.is_empty() {
                missed.push(*key);
            }
        }
        Ok(())
    }

    /// Sends `count` requests, each written by `make` for its number, a pipeline at a time, and
    /// throws the replies away. An error is an error.
    pub(crate) fn repeat(
        &mut self,
        count: u64,
        make: impl Fn(u64, &mut Vec<u8>),
    ) -> Result<(), String> {
        self.repeat_groups(count, 1, make)
    }

    /// The same with groups of `requests` requests each, about a pipeline of them at a time.
    pub(crate) fn repeat_groups(
        &mut self,
        count: u64,
        requests: u64,
        make: impl Fn(u64, &mut Vec<u8>),
    ) -> Result<(), String> {
        let (mut out, mut next) = (Vec::new(), 0);
        while next < count {
            let end = count.min(next + PIPELINE.div_ceil(requests));
            out.clear();
            (next..end).for_each(|number| make(number, &mut out));
            self.send(&out)?;
            (0..(end - next) * requests).try_for_each(|_| self.skip())?;
            next = end;
        }
        Ok(())
    }

    /// Reads a reply of any shape and throws it away.
    fn skip(&mut self) -> Result<(), String> {
        let failed = |error| format!("receiving: {error}");
        let (mut left, mut line) = (1u64, Vec::new());
        while left > 0 {
            line.clear();
            if self.stream.read_until(b'\n', &mut line).map_err(failed)? == 0 {
                return Err("the server closed the connection".into());
            }
            left -= 1;
            let text = String::from_utf8_lossy(&line);
            let number = || text[1..].trim_end().parse::<i64>().unwrap_or(0);
            match line[0] {
                b'-' => return Err(text.trim_end().to_owned()),
                b'*' | b'~' | b'>' => left += u64::try_from(number()).unwrap_or(0),
                b'%' => left += 2 * u64::try_from(number()).unwrap_or(0),
                b'$' => {
                    let len = u64::try_from(number() + 2).unwrap_or(0);
                    let len = if number() < 0 { 0 } else { len };
                    let mut bulk = (&mut self.stream).take(len);
                    std::io::copy(&mut bulk, &mut std::io::sink()).map_err(failed)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Subscribes to a channel.
    pub(crate) fn subscribe(&mut self, channel: &str) -> Result<(), String> {
        self.send(format!("SUBSCRIBE {channel}\r\n").as_bytes())?;
        self.skip()
    }

    /// Sends requests that publish, of which each must be heard by so many subscribers.
    pub(crate) fn publish(
        &mut self,
        requests: &[u8],
        count: u64,
        subscribers: u64,
    ) -> Result<(), String> {
        self.send(requests)?;
        for _ in 0..count {
            let told = self.read()?;
            if told != subscribers.to_string() {
                return Err(format!("PUBLISH: {told} of {subscribers} subscribers"));
            }
        }
        Ok(())
    }

    /// Reads as many bytes as are expected; others are an error.
    pub(crate) fn hear(&mut self, expected: &[u8]) -> Result<(), String> {
        let mut heard = vec![0; expected.len()];
        let read = self.stream.read_exact(&mut heard);
        read.map_err(|error| format!("listening: {error}"))?;
        if heard == expected { Ok(()) } else { Err("a subscriber heard something else".into()) }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.get_mut().write_all(bytes).map_err(|error| format!("sending: {error}"))
    }

    /// Reads a reply: a line, or a bulk string.
    fn read(&mut self) -> Result<String, String> {
        let failed = |error| format!("receiving: {error}");
        let mut line = String::new();
        if self.stream.read_line(&mut line).map_err(failed)? == 0 {
            return Err("the server closed the connection".into());
        }
        let line = line.trim_end();
        let Some(len) = line.strip_prefix('$') else {
            return Ok(line.get(1..).unwrap_or("").to_owned());
        };
        // The null of a key that is not there has the length -1.
        let Ok(len) = len.parse::<usize>() else { return Ok(String::new()) };
        let mut text = vec![0; len + 2];
        self.stream.read_exact(&mut text).map_err(failed)?;
        text.truncate(len);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
