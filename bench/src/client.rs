//! A blocking client: one question at a time, or many keys at once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longest wait for a reply.
const PATIENCE: Duration = Duration::from_secs(30);
/// Requests sent before their replies are read.
const PIPELINE: u64 = 64;

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

    /// Sets the keys `key:` and twelve digits, from `range`, to 32 bytes.
    pub(crate) fn fill(&mut self, range: std::ops::Range<u64>) -> Result<(), String> {
        let mut out = Vec::new();
        let mut next = range.start;
        while next < range.end {
            let end = range.end.min(next + PIPELINE);
            out.clear();
            for key in next..end {
                out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:");
                out.extend_from_slice(format!("{key:012}\r\n$32\r\n{key:032}\r\n").as_bytes());
            }
            self.send(&out)?;
            for _ in next..end {
                let reply = self.read()?;
                if reply != "OK" {
                    return Err(format!("SET: {reply}"));
                }
            }
            next = end;
        }
        Ok(())
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
        let Ok(len) = len.parse::<usize>() else { return Ok(String::new()) };
        let mut text = vec![0; len + 2];
        self.stream.read_exact(&mut text).map_err(failed)?;
        text.truncate(len);
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}
