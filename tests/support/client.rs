//! A blocking client that sends words and reads values, one deadline on every answer.

use pinion_io::resp::{Protocol, Reply, Value, decode};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// What reading came to.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Got {
    /// A whole reply.
    Value(Value),
    /// The server closed the connection.
    Closed,
    /// Nothing, or not a whole reply, before the deadline.
    Late,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Client {
    /// Connects; the error says where to.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))
            .map_err(|error| format!("connecting to {address}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| format!("setting TCP_NODELAY: {error}"))?;
        Ok(Self { stream, input: Vec::new() })
    }

    /// Sends a request of these words.
    pub(crate) fn send<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<(), String> {
        self.send_raw(&request(words))
    }

    /// Sends these bytes as they are.
    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> Result<(), String> {
        self.stream.write_all(bytes).map_err(|error| format!("sending: {error}"))
    }

    /// Its socket, for what is not a request.
    #[allow(dead_code, reason = "not every test looks under the requests")]
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Reads one reply, waiting at most `patience`.
    pub(crate) fn receive(&mut self, patience: Duration) -> Result<Got, String> {
        let deadline = Instant::now() + patience;
        loop {
            match decode(&self.input) {
                Ok(Some((value, len))) => {
                    self.input.drain(..len);
                    return Ok(Got::Value(value));
                }
                Ok(None) => {}
                Err(error) => return Err(format!("reading a reply: {error:?}")),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Got::Late);
            }
            self.stream
                .set_read_timeout(Some(left))
                .map_err(|error| format!("setting a time-out: {error}"))?;
            let mut piece = [0; 16 * 1024];
            match self.stream.read(&mut piece) {
                Ok(0) => return Ok(Got::Closed),
                Ok(len) => self.input.extend_from_slice(&piece[..len]),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => {}
                    ErrorKind::ConnectionReset => return Ok(Got::Closed),
                    _ => return Err(format!("receiving: {error}")),
                },
            }
        }
    }

    /// Sends a request and reads its reply within five seconds.
    pub(crate) fn ask<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Value, String> {
        self.send(words)?;
        match self.receive(Duration::from_secs(5))? {
            Got::Value(value) => Ok(value),
            other => Err(format!("no reply: {other:?}")),
        }
    }
}

/// The bytes of a request of these words.
pub(crate) fn request<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut request = Reply::new(&mut out, Protocol::Resp2);
    request.array(words.len());
    for word in words {
        request.bulk(word.as_ref());
    }
    out
}
